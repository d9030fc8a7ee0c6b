"""The front page and the argument on the committed results: each finding holds, its numbers come back by another way,
and none survives values that do not bear it out."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import synthetic_experiment
from chapter import sentences
from sklearn.metrics import f1_score

from chexreason.config import RESULTS
from chexreason.labels import FINDINGS, LABEL_SETS
from companion.evidence import claims
from companion.evidence.analysis import Contrast
from companion.evidence.audit import matched
from companion.evidence.outcomes import CALLED_NORMAL, MACRO, NAMED, NORMAL_CALLED
from companion.evidence.stats import Interval
from companion.experiment import arms
from companion.report import front_page
from companion.report.experiments import answers, cells, collapse, cures, posthoc, scaffold

CONVENTION = {"A": "report", "B": "radiologist", "C": "text-mined"}
NO_FINDING = "No Finding"


#: What is said on the front page, and what in the argument besides.
FRONT = ("same_findings", "beside_radiologists", "no_gain", "untouched")
MAKERS = (*FRONT, "one_finding", "same_word", "patients_needed", "naming", "called_normal", "mitigations", "untestable")


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The argument on the results in the repository."""
    with synthetic_experiment.shown(RESULTS):
        yield sentences("argument")


def told(model: str, hospital: str) -> dict[int, pd.DataFrame]:
    """Seed -> answers to a hospital's own images beside its own labels, read from the committed files."""
    labels = answers.answers().labels  # drawn from the generator: no file holds them
    own = labels[(labels["population"] == hospital) & (labels["reference"] == CONVENTION[hospital])]
    found = {}
    for path in sorted((RESULTS / "experiment").glob(f"seed*/{model}-answers/predictions.csv.gz")):
        rows = pd.read_csv(path, keep_default_na=False)
        rows = rows[(rows["population"] == hospital) & (rows["image"] == hospital)]
        found[int(path.parents[1].name[4:])] = rows.merge(own, on="index", validate="one_to_one")
    return found


def named(column: pd.Series) -> pd.DataFrame:
    return column.str.get_dummies(sep=";").reindex(columns=LABEL_SETS["nih9"], fill_value=0)


def test_each_finding_holds_on_the_committed_results(page) -> None:
    for name, makers in {"index": FRONT, "argument": MAKERS}.items():
        text = (RESULTS.parent / "book" / f"{name}.md").read_text(encoding="utf-8")
        assert {f"{{eval}}`stand(front_page.{maker}())`" in text for maker in makers} == {True}
        assert text.count("{eval}`stand(") == len(makers)
    for shown in (page, sentences("index")):
        assert "No longer borne out" not in shown
        assert "Not run yet" not in shown
    assert f"Of {len([name for name in arms.ARMS if name.startswith('cure-')])} ways to change the training" in page


def part(page: str, begins: str) -> str:
    """What a finding says from its first words on to the way to its chapter, with plain minus signs."""
    assert begins in page
    return page.partition(begins)[2].partition("[More]")[0].replace("−", "-")


def test_the_share_of_abnormal_patients_called_normal_by_counting(page) -> None:
    shown = [
        float(number)
        for number in re.findall(r"([+-]\d\.\d{3}) \(", part(page, "After GRPO more patients are called normal"))
    ]
    counted = []
    for arm in ("grpo-hard", "grpo-nuanced"):
        for hospital in "ABC":
            shares = {}
            for model in (f"{arms.SFT}-best", f"{arm}-last"):
                abnormal = [rows[~rows["positive"].str.contains(NO_FINDING)] for rows in told(model, hospital).values()]
                assert len(abnormal) == 5
                shares[model] = np.mean([rows["predicted"].str.contains(NO_FINDING).mean() for rows in abnormal])
            before, after = shares.values()
            counted.append(after - before)
    assert shown == pytest.approx(counted, abs=0.00051)  # three decimals
    assert min(counted) > 0.05


