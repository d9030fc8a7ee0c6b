"""Two more pictures of the audit, drawn from label counts: which scores are possible, and what a label means."""

import pandas as pd
from matplotlib.axes import Axes

from chexreason.labels import FINDINGS
from companion.evidence.audit import attainability, conventions, facts
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS
from companion.report.audit_figures import BLUE, INK, ORANGE, SHORT, panel, picture, rows, rows_named
from companion.report.theme import Html, decimal


def rulers() -> Html:
    """Every F1 that is possible for the rare findings, with the five that are printed, and what one hit is worth."""
    support = {name: round(s) for name, s in facts.supports("chexpert", "test", FINDINGS).items()}
    ordered = sorted(FINDINGS, key=lambda name: support[name])
    n, ways, rare = facts.size("chexpert", "test"), attainability.chexpert_cells(), ordered[:6]
    possible = {name: attainability.values_near(support[name], n, 0.2) for name in rare}

    def ruler(axes: Axes) -> str:
        for row, name in enumerate(rare):
            ticks = sorted({round(value, 3) for value in possible[name]})
            axes.plot(ticks, [row] * len(ticks), "|", color=INK, markersize=10, markeredgewidth=0.5, alpha=0.5)
            printed = [facts.value(5, name, model) for model in MODELS]
            axes.plot(printed, [row] * len(printed), "o", color=ORANGE, markersize=5, markerfacecolor="none", mew=1.6)
        rows_named(axes, [f"{SHORT.get(name, name)} ({support[name]})" for name in rare], 7.5)
        counts = "; ".join(f"{name} {len(values)}" for name, values in possible.items())
        return f"Number of possible values of F1: {counts}."

    worth = pd.DataFrame({"change of F1": {name: 1 / support[name] for name in ordered}})
    panels = [
        panel("Possible values, rarest findings", ruler, xlabel="F1", xlim=(-0.02, 1.02)),
        rows("What one more hit is worth", worth, "change of F1 (if P = R)", height=3.2),
    ]
    name, other = ordered[0], ordered[-1]
    caption = (
        "Left: ticks are all the values of F1 that whole counts can give to a model that is right at least one time in "
        f"five; circles are the printed ones. All {len(ways)} values of Table 5 can be reached with the official test "
        f"set's supports; {sum(number == 0 for number in ways.values())} cannot. Right: one more hit moves the F1 of "
        f"{name} by about {decimal(1 / support[name], 2)} and that of {other} by {decimal(1 / support[other], 3)}, "
        "and both count alike in a macro average."
    )
    return picture("Which scores are possible at all?", panels, caption, "attainable", f"{n} studies")


def label_conventions() -> Html:
    """How often each finding is recorded at each place, and in whose company."""
    policies = {name: conventions.policies(dataset, split) for name, (dataset, split, _) in conventions.PARTS.items()}
    recorded = pd.DataFrame(
        {name: {finding: Interval(zeros, zeros, ones) for finding, (zeros, ones, _) in found.items()}
         for name, found in policies.items()}
    ).reindex(FINDINGS)  # fmt: skip

    def ignored(axes: Axes) -> None:
        for shift, found in zip((-0.27, -0.09, 0.09, 0.27), policies.values(), strict=True):
            for finding, (zeros, ones, without) in found.items():
                if ones > zeros:
                    axes.plot(without, FINDINGS.index(finding) + shift, "|", color=INK, markersize=5, markeredgewidth=1)

    pairs = conventions.together()
    shares = pd.DataFrame(
        {"mined from reports": [one.reports for one in pairs], "radiologists": [one.radiologists for one in pairs]},
        [f"{SHORT.get(one.given, one.given)}\n→ {SHORT.get(one.also, one.also)}" for one in pairs],
    )
    looks = {"mined from reports": (ORANGE, "s"), "radiologists": (BLUE, "o")}
    panels = [
        rows("How often it is recorded", recorded, "share of studies", height=4.2, step=0.18, also=ignored,
             xlim=(0, 0.62)),
        rows("… and in whose company", shares, "share that carry the second label", height=4.2, joined=True,
             looks=looks, xlim=(-0.04, 1.04)),
    ]  # fmt: skip
    train, test = (facts.prevalence(*part, FINDINGS) for part in (("mimic", "train"), ("chexpert", "test")))
    shift = max(FINDINGS, key=lambda name: test[name] / train[name])
    mimic = policies["MIMIC-CXR-JPG, train"]
    widest = max(mimic, key=lambda finding: mimic[finding][1] - mimic[finding][0])
    zeros, ones, without = (f"{share:.1%}" for share in mimic[widest])
    alone, company = pairs[0], pairs[-1]
    caption = (
        "Left: bars run from counting uncertain labels as negative to counting them as positive; the stroke leaves "
        f"them out ({widest} in MIMIC: {zeros}, {ones} and {without}). The same word is not equally frequent: "
        f"{shift} is in {train[shift]:.1%} of MIMIC's training studies and in {test[shift]:.1%} "
        f"of the CheXpert test set. Right: of CheXpert's studies with {alone.given}, {alone.reports:.0%} carry "
        f"{alone.also} when labels are mined from reports and {alone.radiologists:.0%} when radiologists label; of "
        f"those with {company.given}, {company.reports:.0%} and {company.radiologists:.0%} carry {company.also}."
    )
    return picture("Does the same label mean the same?", panels, caption, "conventions", "public label counts")
