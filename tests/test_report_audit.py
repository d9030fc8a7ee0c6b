"""The audit's chapters: pictures, sentences over values, the ledger as a table, and the same in the terminal."""

import functools
import html
import html.parser
import json
import re
import subprocess
import sys

import pytest

from chexreason import config
from companion.evidence import claims, frames
from companion.evidence.audit import differences, facts, matched, operating
from companion.evidence.claims import CLAIMS, views
from companion.report import (
    audit_counts,
    audit_figures,
    audit_lists,
    audit_operating,
    audit_pages,
    audit_sure,
    terminal,
    theme,
    verdict_table,
)
from companion.workflow import commands as cli

GRPO = (5, "medgemma_sft", "chexreason"), (6, "medgemma_sft", "chexreason")
SFT = (5, "medgemma", "medgemma_sft"), (6, "medgemma", "medgemma_sft")
UNTOUCHED = (5, "medgemma", "chexreason"), (6, "medgemma", "chexreason")
PICTURES = {
    "overview": audit_pages.overview,
    "crossings": audit_figures.crossings,
    "grpo": lambda: audit_figures.waterfalls(*GRPO),
    "sft": lambda: audit_figures.waterfalls(*SFT),
    "untouched": lambda: audit_figures.waterfalls(*UNTOUCHED, anchor="untouched"),
    "crossing": audit_figures.crossing_waterfalls,
    "forest": audit_figures.forest,
    "findings": audit_sure.findings,
    "differences": audit_sure.leaned_on,
    "validation": audit_sure.validation_scores,
    "power": audit_sure.power_curves,
    "rulers": audit_counts.rulers,
    "conventions": audit_counts.label_conventions,
    "operating": audit_operating.named_labels,
    "likeness": audit_operating.alike,
}
#: The paper, the profile that is shown, and the experiment where it has runs.
SIDES = 2 + any((config.RESULTS / verdict_table.EXPERIMENT).glob("seed*/*/run.json"))
#: Pictures of more than two panels.
PANELS = {"power": 4, "overview": SIDES}
#: Parts that the chapter shows as tables, unfolded.
LISTED = ("arithmetic", "text", "comparisons", "contradictions", "untold", "lines", "transcription")


@functools.cache
def picture(name):
    return PICTURES[name]().text


@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_has_a_tier_a_caption_and_words_for_who_cannot_see_it(name):
    shown = picture(name)
    assert 'class="cxr-tier cxr-published"' in shown
    assert len(re.findall(r'<svg role="img" aria-label="[^"]{40,}"', shown)) == PANELS.get(name, 2)
    assert "arXiv 2512.23090v2" in shown
    assert f"tables {facts.tables_digest()[:12]}" in shown
    assert re.search(r"code [0-9a-f]{7}|code not noted", shown)
    assert len(re.search(r"<figcaption>(.*?)</figcaption>", shown, re.DOTALL)[1]) > 60
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
        assert anchor.startswith("#evidence-") or anchor.removeprefix("#") in {"", *headings}, place
    chapter = (config.ROOT / "book" / "audit.md").read_text(encoding="utf-8")
    assert set(re.findall(r'audit_lists\.part\("(\w+)"', chapter)) <= set(frames.PARTS)
    assert set(LISTED) <= set(re.findall(r'audit_lists\.part\("(\w+)"', chapter))
    # Two readers, and for each the pictures come before the numbers.
    order = re.findall(r"^audit_\w+\.(\w+)\(", chapter, re.MULTILINE)
    assert order[0] == "overview"
    assert order.index("waterfalls") < order.index("forest") < order.index("for_a_clinician")
    assert order.index("for_a_clinician") < order.index("validation_scores")
    assert order.index("power_curves") < order.index("for_an_engineer")


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


def test_no_badge_stands_for_panels_of_two_tiers():
    """The overview's panels are the paper's and ours: as many badges as panels, each before its own."""
    shown = picture("overview")
    assert shown.count('class="cxr-tier') == SIDES
    assert shown.count("cxr-tier cxr-published") == 1
    assert shown.count("cxr-tier cxr-miniature") == SIDES - 1
    marks = re.findall(r'class="cxr-tier|<svg role', shown)
    assert marks == ['class="cxr-tier', "<svg role"] * SIDES


def test_the_likeness_is_computed_and_called_post_hoc():
    near = matched.likeness(5, "medgemma")
    assert f"lie {near.apart:.3f} from the untouched" in picture("likeness")
    assert f"r = {near.r:.3f}, 95 % CI {near.low:.3f} to {near.high:.3f}" in picture("likeness")
    assert "nearer" not in picture("likeness")  # no interval of the difference says so
    assert "post hoc" in picture("likeness")


