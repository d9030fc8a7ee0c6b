"""What the audit's chapters say: sentences over computed values, and the picture of all verdicts.

Two readers are spoken to, a clinician and an engineer; both get the same numbers. Every sentence here reads
`companion.evidence.audit` and `companion.evidence.claims`, so that it changes with them.
"""

from collections import Counter
from collections.abc import Mapping

from matplotlib.axes import Axes

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence import frames
from companion.evidence.audit import (
    attainability,
    differences,
    facts,
    matched,
    operating,
    power,
)
from companion.evidence.audit.arithmetic import AGREES, ALONE, DEPENDS, ERROR, ROUNDING, UNBORNE
from companion.evidence.audit.uncertainty import CORRELATIONS, LEVEL, PAIRED
from companion.evidence.claims import (
    CHANCE,
    CHOICES,
    CLAIMS,
    FAILS,
    HOLDS,
    NOT_RUN,
    OTHERWISE,
    REFUSED,
    RESTS,
    Outcome,
    open_runs,
)
from companion.evidence.claims.calibration import calibrate
from companion.evidence.claims.views import UNSTATED
from companion.evidence.tables import MODELS, beside, read_runs
from companion.evidence.tables import profile as shown_profile
from companion.report import audit_figures as drawn
from companion.report import verdict_table
from companion.report.audit_sure import rough
from companion.report.theme import INK, Html, Prose, decimal, signed


def in_short() -> Prose:
    """The first paragraph: where the claims stand, what turns them, and what is left of the verdicts."""
    paper = verdict_table.stated(verdict_table.judged(None))
    count = verdict_table.standings(paper)
    turned = Counter(kind for one in paper.values() for kind in dict.fromkeys(kind for kind, _ in one.turned_by))
    choices = ", ".join(f"{turned[kind]} of {kind}" for kind in CHOICES if turned[kind])
    told = [one for one in paper.values() if one.by_correlation and one.verdict != CHANCE]
    counted = sum(one.standing == HOLDS and one.reason == "as counted" for one in paper.values())
    lasting, jointly = (sum(kept) for kept in zip(*((one.survives, one.together) for one in told), strict=True))
    return Prose(
        f"Of {len(paper)} claims of the paper, its own tables bear out {count[HOLDS]} ({counted} of them as counted, "
        f"without an interval) and contradict {count[FAILS]}, "
        f"whichever way the tables are read. {count[RESTS]} depend on a choice: with another one that the same "
        f"tables allow they come out otherwise ({choices}; some on several). Of the rest, {count[CHANCE]} are no "
        f"larger than chance could make them, {count[OTHERWISE]} are not as we read them (the margin is ours, not the "
        f"paper's), and {count[REFUSED]} cannot be tested: they compare what cannot be compared, or rest on what is "
        f"not in the text we have. Of the {len(told)} verdicts beyond chance, those that a choice "
        f"turns among them, {lasting} are the same however alike two models err on the same studies (correlations of "
        f"{min(CORRELATIONS):g} to {max(CORRELATIONS):g}), and {jointly} stand with all "
        f"{max(one.tests for one in told)} tests taken together. "
        "Every claim has its row on the next page."
    )


#: A standing's colour and hatch; a reader without colours has the hatch and the sign.
LOOKS = {
    HOLDS: (drawn.BLUE, ""),
    RESTS: (drawn.GREEN, "||||"),
    CHANCE: ("none", ""),
    FAILS: (drawn.ORANGE, "////"),
    OTHERWISE: ("none", "\\\\\\\\"),
    REFUSED: ("none", "xx"),
    NOT_RUN: ("none", ".."),
}


def overview() -> Html:
    """Where the claims stand by topic, on the paper and on the runs that the book shows."""
    paper = verdict_table.judged(None)
    sides = [("the paper's tables", paper, ("published", *drawn.provenance(), f"each at {LEVEL:.0%}"))]
    for shown in (*beside(shown_profile()), verdict_table.EXPERIMENT):
        if ours := verdict_table.judged(shown):
            tier = next(iter(ours.values())).tier
            sides.append((f"our runs ({shown}, {tier})", ours, (tier, shown, f"each at {LEVEL:.0%}")))
    panels = [(_standings(title, verdict_table.stated(found)), tier) for title, found, tier in sides]
    stated = verdict_table.stated(paper)
    count = verdict_table.standings(stated)
    caption = (
        f"{len(stated)} claims by topic, each in one class; {len(CLAIMS) - len(stated)} readings of ours, most of them "
        f"the same claims with another choice, are not counted. A claim that a choice turns is counted as such, "
        f"whatever its verdict. {count[HOLDS]} of the claims stand on the paper's own numbers whichever way these are "
        "read."
    )
    return drawn.picture("Every claim, judged", panels, caption, "verdicts")


