"""Every number that the paper's text, abstract and conclusion state about results, located and recomputed.

A number is either a cell of a table said again, or follows from cells by an operation, or stands alone
with nothing in the paper to hold it against. The last kind is listed too: a number that cannot be checked
is not a number that agrees. Numbers of section 3.2 are settings; `chexreason settings` lists them with
their section, and a setting that another section repeats is held against it. A number that is said in several places
counts once in each.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chexreason import prompts
from chexreason.recipe import Sizes
from companion.evidence.audit import facts
from companion.evidence.audit.arithmetic import Check, check
from companion.evidence.audit.printed import ALONE, Range, exactly, printed
from companion.evidence.tables import MODELS, TABLES


@dataclass(frozen=True)
class Statement:
    """A number of the text: where, what it says, as printed, and how it follows from the tables."""

    places: str  # separated by semicolons
    says: str
    printed: str
    follows: Callable[[], Range] | None  # None: from nothing that is printed
    note: str = ""


def cell(table: int, row: str, column: str, metric: str = "f1") -> Range:
    """A printed cell as a range."""
    return printed(facts.cells(table)[row, column, metric])


def _again(places: str, says: str, text: str, *key: int | str) -> Statement:
    """A cell said again."""
    return Statement(places, says, text, lambda: cell(*key))  # type: ignore[arg-type]


def _row(places: str, table: int, row: str, who: str, micro: str, macro: str) -> list[Statement]:
    values = {"micro": micro, "macro": macro}
    return [_again(places, f"{name}-F1 of {who}", text, table, row, name) for name, text in values.items() if text]


def _macro(places: str, table: int, model: str, text: str, who: str = "") -> Statement:
    where = "CheXpert" if table == 5 else "NIH"
    return _again(places, f"macro-F1 of {who or MODELS[model]} on {where}", text, table, "macro", model)


def _change(places: str, says: str, text: str, first: tuple[int, str], second: tuple[int, str]) -> Statement:
    """Relative change of the macro-F1 from one (table, model) to another; a fall is stated without its sign."""

    def follows() -> Range:
        share = cell(second[0], "macro", second[1]) / cell(first[0], "macro", first[1])
        return exactly(1) - share if says.startswith("fall") else share - exactly(1)

    return Statement(places, says, text, follows, "fourteen findings against nine" if first[0] != second[0] else "")


def _fail(places: str, says: str, text: str, table: int, row: str) -> Statement:
    return _again(places, says, text, table, row, "all", "failure_rate")


def _count(places: str, says: str, text: str, number: Callable[[], int], note: str = "") -> Statement:
    return Statement(places, says, text, lambda: exactly(number()), note)


def _alone(places: str, says: str, text: str, note: str) -> Statement:
    return Statement(places, says, text, None, note)


def _rows(table: int) -> int:
    return len({row for row, _, _ in facts.cells(table)})


#: Size of each base model by its name: NV-Reason-CXR-3B, MedGemma-4B, Qwen2.5-VL-3B.
BILLIONS: tuple[int, ...] = (3, 4, 3)
UNTOLD = "no operand is in the text we have"
PICTURE = "a setting of the drawing; the paper gives the figure as a picture"
RECALLS = "Table 1 has no column of recall"
NAMES = "the models' names"
#: Prompts of Table 1 whose recall section 4.1 gives.
STATED_RECALL: dict[str, str] = {
    "reasoning_narrative": "0.599", "reasoning_self_check": "0.558", "reasoning_a": "0.504",
}  # fmt: skip

STATEMENTS: tuple[Statement, ...] = (
    _count("abstract; section 1; section 3.2.1; section 5", "studies for SFT", "2,000", lambda: Sizes.sft,
           "section 3.2.1"),
    _count("abstract; section 1; section 3.2.2; section 5", "studies for GRPO", "1,000", lambda: Sizes.rl,
           "section 3.2.2"),
    _alone("abstract; section 1; section 5", "A100 GPU", "1",
           "not in 3.2.1 and 3.2.2; what comes before is not in the text we have"),
    _change("abstract; section 1; section 4.3; section 5", "rise on CheXpert from SFT to ChexReason", "23%",
            (5, "medgemma_sft"), (5, "chexreason")),
    _change("section 4.3 (again)", "rise on CheXpert from SFT to ChexReason", "+23%",
            (5, "medgemma_sft"), (5, "chexreason")),
    _change("abstract; section 1; section 4.3; section 5", "fall on NIH from SFT to ChexReason", "19%",
            (6, "medgemma_sft"), (6, "chexreason")),
    _alone("section 1", "times less training data than NV-Reason", "50", UNTOLD),
    _alone("section 1", "times less compute than NV-Reason", "4", UNTOLD),
    _count("section 1", "primary contributions", "3", lambda: 4, "four bullets follow"),
    _count("section 3.2.1; section 4.2; section 5", "models fine-tuned", "2",
           lambda: sum(table.section == "4.2" for table in TABLES.values()), "Tables 2 and 3, one each"),
    _count("section 3.2.2", "reward functions", "2",
           lambda: len({row.partition("_")[0] for row, _, _ in facts.cells(4)})),
    _count("section 3.2.2", "valid CheXpert labels", "14", lambda: _rows(5) - 1),
    _count("section 4.1", "prompt variants", "9", lambda: _rows(1)),
    _count("section 4.1; Table 1, its list of cues; section 4.2; section 5", "steps of Reasoning A", "12",
           lambda: len(prompts.CHECKLIST), "our prompt was written to that number"),
    *_row("section 4.1", 1, "reasoning_narrative", "Reasoning Narrative", "0.524", "0.270"),
    *_row("section 4.1", 1, "reasoning_self_check", "Reasoning Self-Check", "0.514", "0.253"),
    *_row("section 4.1", 1, "reasoning_a", "Reasoning A", "0.498", "0.245"),
    *(_alone("section 4.1", f"recall of {prompts.PROMPTS[row].title}", text, RECALLS)
      for row, text in STATED_RECALL.items()),
    _fail("section 4.1", "failure rate of Reasoning C", "0.482", 1, "reasoning_c"),
    _fail("section 4.1", "failure rate of Reasoning F", "0.180", 1, "reasoning_f"),
    Statement("section 4.1", "gain of Reasoning Narrative over Reasoning A, micro-F1", "+0.026",
              lambda: cell(1, "reasoning_narrative", "micro") - cell(1, "reasoning_a", "micro")),
    Statement("section 4.1", "gain of Reasoning Self-Check over Reasoning A, micro-F1", "+0.016",
              lambda: cell(1, "reasoning_self_check", "micro") - cell(1, "reasoning_a", "micro")),
    _count("section 4.2", "instruction formats", "4", lambda: _rows(2)),
    _count("Figure 1, caption", "fine-tuning variants", "4", lambda: _rows(2)),
    *_row("section 4.2", 2, "only_label", "Only Label, MedGemma", "0.461", ""),
    *_row("section 4.2", 2, "free_reasoning", "Free Reasoning, MedGemma", "", "0.253"),
    *_row("section 4.2", 2, "reasoning_a", "Reasoning A, MedGemma", "0.293", "0.139"),
    *_row("section 4.2", 3, "reasoning_a", "Reasoning A, Qwen2.5-VL", "0.371", "0.208"),
    *_row("section 4.2", 3, "only_label", "Only Label, Qwen2.5-VL", "0.249", "0.080"),
    *_row("section 4.2", 3, "free_reasoning", "Free Reasoning, Qwen2.5-VL", "0.200", "0.131"),
    _fail("section 4.2", "failure rate of Reasoning Narrative, Qwen2.5-VL", "17%", 3, "reasoning_narrative"),
    _fail("section 4.2", "format violations of Only Label, MedGemma", "0.000", 2, "only_label"),
    _fail("section 4.2", "format violations of Only Label, Qwen2.5-VL", "0.000", 3, "only_label"),
    *_row("section 4.3", 4, "hard_best", "the hard reward", "0.391", "0.258"),
    *_row("section 4.3", 4, "nuanced_best", "the nuanced reward", "0.387", "0.257"),
    *_row("section 4.3", 2, "free_reasoning", "the SFT checkpoint", "0.415", "0.253"),
    _macro("abstract; section 4.3; section 4.4; section 5", 5, "chexreason", "0.346"),
    _macro("section 4.3", 5, "medgemma_sft", "0.282"),
    _macro("section 4.3", 5, "medgemma", "0.362"),
    _alone("Figure 2, caption; Figure 3, caption", "smoothing of the average", "0.95", PICTURE),
    *(_again("section 4.3", f"{finding}, {MODELS[model]}, CheXpert", text, 5, finding, model)
      for finding, *texts in (("Cardiomegaly", "0.442", "0.664"), ("Lung Opacity", "0.161", "0.743"),
                              ("Support Devices", "0.728", "0.818"))
      for model, text in zip(("medgemma_sft", "chexreason"), texts, strict=True)),
    _count("section 4.3", "out-of-distribution test sets", "2",
           lambda: len({table.dataset for table in TABLES.values()} - {"mimic"}),
           "a paragraph before, CheXpert is in-distribution"),
    _count("section 4.3", "labels of the CheXpert schema", "14", lambda: _rows(5) - 1),
    _count("section 4.3", "NIH categories that CheXpert has", "9", lambda: _rows(6) - 1, "a tenth was left out"),
    _macro("section 4.3; section 5", 6, "chexreason", "0.243"),
    _macro("section 4.3", 6, "medgemma", "0.243", "MedGemma, said to be matched,"),
    _macro("section 4.3", 6, "medgemma_sft", "0.299"),
    _macro("section 4.4", 5, "nv_reason", "0.755"),
    _count("section 4.4", "billion parameters of the smallest model", "3", lambda: min(BILLIONS), NAMES),
    _count("section 4.4", "billion parameters of the largest model", "4", lambda: max(BILLIONS), NAMES),
    _count("Table 5, caption", "models", "5", lambda: len({name for _, name, _ in facts.cells(5)})),
    _count("Table 6, caption", "models", "5", lambda: len({name for _, name, _ in facts.cells(6)})),
    *(_change("section 4.4", f"fall of {MODELS[model]} from CheXpert to NIH", text, (5, model), (6, model))
      for model, text in (("nv_reason", "61%"), ("chexreason", "30%"), ("medgemma", "33%"))),
    _macro("section 4.4; section 5", 5, "medgemma_sft", "0.282", "the SFT checkpoint, where it is said to start,"),
    _macro("section 4.4; section 5", 6, "medgemma_sft", "0.299", "the SFT checkpoint, where it is said to arrive,"),
    *_row("section 5", 3, "reasoning_a", "Reasoning A, Qwen2.5-VL", "", "0.208"),
    Statement("section 5", "macro-F1 of MedGemma with direct label prediction", "0.253",
              lambda: cell(2, "only_label", "macro"), "Table 2 has this value for Free Reasoning"),
)  # fmt: skip


def text_numbers() -> list[Check]:
    """Every number of the text: agrees, differs by rounding, is an error, or has nothing to check against."""
    found = []
    for one in STATEMENTS:
        for place in one.places.split("; "):
            if one.follows is None:
                possible = printed(one.printed)
                found.append(Check(place, one.says, one.printed, possible.middle, possible, ALONE, one.note))
            else:
                found.append(check(place, one.says, one.printed, one.follows(), one.note))
    return found


def implied_precision(row: str, recall: str) -> Range:
    """Micro precision of a prompt of Table 1 from its micro-F1 and the recall that section 4.1 gives: F R / (2R - F).

    The paper says that the prompts differ "primarily by recall rather than precision", and prints no precision.
    """
    f1, r = cell(1, row, "micro"), printed(recall)
    corners = [f * x / (2 * x - f) for f in (f1.low, f1.high) for x in (r.low, r.high)]
    return Range(min(corners), max(corners))
