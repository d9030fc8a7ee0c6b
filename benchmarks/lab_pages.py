"""How soon the laboratory's pages answer: from disk, in headless Chromium, each opened five times.

    python benchmarks/lab_pages.py [FOLDER OF THE BUILT BOOK]

`scripts` is from the parsed page to the end of its scripts, when it can be used; `change` a choice with all that
follows from it; both in milliseconds, the median of five. `data` is what the page's scripts weigh.
"""

import re
import shutil
import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

#: Page -> a choice of it, and another value.
CHANGES = {
    "xrays": ("select[name=at]", "B"), "try_reward": ("select[name=name]", "nuanced"),
    "compare_runs": ("select[name=policy]", "ones"), "exercises": ("", ""),
}  # fmt: skip
TIMES = 5


def measured(page, place: Path, choice: str, value: str) -> tuple[float, float]:
    """Milliseconds of the scripts, and of a change."""
    page.goto(place.as_uri(), wait_until="load")
    scripts = page.evaluate("""() => { const at = performance.getEntriesByType('navigation')[0];
        return at.domContentLoadedEventEnd - at.domInteractive; }""")
    if not choice:
        return scripts, float("nan")
    change = """([choice, value]) => { const one = document.querySelector(choice), from = performance.now();
        one.value = value; one.dispatchEvent(new Event('change')); document.body.offsetHeight;
        return performance.now() - from; }"""
    return scripts, page.evaluate(change, [choice, value])


def main() -> None:
    """Print a row a page."""
    book = Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html").resolve()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    print(f"{'page':14}{'scripts':>9}{'change':>9}{'data':>10}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (choice, value) in CHANGES.items():
            place = book / f"{name}.html"
            loaded = re.findall(r'src="(_static/lab/[\w-]+\.js)"', place.read_text(encoding="utf-8"))
            weight = sum((book / one).stat().st_size for one in loaded)
            times = []
            for _ in range(TIMES):
                page = browser.new_page()
                times.append(measured(page, place, choice, value))
                page.close()
            scripts, change = map(statistics.median, zip(*times, strict=True))
            print(f"{name:14}{scripts:7.0f}ms{change:7.0f}ms{weight / 1e6:8.2f}MB")
        browser.close()


if __name__ == "__main__":
    main()