def _standings(title: str, found: Mapping[str, Outcome]) -> str:
    """Bars by topic, and the same in words."""
    topics = list(dict.fromkeys(CLAIMS[name].topic for name in found))

    def draw(axes: Axes) -> str:
        left = [0] * len(topics)
        for where, (colour, hatch) in LOOKS.items():
            count = Counter(CLAIMS[name].topic for name, one in found.items() if one.standing == where)
            many = [count[topic] for topic in topics]
            axes.barh(range(len(topics)), many, left=left, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.6,
                      label=f"{verdict_table.SIGNS[where]} {where}")  # fmt: skip
            left = [a + b for a, b in zip(left, many, strict=True)]
        drawn.rows_named(axes, topics)
        said = ", ".join(f"{where} {n}" for where, n in verdict_table.standings(found).items())
        return f"Where the claims stand on {title}: {said}."

    return drawn.panel(f"On {title}", draw, 3.1, xlabel="claims")


def for_a_clinician() -> Prose:
    """What matters to a radiologist."""
    crossing, fall = matched.crossings(), matched.waterfall(5, "medgemma_sft", "chexreason")
    near, n = facts.supports("chexpert", "test", FINDINGS), facts.size("chexpert", "test")
    rarest, commonest = min(near, key=near.__getitem__), max(near, key=near.__getitem__)
    radiologists = [one.macro for one in facts.readers("chexpert") if one.line == "radiologists"]
    best = {model: facts.value(5, "macro", model) for model in MODELS}
    beaten = sum(value < min(radiologists) for value in best.values())
    return Prose(
        f"Of the five models, {beaten} score below each of three radiologists on the same studies, if Table 5 is on "
        f"the official test set. "
        "The one that scores above them was tested on this very set while it was developed, say its developers. "
        f"The gain of reinforcement learning on CheXpert ({signed(fall.change)}) is largest for "
        f"{fall.largest.finding}; without it {signed(fall.without_largest())} is left. The "
        f"average counts {rarest}, seen in {near[rarest]:.0f} of {n} patients, as much as {commonest}, seen in "
        f"{near[commonest]:.0f}. On the findings that both "
        f"hospitals record, the untouched MedGemma loses {-crossing['medgemma'].matched:.0%} on the way and "
        f"ChexReason {-crossing['chexreason'].matched:.0%}; which falls more cannot be said. None of this shows a "
        f"model that could read a "
        "patient's image."
    )


def crossing_said() -> Prose:
    """What makes SFT's rise and ChexReason's fall from one hospital to the other."""
    rise, fall = (matched.crossing_waterfall(model) for model in matched.CROSSING)
    first, second = sorted(rise.parts, key=lambda part: -part.share)[:2]
    return Prose(
        f"SFT's rise from CheXpert to NIH ({signed(rise.change)} on the nine findings) is mostly {first.finding} "
        f"({signed(first.share)}) and {second.finding} ({signed(second.share)}), less {rise.parts[-1].finding} "
        f"({signed(rise.parts[-1].share)}). ChexReason's fall ({signed(fall.change)}) is mostly "
        f"{fall.largest.finding} ({signed(fall.largest.share)}); over the other findings it moves by "
        f"{signed(fall.without_largest())}."
    )


def for_an_engineer() -> Prose:
    """What matters to someone who trains models."""
    asked = power.questions()
    sft, last = facts.value(2, "free_reasoning", "macro"), facts.value(4, "hard_last", "macro")
    start = max(facts.column(1, "macro").values())
    best = facts.value(4, "hard_best", "macro")
    change = matched.waterfall(5, "medgemma_sft", "chexreason")
    return Prose(
        f"On validation GRPO moves macro-F1 from {decimal(sft)} to {decimal(best)}, at the checkpoint chosen by that "
        f"score; at the last step it is {decimal(last)}, and the best prompt of the untouched model had "
        f"{decimal(start)}. To see a difference of {decimal(asked[0].macros[1] - asked[0].macros[0])} would take about "
        f"{rough(asked[0].needed())} studies. How many there were is not in the text we have; the failure rates fit "
        f"{_sizes()}. Each model was trained once, so nothing is known of the spread between trainings. The averages "
        "set side by side are over fourteen and over nine findings; on the nine, GRPO's gain on CheXpert is "
        f"{signed(change.over(NIH_SHARED))} instead of {signed(change.change)}."
    )


def _sizes() -> str:
    """The candidates for the validation set's size that fit, in words."""
    return " and ".join(f"{n:,} ({name})" for name, n in attainability.candidates_that_fit().items())


