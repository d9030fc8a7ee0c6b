"""How much of GRPO's machinery acts in the experiment: clipped tokens, tied groups, an update without a step (3.2.2).

All of it is read from what the trainer logged. An arm that changes what hardly ever acts is hardly another arm, which
its chapter has to say.
"""

import pandas as pd

from chexreason.rewards import Hard
from companion.report.experiments.answers import answers, trained
from companion.report.experiments.names import SFT, model
from companion.report.figures import series

#: Share of the tokens below which the clip bounds count as hardly acting; our choice.
SELDOM = 0.01
CLIPPED, TIED, RATE = "clip_ratio/region_mean", "frac_reward_zero_std", "learning_rate"


def machinery() -> pd.DataFrame:
    """A row a GRPO training: arm, share of tokens `clipped` and of groups `tied` (means over updates, NaN
    where not logged), updates, and whether the first one is `idle` because the learning rate rises from zero."""
    rows = []
    for (arm, _), run in trained().items():
        if run.info["stage"] == "grpo":
            clipped, tied, rate = (series(run.history(), metric) for metric in (CLIPPED, TIED, RATE))
            rows.append((arm, clipped.mean(), tied.mean(), len(rate), bool(rate.iloc[:1].eq(0).any())))
    return pd.DataFrame(rows, columns=["arm", "clipped", "tied", "updates", "idle"])


def idle_updates() -> tuple[int, int, int]:
    """Trainings whose first update changes nothing, all trainings, and the least updates of one."""
    found = machinery()
    return int(found["idle"].sum()), len(found), min(found["updates"].astype(int), default=0)


def by_arm(metric: str) -> str:
    """The range over arms of a share in `machinery`, means over trainings; a dash if no arm logs it."""
    means = machinery().groupby("arm")[metric].mean().dropna()
    return " to ".join(f"{x:.{2 * (metric == 'clipped')}%}" for x in (means.min(), means.max())) if len(means) else "–"


def seldom_clipped() -> bool:
    """Whether the clip bounds hardly act in any arm, so that one with other bounds is almost without a treatment."""
    return bool(machinery().groupby("arm")["clipped"].mean().max() < SELDOM)


def lowest_last() -> tuple[int, int, int]:
    """SFT trainings whose validation loss was lowest after the last epoch, all that log one, and epochs at most."""
    losses = [series(run.history(), "eval_loss") for run in trained().values() if run.info["stage"] == "sft"]
    losses = [values for values in losses if len(values)]
    lowest = sum(bool(values.iloc[-1] == values.min()) for values in losses)
    return lowest, len(losses), max(map(len, losses), default=0)


def short_answers() -> dict[str, float]:
    """The share of the fine-tuned model's answers at hospital A below the hard reward's limit of characters: of all, of
    those that name one label and of those that name three or more; NaN without answers."""
    rows = [frame for (name, _), frame in answers().of.items() if name == model(SFT)]
    if not rows:
        return dict.fromkeys(("all", "one label", "three or more"), float("nan"))
    home = pd.concat(rows).query("population == image == 'A' and not failed")
    short = home["completion"].astype(str).str.len() < Hard().min_length
    labels = home["predicted"].astype(str).str.count(";") + 1
    kinds = {"all": short, "one label": short[labels == 1], "three or more": short[labels >= 3]}
    return {kind: float(which.mean()) for kind, which in kinds.items()}
