"""How each comparison of the text is read: which printed values decide it (`comparisons` has the sentences).

A reading returns pairs. What the second value of a pair is, the pair's name says; where it does not, it is the best
(or the worst) of the others.
"""

from scipy.stats import kendalltau

from companion.evidence.audit import facts, matched
from companion.evidence.audit.comparison import BOTH, Pair, above, apart, below, f1, fail, leads, rows, trails
from companion.evidence.audit.statements import STATED_RECALL, implied_precision
from companion.evidence.tables import MODELS

NARRATIVE, CHECK, STRICT = "reasoning_narrative", "reasoning_self_check", "reasoning_a"
LABEL, FREE = "only_label", "free_reasoning"
SFT, TUNED, BASE = "medgemma_sft", "chexreason", "medgemma"
WHEN = {"best": "best checkpoint", "last": "last step"}


def superior() -> list[Pair]:
    """The two base models that are fine-tuned, untouched."""
    return [above(f"macro-F1 on {where}, against Qwen2.5-VL", f1(table, BASE), f1(table, "qwen"))
            for table, where in ((5, "CheXpert"), (6, "NIH"))]  # fmt: skip


def followed() -> list[Pair]:
    """Second of nine: the second value is the best of the seven below."""
    return leads(1, CHECK, among=[row for row in rows(1) if row != NARRATIVE])


def by_recall() -> list[Pair]:
    """How much of the gain over Reasoning A is recall, and how much precision."""
    precision = {row: implied_precision(row, recall).middle for row, recall in STATED_RECALL.items()}
    found = []
    for row, name in ((NARRATIVE, "Narrative"), (CHECK, "Self-Check")):
        more = float(STATED_RECALL[row]) - float(STATED_RECALL[STRICT])
        other = precision[row] - precision[STRICT]
        found.append(Pair(f"{name}: gain of recall, of precision", more, other, more > abs(other)))
    return found


def recall() -> list[Pair]:
    """The recalls that section 4.1 gives."""
    return [above(f"recall, {name}", float(STATED_RECALL[row]), float(STATED_RECALL[STRICT]))
            for row, name in ((NARRATIVE, "Narrative"), (CHECK, "Self-Check"))]  # fmt: skip


def most_failures() -> list[Pair]:
    """C and F against the next."""
    third = max(fail(1, row) for row in rows(1) if row not in ("reasoning_c", "reasoning_f"))
    return [above(f"failure rate, Reasoning {x.upper()}", fail(1, f"reasoning_{x}"), third) for x in "cf"]


def worse_too() -> list[Pair]:
    """C and F against the baseline."""
    return [below(f"{a}-F1, Reasoning {x.upper()}, against Reasoning A", f1(1, f"reasoning_{x}", a), f1(1, STRICT, a))
            for x in "cf" for a in BOTH]  # fmt: skip


def reliable() -> list[Pair]:
    """Against the better of the two prompts that are named for their failures."""
    bar = min(fail(1, "reasoning_c"), fail(1, "reasoning_f"))
    return [
        below(f"failure rate, {name}, Reasoning F", fail(1, row), bar)
        for row, name in ((NARRATIVE, "Narrative"), (CHECK, "Self-Check"))
    ]


def reversed_ranking() -> list[Pair]:
    """How many of the six pairs of formats change places between the models, of how many; a reversal changes all."""
    found = []
    for average in BOTH:
        names = rows(2)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        turned = sum(apart(2, a, b, average) * apart(3, a, b, average) < 0 for a, b in pairs)
        found.append(Pair(f"pairs of formats that change places by {average}-F1, of all", turned, len(pairs),
                          turned == len(pairs)))  # fmt: skip
    return found


def across(row: str) -> list[Pair]:
    """The same format on either model."""
    return [below(f"{a}-F1, Qwen2.5-VL, MedGemma", f1(3, row, a), f1(2, row, a)) for a in BOTH]


def moderate() -> list[Pair]:
    """Neither first nor last of four; the second value is the worst of the others."""
    return [Pair(one.of, one.first, one.second, not one.holds) for one in trails(3, NARRATIVE)]


def length() -> list[Pair]:
    """Rank correlation (Kendall's tau) of failure rate and length over the four formats, against zero."""
    shorter = (LABEL, FREE)
    orders = {"Narrative longest": (*shorter, STRICT, NARRATIVE), "Reasoning A longest": (*shorter, NARRATIVE, STRICT)}
    return [
        above(
            f"rank correlation with length, {who}, {longest}",
            float(kendalltau(range(len(fails)), fails).statistic),
            0.0,
        )
        for t, who in ((2, "MedGemma"), (3, "Qwen2.5-VL"))
        for longest, order in orders.items()
        for fails in [[fail(t, row) for row in order]]
    ]


def never_fails() -> list[Pair]:
    """Only Label against the format that fails least of the others."""
    return [below(f"failure rate, {who}", fail(t, LABEL), min(fail(t, row) for row in rows(t) if row != LABEL))
            for t, who in ((2, "MedGemma"), (3, "Qwen2.5-VL"))]  # fmt: skip


