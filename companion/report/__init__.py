"""Every table and figure of the book, and what depends on their values; the only part of the package that its
pages import.

`evidence` reads the paper's values and a profile's runs; `frames` and `plots` build tables and figures of any kind;
`tables`, `beside` and `figures` are the paper's, `conclusions` and `leads` say what may be concluded from them,
`experiments` what our experiment says, the `audit_*` modules what the paper's own numbers support; the others fill one
page each. Nothing here trains or decodes, and torch is not imported, so that the book builds without it.

Each page of the book is a kernel of its own that needs a part of this; so a part is imported when it is first
asked for, which saves about a second a page.
"""

from importlib import import_module
from typing import Any

#: What notebooks and pages ask for -> the module that has it.
HOMES = {
    "figure": "figures",
    "frame_table": "frames",
    "other_test_sets": "beside",
    "runs_table": "frames",
    "settings_table": "settings",
    "table": "tables",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
