"""ChexReason: the reproducible companion of *Benchmark Success, Clinical Failure* (arXiv 2512.23090).

The modules import one another in one direction only (import-linter holds the contract)::

    errors, labels -> data, phantom, prompts -> teacher, rewards, metrics, stats -> config
        -> models -> sft, grpo, evaluate -> runs -> report, claims -> command line

Start with `labels`, then follow a study along the arrows.
"""

__version__ = "0.1.0"
