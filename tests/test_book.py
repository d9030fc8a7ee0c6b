"""The built book in a real browser without a network: every page, wide and narrow, light and dark.

The book is built once for all test processes, from the committed demo results, or from made-up ones
where none are committed. Pages are opened from disk, as a reader opens them.
"""

import csv
import fcntl
import io
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import synthetic_results
import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, sync_playwright

from chexreason import config
from chexreason.labels import FINDINGS

pytestmark = pytest.mark.browser
BOOK = config.ROOT / "book"
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Milliseconds for the browser to do what it is told: it takes some, on a machine with little else to do.
PATIENCE = 3_600_000
#: width and height of the window
WINDOWS = {"wide": (1280, 900), "narrow": (390, 844)}
SCHEMES = ("light", "dark")


def listed() -> list[str]:
    """The pages in the table of contents, without suffix."""
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    sections = [section["file"] for chapter in chapters for section in chapter.get("sections", [])]
    return [toc["root"], *(chapter["file"] for chapter in chapters), *sections]


PAGES = listed()
#: Pages are text or, as they ran, notebooks.
SOURCES = (".md", ".executed")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "book"
    place.mkdir(exist_ok=True)
    pages, log = place / "_build" / "html", place / "log.txt"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test process waits here
        if not log.exists():
            environment = {**os.environ, "CHEXREASON_PROFILE": "demo"}
            if not any((config.RESULTS / "demo").glob("*/run.json")):
                environment["CHEXREASON_RESULTS"] = str(place / "results")
                synthetic_results.write("demo", place / "results", place / "cache")
            command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "book"]
            command += ["--config", "_config.yml", "--path-output", str(place), "-W", "--keep-going"]
            ended = subprocess.run(
                command, cwd=config.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, check=False,
            )  # fmt: skip
            log.write_text(f"{ended.stdout}\nexit status {ended.returncode}\n", encoding="utf-8")
    shown = log.read_text(encoding="utf-8")
    assert shown.endswith("exit status 0\n"), shown[-6000:]
    return pages


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "expected chromium for looking at the book, got none. Install it (apt-get install chromium)"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=CHROMIUM, timeout=PATIENCE)
        yield running
        running.close()


# What is looked at in the browser.

#: Elements that stick out of the window, unless they scroll in a box that does not.
STICKS_OUT = """() => [...document.querySelectorAll('article *')].filter(element => {
    const box = element.getBoundingClientRect();
    if (!box.width || box.right <= innerWidth + 1 && box.left >= -1) return false;
    for (let above = element.parentElement; above && above.tagName !== 'ARTICLE'; above = above.parentElement) {
        const style = getComputedStyle(above), outer = above.getBoundingClientRect();
        if (style.overflowX !== 'visible' && outer.right <= innerWidth + 1 && outer.left >= -1) return false;
    }
    return true;
}).map(element => `${element.tagName}.${element.className} sticks out of the window`).slice(0, 5)"""

BROKEN_IMAGES = """() => [...document.images].filter(image => !image.complete || !image.naturalWidth)
    .map(image => `broken image ${image.src.slice(0, 80)}`)"""

NO_ALT = """() => [...document.querySelectorAll('article img, article svg[role=img]')]
    .filter(image => !(image.getAttribute('alt') || image.getAttribute('aria-label')))
    .map(image => `no text for ${image.outerHTML.slice(0, 80)}`)"""

BAD_MATHS = """() => [...document.querySelectorAll('.math')].filter(formula => !formula.querySelector('mjx-container')
    || formula.querySelector('mjx-merror')).map(formula => `formula not set: ${formula.textContent.slice(0, 60)}`)"""

