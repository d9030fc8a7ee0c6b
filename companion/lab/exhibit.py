"""The last figure of the argument: an X-ray, what each hospital records of it, and what each model lists.

The patient is the first of the laboratory's to whom no two models give the same list, so nobody chose it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from companion.experiment import patients
from companion.lab import xrays
from companion.phantoms import draw_with_masks
from companion.report.plots import framed, panel
from companion.report.theme import Html, badge

#: Inches: the width of the figure, of its square image, of the rows' names, of a character; and the height of a line.
WIDE, IMAGE, NAMES, CHARACTER, LINE = 4.4, 2.05, 1.05, 0.064, 0.175
RECORDS, LISTS = "What three hospitals record", "What four models list"


def patient() -> dict[str, Any]:
    """The first patient (`xrays.data`) to whom all models answer differently at home."""
    for one in xrays.data(xrays.answers(), pictures=False)["patients"]:
        said = [frozenset(answer[xrays.POPULATION]["labels"]) for answer in one["said"].values()]
        if len(set(said)) == len(said):
            return dict(one)
    raise LookupError("two models give each patient the same list")


def rows(one: dict[str, Any]) -> pd.DataFrame:
    """Who says what of a patient: a row a finding that is recorded or listed, with whether it was drawn."""
    named = [(RECORDS, f"hospital {at}", [name for name, state in labels.items() if state == "yes"])
             for at, labels in one["recorded"].items()]  # fmt: skip
    named += [(LISTS, title.replace("after ", ""), one["said"][key][xrays.POPULATION]["labels"])
              for key, title in xrays.MODELS.items()]  # fmt: skip
    found = [(what, who, name, name in one["drawn"]) for what, who, names in named for name in names or [""]]
    return pd.DataFrame(found, columns=["what", "who", "finding", "drawn"])


def xray() -> Html:
    """The figure: image, what was drawn, three records and four answers; what is there with ✓, what is not with ✗."""
    one = patient()
    frame = rows(one)
    image, _ = draw_with_masks(patients.World(xrays.POPULATION, xrays.POPULATION).case(one["index"]), xrays.SIDE)
    blocks = {str(what): [(str(who), list(_lines(named))) for who, named in part.groupby("who", sort=False)]
              for what, part in frame.groupby("what", sort=False)}  # fmt: skip
    height = IMAGE + LINE * (sum(1 + sum(len(lines) for _, lines in part) for part in blocks.values()) + 1)

    def draw(axes: Axes) -> None:
        axes.set(xlim=(0, WIDE), ylim=(height, 0))
        axes.axis("off")
        axes.imshow(np.asarray(image), cmap="gray", extent=(0, IMAGE, IMAGE, 0), aspect="auto")
        axes.text(IMAGE + LINE, LINE, "What was drawn", weight="bold")
        axes.text(IMAGE + LINE, 1.5 * LINE, "\n".join(one["drawn"]), va="top", linespacing=1.5)
        y = IMAGE + LINE
        for what, part in blocks.items():
            axes.text(0, y, what, weight="bold", va="center")
            for who, lines in part:
                axes.text(0, y + LINE, who.replace("equation", "eq."), va="center")
                for line in lines:
                    y += LINE
                    for x, text in line:
                        axes.text(NAMES + x, y, text, va="center", style="italic" if text[0] == "✗" else "normal")
            y += LINE

    told = "; ".join(f"{who}: {', '.join(part['finding'])}" for who, part in frame.groupby("who", sort=False))
    title = f"Drawn patient {one['index']}, imaged at hospital {xrays.POPULATION}"
    svg = panel(title, draw, f"Drawn: {', '.join(one['drawn'])}; {told}.", (WIDE, height + 0.4))
    head = badge("miniature", f"seed {xrays.SEED}", "greedy answers")
    return framed("", head, [svg], columns=1, anchor="exhibit-8", data=frame)


def _lines(named: pd.DataFrame) -> Iterator[list[tuple[float, str]]]:
    """The findings of one row as lines of (place in inches, mark and finding)."""
    line = list[tuple[float, str]]()
    x = 0.0
    for name, drawn in zip(named["finding"], named["drawn"], strict=True):
        text = f"{'✓' if drawn else '✗'} {name}".replace("Cardiomediastinum", "Cardiomed.") if name else "nothing"
        if line and NAMES + x + len(text) * CHARACTER > WIDE:
            yield line
            line, x = [], 0.0
        line.append((x, text))
        x += (len(text) + 2) * CHARACTER
    yield line
