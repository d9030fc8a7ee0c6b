"""What the phantoms' data card shows: rates, conventions, label noise and shortcuts, each computed from the code.

The card (book/phantom_card.md) answers the questions of *Datasheets for Datasets* (Gebru et al. 2021) about
the drawn stand-ins for the paper's data. Studies are sampled as the page is built;
no image is drawn.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from chexreason import config
from chexreason.labels import FINDINGS, NO_FINDING
from companion.phantoms import HOSPITALS
from companion.phantoms.case import findings_of
from companion.phantoms.conventions import MINING
from companion.phantoms.copula import DRAWN
from companion.phantoms.shortcuts import leaning
from companion.report import cooccurrence as co
from companion.report.frames import frame_table
from companion.report.plots import framed, panel
from companion.report.theme import SERIES, Html, badge


def drawn(profile: str) -> int:
    """How many studies a profile draws, at all hospitals together."""
    places = [place.draw for place in config.load_profile(profile).data.values() if place.draw is not None]
    return sum(sum(place["sizes"].values()) for place in places)


def prevalences() -> Html:
    """Each label's share of studies: published, and recorded by the simulated hospitals; and what is drawn."""
    aims = {name: co.aimed(name).prevalence for name in HOSPITALS}
    found = {name: co.simulated(name, co.CASES, co.SEED).prevalence for name in HOSPITALS}
    rows = []
    for i, finding in enumerate(FINDINGS):
        row = {"Label": finding}
        for name, place in HOSPITALS.items():
            row[f"{name}: published"] = "–" if np.isnan(aims[name][i]) else f"{aims[name][i]:.1%}"
            row[f"{name}: recorded"] = "–" if np.isnan(aims[name][i]) else f"{found[name][i]:.1%}"
            row[f"{name}: drawn"] = "–" if finding == NO_FINDING else f"{place.rates[finding].drawn:.1%}"
        rows.append(row)
    return frame_table(pd.DataFrame(rows), "Prevalence of each label at the three hospitals", dense=True)


def sources() -> Html:
    """Where the published rates come from."""
    rows = []
    for name in HOSPITALS:
        for what, (dataset, split) in (("prevalence", co.PREVALENCES[name]), ("pairs", co.PAIRS[name])):
            table = co.prevalence_rows(dataset, split)
            rows.append(
                {"Hospital": name, "Rates": what, "Data set": f"{dataset}, {split}", "n": f"{int(table['n'].max()):,}",
                 "Source": table["source"].iloc[0]}
            )  # fmt: skip
    return frame_table(pd.DataFrame(rows), "Sources of the published rates", wrap=("Data set", "Source"))


@lru_cache(maxsize=1)
def pairs() -> pd.DataFrame:
    """`cooccurrence.compared` of the three hospitals, with `hospital` and `off`, simulated minus published."""
    found = pd.concat([co.compared(name).assign(hospital=name) for name in HOSPITALS], ignore_index=True)
    return found.assign(off=found["simulated"] - found["published"])


def conditional_rates() -> Html:
    """The figure: published against simulated conditional rates, a panel a hospital."""
    return framed(
        "Published and simulated: how often b is recorded where a is",
        badge("miniature", f"{co.CASES:,} studies a hospital", f"seed {co.SEED}", "labels only"),
        [_panel(name, series) for name, series in zip(HOSPITALS, SERIES, strict=False)],
        f"Each mark is an ordered pair of labels; the band is {100 * co.BAND:.0f} points to each side. Filled marks "
        f"are compared: the condition has at least {co.MIN_PUBLISHED} published positives and {co.MIN_SIMULATED} "
        f"expected ones in {co.CASES:,} studies. Open marks rest on fewer and are not. "
        + " ".join(map(_told, HOSPITALS)),
        columns=3,
    )


def _panel(name: str, series: tuple[str, str, str]) -> str:
    colour, _, marker = series
    found = pairs()[pairs()["hospital"] == name].dropna()

    def draw(axes: Axes) -> None:
        line = np.array([0.0, 1.0])
        axes.fill_between(line, line - co.BAND, line + co.BAND, color=colour, alpha=0.18, linewidth=0)
        for counts, rows in found.groupby("counts"):
            look = {"facecolor": colour, "linewidth": 0} if counts else {"facecolor": "none", "linewidth": 0.7}
            sns.scatterplot(rows, x="published", y="simulated", marker=marker, s=11, edgecolor=colour, ax=axes, **look)

    return panel(f"Hospital {name}: {HOSPITALS[name].convention}", draw, _told(name), (2.8, 2.9), xlim=(-0.03, 1.03),
                 ylim=(-0.03, 1.03), aspect="equal")  # fmt: skip


def _told(name: str) -> str:
    held = pairs().query("hospital == @name and counts")
    off = held["off"].abs()
    worst, outside = held.iloc[int(off.to_numpy().argmax())], int((off > co.BAND).sum())
    return (
        f"At {name}, {len(held) - outside} of {len(held)} compared pairs lie within {100 * co.BAND:.0f} points, half "
        f"of them within {100 * off.median():.1f}; the farthest is {worst['finding']} where {worst['given']} is "
        f"recorded, {worst['simulated']:.1%} for {worst['published']:.1%}."
    )


def label_noise() -> Html:
    """How often text mining is right, and how much of what is visible it finds."""
    rows = [
        {
            "Finding": "Lung Opacity (as Infiltration)" if name == "Lung Opacity" else name,
            "Source": "assumed" if mining.assumed else "published",
            "Right among labels": f"{mining.ppv:.0%}",
            "Found among images": f"{mining.sensitivity:.0%}",
        }
        for name, mining in MINING.items()
    ]
    return frame_table(pd.DataFrame(rows), "Label noise of text mining", dense=True)


def projections(cases: int = 4000) -> Html:
    """P(AP | finding drawn) at each hospital: as published odds have it, and simulated."""
    rows = [{"Finding": name} for name in (*DRAWN, "all studies")]
    for hospital, place in HOSPITALS.items():
        aims = co.projection(hospital)
        sampled = [findings_of(co.SEED, index, hospital) for index in range(cases)]
        chance = np.array([leaning(place, sickness).ap for _, sickness in sampled])
        for row, name in zip(rows, DRAWN, strict=False):
            has = np.array([name in names for names, _ in sampled])
            row[f"{hospital}: published"] = f"{aims[name]:.0%}"
            row[f"{hospital}: simulated"] = f"{chance[has].mean():.0%}"
        rows[-1] |= {f"{hospital}: published": "–", f"{hospital}: simulated": f"{chance.mean():.0%}"}
    return frame_table(pd.DataFrame(rows), "Share of AP images among images that show a finding", dense=True)
