"""What the phantoms are worth: how hard they are, and how near to real images.

Not in the paper, whose data are patients' images. The values come from
`results/phantoms/`, written by `benchmarks/phantom_difficulty.py` and `benchmarks/phantom_looks.py`.
"""

from pathlib import Path

import pandas as pd

from chexreason import config
from companion.evidence.stats import Interval
from companion.phantoms import HOSPITALS
from companion.report.frames import frame_table
from companion.report.plots import picture
from companion.report.theme import Html, badge

FOLDER: Path = config.RESULTS / "phantoms"
TRAINED_AT = "A"
MEAN = "mean"  #: the row of difficulty.csv that is the mean over findings
#: The hospital whose images imitate the real ones of looks.csv.
LIKE_REAL = "C"


def difficulty_values() -> pd.DataFrame:
    """hospital, finding, n, positives, auc, low, high: one row a finding and hospital, and the means."""
    return pd.read_csv(FOLDER / "difficulty.csv")


def looks_values() -> pd.DataFrame:
    """source ("real" or a hospital), images, quantity, at, median, low, high."""
    return pd.read_csv(FOLDER / "looks.csv")


def difficulty() -> Html:
    """The area under the ROC curve of each finding at each hospital, with its interval, the hardest on top."""
    values = difficulty_values().sort_values("auc").set_index("finding")
    order = [*values[values["hospital"] == TRAINED_AT].index.drop(MEAN), MEAN]
    shown = {
        f"hospital {name}": {
            finding: Interval(*rows.loc[finding, ["auc", "low", "high"]]) for finding in order
        }
        for name, rows in values.groupby("hospital")
    }  # fmt: skip
    images = sorted(set(values["n"]))
    return picture(
        "How hard each finding is",
        badge(
            "miniature", f"n = {images[0] if len(images) == 1 else f'{images[0]} to {images[-1]}'} images a hospital"
        ),
        {"Area under the ROC curve": shown},
        "area under the ROC curve",
        "Intervals at 95 % over images; the line is chance.",
        columns=1,
        line=0.5,
    )


def looks() -> Html:
    """Grey levels and power by spatial frequency: real images beside each hospital's."""
    values = looks_values()
    cells = values.apply(lambda row: f"{_short(row['median'])} ({_short(row['low'])} to {_short(row['high'])})", axis=1)
    wide = values.assign(cell=cells).pivot(index=["quantity", "at"], columns="source", values="cell").reset_index()
    named = {"quantity": "", "at": "quantile, or cycles an image", "real": "real images"}
    wide = wide.rename(columns={**named, **{name: f"hospital {name}" for name in HOSPITALS}})
    front = ["", named["at"], named["real"], f"hospital {LIKE_REAL}"]
    head = badge("miniature", f"n = {values['images'].min()} images a source", "median (middle 80 %)")
    columns = [*front, *(name for name in wide if name not in front)]
    return frame_table(wide[columns], "Grey levels and frequencies", head=head)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"
