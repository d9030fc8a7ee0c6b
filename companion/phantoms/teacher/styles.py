"""How each prompt's trace is written: one short function a style, from facts to the think block.

Styles follow the strategies in `prompts`, so that a trace is what its prompt asks for. They only
arrange phrases; what is said about an image was decided in `facts`.
"""

from collections.abc import Callable, Iterable

import numpy as np

from chexreason.labels import NO_FINDING
from chexreason.prompts import CHECKLIST
from companion.phantoms.teacher.facts import Facts
from companion.phantoms.teacher.phrases import REGIONS, WORDS, choose, listing, lower, sentence

Style = Callable[[Facts, np.random.Generator], str]


def _join(sentences: Iterable[str]) -> str:
    return " ".join(sentence(text) for text in sentences if text)


def _some_clear(facts: Facts, rng: np.random.Generator, least: int, most: int) -> list[str]:
    """Between `least` and `most` clear regions in their usual order, at random."""
    names = list(facts.clear)
    count = min(len(names), int(rng.integers(least, most + 1)))
    chosen = set(rng.choice(len(names), size=count, replace=False).tolist()) if count else set()
    return [facts.clear[name] for index, name in enumerate(names) if index in chosen]


def _slight(facts: Facts, rng: np.random.Generator) -> str:
    """One sentence for what is passed over, if anything is."""
    if not facts.slight:
        return ""
    phrases = listing(list(facts.slight.values()))
    return choose(rng, ("only slight {}", "slight {}, not called")).format(phrases)


def _conclusion(facts: Facts) -> str:
    return listing([lower(name) for name in facts.conclusion])


def _seen(facts: Facts, rng: np.random.Generator) -> str:
    """One sentence with everything present."""
    if not facts.present:
        return choose(rng, ("no acute abnormality", "nothing abnormal is seen"))
    opening = choose(rng, ("there is {}", "I see {}", "the film shows {}", "{}"))
    return opening.format(listing([fact.phrase for fact in facts.present]))


def free(facts: Facts, rng: np.random.Generator) -> str:
    """A concise analysis of two to four sentences; the more is wrong, the less is said of the rest."""
    count = len(facts.present)
    clear = listing(_some_clear(facts, rng, max(1, 3 - count), max(2, 8 - 2 * count)))
    closing = choose(rng, ("overall {}", "findings favour {}", "", "")).format(_conclusion(facts))
    return _join((_seen(facts, rng), _slight(facts, rng), clear, closing))


def narrative(facts: Facts, rng: np.random.Generator) -> str:
    """Flowing sentences that gather the evidence and weigh it."""
    opening = choose(rng, ("on this frontal film {}", "reading this film, {}", "looking at the chest, {}"))
    first, rest = facts.present[:2], facts.present[2:]
    if first:
        shown = choose(rng, ("I see {}", "there is {}")).format(listing([fact.phrase for fact in first]))
    else:
        shown = choose(rng, ("I see no acute abnormality", "nothing abnormal is seen"))
    added = choose(rng, ("in addition there is {}", "beside this I see {}")) if rest else ""
    normal = choose(rng, ("elsewhere {}", "the rest is quiet: {}"))
    closing = choose(rng, ("taken together, the evidence supports {}", "weighing this, the picture is {}"))
    return _join(
        (
            opening.format(shown),
            added.format(listing([fact.phrase for fact in rest])),
            _slight(facts, rng),
            normal.format(listing(_some_clear(facts, rng, 3, 5))) if facts.clear else "",
            closing.format(_conclusion(facts)),
        )
    )


def self_check(facts: Facts, rng: np.random.Generator) -> str:
    """A scan by regions, then a verdict on each candidate."""
    usual = ("devices", "heart", "airspaces", "angles", "bones")
    scan = [facts.region(name) for name in REGIONS if name in usual or name not in facts.clear]
    kept = choose(rng, ("{} confirmed", "{} holds"))
    checks = [kept.format(lower(name)) for name in facts.conclusion]
    dropped = choose(rng, ("{} rejected", "{} does not hold"))
    checks += [dropped.format(phrase) for phrase in facts.slight.values()]
    return _join((f"scan: {', '.join(scan)}", f"check: {', '.join(checks)}"))


def hypothesis(facts: Facts, rng: np.random.Generator) -> str:
    """Each candidate against its rival, then what fits best."""
    if not facts.present:
        normal = f"for normal: {listing(_some_clear(facts, rng, 3, 4))}"
        return _join(("hypotheses: a normal film or missed disease", normal, "best fit: a normal film"))
    rivals = [f"{lower(fact.finding)} or {WORDS[fact.finding].rival}" for fact in facts.present[:3]]
    signs = [f"for {lower(fact.finding)}: {fact.phrase}" for fact in facts.present[:5]]
    against = choose(rng, ("against others: {}", "other rivals fail: {}"))
    counter = against.format(listing(_some_clear(facts, rng, 1, 2))) if facts.clear else ""
    weighed = (*signs, _slight(facts, rng), counter)
    return _join((f"hypotheses: {'; '.join(rivals)}", *weighed, f"best fit: {_conclusion(facts)}"))


