"""The front page: what was found, in plain words, and what each tier can say.

A finding is a sentence with computed values in it and a check of what the sentence claims. Where the results at hand
no longer bear it out, the page says so in its place, and a test refuses that for the committed results.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence import comparable
from companion.evidence.audit import facts, matched, operating
from companion.evidence.claims import CHANCE
from companion.evidence.outcomes import CALLED_NORMAL, JACCARD, MACRO, MICRO, NAMED, NORMAL_CALLED
from companion.evidence.tables import MODELS
from companion.report import audit_operating, verdict_table
from companion.report.experiments import answers, cells, collapse, cures, posthoc, scaffold
from companion.report.experiments.answers import HARD, NUANCED, SFT, changed, have, model
from companion.report.theme import TIERS, Html, badge, block, escape, scrolling, signed, spoken


@dataclass(frozen=True)
class Finding:
    """A sentence of the front page: where it is shown in full, and whether the values bear it out."""

    tiers: tuple[str, ...]
    short: str  # the finding in a few words
    says: str
    page: str
    holds: bool


def findings() -> list[Finding]:
    """What was found, published numbers first; those of the experiment only where it has been run."""
    makers: list[Callable[[], Finding]] = [_same_findings, _beside_radiologists, _naming]
    if have(*posthoc.shown("best"), *posthoc.shown("last")):
        makers += [_no_gain, _called_normal, _untouched]
    if cures.cures():
        makers += [_cures]
    if scaffold.whole():
        makers += [_untestable]
    return [make() for make in makers]


def _same_findings() -> Finding:
    change, falls = matched.waterfall(5, "medgemma_sft", "chexreason"), matched.crossings()
    judged = verdict_table.judged(None)
    one, more = judged["grpo-improves-chexpert-nine"], judged["optimised-lose-more"]
    own, base = falls["chexreason"], falls["medgemma"]
    all_enough = comparable.frequent(facts.supports("chexpert", "test", FINDINGS))
    enough = comparable.frequent(facts.supports("chexpert", "test", NIH_SHARED))
    fall = {
        name: 1 - sum(facts.value(6, one, name) for one in enough) / sum(facts.value(5, one, name) for one in enough)
        for name in ("medgemma", "chexreason")
    }
    return Finding(
        ("published",),
        "Much of the paper's contrast comes from averaging fourteen findings on CheXpert and nine on NIH.",
        f"On the nine that both have, GRPO's gain on "
        f"CheXpert is {signed(change.over(NIH_SHARED))} instead of {signed(change.change)}, which chance alone could "
        f"make; over the {len(all_enough)} of the fourteen with at least {comparable.ENOUGH} positives it is "
        f"{signed(change.over(all_enough))}, and over the {len(enough)} of these that NIH has, too, "
        f"{signed(change.over(enough))}: the gain is in findings that NIH does not record. On the way to NIH the "
        f"untouched MedGemma falls by {-base.matched:.0%} over the nine and ChexReason by "
        f"{-own.matched:.0%}; over the {len(enough)} with enough positives on CheXpert by {fall['medgemma']:.0%} and "
        f"{fall['chexreason']:.0%}: which falls more cannot be said. The fall on NIH from SFT to GRPO is over the "
        f"same findings and is not touched by this.",
        "audit.html#the-same-findings-on-both-sides",
        one.verdict == more.verdict == CHANCE
        and change.over(enough) <= 0 < change.over(all_enough)
        and change.over(NIH_SHARED) < change.change / 2
        and base.matched < own.matched < 0,
    )


def _beside_radiologists() -> Finding:
    radiologists = [one.macro for one in facts.readers("chexpert") if one.line == "radiologists"]
    scores = {name: facts.value(5, "macro", name) for name in MODELS}
    below = [name for name, score in scores.items() if score < min(radiologists)]
    labeler = [one.macro for one in facts.readers("chexpert") if one.line == "report labeler"]
    return Finding(
        ("published",),
        f"{len(below)} of {len(scores)} models score below every radiologist on CheXpert.",
        f"They reach {max((scores[name] for name in below), default=0.0):.3f} at most in macro-F1, the lowest of the "
        f"radiologists {min(radiologists):.3f}. The other one, NV-Reason, was tested on these studies while it was "
        "developed, as its developers say. The labeler that mines the reports of these studies gets "
        f"{min(labeler):.3f} to {max(labeler):.3f}, so part of the distance is one of conventions. All this if Table 5 "
        "is on the official test "
        "set.",
        "audit.html#what-others-score-on-the-same-studies",
        set(scores) - set(below) == {"nv_reason"},
    )


def _naming() -> Finding:
    ratios = {row: _ratio(*row) for row in (*operating.BEHIND["medgemma"], *operating.BEHIND["chexreason"])}
    before = [ratios[row] for row in operating.BEHIND["medgemma"]]
    after = [ratios[row] for row in operating.BEHIND["chexreason"]]
    (row,) = operating.BEHIND["medgemma_sft"]
    tuned, gain = _ratio(*row), matched.waterfall(5, "medgemma_sft", "chexreason").change
    near, far = audit_operating.moved("B", "chexpert14"), audit_operating.moved("C", "nih9")
    home = audit_operating.moved("A", "chexpert14")
    there = facts.value(4, "hard_best", "macro") - facts.value(2, "free_reasoning", "macro")
    return Finding(
        ("published", "miniature"),
        "After SFT the model names fewer labels, after GRPO about as many as before.",
        f"By the precision, recall and F1 printed for validation, the untouched model names {min(before):.2f} to "
        f"{max(before):.2f} labels for each one recorded (three prompts), {tuned:.2f} after SFT and {min(after):.2f} "
        f"to {max(after):.2f} after GRPO. That number alone can move macro-F1: on drawn images a fixed reader that "
        f"names as many more gains {signed(near.change.estimate)} at hospital B and sees nothing new; the paper's "
        f"model gains {signed(gain)} on CheXpert. So that gain could be one of naming. But at hospital A, whose place "
        f"the ratios come from, the reader gains {signed(home.change.estimate)} and the paper's model {signed(there)}, "
        "and how many labels the paper's models name on CheXpert is not known. At hospital C the fixed reader gains, "
        "too, "
        "so naming more labels gives no account of the loss on NIH. Post hoc, as all of the audit is.",
        "audit.html#how-many-labels-does-each-model-name",
        tuned < 1 <= min(before)
        and min(after) <= max(before)
        and tuned < min(after)
        and near.change.low > gain
        and far.change.low > 0,
    )


def _ratio(table: int, row: str) -> float:
    one = operating.named(table, row)
    assert one is not None, f"Table {table} or the text has precision and recall of {row}"
    return one.ratio


def _no_gain() -> Finding:
    home, away = cells.home(HARD), changed(model(HARD), model(SFT), "B")
    single = () if isinstance(home, str) else home.per_seed
    others = [changed(model(NUANCED, which), model(SFT), hospital) for which in ("best", "last") for hospital in "AB"]
    others += [changed(model(HARD, "last"), model(SFT), hospital) for hospital in "AB"]
    others += [cells.as_planned(HARD, "best")]
    return Finding(
        ("miniature",),
        "In miniature, no change of macro-F1 from SFT to GRPO can be distinguished from chance.",
        f"Small models, drawn images: GRPO with the hard reward minus SFT is {spoken(home)} in macro-F1 at home over "
        f"{len(single)} trainings; single trainings range from {signed(min(single, default=0.0))} to "
        f"{signed(max(single, default=0.0))}. At the second hospital it is {spoken(away)}. At the third every model "
        "has trainings below naming every label, so no macro-F1 is compared there. Over all nine findings, as "
        "planned, the change "
        f"at home is {spoken(cells.as_planned(HARD, 'best'))}. The paper's effect was not seen, and is neither "
        f"explained "
        "nor refuted by this.",
        "cells.html",
        all(not isinstance(one, str) and not one.excludes_zero for one in (home, away))
        and all(isinstance(one, str) or not one.excludes_zero for one in others)
        and all(cells.off(name, "C") for name in posthoc.shown("best")),
    )


def _called_normal() -> Finding:
    said = []
    for arm, name in ((HARD, "hard"), (NUANCED, "nuanced")):
        found = [changed(model(arm, "last"), model(SFT), hospital, CALLED_NORMAL) for hospital in "ABC"]
        said.append(f"{name} reward {', '.join(spoken(one) for one in found)} at A, B and C")
    of_best = [changed(model(HARD), model(SFT), hospital, CALLED_NORMAL) for hospital in "ABC"]
    of_normal = [changed(model(HARD, "last"), model(SFT), hospital, NORMAL_CALLED) for hospital in "ABC"]
    best, normal = (", ".join("–" if isinstance(one, str) else signed(one.estimate) for one in row)
                    for row in (of_best, of_normal))  # fmt: skip
    return Finding(
        ("miniature",),
        "In miniature, after GRPO more patients are called normal, abnormal and normal ones alike.",
        f"The share of abnormal patients answered “No Finding” rose from SFT to the last step: {'; '.join(said)}. That "
        f"of normal patients rose, too ({normal} with the hard reward), so a moved cut is enough to make it. At the "
        f"best checkpoint the hard reward's rise ({best}) cannot be distinguished from chance. Post hoc: this was "
        "looked for after the "
        "answers had been seen, and is to be confirmed on fresh patients.",
        "cells.html#what-the-plan-did-not-ask",
        posthoc.called_normal_rises(HARD)
        and posthoc.called_normal_rises(NUANCED)
        and all(isinstance(one, str) or not one.excludes_zero for one in of_best)
        and all(not isinstance(one, str) and one.low > 0 for one in of_normal),
    )


def _untouched() -> Finding:
    before, after, other = (
        [changed(model(arm), model("base"), h, MACRO) for h in "AB"] for arm in (SFT, HARD, NUANCED)
    )
    pooled = changed(model(HARD), model("base"), "A", MICRO)
    named = [changed(model(arm), model("base"), h, NAMED) for arm in (SFT, HARD, NUANCED) for h in "ABC"]
    overlap = {(arm, h): changed(model(arm), model("base"), h, JACCARD) for arm in (SFT, HARD, NUANCED) for h in "ABC"}
    apart = [f"{answers.NAMES[arm]} at {h}, {spoken(one)}" for (arm, h), one in overlap.items()
             if not isinstance(one, str) and one.excludes_zero]  # fmt: skip
    return Finding(
        ("miniature",),
        "In miniature, no training of the paper's kind was seen to raise macro-F1 above the untouched model's.",
        f"Post hoc. SFT minus untouched: {spoken(before[0])} at A and {spoken(before[1])} at B; GRPO with the hard "
        f"reward minus untouched: {spoken(after[0])} and {spoken(after[1])}. The untouched model names more labels and "
        "has seen many more images, with what is visible as the label; there is one, so its own spread is in no "
        f"interval. By micro-F1 GRPO with the hard reward minus untouched is {spoken(pooled)} at A. At the best "
        "checkpoint, by mean Jaccard zero is outside "
        f"{len(apart) or 'none'} of {len(overlap)} intervals{': ' if apart else ''}{'; '.join(apart)}.",
        "cells.html#what-the-plan-did-not-ask",
        all(not isinstance(one, str) and one.high < 0 for one in before)
        and all(not isinstance(one, str) and one.estimate < 0 for one in after)
        and all(isinstance(one, str) or one.low <= 0 for one in other)
        and all(not isinstance(one, str) and one.high < 0 for one in named),
    )


def _cures() -> Finding:
    found = cures.cures()
    fair, good = cures.tested(found), cures.worked(found)
    gains = {(name, h): cures.against_plain(name, h) for name in found for h in cures.abroad(name)}
    changes = [changed(model(HARD), model(SFT), hospital) for hospital in "AB"]
    reach = max((one.high for one in gains.values() if not isinstance(one, str)), default=0.0)
    return Finding(
        ("miniature",),
        "No cure was seen to gain abroad.",
        f"Of {len(found)} ways to change the training, two of them after the paper's proposals, {len(fair)} could be "
        f"compared at hospital B, and {len(good) or 'none'} of these gained there by more than chance allows. The "
        f"intervals reach up to {signed(reach)}, so such a gain is not ruled out. At hospital C none could be "
        "compared. With no "
        "detectable gain at home and no detectable loss abroad there was little to cure.",
        "cures.html",
        bool(fair) and not any(not isinstance(one, str) and one.low > 0 for one in gains.values())
        and all(isinstance(one, str) for (_, h), one in gains.items() if h == "C")
        and not any(isinstance(one, str) or one.excludes_zero for one in changes),
    )  # fmt: skip


def _untestable() -> Finding:
    off = scaffold.constants()
    total = sum(map(len, scaffold.runs_of("qwen").values()))
    return Finding(
        ("miniature",),
        "Two of the experiment's five questions could not be answered.",
        f"Whether reasoning scaffolds help a general model: {off} of {total} runs of our general base give one answer "
        "to nearly all images or score below naming every label. Whether the stabilisers prevent collapse: by the "
        "plan's rule nothing collapsed, with them or without.",
        "scaffold.html",
        isinstance(scaffold.difference("qwen"), str) and off > total / 2 and collapse.nothing(),
    )


def front() -> Html:
    """The findings as a list, each with its tier and the way to the page that shows it."""
    found = findings()
    rows = [
        f'<li><a href="{one.page}"><strong>{escape(one.short)}</strong></a> {_badges(one)} {escape(one.says)}</li>'
        if one.holds
        else f"<li>{_badges(one)} No longer borne out by the results at hand: {escape(one.short)} "
        f'<a href="{one.page}">See there.</a></li>'
        for one in found
    ]
    names = [name for name in (model("base"), model(SFT), model(HARD), model(NUANCED)) if have(name)]
    about = f'<div class="cxr-head">{answers.about()}</div>' if names else ""
    return block(f'<ol class="cxr-findings">{"".join(rows)}</ol>{about}{answers.behind(*names)}')


def _badges(one: Finding) -> str:
    return " ".join(map(badge, one.tiers))


def experiment() -> Html:
    """The experiment's five questions, each with what its chapter found and the way there."""
    from companion.report.experiments import selection

    questions = {
        "cells": ("Images, labels or patients: what does reinforcement not carry over?", cells.verdict()),
        "scaffold": ("Do reasoning scaffolds help the model without medical pre-training?", scaffold.verdict()),
        "collapse": ("Does anything collapse without a stabiliser?", collapse.verdict()),
        "selection": ("How much of a gain is the choice of the checkpoint?", selection.verdict()),
        "cures": ("Does a cure gain abroad and lose nothing at home?", cures.verdict()),
    }
    rows = [
        f'<tr><th scope="row" class="cxr-left cxr-wrap"><a href="{page}.html">{escape(question)}</a></th>'
        f'<td class="cxr-left cxr-wrap cxr-ours">{escape(verdict or "not run yet")}</td></tr>'
        for page, (question, verdict) in questions.items()
    ]
    head = f'<div class="cxr-head">{answers.about()}</div>'
    body = _front_table(("question", "what the experiment found"), rows)
    note = (
        "Changes of macro-F1 over the findings with enough positives, with 95 % intervals over trainings (t) and "
        "patients, unless the row says otherwise; the choice of the checkpoint is averaged over all nine findings, "
        "with intervals over trainings alone. Not compared: a model there scores below naming every label, or gives "
        "one answer to nearly all."
    )
    behind = answers.behind(*(answers.model(name) for name in ("base", answers.SFT, answers.HARD, answers.NUANCED)))
    return block(head + scrolling(body, "What the experiment found") + f'<p class="cxr-note">{note}</p>{behind}')


def tiers() -> Html:
    """The three tiers of evidence, and what each can say."""
    what = {
        "published": "what the paper's numbers do and do not support",
        "miniature": "why an effect can arise, with the truth known",
        "replication": "whether the paper's numbers come back",
    }
    rows = [
        f'<tr><th scope="row" class="cxr-left">{badge(tier)}</th>'
        f'<td class="cxr-left cxr-wrap">{escape(TIERS[tier])}</td>'
        f'<td class="cxr-left cxr-wrap">{escape(text)}</td></tr>'
        for tier, text in what.items()
    ]
    return block(scrolling(_front_table(("tier", "what it is", "what it can say"), rows), "The three tiers"))


def _front_table(heads: tuple[str, ...], rows: list[str]) -> str:
    """A table that breaks its lines rather than scroll."""
    head = "".join(f'<th scope="col" class="cxr-left">{escape(text)}</th>' for text in heads)
    return f'<table class="cxr-front"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
