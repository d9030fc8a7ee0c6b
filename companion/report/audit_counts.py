"""Two more pictures of the audit, drawn from label counts: which scores are possible, and what a label means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from chexreason.labels import FINDINGS
from companion.evidence.audit import attainability, conventions, facts
from companion.evidence.tables import MODELS
from companion.report.audit_figures import BLUE, ORANGE, SHORT, book_style, panel, picture, rows_named
from companion.report.theme import INK, SERIES, Html, decimal


def rulers() -> Html:
    """Every F1 that is possible for the rare findings, with the five that are printed, and what one hit is worth."""
    support = {name: round(s) for name, s in facts.supports("chexpert", "test", FINDINGS).items()}
    ordered = sorted(FINDINGS, key=lambda name: support[name])
    n = facts.size("chexpert", "test")
    ways = attainability.chexpert_cells()
    with book_style():
        drawings = [_ruler(ordered[:6], support, n), _worth(ordered, support)]
    name, other = ordered[0], ordered[-1]
    caption = (
        "Left: ticks are all the values of F1 that whole counts can give to a model that is right at least one time in "
        f"five; circles are the printed ones. All {len(ways)} values of Table 5 can be reached with the official test "
        f"set's supports; {sum(number == 0 for number in ways.values())} cannot. Right: one more hit moves the F1 of "
        f"{name} by about {decimal(1 / support[name], 2)} and that of {other} by {decimal(1 / support[other], 3)}, "
        "and both count alike in a macro average."
    )
    return picture("Which scores are possible at all?", drawings, caption, "attainable", f"{n} studies")


def _ruler(names: Sequence[str], support: Mapping[str, int], n: int) -> tuple[Figure, str]:
    drawing, axes = panel(3.2)
    for row, name in enumerate(names):
        possible = sorted({round(value, 3) for value in attainability.values_near(support[name], n, 0.2)})
        axes.plot(possible, [row] * len(possible), "|", color=INK, markersize=10, markeredgewidth=0.5, alpha=0.5)
        printed = [facts.value(5, name, model) for model in MODELS]
        axes.plot(printed, [row] * len(printed), "o", color=ORANGE, markersize=5, markerfacecolor="none", mew=1.6)
    rows_named(axes, [f"{SHORT.get(name, name)} ({support[name]})" for name in names])
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set(title="Possible values, rarest findings", xlabel="F1", xlim=(-0.02, 1.02))
    counts = "; ".join(f"{name} {len(attainability.values_near(support[name], n, 0.2))}" for name in names)
    return drawing, f"Number of possible values of F1: {counts}."


def _worth(names: Sequence[str], support: Mapping[str, int]) -> tuple[Figure, str]:
    drawing, axes = panel(3.2)
    axes.barh(range(len(names)), [1 / support[name] for name in names], color=BLUE, height=0.7)
    rows_named(axes, names)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set(title="What one more hit is worth", xlabel="change of F1 (if P = R)")
    said = "; ".join(f"{name} {decimal(1 / support[name])}" for name in names)
    return drawing, f"Change of F1 by one more hit: {said}."


def label_conventions() -> Html:
    """How often each finding is recorded at each place, and in whose company."""
    with book_style():
        drawings = [_frequency(), _company()]
    shift = max(conventions.shifts("chexpert"), key=lambda one: one.ratio)
    policy = _widest()
    alone, company = conventions.together()[0], conventions.together()[-1]
    caption = (
        "Left: bars run from counting uncertain labels as negative to counting them as positive; the stroke leaves "
        f"them out ({policy.finding} in MIMIC: {policy.shares}). The same word is not "
        f"equally frequent: {shift.finding} is in {shift.train:.1%} of MIMIC's training studies and in "
        f"{shift.test:.1%} "
        f"of the CheXpert test set. Right: of CheXpert's studies with {alone.given}, {alone.reports:.0%} carry "
        f"{alone.also} when labels are mined from reports and {alone.radiologists:.0%} when radiologists label; of "
        f"those with {company.given}, {company.reports:.0%} and {company.radiologists:.0%} carry {company.also}."
    )
    return picture("Does the same label mean the same?", drawings, caption, "conventions", "public label counts")


@dataclass(frozen=True)
class _Policy:
    finding: str
    shares: str


def _widest() -> _Policy:
    """The finding of MIMIC whose prevalence hangs most on the policy."""
    found = conventions.policies("mimic", "train")
    name = max(found, key=lambda finding: found[finding][1] - found[finding][0])
    zeros, ones, ignored = (f"{share:.1%}" for share in found[name])
    return _Policy(name, f"{zeros}, {ones} and {ignored}")


def _frequency() -> tuple[Figure, str]:
    drawing, axes = panel(4.2)
    styles = [*SERIES]
    for offset, (name, (dataset, split, _)), (colour, _, marker) in zip(
        (-0.27, -0.09, 0.09, 0.27), conventions.PARTS.items(), styles, strict=True
    ):
        for finding, (zeros, ones, ignored) in conventions.policies(dataset, split).items():
            row = FINDINGS.index(finding) + offset
            axes.plot([zeros, ones], [row, row], color=colour, linewidth=1.6)
            if ones > zeros:
                axes.plot(ignored, row, "|", color=INK, markersize=5, markeredgewidth=1)
            axes.plot(zeros, row, marker, color=colour, markersize=3.4, label=name if finding == FINDINGS[0] else None)
    rows_named(axes, FINDINGS)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set(title="How often it is recorded", xlabel="share of studies", xlim=(0, 0.62))
    drawing.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=7.5, handlelength=1.2)
    rows = "; ".join(f"{one.finding} {one.train:.1%} and {one.test:.1%}" for one in conventions.shifts("chexpert"))
    return drawing, f"Share of studies in MIMIC train and CheXpert test: {rows}."


def _company() -> tuple[Figure, str]:
    pairs = conventions.together()
    drawing, axes = panel(4.2)
    for row, one in enumerate(pairs):
        axes.plot([one.reports, one.radiologists], [row, row], color=INK, linewidth=0.8, alpha=0.5)
        axes.plot(one.reports, row, "s", color=ORANGE, label="mined from reports" if row == 0 else None)
        axes.plot(one.radiologists, row, "o", color=BLUE, label="radiologists" if row == 0 else None)
    names = [f"{SHORT.get(one.given, one.given)}\n→ {SHORT.get(one.also, one.also)}" for one in pairs]
    rows_named(axes, names)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.set(title="… and in whose company", xlabel="share that carry the second label", xlim=(-0.04, 1.04))
    drawing.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=7.5, handlelength=1.2)
    said = "; ".join(f"{one.given} with {one.also} {one.reports:.0%} and {one.radiologists:.0%}" for one in pairs)
    return drawing, f"Share with the second label, mined from reports and by radiologists: {said}."
