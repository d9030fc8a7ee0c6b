"""Finding by finding: what one model scores more than another on the same studies (sections 4.3 and 4.4).

The paper compares averages; an average of fourteen findings can rest on one of them. Each difference has two
intervals from the same resamples of patients: its own, and one that holds for all findings of the figure
together (`stats.differences`), since among many intervals some miss by chance. A finding with few positives
is shown and marked: its interval is honest, but a handful of films decide it.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from chexreason import metrics
from chexreason.evidence import DATASETS, MODELS, counted, read_runs, tier_of
from chexreason.evidence import profile as shown_profile
from chexreason.labels import LABEL_SETS
from chexreason.report.behind import runs_behind
from chexreason.report.figures import STYLE, to_svg
from chexreason.report.theme import INK, SERIES, Html, badge, block, escape, signed
from chexreason.runs import Run
from chexreason.stats import FEW, Differences, differences, resampled_f1

RESAMPLES = 10_000


def between(first: Run, second: Run) -> tuple[Differences, np.ndarray]:
    """F1(second) - F1(first) of each finding and of their mean (F + 1), and the positives of each finding (F,)."""
    rows, others = first.predictions(), second.predictions()
    label_set = str(first.info["label_set"])
    if list(rows["study_key"]) != list(others["study_key"]):
        raise ValueError(f"expected the studies of {first.run_id} in {second.run_id}, came others")
    true_BF = metrics.label_cells(rows["truth"], label_set)
    preds = [metrics.label_cells(one["predicted"], label_set) for one in (rows, others)]
    mask_BF = counted(rows, label_set)
    patients = [str(key) for key in rows["patient_key"]]
    drawn = resampled_f1(true_BF, preds, patients, np.random.default_rng(0), mask=mask_BF, resamples=RESAMPLES)
    values = np.concatenate([drawn["findings"], drawn["macro"][:, :, None]], axis=2)  # (1 + R, 2, F + 1)
    return differences(values[:, 1] - values[:, 0]), (true_BF & mask_BF).sum(axis=0)


def figure(dataset: str, first: str, second: str, profile: str | None = None, results: Path | None = None) -> Html:
    """Differences of two of the five models on a data set ("chexpert" or "nih"), largest first."""
    profile = profile or shown_profile()
    have = read_runs(profile, results)
    ids = [f"04-generalization-{model}-{dataset}" for model in (first, second)]
    real, drawn_by_us = DATASETS[dataset]
    where = drawn_by_us if tier_of(profile) == "miniature" else real
    title = f"{MODELS[second]} less {MODELS[first]} at {where}, finding by finding"
    if any(run_id not in have for run_id in ids):
        return block(f'<p class="cxr-note">The profile {escape(profile)} has not run both models.</p>')
    one, other = (have[run_id] for run_id in ids)
    if not (one.folder / "predictions.csv.gz").is_file():
        return block(
            '<p class="cxr-note">Rows of credentialed films stay out of the book, and so do these intervals.</p>'
        )
    found, positives = between(one, other)
    names = LABEL_SETS[str(one.info["label_set"])]
    order = [*np.argsort(-found.estimate[:-1]).tolist(), len(names)]
    labels = [
        "macro average" if k == len(names) else f"{names[k]} ({positives[k]}{'*' if positives[k] < FEW else ''})"
        for k in order
    ]
    told = [names[k] for k in order[:-1] if found.low_all[k] > 0 or found.high_all[k] < 0]
    few = [names[k] for k in range(len(names)) if 0 < positives[k] < FEW]
    none = [names[k] for k in range(len(names)) if not positives[k]]
    drawn = _panel(found, order, labels, positives)
    head = badge(
        tier_of(profile), profile, f"n = {one.info['n']} studies", f"seed {one.info['seed']}",
        f"{RESAMPLES:,} resamples", "F1",
    )  # fmt: skip
    caption = (
        "In brackets the positives of each finding. Thick: the interval of that finding alone, at 95 per cent; thin: "
        f"the one that holds for all {len(order)} rows together. "
        + (f"All together, what can be told from zero: {', '.join(told)}. " if told
           else "All together, no finding can be told from zero. ")
        + (f"Hollow and starred: fewer than {FEW} positives ({', '.join(few)})." if few else "")
        + (f" Left empty: no positive at all, so F1 is 0 for both ({', '.join(none)})." if none else "")
    )  # fmt: skip
    return block(
        f'<div class="cxr-head"><strong>{escape(title)}</strong></div><div class="cxr-head">{head}</div>'
        f'<div class="cxr-panels">{drawn}</div><figcaption>{escape(caption)}{runs_behind([one, other])}</figcaption>',
        "figure",
    )


def _panel(found: Differences, order: list[int], labels: list[str], positives: np.ndarray) -> str:
    colour, _, marker = SERIES[0]
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(5.4, 0.7 + 0.26 * len(order)), layout="constrained")
        axes = drawing.add_subplot()
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, k in enumerate(order):
            if k < len(positives) and not positives[k]:
                continue  # F1 is 0 for both by definition; a bar of no width would read as certainty
            axes.plot([found.low_all[k], found.high_all[k]], [row, row], color=colour, linewidth=0.9)
            axes.plot([found.low[k], found.high[k]], [row, row], color=colour, linewidth=2.6)
            hollow = k < len(positives) and positives[k] < FEW
            axes.plot(found.estimate[k], row, marker, color=colour, markerfacecolor="none" if hollow else colour)
        axes.axhline(len(order) - 1.5, color=INK, linewidth=0.6)
        axes.set_yticks(range(len(order)), labels)
        axes.set(xlabel="difference in F1", ylim=(len(order) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        spoken = "; ".join(
            f"{label} {signed(found.estimate[k])} ({signed(found.low[k])} to {signed(found.high[k])})"
            if k == len(positives) or positives[k]
            else f"{label} without positives"
            for label, k in zip(labels, order, strict=True)
        )
        return to_svg(drawing, f"Differences in F1 with 95 per cent intervals. {spoken}.")