def test_captions_follow_the_values(monkeypatch):
    before = PICTURES["grpo"]().text
    assert "Lung Opacity alone gives +0.042" in before
    real = facts.column
    monkeypatch.setattr(facts, "column", lambda table, name, metric="f1": real(table, name, metric) | (
        {"Lung Opacity": 0.161} if (table, name) == (5, "chexreason") else {}))  # fmt: skip
    after = PICTURES["grpo"]().text
    assert "Lung Opacity alone" not in after


def test_sentences_are_computed_from_the_audit():
    short = str(audit_pages.in_short())
    judged = verdict_table.stated(views.on_paper())
    count = verdict_table.standings(judged)
    counted = sum(one.standing == "holds" and one.reason == "as counted" for one in judged.values())
    assert f"{count['holds']} ({counted} of them as counted, without an interval) and contradict" in short
    for where, words in (
        (claims.FAILS, ", whichever way"), (claims.RESTS, " depend on a choice"), (claims.REFUSED, " cannot be tested"),
        (claims.CHANCE, " are no larger than chance could make them"), (claims.OTHERWISE, " are not as we read them"),
    ):  # fmt: skip
        assert f"{count[where]}{words}" in short
    told = [one for one in judged.values() if one.together is not None]
    assert f"{sum(one.together for one in told)} stand with all {told[0].tests} tests taken together" in short
    assert f"Of the {len(told)} verdicts beyond chance" in short
    assert f"{sum(one.survives for one in told)} are the same however alike" in short


HANGING = [f"{what}, {len(names) or 'none'}" for what, names in differences.turned().items()]


@pytest.mark.parametrize(
    ("say", "words"),
    [
        (audit_pages.validation_size, ("500", "1,808", "likely, and not shown")),
        (audit_pages.for_an_engineer, ("0.253 to 0.258", "fit 500")),
        (audit_pages.for_a_clinician, ("counts Pleural Other, seen in 4 of 500 patients, as much as Lung Opacity",)),
        (audit_pages.crossing_said, ("Pleural Other (+0.028) and Pneumothorax (+0.026), less No Finding (−0.026)",)),
        (audit_pages.arithmetic_summary, ("30 of 34", "Of 102 numbers", f"Of {len(views.comparisons())} claims")),
        (audit_operating.named_said, ("micro precision goes from 0.480 to 0.343", "2.78 by CheXpert's readers")),
        (audit_pages.assumptions, (f"For {len(operating.all_named())} rows of Tables 1 to 4", *HANGING)),
    ],
)  # fmt: skip
def test_sentences_hold_the_values(say, words):
    assert all(word in str(say()) for word in words)


class Rows(html.parser.HTMLParser):
    """The attributes of the ledger's rows, and how many cells each has."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.buttons = [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([dict(attrs), 0])
        if tag in ("td", "th") and self.rows:
            self.rows[-1][1] += 1
        self.buttons += tag == "button"


def test_the_ledger_has_a_row_a_claim_and_native_controls():
    shown = verdict_table.ledger("demo").text
    found = Rows(shown)
    assert len(found.rows) == len(CLAIMS) + 1
    assert {cells for _, cells in found.rows} == {4 + SIDES}
    assert found.buttons == 4 + SIDES + 1  # one a heading, and one that shows all again
    assert {row["data-paper"] for row, _ in found.rows[1:]} <= set(claims.VERDICTS)
    assert {row["data-standing"] for row, _ in found.rows[1:]} == set(claims.STANDINGS) - {claims.NOT_RUN}
    assert not [row for row, _ in found.rows[1:] if "data-twin" in row and row["data-paper"] == claims.FAILS]
    turned = {row["data-choice"] for row, _ in found.rows[1:]}
    assert {"", "any; averaging", "any; label set; largest finding"} <= turned
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
    assert "chexpert test" not in shown
    assert "http" not in re.sub(r"http://www.w3.org\S*", "", shown), "nothing is fetched"


def test_the_ledger_without_runs_shows_the_paper_alone(tmp_path):
    shown = verdict_table.ledger("miniature", tmp_path).text
    assert "data-run0" not in shown
    assert {cells for _, cells in Rows(shown).rows} == {5}


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
    assert {row["outcome"]["verdict"] for row in rows} == {
        one.verdict for one in verdict_table.judged("demo").values()
    } >= {claims.HOLDS, claims.CHANCE, claims.REFUSED}  # fmt: skip
    assert {row["outcome"]["standing"] for row in rows} <= set(claims.STANDINGS)
    assert not [row for row in rows if row["outcome"]["verdict"] == claims.FAILS and not row["claim"]["stated"]]
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


def test_a_results_folder_without_a_run_is_refused(tmp_path, capsys):
    assert cli.main(["claims", "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"xpected --run with --results, got --results {tmp_path} alone" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("run", "told"), [("nowhere", "xpected a profile among"), ("{tmp}", "none at")])
def test_a_run_that_is_not_there_is_one_line(tmp_path, capsys, run, told):
    assert cli.main(["claims", "--run", run.format(tmp=tmp_path)]) == 2
    error = capsys.readouterr().err
    assert told in error
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
