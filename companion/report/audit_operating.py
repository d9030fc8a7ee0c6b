"""Pictures of how many labels each model names, of what that alone does to macro-F1, and of whom ChexReason is like.

The left half of the first is the paper's (`audit.operating`), the right half ours: a reader of drawn images that is
never changed while its cut is moved (`benchmarks/operating_point.py`). Each half has its own badge.
"""

import functools
from dataclasses import dataclass

import pandas as pd

from chexreason import config
from chexreason.labels import LABEL_SETS
from companion.evidence import frames
from companion.evidence.audit import facts, matched, operating
from companion.evidence.stats import Interval
from companion.evidence.tables import MODELS
from companion.report.audit_figures import picture, provenance, with_badge
from companion.report.audit_sure import row_names
from companion.report.plots import framed, intervals
from companion.report.theme import Html

RESULT = config.RESULTS / "phantoms" / "operating_point.csv"
#: Each hospital's label set.
LABELS = {"A": "chexpert14", "B": "chexpert14", "C": "nih9"}
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
    findings: int


@functools.cache
def probe() -> pd.DataFrame:
    """The table of the fixed reader, with each hospital's own labels."""
    values = pd.read_csv(RESULT)
    return values[values["labels"] == values["hospital"].map(LABELS)]


def moved(hospital: str, rule: str = OWN) -> Moved:
    """The fixed reader's macro-F1 with as many labels named as the paper's SFT and as its GRPO name."""
    rows = probe().query("hospital == @hospital and rule == @rule").to_dict("records")
    at = {row["named_at_a"]: row for row in rows}
    start, end = (at[round(ratio(*row), 2)] for row in (START, END))
    change = Interval(end["change"], end["change_low"], end["change_high"])
    return Moved(start["macro_f1"], end["macro_f1"], change, int(end["findings"]))


def ratio(table: int, row: str) -> float:
    """Labels named per label recorded of a row whose precision and recall are printed."""
    found = operating.named(table, row)
    assert found is not None, f"Table {table} or the text has precision and recall of {row}"
    return found.ratio


def named_labels() -> Html:
    """Labels named per label recorded of each row of Tables 1 to 4, and what naming alone does to a fixed reader."""
    found, values = frames.PARTS["named"].frame, probe()
    ratios = found.assign(row=row_names(found)).pivot(index="row", columns="stage", values=found.columns[3])
    ratios = ratios.reindex(index=row_names(found), columns=list(operating.STAGES.values()))
    drawn = intervals("The paper, validation", ratios.to_dict(), "labels named per label recorded", line=1.0,
                      xlim=(0.4, 1.5))  # fmt: skip
    papers = {round(ratio(*START), 2): " (the paper's SFT)", round(ratio(*END), 2): " (its best GRPO)"}
    by_hospital = {
        f"{hospital}, {len(LABEL_SETS[labels])} labels": {
            f"{one['named_at_a']:.2f}{papers.get(one['named_at_a'], '')}":
                Interval(one["macro_f1"], one["macro_f1_low"], one["macro_f1_high"])
            for one in values.query("hospital == @hospital and rule == @OWN").to_dict("records")
        }
        for hospital, labels in LABELS.items()
    }  # fmt: skip
    moving = intervals("One reader, only its cut moved", by_hospital, "macro-F1", line=None, xlim=(0, None),
                       ylabel="labels named per label recorded, at A")  # fmt: skip
    one = values.iloc[0]
    seeds = f"{one['train_seeds']}, {values['test_seed'].min()} to {values['test_seed'].max()}"
    ours = ("drawn images", f"n = {one['n']} a hospital", f"{one['draws']} readers", f"seeds {seeds}")
    panels = [with_badge(drawn, "published", *provenance()), with_badge(moving, "miniature", *ours)]
    return framed(TITLE, "", panels, anchor="evidence-operating")


def alike() -> Html:
    """F1 of each finding: ChexReason's beside the untouched MedGemma's and that of its SFT start."""
    models = ("medgemma", "medgemma_sft", "chexreason")
    panels = []
    for table, title in ((5, "CheXpert test"), (6, "NIH")):
        names = [finding for finding, _, _ in matched.likeness(table, "medgemma").points]
        f1 = {MODELS[model]: {name: facts.value(table, name, model) for name in names} for model in models}
        panels.append(intervals(title, f1, "F1", line=None))
    return picture("Whose profile does ChexReason have?", panels, "likeness", "post hoc", "F1 by finding")