def both_rewards(average: str, better: bool) -> list[Pair]:
    """Both rewards against the SFT checkpoint, at the checkpoint that was chosen and at the end."""
    pick = above if better else below
    return [pick(f"{reward}, {WHEN[at]}, SFT", f1(4, f"{reward}_{at}", average), f1(2, FREE, average))
            for at in WHEN for reward in ("nuanced", "hard")]  # fmt: skip


def pronounced() -> list[Pair]:
    """Each of the three against the average gain, and against the third largest."""
    gains = {part.finding: part.after - part.before for part in matched.waterfall(5, SFT, TUNED).parts}
    average, third = sum(gains.values()) / len(gains), sorted(gains.values())[-3]
    named = ("Cardiomegaly", "Lung Opacity", "Support Devices")
    return [above(f"gain of {name}, average gain", gains[name], average) for name in named] + [
        Pair(f"gain of {name}, third largest gain", gains[name], third, gains[name] >= third) for name in named
    ]


def recovered() -> list[Pair]:
    """What GRPO wins on CheXpert, against nothing and against all that SFT had lost there."""
    lost, won = f1(5, BASE) - f1(5, SFT), f1(5, TUNED) - f1(5, SFT)
    return [above("gain after SFT, nothing", won, 0.0), Pair("gain after SFT, what SFT lost", won, lost, won >= lost)]


def own_best() -> list[Pair]:
    """Best of the five on NIH, and better there than on CheXpert."""
    near = matched.crossings()[SFT].near
    return [*first_of_five(6, SFT), above("SFT on NIH, on CheXpert (fourteen findings)", f1(6, SFT), f1(5, SFT)),
            above("SFT on NIH, on CheXpert (the same nine)", f1(6, SFT), near)]  # fmt: skip


def first_of_five(table: int, model: str) -> list[Pair]:
    """The best of the five, with the second-best beside it."""
    return leads(table, model, ("macro",))


def excels() -> list[Pair]:
    """GRPO inside its own labelling framework, against two starts and under both averages."""
    tuned = f1(4, "hard_best", "micro")
    return [
        above("CheXpert, ChexReason, SFT", f1(5, TUNED), f1(5, SFT)),
        above("CheXpert, ChexReason, MedGemma untrained", f1(5, TUNED), f1(5, BASE)),
        above("validation, macro-F1, GRPO, SFT", f1(4, "hard_best"), f1(2, FREE)),
        above("validation, macro-F1, GRPO, best prompt untrained", f1(4, "hard_best"), f1(1, NARRATIVE)),
        above("validation, micro-F1, GRPO, SFT", tuned, f1(2, FREE, "micro")),
        above("validation, micro-F1, GRPO, best prompt untrained", tuned, f1(1, NARRATIVE, "micro")),
    ]


def costs() -> list[Pair]:
    """SFT on validation against two prompts of the untouched model: the best, and the structured baseline."""
    return [
        below(f"{a}-F1, SFT, {name} untrained", f1(2, FREE, a), f1(1, row, a))
        for row, name in ((NARRATIVE, "best prompt"), (STRICT, "Reasoning A"))
        for a in BOTH
    ]


def high() -> list[Pair]:
    """Above the model that nobody trained further."""
    return [above(f"CheXpert, {MODELS[model]}, MedGemma untrained", f1(5, model), f1(5, BASE))
            for model in ("nv_reason", TUNED)]  # fmt: skip


def drops() -> list[Pair]:
    """The models that were optimised against the one that was not: fall from CheXpert to NIH."""
    found = matched.crossings()
    return [
        above(
            f"fall of {MODELS[model]}, of MedGemma untrained ({how})",
            -getattr(found[model], kind),
            -getattr(found[BASE], kind),
        )
        for kind, how in (("stated", "as stated"), ("matched", "same nine"))
        for model in ("nv_reason", TUNED)
    ]


def uniquely() -> list[Pair]:
    """SFT rises, and the best of the others does not."""
    found = matched.crossings()
    pairs = []
    for kind, how in (("stated", "as stated"), ("matched", "same nine")):
        rest = max(getattr(found[model], kind) for model in MODELS if model != SFT)
        mine = getattr(found[SFT], kind)
        pairs.append(Pair(f"change of SFT, best change of the others ({how})", mine, rest, mine > 0 >= rest))
    return pairs


def weaker() -> list[Pair]:
    """SFT against what it came from and what came of it."""
    return [below(f"CheXpert, SFT, {MODELS[model]}", f1(5, SFT), f1(5, model)) for model in (BASE, TUNED)]


def loses_advantage() -> list[Pair]:
    """The two that were optimised, on NIH."""
    return [below(f"NIH, {MODELS[model]}, SFT", f1(6, model), f1(6, SFT)) for model in ("nv_reason", TUNED)]


def equal(table: int, first: str, second: str, of: str) -> list[Pair]:
    """Said to match: equal as printed."""
    a, b = (facts.cells(table)["macro", model, "f1"] for model in (first, second))
    return [Pair(of, float(a), float(b), a == b)]


def serves() -> list[Pair]:
    """The two test sets."""
    return [above("NIH, SFT, ChexReason", f1(6, SFT), f1(6, TUNED)),
            above("CheXpert, SFT, ChexReason", f1(5, SFT), f1(5, TUNED))]  # fmt: skip
