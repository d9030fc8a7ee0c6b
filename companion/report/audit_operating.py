"""Pictures of how many labels each model names, of what that alone does to macro-F1, and of whom ChexReason is like.

The left half of the first is the paper's (`audit.operating`), the right half ours: a reader of drawn images that is
never changed while its cut is moved (`benchmarks/operating_point.py`). Each half has its own badge.
"""

import functools
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from chexreason import config
from chexreason.errors import UserError
from chexreason.labels import LABEL_SETS
from companion.evidence import frames
from companion.evidence.audit import facts, matched, operating
from companion.evidence.audit.arithmetic import Range
from companion.evidence.comparable import ENOUGH
from companion.evidence.stats import Interval
from companion.evidence.tables import TABLES, title_of
from companion.report.audit_figures import BLUE, GREEN, ORANGE, PINK, panel, picture, provenance, rows
from companion.report.theme import INK, Html, Prose, decimal, signed

RESULT = config.RESULTS / "phantoms" / "operating_point.csv"
#: Colour and marker of what was done to a row's model, and of each hospital; a hospital also has a dash.
STAGE_LOOKS = {
    operating.UNTOUCHED: (BLUE, "o"),
    operating.TUNED: (ORANGE, "s"),
    operating.GENERAL: (PINK, "D"),
    operating.REINFORCED: (GREEN, "^"),
}
HOSPITAL_LOOKS = {
    "A": (INK, "solid", "v", "chexpert14"), "B": (BLUE, "dashed", "o", "chexpert14"),
    "C": (ORANGE, "dashdot", "s", "nih9"),
}  # fmt: skip
#: The rows of the paper's argument: the fine-tuned start of GRPO, and the checkpoint that it calls best.
START, END = (2, "free_reasoning"), (4, "hard_best")
TITLE = "Fewer labels are named after SFT, more again after GRPO; and what naming alone does to macro-F1"
#: The rule by which the probe's cut is set, and the other that was tried, as the table names them.
OWN, ONE = "odds against the label's own", "one probability for all labels"


@dataclass(frozen=True)
class Moved:
    """What naming more labels does to the fixed reader's macro-F1 at a hospital: from the first cut to the second."""

    before: float
    after: float
    change: Interval


@functools.cache
def probe() -> pd.DataFrame:
    """The table of the fixed reader. Raises UserError where it was not measured."""
    if not RESULT.is_file():
        raise UserError(str(RESULT), "no such file", "run `python benchmarks/operating_point.py`")
    return pd.read_csv(RESULT)


def moved(hospital: str, labels: str, rule: str = OWN) -> Moved:
    """The fixed reader's macro-F1 with as many labels named as the paper's SFT and as its GRPO name."""
    found = probe().query("hospital == @hospital and labels == @labels and rule == @rule")
    rows = {row["named_at_a"]: row for row in found.to_dict("records")}
    start, end = (rows[round(_ratio(row), 2)] for row in (START, END))
    return Moved(start["macro_f1"], end["macro_f1"], Interval(end["change"], end["change_low"], end["change_high"]))


def _ratio(row: tuple[int, str]) -> float:
    found = operating.named(*row)
    if found is None:
        raise ValueError(f"expected a row with P and R, got {row}")
    return found.ratio


def named_labels() -> Html:
    """Labels named per label recorded of each row of Tables 1 to 4, and what naming alone does to a fixed reader."""
    values = probe()
    seeds = f"{values['train_seeds'].iloc[0]}, {values['test_seed'].min()} to {values['test_seed'].max()}"
    n, draws = int(values["n"].iloc[0]), int(values["draws"].iloc[0])
    ours = ("miniature", "drawn images", f"n = {n} a hospital", f"{draws} readers", f"seeds {seeds}")
    found = frames.PARTS["named"].frame
    names = found["row"].str.replace("Reasoning ", "").str.replace(" (baseline)", "")
    ratios = pd.DataFrame({stage: found.iloc[:, 3].where(found["stage"] == stage) for stage in STAGE_LOOKS})
    drawn = rows("The paper, validation", ratios.set_axis(names), "labels named per label recorded", height=4.0,
                 looks=STAGE_LOOKS, marks=[("", "solid", INK, 1.0)], xlim=(0.4, 1.5))  # fmt: skip
    moving = panel("One reader, only its cut moved", _curves, 4.0, 3, xlabel="labels named per label recorded, at A",
                   ylabel="macro-F1")  # fmt: skip
    return picture(TITLE, [(drawn, ("published", *provenance())), (moving, ours)], _said(), "operating")


