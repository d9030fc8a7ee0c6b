"""Four formats, two base models: does the order of the formats turn round, as Tables 2 and 3 say?"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from chexreason import prompts
from chexreason.evidence import counted
from chexreason.experiments import analysis
from chexreason.metrics import label_cells
from chexreason.report.behind import runs_behind
from chexreason.report.experiments.answers import PROFILE, missing, trained
from chexreason.report.experiments.intervals import dots, framed, spoken
from chexreason.report.theme import Html, Prose, badge
from chexreason.stats import Interval, resampled_f1

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
        panels.append(dots(BASES[base], rows, "macro-F1", series))
    seeds = sorted({seed for found in shown.values() for values in found.values() for seed in values})
    n = next(run.info["n"] for (arm, _), run in trained().items() if arm.startswith("sft"))
    head = badge("miniature", PROFILE, f"{n} validation studies", f"seeds {', '.join(map(str, seeds))}", "macro-F1")
    of = [run for (arm, _), run in trained().items() if arm.startswith("sft-")]
    return framed(
        "Which format teaches best",
        head,
        panels,
        "A point a seed, a bar for their mean. The paper's claim is that the first and the last row change places "
        "between the panels.",
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
def mean_difference(base: str) -> Interval:
    """The mean of `protocol_against_labels` over seeds, with an interval over seeds and patients."""
    per_seed = []
    for seed in sorted(scores(base)["reasoning_a"].keys() & scores(base)["only_label"].keys()):
        labels, protocol = (
            trained()[f"sft-{base}-{name}", seed].predictions() for name in ("only_label", "reasoning_a")
        )
        assert list(labels["study_key"]) == list(protocol["study_key"]), "one seed, one validation set"
        true_BF = label_cells(labels["truth"], "chexpert14")
        preds = [label_cells(rows["predicted"], "chexpert14") for rows in (labels, protocol)]
        drawn = resampled_f1(
            true_BF, preds, list(labels["patient_key"]), np.random.default_rng(seed), mask=counted(labels, "chexpert14")
        )["macro"]
        per_seed.append(drawn[:, 1] - drawn[:, 0])
    value, *drawn = analysis.over_seeds(per_seed).tolist()
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


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