def test_the_change_of_macro_f1_at_home_by_scikit_learn(page) -> None:
    before, after = (told(model, "A") for model in (f"{arms.SFT}-best", "grpo-hard-best"))
    counts = named(before[0]["positive"]).sum()
    often = list(counts[counts >= 20].index)
    assert len(often) == 5
    changes = [
        np.subtract(*(f1_score(named(rows["positive"])[often], named(rows["predicted"])[often], average="macro",
                               zero_division=0) for rows in (after[seed], before[seed])))
        for seed in range(5)
    ]  # fmt: skip
    said = part(page, "## 6. Five trainings")
    assert f"reward minus SFT is {np.mean(changes):+.3f} (" in said
    assert f"over 5 trainings; single trainings range from {min(changes):+.3f} to {max(changes):+.3f}." in said


def test_labels_named_per_recorded_from_the_printed_tables(page) -> None:
    ratios = {}
    for number, rows in {2: ["free_reasoning"], 4: ["hard_best", "hard_last", "nuanced_best", "nuanced_last"]}.items():
        table = pd.read_csv(RESULTS / "published" / f"table{number}.csv")
        wide = table[table["column"] == "micro"].pivot(index="row", columns="metric", values="value").loc[rows]
        ratios[number] = wide["recall"] / wide["precision"]
    assert f"{ratios[2].item():.2f} after SFT and {ratios[4].min():.2f} to {ratios[4].max():.2f} after GRPO" in page


def test_models_below_every_radiologist_from_the_printed_table(page) -> None:
    table = pd.read_csv(RESULTS / "published" / "table5.csv").query("row == 'macro' and metric == 'f1'")
    lines = pd.read_csv(RESULTS / "published" / "reference_lines.csv")
    lowest = lines.query("dataset == 'chexpert' and line == 'radiologists'")["macro_f1"].min()
    below = table[table["value"] < lowest]
    assert set(table["column"]) - set(below["column"]) == {"nv_reason"}
    assert f"These {len(below)} of {len(table)} reach {below['value'].max():.3f} at most" in page


def contrast(low: float, estimate: float, high: float) -> Contrast:
    return Contrast(estimate, low, high, (), (0, 1, 2), (estimate,) * 3)


GAIN, LOSS = contrast(0.05, 0.1, 0.15), contrast(-0.15, -0.1, -0.05)
#: Nothing that can be distinguished from zero, whatever its sign says.
UP, DOWN = contrast(-0.05, 0.02, 0.09), contrast(-0.09, -0.02, 0.05)
NONE = "SFT scores 0.184, below naming every label (0.2)"
JUDGED = ("grpo-improves-chexpert-nine", "optimised-lose-more")
#: A value that a finding rests on: the finding, where the function lies, its name, which arguments, and the value.
Case = tuple[str, ModuleType, str, tuple[object, ...], object]
BASE, SFT, HARD, HARD_LAST, NUANCED, NUANCED_LAST = (
    "base-best", f"{arms.SFT}-best", "grpo-hard-best", "grpo-hard-last", "grpo-nuanced-best", "grpo-nuanced-last",
)  # fmt: skip


def alike(maker: str, place: ModuleType, what: str, where: list[tuple[object, ...]], *values: object) -> list[Case]:
    return [(maker, place, what, one, value) for one in where for value in values]


def verdict_of(name: str, verdict: str) -> Callable[[dict], dict]:
    return lambda judged: judged | {name: SimpleNamespace(verdict=verdict)}


def at(one: matched.Crossing, far: float) -> matched.Crossing:
    """A model whose average on NIH is `far`."""
    return one._replace(far=far, stated=far / one.near_all - 1, matched=far / one.near - 1)


