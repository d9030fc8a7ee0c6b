"""The ledger of the paper's claims, read from `ledger.yml`: a row a claim, with the effect that it rests on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from chexreason.errors import unknown
from chexreason.labels import NIH_SHARED
from companion.evidence.claims.effects import MARGIN, Effect
from companion.evidence.claims.specific import KNOWN
from companion.evidence.claims.verdicts import AVERAGING, CHECKPOINT, LABEL_SET, LARGEST, Claim

FILE = Path(__file__).with_name("ledger.yml")
#: The usual twins: what is chosen otherwise, the end of the name and of the sentence, and what is asked instead.
TWINS: Mapping[str, tuple[str, str, str, dict[str, Any]]] = {
    "micro": (AVERAGING, "micro", "by micro-F1", {"average": "micro"}),
    "last": (CHECKPOINT, "last-step", "at the last step", {"last": True}),
    "nine": (LABEL_SET, "nine", "over the nine findings that NIH has, too", {"findings": NIH_SHARED}),
    "drop": (LARGEST, "not-one-finding", "without the finding that moves most", {"drop": True}),
}


def read() -> dict[str, Claim]:
    """Every claim by name, each followed by its twins. Raises UserError for an effect that is not known."""
    groups = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    found = [one for group in groups for entry in group["claims"] for one in _claims(entry, group)]
    return {claim.name: claim for claim in found}


def _claims(entry: Mapping[str, Any], group: Mapping[str, Any]) -> list[Claim]:
    """A claim and its twins. The paper says a thing once, with one choice; a twin says it with another, and is ours."""
    effect = _effect(entry)
    given = {key: entry[key] for key in ("kind", "bar", "stated", "sharpened") if key in entry}
    first = Claim(entry["name"], entry.get("place", group["place"]), entry["says"], _words(entry, effect), effect,
                  group["topic"], entry.get("evidence", "untold"), **given)  # fmt: skip
    choices, twins = list(entry.get("see", {}).items()), []
    for twin in entry.get("twins", []):
        own = {"ending": twin} if isinstance(twin, str) else twin
        if own["ending"] in TWINS and "effect" not in own:
            choice, ending, words, other = TWINS[own["ending"]]
            changed, told, evidence = effect.asked(**other), entry, "matched" if ending == "nine" else ""
        else:
            choice, ending, words = own["choice"], own["ending"], own["words"]
            changed, told, evidence = _effect(own), own, own.get("evidence", "")
        says = own.get("says") or f"{first.says.removesuffix('.')} ({words})."
        twins.append(replace(first, name=f"{first.name}-{ending}", says=says, rests_on=_words(told, changed),
                             check=changed, evidence=evidence or first.evidence, stated=False))  # fmt: skip
        choices.append((choice, twins[-1].name))
    return [replace(first, choice=tuple(choices)), *twins]


def _effect(entry: Mapping[str, Any]) -> Effect:
    """What an entry rests on: an effect with its arguments, the name of one without, or a refusal."""
    given = entry.get("effect", {"refused": entry.get("refused")})
    effect: Effect = _built({given: []} if isinstance(given, str) else given)
    return effect


def _words(entry: Mapping[str, Any], effect: Effect) -> str:
    """The same in words: in full (`rests_on`), or after how it is asked (`compares`)."""
    words = entry["rests_on"] if "rests_on" in entry else f"{effect.how}: {entry['compares']}"
    return str(words).format(margin=MARGIN)


def _built(part: Any) -> Any:
    """An effect of {function: arguments}, the arguments a list or by name; anything else as it is."""
    if not isinstance(part, dict):
        return [_built(one) for one in part] if isinstance(part, list) else part
    ((name, given),) = part.items()
    if name not in KNOWN:
        raise unknown("effect", name, KNOWN, "companion/evidence/claims/specific.py")
    if isinstance(given, dict) and not given.keys() <= KNOWN.keys():
        return KNOWN[name](**given)
    return KNOWN[name](*(_built(one) for one in (given if isinstance(given, list) else [given])))
