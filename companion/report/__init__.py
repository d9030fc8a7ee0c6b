"""Every table, figure and sentence of the book; the only part of the package that its pages import.

`evidence` reads the paper's values and a profile's runs, `tables` and `figures` draw them (Tables 1 to 6, Figures 1
to 3), `sentences` and `abroad` say what they say, `leads` what may be called best, `paired` sets runs against one
another, `differences` and `failures` take a change apart, `front_page` sums up, the `audit_*` modules and
`verdict_table` show what the paper's own numbers support, `experiments` what our experiment says, `recipes` how others
train, `pages`, `phantoms`, `data_card` and `notebooks` fill the pages about settings, prompts, data, models, films,
their card and executed notebooks; `cooccurrence` holds the phantoms' labels against published counts. Nothing here
trains or decodes, and torch is not imported, so that the book builds without it.

Each page of the book is a kernel of its own that needs a part of this; so a part is imported when it is first
asked for, which saves about a second a page.
"""

from importlib import import_module
from typing import Any

#: What pages and notebooks ask for -> the module that has it.
HOMES = {
    "experiment": "front_page",
    "figure": "figures",
    "frame_table": "tables",
    "front": "front_page",
    "ledger": "verdict_table",
    "other_test_sets": "tables",
    "recorded_and_visible": "visible",
    "runs_table": "tables",
    "settings_table": "settings",
    "shared_findings": "tables",
    "table": "tables",
    "tiers": "front_page",
}
PARTS = (
    "abroad",
    "audit_counts",
    "audit_figures",
    "audit_lists",
    "audit_pages",
    "audit_sure",
    "costs",
    "differences",
    "experiments",
    "failures",
    "pages",
    "recipes",
    "sentences",
)


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    if name in PARTS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
