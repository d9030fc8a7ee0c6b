"""What the experiment has answered so far, read once for all chapters."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import pandas as pd

from chexreason import config, runs
from companion.evidence import analysis
from companion.evidence.outcomes import MACRO, Outcome
from companion.evidence.sections import EXPERIMENT
from companion.evidence.tables import results_root
from companion.experiment import arms, scores, worlds
from companion.report.behind import runs_behind
from companion.report.theme import Html, badge, block

PROFILE = EXPERIMENT
HARD, NUANCED, SFT = "grpo-hard", "grpo-nuanced", arms.SFT


@cache
def answers() -> analysis.Answers:
    """All answers with their labels; empty if nothing has been run."""
    folder = results_root() / PROFILE
    read = analysis.read(folder, pd.DataFrame())
    return analysis.Answers(read.of, worlds.labels(patients(read)) if read.of else pd.DataFrame())


def patients(known: analysis.Answers) -> int:
    """How many patients a world has."""
    return 1 + max(int(frame["index"].max()) for frame in known.of.values())


@cache
def runs_of() -> dict[str, list[runs.Run]]:
    """Model -> the runs that asked it, a seed each."""
    found: dict[str, list[runs.Run]] = {}
    for folder in sorted((results_root() / PROFILE).glob("seed*")):
        for run in runs.read_all(folder):
            if run.info["stage"] == "worlds":
                found.setdefault(run.run_id.removesuffix("-answers"), []).append(run)
    return found


def behind(*models: str) -> str:
    """The runs that asked these models, to unfold below a figure."""
    return runs_behind(run for name in models for run in runs_of().get(name, []))


@cache
def trained() -> dict[tuple[str, int], runs.Run]:
    """(arm, seed) -> its training run."""
    found = {}
    for folder in sorted((results_root() / PROFILE).glob("seed*")):
        for run in runs.read_all(folder):
            if run.info["stage"] in ("sft", "grpo"):
                found[run.info["run_id"], int(run.info["seed"])] = run
    return found


def model(arm: str, checkpoint: str = "best") -> str:
    """The name of a checkpoint among the answers."""
    return f"{arm}-{checkpoint}"


def have(*models: str) -> bool:
    """Whether these models share a seed among the answers."""
    return bool(answers().seeds(models)) if models else False


Comparison = analysis.Contrast | str


def compared(
    weights: Mapping[analysis.Key, float], outcome: Outcome = MACRO, beside: Sequence[str] = (),
    findings: Sequence[str] | None = None,
) -> Comparison:  # fmt: skip
    """A contrast, or why there is none, as the end of a sentence (`analysis.NotComparable`)."""
    try:
        return analysis.contrast(answers(), weights, outcome, findings, beside=beside)
    except analysis.NotComparable as reason:
        return named(str(reason))


def changed(after: str, before: str, hospital: str, outcome: Outcome = MACRO, beside: Sequence[str] = ()) -> Comparison:
    """From one model to another at a hospital, with its own patients, images and labels (`compared`)."""
    cell = scores.own(hospital)
    return compared(analysis.change(after, before, cell), outcome, beside)


#: What the arms are called in sentences and figures.
NAMES = {"base": "untouched", SFT: "SFT", HARD: "GRPO, hard", NUANCED: "GRPO, nuanced"}


def named(text: str) -> str:
    """A sentence in which checkpoints go by their names: "SFT" for "sft-medgemma-free_reasoning-best".

    >>> named("sft-medgemma-free_reasoning-best scores 0.184, hard-no-kl-last scores 0.2")
    'SFT scores 0.184, hard-no-kl (last checkpoint) scores 0.2'
    """

    def name(found: re.Match[str]) -> str:
        arm, checkpoint = found.groups()
        return NAMES.get(arm, arm) + (" (last checkpoint)" if checkpoint == "last" else "")

    return re.sub(r"\b([a-z][a-z_-]*)-(best|last)\b", name, text)


def facts(*models: str, measure: str = "macro-F1") -> str:
    """The badge of what rests on these models: tier, profile, patients, seeds and what is measured."""
    known = answers()
    seeds = [known.seeds([name]) for name in models if name != model("base")] or [[0]]
    few, most = min(map(len, seeds)), max(map(len, seeds))
    told = f"seeds {', '.join(map(str, seeds[0]))}" if few == most else f"{few} to {most} trainings an arm"
    return badge("miniature", PROFILE, sizes(), f"{patients(known)} patients a hospital", told, measure)


def sizes() -> str:
    """How many studies the arms were trained on, and where."""
    found = [run.info for run in trained().values()]
    numbers = {stage: {info["n_train"] for info in found if info["stage"] == stage} for stage in ("sft", "grpo")}
    told = [f"{'/'.join(map(str, sorted(n)))} {stage.upper()} studies" for stage, n in numbers.items() if n]
    return ", ".join([*told, *sorted({str(info["device"]) for info in found})])


def about() -> str:
    """The badge of the experiment as a whole: tier, profile, patients a world and trainings so far."""
    known = answers()
    size = f"{patients(known)} patients a hospital" if known.of else ""
    return badge("miniature", PROFILE, sizes(), size, f"{len(trained())} trainings")


def missing(what: str) -> Html:
    """What stands in place of a figure whose runs are not there yet."""
    profile = config.load_profile(PROFILE).name
    return block(
        f'<p class="cxr-note">The profile {profile} has not run {what}. <code>make experiments</code> runs it.</p>'
    )
