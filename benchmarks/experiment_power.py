"""Which changes the second experiment can see, by patients, answers and trainings: results/experiment/power.csv.

    python benchmarks/experiment_power.py

The variances come from answers of the first experiment's checkpoints (SFT and hard reward, seed 0) to patients of its
own stream, eight to an image (results/experiment/pilot), and from the kept answers of its five trainings. A change is
simulated many times: some of the patients' luck is shared by all trainings, the rest of it, a spread and the answers
are each training's own. A change is seen if the interval leaves out zero at 2.5 %, Holm's first step of two. Printed is
the smallest change that is seen in 80 of 100 simulations.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import t as student

from companion.evidence import instrument
from companion.evidence.instrument import Sampled
from companion.evidence.stats import Floats
from companion.experiment import patients, sampling, scores, worlds

PLACE = Path(__file__).parents[1] / "results" / "experiment"
#: The pilot's patients: the first experiment's stream, and how many were taken as they came.
PILOT = {"SEED": 9000, "PLAIN": dict.fromkeys("AC", 600)}
#: Patients that the experiment has at each hospital.
SIZES = {"A": 1200, "C": 800}
OUTCOMES: dict[str, Callable[[Sampled, Floats], Floats]] = {
    "seeing (AUROC)": instrument.auroc, "micro-F1": instrument.micro_f1, "Jaccard": instrument.jaccard,
    "false normals": instrument.false_normal, "named per recorded": instrument.named_per_recorded,
}  # fmt: skip
LEVEL, POWER, SIMULATIONS = 0.025, 0.8, 20_000
OLD = ("sft-medgemma-free_reasoning-best", "grpo-hard-last")


def pilot(population: str, model: str, answers: int, first: int = 0) -> Sampled:
    """Some of the eight answers of the pilot at a hospital, against its own labels."""
    rows = pd.read_csv(PLACE / "pilot" / f"{model}-{population}{population}.csv.gz", keep_default_na=False)
    said_NKF, failed_NK = sampling.read(rows["answers"])
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
        pair = []
        for model in OLD:
            path = PLACE / f"seed{seed}" / f"{model}-answers" / "predictions.csv.gz"
            rows = pd.read_csv(path, keep_default_na=False)
            rows = rows[(rows["population"] == population) & (rows["image"] == population)].sort_values("index")
            said_NF = _columns(rows["predicted"])
            one = Sampled(said_NF[:, None], rows["failed"].to_numpy(bool)[:, None], true_NF, common)
            pair.append(OUTCOMES[name](one, draws_RN))
        changes.append(pair[1] - pair[0])
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
        return float(np.var((OUTCOMES[name](after, draws_RN) - OUTCOMES[name](before, draws_RN))[1:], ddof=1))

    many, old = len(table), old_changes(population, name)
    eight, four = many * variance(8, 0), many * np.mean([variance(4, 0), variance(4, 4)])
    answer = max(0.0, 8 * (four - eight))  # what K answers add is answer / K
    among = np.cov(old[:, 1:])
    shared = max(0.0, 300 * among[~np.eye(5, dtype=bool)].mean())
    own = max(0.0, eight - answer / 8 - shared)
    luck = (300 * among.diagonal().mean() - shared) / 300
    return {"shared": shared, "own": own, "answer": answer, "spread": max(0.0, old[:, 0].var(ddof=1) - luck)}


def smallest(found: dict[str, float], many: int, trainings: int, answers: int) -> float:
    """The smallest change that is seen in `POWER` of the simulations, with so many patients."""
    rng = np.random.default_rng(1)
    shared = found["shared"] / many
    single = (found["own"] + found["answer"] / answers) / many + found["spread"]
    own = rng.standard_normal((SIMULATIONS, trainings)) * np.sqrt(single)
    error = np.sqrt(shared + own.var(axis=1, ddof=1) / trainings)
    reach = student.ppf(1 - LEVEL / 2, trainings - 1) * error
    luck = rng.standard_normal(SIMULATIONS) * np.sqrt(shared) + own.mean(axis=1)
    return float(brentq(lambda change: np.mean(np.abs(luck + change) > reach) - POWER, 0, 20 * error.mean() + 1e-9))


def main() -> None:
    """Write the table and print it."""
    for name, value in PILOT.items():
        setattr(patients, name, value)
    rows = []
    for population in "AC":
        for name in OUTCOMES:
            found = variances(population, name)
            for times, answers, trainings in itertools.product((1, 2), (4, 8), (5, 10)):
                many = times * SIZES[population]
                errors = {f"{kind}_sd": (found[kind] / many) ** 0.5 for kind in ("shared", "own", "answer")}
                rows.append({"hospital": population, "outcome": name, "patients": many, "answers": answers,
                             "trainings": trainings, **errors, "spread_sd": found["spread"] ** 0.5,
                             "smallest": smallest(found, many, trainings, answers)})  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(PLACE / "power.csv", index=False, float_format="%.5f")
    print(table.to_string(index=False, float_format="%.4f"))


if __name__ == "__main__":
    main()
