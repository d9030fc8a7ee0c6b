"""What is proposed against the loss abroad, and whether it helps; and what picking with the answer key would give."""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd

from chexreason import metrics
from companion.evidence import analysis, outcomes
from companion.evidence.analysis import Key
from companion.evidence.comparable import every_label
from companion.experiment import arms, scores
from companion.report.experiments.answers import (
    HARD,
    SFT,
    Comparison,
    answers,
    behind,
    changed,
    facts,
    have,
    missing,
    model,
    patients,
)
from companion.report.experiments.intervals import BELOW, Line, counted, framed, panel
from companion.report.tables import frame_table
from companion.report.theme import Html, Prose, block, decimal, spoken

CEILING = "best-of-four"
#: Answers that the ceiling and its image-blind control pick from, and draws of other patients.
TRIES, DRAWS = 4, 30


def cures() -> list[str]:
    """The arms that were proposed as cures and are run; nothing that sees a test label is among them."""
    return [name for name, arm in arms.ARMS.items() if arm.question == "cures" and have(model(name), model(HARD))]


def abroad(name: str) -> list[str]:
    """The hospitals whose images an arm was not trained on."""
    return [hospital for hospital in "BC" if hospital not in arms.get(name).hospitals]


def against_plain(name: str, hospital: str) -> Comparison:
    """An arm minus plain reinforcement at a hospital, with its own patients, images and labels."""
    return changed(model(name), model(HARD), hospital)


def figure() -> Html:
    """Each cure against plain reinforcement, at home and at each hospital that it was not trained on."""
    found = cures()
    if not found:
        return missing("any cure")
    panels, drawn = [], 0
    for series, (hospital, title) in enumerate({"A": "At home: A", "B": "Abroad: B", "C": "Abroad: C"}.items()):
        lines = [
            Line(name.removeprefix("cure-"), against_plain(name, hospital), series)
            for name in found
            if hospital == "A" or hospital in abroad(name)
        ]
        drawn += sum(not isinstance(line.value, str) for line in lines)
        panels.append(panel(title, lines, "minus plain reinforcement, macro-F1"))
    return framed(
        "Cures against plain reinforcement",
        facts(*map(model, found), model(HARD)),
        panels,
        "Right of the line is better than reinforcement with the hard reward. A cure lies to the right abroad and not "
        "to the left at home. An arm that was trained on images of B is abroad at C alone. Rows without a point are "
        "not compared: a model there scores below naming every label." + counted(drawn),
        behind=behind(*map(model, found), model(HARD)),
    )


def tested(found: Iterable[str]) -> list[str]:
    """Those that can be compared with plain reinforcement at home and at one hospital abroad or more."""
    return [
        name
        for name in found
        if not isinstance(against_plain(name, "A"), str)
        and any(not isinstance(against_plain(name, there), str) for there in abroad(name))
    ]


def worked(found: Iterable[str]) -> list[str]:
    """Those that gain wherever abroad they can be compared, each interval above zero, and are not seen to lose at home,
    the whole interval below zero."""
    good = []
    for name in found:
        gains = [one for there in abroad(name) if not isinstance(one := against_plain(name, there), str)]
        at_home = against_plain(name, "A")
        if gains and all(one.low > 0 for one in gains) and not isinstance(at_home, str) and at_home.high >= 0:
            good.append(name)
    return good


def verdict() -> str | None:
    """How many cures work, in a line; None without any cure's runs."""
    found = cures()
    if not found:
        return None
    good, fair = worked(found), tested(found)
    text = f"{len(good) or 'none'} of the {len(fair)} that can be compared abroad"
    text += f": {', '.join(good)}" if good else ", by more than chance allows"
    return text + _untested(found, "; ")


def _untested(found: list[str], lead: str) -> str:
    """The cures that cannot be tested abroad, as the end of a sentence; empty if all can."""
    off = [name for name in found if name not in tested(found)]
    return f"{lead}not compared: {', '.join(off)}" if off else ""


def finding() -> Prose:
    """Which cures gain abroad and do not lose at home."""
    found = cures()
    if not found:
        return Prose("*Not run yet.*")
    good = worked(found)
    many = f"Of {len(found)} cures tried, {len(tested(found))} can be compared at a hospital abroad"
    lead = (
        f"{many}; of these, {', '.join(good)} {'gains' if len(good) == 1 else 'gain'} there and "
        f"{'is' if len(good) == 1 else 'are'} not seen to lose at home."
        if good
        else f"{many}, and none of these gains there by more than chance allows."
    )
    rows = [f"{name}: {'; '.join(f'{spoken(against_plain(name, h))} at {h}' for h in ('A', *abroad(name)))}"
            for name in found]  # fmt: skip
    return Prose(f"{lead} Minus plain reinforcement, macro-F1: {'. '.join(rows)}.")


