"""The report: each side in its own cells, the tier on every table, sentences that follow the values."""

import re
import subprocess
import sys

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
import synthetic_results
from chapter import table_rows

from chexreason import metrics
from chexreason.errors import UserError
from chexreason.labels import LABEL_SETS
from companion import report
from companion.evidence import tables as evidence
from companion.evidence.audit import facts
from companion.report import beside, theme

N = 40  # studies of each synthetic run


def write(profile, results, *stages):
    synthetic_results.write(profile, results, results / f"cache-{profile}", stages or ("01", "02", "03", "04"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder: a whole set of runs for smoke, the prompting stage alone for demo, none for full."""
    root = tmp_path_factory.mktemp("results")
    write("smoke", root)
    write("demo", root, "01")
    return root


def test_the_book_needs_no_torch():
    code = "import sys, companion.report, companion.report.phantoms; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("number", [5, 6])
def test_a_block_of_columns_a_side_and_no_miniature_under_a_bare_name(number, results):
    shown = evidence.gather(number, "smoke", results)
    assert not shown.missing
    over, heads, *rows = table_rows(report.table(number, "smoke", results).text)
    assert over[1:] == [f"paper, {evidence.DATASETS[shown.spec.dataset][0]}", f"miniature, hospital {'BC'[number - 5]}"]
    names, ours = ([name.replace(" ", "") for name in each.values()] for each in (evidence.MODELS, evidence.MINIATURES))
    known = ["posi-tives"]  # how many NIH studies there were is not known
    assert heads == [*known * (number == 5), *names, *known, *ours]
    cells = {row[0]: row[1:] for row in rows}
    for name in shown.rows():
        paper, mine = (
            [f"{side[name, c, m]:.3f}" for c, m in shown.columns()] for side in (shown.published, shown.ours)
        )
        held = cells[evidence.title_of(shown.spec, name)]
        assert held[-5:] == mine
        assert held[-11:-6] == paper


@pytest.mark.parametrize("number", [5, 6])
def test_each_model_stands_with_its_interval_and_the_papers_with_its_ranks(number, results):
    cells = {row[0]: row[1:] for row in table_rows(report.table(number, "smoke", results).text)}
    low, middle, high = ([float(cell) for cell in cells[name] if cell] for name in ("95 % from", "Macro average", "to"))
    assert all(a <= b <= c for a, b, c in zip(low, middle, high, strict=True))
    ranks = cells["ranks"][-11:-6]
    order = pd.Series(middle[:5]).rank(ascending=False)
    assert all(int(span.split("–")[0]) <= at <= int(span.split("–")[-1]) for span, at in zip(ranks, order, strict=True))
    assert set(cells["ranks"][-5:]) == {"–"}  # trained once each
    if number == 5:
        assert cells["minus SFT"][-11:-6] == ["+0.473*", "+0.080*", "−0.054*", "–", "+0.064*"]


def test_ranks_are_shared_by_what_chance_alone_orders(results):
    rows = table_rows(report.table(4, "smoke", results).text)
    start = [row[0] for row in rows].index("paper: MedGemma")
    assert {row[3] for row in rows[start + 1 : start + 5]} == {"1–4"}


@pytest.mark.parametrize("number", range(1, 5))
def test_a_block_of_rows_a_side_with_macro_f1_first(number, results):
    shown = evidence.gather(number, "smoke", results)
    rows = table_rows(report.table(number, "smoke", results).text)
    heads, model = [row[0] for row in rows], "Qwen2.5-VL" if number == 3 else "MedGemma"
    mini = {"Qwen2.5-VL": "mini-Qwen", "MedGemma": "mini-Gemma"}[model]
    columns = sorted(shown.columns(), key=lambda one: (["macro", "micro", "all"].index(one[0]), one[1] != "f1"))
    for side, block in ((shown.published, f"paper: {model}"), (shown.ours, f"miniature: {mini}")):
        for offset, name in enumerate(shown.rows(), heads.index(block) + 1):
            title, score, _, _, _, *others = rows[offset]
            assert title == evidence.title_of(shown.spec, name)
            assert [score, *others] == [f"{side[name, column, metric]:.3f}" for column, metric in columns]


def test_ours_are_the_run_folders_values(results):
    """Read the files anew, without the report's own reader."""
    run = pd.read_csv(results / "smoke" / "02-sft-qwen-reasoning_a" / "metrics.csv")
    value = run.query("finding == 'macro' and metric == 'recall'")["value"].item()
    assert evidence.gather(3, "smoke", results).ours["reasoning_a", "macro", "recall"] == value
    grpo = pd.read_csv(results / "smoke" / "03-grpo-hard" / "metrics.csv")
    best = grpo.query("finding == 'micro' and metric == 'failure_rate' and checkpoint == 'best'")["value"].item()
    assert evidence.gather(4, "smoke", results).ours["hard_best", "all", "failure_rate"] == best
    far = pd.read_csv(results / "smoke" / "04-generalization-qwen-nih" / "metrics.csv")
    edema = far.query("finding == 'Edema' and metric == 'f1'")["value"].item()
    assert evidence.gather(6, "smoke", results).ours["Edema", "qwen", "f1"] == edema


@pytest.mark.parametrize("number", range(1, 7))
def test_every_table_names_tier_profile_n_seed_and_runs(number, results):
    text = report.table(number, "smoke", results).text
    assert 'class="cxr-tier cxr-miniature"' in text
    for fact in ("smoke", f"n = {N} studies", "seed 0", "hospital "):
        assert fact in text
    for run_id, run in evidence.gather(number, "smoke", results).runs.items():
        assert f"<code>{run_id}</code>" in text
        assert f"settings {run.info['config_digest'][:12]}, {run.info['started'][:10]}" in text
        assert f"executed notebook {run_id[:2]}_{run.info['stage']}" in text
    assert "cxr-replication" not in text


@pytest.mark.parametrize("number", range(1, 7))
def test_without_runs_the_paper_stands_alone(number, results):
    text = report.table(number, "full", results).text
    assert "make book PROFILE=full" in text
    assert "cxr-published" in text
    assert "cxr-miniature" not in text.replace(theme.STYLE, "")


def test_findings_with_few_positives_are_marked_on_both_sides(results):
    """Our 40 made-up studies hold about ten positives of a finding; the paper's 500 are read from public counts."""
    text = report.table(5, "smoke", results).text
    run = evidence.gather(5, "smoke", results).run_of("macro", "qwen")
    table = run.metrics().query("metric == 'support'").set_index("finding")["value"]
    papers_of = facts.supports("chexpert", "test", LABEL_SETS["chexpert14"])
    assert sum(count < 20 for count in papers_of.values()) > 3
    for name in LABEL_SETS["chexpert14"]:
        ours, papers = table[name] < 20, papers_of[name] < 20
        heading = re.search(rf">{name}([†‡]*)<", text)
        assert heading, name
        assert ("‡" in heading[1]) == ours, name
        assert ("†" in heading[1]) == papers, name
    assert "† Fewer than 20 positives in the paper&#x27;s test set" in text


@pytest.fixture(scope="module")
def three_tiers(tmp_path_factory):
    """Results of the replication, with places that are folders of this test, beside the miniature `demo`'s."""
    root = tmp_path_factory.mktemp("tiers")
    with pytest.MonkeyPatch.context() as patch:
        for place in ("MIMIC", "CHEXPERT", "NIH"):
            patch.setenv(f"CHEXREASON_{place}", str(root / place))
        for name in ("paper", "demo"):
            write(name, root / "results")
    return root / "results"


@pytest.mark.parametrize(("asked", "number"), [("paper", 5), ("demo", 2)])
def test_paper_replication_and_miniature_stand_side_by_side(asked, number, three_tiers):
    text = report.table(number, asked, three_tiers).text
    assert 'class="cxr-tier cxr-replication"' in text
    assert 'class="cxr-tier cxr-miniature"' in text
    paper, demo = (evidence.gather(number, name, three_tiers) for name in ("paper", "demo"))
    sides = (paper.published, paper.ours, demo.ours)
    rows = table_rows(text)
    if number == 2:
        heads = [row[0] for row in rows]
        blocks = ["paper: MedGemma", "replication: MedGemma", "miniature: mini-Gemma"]
        assert [head for head in heads if ":" in head] == blocks
        shown = [rows[heads.index(block) + 1][1] for block in blocks]
        assert shown == [f"{side[paper.rows()[0], 'macro', 'f1']:.3f}" for side in sides]
    else:
        cells = {row[0]: row[1:] for row in rows}
        for name in paper.rows():
            wanted = [[f"{side[name, c, m]:.3f}" for c, m in paper.columns()] for side in sides]
            held = cells[evidence.title_of(paper.spec, name)]
            assert [held[-17:-12], held[-11:-6], held[-5:]] == wanted


def test_half_a_set_of_runs_shows_what_is_missing(results):
    (results / "smoke" / "04-generalization-qwen-nih" / "run.json").rename(results / "aside.json")
    try:
        text = report.table(6, "smoke", results).text
        assert "Not run: 04-generalization-qwen-nih" in text
        assert "–" in {cell for row in table_rows(text) for cell in row}
    finally:
        (results / "aside.json").rename(results / "smoke" / "04-generalization-qwen-nih" / "run.json")


def test_the_note_of_table_1_is_what_all_labels_score(results):
    run = evidence.gather(1, "smoke", results).run_of("reasoning_a", "macro")
    true_BF = metrics.label_cells(run.predictions()["truth"], "chexpert14")
    expected = metrics.scores(true_BF, np.ones_like(true_BF), "chexpert14")
    assert f"macro-F1 {expected.macro['f1']:.3f}" in report.table(1, "smoke", results).text
    prevalence = true_BF.mean(axis=0)
    assert expected.macro["f1"] == pytest.approx(np.mean(2 * prevalence / (1 + prevalence)))


@pytest.mark.parametrize("number", range(1, 7))
def test_ids_are_unique_and_cells_point_to_headings(number, results):
    place = f'id="table-{number}"'  # what an address leads to; a page has each table once
    first, second = (report.table(number, "smoke", results).text for _ in range(2))
    assert first.count(place) == 1
    text = first + second.replace(place, "")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    pointed = {name for names in re.findall(r'headers="([^"]*)"', text) for name in names.split()}
    assert pointed
    assert pointed <= set(ids)


@pytest.mark.parametrize("ground", ["#ffffff", "#121212"])
def test_series_are_seen_on_light_and_dark(ground):
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(colour)]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    for colour, _, _ in theme.SERIES:
        light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


def test_answers_are_scored_against_the_visible_findings_too(results):
    frame = beside.twice_scored("smoke", results)
    assert list(frame.index) == list(evidence.MINIATURES.values())
    # The made-up runs record exactly what is visible, and each finding counts on its own.
    assert frame["nih", "recorded"].tolist() == pytest.approx(frame["nih", "visible"].tolist())
    shown = evidence.gather(6, "smoke", results)
    assert frame.loc["mini-ChexReason", ("nih", "recorded")] == pytest.approx(shown.ours["macro", "chexreason", "f1"])
    assert beside.twice_scored("demo", results).empty
    assert "both test sets" in beside.recorded_and_visible("demo", results).text


def test_wrong_names_are_refused_in_one_line(results, tmp_path):
    for wrong in (
        lambda: report.table(7, "smoke", results),
        lambda: report.table(1, "enormous", results),
        lambda: report.figure(9, "smoke", results),
    ):
        with pytest.raises(UserError, match=r"got '?(7|enormous|9)"):
            wrong()
    write("smoke", tmp_path, "03")
    table = tmp_path / "smoke" / "03-grpo-hard" / "metrics.csv"
    whole = table.read_text()
    for damaged in ("finding,metric\n", re.sub(r"(?m)^Edema,.*\n", "", whole), re.sub(r"(?m)^micro,n,.*\n", "", whole)):
        table.write_text(damaged)
        with pytest.raises(
            UserError, match=r"all their rows for \w+, got 03-grpo-hard/metrics\.csv without (micro|Edema) "
        ):
            report.table(4, "smoke", tmp_path)


def test_names_from_files_cannot_break_the_page(results):
    run = results / "smoke" / "01-prompting-reasoning_a" / "run.json"
    kept = run.read_text()
    run.write_text(kept.replace('"device": "cpu"', '"device": "<script>alert(1)</script>"'))
    try:
        assert "<script>" not in report.table(1, "smoke", results).text
    finally:
        run.write_text(kept)