#: WCAG contrast of text in tables and captions against what is behind it.
LOW_CONTRAST = """() => {
    const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
    const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    const over = (top, alpha, below) => [0, 1, 2].map(i => alpha * top[i] + (1 - alpha) * below[i]);
    const ground = element => {
        if (!element) return [255, 255, 255];
        const [r, g, b, a = 1] = parse(getComputedStyle(element).backgroundColor);
        return a === 1 ? [r, g, b] : over([r, g, b], a, ground(element.parentElement));
    };
    const texts = 'td, th, p, li, figcaption, summary, h1, h2, h3, .cxr-fact, text';
    return [...document.querySelectorAll(`article :is(${texts})`)]
        .filter(element => element.textContent.trim() && element.getClientRects().length).map(element => {
            const svg = element.tagName === 'text', style = getComputedStyle(element);
            const back = ground(svg ? element.closest('svg').parentElement : element);
            const [r, g, b, a = 1] = parse(svg ? style.fill : style.color);
            const [low, high] = [luminance(over([r, g, b], a, back)), luminance(back)].sort((x, y) => x - y);
            return [(high + 0.05) / (low + 0.05), element];
        }).filter(([ratio]) => ratio < 4.5)
        .map(([ratio, element]) => `contrast ${ratio.toFixed(1)} of "${element.textContent.trim().slice(0, 40)}"`)
        .slice(0, 5);
}"""


@dataclass
class Seen:
    """What went wrong on a page."""

    problems: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Note console errors, exceptions and every request that would leave the machine."""
        page.on("console", lambda said: said.type in ("error", "warning") and self.problems.append(said.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url[:120]}"))
        page.on("request", lambda request: self._local(request.url))

    def _local(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.problems.append(f"external request: {url[:120]}")


def look(browser: Browser, address: str, window: str) -> list[str]:
    """Open a page with the network off, in light and then in dark; what is wrong with it."""
    width, height = WINDOWS[window]
    seen = Seen()
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light", offline=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    seen.watch(page)
    page.goto(address, wait_until="load")
    # MathJax sets formulas after the page has loaded.
    page.evaluate("() => window.MathJax && window.MathJax.startup && window.MathJax.startup.promise")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        for check in (STICKS_OUT, BROKEN_IMAGES, NO_ALT, BAD_MATHS, LOW_CONTRAST):
            seen.problems += [f"{window}, {scheme}: {problem}" for problem in page.evaluate(check)]
    across = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if across > 0:
        seen.problems.append(f"{window}: the page scrolls sideways by {across} pixels")
    context.close()
    return seen.problems


@pytest.mark.parametrize("page", [*PAGES, "search", "genindex"])
def test_page_in_a_browser(page, built, browser):
    address = (built / f"{page}.html").as_uri()
    assert not [problem for window in WINDOWS for problem in look(browser, address, window)]


def test_the_ledger_sorts_filters_and_leads_to_evidence_by_keyboard(built, browser):
    page = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto((built / "claims.html").as_uri(), wait_until="load")
    shown, total = ("article tbody tr:visible", page.locator("article tbody tr").count())
    assert total >= 40
    twins = page.locator("article tbody tr.cxr-twin").count()
    key = page.locator("article tbody tr[data-key]").count()
    assert page.locator(shown).count() == key == 12
    key_shown = f"{key} claims, 0 other readings of them"
    page.select_option("select[name=key]", "")
    assert page.inner_text(".cxr-controls output") == f"{total - twins} claims, {twins} other readings of them"
    page.select_option("select[name=key]", "yes")
    page.focus("select[name=paper]")
    chosen = "choice => choice.selectedOptions[0].text"
    for _ in range(page.locator("select[name=paper] option").count()):  # typing its name has a time limit
        if not page.eval_on_selector("select[name=paper]", chosen).startswith("fails"):
            page.keyboard.press("ArrowDown")
    verdicts = page.locator(f"{shown} td:nth-of-type(2) .cxr-verdict").all_inner_texts()
    assert set(verdicts) == {"✗ fails"}
    assert page.inner_text(".cxr-controls output") == f"{len(verdicts)} claims, 0 other readings of them"
    page.focus("input[name=words]")
    page.keyboard.type("completely micro-F1")
    assert page.locator(shown).count() == 1
    again = browser.new_page()
    again.goto((built / "claims.html").as_uri() + page.evaluate("location.hash"))
    assert again.locator(shown).count() == 1
    again.close()
    again = browser.new_page()
    again.goto((built / "claims.html").as_uri() + "#claim-self-check-second")
    assert again.locator("#claim-self-check-second").is_visible()
    again.close()
    page.focus(".cxr-controls button")
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelector('.cxr-controls output').textContent === '{key_shown}'")
    page.focus("article thead th:nth-child(1) button")
    for order in ("ascending", "descending"):
        page.keyboard.press("Enter")
        assert page.get_attribute("article thead th:nth-child(1)", "aria-sort") == order
        first, last = (page.locator("article tbody th").nth(i).inner_text() for i in (0, -1))
        assert (first < last) == (order == "ascending")
    page.focus("article tbody tr:not([hidden]) td[data-head=evidence] a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit.html#evidence-*")
    assert page.locator(page.url.partition("#")[2].join(("[id='", "']"))).count() == 1


def test_tables_are_sorted_linked_to_and_copied(built, browser):
    """Table 5: as the cells are shown; a third click gives the order that it came in."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script("navigator.clipboard.writeText = async (text) => { window.taken = text; };")
    page.goto((built / "generalization.html").as_uri() + "#table-5-edema")
    table = page.locator("#table-5 table").first
    names = table.locator("tbody tr").evaluate_all("rows => rows.map((row) => row.cells[0].firstChild.textContent)")
    assert page.evaluate("document.querySelector(':target').id") == "table-5-edema"
    assert len(set(page.locator("#table-5 tbody tr").evaluate_all("rows => rows.map((row) => row.id)"))) == len(names)
    score = f"rows => rows.slice(0, {len(FINDINGS)}).map((row) => Number.parseFloat(row.cells[2].innerText))"
    came, foot = table.locator("tbody tr").evaluate_all(score), names[len(FINDINGS) :]
    assert foot[0].startswith("Macro average")
    for order in (sorted(came, reverse=True), sorted(came), came):
        table.locator(".cxr-sort").nth(2).click()
        assert table.locator("tbody tr").evaluate_all(score) == order
        assert (
            table.locator("tbody th").evaluate_all("heads => heads.map((one) => one.firstChild.textContent)")[
                len(FINDINGS) :
            ]
            == foot
        )
    page.locator("#table-5 .cxr-take button", has_text="CSV").click()
    page.wait_for_function("window.taken")
    copied = list(csv.reader(io.StringIO(page.evaluate("window.taken"))))
    rows = copied[-len(names) :]
    assert [float(row[2]) for row in rows[: len(FINDINGS)]] == came
    assert {len(row) for row in copied} == {len(copied[-1])}
    page.locator("#table-5 .cxr-take button", has_text="LaTeX").click()
    page.wait_for_function("window.taken.startsWith('\\\\begin')")
    lines = page.evaluate("window.taken").splitlines()
    assert {line.count(" & ") for line in lines if line.endswith("\\\\")} == {len(copied[-1]) - 1}
    page.close()


