"""ChexReason: the reproducible companion of *Benchmark Success, Clinical Failure* (arXiv 2512.23090).

The modules import one another in one direction only (import-linter holds the contract)::

    errors -> labels, settings, files -> data -> phantom -> completions -> prompts
        -> teacher, rewards, metrics -> stats -> config -> provenance, runs -> cohorts, models
        -> examples, traces, training -> evaluate -> prompting, sft, grpo, generalization
        -> evidence -> audit -> claims -> report -> pretrain, batch -> stages -> command line

Start with `labels`, then follow a study along the arrows.
"""

__version__ = "0.1.0"
