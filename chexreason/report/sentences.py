"""What the tables say, in sentences computed from their values (sections 4.1 to 4.4).

No chapter holds a number: a sentence here reads both sides of a table and says what is best, what
rose and what fell, and whether this profile's runs agree with the paper. If the values change, so
do the words. Each sentence about our values names their tier.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from chexreason.evidence import MODELS, Evidence, counted, gather, title_of
from chexreason.labels import NIH_SHARED
from chexreason.metrics import matrix
from chexreason.report.theme import Prose, signed
from chexreason.runs import Run
from chexreason.stats import Bootstrapped, paired_bootstrap

#: Below this a difference of two scores is called none: the paper prints three decimals.
VISIBLE = 0.0005


def prompting(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.1: which prompt is best, how far the orders agree, which prompt fails most."""
    shown = gather(1, profile, results)
    lines = [_both(shown, lambda side: f"The best prompt by macro-F1 is {leading(shown, side, 'macro')}.")]
    if _whole(shown):
        agree = _rank_correlation(shown, "macro")
        verdict = "mostly agree" if agree > 0.5 else "have little in common" if agree > -0.5 else "are mostly reversed"
        lines.append(
            "The rank correlation of the paper's order of the prompts by macro-F1 with this run's is "
            f"{signed(agree, 2)}: the orders {verdict}."
        )
    lines.append(_both(shown, lambda side: _failures(shown, side)))
    return Prose(" ".join(lines))


