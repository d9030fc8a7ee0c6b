"""What the phantoms are worth, in figures and sentences: how hard they are, and how near to real films.

Not in the paper, whose data are patients' films. The values come from
`results/phantoms/`, written by `benchmarks/phantom_difficulty.py` and `benchmarks/phantom_looks.py`.
"""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from chexreason import config
from companion.phantoms import HOSPITALS
from companion.report.figures import STYLE as DRAWING
from companion.report.figures import to_svg
from companion.report.tables import frame_table
from companion.report.theme import SERIES, Html, Prose, badge, block, decimal

FOLDER: Path = config.RESULTS / "phantoms"
TRAINED_AT = "A"
MEAN = "mean"  #: the row of difficulty.csv that is the mean over findings
#: The hospital whose films imitate the real ones of looks.csv.
LIKE_REAL = "C"


def difficulty_values() -> pd.DataFrame:
    """hospital, finding, n, positives, auc, low, high: one row a finding and hospital, and the means."""
    return pd.read_csv(FOLDER / "difficulty.csv")


def difficulty() -> Html:
    """The area under the ROC curve of each finding at each hospital, with its interval."""
    values = difficulty_values()
    by_ease = values[values["hospital"] == TRAINED_AT].sort_values("auc")["finding"]
    order = [*(name for name in by_ease if name != MEAN), MEAN]
    with mpl.rc_context(DRAWING):
        drawing = Figure(figsize=(4.4, 5.0), layout="constrained")
        axes = drawing.add_subplot()
        for k, (hospital, (colour, _, marker)) in enumerate(zip(HOSPITALS, SERIES, strict=False)):
            rows = values[values["hospital"] == hospital].set_index("finding").loc[order]
            y = [place + 0.22 * (1 - k) for place in range(len(order))]
            spread = [rows["auc"] - rows["low"], rows["high"] - rows["auc"]]
            axes.errorbar(
                rows["auc"], y, xerr=spread, fmt=marker, color=colour, markersize=4, linewidth=1.1, label=hospital
            )
        axes.set_yticks(range(len(order)), order)
        axes.axvline(0.5, color=DRAWING["text.color"], alpha=0.5, linewidth=0.8)
        axes.set(xlabel="area under the ROC curve")
        drawing.legend(title="hospital", frameon=False, loc="outside upper center", ncols=len(HOSPITALS))
        svg = to_svg(drawing, str(difficulty_said()))
    films = sorted(set(values["n"]))
    head = badge("miniature", f"n = {films[0] if len(films) == 1 else f'{films[0]} to {films[-1]}'} films a hospital")
    panel = f'<div class="cxr-panels" style="max-width:34rem">{svg}</div>'
    return block(f'<div class="cxr-head">{head}</div>{panel}', "figure")


def difficulty_said() -> Prose:
    """The means, and the hardest and the easiest finding, as sentences."""
    values = difficulty_values()
    means = values[values["finding"] == MEAN].set_index("hospital")
    rows = values[(values["hospital"] == TRAINED_AT) & (values["finding"] != MEAN)].set_index("finding")["auc"]
    told = ", ".join(
        f"{decimal(row.auc, 2)} at {hospital} ({decimal(row.low, 2)} to {decimal(row.high, 2)})"
        for hospital, row in means.iterrows()
    )
    return Prose(
        f"A small network that learnt from hospital {TRAINED_AT}'s films and their visible truth reaches a mean area "
        f"under the ROC curve of {told}; the ranges are 95 % intervals over films. "
        f"At {TRAINED_AT} the hardest finding is {rows.idxmin()} ({decimal(rows.min(), 2)}) "
        f"and the easiest {rows.idxmax()} ({decimal(rows.max(), 2)})."
    )


def looks_values() -> pd.DataFrame:
    """source ("real" or a hospital), films, quantity, at, median, low, high."""
    return pd.read_csv(FOLDER / "looks.csv")


def looks() -> Html:
    """Grey levels and power by spatial frequency: real films beside each hospital's."""
    values = looks_values()
    cells = values.apply(lambda row: f"{_short(row['median'])} ({_short(row['low'])} to {_short(row['high'])})", axis=1)
    wide = values.assign(cell=cells).pivot(index=["quantity", "at"], columns="source", values="cell").reset_index()
    named = {"quantity": "", "at": "quantile, or cycles a film", "real": "real films"}
    wide = wide.rename(columns={**named, **{name: f"hospital {name}" for name in HOSPITALS}})
    front = ["", named["at"], named["real"], f"hospital {LIKE_REAL}"]
    head = badge("miniature", f"n = {values['films'].min()} films a source", "median (middle 80 %)")
    table = frame_table(wide[[*front, *(name for name in wide if name not in front)]], "Grey levels and frequencies")
    return block(f'<div class="cxr-head">{head}</div>') + table


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"


def looks_said() -> Prose:
    """How far the hospital that imitates the real films is from them."""
    values = looks_values().set_index(["source", "quantity", "at"])
    real, ours = values.loc["real"], values.loc[LIKE_REAL]
    apart = (ours["median"] - real["median"]).abs()
    covered = (
        ((ours["median"] >= real["low"]) & (ours["median"] <= real["high"])).groupby("quantity").agg(["sum", "size"])
    )
    grey, power = apart["grey level"], apart["log10 power"]
    inside = " and ".join(f"{row['sum']} of {row['size']} for the {name}" for name, row in covered.iterrows())
    return Prose(
        f"Hospital {LIKE_REAL} imitates the real films. "
        f"Its median film lies at most {grey.max():.0f} grey levels (of 255) from the median real film, "
        f"at the quantile {grey.idxmax()}, and at most {power.max():.1f} powers of ten in the octave "
        f"that starts at {power.idxmax():.0f} cycles across the film. "
        f"It is within the middle 80 % of real films in {inside}."
    )