#: Each condition of each finding, broken alone.
BROKEN: list[Case] = [
    *alike("same_findings", front_page.verdict_table, "judged", [()],
           *(verdict_of(name, claims.HOLDS) for name in JUDGED)),
    ("same_findings", matched, "waterfall", (),
     lambda one: SimpleNamespace(change=one.change, over=lambda _: 0.51 * one.change)),
    *alike("same_findings", matched, "crossings", [()],
           *(lambda falls, name=name, far=far: falls | {name: at(falls[name], far)}
             for name, far in (("chexreason", 0.3), ("medgemma", 0.3), ("chexreason", 0.1)))),
    ("beside_radiologists", front_page.facts, "value", (5, "macro", "nv_reason"), 0.4),
    ("beside_radiologists", front_page.facts, "value", (5, "macro", "medgemma"), 0.7),
    ("one_finding", front_page.matched, "waterfall", (5,), lambda gain: replace(gain, parts=gain.parts[1:])),
    ("one_finding", front_page.sure, "supports_of", (), dict.fromkeys(FINDINGS, 30.0)),
    ("same_word", front_page.conventions, "together", (), lambda pairs: [pairs[0]._replace(reports=0.9)]),
    ("same_word", front_page.conventions, "together", (), lambda pairs: [pairs[0]._replace(radiologists=0.5)]),
    ("patients_needed", front_page.power, "questions", (), lambda asked: [*asked[:1] * 3, *asked[3:]]),
    ("patients_needed", front_page.power, "questions", (), lambda asked: [*asked[2:3] * 3, *asked[3:]]),
    ("naming", front_page, "ratio", (2, "free_reasoning"), 1.0),
    ("naming", front_page, "ratio", (1, "reasoning_a"), 0.99),
    ("naming", front_page, "ratio", (4,), 1.4),
    ("naming", front_page, "ratio", (4, "hard_last"), 0.7),
    ("naming", front_page, "moved", ("B",), SimpleNamespace(change=contrast(0.06, 0.1, 0.12))),
    ("naming", front_page, "moved", ("C",), SimpleNamespace(change=UP)),
    *alike("no_gain", cells, "home", [()], GAIN, LOSS, NONE),
    *alike("no_gain", front_page, "changed", [(HARD, "B")], GAIN, LOSS, NONE),
    *alike("no_gain", front_page, "changed", [(one, "A") for one in (HARD_LAST, NUANCED, NUANCED_LAST)], GAIN, LOSS),
    *alike("no_gain", cells, "as_planned", [()], GAIN, LOSS),
    *alike("no_gain", cells, "off", [(model, "C") for model in (BASE, SFT, HARD, NUANCED)], ""),
    *alike("called_normal", posthoc, "changed", [(HARD_LAST, "C"), (NUANCED_LAST, "A")], UP, NONE),
    *alike("called_normal", front_page, "changed", [(HARD, "B", CALLED_NORMAL)], GAIN, LOSS),
    *alike("called_normal", front_page, "changed", [(HARD_LAST, "A", NORMAL_CALLED)], UP, NONE),
    *alike("untouched", front_page, "changed", [(SFT, "B", MACRO)], DOWN, NONE),
    *alike("untouched", front_page, "changed", [(HARD, "A", MACRO)], UP, NONE),
    *alike("untouched", front_page, "changed", [(NUANCED, "B", MACRO)], GAIN),
    *alike("untouched", front_page, "changed", [(model, "C", NAMED) for model in (SFT, HARD, NUANCED)], DOWN, NONE),
    ("mitigations", cures, "tested", (), []),
    ("mitigations", cures, "against_plain", ("cure-visible", "B"), GAIN),
    *alike("mitigations", cures, "against_plain", [("cure-visible", "C")], UP, DOWN),
    *alike("mitigations", front_page, "changed", [(HARD, "A")], GAIN, LOSS, NONE),
    ("untestable", scaffold, "difference", (), Interval(-0.05, 0.02, 0.09)),
    ("untestable", scaffold, "constants", (), 6),
    ("untestable", collapse, "nothing", (), False),
]  # fmt: skip


def with_value(case: Case, monkeypatch: pytest.MonkeyPatch) -> bool | None:
    maker, place, what, where, value = case
    real = getattr(place, what)

    def instead(*args: object, **more: object) -> object:
        if not all(one in args for one in where):
            return real(*args, **more)
        return value(real(*args, **more)) if callable(value) else value

    monkeypatch.setattr(place, what, instead)
    return getattr(front_page, maker)()


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case[0]}-{case[2]}")
def test_each_condition_of_a_finding_is_needed(case, monkeypatch) -> None:
    assert front_page.stand(with_value(case, monkeypatch)) == "No longer borne out by the results at hand:"


def test_without_the_experiment_what_it_found_is_not_told(tmp_path) -> None:
    with synthetic_experiment.shown(tmp_path):
        found = [getattr(front_page, name)() for name in MAKERS]
        assert {name for name, one in zip(MAKERS, found, strict=True) if front_page.stand(one) == "Not run yet:"} == {
            "no_gain", "untouched", "called_normal", "mitigations", "untestable"
        }  # fmt: skip
        assert {front_page.stand(one) for one in found} == {"", "Not run yet:"}