def checklist(facts: Facts, rng: np.random.Generator) -> str:
    """The twelve steps of Reasoning A, each a short line."""
    quality = choose(rng, ("adequate", "acceptable", "good enough"))
    airway = choose(rng, ("trachea central", "trachea midline"))
    devices, *rest = map(facts.region, REGIONS)  # CHECKLIST's steps two and four to twelve
    lines = [f"{CHECKLIST[0]} {quality}", devices, airway, *rest]
    return " ".join(f"{number}. {text}." for number, text in enumerate(lines, start=1))


def zonal(facts: Facts, rng: np.random.Generator) -> str:
    """Right and left lung zones, each abnormality told from its look-alike."""
    lungs = facts.at("Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis")

    def zones(side: str) -> str:
        seen = [fact.phrase for fact in lungs if fact.side in (side, "both", "")]
        return f"{side} zones: {listing(seen) if seen else choose(rng, ('clear', 'upper to lower clear'))}"

    told = choose(rng, ("{} rather than {}", "{}, not {}"))
    apart = [told.format(lower(fact.finding), WORDS[fact.finding].rival) for fact in lungs[:3]]
    rest = [facts.region(name) for name in ("heart", "mediastinum", "pleura", "angles", "bones", "devices")]
    return _join((zones("right"), zones("left"), *apart, f"then {', '.join(rest)}"))


#: Findings that the matrix may rate low.
_OFTEN_ASKED = ("Edema", "Pneumothorax", "Fracture", "Pneumonia")


def matrix(facts: Facts, rng: np.random.Generator) -> str:
    """The evidence, then labels with their confidence."""
    rows = [f"{lower(fact.finding)} {'high' if fact.severity >= 0.4 else 'medium'}" for fact in facts.present]
    rows += [f"{lower(NO_FINDING)} high"] if NO_FINDING in facts.conclusion else []
    low = [name for name in _OFTEN_ASKED if name not in facts.conclusion]
    rows += [f"{lower(name)} low" for name in low[: int(rng.integers(1, 3))]]
    evidence = [fact.phrase for fact in facts.present] + _some_clear(facts, rng, 2, 4)
    return _join((f"evidence: {'; '.join(evidence)}", _slight(facts, rng), f"matrix: {'; '.join(rows)}"))


def criteria(facts: Facts, rng: np.random.Generator) -> str:
    """Each label in question held against its definition."""
    met = choose(rng, ("met", "criterion met"))
    lines = [f"{lower(fact.finding)}: {WORDS[fact.finding].criterion}, {met}" for fact in facts.present]
    absent = [name for name in WORDS if name not in facts.conclusion]
    count = max(1, int(rng.integers(2, 5)) - len(lines) // 2)
    picked = sorted(rng.choice(len(absent), size=min(count, len(absent)), replace=False).tolist())
    lines += [f"{lower(absent[index])}: {WORDS[absent[index]].criterion}, not met" for index in picked]
    return _join((*lines, _slight(facts, rng)))


def second_look(facts: Facts, rng: np.random.Generator) -> str:
    """A first look, then the blind spots."""
    missable = facts.at("Pneumothorax", "Lung Lesion", "Fracture", "Pleural Other", "Atelectasis")
    first = [fact.phrase for fact in facts.present if fact not in missable]
    spots = [("apices", "Pneumothorax", "Pleural Other"), ("hila", "Lung Lesion"), ("behind the heart", "Atelectasis")]
    spots += [("ribs", "Fracture")]
    quiet = choose(rng, ("clear", "nothing added"))
    second = [f"{spot} {listing([f.phrase for f in facts.at(*homes)]) or quiet}" for spot, *homes in spots]
    opening = listing(first) if first else choose(rng, ("nothing abnormal", "no obvious abnormality"))
    looks = (f"first look: {opening}", listing(_some_clear(facts, rng, 1, 3)), _slight(facts, rng))
    return _join((*looks, f"second look: {', '.join(second)}, below the diaphragm {quiet}"))


def differential(facts: Facts, rng: np.random.Generator) -> str:
    """For each abnormality the likely cause, an alternative, and which is favoured."""
    favoured = choose(rng, ("{} or {}, first favoured", "{} favoured over {}"))
    lines = [
        f"{fact.phrase}: {favoured.format(lower(fact.finding), WORDS[fact.finding].rival)}"
        for fact in facts.present[:5]
    ]
    lines = lines or [choose(rng, ("no abnormality needs a differential", "nothing abnormal to explain"))]
    others = (_slight(facts, rng), listing(_some_clear(facts, rng, 1, 3)))
    return _join((*lines, *others, f"conclusion: {_conclusion(facts)}"))


#: prompt name -> style. NV-Reason's own prompt is answered concisely.
STYLES: dict[str, Style] = {
    "reasoning_narrative": narrative,
    "reasoning_self_check": self_check,
    "reasoning_hypothesis": hypothesis,
    "reasoning_a": checklist,
    "reasoning_b": zonal,
    "reasoning_c": matrix,
    "reasoning_d": criteria,
    "reasoning_e": second_look,
    "reasoning_f": differential,
    "free_reasoning": free,
    "nv_reason": free,
}
