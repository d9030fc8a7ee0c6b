"""The front page: what was found, and whether the results at hand still bear it out.

The sentences stand in `book/index.md`. A function here is one of them: the values that it holds, and `holds`, a check
of all that the sentence claims. Where it fails, the page says so in front of the sentence, and a test refuses that for
the committed results.
"""

from types import SimpleNamespace as Found

from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence import comparable
from companion.evidence.audit import facts, matched, operating
from companion.evidence.claims import CHANCE
from companion.evidence.outcomes import CALLED_NORMAL, JACCARD, MACRO, MICRO, NAMED, NORMAL_CALLED
from companion.evidence.tables import MODELS
from companion.report import verdict_table
from companion.report.audit_operating import moved, ratio
from companion.report.experiments import cells, collapse, cures, posthoc, scaffold
from companion.report.experiments.answers import Comparison, above, below, changed, have
from companion.report.experiments.names import HARD, NAMES, NUANCED, SFT, model
from companion.report.theme import signed, spoken


def stand(found: Found) -> str:
    """What stands in front of a finding's sentence: nothing if the results at hand bear it out."""
    if found.holds:
        return ""
    return "Not run yet:" if getattr(found, "run", True) is False else "No longer borne out by the results at hand:"


def same_findings() -> Found:
    """Much of the paper's contrast is one of findings: its gain on CheXpert over fourteen, nine and frequent ones."""
    change, falls = matched.waterfall(5, "medgemma_sft", "chexreason"), matched.crossings()
    judged = verdict_table.judged(None)
    own, base = falls["chexreason"], falls["medgemma"]
    all_enough = comparable.frequent(facts.supports("chexpert", "test", FINDINGS))
    enough = comparable.frequent(facts.supports("chexpert", "test", NIH_SHARED))
    near, far = (
        {name: sum(facts.value(number, one, name) for one in enough) for name in ("medgemma", "chexreason")}
        for number in (5, 6)
    )
    return Found(
        gain=signed(change.change), nine=signed(change.over(NIH_SHARED)),
        many=len(all_enough), over_many=signed(change.over(all_enough)),
        shared=len(enough), over_shared=signed(change.over(enough)),
        falls=[f"{-one.matched:.0%}" for one in (base, own)],
        falls_shared=[f"{1 - far[name] / near[name]:.0%}" for name in ("medgemma", "chexreason")],
        holds=judged["grpo-improves-chexpert-nine"].verdict == judged["optimised-lose-more"].verdict == CHANCE
        and change.over(enough) <= 0 < change.over(all_enough)
        and change.over(NIH_SHARED) < change.change / 2
        and base.matched < own.matched < 0,
    )  # fmt: skip


def beside_radiologists() -> Found:
    """All models but one score below every radiologist on CheXpert."""
    read = facts.readers("chexpert")
    radiologists = min(one.macro for one in read if one.line == "radiologists")
    labeler = [one.macro for one in read if one.line == "report labeler"]
    scores = {name: facts.value(5, "macro", name) for name in MODELS}
    below = [name for name, score in scores.items() if score < radiologists]
    return Found(
        below=len(below), of=len(scores), reach=f"{max((scores[name] for name in below), default=0.0):.3f}",
        lowest=f"{radiologists:.3f}", labeler=f"{min(labeler):.3f} to {max(labeler):.3f}",
        holds=set(scores) - set(below) == {"nv_reason"},
    )  # fmt: skip


def naming() -> Found:
    """After SFT fewer labels are named, after GRPO about as many as before; and what that alone can do to macro-F1."""
    before, after = ([ratio(*row) for row in operating.BEHIND[name]] for name in ("medgemma", "chexreason"))
    (row,) = operating.BEHIND["medgemma_sft"]
    tuned, gain = ratio(*row), matched.waterfall(5, "medgemma_sft", "chexreason").change
    near, far = moved("B"), moved("C")
    home = moved("A")
    there = facts.value(4, "hard_best", "macro") - facts.value(2, "free_reasoning", "macro")
    return Found(
        before=f"{min(before):.2f} to {max(before):.2f}", tuned=f"{tuned:.2f}",
        after=f"{min(after):.2f} to {max(after):.2f}", gain=signed(gain), there=signed(there),
        near=signed(near.change.estimate), home=signed(home.change.estimate),
        holds=tuned < 1 <= min(before)
        and min(after) <= max(before)
        and tuned < min(after)
        and near.change.low > gain
        and far.change.low > 0,
    )  # fmt: skip


