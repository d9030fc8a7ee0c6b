"""Every comparison that the abstract and sections 1, 4 and 5 make, in our words, held against the tables.

The order is that of the text; a sentence that is said in several places names them all. `readings` has which printed
values decide it. What rests on no printed value is listed too.
"""

from functools import partial

from companion.evidence.audit import readings as read
from companion.evidence.audit.comparison import Compared, Comparison, above, below, f1, held, leads, trails
from companion.evidence.audit.readings import BASE, CHECK, FREE, LABEL, NARRATIVE, SFT, STRICT, TUNED

DEGREE = "how much is enough, the text does not say"
PICTURE = "the paper gives Figure 1 as a picture"
NO_FINDINGS = "Tables 1 to 4 print no finding"

COMPARISONS: tuple[Comparison, ...] = (
    Comparison("section 4.1", "MedGemma is the better base model of those at hand", read.superior,
               "NV-Reason was at hand too and is above both in Table 5"),
    Comparison("section 4.1", "Reasoning Narrative is highest overall", partial(leads, 1, NARRATIVE)),
    Comparison("section 4.1", "Reasoning Self-Check follows", read.followed),
    Comparison("section 4.1", "both outperform Reasoning A", lambda: [
        above(f"{a}-F1, {name}", f1(1, row, a), f1(1, STRICT, a))
        for row, name in ((NARRATIVE, "Narrative"), (CHECK, "Self-Check")) for a in ("micro", "macro")]),
    Comparison("section 4.1", "the gain is one of recall more than of precision", read.by_recall,
               "precision follows from the printed F1 and recall; it falls"),
    Comparison("section 4.1", "recall is substantially higher than Reasoning A's", read.recall, DEGREE),
    Comparison("section 4.1", "decoding fails most with Reasoning C and F", read.most_failures),
    Comparison("section 4.1", "and their classification is worse too", read.worse_too),
    Comparison("section 4.1", "Narrative and Self-Check are reliable to decode", read.reliable,
               "five of the nine prompts never fail"),
    Comparison("sections 4.1, 4.2", "Reasoning A is best for the general-purpose model, by a substantial margin",
               partial(leads, 3, STRICT), DEGREE),
    Comparison("section 4.2", "Only Label has the highest micro-F1 on MedGemma", partial(leads, 2, LABEL, ("micro",))),
    Comparison("section 4.2 (twice)", "Free Reasoning has the best macro-F1 on MedGemma",
               partial(leads, 2, FREE, ("macro",))),
    Comparison("section 4.2", "Only Label is strong on frequent labels and weak on rare ones", None, NO_FINDINGS),
    Comparison("section 4.2", "Reasoning A falls far behind on MedGemma", partial(trails, 2, STRICT), DEGREE),
    Comparison("section 4.2", "Only Label drops to mediocre scores on Qwen2.5-VL", partial(read.across, LABEL)),
    Comparison("section 4.2", "Free Reasoning struggles on Qwen2.5-VL", lambda: [
        below(f"{a}-F1, Free Reasoning, Reasoning A", f1(3, FREE, a), f1(3, STRICT, a)) for a in ("micro", "macro")],
        DEGREE),
    Comparison("section 4.2", "Reasoning Narrative has moderate scores on Qwen2.5-VL", read.moderate,
               "read as neither first nor last; by micro-F1 it is second"),
    Comparison("section 4.2", "Reasoning Narrative fails often on Qwen2.5-VL", lambda: [
        above(f"failure rate, next format ({who})", read.fail(t, NARRATIVE),
              max(read.fail(t, row) for row in read.rows(t) if row != NARRATIVE))
        for t, who in ((3, "Qwen2.5-VL"), (2, "MedGemma"))], "and more often still on MedGemma"),
    Comparison("section 4.2", "the ranking of the formats reverses completely", read.reversed_ranking),
    Comparison("section 4.2", "free-form reasoning does worse on Qwen2.5-VL than on MedGemma", lambda: [
        *read.across(NARRATIVE), *read.across(FREE)], "Reasoning Narrative, then Free Reasoning"),
    Comparison("section 4.2", "Only Label never breaks the format, all others do", read.never_fails),
    Comparison("section 4.2", "decoding is the less reliable the longer the rationale", read.length,
               "no length is printed; Only Label is taken to be shortest, Free Reasoning next, and both orders of the "
               "other two are tried"),
    Comparison("section 4.2, Figure 1", "the formats with strict syntax converge faster and higher", None, PICTURE),
    Comparison("section 4.2", "Free Reasoning is balanced over common and rare findings", None, NO_FINDINGS),
    Comparison("section 4.3 (twice)", "the hard reward is marginally better than, or comparable to, the nuanced one",
               lambda: [above(f"{a}-F1, {at}", f1(4, f"hard_{when}", a), f1(4, f"nuanced_{when}", a))
                        for when, at in read.WHEN.items() for a in ("micro", "macro")], DEGREE),
    Comparison("section 4.3", "both rewards improve macro-F1 on the SFT checkpoint",
               partial(read.both_rewards, "macro", True),
               "at the checkpoint that was chosen by this score, and not at the last step"),
    Comparison("section 4.3", "micro-F1 declines slightly", partial(read.both_rewards, "micro", False),
               f"{DEGREE}; it is more than macro-F1 gains"),
    Comparison("abstract, section 4.3", "GRPO recovers on CheXpert what SFT had lost", read.recovered,
               "most of it, not all"),
    Comparison("section 4.3", "ChexReason nearly matches the untrained MedGemma on CheXpert", lambda: [
        below("CheXpert, ChexReason, MedGemma", f1(5, TUNED), f1(5, BASE))], DEGREE),
    Comparison("section 4.3", "the recovery is particularly pronounced for three findings that are named",
               read.pronounced,
               "named as examples: above the average gain, and not all among the three that gain most"),
    Comparison("section 4.3", "ChexReason substantially improves on SFT on CheXpert", lambda: [
        above("CheXpert, ChexReason, SFT", f1(5, TUNED), f1(5, SFT))], DEGREE),
    Comparison("sections 4.3, 5", "on NIH ChexReason falls back to the untrained MedGemma", lambda:
               read.equal(6, TUNED, BASE, "NIH, ChexReason, MedGemma")),
    Comparison("abstract, sections 1, 4.3, 5", "on NIH ChexReason is below SFT", lambda: [
        below("NIH, ChexReason, SFT", f1(6, TUNED), f1(6, SFT))]),
    Comparison("section 4.3", "SFT has its best score on NIH", read.own_best),
    Comparison("section 4.3", "SFT is weakest on CheXpert", lambda: [
        *read.weaker(), below("CheXpert, SFT, Qwen2.5-VL", f1(5, SFT), f1(5, "qwen"))],
        "the weakest of the models made from MedGemma, of which the paragraph speaks; not of all five"),
    Comparison("section 4.3", "SFT's traces cost performance on validation", read.costs),
    Comparison("section 4.3", "GRPO excels at recovering within one labelling framework", read.excels),
    Comparison("section 4.4", "Free Reasoning masters the format", None,
               "an opinion: how many answers would have to parse, the text does not say"),
    Comparison("section 4.4", "NV-Reason and ChexReason are the high-performing models", read.high),
    Comparison("section 4.4", "they degrade dramatically on NIH, which is laid to their optimisation", read.drops,
               "held against the fall of MedGemma, which the paper did not train; Qwen2.5-VL falls more than both"),
    Comparison("abstract, sections 1, 4.4, 5", "SFT uniquely improves on NIH", read.uniquely),
    Comparison("sections 4.4, 5", "SFT is weaker on CheXpert", read.weaker),
    Comparison("section 4.4", "the optimised models lose SFT's advantage on NIH", read.loses_advantage),
    Comparison("abstract, sections 1, 5", "structured reasoning helps the general-purpose model",
               partial(leads, 3, STRICT),
               "among formats of fine-tuning; the untrained Qwen2.5-VL has no row in Tables 1 to 4"),
    Comparison("abstract, section 1", "structured reasoning gives the medical model a minimal gain", lambda: [
        above(f"{a}-F1, Reasoning A, best other format", f1(2, STRICT, a),
              max(f1(2, row, a) for row in read.rows(2) if row != STRICT)) for a in ("micro", "macro")],
        "it is the worst of the four formats under both averages"),
    Comparison("section 5", "structured reasoning is redundant or even detrimental for the medical model",
               partial(trails, 2, STRICT)),
    Comparison("section 5", "MedGemma does best with direct label prediction", partial(leads, 2, LABEL)),
    Comparison("section 5", "NV-Reason has the best scores on CheXpert", partial(leads, 5, "nv_reason", ("macro",)),
               "of the five models; others are not compared"),
    Comparison("abstract, section 5", "curated fine-tuning serves better than GRPO where hospitals differ",
               read.serves),
)  # fmt: skip


def compared() -> list[Compared]:
    """Every comparison with its pairs: agrees, depends, is not borne out, or has nothing to be checked against."""
    return [held(one) for one in COMPARISONS]
