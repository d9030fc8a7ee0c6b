"""The ledger of the paper's claims, read from `ledger.yml`: a row a claim, with the effect that it rests on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from chexreason.errors import unknown
from companion.evidence.claims import effects, specific
from companion.evidence.claims.effects import Effect, How
from companion.evidence.claims.verdicts import AVERAGING, CHECKPOINT, LABEL_SET, LARGEST, Claim

FILE = Path(__file__).with_name("ledger.yml")
#: What an entry may call with arguments; by its name alone it may call what is in `specific.ONCE` and `specific.ASKED`.
EFFECTS: Mapping[str, Callable[..., Effect]] = {
    **{one.__name__: one for one in (effects.gap, effects.lead, effects.trail, effects.between, effects.both)},
    "within": effects.within,
    "minus": lambda effect: -effect,
    "by": lambda average, effect: effect.by(average),
    "on_shared": lambda effect: effect.on_shared(),
    **specific.WITH_ARGUMENTS,
}
#: The usual twins: what is chosen otherwise, the end of the name and of the sentence, and what is asked instead.
TWINS: Mapping[str, tuple[str, str, str, Callable[[How], How]]] = {
    "micro": (AVERAGING, "micro", "by micro-F1", lambda how: replace(how, average="micro")),
    "last": (CHECKPOINT, "last-step", "at the last step", lambda how: replace(how, last=True)),
    "nine": (LABEL_SET, "nine", "over the nine findings that NIH has, too",
             lambda how: replace(how, findings=effects.NIH_SHARED)),
    "drop": (LARGEST, "not-one-finding", "without the finding that moves most", lambda how: replace(how, drop=True)),
}  # fmt: skip


def read() -> dict[str, Claim]:
    """Every claim by name, each followed by its twins. Raises UserError for an effect that is not known."""
    groups = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    found = [one for group in groups for entry in group["claims"] for one in _claims(entry, group)]
    return {claim.name: claim for claim in found}


def _claims(entry: Mapping[str, Any], group: Mapping[str, Any]) -> list[Claim]:
    """A claim and its twins. The paper says a thing once, with one choice; a twin says it with another, and is ours."""
    effect = _effect(entry)
    given = {key: entry[key] for key in ("kind", "bar", "stated", "sharpened") if key in entry}
    first = Claim(entry["name"], entry.get("place", group["place"]), entry["says"], effect.rests_on, effect,
                  group["topic"], entry.get("evidence") or effect.evidence, **given)  # fmt: skip
    choices, twins = list(entry.get("see", {}).items()), []
    for twin in entry.get("twins", []):
        own = {"ending": twin} if isinstance(twin, str) else twin
        if own["ending"] in TWINS and "effect" not in own:
            choice, ending, words, other = TWINS[own["ending"]]
            changed, evidence = replace(effect, how=other(effect.how)), "matched" if ending == "nine" else ""
        else:
            choice, ending, words, evidence = own["choice"], own["ending"], own["words"], own.get("evidence", "")
            changed = _effect(own)
        says = own.get("says") or f"{first.says.removesuffix('.')} ({words})."
        twins.append(replace(first, name=f"{first.name}-{ending}", says=says, rests_on=changed.rests_on, check=changed,
                             evidence=evidence or first.evidence, stated=False))  # fmt: skip
        choices.append((choice, twins[-1].name))
    return [replace(first, choice=tuple(choices)), *twins]


def _effect(entry: Mapping[str, Any]) -> Effect:
    """What an entry rests on, with the entry's words where it has some."""
    words, given = entry.get("rests_on", "").format(margin=effects.MARGIN), entry.get("effect", "")
    if "refused" in entry:
        return effects.refused(words, entry["refused"])
    effect: Effect = specific.called(given) if isinstance(given, str) else _built(given)
    if not words:
        return effect
    if given in [*specific.ASKED]:
        return replace(effect, plus=words)
    return replace(effect, plus="", minus="", measure=words)


def _built(part: Any) -> Any:
    """An effect of {function: arguments}, the arguments a list or by name; anything else as it is."""
    if not isinstance(part, dict):
        return [_built(one) for one in part] if isinstance(part, list) else part
    ((name, given),) = part.items()
    if name not in EFFECTS:
        raise unknown("effect", name, EFFECTS, "companion/evidence/claims/specific.py")
    if isinstance(given, dict) and not given.keys() <= EFFECTS.keys():
        return EFFECTS[name](**given)
    return EFFECTS[name](*(_built(one) for one in (given if isinstance(given, list) else [given])))
