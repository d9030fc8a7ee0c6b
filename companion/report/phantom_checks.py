"""What the phantoms are worth: how hard they are, and how near to real images and to published labels.

Not in the paper, whose data are patients' images. The values come from `results/phantoms/`, where scripts of
`benchmarks/` write them.
"""

import pandas as pd

from chexreason import config
from chexreason.labels import FINDINGS, NO_FINDING
from companion.evidence.stats import Interval
from companion.phantoms import HOSPITALS
from companion.report.frames import frame_table
from companion.report.plots import picture
from companion.report.theme import Html, badge

FOLDER = config.RESULTS / "phantoms"
TRAINED_AT, MEAN = "A", "mean"
#: The hospital whose images imitate the real ones of looks.csv.
LIKE_REAL = "C"
#: How far a rate at a simulated hospital may be from the published one.
BAND = 0.05


def measured(name: str) -> pd.DataFrame:
    """A table of `results/phantoms/`.

    difficulty: hospital, finding ("mean" for the mean), n, positives, auc, low, high.
    looks: source ("real" or a hospital), images, quantity, at, median, low, high.
    cooccurrence: hospital, given ("" for a prevalence), finding, published, simulated, counts, studies, seed.
    """
    return pd.read_csv(FOLDER / f"{name}.csv", keep_default_na=False)


def difficulty() -> Html:
    """The area under the ROC curve of each finding at each hospital, with its interval, the hardest on top."""
    values = measured("difficulty").sort_values("auc").set_index("finding")
    order = [*values[values["hospital"] == TRAINED_AT].index.drop(MEAN), MEAN]
    shown = {
        f"hospital {name}": {finding: Interval(*part.loc[finding, ["auc", "low", "high"]]) for finding in order}
        for name, part in values.groupby("hospital")
    }
    n = " to ".join(map(str, dict.fromkeys((values["n"].min(), values["n"].max()))))
    return picture(
        "How hard each finding is", badge("miniature", f"n = {n} images a hospital"),
        {"Area under the ROC curve": shown}, "area under the ROC curve",
        "Intervals at 95 % over images; the line is chance.", columns=1, line=0.5,
    )  # fmt: skip


def looks() -> Html:
    """Grey levels and power by spatial frequency: real images beside each hospital's."""
    values = measured("looks")
    values["cell"] = [f"{one.median:.1f} ({one.low:.1f} to {one.high:.1f})" for one in values.itertuples()]
    named = {"real": "real images", **{name: f"hospital {name}" for name in sorted(HOSPITALS, key=LIKE_REAL.__ne__)}}
    wide = values.pivot(index=["quantity", "at"], columns="source", values="cell")[list(named)].rename(columns=named)
    wide = wide.rename_axis(["", "quantile, or cycles an image"]).reset_index()
    head = badge("miniature", f"n = {values['images'].min()} images a source", "median (middle 80 %)")
    return frame_table(wide, "Grey levels and frequencies", head=head)


def prevalences() -> Html:
    """Each label's share of studies: published, and recorded by the simulated hospitals; and what is drawn."""
    alone, columns = measured("cooccurrence").query("given == ''"), {}
    for name, part in alone.set_index("finding").groupby("hospital"):
        columns[f"{name}: published"], columns[f"{name}: recorded"] = part["published"], part["simulated"]
        drawn = {finding: rate.drawn for finding, rate in HOSPITALS[str(name)].rates.items() if finding != NO_FINDING}
        columns[f"{name}: drawn"] = pd.Series(drawn)
    shown = pd.DataFrame(columns).reindex(FINDINGS).map(lambda share: "–" if share != share else f"{share:.1%}")
    return frame_table(shown.rename_axis("Label").reset_index(), "Prevalence of each label", dense=True)


def together() -> Html:
    """How often a label is recorded where another one is: how many of the compared pairs are near, and the farthest."""
    found = (
        measured("cooccurrence")
        .query("given != '' and counts")
        .assign(off=lambda pairs: pairs["simulated"] - pairs["published"])
    )
    rows = []
    for name, pairs in found.groupby("hospital"):
        far, off = pairs.loc[pairs["off"].abs().idxmax()], pairs["off"].abs()
        rows.append({
            "Hospital": f"{name}: {HOSPITALS[str(name)].convention}", "Pairs compared": f"{len(pairs)}",
            f"within {100 * BAND:.0f} points": f"{(off <= BAND).sum()}",
            "half of them within": f"{100 * off.median():.1f} points",
            "farthest": f"{far['finding']} where {far['given']} is recorded",
            "published": f"{far['published']:.1%}", "simulated": f"{far['simulated']:.1%}",
        })  # fmt: skip
    label = "Published and simulated: how often one label is recorded where another is"
    head = badge("miniature", f"{found['studies'].iloc[0]:,} studies a hospital", f"seed {found['seed'].iloc[0]}")
    return frame_table(pd.DataFrame(rows), label, title=label, head=head, wrap=["farthest"])
