"""The fit of how often the hospitals record each label, alone and together, to the published rates.

``python benchmarks/phantom_prevalence.py`` fits `companion/phantoms/rates.csv` and `correlations.csv`, and prints the
chances of `conventions.NAMED_PARENT`, to be set by hand; `Hospital.well` was chosen by hand. Where the simulation then
stands is on the book's data card. Every step moves each drawn rate by the ratio, and each correlation by the log odds
ratio, of what is aimed at to what is recorded, over one fixed sample; the matrix is then moved to the nearest
correlation matrix. Rare findings move their pairs less, since they move conditional rates less.
"""

import argparse
from itertools import combinations

import numpy as np
import pandas as pd
import phantom_cooccurrence as co
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import multivariate_normal

from chexreason.labels import FINDINGS, SUPPORT_DEVICES
from companion.phantoms import conventions, copula, hospitals
from companion.phantoms.copula import AP_FILM, DRAWN
from companion.phantoms.tree import ancestors

F = len(DRAWN)
PLACE = {name: i for i, name in enumerate(DRAWN)}
MINED = [PLACE[name] for name in conventions.MINING]
DEVICES = PLACE[SUPPORT_DEVICES]
ENOUGH = 25  # published positives of both findings from which a pair's own table says how they go together
TRIES = 6  # how often a patient is drawn anew at most, in the fit
LEAST = 0.02  # the least eigenvalue of a fitted matrix
#: A pair of one finding and its parent is fixed by the convention, not by the copula.
TREE = {frozenset((child, parent)) for child in FINDINGS for parent in ancestors(child)}
ASSUMED_PAIR = "assumed: as in CheXpert train (studies)"
ASSUMED_ERROR = "assumed: what the findings' correlations leave of the published pairs"
AP_BASIS = "CheXpert train, frontal AP against PA images"


