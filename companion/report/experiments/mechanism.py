"""Questions 2 and 3 of the second experiment: what leads back to the base, and does it align to a convention?

The rules are the plan's (book/experiment_plan.md); all sentences follow from the values.
"""

from functools import cache

from companion.evidence import trainings
from companion.evidence.trainings import Change
from companion.experiment import plan
from companion.experiment.scores import Cell, own
from companion.report.experiments import kept
from companion.report.experiments.kept import answers
from companion.report.plots import Values, picture
from companion.report.theme import Html, spoken

#: Reference policy -> the middle of the names of its arms; treatment -> the end of the names.
REFERENCE_POLICIES = {"reference: SFT": "sft", "reference: untouched base": "base"}
TREATMENTS = {
    "reward of zero": "plain-zero", "hard": "plain-hard", "hard, divided by spread": "scaled-hard",
    "nuanced": "plain-nuanced", "nuanced, divided by spread": "scaled-nuanced",
}  # fmt: skip
BACK = (
    "base",
    "sft",
    *(f"back-{policy}-{what}" for policy in REFERENCE_POLICIES.values() for what in TREATMENTS.values()),
)
#: Whose labels pay -> how a figure names them. The first three are conventions of labelling.
PAYING = {
    "report": "A's reports",
    "radiologist": "B's radiologist",
    "text-mined": "C's text mining",
    "visible": "what was drawn",
}
CONVENTIONS = tuple(PAYING)[:3]
CREDIT = ("sft", *(f"credit-{name}" for name in PAYING))
#: From what on an alignment counts, in micro-F1 (the plan).
COUNTS = 0.01


def back_figure() -> Html:
    """How near each arm's answers come to the base's, at B and at A, for either reference policy."""
    if kept.missing(BACK):
        return kept.waiting(BACK)
    panels = {
        f"Hospital {hospital}": {"where all start": {"SFT": _near("sft", hospital)}} | {
            policy: {what: _near(f"back-{middle}-{end}", hospital) for what, end in TREATMENTS.items()}
            for policy, middle in REFERENCE_POLICIES.items()
        }
        for hospital in "BA"
    }  # fmt: skip
    return picture(
        "What leads back to the base?", kept.head(plan.SOME, f"{plan.SHORT} rewarded studies", hospitals="BA"), panels,
        "nearness to the base's answers",
        "Jaccard similarity of all 14 labels between an answer of the arm and one of the untouched base to the same "
        "image. B decides. Bars: 95 % over patients and trainings, uncorrected.",
        line=None,
    )  # fmt: skip


def _near(arm: str, hospital: str) -> Change:
    return answers().nearness({arm: 1.0}, "base", own(hospital))


@cache
def back() -> dict[str, Change]:
    """The primary contrasts of question 2 and the two sums that decide between them, all at B."""
    a = {"back-base-plain-zero": 1.0, "back-sft-plain-zero": -1.0}
    b = {"back-base-plain-hard": 1.0, "back-sft-plain-hard": -1.0}
    sums = {"zero": a, "hard": b}
    sums |= {f"zero less {name} of hard": a | {arm: -share * w for arm, w in b.items()}
             for name, share in (("half", 1 / 2), ("a quarter", 1 / 4))}  # fmt: skip
    return {name: answers().nearness(weights, "base", own("B")) for name, weights in sums.items()}


def back_side(found: dict[str, Change]) -> str:
    """Whether the evidence is "for" the reference as the mechanism, "against" it or "undecided"."""
    held = trainings.holm({name: found[name] for name in ("zero", "hard")})
    above = {name: held[name] and found[name].estimate > 0 for name in held}
    if all(above.values()) and found["zero less half of hard"].low > 0:
        return "for"
    return "against" if above["hard"] and found["zero less a quarter of hard"].high < 0 else "undecided"


def back_verdict() -> str:
    """What question 2 says, in a sentence."""
    if lack := kept.missing(BACK):
        return lack
    found = back()
    changes = (
        f"with the untouched base as reference answers are nearer to the base's by {spoken(found['zero'])} without any "
        f"reward, and by {spoken(found['hard'])} with the hard one"
    )
    return {
        "for": f"The reference alone leads back to the base: {changes}.",
        "against": f"It takes the reward to lead back to the base: {changes}.",
        "undecided": f"What leads back to the base is undecided: {changes}.",
    }[back_side(found)]


def credit_figure() -> Html:
    """The change of micro-F1 from SFT of each arm, held against each convention and what was drawn."""
    if kept.missing(CREDIT):
        return kept.waiting(CREDIT)

    def gains(held: str) -> dict[str, Change]:
        cell = Cell("A", "A", held)
        return {
            f"paid by {paid}": answers().change("micro-F1", f"credit-{whose}", "sft", cell)
            for whose, paid in PAYING.items()
        }

    panels: dict[str, Values] = {f"Held against {held}": {"": gains(name)} for name, held in PAYING.items()}
    return picture(
        "Does reinforcement align to the convention that pays?", kept.head(plan.SOME, hospitals="A"), panels,
        "change of micro-F1 since SFT",
        "Hospital A's patients and images; the same answers held against four kinds of labels. If reinforcement aligns "
        "to a convention, each arm gains most where it is held against what paid it. Bars: 95 % over patients and "
        "trainings, uncorrected.",
    )  # fmt: skip


@cache
def credit() -> dict[str, Change]:
    """The primary contrasts of question 3: the diagonal less the rest, of micro-F1 and of the seeing part."""
    weights = {
        (f"credit-{arm}", Cell("A", "A", held)): 1 / 3 if arm == held else -1 / 6
        for arm in CONVENTIONS for held in CONVENTIONS
    }  # fmt: skip
    return {"said": answers().weighted("micro-F1", weights), "seen": answers().part("seeing", weights, "sft")}


def credit_side(found: dict[str, Change]) -> str:
    """Whether the evidence is "for" alignment (of what is seen, or said, or open), "against" it or "undecided"."""
    said, seen = found["said"], found["seen"]
    if trainings.holm(found)["said"] and said.low > COUNTS:
        return "for, seen" if seen.low > COUNTS else "for, said" if max(-seen.low, seen.high) < COUNTS else "for, open"
    return "against" if said.high < COUNTS else "undecided"


def credit_verdict() -> str:
    """What question 3 says, in a sentence."""
    if lack := kept.missing(CREDIT):
        return lack
    found = credit()
    aligns = "Reinforcement aligns to the convention that pays"
    gain = f"an arm gains {spoken(found['said'])} micro-F1 more by the convention that pays than by the others"
    part = f"of it {spoken(found['seen'])} by seeing"
    return {
        "for, seen": f"{aligns}, also in what is seen: {gain}, {part}.",
        "for, said": f"{aligns} in what is said, not in what is seen: {gain}, {part}.",
        "for, open": f"{aligns}; whether in what is seen stays open: {gain}, {part}.",
        "against": f"Reinforcement does not align to the convention that pays by as much as counts ({COUNTS}): {gain}.",
        "undecided": f"Whether reinforcement aligns to the convention that pays is undecided: {gain}.",
    }[credit_side(found)]
