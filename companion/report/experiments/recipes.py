"""Questions 4 to 6 of the second experiment: more data, the weight of the divergence, the neighbours' recipes.

All of it is exploratory: no contrast is primary and none is corrected, so that all are shown together.
"""

import pandas as pd
from matplotlib.axes import Axes

from companion.evidence.trainings import Change
from companion.experiment import plan
from companion.experiment.scores import own
from companion.report.experiments import kept
from companion.report.experiments.kept import answers
from companion.report.frames import frame_table
from companion.report.plots import LOOKS, Values, framed, panel, picture
from companion.report.theme import Html, spoken

#: Question 4: arm -> how a figure names it.
MORE = {
    "hard": "GRPO, hard", "sft-on": "SFT goes on, 1,000 studies", "sft-more": "SFT of all 3,000",
    "raft": "better half alone", "placebo": "placebo reward", "from-base": "GRPO without SFT",
}  # fmt: skip
#: Question 5: arm -> the weight of the divergence.
BETAS = {"beta-0.0": 0.0, "beta-0.01": 0.01, "beta-0.05": 0.05, "hard": 0.15}
#: Question 6: the arms whose answers are compared with those of `hard`.
NEIGHBOURS = tuple(name for name, arm in plan.ARMS.items() if arm.question == 6 and arm.stage != "sft")
#: What differs is looked for at home and at C.
PLACES = ("A", "C")


def _panels(arms: dict[str, str], than: str) -> dict[str, Values]:
    """A panel an outcome and hospital: each arm less another; all of the same trainings and as many answers."""
    found: dict[str, Values] = {}
    for hospital in PLACES:
        parts = {arm: answers().split(arm, than, own(hospital), list(arms)) for arm in arms}
        for name, part in (("Seeing", "seeing"), ("Micro-F1", "all")):
            found[f"{name}, hospital {hospital}"] = {"": {arms[arm]: parts[arm][part] for arm in arms}}
    return found


def more_figure() -> Html:
    """The change from SFT of reinforcement, of more fine-tuning and of the controls."""
    arms = ("sft", *MORE)
    if kept.missing(arms):
        return kept.waiting(arms)
    return picture(
        "Reinforcement, or just more data?", kept.head(plan.SOME, "exploratory", hospitals="AC"), _panels(MORE, "sft"),
        "change since SFT",
        "Placebo: rewarded by the labels of a study drawn at random. Better half alone: answers below their group's "
        "mean leave the loss (RAFT). Bars: 95 % over patients and trainings, uncorrected.",
    )  # fmt: skip


def beta_figure() -> Html:
    """How far a training went from its start, and the change of micro-F1 since; a dot a training."""
    arms = ("sft", *BETAS)
    if kept.missing(arms):
        return kept.waiting(arms)
    seeds = range(plan.SOME)
    rows = pd.DataFrame([
        {"beta": beta, "seed": seed, "divergence": answers().divergence(arm, seed),
         **{hospital: answers().change("micro-F1", arm, "sft", own(hospital)).per_seed[seed] for hospital in PLACES}}
        for arm, beta in BETAS.items() for seed in seeds
    ])  # fmt: skip

    def drawn(hospital: str) -> str:
        def draw(axes: Axes) -> None:
            axes.axhline(0, linewidth=0.8, color="gray")
            for (beta, each), (colour, _, marker) in zip(rows.groupby("beta"), LOOKS, strict=False):
                axes.plot(each["divergence"], each[hospital], marker, color=colour, label=f"beta {beta}")

        told = "; ".join(
            f"beta {row['beta']}: {row['divergence']:.3f}, {row[hospital]:+.3f}" for _, row in rows.iterrows()
        )
        return panel(f"Hospital {hospital}", draw, told, xlabel="divergence from SFT, nats a token",
                     ylabel="change of micro-F1")  # fmt: skip

    return framed(
        "How far from the start, and what for?",
        kept.head(plan.SOME, "exploratory", "a dot a training", hospitals="AC"),
        [drawn(hospital) for hospital in PLACES],
        "The divergence of the last checkpoint from the SFT checkpoint, over its own answers to validation studies.",
    )  # fmt: skip


def neighbours_figure() -> Html:
    """Each neighbour's recipe less `hard` of the same seeds."""
    arms = ("hard", *NEIGHBOURS)
    if kept.missing(arms):
        return kept.waiting(arms)
    return picture(
        "The neighbours' recipes, less GRPO with equation 3",
        kept.head(plan.FEW, "exploratory", hospitals="AC"), _panels({arm: arm for arm in NEIGHBOURS}, "hard"),
        "arm less hard",
        f"Each is as faithful as the miniature allows, and none is the neighbour's own method. {len(NEIGHBOURS)} arms "
        "with four intervals each make about three differ by chance. Bars: 95 % over patients and trainings.",
    )  # fmt: skip


def differing() -> str:
    """Which neighbours differ from `hard` in any of the four intervals, as a sentence."""
    if lack := kept.missing(("hard", *NEIGHBOURS)):
        return lack
    found = _panels({arm: arm for arm in NEIGHBOURS}, "hard")
    away = [
        f"{arm} ({title.lower().replace('hospital a', 'A').replace('hospital c', 'C')} {spoken(change)})"
        for title, values in found.items() for arm, change in values[""].items()
        if isinstance(change, Change) and change.excludes_zero
    ]  # fmt: skip
    return f"Of {4 * len(NEIGHBOURS)} intervals {len(away)} leave zero out: {', '.join(away) or 'none'}."


def table() -> Html:
    """All arms of questions 4 to 6 with what they are, and the divergence from their start."""
    arms = [name for name, arm in plan.ARMS.items() if arm.question in (4, 5, 6)]
    if kept.missing(arms):
        return kept.waiting(arms)
    rows = pd.DataFrame([
        {"arm": name, "question": arm.question, "what it is": arm.what, "trainings": arm.seeds,
         "divergence": "–" if arm.stage != "grpo" else
         f"{sum(answers().divergence(name, seed) for seed in range(arm.seeds)) / arm.seeds:.3f}"}
        for name, arm in ((name, plan.get(name)) for name in arms)
    ])  # fmt: skip
    note = "Divergence of the last checkpoint from its start, nats a token, mean over trainings."
    return frame_table(rows, "The arms of questions 4 to 6", wrap=["what it is"], notes=[note], dense=True)
