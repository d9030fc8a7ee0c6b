"""Four formats, two base models: does the order of the formats turn round, as Tables 2 and 3 say?"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from chexreason import prompts
from chexreason.evidence import counted as scored
from chexreason.experiments import analysis
from chexreason.metrics import label_cells
from chexreason.report.behind import runs_behind
from chexreason.report.experiments.answers import PROFILE, missing, sizes, trained
from chexreason.report.experiments.intervals import counted, dots, framed, spoken
from chexreason.report.theme import Html, Prose, badge
from chexreason.stats import Interval, resampled_f1

LABELS = "chexpert14"
BASES = {"medgemma": "MedGemma-like base", "qwen": "Qwen-like base"}


def scores(base: str) -> Mapping[str, Mapping[int, float]]:
    """Format -> seed -> macro-F1 over the fourteen findings on hospital A's validation studies."""
    found: dict[str, dict[int, float]] = {}
    for (arm, seed), run in trained().items():
        for name in prompts.SFT_FORMATS:
            if arm == f"sft-{base}-{name}":
                metrics = run.metrics()
                row = metrics[(metrics["finding"] == "macro") & (metrics["metric"] == "f1")]
                found.setdefault(name, {})[seed] = float(row["value"].iloc[0])
    return {name: found[name] for name in prompts.SFT_FORMATS if name in found}


def figure() -> Html:
    """A panel a base model: each seed's macro-F1 as a point, the mean as a bar, formats side by side."""
    shown = {base: scores(base) for base in BASES}
    if any(len(found) < len(prompts.SFT_FORMATS) for found in shown.values()):
        return missing("all four formats on both base models")
    panels = []
    for series, (base, found) in enumerate(shown.items()):
        rows = {prompts.get(name).title: list(values.values()) for name, values in found.items()}
        means = {prompts.get(name).title: mean_score(base, name) for name in found}
        panels.append(dots(BASES[base], rows, means, "macro-F1", series))
    seeds = sorted({seed for found in shown.values() for values in found.values() for seed in values})
    n = next(run.info["n"] for (arm, _), run in trained().items() if arm.startswith("sft"))
    head = badge(
        "miniature", PROFILE, sizes(), f"{n} validation studies", f"seeds {', '.join(map(str, seeds))}", "macro-F1"
    )
    of = [run for (arm, _), run in trained().items() if arm.startswith("sft-")]
    return framed(
        "Which format teaches best",
        head,
        panels,
        "A point a seed; an upright bar for their mean, a level one for its interval. The paper's claim is that the "
        "first and the last row change places between the panels." + counted(sum(map(len, shown.values()))),
        behind=runs_behind(of),
    )


def protocol_against_labels(base: str) -> list[float]:
    """The twelve-step protocol's macro-F1 less that of the labels alone, a seed each; empty without the runs."""
    found = scores(base)
    if len(found) < len(prompts.SFT_FORMATS):
        return []
    seeds = sorted(set(found["reasoning_a"]) & set(found["only_label"]))
    return [found["reasoning_a"][seed] - found["only_label"][seed] for seed in seeds]


@cache
def _drawn(base: str, name: str, seed: int) -> np.ndarray:
    """Macro-F1 of one format at a seed: as it is, then for each draw of patients (1 + R,).

    The formats of a seed are asked about the same studies and share the draws.
    """
    rows = trained()[f"sft-{base}-{name}", seed].predictions()
    true_BF, said_BF = (label_cells(rows[column], LABELS) for column in ("truth", "predicted"))
    patients, rng = [str(key) for key in rows["patient_key"]], np.random.default_rng(seed)
    return resampled_f1(true_BF, [said_BF], patients, rng, mask=scored(rows, LABELS))["macro"][:, 0]


def mean_score(base: str, name: str) -> Interval:
    """The mean of a format's scores over seeds, with an interval over seeds and patients."""
    return analysis.bounded(analysis.over_seeds([_drawn(base, name, seed) for seed in sorted(scores(base)[name])]))


def mean_difference(base: str) -> Interval:
    """The mean of `protocol_against_labels` over seeds, with an interval over seeds and patients."""
    seeds = sorted(scores(base)["reasoning_a"].keys() & scores(base)["only_label"].keys())
    per_seed = [_drawn(base, "reasoning_a", seed) - _drawn(base, "only_label", seed) for seed in seeds]
    return analysis.bounded(analysis.over_seeds(per_seed))


def verdict() -> str | None:
    """Whether the order turns round as the paper says, in a line; None without the runs."""
    general, medical = protocol_against_labels("qwen"), protocol_against_labels("medgemma")
    if not general or not medical:
        return None
    lead = "as the paper says" if min(general) > 0 > max(medical) else "not as the paper says"
    return (
        f"{lead}: protocol less labels alone is {spoken(mean_difference('qwen'))} on the general model "
        f"and {spoken(mean_difference('medgemma'))} on the medical one"
    )


def finding() -> Prose:
    """Whether the protocol helps the general model and harms the medical one, in how many seeds."""
    parts = []
    for base, title in BASES.items():
        differences = protocol_against_labels(base)
        if not differences:
            return Prose("*Not run yet.*")
        parts.append(
            f"On the {title}, the twelve-step protocol beats the labels alone in {sum(d > 0 for d in differences)} of "
            f"{len(differences)} seeds; over seeds and patients the mean difference is {spoken(mean_difference(base))}."
        )
    return Prose(" ".join([*parts, f"The order of the two is {str(verdict()).split(':')[0]}."]))