def test_pages_are_light_and_say_what_they_are(built, browser):
    """Dark before the theme's last script, icons without one, and a description of its own for each page."""
    told = set()
    for place in built.glob("*.html"):
        text = place.read_text(encoding="utf-8")
        assert "fontawesome/6.5.2/js" not in text
        assert ("mathjax/" in text) == ('class="math' in text), place.name
        if place.stem not in ("search", "genindex"):
            [description] = re.findall('<meta name="description" content="([^"]+)"', text)
            assert re.findall('property="og:(.*?)"', text) == ["title", "description", "type"]
            told.add(description)
    assert len(told) > 0.9 * len(list(built.glob("*.html"))) - 2
    page = browser.new_page(color_scheme="dark")
    page.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
    page.goto((built / "prompts.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    family = page.evaluate("getComputedStyle(document.querySelector('.fa-bars'), '::before').fontFamily")
    assert "Font Awesome" in family
    page.close()


def test_the_looking_sees_what_is_wrong(tmp_path, browser):
    """A page with one of each fault: the checks above are not blind."""
    (tmp_path / "bad.html").write_text(
        """<!doctype html><html data-theme="light"><body><article><h1 style="color:#ccc">pale</h1>
        <table style="width:3000px"><tr><td>wide</td></tr></table><img src="none.png" width="9" height="9">
        <span class="math">x</span><script src="https://example.org/x.js"></script>
        <script>matchMedia("(prefers-color-scheme: dark)").onchange = () => {
            document.documentElement.dataset.theme = "dark" };
        console.error("said"); throw new Error("thrown")</script></article></body></html>"""
    )
    told = "\n".join(look(browser, (tmp_path / "bad.html").as_uri(), "wide"))
    for fault in (
        "contrast", "TABLE. sticks out", "broken image", "no text for", "formula not set", "external request",
        "said", "thrown", "scrolls sideways",
    ):  # fmt: skip
        assert fault in told


# What is read from the files.


def page_of(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def ids_of(page: BeautifulSoup) -> list[str]:
    return [str(element["id"]) for element in page.select("[id]")]


def test_every_internal_link_leads_somewhere(built):
    pages = {path: page_of(path) for path in built.rglob("*.html") if "_static" not in path.parts}
    assert len(pages) >= len(PAGES)
    broken, ids = [], {path: set(ids_of(page)) for path, page in pages.items()}
    for path, page in pages.items():
        for target in (link["href"] for link in page.select("a[href]:not([href=''])")):
            parts = urlsplit(target)
            if parts.scheme or target == "#":
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = to in pages and (not parts.fragment or unquote(parts.fragment) in ids[to])
            if not (there or (to not in pages and to.is_file())):
                broken.append(f"{path.name} -> {target}")
    assert not broken


def test_ids_are_unique_on_each_page(built):
    for page in PAGES:
        ids = ids_of(page_of(built / f"{page}.html"))
        twice = {name for name in ids if ids.count(name) > 1 and name.startswith("cxr-")}
        assert not twice, page


def test_pages_hold_no_error_and_no_path_of_this_machine(built):
    for page in PAGES:
        text = (built / f"{page}.html").read_text(encoding="utf-8")
        assert "Traceback (most recent call last)" not in text, page
        assert str(config.ROOT) not in text, page
        assert str(Path.home()) + "/" not in text, page


def test_each_table_and_figure_is_on_a_page_with_its_tier(built):
    where = {"prompting": ["Table 1"], "sft": ["Table 2", "Table 3", "Figure 1"],
             "grpo": ["Table 4", "Figure 2", "Figure 3"], "generalization": ["Table 5", "Table 6"]}  # fmt: skip
    for page, labels in where.items():
        text = (built / f"{page}.html").read_text(encoding="utf-8")
        for label in labels:
            assert f"<strong>{label}: " in text
        assert 'class="cxr-tier cxr-' in text


def test_every_page_is_listed_and_every_notebook_has_one():
    sources = {
        path.relative_to(BOOK).with_suffix("").as_posix() for path in BOOK.rglob("*.*") if path.suffix in SOURCES
    }
    assert sources == set(PAGES)
    notebooks = {path.stem for path in (config.ROOT / "notebooks").glob("*.py")} - {"05_reanalysis"}  # it has a page
    assert notebooks == {path.read_text().strip() for path in BOOK.glob("notebooks/*.executed")}


#: What looks like a result or a size: decimals, percentages, n = ..., integers of three digits and more.
NUMBER = re.compile(r"(?<![\w./-])(\d+\.\d+|\d{3,}|\d{1,3}(,\d{3})+|\d+(\.\d+)?\s?%|[nN]\s*=\s*\d+)(?![\w/-])")
REFERENCE = re.compile(r"\b[Ss]ections? \d(\.\d)*( (and|to) \d(\.\d)*)?")


def prose(text: str) -> str:
    """A chapter's own words: without head, code cells, inline code, targets of links, and section numbers."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|\{[a-z]+\}", "", text)
    return REFERENCE.sub("", text)


#: A plan fixes its numbers before there is anything to compute them from.
FIXED = {"experiment_plan"}


@pytest.mark.parametrize(
    "page", [page for page in BOOK.rglob("*.md") if page.stem not in FIXED], ids=lambda page: page.stem
)
def test_no_number_is_typed_into_prose(page):
    assert not [match[0] for match in NUMBER.finditer(prose(page.read_text(encoding="utf-8")))]


def test_the_configuration_fetches_nothing():
    text = (config.ROOT / "_config.yml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    assert settings["execute"]["execute_notebooks"] == "force"
    assert "http" not in text
    assert "://" not in settings["sphinx"]["config"]["mathjax_path"]
    assert not (BOOK / "_static").exists(), "Jupyter Book would add its scripts to every page"
