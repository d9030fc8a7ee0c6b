"""How the book reads and what it weighs: words, sentences, figures to be taken along, and the printed argument."""

import base64
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import prose
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page
from test_book import PAGES, PATIENCE, browser, built, page_of  # noqa: F401

pytestmark = pytest.mark.browser
#: Plans keep the words in which they were registered; a notebook shows what it ran.
KEPT = {"plan", "experiment_plan"}
READ = [page for page in PAGES if page not in KEPT and not page.startswith("notebooks/")]
LONGEST, EASE, FRONT, WHOLE = 30, 55, 500, 25_000
#: Bytes of a page with all that it loads at once, on average.
HEAVY = 1_500_000


def read(built: Path, page: str) -> prose.Prose:  # noqa: F811
    article = page_of(built / f"{page}.html").select_one("article.bd-article")
    assert article is not None
    return prose.read(article)


@pytest.mark.parametrize("page", READ)
def test_sentences_are_short_and_words_plain(page, built):  # noqa: F811
    said = read(built, page)
    assert said.longer_than(LONGEST) == []
    assert not said.words or said.ease >= EASE


def test_the_front_page_is_read_in_five_minutes_and_the_book_in_two_hours(built):  # noqa: F811
    words = {page: read(built, page).words for page in PAGES if not page.startswith("notebooks/")}
    assert words["index"] <= FRONT
    assert sum(words.values()) <= WHOLE


def test_prose_is_told_from_what_is_none():
    page = BeautifulSoup(
        "<p>Two words. It costs 0.25, e.g. here.</p><pre>a b c</pre><ul><li>One<p>Two.</p></li></ul>", "html.parser"
    )
    assert prose.read(page).sentences == [
        ["Two", "words."], ["It", "costs", "0.25,", "e.g", "here."], ["One"], ["Two."]
    ]  # fmt: skip


def test_pages_are_light(built):  # noqa: F811
    weights = []
    for page in PAGES:
        place = built / f"{page}.html"
        parts = {place}
        for found in page_of(place).select("script[src], link[rel=stylesheet], img[src]"):
            address = str(found.get("src") or found.get("href")).split("?")[0]
            if not address.startswith(("data:", "http")):
                parts.add((place.parent / address).resolve())
        weights.append(sum(part.stat().st_size for part in parts if part.is_file()))
    assert sum(weights) / len(weights) < HEAVY


@pytest.fixture(scope="module")
def argument(built, browser: Browser) -> Iterator[Page]:  # noqa: F811
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto((built / "argument.html").as_uri())
    yield page
    context.close()


def test_each_figure_of_the_argument_can_be_taken_along(argument, tmp_path):
    figures = argument.locator("figure.cxr")
    assert figures.count() == 8
    for k in range(8):
        figure = figures.nth(k)
        heading = argument.locator("article h2").nth(k).inner_text().rstrip("#").strip()
        assert heading.startswith(f"{k + 1}. ")
        assert figure.get_attribute("id") == f"exhibit-{k + 1}"
        assert figure.locator(".cxr-take a", has_text="link").get_attribute("href") == f"#exhibit-{k + 1}"
        for kind in ("SVG", "PNG"):
            with argument.expect_download() as waited:
                figure.locator("button", has_text=kind).click()
            waited.value.save_as(tmp_path / waited.value.suggested_filename)
        drawing = BeautifulSoup((tmp_path / f"exhibit-{k + 1}.svg").read_text(encoding="utf-8"), "html.parser")
        assert heading in " ".join(text.get_text() for text in drawing.select("text"))
        assert f"argument.html#exhibit-{k + 1}" in drawing.get_text()
        picture = (tmp_path / f"exhibit-{k + 1}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert int.from_bytes(picture[16:20], "big") >= 900  # pixels wide: enough for print
        href = str(figure.locator("a[download]").get_attribute("href"))
        rows = list(csv.DictReader(io.StringIO(base64.b64decode(href.partition(",")[2]).decode())))
        assert len(rows) >= 4


def test_numbers_of_a_figure_are_those_that_are_read_out(argument):
    figure = argument.locator("#exhibit-2")
    href = str(figure.locator("a[download]").get_attribute("href"))
    rows = csv.DictReader(io.StringIO(base64.b64decode(href.partition(",")[2]).decode()))
    aloud = str(figure.locator("svg[role=img]").get_attribute("aria-label"))
    told = {name: value for one in aloud.partition(". ")[2].split("; ") for name, value in [one.rsplit(", ", 1)]}
    assert told == {row["row"]: f"{float(row['estimate']):.3f}" for row in rows}


def test_text_in_figures_is_text_and_not_small_on_a_phone(built, browser: Browser):  # noqa: F811
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    for name in ("index", "argument", "audit", "grpo"):
        page.goto((built / f"{name}.html").as_uri())
        sizes = page.evaluate("""() => [...document.querySelectorAll('figure.cxr svg text')].map((text) => {
            const scale = text.getScreenCTM();
            return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(scale.a, scale.b);
        })""")
        assert len(sizes) > 10
        assert min(sizes) >= 8.99, name
    context.close()


def test_the_argument_is_there_to_print(built):  # noqa: F811
    link = page_of(built / "argument.html").select_one(".cxr-pdf")
    assert link is not None
    assert not link.has_attr("hidden")
    assert (built / "argument.pdf").read_bytes().startswith(b"%PDF")