def _said() -> str:
    seen = operating.on_validation()
    gain, loss = (matched.waterfall(table, "medgemma_sft", "chexreason").change for table in (5, 6))
    near, far = moved("B", "chexpert14"), moved("C", "nih9")
    other = moved("B", "chexpert14", ONE).change.estimate, moved("C", "nih9", ONE).change.estimate
    return (
        "In the paper (micro recall over micro precision, as printed) the untouched model names "
        f"{_range(seen['medgemma'])} labels for each one recorded, after SFT on Free Reasoning "
        f"{decimal(seen['medgemma_sft'].middle, 2)}, after GRPO {_range(seen['chexreason'])}; for "
        f"{operating.unknown_rows()} prompts of Table 1 it cannot be told. An answer that could not be read may count "
        "as naming nothing; the text that we have does not say. The other panel is a reader of drawn images, trained "
        "at hospital A and never changed: only the cut on its odds, from which it names a label, is moved. Dotted: the "
        "paper's SFT and its best GRPO checkpoint. From one to the other its macro-F1 goes at B from "
        f"{decimal(near.before)} to {decimal(near.after)} ({_interval(near.change)}) and at C from "
        f"{decimal(far.before)} to {decimal(far.after)} ({_interval(far.change)}); in the paper by {signed(gain)} on "
        f"CheXpert and {signed(loss)} on NIH. With one cut on probability for all labels it is {signed(other[0])} and "
        f"{signed(other[1])}. {verdict(near.change, far.change, gain)} Bars: 95 % intervals over patients and training "
        f"images; averages over the findings with at least {ENOUGH} positives, {_counted('B', 'chexpert14')} of "
        f"fourteen at B and {_counted('C', 'nih9')} of nine at C."
    )


def _counted(hospital: str, labels: str) -> int:
    return int(probe().query("hospital == @hospital and labels == @labels")["findings"].iloc[0])


def verdict(near: Interval, far: Interval, gain: float) -> str:
    """What the probe says of the paper's gain near home and loss far away, and what it cannot say."""
    if near.low <= 0:
        made = "On these images naming more makes no gain at B that can be distinguished from zero"
    elif near.estimate >= gain:
        made = "So, on these images, naming more is enough for a gain as large as the paper's on CheXpert"
    else:
        made = "So, on these images, naming more is enough for part of a gain such as the paper's on CheXpert"
    lost = "it makes a loss at C, too" if far.high < 0 else "it makes no loss such as the paper's on NIH"
    return (
        f"{made}; {lost}. Macro-F1 alone cannot tell naming more from seeing more. Which of the two the paper's gain "
        "is, Table 5, without P and R, does not show."
    )


def _range(one: Range) -> str:
    return f"{decimal(one.low, 2)} to {decimal(one.high, 2)}"


def _interval(one: Interval) -> str:
    return f"{signed(one.estimate)}, 95 % CI {signed(one.low)} to {signed(one.high)}"


def _curves(axes: Axes) -> str:
    said = []
    for hospital, (colour, dash, marker, labels) in HOSPITAL_LOOKS.items():
        part = probe().query("hospital == @hospital and labels == @labels and rule == @OWN")
        y = part["macro_f1"]
        axes.errorbar(part["named_at_a"], y, [y - part["macro_f1_low"], part["macro_f1_high"] - y], color=colour,
                      linestyle=dash, marker=marker, markersize=5, linewidth=1.8, elinewidth=1, capsize=2,
                      label=f"{hospital}, {len(LABEL_SETS[labels])} labels")  # fmt: skip
        points = ", ".join(
            f"{x:g}: {decimal(f)} ({decimal(low)} to {decimal(high)})"
            for x, f, low, high in zip(part["named_at_a"], y, part["macro_f1_low"], part["macro_f1_high"], strict=True)
        )
        said.append(f"Hospital {hospital}, {points}")
    for row in (START, END):
        axes.axvline(_ratio(row), color=INK, linestyle="dotted", linewidth=1.2)
        axes.annotate(decimal(_ratio(row), 2), (_ratio(row), 0), (2, 4), xycoords=("data", "axes fraction"),
                      textcoords="offset points", fontsize=7.5)  # fmt: skip
    axes.set_ylim(bottom=0)
    return f"Macro-F1 by labels named per label recorded at A. {'; '.join(said)}."


