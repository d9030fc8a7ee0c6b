"""What may be said of our own values in Tables 1 to 6 (sections 4.1 to 4.4): the sentences that values decide on.

The chapters tell the paper's values themselves. Here it is decided which sentence is true of ours: a best is named only
where `leads` allows it; runs of one training each get no order, only their values and the spread over patients; runs
that score below naming every label take part in nothing. Each sentence names the tier.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason.runs import Run
from companion.evidence.stats import Interval
from companion.evidence.tables import DATASETS, Evidence, gather, has_rows, title_of
from companion.report.leads import (
    ONE_TRAINING,
    enough,
    fit_rows,
    highest,
    lead_in,
    left_out,
    name_of,
    near_highest,
    scored,
    unfit_of,
    whole,
    within_chance,
)
from companion.report.paired import LEVEL, together
from companion.report.theme import Prose, signed, spoken


def prompting(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.1: which of our prompts scores highest, whether it may be called best, and which fails most."""
    shown = gather(1, profile, results)
    if not shown.runs:
        return Prose("")
    lines = [f"{lead_in(shown)} {_our_best(shown)}", left_out(shown), _orders(shown) if whole(shown) else ""]
    return Prose(" ".join([*filter(None, lines), f"{lead_in(shown)} {failures(1, 'ours', profile, results)}"]))


