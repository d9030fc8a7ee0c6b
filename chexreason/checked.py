"""Reads what a file says, and holds it against the JSON Schema that it has to follow.

YAML as its version 1.2 has numbers, no name twice, and a refusal that names the entry.
"""

import json
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker, validators

from chexreason.errors import UserError, unknown

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
