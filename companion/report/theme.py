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

from companion.evidence.stats import Interval

#: Colour, dash and marker of each series, in order of use.
SERIES: tuple[tuple[str, str, str], ...] = (
    ("#0072b2", "solid", "o"),
    ("#d55e00", "dashed", "s"),
    ("#00875f", "dashdot", "^"),
    ("#b8679a", "dotted", "D"),
)
#: Stands for the page's own text colour until the drawing is done.
INK = "#010203"
#: What a reader has to know about numbers of each tier, in the words that every table carries.
TIERS: dict[str, str] = {
    "published": "the paper's own numbers",
    "miniature": "small models on drawn films, no patient; not a replication",
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


@dataclass(frozen=True)
class Prose:
    """Sentences in Markdown, for text that is computed."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __str__(self) -> str:
        return self.text

    def __add__(self, other: "Prose") -> "Prose":
        return Prose("\n\n".join(part for part in (self.text, other.text) if part))


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
STYLE = """<style>
.cxr{--cxr-text:var(--pst-color-text-base,inherit);--cxr-line:var(--pst-color-border,#8888);
--cxr-muted:var(--pst-color-text-muted,inherit);--cxr-tint:#8882;--cxr-accent:var(--pst-color-primary,#0072b2);
color:var(--cxr-text);margin:1.2em 0 1.6em;max-width:100%;text-align:left}
.cxr .cxr-scroll{overflow-x:auto;max-width:100%;-webkit-overflow-scrolling:touch}
.cxr .cxr-scroll:focus-visible{outline:2px solid var(--cxr-accent);outline-offset:2px}
.cxr .cxr-head{display:flex;flex-wrap:wrap;gap:.3em .55em;align-items:center;font-size:.85em;margin:.3em 0 .6em}
.cxr .cxr-tier{border:1.5px solid currentColor;border-radius:1em;padding:.05em .65em;font-weight:600;
white-space:nowrap}
.cxr .cxr-findings li{margin:.7em 0}
.cxr .cxr-findings .cxr-tier{font-size:.75em;padding:0 .5em}
.cxr .cxr-published{color:var(--cxr-muted)}.cxr .cxr-miniature{border-style:dashed}
.cxr .cxr-fact+.cxr-fact::before{content:"\\00b7";margin-right:.5em;opacity:.6}
.cxr .cxr-note{font-size:.85em;color:var(--cxr-muted);margin:.5em 0 0}
.cxr details.cxr-runs{font-size:.85em;margin-top:.5em}.cxr details.cxr-runs summary{cursor:pointer}
.cxr details.cxr-runs code{white-space:nowrap}
.cxr table{border-collapse:collapse;width:auto;margin:0;font-variant-numeric:tabular-nums;color:var(--cxr-text);
background:transparent;font-size:.85em;display:table}
.cxr .cxr-dense th,.cxr .cxr-dense td{padding:.26em .34em;font-size:.9em}
.cxr .cxr-dense .gt_stub{white-space:normal;min-width:7em}
.cxr th,.cxr td{padding:.28em .6em;border:0;border-bottom:1px solid var(--cxr-line);background:transparent;
text-align:right;vertical-align:baseline;white-space:nowrap}
.cxr thead th{font-weight:600;vertical-align:bottom;text-align:right}
.cxr tbody th,.cxr th.cxr-left,.cxr td.cxr-left,.cxr th.gt_left,.cxr td.gt_left{text-align:left}
.cxr tbody th,.cxr td{font-weight:400}
.cxr th.gt_column_spanner_outer{text-align:center}.cxr .gt_group_heading{font-weight:600;padding-top:.9em}
.cxr .cxr-wrap,.cxr td.cxr-left.cxr-wrap{white-space:normal;min-width:6.5em;vertical-align:top}
.cxr table.dataframe{width:max-content}
.cxr table.dataframe td{white-space:normal;max-width:18em;text-align:left;vertical-align:top}
.cxr table.dataframe th{text-align:left}
.cxr .cxr-wide{width:100%}.cxr .cxr-wide td,.cxr .cxr-wide th{vertical-align:top}
.cxr .cxr-ours{background:var(--cxr-tint)}
.cxr figcaption{font-size:.9em;margin:.4em 0 0;text-align:left;color:var(--cxr-text)}
.cxr .cxr-panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(15.5rem,100%),1fr));gap:.8rem}
.cxr .cxr-panels-3{grid-template-columns:repeat(auto-fit,minmax(min(12.5rem,100%),1fr))}
.cxr .cxr-panels-2{grid-template-columns:repeat(auto-fit,minmax(min(21rem,100%),1fr))}
.cxr .cxr-panels-1{max-width:36rem}
.cxr .cxr-panels svg{width:100%;height:auto;display:block;color:var(--cxr-text)}
.cxr .cxr-key{display:flex;flex-wrap:wrap;gap:.2em 1.1em;font-size:.85em;margin:.2em 0 .4em;padding:0;list-style:none}
.cxr .cxr-key svg{width:2.4em;height:.8em;vertical-align:middle;margin-right:.35em}
.cxr .cxr-films{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:.5rem;max-width:60rem}
.cxr .cxr-films-3,.cxr .cxr-films-6{grid-template-columns:repeat(3,minmax(0,1fr))}
figure.cxr,.cxr .cxr-films figure{margin-left:0!important;margin-right:0!important;padding:0}
.cxr .cxr-films img{width:100%;height:auto;display:block;background:#000}
.cxr .cxr-films figcaption{font-size:.8em;margin:.15em 0 .2em}
</style>"""


def block(inner: str, element: str = "div", label: str = "") -> Html:
    """A table or figure with the style it needs."""
    named = f' aria-label="{escape(label)}"' if label else ""
    return Html(f'{STYLE}<{element} class="cxr"{named}>{inner}</{element}>')
