"""Films, labels or patients: what the change from fine-tuning to reinforcement is lost to elsewhere."""

from collections.abc import Mapping
from functools import cache

from chexreason.experiments import analysis
from chexreason.experiments.analysis import FACTORS, OWN, Cell, Key
from chexreason.experiments.worlds import YARDSTICKS
from chexreason.report.experiments.answers import HARD, NUANCED, SFT, answers, behind, facts, have, missing, model
from chexreason.report.experiments.intervals import Line, counted, framed, panel, spoken
from chexreason.report.theme import Html, Prose, block, decimal, escape, scrolling, signed
from chexreason.stats import Interval

REWARDS = {HARD: "hard reward", NUANCED: "nuanced reward"}
YARDSTICK_NAMES = {
    "report": "labels as A mines them", "radiologist": "labels as B reads them", "text-mined": "labels as C mines them",
    "visible": "what was drawn",
}  # fmt: skip


@cache
def _shares(arm: str, checkpoint: str, there: str) -> dict[str, Interval]:
    weights = analysis.shares(model(arm, checkpoint), model(SFT), there)
    return {name: analysis.contrast(answers(), one) for name, one in weights.items()}


def split(checkpoint: str = "best") -> Html:
    """The main figure: the difference of changes at B and at C, and the part of each factor."""
    models = [model(arm, checkpoint) for arm in REWARDS]
    if not have(*models, model(SFT)):
        return missing("both rewards")
    panels = []
    for there in "BC":
        lines = []
        for series, (arm, title) in enumerate(REWARDS.items()):
            found = _shares(arm, checkpoint, there)
            lines += [Line(f"{title}: {name}", found[name], series) for name in FACTORS]
            lines += [Line(f"{title}: all three", found["all"], series)]
        panels.append(panel(f"Hospital {there} against hospital A", lines, "difference of changes in macro-F1"))
    return framed(
        "What a gain at A is worth elsewhere",
        facts(*models, model(SFT)),
        panels,
        "Left of the line: reinforcement changed the score less there than at home. The last row of each reward is "
        "the whole difference, the three above it add up to it. A bar across the line cannot be told from nothing."
        + counted(len(panels) * len(REWARDS) * (len(FACTORS) + 1)),
        behind=behind(*models, model(SFT)),
    )


def home(arm: str, checkpoint: str = "best") -> Interval:
    """The change from fine-tuning to an arm at hospital A, with A's own labels."""
    cell = Cell("A", "A", OWN["A"])
    return analysis.contrast(answers(), analysis.change(model(arm, checkpoint), model(SFT), cell))


def finding(checkpoint: str = "best") -> Prose:
    """What was found, in a sentence for each reward."""
    parts = []
    for arm, title in REWARDS.items():
        if not have(model(arm, checkpoint), model(SFT)):
            continue
        gain = home(arm, checkpoint)
        verdict = "changes the score" if gain.excludes_zero else "makes no change that can be told from none"
        text = [f"**{title.capitalize()}.** At hospital A, reinforcement {verdict}: {spoken(gain)}."]
        if not gain.excludes_zero:
            text.append(
                "With nothing gained at home there is nothing to lose elsewhere: the parts below bound what these "
                "runs could have hidden, and say no more."
            )
        for there in "BC":
            found = _shares(arm, checkpoint, there)
            told = [name for name in FACTORS if found[name].excludes_zero]
            largest = max(FACTORS, key=lambda name: abs(found[name].estimate))
            text.append(
                f"At hospital {there} the change differs from that by {spoken(found['all'])}; the largest part is that "
                f"of the {largest}, {spoken(found[largest])}"
                + (f", and what can be told from zero is the part of the {' and the '.join(told)}." if told
                   else ", and none of the three parts can be told from zero.")
            )  # fmt: skip
        parts.append(" ".join(text))
    if parts and have(model(SFT), model("base")):
        parts.append(_before(analysis.change(model(SFT), model("base"), Cell("A", "A", OWN["A"]))))
    return Prose("\n\n".join(parts) or "*Not run yet.*")


def _before(weights: Mapping[Key, float]) -> str:
    """What fine-tuning itself did, which reinforcement starts from."""
    found = analysis.contrast(answers(), weights)
    verdict = "changes the score" if found.excludes_zero else "makes no change that can be told from none"
    return f"**Before it.** At hospital A, fine-tuning {verdict}, against the base model: {spoken(found)}."


def verdict() -> str | None:
    """The primary outcome in a line; None without its runs."""
    if not have(model(HARD), model(SFT)):
        return None
    gain = home(HARD)
    text = [f"at home {spoken(gain)}" + ("" if gain.excludes_zero else ", not to be told from none")]
    for there in "BC":
        found = _shares(HARD, "best", there)
        told = [name for name in FACTORS if found[name].excludes_zero]
        parts = " and ".join(f"{name} {signed(found[name].estimate)}" for name in told)
        text.append(f"at {there} {spoken(found['all'])} against that: {parts or 'no part to be told from none'}")
    return "; ".join(text)


def yardsticks(checkpoint: str = "best") -> Html:
    """The change at each hospital's films, for A's patients, held against each convention and the truth."""
    models = [model(arm, checkpoint) for arm in REWARDS]
    if not have(*models, model(SFT)):
        return missing("both rewards")
    panels = []
    for film in "ABC":
        lines = [
            Line(
                f"{title}: {YARDSTICK_NAMES[yardstick]}",
                analysis.contrast(
                    answers(), analysis.change(model(arm, checkpoint), model(SFT), Cell("A", film, yardstick))
                ),
                series,
            )
            for series, (arm, title) in enumerate(REWARDS.items())
            for yardstick in YARDSTICKS
        ]
        panels.append(panel(f"filmed at {film}", lines, "change in macro-F1"))
    return framed(
        "The same answers, four yardsticks",
        facts(*models, model(SFT)),
        panels,
        "Patients of A, filmed at each hospital; from fine-tuning to reinforcement. If a model learns a convention, "
        "the rows of that convention move and those of what was drawn do not."
        + counted(len(panels) * len(REWARDS) * len(YARDSTICKS)),
        behind=behind(*models, model(SFT)),
    )


def levels() -> Html:
    """The scores themselves: four models, films by yardsticks, patients of A."""
    shown = {"base": model("base"), "fine-tuned": model(SFT), "GRPO, hard": model(HARD),
             "GRPO, nuanced": model(NUANCED)}  # fmt: skip
    if not have(*shown.values()):
        return missing("all four models")
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in shown)
    rows = []
    for film in "ABC":
        for yardstick in YARDSTICKS:
            cell = Cell("A", film, yardstick)
            found = [analysis.contrast(answers(), {Key(name, cell): 1.0}) for name in shown.values()]
            values = "".join(
                f"<td>{decimal(v.estimate)}<br><small>{decimal(v.low)} to {decimal(v.high)}</small></td>" for v in found
            )
            title = f"films of {film}<br><small>{YARDSTICK_NAMES[yardstick]}</small>"
            rows.append(f'<tr><th scope="row" class="cxr-left">{title}</th>{values}</tr>')
    top = f"<thead><tr><th scope='col' class='cxr-left'>cell</th>{head}</tr></thead>"
    table = scrolling(f"<table>{top}<tbody>{''.join(rows)}</tbody></table>", "Macro-F1 of four models in twelve cells")
    note = f'<p class="cxr-note">{escape(counted(len(rows) * len(shown)).strip())}</p>'
    return block(f'<div class="cxr-head">{facts(*shown.values())}</div>{table}{note}{behind(*shown.values())}')
