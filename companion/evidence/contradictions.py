"""Where the paper says two things: text against text, table, equation or setting, with both places.

Where numbers decide, an entry rests on claims of the ledger that its numbers do not bear out, or carries a check of its
own: if a transcription changed, an entry that no longer holds would drop out. The text is taken at its word: a figure
of speech or an opinion is no entry, and what is said of one data set is not held against another. Where an entry hangs
on something that a section missing from our text may state, it says "if". The entries are in `contradictions.yml`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def _values() -> dict[str, dict[Any, Any]]:
    """What the entries may name in braces."""
    return {
        "cell": {
            f"{number} {row} {column}": text
            for number in TABLES
            for (row, column, metric), text in facts.cells(number).items()
            if metric == "f1"
        },
        "fail": {table: facts.value(table, "reasoning_narrative", "all", "failure_rate") for table in (2, 3)},
        "lost": {model: -one.stated for model, one in matched.crossings().items()},
        "size": {part: facts.size("chexpert", part) for part in ("valid", "valid images")},
    }


def _untrained_fall_more() -> bool:
    base, own = (facts.value(5, "macro", model) for model in ("medgemma", "chexreason"))
    lost = _values()["lost"]
    return base > own and min(lost["medgemma"], lost["qwen"]) > lost["chexreason"]


CHECKS: Mapping[str, Callable[[], bool]] = {
    "MedGemma fails more often": lambda: _values()["fail"][2] > _values()["fail"][3],
    "radiologists decided": lambda: uncertain_share("chexpert", "test") == 0 < uncertain_share("mimic", "train"),
    "the two averages are over other findings": lambda: len(facts.rows(5)) != len(facts.rows(6)),
    "two clip bounds": lambda: recipe.GRPO.epsilon != recipe.GRPO.epsilon_high,
    "Dr. GRPO": lambda: recipe.GRPO.loss_type == "dr_grpo",
    "models that nobody optimised fall more": _untrained_fall_more,
    "no size of CheXpert's validation set fits": lambda: all(
        attainability.fits(attainability.failure_rates(), size) for size in _values()["size"].values()
    ),
    "the nuanced reward has a term of its own": lambda: min(Nuanced.collapse, Nuanced.repetition) > 0,
}


def _read() -> Iterator[Contradiction]:
    values = _values()
    for entry in yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8")):
        unborne = tuple(entry.pop("unborne", ()))
        told = {key: text.format(**values, grpo=recipe.GRPO) for key, text in entry.items()}
        yield Contradiction(**told, unborne=unborne)


CONTRADICTIONS = tuple(_read())
