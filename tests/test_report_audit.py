"""The audit's chapters: pictures, sentences over values, the ledger as a table, and the same in the terminal."""

import functools
import html
import json
import re
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from chapter import sentences

from chexreason import config
from companion.evidence import claims, frames
from companion.evidence.audit import differences, facts, matched, operating
from companion.evidence.claims import CLAIMS, views
from companion.report import audit_figures, audit_lists, audit_operating, audit_sure, terminal, theme, verdict_table
from companion.workflow import commands as cli


def falls(first, second, anchor=""):
    return audit_figures.waterfalls((5, first, second), (6, first, second), anchor=anchor)


PICTURES = {
    **{name: getattr(audit_figures, name) for name in ("overview", "crossings", "crossing_waterfalls", "forest")},
    **{name: getattr(audit_sure, name) for name in (
        "findings", "leaned_on", "validation_scores", "power_curves", "rulers", "label_conventions")},
    **{name: getattr(audit_operating, name) for name in ("named_labels", "alike")},
    "grpo": lambda: falls("medgemma_sft", "chexreason"),
    "sft": lambda: falls("medgemma", "medgemma_sft"),
    "untouched": lambda: falls("medgemma", "chexreason", "untouched"),
}  # fmt: skip
#: The paper, the profile that is shown, and the experiment where it has runs.
SIDES = 2 + any((config.RESULTS / verdict_table.EXPERIMENT).glob("seed*/*/run.json"))
#: Pictures of more than two panels.
PANELS = {"power_curves": 3, "findings": 3, "overview": SIDES}
#: Parts that the chapter shows as tables, unfolded.
LISTED = ("arithmetic", "text", "contradictions", "untold", "lines", "transcription")


@functools.cache
def picture(name):
    return PICTURES[name]().text


@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_has_a_tier_and_words_for_who_cannot_see_it(name):
    shown = picture(name)
    assert 'class="cxr-tier cxr-published"' in shown
    assert len(re.findall(r'<svg role="img" aria-label="[^"]{40,}"', shown)) == PANELS.get(name, 2)
    # The overview's panels are the paper's and ours: as many badges as panels, each before its own.
    marks = re.findall(r'class="cxr-tier|<svg role', shown)
    assert name != "overview" or marks == ['class="cxr-tier', "<svg role"] * SIDES
    assert "arXiv 2512.23090v2" in shown
    assert f"tables {facts.tables_digest()[:12]}" in shown
    assert re.search(r"code [0-9a-f]{7}|code not noted", shown)
    assert theme.INK not in shown, "text and lines take the page's colour"
    assert len(shown) < 400_000


