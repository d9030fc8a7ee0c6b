"""The four sections of the paper that are computed: the notebook, the book's page and the method of each."""

from dataclasses import dataclass
from pathlib import Path

from chexreason import config

NOTEBOOKS = config.ROOT / "notebooks"
#: The experiment's profile, and its pages.
EXPERIMENT, EXPERIMENT_PAGES = "experiment", ("cells", "scaffold", "collapse", "selection", "cures")
#: Pages that show numbers of every stage and of the experiment, too.
SUMMARIES = ("index", "audit", "claims")


@dataclass(frozen=True)
class Stage:
    """One section of the paper: its notebook, its page in the book, and the stages whose results it reads."""

    notebook: str  # begins with two digits, as its runs do
    page: str
    after: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        return self.notebook[:2]

    @property
    def module(self) -> str:
        return f"chexreason.{self.page if self.page in ('sft', 'grpo') else 'study'}"

    @property
    def source(self) -> Path:
        return NOTEBOOKS / f"{self.notebook}.py"


STAGES = {
    "prompting": Stage("01_prompting", "prompting"),
    "sft": Stage("02_sft", "sft"),
    "grpo": Stage("03_grpo", "grpo", after=("sft",)),
    "generalization": Stage("04_generalization", "generalization", after=("sft", "grpo")),
}
