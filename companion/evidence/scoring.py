"""One set of predictions as a table: scores with intervals by patient, matched label sets, and what no image would get.

The rows are those of any run (`chexreason.rows`), so that predictions of one's own and a run of the study are scored by
the same code. Suffixes: `_B` studies, `_F` findings.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from chexreason import metrics
from chexreason.labels import LABEL_SETS, NO_FINDING
from companion.evidence import comparable, outcomes
from companion.evidence.stats import Floats, Interval, confusion, f1, percentiles, resampled_f1
from companion.evidence.tables import counted

RESAMPLES = 10_000
#: What a reader who sees no image answers -> the end of the metric's name.
BLIND = ("every label", "most frequent label")
Cell = tuple[str, str, float]
COLUMNS = ["finding", "metric", "value", "low", "high"]


def summary(
    rows: pd.DataFrame, label_set: str, chance_BF: Floats | None = None, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Tidy rows (finding, metric, value, low, high): those of `metrics.Scores.to_frame`, and more.

    F1 has an interval at 95 % by patient. More are: the other macro averages (`comparable.averages`), labels named per
    recorded, the shares of abnormal and normal studies called normal, F1 of a reader without an image, and AUROC where
    `chance_BF` holds probabilities, for each finding that is both present and absent, and their mean.
    """
    true_BF, said_BF = (metrics.label_cells(rows[name], label_set) for name in ("truth", "predicted"))
    mask_BF, names = counted(rows, label_set), LABEL_SETS[label_set]
    true_BF, said_BF = true_BF & mask_BF, said_BF & mask_BF
    failed = float(rows["failed"].astype(bool).mean())
    scored = metrics.scores(true_BF, said_BF, label_set, failure_rate=failed)
    patients, rng = list(rows["patient_key"].astype(str)), np.random.default_rng(0)
    drawn = resampled_f1(true_BF, [said_BF], patients, rng, resamples=resamples)
    found = _intervals(drawn, comparable.averages(dict(zip(names, true_BF.sum(axis=0).tolist(), strict=True))), names)
    of = scored.to_frame()
    cells = [
        (finding, metric, value, *_ends(found.get(finding) if metric == "f1" else None))
        for finding, metric, value in of.itertuples(index=False)
    ]
    others = [name for name in found if name not in set(of["finding"])]
    cells += [(name, "f1", found[name].estimate, *_ends(found[name])) for name in others]
    more = [*_operating(true_BF, said_BF, names), *_blind(true_BF, mask_BF)]
    more += [] if chance_BF is None else _ranking(true_BF, chance_BF, mask_BF, names)
    return pd.DataFrame([*cells, *((*one, *_ends(None)) for one in more)], columns=COLUMNS)


def _intervals(
    drawn: dict[str, Floats], averages: dict[str, tuple[str, ...]], names: tuple[str, ...]
) -> dict[str, Interval]:
    """The F1 of each average and finding on the studies as they are, with its interval."""
    each = drawn["findings"][:, 0]
    values = {"micro": drawn["micro"][:, 0]}
    values |= {name: each[:, [names.index(one) for one in held]].mean(axis=1) for name, held in averages.items()}
    values |= {name: each[:, place] for place, name in enumerate(names)}
    return {name: percentiles(one) for name, one in values.items()}


def _ends(interval: Interval | None) -> tuple[float, float]:
    return (interval.low, interval.high) if interval else (float("nan"), float("nan"))


def _operating(true_BF: metrics.Bools, said_BF: metrics.Bools, names: tuple[str, ...]) -> Iterator[Cell]:
    """How many labels are named; and, where No Finding is among them, how normal and abnormal are told apart."""
    shares = [outcomes.NAMED]
    if NO_FINDING in names:  # the first of any label set
        shares += [outcomes.CALLED_NORMAL, outcomes.NORMAL_CALLED]
    for one in shares:
        sums = one.each(true_BF, said_BF).sum(axis=0, keepdims=True)
        yield "micro", one.title, float(one.value(sums, np.ones(len(names), dtype=bool))[0])


def _blind(true_BF: metrics.Bools, mask_BF: metrics.Bools) -> Iterator[Cell]:
    """F1 of answering every label, and of the most frequent one, for every study; no label at all gets 0."""
    often = np.zeros_like(mask_BF)
    often[:, true_BF.sum(axis=0).argmax()] = True
    for name, said_BF in zip(BLIND, (np.ones_like(mask_BF), often), strict=True):
        counts = confusion(true_BF, said_BF & mask_BF)
        yield "micro", f"f1 of {name}", float(f1(counts.sum(axis=1)))
        yield "macro", f"f1 of {name}", float(f1(counts).mean())


def _ranking(true_BF: metrics.Bools, chance_BF: Floats, mask_BF: metrics.Bools, names: tuple[str, ...]) -> list[Cell]:
    """AUROC by finding, and the mean of those that have one."""
    found = {
        name: float(roc_auc_score(true_BF[kept, place], chance_BF[kept, place]))
        for place, (name, kept) in enumerate(zip(names, mask_BF.T, strict=True))
        if 0 < true_BF[kept, place].sum() < kept.sum()
    }
    mean = [("macro", "auroc", float(np.mean(list(found.values()))))] if found else []
    return mean + [(name, "auroc", value) for name, value in found.items()]
