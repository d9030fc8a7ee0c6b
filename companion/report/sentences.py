"""What the tables say, in sentences computed from their values (sections 4.1 to 4.3; `abroad` has 4.4).

No chapter holds a number: a sentence here reads both sides of a table and says what is highest, what rose and what
fell. Of the paper's values it says what is printed, and whether the difference is more than chance makes on so many
studies. Of ours it names a best only where `leads` allows it; runs of one training each get no order, only their
values and the spread over patients. Each sentence about our values names their tier.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason.runs import Run
from companion.evidence.audit import validation
from companion.evidence.stats import Interval
from companion.evidence.tables import Evidence, gather, has_rows, title_of
from companion.report.leads import (
    ONE_TRAINING,
    enough,
    fit_rows,
    highest,
    lead_in,
    left_out,
    near_highest,
    printed_change,
    printed_lead,
    scored,
    unfit_of,
    verdict,
    whole,
    within_chance,
)
from companion.report.paired import together
from companion.report.theme import Prose, signed, spoken


def prompting(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.1: which prompt scores highest and whether by more than chance, and which prompt fails most."""
    shown = gather(1, profile, results)
    lines = [f"In the paper, {_printed_highest(shown)}"]
    if shown.runs:
        lines += [f"{lead_in(shown)} {line}" for line in (_our_best(shown),) if line]
        lines += [line for line in (left_out(shown), _orders(shown) if whole(shown) else "") if line]
    lines.append(_both(shown, lambda side: _failures(shown, side)))
    return Prose(" ".join(lines))


def sft(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.2: the highest format of each base model, and what can be said of the two orders."""
    tables = {"MedGemma": gather(2, profile, results), "Qwen2.5-VL": gather(3, profile, results)}
    first = next(iter(tables.values()))
    clauses = [f"with {name}, {_printed_highest(shown)}" for name, shown in tables.items()]
    tops = [highest(shown.side("paper", "macro")) for shown in tables.values()]
    same = "share their highest format" if set(tops[0]) & set(tops[1]) else "differ in their highest format"
    ending = f"As printed, then, the two base models {same}; what is within chance of the highest could be it as well."
    paragraphs = [f"In the paper, {' '.join([clauses[0], _capital(clauses[1])])} {ending}"]
    if all(whole(shown) for shown in tables.values()):
        lines = [f"{lead_in(first)} each format was taught once to each base model: {ONE_TRAINING}."]
        lines += [f"{name}: {_spread(shown)} {left_out(shown)}".strip() for name, shown in tables.items()]
        if not all(len(fit_rows(shown)) > 1 for shown in tables.values()):
            lines.append("Whether the best format depends on the base model cannot be seen here.")
        paragraphs.append(" ".join(lines))
    return Prose("\n\n".join(paragraphs))


def grpo(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.3: hard against nuanced, GRPO against the SFT checkpoint, and what choosing the best is worth."""
    after, before = gather(4, profile, results), gather(2, profile, results)
    values, rewards = after.side("paper", "macro"), printed_lead(4, "hard_best", "nuanced_best")
    gain, last = (printed_change((2, "free_reasoning"), (4, row)) for row in ("hard_best", "hard_last"))
    start, end = before.side("paper", "micro")["free_reasoning"], after.side("paper", "micro")["hard_best"]
    paragraphs = [
        f"In the paper, the best checkpoint's macro-F1 is {values['hard_best']:.3f} with the hard reward and "
        f"{values['nuanced_best']:.3f} with the nuanced one: a difference of {spoken(rewards)}, {verdict(rewards)}. "
        f"From the SFT checkpoint to the best hard-reward checkpoint, macro-F1 changes by {spoken(gain)}, "
        f"{verdict(gain)}, and micro-F1 goes from {start:.3f} to {end:.3f}. At the last step the change of macro-F1 "
        f"since the SFT checkpoint is {spoken(last)}, {verdict(last)}. {_assumed()}"
    ]
    if whole(after) and whole(before):
        paragraphs.append(_our_rewards(after, before))
    return Prose("\n\n".join(paragraphs))


# The pieces of sentences.


def _both(shown: Evidence, say: Callable[[str], str]) -> str:
    sides = ["paper", "ours"] if shown.runs else ["paper"]
    return " ".join(f"{lead_in(shown) if side == 'ours' else 'In the paper,'} {say(side)}" for side in sides)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _titles(shown: Evidence, rows: Iterable[str]) -> str:
    return " and ".join(title_of(shown.spec, row) for row in rows)


def _assumed() -> str:
    return (
        "The 95% intervals are ours: the text that we have states no number of validation studies, "
        f"{validation.size()} are assumed, and another training is not in them."
    )


def _printed_highest(shown: Evidence) -> str:
    """The paper's highest macro-F1 of Tables 1 to 3, and which others are within chance of it."""
    top, near = within_chance(shown.spec.number, shown.rows())
    value = shown.side("paper", "macro").max()
    lead = (
        f"its lead over {_titles(shown, near)} is within chance"
        if near
        else f"its lead over each of the other {len(shown.rows()) - len(top)} is more than chance makes"
    )
    return (
        f"the highest macro-F1 as printed is that of {_titles(shown, top)} ({value:.3f}); {lead} on "
        f"{validation.size()} studies (assumed)."
    )


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


def _failures(shown: Evidence, side: str) -> str:
    rates = shown.side(side, "all", "failure_rate")
    if rates.max() == 0:
        return "no prompt's answers failed to parse."
    most = _titles(shown, highest(rates))
    return f"the highest rate of answers that fail to parse is {rates.max():.1%} ({most})."


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