def test_what_the_ledger_leads_to_is_in_the_chapter():
    shown = "".join([*map(picture, PICTURES), *(audit_lists.part(name).text for name in LISTED)])
    there = re.findall(r'id="evidence-([^"]+)"', shown)
    assert len(there) == len(set(there))
    used = {claim.evidence for claim in CLAIMS.values()}
    assert used == set(verdict_table.EVIDENCE)
    places = {verdict_table.EVIDENCE[name][0] for name in used}
    assert {place.partition("evidence-")[2] for place in places if place.startswith("audit.html#")} <= set(there)
    for place in places:
        page, _, anchor = place.partition(".html")
        text = (config.ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
        headings = {
            re.sub(r"\W+", "-", line.lower()).strip("-") for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        tables = {f"table-{number}" for number in re.findall(r"report\.table\((\d)\)", text)}
        assert anchor.startswith("#evidence-") or anchor.removeprefix("#") in {"", *headings, *tables}, place
    chapter = (config.ROOT / "book" / "audit.md").read_text(encoding="utf-8")
    assert set(LISTED) <= set(re.findall(r'audit_lists\.part\("(\w+)"', chapter)) <= set(frames.PARTS)


@pytest.mark.parametrize("name", frames.PARTS)
def test_each_part_is_the_same_in_book_and_terminal(name):
    """Every cell of a frame stands in the table of the book; what is remarkable stands in the terminal, too."""
    frame = frames.PARTS[name].frame
    shown = html.unescape(audit_lists.part(name, folded=True).text)
    assert all(audit_lists.shown(cell) in shown for row in frame.itertuples(index=False) for cell in row)
    text = " ".join(terminal.audit_text(10_000).split())
    assert frames.PARTS[name].title in text
    for row in (frames.remarkable(frame) if "verdict" in frame else frame).itertuples(index=False):
        assert all(" ".join(audit_lists.shown(cell).split()) in text for cell in row)


@functools.cache
def chapter():
    return sentences("audit")


def test_captions_follow_the_values(monkeypatch):
    grpo = matched.waterfall(5, "medgemma_sft", "chexreason")
    assert "Lung Opacity alone gives +0.042" in audit_figures.fall_said(grpo)
    assert audit_figures.fall_said(grpo) in chapter()
    real = facts.column
    monkeypatch.setattr(facts, "column", lambda table, name, metric="f1": real(table, name, metric) | (
        {"Lung Opacity": 0.161} if (table, name) == (5, "chexreason") else {}))  # fmt: skip
    assert "Lung Opacity alone" not in audit_figures.fall_said(matched.waterfall(5, "medgemma_sft", "chexreason"))


def test_where_the_claims_stand_is_counted():
    judged = verdict_table.stated(views.on_paper())
    count = verdict_table.standings(judged)
    counted = sum(one.standing == "holds" and one.reason == "as counted" for one in judged.values())
    told = [one for one in judged.values() if one.together is not None]
    for words in (
        f"bear out {count['holds']} ({counted} of them as counted, without an interval)",
        f"and contradict {count[claims.FAILS]},",
        f"{count[claims.RESTS]} depend on a choice", f"{count[claims.REFUSED]} cannot be tested",
        f"{count[claims.CHANCE]} are no larger than chance could make them",
        f"{count[claims.OTHERWISE]} are not as we read them", f"Of the {len(told)} verdicts beyond chance",
        f"{sum(one.together for one in told)} stand with all {told[0].tests} tests taken together",
        f"{sum(one.survives for one in told)} are the same however alike",
    ):  # fmt: skip
        assert words in chapter()


def test_sentences_hold_the_values():
    hanging = [f"{what}, {len(names) or 'none'}" for what, names in differences.turned().items()]
    near = matched.likeness(5, "medgemma")
    for words in (
        "fit 500", "1,808 (MIMIC", "from 992 on every number does", "500 is likely, but not proven",
        "moves macro-F1 from 0.253 to 0.258",
        "counts Pleural Other, seen in 4 of 500 patients, as much as Lung Opacity",
        "Pleural Other (+0.028) and Pneumothorax (+0.026), less No Finding (−0.026)",
        "30 of 34", "Of 102 numbers", f"For {len(operating.all_named())} rows of",
        "micro precision goes from 0.480 to 0.343", "2.78 by CheXpert's readers", *hanging,
        f"lie {near.apart:.3f} from the untouched", f"r = {near.r:.3f}, 95% CI {near.low:.3f} to {near.high:.3f}",
    ):  # fmt: skip
        assert words in chapter()


def rows_of(shown):
    return BeautifulSoup(shown, "html.parser").select("tbody tr")


def test_the_ledger_has_a_row_a_claim_and_native_controls():
    shown = verdict_table.ledger("demo").text
    rows = rows_of(shown)
    assert len(rows) == len(CLAIMS)
    assert {len(row.select("td, th")) for row in rows} == {4 + SIDES}
    assert shown.count("<button") == 4 + SIDES + 1  # one a heading, and one that shows all again
    assert {row["data-standing"] for row in rows} == set(claims.STANDINGS) - {claims.NOT_RUN}
    assert not [row for row in rows if "data-twin" in row.attrs and row["data-paper"] == claims.FAILS]
    assert all(f'href="{verdict_table.EVIDENCE[claim.evidence][0]}"' in shown for claim in CLAIMS.values())
    assert "on our runs (demo, miniature)" in shown
    ours = verdict_table.judged("demo")
    assert ours["recall-rises"].runs == ("01-prompting-reasoning_a", "01-prompting-reasoning_narrative")
    assert "runs (2)</summary>" in shown
    for notebook, run in (("01_prompting", "01-prompting-reasoning_a"), ("03_grpo", "03-grpo-hard")):
        assert f'<a href="notebooks/{notebook}.html"><code>{run}</code></a>' in shown
    assert ours["jaccard-suffices"].verdict == claims.REFUSED, "one training, and yet it has its runs"
    assert "03-grpo-hard" in ours["jaccard-suffices"].runs
    assert "not with all" in shown
    assert "within chance if r = 0" in shown
    assert "http" not in re.sub(r"http://www.w3.org\S*", "", shown), "nothing is fetched"


def test_the_ledger_without_runs_shows_the_paper_alone(tmp_path):
    shown = verdict_table.ledger("full", tmp_path).text
    assert {len(row.select("td, th")) for row in rows_of(shown)} == {5}


# The terminal.


@pytest.mark.parametrize("width", [20, 45, 80, 300])
def test_text_is_no_wider_than_the_terminal(width):
    bound = max(terminal.NARROWEST, min(width, terminal.WIDEST))
    claimed = terminal.claims_text(views.on_paper(), width, ("a-run-that-is-not-there",) * 9)
    for text in (terminal.audit_text(width), claimed):
        assert max(map(len, text.splitlines())) <= bound


def test_claims_for_a_program_and_for_a_reader(capsys):
    assert cli.main(["claims", "--run", "demo", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["claim"]["name"] for row in rows] == list(CLAIMS)
    assert {row["outcome"]["tier"] for row in rows} == {"miniature"}
    assert all(row["outcome"]["runs"] for row in rows if row["outcome"]["effect"] is not None)
    assert [row["outcome"]["verdict"] for row in rows] == [one.verdict for one in verdict_table.judged("demo").values()]
    assert next(row["claim"]["choice"] for row in rows if row["claim"]["name"] == "grpo-loses-nih") == [
        ["largest finding", "grpo-loses-nih-not-one-finding"]
    ]
    assert cli.main(["claims"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("paper (tier: published): holds ")
    assert re.search(r"\d+ of them with all \d+ tests together", " ".join(shown.split()))
    assert "depends on the choice of averaging: see narrative-moderate-macro" in " ".join(shown.split())
    assert cli.main(["claims", "--json"]) == 0
    paper = {row["claim"]["name"]: row["outcome"] for row in json.loads(capsys.readouterr().out)}
    assert paper["grpo-loses-nih"]["by_correlation"] == {"0": "within chance", "0.5": "holds", "0.9": "holds"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--results", "{tmp}"], "xpected --run with --results, got --results {tmp} alone"),
        (["--run", "nowhere"], "xpected a profile among"),
        (["--run", "{tmp}"], "none at"),
    ],
)
def test_a_run_that_is_not_there_is_one_line(tmp_path, capsys, words, told):
    assert cli.main(["claims", *(word.format(tmp=tmp_path) for word in words)]) == 2
    error = capsys.readouterr().err
    assert told.format(tmp=tmp_path) in error
    assert error.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    """As `chexreason audit | head -1` does it."""
    with subprocess.Popen(
        [sys.executable, "-m", "companion", "audit"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == ""


def test_neither_command_waits_for_torch():
    code = (
        "import sys\nfrom companion.workflow.commands import main\n"
        "main(['audit']), main(['claims', '--run', 'demo'])\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
