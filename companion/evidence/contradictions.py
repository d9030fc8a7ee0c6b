"""Where the paper says two things: text against text, table, equation or setting, with both places.

Where numbers decide, an entry rests on claims of the ledger that its numbers do not bear out, or carries a check of its
own: if a transcription changed, an entry that no longer holds would drop out. The text is taken at its word: a figure
of speech or an opinion is no entry, and what is said of one data set is not held against another. Where an entry hangs
on something that a section missing from our text may state, it says "if". The entries are in `contradictions.yml`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from chexreason import recipe
from chexreason.rewards import Nuanced
from companion.evidence.audit import attainability, facts, matched, validation
from companion.evidence.audit.conventions import uncertain_share
from companion.evidence.claims import CLAIMS
from companion.evidence.claims.published import Published
from companion.evidence.claims.verdicts import reaches
from companion.evidence.tables import TABLES


@dataclass(frozen=True)
class Contradiction:
    """Two statements that do not go together, or one that leaves something out which the other shows."""

    first: str  # where
    says: str
    second: str  # where
    against: str
    unborne: tuple[str, ...] = ()  # claims, while the numbers bear out none of which it stands
    stands: str = ""  # what has to hold besides, a name in `CHECKS`
    matters: str = ""


def found() -> list[Contradiction]:
    """Those that the numbers bear out, and those in words alone."""
    side = Published(validation.size())
    return [
        one
        for one in CONTRADICTIONS
        if (not one.stands or CHECKS[one.stands]())
        and not any(reaches(CLAIMS[name], CLAIMS[name].check(side).value) for name in one.unborne)
    ]


def _fail(table: int) -> float:
    return facts.value(table, "reasoning_narrative", "all", "failure_rate")


def _lost() -> dict[str, float]:
    return {model: -one.stated for model, one in matched.crossings().items()}


def _untrained_fall_more() -> bool:
    base, own = (facts.value(5, "macro", model) for model in ("medgemma", "chexreason"))
    lost = _lost()
    return base > own and min(lost["medgemma"], lost["qwen"]) > lost["chexreason"]


CHECKS: Mapping[str, Callable[[], bool]] = {
    "MedGemma fails more often": lambda: _fail(2) > _fail(3),
    "radiologists decided": lambda: uncertain_share("chexpert", "test") == 0 < uncertain_share("mimic", "train"),
    "the two averages are over other findings": lambda: len(facts.rows(5)) != len(facts.rows(6)),
    "two clip bounds": lambda: recipe.GRPO.epsilon != recipe.GRPO.epsilon_high,
    "Dr. GRPO": lambda: recipe.GRPO.loss_type == "dr_grpo",
    "models that nobody optimised fall more": _untrained_fall_more,
    "no size of CheXpert's validation set fits": lambda: all(
        attainability.fits(attainability.failure_rates(), facts.size("chexpert", part))
        for part in ("valid", "valid images")
    ),
    "the nuanced reward has a term of its own": lambda: min(Nuanced.collapse, Nuanced.repetition) > 0,
}


def _read() -> tuple[Contradiction, ...]:
    values = {
        "cell": {
            f"{number} {row} {column}": text
            for number in TABLES
            for (row, column, metric), text in facts.cells(number).items()
            if metric == "f1"
        },
        "fail": {table: _fail(table) for table in (2, 3)},
        "lost": _lost(),
        "size": {part: facts.size("chexpert", part) for part in ("valid", "valid images")},
        "grpo": recipe.GRPO,
    }
    entries = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
    found = []
    for entry in entries:
        unborne = tuple(entry.pop("unborne", ()))
        found.append(Contradiction(**{key: told.format(**values) for key, told in entry.items()}, unborne=unborne))
    return tuple(found)


CONTRADICTIONS = _read()
