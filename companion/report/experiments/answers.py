"""What the experiment has answered so far, read once for all chapters; and how models are set against one another:
one call for a difference (`compared`), one for a figure of many (`compare`)."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from chexreason import runs
from companion.evidence import analysis
from companion.evidence.outcomes import MACRO, Outcome
from companion.evidence.stats import Interval
from companion.evidence.tables import results_root
from companion.experiment import scores
from companion.report.experiments.names import NOT_RUN, PROFILE, model, named
from companion.report.plots import picture
from companion.report.theme import Html, badge, block

#: A difference with its interval, or why there is none, as the end of a sentence.
Comparison = analysis.Contrast | str
#: Series of a figure's panel -> its rows.
Series = Mapping[str, Mapping[str, Comparison]]


@cache
def answers() -> analysis.Answers:
    """All answers with their labels; empty if nothing has been run."""
    return analysis.read(results_root() / PROFILE)


@cache
def _all_runs() -> list[runs.Run]:
    return [run for folder in sorted((results_root() / PROFILE).glob("seed*")) for run in runs.read_all(folder)]


def trained() -> dict[tuple[str, int], runs.Run]:
    """(arm, seed) -> its training run."""
    return {(run.run_id, int(run.info["seed"])): run for run in _all_runs() if run.info["stage"] in ("sft", "grpo")}


def asked(*models: str) -> list[runs.Run]:
    """The runs that asked these models, a seed each."""
    names = {f"{name}-answers" for name in models}
    return [run for run in _all_runs() if run.info["stage"] == "worlds" and run.run_id in names]


def have(*models: str) -> bool:
    """Whether these models share a seed among the answers."""
    return bool(answers().seeds(models)) if models else False


def compared(
    weights: Mapping[analysis.Key, float], outcome: Outcome = MACRO, beside: Iterable[str] = (),
    findings: tuple[str, ...] = (),
) -> Comparison:  # fmt: skip
    """A contrast, or why there is none (`analysis.NotComparable`)."""
    return _compared(tuple(weights.items()), outcome, findings, tuple(beside))


@cache
def _compared(weights: tuple[tuple[analysis.Key, float], ...], outcome: Outcome, *more: tuple[str, ...]) -> Comparison:
    if not have(*{key.model for key, _ in weights}, *more[-1]):
        return NOT_RUN
    try:
        return analysis.contrast(answers(), dict(weights), outcome, *more)
    except analysis.NotComparable as reason:
        return named(str(reason))


def changed(
    after: str, before: str, hospital: str, outcome: Outcome = MACRO, beside: Iterable[str] = ()
) -> Comparison:  # fmt: skip
    """From one model to another at a hospital, with its own patients, images and labels."""
    return compared(analysis.change(after, before, scores.own(hospital)), outcome, beside)


def above(value: Interval | str) -> bool:
    """Whether a whole interval lies above zero; what has none does not."""
    return not isinstance(value, str) and value.low > 0


def below(value: Interval | str) -> bool:
    """Whether a whole interval lies below zero."""
    return not isinstance(value, str) and value.high < 0


def significance(value: Interval | str) -> str:
    """What an interval says of zero; what has none is not compared."""
    if isinstance(value, str):
        return "so nothing is concluded"
    return "distinguishable from zero" if value.excludes_zero else "not distinguishable from zero"


def compare(
    title: str, panels: Mapping[str, Series], unit: str, models: Sequence[str], says: str, *,
    measure: str = "macro-F1", columns: int = 2,
) -> Html:  # fmt: skip
    """A figure of differences between `models`, a panel a title, with its count of intervals and all its numbers."""
    if not have(*models) or not any(rows for values in panels.values() for rows in values.values()):
        return missing(f"all of {', '.join(map(named, models))}")
    says += counted(panels)
    return shown(title, facts(*models, measure=measure), panels, unit, says, runs=asked(*models), columns=columns)


def shown(
    title: str, head: str, panels: Mapping[str, Mapping[str, Mapping[str, Interval | str]]], unit: str, says: str,
    **look: Any,
) -> Html:  # fmt: skip
    """A figure of intervals over trainings, a panel a title; one of one series shows the single trainings, too."""
    single = {
        panel: {row: one.per_seed for row, one in rows.items() if isinstance(one, analysis.Contrast)}
        for panel, values in panels.items()
        for rows in values.values()
        if len(values) == 1
    }
    if any(single.values()):
        says = f"A pale dot is a training. {says}"
    return picture(title, head, panels, unit, says, points=single, **look)


def counted(panels: Mapping[str, Series]) -> str:
    """How many intervals a figure shows, which leave zero out, and how many would by chance; ends a caption."""
    found = {f"{title}, {row}, {series}": value for title, one in panels.items() for series, each in one.items()
             for row, value in each.items()}  # fmt: skip
    whole = sum(not isinstance(value, str) for value in found.values())
    off = [name for name, value in found.items() if above(value) or below(value)]
    which = f" ({'; '.join(off)})" if 0 < len(off) <= 6 else ""
    text = (
        f" {whole} intervals at 95 % over trainings (t) and patients, not corrected for their number; zero lies "
        f"outside {len(off) or 'none'} of them{which}, where chance would put {whole / 20:.1f}."
    )
    lacking = len(found) - whole
    return text + (f" {lacking} are not compared; the numbers below say why." if lacking else "")


def facts(*models: str, measure: str = "macro-F1") -> str:
    """The badge of what rests on these models: tier, profile, patients, seeds and what is measured."""
    seeds = [answers().seeds([name]) for name in models if name != model("base")] or [[0]]
    few, most = min(map(len, seeds)), max(map(len, seeds))
    which = f"seeds {', '.join(map(str, seeds[0]))}" if few == most else f"{few} to {most} trainings an arm"
    return about(f"{answers().patients} patients a hospital", which, measure)


def about(*more: str) -> str:
    """The badge of the experiment: tier, profile, studies and device; and more, or how much there is so far."""
    runs = [run.info for run in trained().values()]
    sizes = {stage: sorted({info["n_train"] for info in runs if info["stage"] == stage}) for stage in ("sft", "grpo")}
    stages = [f"{'/'.join(map(str, each))} {stage.upper()} studies" for stage, each in sizes.items() if each]
    studies = ", ".join([*stages, *sorted({str(info["device"]) for info in runs})])
    so_far = [f"{answers().patients} patients a hospital" if answers().of else "", f"{len(runs)} trainings"]
    return badge("miniature", PROFILE, studies, *(more or so_far))


def missing(what: str) -> Html:
    """What stands in place of a figure whose runs are not there yet."""
    return block(
        f'<p class="cxr-note">The profile {PROFILE} has not run {what}. <code>make experiments</code> runs it.</p>'
    )
