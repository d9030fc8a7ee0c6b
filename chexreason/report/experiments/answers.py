"""What the experiment has answered so far, read once for all chapters."""

from functools import cache

import pandas as pd

from chexreason import config, runs
from chexreason.evidence import results_root
from chexreason.experiments import analysis, arms, worlds
from chexreason.provenance import EXPERIMENT
from chexreason.report.behind import runs_behind
from chexreason.report.theme import Html, badge, block

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


def facts(*models: str) -> str:
    """The badge of what rests on these models: tier, profile, patients and seeds."""
    known = answers()
    many = {name: sum(one == name for one, _ in known.of) for name in models if name != model("base")}
    few, most = min(many.values(), default=1), max(many.values(), default=1)
    seeds = f"seeds {', '.join(map(str, known.seeds(models)))}" if few == most else f"{few} to {most} seeds an arm"
    return badge(
        "miniature", PROFILE, sizes(), f"{patients(known)} patients a world", seeds,
        "macro-F1 over nine findings",
    )  # fmt: skip


def sizes() -> str:
    """How many studies the arms were trained on, and where."""
    found = [run.info for run in trained().values()]
    numbers = {stage: {info["n_train"] for info in found if info["stage"] == stage} for stage in ("sft", "grpo")}
    told = [f"{'/'.join(map(str, sorted(n)))} {stage.upper()} studies" for stage, n in numbers.items() if n]
    return ", ".join([*told, *sorted({str(info["device"]) for info in found})])


def about() -> str:
    """The badge of the experiment as a whole: tier, profile, patients a world and trainings so far."""
    known = answers()
    size = f"{patients(known)} patients a world" if known.of else ""
    return badge("miniature", PROFILE, sizes(), size, f"{len(trained())} trainings")


def missing(what: str) -> Html:
    """What stands in place of a figure whose runs are not there yet."""
    profile = config.load_profile(PROFILE).name
    return block(
        f'<p class="cxr-note">The profile {profile} has not run {what}. <code>make experiments</code> runs it.</p>'
    )
