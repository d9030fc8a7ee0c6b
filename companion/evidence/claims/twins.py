"""Twins: the same claim with the other average, the last checkpoint, the shared findings, or without one finding.

The paper says a thing once, with one choice; a twin says it with another one that the same tables allow. The twin is
in the ledger beside the claim, and is marked as ours: the paper does not say it. What comes of the pair is in
`robustness`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from companion.evidence.claims.quantity import Quantity
from companion.evidence.claims.sides import Side
from companion.evidence.claims.verdicts import AVERAGING, BASELINE, CHECKPOINT, LABEL_SET, LARGEST, Claim

#: Choice -> the end of the twin's name, and of its sentence.
NAMED = {
    AVERAGING: ("micro", "by micro-F1"),
    CHECKPOINT: ("last-step", "at the last step"),
    LABEL_SET: ("nine", "over the nine findings that NIH has, too"),
    BASELINE: ("other-baseline", "against another baseline"),
    LARGEST: ("not-one-finding", "without the finding that moves most"),
}


@dataclass(frozen=True)
class Otherwise:
    """A claim's check with another choice; what is left empty is as in the claim."""

    choice: str
    rests_on: str
    check: Callable[[Side], Quantity]
    evidence: str = ""
    ending: tuple[str, str] = ("", "")  # of name and sentence, where `NAMED` does not fit


def with_twins(claim: Claim, *others: Otherwise) -> tuple[Claim, ...]:
    """The claim with its choices, and its twins after it."""
    twins = []
    for one in others:
        name, how = (own or usual for own, usual in zip(one.ending, NAMED[one.choice], strict=True))
        twins.append(
            replace(
                claim, name=f"{claim.name}-{name}", says=f"{claim.says.removesuffix('.')} ({how}).",
                rests_on=one.rests_on, check=one.check, evidence=one.evidence or claim.evidence, stated=False,
                choice=(),
            )
        )  # fmt: skip
    choice = tuple((one.choice, twin.name) for one, twin in zip(others, twins, strict=True))
    return (replace(claim, choice=claim.choice + choice), *twins)


def micro(rests_on: str, check: Callable[[Side], Quantity], evidence: str = "") -> Otherwise:
    """By micro-F1."""
    return Otherwise(AVERAGING, rests_on, check, evidence)


def last(rests_on: str, check: Callable[[Side], Quantity], evidence: str = "") -> Otherwise:
    """At the last step, which nobody chose by the score."""
    return Otherwise(CHECKPOINT, rests_on, check, evidence)


def nine(rests_on: str, check: Callable[[Side], Quantity], evidence: str = "matched") -> Otherwise:
    """Over the nine findings that both test sets have."""
    return Otherwise(LABEL_SET, rests_on, check, evidence)


def without_one(rests_on: str, check: Callable[[Side], Quantity], evidence: str = "") -> Otherwise:
    """Over all findings but the one that moves most."""
    return Otherwise(LARGEST, rests_on, check, evidence)