def no_gain() -> Found:
    """In miniature, no change of macro-F1 from SFT to GRPO is distinguishable from zero."""
    home, away = cells.home(HARD), changed(model(HARD), model(SFT), "B")
    single = (0.0,) if isinstance(home, str) else home.per_seed
    others = [
        changed(model(*one), model(SFT), hospital)
        for one in ((NUANCED, "best"), (NUANCED, "last"), (HARD, "last"))
        for hospital in "AB"
    ]
    planned = cells.as_planned(HARD, "best")
    return Found(
        home=spoken(home), away=spoken(away), planned=spoken(planned), trainings=len(single),
        single=f"{signed(min(single))} to {signed(max(single))}", run=_run(),
        holds=_run()
        and all(map(_open, (home, away)))
        and not any(map(_clear, [*others, planned]))
        and all(cells.off(name, "C") for name in posthoc.shown("best")),
    )  # fmt: skip


def called_normal() -> Found:
    """In miniature, after GRPO more patients are called normal, abnormal and normal ones alike."""
    rises = {
        arm: [changed(model(arm, "last"), model(SFT), hospital, CALLED_NORMAL) for hospital in "ABC"]
        for arm in (HARD, NUANCED)
    }
    of_best = [changed(model(HARD), model(SFT), hospital, CALLED_NORMAL) for hospital in "ABC"]
    of_normal = [changed(model(HARD, "last"), model(SFT), hospital, NORMAL_CALLED) for hospital in "ABC"]
    best, normal = (
        ", ".join("–" if isinstance(one, str) else signed(one.estimate) for one in row) for row in (of_best, of_normal)
    )
    hard, nuanced = (", ".join(map(spoken, row)) for row in rises.values())
    return Found(
        hard=hard, nuanced=nuanced, best=best, normal=normal, run=_run(),
        holds=_run()
        and posthoc.called_normal_rises(HARD)
        and posthoc.called_normal_rises(NUANCED)
        and not any(map(_clear, of_best))
        and all(map(above, of_normal)),
    )  # fmt: skip


def untouched() -> Found:
    """In miniature, no training of the paper's kind was seen to raise macro-F1 above the untouched model's."""
    before, after, other = (
        [changed(model(arm), model("base"), h, MACRO) for h in "AB"] for arm in (SFT, HARD, NUANCED)
    )
    pairs = [(arm, h) for arm in (SFT, HARD, NUANCED) for h in "ABC"]
    named = [changed(model(arm), model("base"), h, NAMED) for arm, h in pairs]
    overlap = {f"{NAMES[arm]} at {h}": changed(model(arm), model("base"), h, JACCARD) for arm, h in pairs}
    apart = [f"{where}, {spoken(one)}" for where, one in overlap.items() if _clear(one)]
    return Found(
        before=list(map(spoken, before)), after=list(map(spoken, after)),
        micro=spoken(changed(model(HARD), model("base"), "A", MICRO)),
        overlap=f"{len(apart) or 'none'} of {len(overlap)} intervals{': ' if apart else ''}{'; '.join(apart)}",
        run=_run(),
        holds=_run()
        and all(map(below, [*before, *named]))
        and all(not isinstance(one, str) and one.estimate < 0 for one in after)
        and not any(map(above, other)),
    )  # fmt: skip


def mitigations() -> Found:
    """None of the ways to change the training was seen to gain abroad."""
    found = cures.cures()
    fair, good = cures.tested(found), cures.worked(found)
    gains = {(name, h): cures.against_plain(name, h) for name in found for h in cures.abroad(name)}
    changes = [changed(model(HARD), model(SFT), hospital) for hospital in "AB"]
    return Found(
        tried=len(found), fair=len(fair), good=len(good) or "none", run=bool(found),
        reach=signed(max((one.high for one in gains.values() if not isinstance(one, str)), default=0.0)),
        holds=bool(fair)
        and not any(map(above, gains.values()))
        and all(isinstance(one, str) for (_, h), one in gains.items() if h == "C")
        and all(map(_open, changes)),
    )  # fmt: skip


def untestable() -> Found:
    """Two of the experiment's questions could not be answered: reasoning scaffolds, and what prevents collapse."""
    off, total = scaffold.constants(), sum(map(len, scaffold.runs_of("qwen").values()))
    return Found(
        off=off, of=total, run=scaffold.whole(),
        holds=isinstance(scaffold.difference("qwen"), str) and off > total / 2 and collapse.nothing(),
    )  # fmt: skip


def _run() -> bool:
    return have(*posthoc.shown("best"), *posthoc.shown("last"))


def _clear(one: Comparison) -> bool:
    return above(one) or below(one)


def _open(one: Comparison) -> bool:
    """Whether an interval holds zero; what is not compared has none."""
    return not isinstance(one, str) and not one.excludes_zero
