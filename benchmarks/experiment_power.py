"""Which changes the second experiment can see, by patients, answers and trainings: results/experiment/power.csv.

    python benchmarks/experiment_power.py

The variances come from answers of the first experiment's checkpoints (SFT and hard reward, seed 0) to patients of its
own stream, eight to an image (results/experiment/pilot), and from the kept answers of its five trainings. A change is
simulated many times: some of the patients' luck is shared by all trainings, the rest of it, a spread and the answers
are each training's own. A change is seen if the interval of the analysis (`trainings.uncertainty`) leaves out zero at
2.5 %, Holm's first step of two. Printed is the smallest change that is seen in 80 of 100 simulations; beside it, the
same if half of a training's own luck with the patients were shared by all, because that share comes from few data and
is cut off at 0; and of what is no change, how often it is shown to be less than 0.01, again both ways.

"C less A" is contrast (b) of question 1: other patients at each hospital, so the variances add up, and the spreads of
both are taken as independent. "seeing (split)" decides contrast (a). The old trainings gave one answer to an image, and
a vote of one cannot tell seeing from sharpness: its spread and its shared part are those of both together.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import t as student

from companion.evidence import instrument, trainings
from companion.evidence.instrument import Sampled
from companion.evidence.stats import Floats
from companion.experiment import patients, scores, words, worlds

PLACE = Path(__file__).parents[1] / "results" / "experiment"
#: The pilot's patients: the first experiment's stream, and how many were taken as they came.
PILOT = {"SEED": 9000, "PLAIN": dict.fromkeys("AC", 600)}
#: Patients that the experiment has at each hospital.
SIZES = {"A": 1200, "C": 800}


def changed(outcome: trainings.Outcome) -> Callable[[Sampled, Sampled, Floats], Floats]:
    """The change of an outcome between two sets of answers, in each draw of patients."""
    return lambda before, after, draws_RN: outcome(after, draws_RN) - outcome(before, draws_RN)


#: What decides contrast (a), at home only. At C its ratio bursts: there the pilot's votes of four see next to nothing.
SPLIT = "seeing (split)"
#: Outcome -> its change from the answers before to those after.
CHANGES: dict[str, Callable[[Sampled, Sampled, Floats], Floats]] = {
    SPLIT: lambda before, after, draws_RN: instrument.split(before, after, draws_RN)["seeing"],
    "seeing (AUROC)": changed(instrument.auroc), "micro-F1": changed(instrument.micro_f1),
    "Jaccard": changed(instrument.jaccard), "false normals": changed(instrument.false_normal),
    "named per recorded": changed(instrument.named_per_recorded),
}  # fmt: skip
#: A change counts for nothing if its whole interval at this level is nearer to zero than that (the plan).
EQUIVALENCE, NEGLIGIBLE = 0.90, 0.01
LEVEL, POWER, SIMULATIONS = 0.025, 0.8, 20_000
OLD = ("sft-medgemma-free_reasoning-best", "grpo-hard-last")


def pilot(population: str, model: str, answers: int, first: int = 0) -> Sampled:
    """Some of the eight answers of the pilot at a hospital, against its own labels."""
    rows = pd.read_csv(PLACE / "pilot" / f"{model}-{population}{population}.csv.gz", keep_default_na=False)
    said_NKF, failed_NK = words.read(rows["answers"])
    some = slice(first, first + answers)
    own = scores.OWN[population]
    return Sampled(said_NKF[:, some], failed_NK[:, some], patients.truth(population, own), patients.SEEN)


def old_changes(population: str, name: str) -> Floats:
    """The changes of the first experiment's five trainings (a greedy answer an image), in each draw of patients (5, R).

    Of the findings that at least 20 of its 300 patients have: with two or three patients the luck of one is no spread
    of trainings.
    """
    known = worlds.labels(300)
    own = known[(known["population"] == population) & (known["reference"] == scores.OWN[population])]
    true_NF = _columns(own.sort_values("index")["positive"])
    common = [name for name in patients.SEEN if true_NF[:, patients.FINDINGS.index(name)].sum() >= 20]
    draws_RN = instrument.draws(np.zeros(300, int), np.ones(300), 1000, np.random.default_rng(0))
    changes = []
    for seed in range(5):
        pair: list[Sampled] = []
        for model in OLD:
            path = PLACE / f"seed{seed}" / f"{model}-answers" / "predictions.csv.gz"
            rows = pd.read_csv(path, keep_default_na=False)
            rows = rows[(rows["population"] == population) & (rows["image"] == population)].sort_values("index")
            said_NF = _columns(rows["predicted"])
            one = Sampled(said_NF[:, None], rows["failed"].to_numpy(bool)[:, None], true_NF, common)
            pair.append(one)
        changes.append(CHANGES[name](pair[0], pair[1], draws_RN))
    return np.array(changes)


def _columns(cells: pd.Series) -> np.ndarray:
    return np.array([[name in cell.split(";") for name in patients.FINDINGS] for cell in cells])


def variances(population: str, name: str) -> dict[str, float]:
    """Variances of a change: shared by all trainings, of one training, of an answer, each times the patients; a spread.

    Shared is the covariance of two trainings over draws of the same patients; `spread` the variance of trainings that
    more patients would not take away.
    """
    table = patients.sample(population)
    stratum_N = pd.factorize(table["stratum"])[0]
    draws_RN = instrument.draws(stratum_N, table["weight"].to_numpy(), 1000, np.random.default_rng(0))

    def variance(answers: int, first: int) -> float:
        after, before = (pilot(population, model, answers, first) for model in ("hard", "sft"))
        return float(np.var(CHANGES[name](before, after, draws_RN)[1:], ddof=1))

    many, old = len(table), old_changes(population, name)
    eight, four = many * variance(8, 0), many * (variance(4, 0) + variance(4, 4)) / 2
    answer = max(0.0, 8 * (four - eight))  # what K answers add is answer / K
    among = np.cov(old[:, 1:])
    shared = max(0.0, 300 * among[~np.eye(5, dtype=bool)].mean())
    own = max(0.0, eight - answer / 8 - shared)
    luck = (300 * among.diagonal().mean() - shared) / 300
    return {"shared": shared, "own": own, "answer": answer, "spread": max(0.0, old[:, 0].var(ddof=1) - luck)}


def parts(found: dict[str, float], many: int, answers: int, common: float = 0.0) -> dict[str, float]:
    """Variances of a change with so many patients and answers: shared by all trainings, own, of the answers, spread.

    `common` is the share of a training's own luck with the patients that is taken as shared by all.
    """
    return {"shared": (found["shared"] + common * found["own"]) / many, "own": (1 - common) * found["own"] / many,
            "answer": found["answer"] / answers / many, "spread": found["spread"]}  # fmt: skip


def added(*each: dict[str, float]) -> dict[str, float]:
    """The variances of a difference of independent changes."""
    return {kind: sum(one[kind] for one in each) for kind in each[0]}


def simulated(found: dict[str, float], many: int) -> tuple[Floats, Floats, Floats]:
    """The luck of simulated means of so many trainings with these `parts`, their errors, and degrees of freedom."""
    rng = np.random.default_rng(1)
    own = rng.standard_normal((SIMULATIONS, many)) * np.sqrt(found["own"] + found["answer"] + found["spread"])
    variance, freedom = trainings.uncertainty(np.array(found["shared"]), own.var(axis=1, ddof=1), many)
    luck = rng.standard_normal(SIMULATIONS) * np.sqrt(found["shared"]) + own.mean(axis=1)
    return luck, np.sqrt(variance), freedom


def smallest(found: dict[str, float], many: int) -> float:
    """The smallest change that is seen in `POWER` of the simulations of so many trainings, of its `parts`."""
    luck, error, freedom = simulated(found, many)
    reach = student.ppf(1 - LEVEL / 2, freedom) * error
    return float(brentq(lambda change: np.mean(np.abs(luck + change) > reach) - POWER, 0, 20 * error.mean() + 1e-9))


def shown_none(found: dict[str, float], many: int) -> float:
    """Of no change, how often its interval for equivalence lies within what is negligible."""
    luck, error, freedom = simulated(found, many)
    reach = student.ppf((1 + EQUIVALENCE) / 2, freedom) * error
    return float(np.mean(np.abs(luck) + reach < NEGLIGIBLE))


def main() -> None:
    """Write the table and print it."""
    for name, value in PILOT.items():
        setattr(patients, name, value)
    wanted = [(population, name) for population in "AC" for name in CHANGES if (population, name) != ("C", SPLIT)]
    found = {(population, name): variances(population, name) for population, name in wanted}
    contrasts = {one: one[:1] for one in wanted} | {("C less A", "micro-F1"): ("C", "A")}
    rows = []
    for (where, name), hospitals in contrasts.items():
        for times, answers, many in itertools.product((1, 2), (4, 8), (5, 10)):
            apart, half = (
                added(*(parts(found[one, name], times * SIZES[one], answers, common) for one in hospitals))
                for common in (0.0, 0.5)
            )
            rows.append({"hospital": where, "outcome": name, "patients": times * sum(SIZES[one] for one in hospitals),
                         "answers": answers, "trainings": many,
                         **{f"{kind}_sd": variance**0.5 for kind, variance in apart.items()},
                         "smallest": smallest(apart, many), "if_half_shared": smallest(half, many),
                         "shown_none": shown_none(apart, many),
                         "shown_none_if_half": shown_none(half, many)})  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(PLACE / "power.csv", index=False, float_format="%.5f")
    print(table.to_string(index=False, float_format="%.4f"))


if __name__ == "__main__":
    main()