def assumptions() -> Prose:
    """What the intervals assume, and how they do where the truth can be had."""
    tested = sum(len(differences.sizes_of(one.table)) for one in differences.leans() if one.table >= 5)
    hangs = "; ".join(
        f"{what}, {len(names)} ({drawn.listed(names)})" if names else f"{what}, none"
        for what, names in differences.turned().items()
    )
    text = (
        "The paper prints no interval. Ours follow from the supports, on four assumptions. The first is how many "
        f"labels a model names. For {len(operating.all_named())} rows of Tables 1 to 4 the printed precision and "
        "recall say it, and each finding of a macro average is taken to be named at its row's ratio. The other prompts "
        "of Table 1 and all of Tables 5 and 6 print neither; there a model is taken to name as many labels as are "
        "recorded. The ratios of validation are not used for Tables 5 and 6, because those test sets record other "
        f"numbers of labels a study; they are tried. Of the {tested} differences of Tables 5 and 6 above, the number "
        f"that is judged otherwise at some correlation is, if models name {hangs}. The other assumptions: findings err "
        f"independently; two models on the same images correlate by {PAIRED}; and other trainings would have come out "
        "the same, which flatters every comparison."
    )
    name = shown_profile()
    if read_runs(name):
        found = calibrate(open_runs(name))
        if found.widths and found.correlations:
            text += (
                f" On our own runs ({name}), where patients can be drawn again, such intervals are "
                f"{min(found.widths):.1f} to {max(found.widths):.1f} times as wide as the bootstrap's, and the scores "
                f"of the SFT checkpoint and ChexReason correlate by {min(found.correlations):.2f} to "
                f"{max(found.correlations):.2f}."
            )
    return Prose(text)


def arithmetic_summary() -> Prose:
    """How the recomputed numbers and the comparisons came out."""
    inside, outside, said, named = (
        frames.PARTS[name].frame["verdict"].value_counts().to_dict()
        for name in ("arithmetic", "text", "comparisons", "best")
    )
    del named[UNSTATED]
    return Prose(
        f"Inside the tables, {inside[AGREES]} of {sum(inside.values())} recomputed numbers agree as printed, "
        f"{inside[ROUNDING]} differ in the last place as rounding may make them, and {inside.get(ERROR, 0)} are wrong. "
        f"Of {sum(outside.values())} numbers in the text, {outside[AGREES] + outside.get(ROUNDING, 0)} agree with the "
        f"tables, {outside[ERROR]} do not, and {outside[ALONE]} have nothing to be held against. Of "
        f"{sum(said.values())} claims that compare printed numbers, without a margin of ours, {said[AGREES]} agree "
        f"with them under every reading, {said[DEPENDS]} depend on the reading and {said[UNBORNE]} are not borne out; "
        "chance is left aside here. "
        f"The text names the best of {sum(named.values())} columns, and of {named[AGREES]} it names the right one "
        "wherever it does."
    )


def validation_size() -> Prose:
    """What the failure rates say about the validation set."""
    rates = attainability.failure_rates()
    cannot = [f"{n} ({name})" for name, n in attainability.candidates().items() if attainability.fits(rates, n)]
    even, chance = attainability.even_chance()
    smallest, all_fit = attainability.sizes_that_fit()[0], attainability.all_fit_from()
    return Prose(
        "The paper calls the studies of its first four tables *CheXpert validation*; how many there are is not in the "
        f"text we have. Every failure rate must be a whole number of studies over that number. That rules out "
        f"{'; '.join(cannot)}. Of the sets that come to mind it leaves {_sizes()}. The smallest number that fits is "
        f"{smallest}, and from {all_fit} on every number does. All {even} different rates above zero are multiples of "
        f"one in {smallest}, which would happen about once in {1 / chance:,.0f} times if there were many more: "
        f"{smallest} is likely, and not shown."
    )


def reading_the_ledger() -> Prose:
    """How to read verdicts, how many stand together, and how much hangs on choices and on the assumed correlation."""
    found = verdict_table.judged(None)
    told = [one for one in found.values() if one.by_correlation and one.verdict != CHANCE]
    jointly, lasting = sum(bool(one.together) for one in told), sum(one.survives for one in told)
    rest = " and ".join(f"{r:g}" for r in CORRELATIONS if r != PAIRED)
    twins = len({twin for claim in CLAIMS.values() for _, twin in claim.choice if not CLAIMS[twin].stated})
    return Prose(
        f"A claim *holds* if its whole {LEVEL:.0%} interval lies on the claim's side, *fails* if it lies on the other, "
        "and otherwise lies *within chance*; claims about the printed numbers themselves are decided as counted. What "
        "is not printed, not in the text that we have, or about other findings *cannot be tested*. A claim *depends "
        f"on a choice* if a twin, one of {twins} rows that are our readings of the same tables, comes out otherwise. "
        f"Each is judged by itself, and then all {max(one.tests for one in told)} tests at once: {jointly} of "
        f"{len(told)} verdicts stand. Two models' errors on the same studies are taken to correlate by {PAIRED:g}; "
        f"{lasting} verdicts are the same at {rest}, and each other one says so. A claim whose two sides have "
        "different findings, tiers or studies is not scored but refused, with the reason."
    )
