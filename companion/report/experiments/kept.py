"""The kept answers of the second experiment; what a page says before all those of its question are there."""

from collections.abc import Sequence
from functools import cache

from companion.evidence.tables import results_root
from companion.evidence.trainings import Trainings
from companion.experiment import patients, plan
from companion.report.theme import Html, badge, block


@cache
def answers() -> Trainings:
    """The kept answers of all arms."""
    return Trainings(results_root() / "experiment" / "runs")


def missing(arms: Sequence[str]) -> str:
    """How many of the planned trainings of some arms are not there yet; empty if all are.

    Nothing is shown before: who looks in between tests more often than once.
    """
    wanted = {(name, seed) for name in arms for seed in range(plan.get(name).seeds)}
    lack = wanted - set(answers().places)
    there = f"{len(wanted) - len(lack)} of {len(wanted)} runs of the plan are there"
    return f"{there}; nothing is shown before all are" if lack else ""


def waiting(arms: Sequence[str]) -> Html:
    """A note in place of a figure or table."""
    return block(f'<p class="cxr-note">{missing(arms)}. <code>make experiments</code> runs them.</p>')


def head(trainings: int, *facts: str, hospitals: str = "ABC") -> str:
    """The badge: tier, trainings, patients, and what is measured."""
    many = ", ".join(f"{len(patients.sample(name))} of {name}" for name in hospitals)
    return badge("miniature", "experiment", f"{trainings} trainings an arm", f"patients: {many}", *facts)