def sft(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.2: the best format of each base model, and whether the two differ."""
    tables = {"MedGemma": gather(2, profile, results), "Qwen2.5-VL": gather(3, profile, results)}
    first = next(iter(tables.values()))
    paragraphs = []
    for side in _sides(tables.values()):
        best = {name: leading(shown, side, "macro") for name, shown in tables.items()}
        clauses = [f"the best format for {name} by macro-F1 is {found}" for name, found in best.items()]
        titles = [set(leaders(shown, side, "macro")[0]) for shown in tables.values()]
        if not all(titles):
            verdict = "so nothing can be said about a best format"
        elif titles[0] & titles[1]:
            verdict = "so the best format is the same for both"
        else:
            verdict = "so the best format depends on the base model"
        paragraphs.append(f"{_lead(first, side)} {', and '.join(clauses)}, {verdict}.")
    return Prose("\n\n".join(paragraphs))


def grpo(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.3: hard against nuanced, GRPO against the SFT checkpoint, and what choosing the best is worth."""
    after, before = gather(4, profile, results), gather(2, profile, results)
    paragraphs = []
    for side in _sides([after, before]):
        values, start = after.side(side, "macro"), before.side(side, "macro")
        hard, nuanced = values["hard_best"], values["nuanced_best"]
        better = _compare("the hard reward", hard, "the nuanced one", nuanced)
        gain = hard - start["free_reasoning"]
        micro = after.side(side, "micro")["hard_best"] - before.side(side, "micro")["free_reasoning"]
        last = values["hard_last"] - start["free_reasoning"]
        paragraphs.append(
            f"{_lead(after, side)} {better} in macro-F1. From the SFT checkpoint to the best hard-reward checkpoint, "
            f"macro-F1 {_moved(gain)} and micro-F1 {_moved(micro)}. "
            f"At the last step, macro-F1 {_moved(last, perfect=True)} since the SFT checkpoint."
        )
    return Prose("\n\n".join(paragraphs))


def generalization(profile: str | None = None, results: Path | None = None) -> Prose:
    """Section 4.4: GRPO's gain at the second hospital and its loss at the third."""
    near, far = gather(5, profile, results), gather(6, profile, results)
    paragraphs = []
    for side in _sides([near, far]):
        paragraphs.append(
            f"{_lead(near, side)} going from the SFT checkpoint to ChexReason, macro-F1 over all findings on CheXpert "
            f"{_relative(near, side)}; over the nine of NIH it {_relative(far, side)}. "
            f"{_paradox(near, far, side)}"
        )
    if near.runs and far.runs:
        paragraphs.append(_agreement(near, far))
    return Prose("\n\n".join(paragraphs))


def intervals(profile: str | None = None, results: Path | None = None) -> Prose:
    """How sure the change from SFT to ChexReason is in our runs: paired bootstrap over patients."""
    lines = []
    for number in (5, 6):
        shown = gather(number, profile, results)
        found = difference(shown, "medgemma_sft", "chexreason")
        if found:
            certain = (
                "does not contain zero" if found.excludes_zero else "contains zero, so the direction is not settled"
            )
            lines.append(
                f"On {_dataset(shown)} ({shown.tier}, {shown.profile}), ChexReason minus the SFT checkpoint is "
                f"{signed(found.estimate)} in macro-F1, with a {found.level:.0%} interval from {signed(found.low)} to "
                f"{signed(found.high)} over {found.patients} patients; it {certain}."
            )
    return Prose("\n\n".join(lines) or "There are no rows of predictions here, so no interval can be computed.")


def shared_findings(profile: str | None = None, results: Path | None = None) -> pd.DataFrame:
    """Macro-F1 over the nine findings that both test sets have: a row a model and side.

    The paper sets an average over fourteen findings beside one over nine; this table does not.
    """
    near, far = gather(5, profile, results), gather(6, profile, results)
    rows = []
    for side in _sides([near, far]):
        for model, title in MODELS.items():
            one, other = (shown.side(side, model).reindex(NIH_SHARED).mean() for shown in (near, far))
            whole = near.side(side, model)["macro"]
            rows.append(
                {"Values of": "paper" if side == "paper" else near.tier, "Model": title,
                 "CheXpert, all fourteen": whole, "CheXpert, the nine": one, "NIH, the nine": other,
                 "Change on the nine": other - one}
            )  # fmt: skip
    return pd.DataFrame(rows)


def difference(shown: Evidence, first: str, second: str) -> Bootstrapped | None:
    """Macro-F1 of one model minus another's on the same studies; None without the rows of both."""
    pair = [shown.run_of("macro", model) for model in (first, second)]
    rows = [run.predictions() for run in pair if run and (run.folder / "predictions.csv.gz").is_file()]
    if len(rows) < 2 or list(rows[0]["study_key"]) != list(rows[1]["study_key"]):
        return None
    label_set = str(pair[0].info["label_set"]) if pair[0] else ""
    truth, one, two = (
        matrix([str(cell).split(";") for cell in column], label_set)
        for column in (rows[0]["truth"], rows[0]["predicted"], rows[1]["predicted"])
    )
    patients = list(rows[0]["patient_key"])
    return paired_bootstrap(truth, one, two, patients, np.random.default_rng(0), mask=counted(rows[0], label_set))


# The pieces of sentences.


def _sides(tables: Iterable[Evidence]) -> list[str]:
    return ["paper", "ours"] if all(_whole(shown) for shown in tables) else ["paper"]


def _whole(shown: Evidence) -> bool:
    return bool(shown.runs) and not shown.missing


def _lead(shown: Evidence, side: str) -> str:
    return "In the paper," if side == "paper" else f"In this run ({shown.tier}, {shown.profile}),"


def _both(shown: Evidence, say: Callable[[str], str]) -> str:
    sides = ["paper", "ours"] if shown.runs else ["paper"]
    return " ".join(f"{_lead(shown, side)} {_lower(say(side))}" for side in sides)


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def leaders(shown: Evidence, side: str, column: str) -> tuple[list[str], float]:
    """The titles of the rows with the highest value, all of them if they tie, and the value.

    No titles where every value is zero: nothing is best then.
    """
    values = shown.side(side, column)
    best = float(values.max())
    rows = [] if best < VISIBLE else [str(row) for row in values.index[values > best - VISIBLE]]
    return [title_of(shown.spec, row) for row in rows], best


def leading(shown: Evidence, side: str, column: str) -> str:
    """`leaders` in words: "Reasoning A (0.208)", or that none is."""
    titles, best = leaders(shown, side, column)
    return f"{' and '.join(titles)} ({best:.3f})" if titles else "none (all score zero)"


def _failures(shown: Evidence, side: str) -> str:
    rates = shown.side(side, "all", "failure_rate")
    if rates.max() == 0:
        return "No prompt's answers failed to parse."
    return f"Answers to {title_of(shown.spec, str(rates.idxmax()))} fail most often ({rates.max():.1%})."


def _rank_correlation(shown: Evidence, column: str) -> float:
    paper, ours = shown.side("paper", column).rank(), shown.side("ours", column).rank()
    return float(np.nan_to_num(paper.corr(ours.reindex(paper.index))))


def _compare(first: str, one: float, second: str, other: float) -> str:
    if abs(one - other) < VISIBLE:
        return f"{first} and {second} come out the same ({one:.3f})"
    word = "ahead of" if one > other else "behind"
    return f"{first} ({one:.3f}) is {word} {second} ({other:.3f})"


def _moved(change: float, perfect: bool = False) -> str:
    if abs(change) < VISIBLE:
        return "has not moved" if perfect else "stays where it was"
    words = ("has risen", "has fallen") if perfect else ("rises", "falls")
    return f"{words[0] if change > 0 else words[1]} by {abs(change):.3f}"


def _change(shown: Evidence, side: str, start: str, end: str) -> tuple[float, float]:
    return float(shown.side(side, start)["macro"]), float(shown.side(side, end)["macro"])


def _relative(shown: Evidence, side: str) -> str:
    start, end = _change(shown, side, "medgemma_sft", "chexreason")
    moved = _moved(end - start).split(" by ")[0]
    share = f", by {abs(end / start - 1):.0%}" if start and abs(end - start) >= VISIBLE else ""
    return f"{moved} ({start:.3f} to {end:.3f}{share})"


def _paradox(near: Evidence, far: Evidence, side: str) -> str:
    near_change, far_change = (
        end - start for start, end in (_change(shown, side, "medgemma", "medgemma_sft") for shown in (near, far))
    )
    return (
        f"SFT itself changed the untouched model's macro-F1 by {signed(near_change)} on CheXpert and by "
        f"{signed(far_change)} on NIH."
    )


def _agreement(near: Evidence, far: Evidence) -> str:
    clauses = []
    for name, shown in (("CheXpert", near), ("NIH", far)):
        if shown.missing:
            continue
        paper, ours = (
            end - start
            for start, end in (_change(shown, side, "medgemma_sft", "chexreason") for side in ("paper", "ours"))
        )
        way = "in the same direction" if paper * ours > 0 else "in the opposite direction"
        clauses.append(f"not at all on {name}" if abs(ours) < VISIBLE else f"{way} on {name}")
    return f"Held against the paper, GRPO moves this {near.tier} {' and '.join(clauses)}." if clauses else ""


def _dataset(shown: Evidence) -> str:
    name = {5: "CheXpert", 6: "NIH"}[shown.spec.number]
    return f"the {name}-like test set" if shown.tier == "miniature" else f"the {name} test set"


def runs_shown(profile: str | None = None, results: Path | None = None) -> list[Run]:
    """All runs that the six tables rest on, each once."""
    found: Mapping[str, Run] = {
        run_id: run for number in range(1, 7) for run_id, run in gather(number, profile, results).runs.items()
    }
    return list(found.values())