def ceiling() -> Html:
    """What an answer key is worth: the best of four answers picked with it, with and without a look at the image."""
    if not have(model(CEILING), model(SFT)):
        return missing("the answers picked with the key")
    seeds = answers().seeds([model(CEILING), model(SFT)])
    rows = []
    for title, score in {
        "SFT, its one greedy answer": lambda h, s: _score(model(SFT), h, s),
        "the best of four of its sampled answers, picked with the answer key": lambda h, s: _score(
            model(CEILING), h, s
        ),
        "one greedy answer, given to another patient": lambda h, s: _blind(h, s, 1),
        "the best of four given to other patients, picked with the answer key": lambda h, s: _blind(h, s, TRIES),
    }.items():
        found = {hospital: [score(hospital, seed) for seed in seeds] for hospital in "ABC"}
        values = {
            f"hospital {h}": decimal(float(np.mean(each))) + (BELOW if min(each) < _floor(h) else "")
            for h, each in found.items()
        }
        rows.append({"answer": title, **values})
    head = facts(model(CEILING), model(SFT), measure="macro-F1 over the findings with enough positives")
    table = frame_table(pd.DataFrame(rows), "What an answer key is worth", wrap=("answer",))
    note = (
        f'<p class="cxr-note">{BELOW}: below naming every label, in one training at least. Post hoc, no interval.</p>'
    )
    return block(f'<div class="cxr-head">{head}</div>') + table + block(note + behind(model(CEILING), model(SFT)))


def _floor(hospital: str) -> float:
    """Macro-F1 of naming every label, over the findings with enough positives."""
    cell = scores.own(hospital)
    positives, size = answers().positives(cell), patients(answers())
    return float(every_label([positives[name] for name in analysis.frequent(answers(), [cell])], size).mean())


def _score(name: str, hospital: str, seed: int) -> float:
    cell = scores.own(hospital)
    return float(answers().values(Key(name, cell), seed, outcomes.MACRO, analysis.frequent(answers(), [cell]))[0])


@cache
def _blind(hospital: str, seed: int, tries: int) -> float:
    """Macro-F1 when each patient gets the nearest to the key of `tries` greedy answers to other patients, mean of
    `DRAWS` draws: no image has a say in it."""
    cell = scores.own(hospital)
    true_NF, said_NF = answers().matrices(Key(model(SFT), cell), seed)
    keep, rng, drawn = analysis.kept(analysis.frequent(answers(), [cell])), np.random.default_rng(seed), []
    for _ in range(DRAWS):
        others_TN = np.stack([_others(len(true_NF), rng) for _ in range(tries)])
        near_TN = np.stack([outcomes.JACCARD.each(true_NF, said_NF[others])[:, 0] for others in others_TN])
        picked_N = others_TN[near_TN.argmax(axis=0), np.arange(len(true_NF))]
        drawn.append(metrics.f1(metrics.confusion(true_NF, said_NF[picked_N]))[keep].mean())
    return float(np.mean(drawn))


def _others(n: int, rng: np.random.Generator) -> np.ndarray:
    """For each of n patients another one, each once."""
    order = rng.permutation(n)
    return order[(np.argsort(order) + 1) % n]


def ceiling_said() -> Prose:
    """What the rows with the key say, in a sentence: of hospitals where the model itself may be compared."""
    if not have(model(CEILING), model(SFT)):
        return Prose("*Not run yet.*")
    lead = "No answer key is at hand at a bedside, so this is a ceiling and no cure."
    seeds = answers().seeds([model(CEILING), model(SFT)])
    fit = [h for h in "ABC" if min(_score(model(SFT), h, seed) for seed in seeds) >= _floor(h)]
    if not fit:
        return Prose(f"{lead} At no hospital may the fine-tuned model be compared.")
    rows = {
        "seen": (lambda h, s: _score(model(SFT), h, s), lambda h, s: _score(model(CEILING), h, s)),
        "blind": (lambda h, s: _blind(h, s, 1), lambda h, s: _blind(h, s, TRIES)),
    }
    one, best, blind, picked = (
        np.array([np.mean([score(h, s) for s in seeds]) for h in fit]) for pair in rows.values() for score in pair
    )
    more = int((picked - blind > best - one).sum())
    return Prose(
        f"{lead} Post hoc, and without an interval: at {' and '.join(fit)} picking with the key raises macro-F1 by "
        f"{_range(best - one)} over the model's one answer. Where answers are given to *other* patients, so that no "
        f"image has a say, the score is {_range(blind)} with one and {_range(picked)} with the best of {TRIES}; at "
        f"{more} of {len(fit)} hospitals that is the larger step"
        + (", so a step of this size needs no look at the image." if more == len(fit) else ".")
    )


def _range(values: np.ndarray) -> str:
    return f"{values.min():.3f} to {values.max():.3f}"
