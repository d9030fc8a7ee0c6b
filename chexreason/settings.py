"""Where a setting's value comes from: the paper states it, or we assumed it.

A settings class is a frozen dataclass whose fields are declared with `paper` or `assumed`, so that
the value stands beside its source, and the book prints the table of both kinds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Origin:
    """Where a default comes from: `section` of the paper if stated, `why` if assumed."""

    stated: bool
    section: str
    why: str
    what: str


def paper(value: Any, section: str, what: str) -> Any:
    """A field whose default the paper states in `section`."""
    return field(default=value, metadata={"origin": Origin(True, section, "", what)})


def assumed(value: Any, why: str, what: str) -> Any:
    """A field whose default the paper does not state; `why` we chose it."""
    return field(default=value, metadata={"origin": Origin(False, "", why, what)})


def origins(settings: type) -> Iterator[tuple[str, Any, Origin]]:
    """(name, default, origin) of each field of a settings class, in order."""
    for entry in fields(settings):
        yield entry.name, entry.default, entry.metadata["origin"]
