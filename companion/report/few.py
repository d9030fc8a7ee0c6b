"""Findings with few positives: which rows of Tables 5 and 6 a handful of studies decide (section 4.4)."""

from collections.abc import Iterator, Sequence

from chexreason.labels import LABEL_SETS
from companion.evidence.audit.facts import supports
from companion.evidence.comparable import ENOUGH
from companion.evidence.tables import Evidence
from companion.report.theme import escape

#: Mark and owner of the studies: the paper's, then ours in the order in which they are shown.
PAPERS = "†", "in the paper's test set"
OURS = (("‡", "among the studies of the {}"), ("§", "among the studies of the {}"))


def marks(sides: Sequence[Evidence]) -> dict[str, str]:
    """Row of the table -> the marks of the sides that have fewer than `ENOUGH` positives of that finding."""
    found: dict[str, str] = {}
    for mark, _, positives in _sides(sides):
        for row, count in positives.items():
            if count < ENOUGH:
                found[row] = found.get(row, "") + mark
    return found


def notes(sides: Sequence[Evidence]) -> list[str]:
    """What the marks mean, and which findings have no positive at all, so that they have no F1 to show."""
    said = []
    for mark, whose, positives in _sides(sides):
        none = [name for name, count in positives.items() if not count]
        if min(positives.values(), default=ENOUGH) < ENOUGH:
            said.append(
                f"{mark} Fewer than {ENOUGH} positives {escape(whose)}: a handful of studies decide such a row. The "
                "macro average of the table counts it, as the paper does; an average that carries a conclusion leaves "
                "it out."
            )
        if none:
            said[-1] += (
                f" None at all of {escape(', '.join(none))}: there is nothing to score, and the macro average, which "
                "counts it as 0, is lower for it."
            )
    return said


def absent(shown: Evidence) -> list[str]:
    """The findings of which our studies have no positive."""
    return [name for name, count in _positives(shown).items() if not count]


def _sides(sides: Sequence[Evidence]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Mark, whose studies, and positives of each finding."""
    yield *PAPERS, _papers(sides[0])
    for (mark, whose), one in zip(OURS, sides, strict=False):
        yield mark, whose.format(one.tier), _positives(one)


def _papers(shown: Evidence) -> dict[str, float]:
    if shown.spec.number != 5:
        return {}  # how many NIH studies were scored is not in the text we have
    return supports("chexpert", "test", LABEL_SETS["chexpert14"])


def _positives(shown: Evidence) -> dict[str, float]:
    """Of each finding among a side's studies, which all its models share."""
    run = next(iter(shown.runs.values()), None)
    if run is None or shown.spec.number < 5:
        return {}
    table = run.metrics().query("metric == 'support' and finding not in ('macro', 'micro')")
    return dict(zip(table["finding"].astype(str), table["value"].astype(float), strict=True))