def named_said() -> Prose:
    """What the printed P and R say beyond F1, and how many labels there are to name."""
    start, end = (
        [
            facts.value(table, row, average, metric)
            for average in ("micro", "macro")
            for metric in ("precision", "recall")
        ]
        for table, row in (START, END)
    )
    rows = {row: operating.named(3, row) for row, column, _ in facts.cells(3) if column == "macro"}
    ratios = {row: one.ratio for row, one in rows.items() if one is not None}
    macro = {row: facts.value(3, row, "macro") for row in ratios}
    best = max(macro, key=macro.__getitem__)
    same = sorted(ratios, key=ratios.__getitem__) == sorted(macro, key=macro.__getitem__)
    order = ", and the four formats stand in the same order by labels named as by macro-F1" if same else ""
    there = operating.densities()
    mimic, chexpert, nih = there["mimic"], there["chexpert"], there["nih"]
    return Prose(
        "Section 4.1 says that its prompts differ in recall rather than precision; of training the text speaks of F1 "
        f"alone. From SFT to the best GRPO checkpoint micro precision goes from {decimal(start[0])} to "
        f"{decimal(end[0])} and micro recall from {decimal(start[1])} to {decimal(end[1])}, macro precision from "
        f"{decimal(start[2])} to {decimal(end[2])} and macro recall from {decimal(start[3])} to {decimal(end[3])}: "
        "fewer of the labels named are right, and more of those recorded are named. In Table 3 the best macro-F1, that "
        f"of {title_of(TABLES[3], best)}, belongs to the row that names "
        f"{decimal(ratios[best] / ratios['only_label'], 1)} times as many labels as Only Label{order}. How many labels "
        f"there are to name depends on the place: of the fourteen, {decimal(mimic.all_labels, 2)} a study in MIMIC's "
        f"reports and {decimal(chexpert.all_labels, 2)} by CheXpert's readers; of the nine of Table 6, "
        f"{decimal(mimic.shared, 2)}, {decimal(chexpert.shared, 2)} and, in NIH's test list, {decimal(nih.shared, 2)}. "
        "A ratio on validation therefore does not carry over to a test set, and Tables 5 and 6 print neither P nor R. "
        "The reader of drawn images was thought of after the paper's tables had been read, and drawn images are no "
        "patients: it shows what is possible, not what happened."
    )


def alike() -> Html:
    """F1 of each finding, ChexReason's against the untouched MedGemma's and against that of its SFT start."""
    parts, panels = [], []
    for table, place, title, top in ((5, "CheXpert", "CheXpert test", 0.9), (6, "NIH", "NIH", 0.6)):
        base, start = (matched.likeness(table, other) for other in ("medgemma", "medgemma_sft"))
        panels.append(panel(
            title, functools.partial(_profile, base, start), 3.6, xlabel="F1 of the other model",
            ylabel="F1 of ChexReason", xlim=(-0.03, top), ylim=(-0.03, top), aspect="equal",
        ))  # fmt: skip
        parts.append(
            f"On {place}, over {len(base.points)} findings, ChexReason's F1 lie {decimal(base.apart)} from the "
            f"untouched MedGemma's on average ({_correlation(base)}) and {decimal(start.apart)} from those of its SFT "
            f"start ({_correlation(start)})."
        )
    caption = (
        f"A point is a finding; on the line both models have the same F1. {' '.join(parts)} The paper says of the "
        "averages that GRPO recovers what SFT lost; here the findings are compared, one by one. This was looked at "
        "after the fact (post hoc). The intervals of r are Fisher's, as if the findings were a random sample, which "
        "they are not; the start and the end are two checkpoints of one training, so whether another training would "
        "return likewise is not known, nor does this say why it did."
    )
    return picture("Whose profile does ChexReason have?", panels, caption, "likeness", "post hoc", "F1 by finding")


def _correlation(one: matched.Likeness) -> str:
    low = decimal(one.low).replace("-", "−")
    return f"r = {decimal(one.r)}, 95 % CI {low} to {decimal(one.high)}"


def _profile(base: matched.Likeness, start: matched.Likeness, axes: Axes) -> str:
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8)
    said = []
    for one, name, colour, marker, fill in ((base, "untouched MedGemma", BLUE, "o", BLUE),
                                            (start, "its SFT start", ORANGE, "s", "none")):  # fmt: skip
        _, x, y = zip(*one.points, strict=True)
        axes.plot(x, y, marker, color=colour, markersize=5, markerfacecolor=fill, label=f"against {name}")
        points = "; ".join(f"{finding} {decimal(x)} and {decimal(y)}" for finding, x, y in one.points)
        said.append(f"ChexReason against {name}: {points}")
    return f"{'. '.join(said)}."
