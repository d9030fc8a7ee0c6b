"""How tables and figures look: colours, badges and the wrapper that makes them fit any screen.

What is shown has to work in the book and in a notebook, light and dark, on a desk and on a phone.
So nothing has a white background: text and lines take the colour of the page (`currentColor`), and
the series colours keep a contrast of at least 3 to 1 on white and on the book's dark grey alike. They
follow Okabe and Ito's colour-blind-safe set, darkened or lightened to that end; each series also has
a dash and a marker of its own.
"""

import html
import itertools
from dataclasses import dataclass
from pathlib import Path

from companion.evidence.stats import Interval

#: Colour, dash and marker of each series, in order of use.
SERIES: tuple[tuple[str, str, str], ...] = (
    ("#0072b2", "solid", "o"),
    ("#d55e00", "dashed", "s"),
    ("#00875f", "dashdot", "^"),
    ("#b8679a", "dotted", "D"),
)
#: The first of these by name.
BLUE, ORANGE, GREEN, PINK = (colour for colour, _, _ in SERIES)
#: Stands for the page's own text colour until the drawing is done.
INK = "#010203"
#: What a reader has to know about numbers of each tier, in the words that every table carries.
TIERS: dict[str, str] = {
    "published": "the paper's own numbers",
    "miniature": "small models on drawn images, no patient; not a replication",
    "replication": "the paper's models on the real data sets",
}
_counter = itertools.count(1)


@dataclass(frozen=True)
class Html:
    """A piece of a page; Jupyter and the book show it as it is."""

    text: str

    def _repr_html_(self) -> str:
        return self.text

    def __add__(self, other: "Html") -> "Html":
        return Html(self.text + other.text)


def escape(text: object) -> str:
    """Text made safe for HTML, attributes included."""
    return html.escape(str(text), quote=True)


def fresh_id(kind: str) -> str:
    """An id that no other element of this process has, such as cxr-table-3."""
    return f"cxr-{kind}-{next(_counter)}"


def badge(tier: str, *facts: str) -> str:
    """The tier as a coloured label, followed by facts such as the profile, n and the seed."""
    rest = "".join(f'<span class="cxr-fact">{escape(fact)}</span>' for fact in facts if fact)
    return f'<span class="cxr-tier cxr-{escape(tier)}" title="{escape(TIERS[tier])}">{escape(tier)}</span>{rest}'


def scrolling(inner: str, label: str, dense: bool = False) -> str:
    """A region that scrolls by itself when its content is wider than the page; reachable by keyboard.

    `dense` is for tables of many columns.
    """
    kind = "cxr-scroll cxr-dense" if dense else "cxr-scroll"
    return f'<div class="{kind}" role="region" tabindex="0" aria-label="{escape(label)}">{inner}</div>'


def decimal(value: float | None, digits: int = 3) -> str:
    """A score as the paper writes it, or a dash where there is none.

    >>> decimal(0.25), decimal(None)
    ('0.250', '–')
    """
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign, the minus a real one.

    >>> signed(-0.0564), signed(0.0)
    ('−0.056', '+0.000')
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def spoken(value: Interval | str, digits: int = 3) -> str:
    """An estimate with its interval, or why there is none, as text."""
    if isinstance(value, str):
        return f"not compared ({value})"
    return f"{signed(value.estimate, digits)} ({signed(value.low, digits)} to {signed(value.high, digits)})"


def percent(share: float) -> str:
    """A relative change in whole percent, the minus a real one.

    >>> percent(-0.187)
    '−19%'
    """
    return f"{share:+.0%}".replace("-", "−")


#: Sent along with every table and figure, so that a notebook shows them as the book does.
STYLE = f"<style>\n{Path(__file__).with_name('theme.css').read_text(encoding='utf-8')}</style>"


def block(inner: str, element: str = "div", anchor: str = "") -> Html:
    """A table or figure with the style it needs; `anchor` is the id that an address can lead to."""
    known = f' id="{escape(anchor)}"' if anchor else ""
    return Html(f'{STYLE}<{element} class="cxr"{known}>{inner}</{element}>')
