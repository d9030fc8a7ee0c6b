"""Finding by finding: what one model scores more than another on the same studies (sections 4.3 and 4.4).

The paper compares averages; an average of fourteen findings can rest on one of them. Each difference has two
intervals from the same resamples of patients: its own, and one that holds for all findings of the figure
together (`stats.differences`), since among many intervals some miss by chance. A finding with few positives is
shown, marked, below the others, and stays outside the average, which is there to carry a conclusion.
Where the models are trainings of this study, one each, nothing is concluded: their intervals hold patients only.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason.runs import Run
from companion.evidence.comparable import ENOUGH
from companion.evidence.stats import Differences, Interval, differences
from companion.evidence.tables import DATASETS, has_rows, read_runs, tier_of, trained, unfit
from companion.evidence.tables import profile as shown_profile
from companion.report.audit_figures import INK, rows
from companion.report.behind import runs_behind
from companion.report.paired import EXPERIMENT_PAGE, RESAMPLES, titled, together
from companion.report.theme import Html, badge, block, escape


@dataclass(frozen=True)
class Found:
    """F1(second) - F1(first): a row a finding, then the macro average over the frequent ones if there are several."""

    names: tuple[str, ...]
    positives: dict[str, int]
    frequent: tuple[str, ...]
    rows: Differences  # F, and one more if `frequent` holds several


def between(first: Run, second: Run) -> Found:
    """What the second run scores more than the first, finding by finding.

    Raises UserError unless both rest on the same findings, studies, split and seeds.
    """
    scored = together([first, second])
    values = scored.findings_RMF[:, 1] - scored.findings_RMF[:, 0]
    if len(scored.frequent) > 1:
        macro_RM = scored.macro(scored.frequent)
        values = np.concatenate([values, (macro_RM[:, 1] - macro_RM[:, 0])[:, None]], axis=1)
    return Found(scored.names, scored.positives, scored.frequent, differences(values))


def figure(dataset: str, first: str, second: str, profile: str | None = None, results: Path | None = None) -> Html:
    """Differences of two of the five models on a data set ("chexpert" or "nih"), largest first."""
    profile = profile or shown_profile()
    have = read_runs(profile, results)
    ids = [f"04-generalization-{model}-{dataset}" for model in (first, second)]
    tier, (real, drawn_by_us) = tier_of(profile), DATASETS[dataset]
    where = drawn_by_us if tier == "miniature" else real
    title = f"{titled(second, tier)} minus {titled(first, tier)} at {where}, finding by finding"
    if any(run_id not in have for run_id in ids):
        return block(f'<p class="cxr-note">The profile {escape(profile)} has not run both models.</p>')
    pair = [have[run_id] for run_id in ids]
    if not has_rows(*pair):
        return block(
            '<p class="cxr-note">Rows of credentialed images stay out of the book, and so do these intervals.</p>'
        )
    found = between(*pair)
    order = _order(found)
    labels = [_label(found, k) for k in order]
    head = badge(
        tier, f"profile {profile}", f"n = {pair[0].info['n']} studies", f"seed {pair[0].info['seed']}",
        f"{RESAMPLES:,} resamples of patients", "F1",
    )  # fmt: skip
    caption = f"{escape(_caption(found, order))} {_conclusion(found, pair, (first, second), tier)}"
    return block(
        f'<div class="cxr-head"><strong>{escape(title)}</strong></div><div class="cxr-head">{head}</div>'
        f'<div class="cxr-panels" style="max-width:40rem">{_panel(found, order, labels)}</div>'
        f"<figcaption>{caption}{runs_behind(pair)}</figcaption>",
        "figure",
    )


def _order(found: Found) -> list[int]:
    """Findings with enough positives, largest difference first; the average over them; then the others."""
    by_size = [int(k) for k in np.argsort(-found.rows.estimate[: len(found.names)], kind="stable")]
    many = [k for k in by_size if found.names[k] in found.frequent]
    average = [len(found.names)] if len(found.frequent) > 1 else []
    return [*many, *average, *(k for k in by_size if k not in many)]


def _label(found: Found, k: int) -> str:
    if k == len(found.names):
        return f"macro average of the {len(found.frequent)} above"
    name = found.names[k]
    return f"{name} ({found.positives[name]}{'' if name in found.frequent else '*'})"


def _caption(found: Found, order: list[int]) -> str:
    few = [name for name in found.names if 0 < found.positives[name] < ENOUGH]
    none = [name for name in found.names if not found.positives[name]]
    still = [name for name in found.names if found.positives[name] and _still(found, name)]
    return (
        "In brackets the positives of each finding. Thick: the interval of that row alone, at 95%; thin: the one that "
        f"holds for all {len(order)} rows together."
        + (f" Starred: fewer than {ENOUGH} positives, outside the average." if few else "")
        + (f" Without a bar: both models score the same in every resample ({', '.join(still)})." if still else "")
        + (f" Left empty: no positive at all, so there is no F1 ({', '.join(none)})." if none else "")
    )


def _still(found: Found, name: str) -> bool:
    k = found.names.index(name)
    return bool(found.rows.low_all[k] == found.rows.high_all[k])


def _conclusion(found: Found, pair: list[Run], models: tuple[str, str], tier: str) -> str:
    """What may be concluded, in HTML: nothing from an unfit run or a single training."""
    out = {model: reason for model, run in zip(models, pair, strict=True) if (reason := unfit(run))}
    if out:
        reasons = "; ".join(f"{titled(model, tier)} {reason}" for model, reason in out.items())
        return f"No conclusion is drawn: {escape(reasons)}."
    if any(trained(run) for run in pair):
        return (
            "The intervals are over patients. One training each: another one is not in them, so no finding is said to "
            f'gain or lose; <a href="{EXPERIMENT_PAGE}">the experiment</a> has several trainings.'
        )
    beyond = (found.rows.low_all > 0) | (found.rows.high_all < 0)
    clear = [name for k, name in enumerate(found.names) if beyond[k] and name in found.frequent]
    return escape(
        f"All together, beyond what the patients explain: {', '.join(clear)}."
        if clear
        else "All together, no finding with enough positives differs by more than the patients explain."
    )


def _panel(found: Found, order: list[int], labels: list[str]) -> str:
    """A row a finding; one without positives stays empty, since a bar of no width would read as certainty."""
    one, none = found.rows, {k for k, name in enumerate(found.names) if not found.positives[name]}
    low, high = np.clip(one.low_all, -1, 1), np.clip(one.high_all, -1, 1)
    whole, alone = (
        pd.Series([np.nan if k in none else Interval(one.estimate[k], a[k], b[k]) for k in order], labels).to_frame(
            "F1"
        )
        for a, b in ((low, high), (one.low, one.high))
    )
    return rows("95% intervals over patients", whole, "difference in F1", height=0.9 + 0.26 * len(order),
                inner=alone, marks=[("", "solid", INK, 0.0)])  # fmt: skip
