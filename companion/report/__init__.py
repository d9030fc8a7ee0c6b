"""Every table and figure of the book, and what depends on their values; the only part of the package that its
pages import.

`evidence` reads the paper's values and a profile's runs; `frames` and `plots` build tables and figures of any kind;
`tables`, `beside` and `figures` are the paper's, `conclusions`, `leads` and `paired` say what may be concluded from
them, `experiments` what our experiment says, the `audit_*` modules what the paper's own numbers support; the others
fill one page each. Nothing here trains or decodes, and torch is not imported, so that the book builds without it.

Each page of the book is a kernel of its own that needs a part of this; so a part is imported when it is first
asked for, which saves about a second a page.
"""

from importlib import import_module
from typing import Any

#: What pages and notebooks ask for -> the module that has it.
HOMES = {
    "figure": "figures",
    "frame_table": "frames",
    "ledger": "verdict_table",
    "other_test_sets": "beside",
    "recorded_and_visible": "beside",
    "runs_table": "frames",
    "settings_table": "settings",
    "shared_findings": "beside",
    "table": "tables",
}
PARTS = (
    "audit_counts",
    "audit_figures",
    "audit_lists",
    "audit_pages",
    "audit_sure",
    "conclusions",
    "costs",
    "differences",
    "experiments",
    "failures",
    "pages",
    "recipes",
)


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    if name in PARTS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
