"""Where a setting's value comes from (the paper states it, or we assumed it), and which values it may have.

A settings class is a frozen dataclass whose fields are declared with `paper` or `assumed`, so that the value stands
beside its source, and the book prints the table of both kinds. The text that was read lacks sections 2, 3.1 and the
beginning of 3.2: what they may state is assumed, too, and its reason says `UNREAD`. Limits are named as in JSON Schema;
without any, a number is 0 or more, and a whole number 1 or more. `parse` and `check` read what a profile says.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml
from jsonschema import Draft202012Validator, FormatChecker, validators

from chexreason.errors import UserError, unknown

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
#: JSON Schema where true and 1.0 are no whole numbers, and neither infinity nor what is no number at all is a number.
Strict = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({
        "integer": lambda checker, value: type(value) is int,
        "number": lambda checker, value: type(value) in (int, float) and -1e300 < value < 1e300,
    }),
)  # fmt: skip


def once(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """A mapping of the pairs; UserError for a name that stands twice."""
    made: dict[Any, Any] = {}
    for name, value in pairs:
        if name in made:
            raise UserError("each name once", f"{name} twice", "remove one of the two")
        made[name] = value
    return made


class Loader(yaml.SafeLoader):
    """YAML that reads 1e-3 as a number and 010 as ten, as YAML 1.2 does, and refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The keys with their values."""
        once((str(key.value), key) for key, _ in node.value)
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))
Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))  # no octals, and 1:30 is none
Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(re.sub(r"\.(?=[in])", "", node.value.lower())))


def parse(text: str | bytes, where: str, as_json: bool = False) -> Any:
    """What a text in YAML, or in JSON, holds; UserError for one that cannot be read, or not be written as JSON."""
    try:
        value = json.loads(text, object_pairs_hook=once) if as_json else yaml.load(text, Loader)
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError, TypeError) as error:
        raise UserError(f"a text that can be read in {where}", str(error), "correct it") from None


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


def check(
    value: Any, schema: Mapping[str, Any], where: str, at: str = "", known: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Raise UserError unless `value`, the entry `at` of the file `where`, is as the JSON Schema asks.

    A string whose `format` is a kind of `known` names has to be one of them.
    """
    names = FormatChecker(())
    for kind, members in known.items():
        names.checks(kind)(members.__contains__)
    for error in Strict(schema, format_checker=names).iter_errors(value):
        if error.validator == "format":
            kind = error.validator_value
            raise unknown(f"{kind} in {where}", error.instance, known[kind], error.schema["description"])
        place = ".".join(filter(None, [at, *map(str, error.absolute_path)]))[-39:]
        wanted = f"a valid entry {place} in {where}" if place else f"keys with values in {where}"
        raise UserError(wanted, f"an invalid one ({error.message})", "correct it")
