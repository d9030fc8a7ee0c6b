"""The front page and the argument: whether the results at hand still bear out what it says was found.

The sentences stand with their values in `book/index.md` and `book/argument.md`. A function here is one of them: a check
of all that the sentence claims, None where its runs are missing. Where it fails, the page says so in front of the
sentence, and a test refuses that for the committed results.
"""

import yaml

from chexreason import config
from chexreason.labels import FINDINGS, NIH_SHARED
from companion.evidence import comparable
from companion.evidence.audit import conventions, facts, matched, operating, power
from companion.evidence.audit import uncertainty as sure
from companion.evidence.claims import CHANCE
from companion.evidence.comparable import ENOUGH
from companion.evidence.outcomes import CALLED_NORMAL, MACRO, NAMED, NORMAL_CALLED
from companion.evidence.tables import MODELS
from companion.report import verdict_table
from companion.report.audit_operating import moved, ratio
from companion.report.experiments import cells, collapse, cures, posthoc, scaffold
from companion.report.experiments.answers import Comparison, above, below, changed, have
from companion.report.experiments.names import HARD, NUANCED, SFT, model


def stand(holds: bool | None) -> str:
    """What stands in front of a finding's sentence: nothing if the results at hand bear it out."""
    return {True: "", False: "No longer borne out by the results at hand:", None: "Not run yet:"}[holds]


def same_findings() -> bool:
    """Much of the paper's contrast is one of findings: its gain on CheXpert over fourteen, nine and frequent ones."""
    change, falls, judged = (
        matched.waterfall(5, "medgemma_sft", "chexreason"),
        matched.crossings(),
        verdict_table.judged(None),
    )
    often, shared = (comparable.frequent(facts.supports("chexpert", "test", names)) for names in (FINDINGS, NIH_SHARED))
    return (
        judged["grpo-improves-chexpert-nine"].verdict == judged["optimised-lose-more"].verdict == CHANCE
        and change.over(shared) <= 0 < change.over(often)
        and change.over(NIH_SHARED) < change.change / 2
        and falls["medgemma"].matched < falls["chexreason"].matched < 0
    )


def beside_radiologists() -> bool:
    """All models but one score below every radiologist on CheXpert."""
    lowest = min(one.macro for one in facts.readers("chexpert") if one.line == "radiologists")
    return {name for name in MODELS if facts.value(5, "macro", name) >= lowest} == {"nv_reason"}


def one_finding() -> bool:
    """Without Lung Opacity, which NIH lacks, little more than a third of the gain is left; Pneumonia is second."""
    gain = matched.waterfall(5, "medgemma_sft", "chexreason")
    left = gain.without_largest() / gain.change
    second = gain.parts[1].finding
    return 1 / 3 < left < 0.4 and gain.largest.finding not in NIH_SHARED and sure.supports_of(5)[second] < ENOUGH


def same_word() -> bool:
    """What radiologists mark together, reports often do not record together."""
    pairs = [one for one in conventions.together() if one.given != "No Finding"]
    return all(one.reports < 0.6 and one.radiologists > 0.8 for one in pairs)


def patients_needed() -> bool:
    """Two of four differences would take tens of thousands of studies or more; the other two, a thousand or fewer."""
    needed = sorted(one.needed() for one in power.questions())
    return needed[1] <= 1000 and needed[2] >= 20_000


def naming() -> bool:
    """After SFT fewer labels are named, after GRPO about as many as before; and what that alone can do to macro-F1."""
    before, (tuned,), after = ([ratio(*row) for row in rows] for rows in operating.BEHIND.values())
    return (
        tuned < 1 <= min(before)
        and tuned < min(after) <= max(before)
        and moved("B").change.low > matched.waterfall(5, "medgemma_sft", "chexreason").change
        and moved("C").change.low > 0
    )


def no_gain() -> bool | None:
    """In miniature, no change of macro-F1 from SFT to GRPO is distinguishable from zero."""
    others = [
        changed(model(*one), model(SFT), hospital)
        for one in ((NUANCED, "best"), (NUANCED, "last"), (HARD, "last"))
        for hospital in "AB"
    ]
    return _run() and (
        _open(cells.home(HARD))
        and _open(changed(model(HARD), model(SFT), "B"))
        and not any(map(_clear, [*others, cells.as_planned(HARD, "best")]))
        and all(cells.off(name, "C") for name in posthoc.shown("best"))
    )


def called_normal() -> bool | None:
    """In miniature, after GRPO more patients are called normal, abnormal and normal ones alike."""
    return _run() and (
        posthoc.called_normal_rises(HARD)
        and posthoc.called_normal_rises(NUANCED)
        and not any(_clear(changed(model(HARD), model(SFT), hospital, CALLED_NORMAL)) for hospital in "ABC")
        and all(above(changed(model(HARD, "last"), model(SFT), hospital, NORMAL_CALLED)) for hospital in "ABC")
    )


def untouched() -> bool | None:
    """In miniature, no training of the paper's kind was seen to raise macro-F1 above the untouched model's."""
    before, after, other = (
        [changed(model(arm), model("base"), hospital, MACRO) for hospital in "AB"] for arm in (SFT, HARD, NUANCED)
    )
    named = [changed(model(arm), model("base"), hospital, NAMED) for arm in (SFT, HARD, NUANCED) for hospital in "ABC"]
    return _run() and (
        all(map(below, [*before, *named]))
        and all(not isinstance(one, str) and one.estimate < 0 for one in after)
        and not any(map(above, other))
    )


def mitigations() -> bool | None:
    """None of the ways to change the training was seen to gain abroad."""
    if not (found := cures.cures()):
        return None
    gains = {(name, hospital): cures.against_plain(name, hospital) for name in found for hospital in cures.abroad(name)}
    return (
        bool(cures.tested(found))
        and not any(map(above, gains.values()))
        and all(isinstance(one, str) for (_, hospital), one in gains.items() if hospital == "C")
        and all(_open(changed(model(HARD), model(SFT), hospital)) for hospital in "AB")
    )


def untestable() -> bool | None:
    """Two of the experiment's questions could not be answered: reasoning scaffolds, and what prevents collapse."""
    if not scaffold.whole():
        return None
    off, total = scaffold.constants(), sum(map(len, scaffold.runs_of("qwen").values()))
    return isinstance(scaffold.difference("qwen"), str) and off > total / 2 and collapse.nothing()


def _run() -> bool | None:
    return have(*posthoc.shown("best"), *posthoc.shown("last")) or None


def _clear(one: Comparison) -> bool:
    return above(one) or below(one)


def _open(one: Comparison) -> bool:
    """Whether an interval holds zero; what is not compared has none."""
    return not isinstance(one, str) and not one.excludes_zero


def colophon() -> str:
    """Who wrote what is read, its version, date and licence, from the repository's citation file."""
    about = yaml.safe_load((config.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    who, when = about["authors"][0]["name"], about["date-released"]
    return f"{who}: version {about['version']} of {when:%-d %B %Y}, licence {about['license']}"