def sft(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.2: what can be said of our formats on each base model."""
    tables = {"MedGemma": gather(2, profile, results), "Qwen2.5-VL": gather(3, profile, results)}
    if not all(whole(shown) for shown in tables.values()):
        return Prose("")
    lines = [f"{lead_in(tables['MedGemma'])} each format was taught once to each base model: {ONE_TRAINING}."]
    lines += [f"{name}: {_spread(shown)} {left_out(shown)}".strip() for name, shown in tables.items()]
    if not all(len(fit_rows(shown)) > 1 for shown in tables.values()):
        lines.append("Whether the best format depends on the base model cannot be seen here.")
    return Prose(" ".join(lines))


def grpo(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.3: our two rewards and the SFT checkpoint: the values, and the differences over patients."""
    after, before = gather(4, profile, results), gather(2, profile, results)
    return Prose(_our_rewards(after, before) if whole(after) and whole(before) else "")


def intervals(profile: str | None = None, results: Path | None = None) -> Prose:
    """The change from SFT to ChexReason in our runs with its spread over patients: paired bootstrap."""
    lines = []
    for shown in (gather(number, profile, results) for number in (5, 6)):
        both = scored(shown, "medgemma_sft", "chexreason")
        if not both:
            continue
        lead, found, out = f"{lead_in(shown)} {place(shown)},", both.difference(0, 1), unfit_of(shown)
        reasons = [f"{name_of(shown, m)} {out[m]}" for m in ("medgemma_sft", "chexreason") if m in out]
        if reasons:
            lines.append(f"{lead} no change is given: {'; '.join(reasons)}.")
            continue
        carried = (
            f" Over {enough(both.frequent, len(both.names))} ({', '.join(both.frequent)}), which alone could "
            f"carry a conclusion, it is {spoken(both.difference(0, 1, both.frequent))}."
            if both.frequent
            else f" No finding has enough positives to carry a conclusion among these {both.studies} studies."
        )
        lines.append(
            f"{lead} ChexReason minus the SFT checkpoint is {signed(found.estimate)} in macro-F1, with a {LEVEL:.0%} "
            f"interval over {both.patients} patients from {signed(found.low)} to {signed(found.high)}.{carried} Both "
            "are one training, and what another training would give is not in the interval."
        )
    return Prose("\n\n".join(lines) or "There are no rows of predictions here, so no interval can be computed.")


# The pieces of sentences.


def place(shown: Evidence) -> str:
    """Where a test set's studies are from, as an adverbial."""
    real, hospital = DATASETS[shown.spec.dataset]
    return f"at {hospital} (in place of {real})" if shown.tier == "miniature" else f"on the {real} test set"


def printed_highest(number: int) -> str:
    """The paper's highest macro-F1 of Tables 1 to 3, and which others are within chance of it, as a clause."""
    shown = gather(number)
    top, near = within_chance(number, shown.rows())
    lead = (
        f"its lead over {_titles(shown, near)} is within chance"
        if near
        else f"its lead over each of the other {len(shown.rows()) - len(top)} is more than chance makes"
    )
    return f"{_titles(shown, top)} ({shown.side('paper', 'macro').max():.3f}); {lead}"


def failures(number: int, side: str, profile: str | None = None, results: Path | None = None) -> str:
    """The rows with the highest rate of answers that fail to parse, in a sentence."""
    shown = gather(number, profile, results)
    rates = shown.side(side, "all", "failure_rate")
    if rates.max() == 0:
        return "no prompt's answers failed to parse."
    most = _titles(shown, highest(rates))
    return f"the highest rate of answers that fail to parse is {rates.max():.1%} ({most})."


def _titles(shown: Evidence, rows: Iterable[str]) -> str:
    return " and ".join(title_of(shown.spec, row) for row in rows)


def _our_best(shown: Evidence) -> str:
    """Our highest row of Table 1, and whether it may be called best."""
    values = shown.side("ours", "macro").reindex(fit_rows(shown))
    top, found = highest(values), near_highest(shown)
    if not top:
        return "no prompt scores above zero." if values.notna().any() else "no prompt's run counts."
    said = f"the highest macro-F1 is {values.max():.3f} ({_titles(shown, top)})"
    alike = scored(shown, *values.index) if found else None
    if not found or not alike:
        return f"{said}; none is called best, since no interval over findings with enough positives can be computed."
    first, near = found
    basis = f"over {enough(alike.frequent, len(alike.names))}"
    if near:
        return (
            f"{said}, but none is called best: {basis}, {len(near)} of the other {len(values) - 1} prompts cannot be "
            f"distinguished from {title_of(shown.spec, first)} ({alike.patients} patients, resampled)."
        )
    return f"{said}, and {basis} its lead over each other prompt is more than the {alike.patients} patients explain."


def _orders(shown: Evidence) -> str:
    """How far our order of the prompts agrees with the paper's, with an interval over our patients."""
    rows = fit_rows(shown)
    alike = scored(shown, *rows) if len(rows) > 2 else None
    if not alike or not alike.frequent:
        return ""
    paper_M = shown.side("paper", "macro").reindex(rows).rank().to_numpy()
    ranks_RM = pd.DataFrame(alike.macro(alike.frequent)).rank(axis=1).to_numpy()
    found = _correlations(paper_M, ranks_RM)
    said = (
        "The rank correlation of the paper's order as printed with this run's over "
        f"{enough(alike.frequent, len(alike.names))} is {signed(found.estimate, 2)} (over patients "
        f"{signed(found.low, 2)} to {signed(found.high, 2)}): "
    )
    if found.low > 0:
        return f"{said}the orders agree more than they differ."
    if found.high < 0:
        return f"{said}the orders run against each other more than they agree."
    return f"{said}whether the two orders have anything in common cannot be said."


def _correlations(paper_M: np.ndarray, ranks_RM: np.ndarray) -> Interval:
    """Spearman's correlation of one order with each row of ranks; the first row gives the estimate."""
    paper_M = paper_M - paper_M.mean()
    ranks_RM = ranks_RM - ranks_RM.mean(axis=1, keepdims=True)
    lengths_R = np.sqrt((paper_M**2).sum() * (ranks_RM**2).sum(axis=1))
    found_R = np.divide(ranks_RM @ paper_M, lengths_R, out=np.zeros(len(ranks_RM)), where=lengths_R > 0)
    return Interval(float(found_R[0]), *(float(bound) for bound in np.quantile(found_R[1:], [0.025, 0.975])))


def _spread(shown: Evidence) -> str:
    """The range of our runs that count, and how far patients alone move the highest."""
    values = shown.side("ours", "macro").reindex(fit_rows(shown)).sort_values()
    if values.empty:
        return "no run counts."
    low, high = str(values.index[0]), str(values.index[-1])
    named = [f"{values[row]:.3f} ({title_of(shown.spec, row)})" for row in dict.fromkeys((low, high))]
    alone = scored(shown, high)
    spread = ""
    if alone:
        found = alone.score(0)
        spread = f"; over patients alone the last spreads from {found.low:.3f} to {found.high:.3f}"
    return f"macro-F1 {' to '.join(named)}{spread}."


def _our_rewards(after: Evidence, before: Evidence) -> str:
    """Our two rewards and their start: the values, the differences over patients, and what they cannot say."""
    values, start = after.side("ours", "macro"), before.side("ours", "macro")["free_reasoning"]
    text = (
        f"{lead_in(after)} the SFT checkpoint scores {start:.3f} in macro-F1, the best hard-reward checkpoint "
        f"{values['hard_best']:.3f} ({values['hard_last']:.3f} at the last step) and the best nuanced-reward one "
        f"{values['nuanced_best']:.3f} ({values['nuanced_last']:.3f}): {ONE_TRAINING}."
    )
    runs: list[Run | None] = [before.run_of("free_reasoning", "macro"), *(after.run_of(r, "macro") for r in
                              ("hard_best", "nuanced_best"))]  # fmt: skip
    out = " ".join(part for part in (left_out(after), left_out(before) if "free_reasoning" in unfit_of(before) else "")
                   if part)  # fmt: skip
    if has_rows(*runs) and not unfit_of(after) and "free_reasoning" not in unfit_of(before):
        alike = together([run for run in runs if run])
        if alike.frequent:
            hard, nuanced = (alike.difference(0, k, alike.frequent) for k in (1, 2))
            text += (
                f" Over {enough(alike.frequent, len(alike.names))}, the change since the SFT checkpoint is "
                f"{spoken(hard)} with the hard reward and {spoken(nuanced)} with the nuanced one; these intervals are "
                f"over {alike.patients} patients, and another training is not in them."
            )
    return f"{text} {out}".strip()