class Sample:
    """One fixed set of random numbers, and what each convention records from it; arrays (studies, 13) or (.., 14)."""

    def __init__(self, studies: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.latent = rng.standard_normal((TRIES, studies, F), dtype=np.float32)
        self.luck = rng.random((TRIES, studies), dtype=np.float32)
        self.severity = 0.05 + 0.95 * rng.beta(1.5, 1.5, (studies, F)).astype(np.float32)
        self.number = rng.random((studies, F, 5), dtype=np.float32)
        self.error = rng.standard_normal((studies, len(MINED)), dtype=np.float32)
        self.blank = rng.random(studies) < conventions.UNLABELLED

    def drawn(self, together: np.ndarray, rates: np.ndarray, well: float) -> np.ndarray:
        """Which findings are drawn, bool (studies, 13): `copula.sample_findings`."""
        factor = np.linalg.cholesky(together).T.astype(np.float32)
        drawn = self.latent[0] @ factor > -ndtri(rates)
        others = np.arange(F) != DEVICES
        if well > 0:
            drawn[np.ix_(self.luck[0] < well, others)] = False
        redo = np.full(len(drawn), well < 0)
        for again in range(1, TRIES):
            redo &= ~drawn.any(1) & (self.luck[again - 1] < -well)
            drawn[redo] = self.latent[again][redo] @ factor > -ndtri(rates)
        return drawn

    def report(self, drawn: np.ndarray, chances: dict[tuple[str, str], float]) -> np.ndarray:
        """`conventions.report`, positives only."""
        share = drawn.mean(0)
        uncertain = np.array([hospitals.HOSPITALS["A"].rates[name].uncertain for name in DRAWN])
        omit = self.number[..., 0] < conventions.OMITTED_WHEN_MILD * np.maximum(0, 1 - self.severity / 0.6)
        half = conventions.UNCERTAIN_DRAWN * uncertain / share
        doubt = self.number[..., 1] < np.minimum(0.9, 2 * half * (1 - self.severity))
        false = self.number[..., 1] < (1 - conventions.UNCERTAIN_DRAWN) * uncertain / (1 - share)
        positive, doubted = drawn & ~omit & ~doubt, (drawn & ~omit & doubt) | (~drawn & false)
        for (child, parent), chance in chances.items():
            number = self.number[:, PLACE[child], 4 if (child, parent) == ("Pneumonia", "Consolidation") else 3]
            positive[:, PLACE[parent]] |= positive[:, PLACE[child]] & (number < chance)
        others = np.arange(F) != DEVICES
        nothing = ~(positive | doubted)[:, others].any(1) & ~self.blank
        return np.c_[nothing, positive & ~self.blank[:, None]]

    def radiologist(self, drawn: np.ndarray) -> np.ndarray:
        """`conventions.radiologist`."""
        closed = drawn.copy()
        for name in DRAWN:
            for parent in ancestors(name):
                closed[:, PLACE[parent]] |= drawn[:, PLACE[name]]
        return np.c_[~closed.any(1), closed]

    def mined(self, drawn: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """`conventions.mined`."""
        luck = ndtr(self.error @ np.linalg.cholesky(errors).T.astype(np.float32))
        found = np.zeros_like(drawn)
        for k, (name, mining) in enumerate(conventions.MINING.items()):
            i, aim = PLACE[name], hospitals.HOSPITALS["C"].rates[name].recorded or 0.0
            false = aim * (1 - mining.ppv) / (1 - drawn[:, i].mean())
            found[:, i] = luck[:, k] < np.where(drawn[:, i], mining.sensitivity, false)
        return np.c_[~found.any(1), found]


def nearest(together: np.ndarray) -> np.ndarray:
    """The matrix with its small eigenvalues raised to `LEAST` and its diagonal back at 1."""
    for _ in range(200):
        values, vectors = np.linalg.eigh(together)
        if values.min() >= 0.99 * LEAST:
            break
        together = (vectors * np.maximum(values, LEAST)) @ vectors.T
        spread = np.sqrt(np.diag(together))
        together = together / np.outer(spread, spread)
    return together


def to_fit(hospital: str) -> tuple[co.Counts, np.ndarray]:
    """What a hospital is fitted to, and which pairs (14, 14) come from its own pair table.

    Where the published positives are too few to say anything of a pair, or there are none, the odds ratio is that
    of CheXpert train, and marked as assumed.
    """
    aim = co.aimed(hospital)
    enough = np.diag(co.published_pairs(*co.PAIRS[hospital]).both) >= ENOUGH
    own = np.outer(enough, enough) & ~np.isnan(aim.both)
    rates = hospitals.HOSPITALS[hospital].rates
    shares = [aim.prevalence[0]]
    for name, share in zip(DRAWN, aim.prevalence[1:], strict=True):
        shares.append(rates[name].drawn if np.isnan(share) else share)
    other = co.carried(co.published_pairs(*co.PAIRS["A"]), np.array(shares)) * aim.n
    both = np.where(own, aim.both, other)
    both[0, 1:] = both[1:, 0] = np.where(np.isnan(aim.both[0, 1:]) | (hospital != "A"), 0.0, aim.both[0, 1:])
    return co.Counts(both, aim.n), own


def fit(hospital: str, studies: int = 70_000, steps: int = 60) -> dict[str, object]:
    """The fitted numbers of a hospital."""
    sample, (aim, _) = Sample(studies, 0), to_fit(hospital)
    place = hospitals.HOSPITALS[hospital]
    rates = np.array([place.rates[name].recorded or place.rates[name].drawn for name in DRAWN])
    unpublished = np.array([place.rates[name].recorded is None for name in DRAWN])
    assumed = rates.copy()
    together, errors = np.eye(F), np.eye(len(MINED))
    chances = {pair: naming.published for pair, naming in conventions.NAMED_PARENT.items()}
    goal = aim.both / aim.n
    tree = np.array([[frozenset((a, b)) in TREE for b in DRAWN] for a in DRAWN])
    for step in range(steps):
        pace = 1.0 if step < 0.6 * steps else 0.4
        drawn = sample.drawn(together, rates, place.well)
        got = recorded(sample, hospital, drawn, chances, errors)
        now = np.diag(got)[1:]
        ratio = np.where(unpublished, assumed / drawn.mean(0), np.diag(goal)[1:] / np.maximum(now, 1e-5))
        rates = np.clip(rates * np.clip(ratio, 0.7, 1.4) ** 0.8, 1e-3, 0.95)
        gap = np.where(tree if hospital == "B" else False, 0.0, gaps(goal, got, drawn, unpublished, studies))
        together = nearest(np.clip(together + 0.25 * pace * gap, -0.75, 0.75) * (1 - np.eye(F)) + np.eye(F))
        if hospital == "C":
            part = gap[np.ix_(MINED, MINED)]
            errors = nearest(
                np.clip(errors + 0.25 * pace * part, -0.9, 0.9) * (1 - np.eye(len(MINED))) + np.eye(len(MINED))
            )
        for child, parent in chances:
            i, j = FINDINGS.index(child), FINDINGS.index(parent)
            off = goal[i, j] / goal[i, i] - got[i, j] / got[i, i]
            chances[child, parent] = float(
                np.clip(chances[child, parent] + 0.6 * off, 0.25 * goal[i, j] / goal[i, i], 0.98)
            )
    shares = sample.drawn(together, rates, place.well).mean(0)
    return {"copula": rates, "drawn": shares, "together": together, "errors": errors, "chances": chances}


def recorded(
    sample: Sample, hospital: str, drawn: np.ndarray, chances: dict[tuple[str, str], float], errors: np.ndarray
) -> np.ndarray:
    """Joint shares (14, 14) of positive labels at a hospital."""
    made = {"A": lambda: sample.report(drawn, chances), "B": lambda: sample.radiologist(drawn)}
    positive = made.get(hospital, lambda: sample.mined(drawn, errors))().astype(np.float32)
    return (positive.T @ positive) / len(positive)


def gaps(goal: np.ndarray, got: np.ndarray, drawn: np.ndarray, unpublished: np.ndarray, n: int) -> np.ndarray:
    """Log odds ratios (13, 13) by which pairs fall short, at most 1; of drawn findings where labels are unpublished."""
    d = drawn.astype(np.float32)
    of_drawn = (d.T @ d) / len(d)
    out = np.zeros((F, F))
    for a in range(F):
        for b in range(a):
            have = of_drawn if unpublished[a] or unpublished[b] else got[1:, 1:]
            aim = goal[1:, 1:] * n
            wanted = co.odds_ratio(aim[a, b], aim[a, a], aim[b, b], n)
            found = co.odds_ratio(have[a, b] * n, have[a, a] * n, have[b, b] * n, n)
            weight = min(1.0, 5 * min(aim[a, a], aim[b, b]) / n)  # a rare pair gives way
            out[a, b] = out[b, a] = weight * np.clip(np.log(wanted / found), -1, 1)
    return out


def towards_ap() -> dict[str, float]:
    """Each finding's latent correlation with an AP image, from its prevalence on AP and on PA images."""
    ap, pa = (co.prevalence_rows("chexpert", f"train images, {view}") for view in ("AP", "PA"))
    images = int(ap["n"].iloc[0]) + int(pa["n"].iloc[0])
    found = {}
    for name in DRAWN:
        both, here = ap["positives"][name], ap["positives"][name] + pa["positives"][name]
        at = [ndtri(here / images), ndtri(ap["n"].iloc[0] / images)]

        def excess(r: float, at: list[float] = at, both: float = both) -> float:
            return float(multivariate_normal([0, 0], [[1, r], [r, 1]]).cdf(at)) - both / images

        found[name] = float(brentq(excess, -0.95, 0.95))
    return found


def write(fits: dict[str, dict[str, object]]) -> None:
    """The two tables of the package."""
    rates = pd.read_csv(hospitals.RATES, dtype=str, keep_default_na=False)
    for k, row in rates.iterrows():
        fitted, i = fits[row["hospital"]], PLACE[row["finding"]]
        rates.loc[k, "copula"] = f"{fitted['copula'][i]:.4f}"
        if row["recorded"]:
            rates.loc[k, "drawn"] = f"{fitted['drawn'][i]:.4f}"
    rates.to_csv(hospitals.RATES, index=False)
    lean, rows = towards_ap(), []
    for name, fitted in fits.items():
        _, own = to_fit(name)
        for i, j in combinations(range(F), 2):
            a, b = DRAWN[i], DRAWN[j]
            basis = "fitted: " + " ".join(co.PAIRS[name]) if own[i + 1, j + 1] else ASSUMED_PAIR
            if name != "C" and frozenset((a, b)) in TREE:
                basis = "assumed: none between a parent's own lesions and its children"
            rows.append((name, "findings", a, b, fitted["together"][i, j], basis))
        rows += [(name, "findings", a, AP_FILM, lean[a], AP_BASIS) for a in DRAWN]
        if name == "C":
            for (i, a), (j, b) in combinations(enumerate(conventions.MINING), 2):
                rows.append((name, "errors", a, b, fitted["errors"][i, j], ASSUMED_ERROR))
    table = pd.DataFrame(rows, columns=["hospital", "kind", "a", "b", "correlation", "basis"])
    table.to_csv(copula.CORRELATIONS, index=False, float_format="%.3f")


def main() -> None:
    """Fit the tables of the package and print the chances that are set by hand."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--studies", type=int, default=70_000, help="studies of the fit")
    fits = {name: fit(name, parser.parse_args().studies) for name in hospitals.HOSPITALS}
    write(fits)
    for (child, parent), chance in fits["A"]["chances"].items():
        published = co.published_pairs(*co.PAIRS["A"]).conditional[FINDINGS.index(child), FINDINGS.index(parent)]
        print(f'    ("{child}", "{parent}"): Naming({published:.3f}, {chance:.3f}),')
    print("Set these in conventions.py.")


if __name__ == "__main__":
    main()
