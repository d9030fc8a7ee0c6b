"""Where a setting's value comes from (the paper states it, or we assumed it), and which values it may have.

A settings class is a frozen dataclass whose fields are declared with `paper` or `assumed`, so that the value stands
beside its source, and the book prints the table of both kinds. The text that was read lacks sections 2, 3.1 and the
beginning of 3.2: what they may state is assumed, too, and its reason says `UNREAD`. Limits are named as in JSON Schema;
without any, a number is 0 or more, and a whole number 1 or more. `checked` holds what a profile says against them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

#: The reason for assuming what would stand in a section that is missing from the text that was read.
UNREAD = "not in the text we have"


@dataclass(frozen=True)
class Origin:
    """Where a default comes from: `section` of the paper if stated, `why` if assumed."""

    stated: bool
    section: str
    why: str
    what: str


#: Of a field that was declared with neither, such as a constant of your own reward.
NO_SOURCE = Origin(False, "", "no source given", "")


def paper(value: Any, section: str, what: str, **limits: Any) -> Any:
    """A field whose default the paper states in `section`."""
    return field(default=value, metadata={"origin": Origin(True, section, "", what), "limits": limits})


def assumed(value: Any, why: str, what: str, **limits: Any) -> Any:
    """A field whose default no text that was read states; `why` we chose it."""
    return field(default=value, metadata={"origin": Origin(False, "", why, what), "limits": limits})


def origins(settings: type) -> Iterator[tuple[str, Any, Origin]]:
    """(name, default, origin) of each field that a settings class can be given, in order; state is left out."""
    for entry in fields(settings):
        if entry.init:
            yield entry.name, entry.default, entry.metadata.get("origin", NO_SOURCE)


KINDS = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


def schema_of(settings: type) -> dict[str, dict[str, Any]]:
    """name -> the JSON Schema of a setting's value: its type and limits."""
    hints, schema = get_type_hints(settings), {}
    for entry in (entry for entry in fields(settings) if entry.init):
        hint = hints[entry.name]
        kinds = [KINDS.get(kind) for kind in (get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint])]
        least = {} if "limits" not in entry.metadata else {"minimum": int("integer" in kinds)}
        known = {} if None in kinds else {"type": kinds}
        schema[entry.name] = {**known, **least, **entry.metadata.get("limits", {})}
    return schema
