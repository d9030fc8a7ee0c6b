"""Every number that the paper's text, abstract and conclusion state about results, located and recomputed.

A number is either a cell of a table said again, or follows from cells by an operation, or stands alone
with nothing in the paper to hold it against. The last kind is listed too: a number that cannot be checked
is not a number that agrees. Numbers of section 3.2 are settings; `chexreason settings` lists them with
their section, and a setting that another section repeats is held against it. What the text says by comparison
(best, weakest, matching) is in `comparisons`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chexreason import prompts
from chexreason.recipe import Sizes
from companion.evidence.audit import facts
from companion.evidence.audit.arithmetic import Check, check
from companion.evidence.audit.printed import ALONE, ERROR, Range, exactly, printed
from companion.evidence.tables import TABLES


@dataclass(frozen=True)
class Statement:
    """A number of the text: where, what it says, as printed, and how it follows from the tables."""

    place: str
    says: str
    printed: str
    follows: Callable[[], Range] | None  # None: from nothing that is printed
    note: str = ""


def cell(table: int, row: str, column: str, metric: str = "f1") -> Range:
    """A printed cell as a range."""
    return printed(facts.cells(table)[row, column, metric])


def _same(table: int, row: str, column: str, metric: str = "f1") -> Callable[[], Range]:
    return lambda: cell(table, row, column, metric)


def _gain(table: int, first: str, second: str) -> Callable[[], Range]:
    """Relative rise of the macro-F1 from one model to another."""
    return lambda: cell(table, "macro", second) / cell(table, "macro", first) - exactly(1)


def _loss(first: tuple[int, str], second: tuple[int, str]) -> Callable[[], Range]:
    """Relative fall of the macro-F1 from one (table, model) to another."""
    return lambda: exactly(1) - cell(second[0], "macro", second[1]) / cell(first[0], "macro", first[1])


def _count(table: int, less: int = 0) -> Callable[[], Range]:
    return lambda: exactly(len({row for row, _, _ in facts.cells(table)}) - less)


def _repeats(place: str, table: int, row: str, who: str, micro: str, macro: str) -> list[Statement]:
    return [
        Statement(place, f"micro-F1 of {who}", micro, _same(table, row, "micro")),
        Statement(place, f"macro-F1 of {who}", macro, _same(table, row, "macro")),
    ]


def _headline(place: str) -> list[Statement]:
    return [
        Statement(place, "rise on CheXpert from SFT to ChexReason", "23%", _gain(5, "medgemma_sft", "chexreason")),
        Statement(place, "fall on NIH from SFT to ChexReason", "19%", _loss((6, "medgemma_sft"), (6, "chexreason"))),
    ]


def _macro(place: str, table: int, model: str, who: str, text: str) -> Statement:
    where = {5: "CheXpert", 6: "NIH"}[table]
    return Statement(place, f"macro-F1 of {who} on {where}", text, _same(table, "macro", model))


def _move(place: str, finding: str, before: str, after: str) -> list[Statement]:
    return [
        Statement(place, f"{finding}, SFT, CheXpert", before, _same(5, finding, "medgemma_sft")),
        Statement(place, f"{finding}, ChexReason, CheXpert", after, _same(5, finding, "chexreason")),
    ]


def _alone(place: str, says: str, text: str, note: str) -> Statement:
    return Statement(place, says, text, None, note)


def _scarce(place: str) -> list[Statement]:
    """What the training took: studies, held against the settings of section 3.2, and one card."""
    return [
        Statement(place, "studies for SFT", "2,000", lambda: exactly(Sizes.sft), "section 3.2.1"),
        Statement(place, "studies for GRPO", "1,000", lambda: exactly(Sizes.rl), "section 3.2.2"),
        _alone(place, "A100 GPU", "1", "not in 3.2.1 and 3.2.2; what comes before is not in the text we have"),
    ]


def _steps(place: str) -> Statement:
    note = "our prompt was written to that number"
    return Statement(place, "steps of Reasoning A", "12", lambda: exactly(len(prompts.CHECKLIST)), note)


def _models_tuned(place: str) -> Statement:
    return Statement(place, "models fine-tuned", "2", lambda: exactly(sum(t.section == "4.2" for t in TABLES.values())),
                     "Tables 2 and 3, one each")  # fmt: skip


def _outside() -> Range:
    """Data sets that a table of results is about and that no training study is from."""
    return exactly(len({one.dataset for one in TABLES.values()} - {"mimic"}))


UNTOLD = "no operand is in the text we have"
PICTURE = "a setting of the drawing; the paper gives the figure as a picture"
RECALLS = "Table 1 has no column of recall"

#: Size of each base model by its name: NV-Reason-CXR-3B, MedGemma-4B, Qwen2.5-VL-3B.
BILLIONS: tuple[int, ...] = (3, 4, 3)
NAMES = "the models' names"

STATEMENTS: tuple[Statement, ...] = (
    *_scarce("abstract"),
    *_headline("abstract"),
    _macro("abstract", 5, "chexreason", "ChexReason", "0.346"),
    *_scarce("section 1"),
    *_headline("section 1"),
    _alone("section 1", "times less training data than NV-Reason", "50", UNTOLD),
    _alone("section 1", "times less compute than NV-Reason", "4", UNTOLD),
    Statement("section 1", "primary contributions", "3", lambda: exactly(4), "four bullets follow"),
    Statement("section 3.2.1", "studies for SFT", "2,000", lambda: exactly(Sizes.sft), "as the abstract says"),
    _models_tuned("section 3.2.1"),
    Statement("section 3.2.2", "studies for GRPO", "1,000", lambda: exactly(Sizes.rl), "as the abstract says"),
    Statement("section 3.2.2", "reward functions", "2", lambda: exactly(len({row.partition("_")[0] for row, _, _ in
              facts.cells(4)}))),
    Statement("section 3.2.2", "valid CheXpert labels", "14", _count(5, less=1)),
    Statement("section 4.1", "prompt variants", "9", _count(1)),
    _steps("section 4.1"),
    _steps("Table 1, its list of cues"),
    *_repeats("section 4.1", 1, "reasoning_narrative", "Reasoning Narrative", "0.524", "0.270"),
    *_repeats("section 4.1", 1, "reasoning_self_check", "Reasoning Self-Check", "0.514", "0.253"),
    *_repeats("section 4.1", 1, "reasoning_a", "Reasoning A", "0.498", "0.245"),
    _alone("section 4.1", "recall of Reasoning Narrative", "0.599", RECALLS),
    _alone("section 4.1", "recall of Reasoning Self-Check", "0.558", RECALLS),
    _alone("section 4.1", "recall of Reasoning A", "0.504", RECALLS),
    Statement("section 4.1", "failure rate of Reasoning C", "0.482", _same(1, "reasoning_c", "all", "failure_rate")),
    Statement("section 4.1", "failure rate of Reasoning F", "0.180", _same(1, "reasoning_f", "all", "failure_rate")),
    Statement("section 4.1", "gain of Reasoning Narrative over Reasoning A, micro-F1", "+0.026",
              lambda: cell(1, "reasoning_narrative", "micro") - cell(1, "reasoning_a", "micro")),
    Statement("section 4.1", "gain of Reasoning Self-Check over Reasoning A, micro-F1", "+0.016",
              lambda: cell(1, "reasoning_self_check", "micro") - cell(1, "reasoning_a", "micro")),
    _models_tuned("section 4.2"),
    Statement("section 4.2", "instruction formats", "4", _count(2)),
    Statement("Figure 1, caption", "fine-tuning variants", "4", _count(2)),
    _steps("section 4.2"),
    Statement("section 4.2", "micro-F1 of Only Label, MedGemma", "0.461", _same(2, "only_label", "micro")),
    Statement("section 4.2", "macro-F1 of Free Reasoning, MedGemma", "0.253", _same(2, "free_reasoning", "macro")),
    *_repeats("section 4.2", 2, "reasoning_a", "Reasoning A, MedGemma", "0.293", "0.139"),
    *_repeats("section 4.2", 3, "reasoning_a", "Reasoning A, Qwen2.5-VL", "0.371", "0.208"),
    *_repeats("section 4.2", 3, "only_label", "Only Label, Qwen2.5-VL", "0.249", "0.080"),
    *_repeats("section 4.2", 3, "free_reasoning", "Free Reasoning, Qwen2.5-VL", "0.200", "0.131"),
    Statement("section 4.2", "failure rate of Reasoning Narrative, Qwen2.5-VL", "17%",
              _same(3, "reasoning_narrative", "all", "failure_rate")),
    Statement("section 4.2", "format violations of Only Label, MedGemma", "0.000",
              _same(2, "only_label", "all", "failure_rate")),
    Statement("section 4.2", "format violations of Only Label, Qwen2.5-VL", "0.000",
              _same(3, "only_label", "all", "failure_rate")),
    *_repeats("section 4.3", 4, "hard_best", "the hard reward", "0.391", "0.258"),
    *_repeats("section 4.3", 4, "nuanced_best", "the nuanced reward", "0.387", "0.257"),
    *_repeats("section 4.3", 2, "free_reasoning", "the SFT checkpoint", "0.415", "0.253"),
    Statement("section 4.3", "rise on CheXpert from SFT to ChexReason", "23%", _gain(5, "medgemma_sft", "chexreason")),
    _macro("section 4.3", 5, "chexreason", "ChexReason", "0.346"),
    _macro("section 4.3", 5, "medgemma_sft", "the SFT checkpoint", "0.282"),
    _macro("section 4.3", 5, "medgemma", "MedGemma", "0.362"),
    _alone("Figure 2, caption", "smoothing of the average", "0.95", PICTURE),
    _alone("Figure 3, caption", "smoothing of the average", "0.95", PICTURE),
    *_move("section 4.3", "Cardiomegaly", "0.442", "0.664"),
    *_move("section 4.3", "Lung Opacity", "0.161", "0.743"),
    *_move("section 4.3", "Support Devices", "0.728", "0.818"),
    Statement("section 4.3", "out-of-distribution test sets", "2", _outside,
              "a paragraph before, CheXpert is in-distribution"),
    Statement("section 4.3 (again)", "rise on CheXpert from SFT to ChexReason", "+23%",
              _gain(5, "medgemma_sft", "chexreason")),
    Statement("section 4.3", "labels of the CheXpert schema", "14", _count(5, less=1)),
    Statement("section 4.3", "NIH categories that CheXpert has", "9", _count(6, less=1), "a tenth was left out"),
    Statement("section 4.3", "fall on NIH from SFT to ChexReason", "19%",
              _loss((6, "medgemma_sft"), (6, "chexreason"))),
    _macro("section 4.3", 6, "chexreason", "ChexReason", "0.243"),
    _macro("section 4.3", 6, "medgemma", "MedGemma, said to be matched,", "0.243"),
    _macro("section 4.3", 6, "medgemma_sft", "the SFT checkpoint", "0.299"),
    _macro("section 4.4", 5, "nv_reason", "NV-Reason", "0.755"),
    Statement("section 4.4", "billion parameters of the smallest model", "3", lambda: exactly(min(BILLIONS)), NAMES),
    Statement("section 4.4", "billion parameters of the largest model", "4", lambda: exactly(max(BILLIONS)), NAMES),
    Statement("Table 5, caption", "models", "5", lambda: exactly(len({name for _, name, _ in facts.cells(5)}))),
    Statement("Table 6, caption", "models", "5", lambda: exactly(len({name for _, name, _ in facts.cells(6)}))),
    _macro("section 4.4", 5, "chexreason", "ChexReason", "0.346"),
    Statement("section 4.4", "fall of NV-Reason from CheXpert to NIH", "61%", _loss((5, "nv_reason"), (6, "nv_reason")),
              "fourteen findings against nine"),
    Statement("section 4.4", "fall of ChexReason from CheXpert to NIH", "30%",
              _loss((5, "chexreason"), (6, "chexreason")), "fourteen findings against nine"),
    Statement("section 4.4", "fall of MedGemma from CheXpert to NIH", "33%", _loss((5, "medgemma"), (6, "medgemma")),
              "fourteen findings against nine"),
    _macro("section 4.4", 5, "medgemma_sft", "the SFT checkpoint, where it is said to start,", "0.282"),
    _macro("section 4.4", 6, "medgemma_sft", "the SFT checkpoint, where it is said to arrive,", "0.299"),
    _models_tuned("section 5"),
    *_scarce("section 5"),
    _steps("section 5"),
    *_headline("section 5"),
    _macro("section 5", 5, "chexreason", "ChexReason", "0.346"),
    _macro("section 5", 6, "chexreason", "ChexReason", "0.243"),
    _macro("section 5", 5, "medgemma_sft", "the SFT checkpoint, where it is said to start,", "0.282"),
    _macro("section 5", 6, "medgemma_sft", "the SFT checkpoint, where it is said to arrive,", "0.299"),
    Statement("section 5", "macro-F1 of Reasoning A, Qwen2.5-VL", "0.208", _same(3, "reasoning_a", "macro")),
    Statement("section 5", "macro-F1 of MedGemma with direct label prediction", "0.253", _same(2, "only_label",
              "macro"),
              "Table 2 has this value for Free Reasoning"),
)  # fmt: skip


def text_numbers() -> list[Check]:
    """Every number of the text: agrees, differs by rounding, is an error, or has nothing to check against."""
    found = []
    for one in STATEMENTS:
        if one.follows is None:
            stands_for = printed(one.printed)
            found.append(
                Check("text", one.place, one.says, one.printed, stands_for.middle, stands_for, ALONE, one.note)
            )
        else:
            found.append(check("text", one.place, one.says, one.printed, one.follows(), one.note))
    return found


def implied_precision(row: str, recall: str) -> Range:
    """Micro precision of a prompt of Table 1 from its micro-F1 and the recall that section 4.1 gives: F R / (2R - F).

    The paper says that the prompts differ "primarily by recall rather than precision", and prints no precision.
    """
    f1, r = cell(1, row, "micro"), printed(recall)

    def precision(f: float, r: float) -> float:
        return f * r / (2 * r - f)

    corners = [precision(f, x) for f in (f1.low, f1.high) for x in (r.low, r.high)]
    return Range(min(corners), max(corners))


#: Prompts of Table 1 whose recall section 4.1 gives.
STATED_RECALL: dict[str, str] = {
    "reasoning_narrative": "0.599", "reasoning_self_check": "0.558", "reasoning_a": "0.504",
}  # fmt: skip


def errors() -> list[Check]:
    """The numbers of the text that no rounding explains."""
    return [one for one in text_numbers() if one.verdict == ERROR]
