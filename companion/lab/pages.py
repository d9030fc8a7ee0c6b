"""What the laboratory's pages begin from: a table that is whole without any script, and the scripts that take over."""

import json
from collections.abc import Sequence

import pandas as pd

from companion.evidence import tables
from companion.lab import groups
from companion.lab import rows as rows_of
from companion.lab import xrays as xrays_
from companion.lab.words import words
from companion.report.frames import frame_table
from companion.report.theme import Html, escape

#: Groups that are shown without a script.
SHOWN = 6
#: Where the scripts lie, as seen from a page of the book's first folder.
PLACE = "_static/lab"


def xrays() -> Html:
    """The X-rays: a row a patient, in words; the page's script shows image, outlines and answers."""
    found = xrays_.data(xrays_.answers(), pictures=False)
    rows = []
    for one in found["patients"]:
        yes = {at: [name for name, state in labels.items() if state == "yes"] for at, labels in one["recorded"].items()}
        rows.append({
            "patient": one["index"], "drawn": ", ".join(one["drawn"]),
            **{f"{at} records": ", ".join(names) or "nothing" for at, names in yes.items()},
            **{f"{title}, at {at}": ", ".join(one["said"][model][at]["labels"]) or "no label"
               for model, title in xrays_.MODELS.items() for at in xrays_.POPULATION},
        })  # fmt: skip
    frame = pd.DataFrame(rows)
    table = frame_table(frame, "All patients in words", wrap=list(frame.columns))
    return _page("xrays", table, ("words", "xrays-data", "twin", "stats", "parts", "xrays"))


def reward() -> Html:
    """Try a reward: the constants of both with their origin, and the first groups as they were rewarded."""
    used = groups.constants()
    constants = pd.DataFrame([
        {"reward": name, "constant": key, "value": about["value"], "here": used[name].get(key, about["value"]),
         "what": about["what"], "origin": about["origin"]}
        for name, held in words()["rewards"].items() for key, about in held.items()
    ])  # fmt: skip
    rows = groups.groups().head(SHOWN * groups.SIZE)
    terms = rows["terms"].map(lambda cell: ", ".join(f"{name} {value:.3f}" for name, value in json.loads(cell).items()))
    said = rows[["truth", "completion"]].assign(terms=terms, advantage=rows["advantage"].map("{:+.4f}".format))
    tables = frame_table(constants, "Constants of both rewards; `here`: of these groups", wrap=["what"])
    tables += frame_table(said, "The first groups of four as equation 3 rewarded them", wrap=list(said.columns))
    return _page("reward", tables, ("words", "reward-data", "twin", "stats", "parts", "reward"))


def game() -> Html:
    """Hack the reward: the levels, each with what a policy has to do and may use."""
    frame = pd.DataFrame(
        [{"level": k, "task": one["task"], "rule": one["rule"]} for k, one in enumerate(groups.LEVELS, 1)]
    )
    table = frame_table(frame, "The levels", wrap=["task", "rule"])
    return _page("game", table, ("game",))  # on a page with `reward`


def again() -> Html:
    """Re-analysis: the runs that can be compared, by cohort."""
    found = rows_of.data(tables.profile())
    for where, held in rows_of.seeds().items():
        found |= {f"{where}, seed {seed}": cohort for seed, cohort in held["seeds"].items()}
    frame = pd.DataFrame([
        {"studies": where, "n": len(held["keys"]), "run": run, "unreadable answers": sum(one["failed"])}
        for where, held in found.items() for run, one in held["runs"].items()
    ])  # fmt: skip
    table = frame_table(frame, "The runs that can be compared")
    return _page("again", table, ("words", "again-data", "twin", "stats", "parts", "again"))


def _page(name: str, whole: Html, scripts: Sequence[str]) -> Html:
    """A part of a page: the table for whoever has no script, folded by the scripts that come behind it."""
    tags = "".join(f'<script defer src="{PLACE}/{escape(script)}.js"></script>' for script in scripts)
    inner = f"<details open><summary>In words, as a table</summary>{whole.text}</details>"
    return Html(f'<div class="lab lab-{escape(name)}">{inner}</div>{tags}')
