"""What is proposed against the loss abroad, and whether it helps; and what picking with the answer key would give."""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd

from companion.evidence import analysis, outcomes, stats
from companion.evidence.analysis import Contrast, Key
from companion.experiment import arms, scores
from companion.report.experiments import answers as of
from companion.report.experiments.answers import Comparison, above, answers, below, changed, have
from companion.report.experiments.names import BELOW, HARD, NOT_RUN, SFT, model
from companion.report.frames import frame_table
from companion.report.theme import Html, decimal

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


def gains() -> dict[str, of.Series]:
    """Each cure against plain reinforcement, at home and at each hospital that it was not trained on."""
    return {
        f"{'At home' if hospital == 'A' else 'Abroad'}: {hospital}":
            {"": {name.removeprefix("cure-"): against_plain(name, hospital) for name in cures()
                  if hospital == "A" or hospital in abroad(name)}}
        for hospital in "ABC"
    }  # fmt: skip


def _abroad(name: str) -> list[Contrast]:
    """The differences abroad, where there are any."""
    return [one for there in abroad(name) if not isinstance(one := against_plain(name, there), str)]


def tested(found: Iterable[str]) -> list[str]:
    """Those that can be compared with plain reinforcement at home and at one hospital abroad or more."""
    return [name for name in found if _abroad(name) and not isinstance(against_plain(name, "A"), str)]


def worked(found: Iterable[str]) -> list[str]:
    """Those that gain wherever abroad they can be compared, each interval above zero, and are not seen to lose at home,
    the whole interval below zero."""
    return [name for name in tested(found) if all(map(above, _abroad(name))) and not below(against_plain(name, "A"))]


def verdict() -> str:
    """How many cures work, in a line; `NOT_RUN` without the runs."""
    if not (found := cures()):
        return NOT_RUN
    good, fair = worked(found), tested(found)
    text = f"{len(good) or 'none'} of the {len(fair)} that can be compared abroad"
    text += f": {', '.join(good)}" if good else ", by more than chance allows"
    off = [name for name in found if name not in fair]
    return text + (f"; not compared: {', '.join(off)}" if off else "")


def ceiling() -> Html:
    """What an answer key is worth: the best of four answers picked with it, with and without a look at the image."""
    models = (model(SFT), model(CEILING))
    if not have(*models):
        return of.missing("the answers picked with the key")
    shown = pd.DataFrame({"answer": [
        "SFT, its one greedy answer", "the best of four of its sampled answers, picked with the answer key",
        "one greedy answer, given to another patient",
        "the best of four given to other patients, picked with the answer key",
    ]})  # fmt: skip
    for h in "ABC":
        own = (analysis.contrast(answers(), {Key(one, scores.own(h)): 1.0}, beside=models).per_seed for one in models)
        blind = ([_blind(h, seed, tries) for seed in answers().seeds(models)] for tries in (1, TRIES))
        shown[f"hospital {h}"] = [decimal(float(np.mean(x))) + BELOW * (min(x) < _floor(h)) for x in (*own, *blind)]
    note = f"{BELOW}: below naming every label, in one training at least. Post hoc, no interval."
    head = of.facts(*models, measure="macro-F1 over the findings with enough positives")
    return frame_table(shown, "What an answer key is worth", wrap=["answer"], head=head, notes=[note],
                       runs=of.asked(*models))  # fmt: skip


def _floor(hospital: str) -> float:
    """Macro-F1 of naming every label, over the findings with enough positives."""
    cell = scores.own(hospital)
    return analysis.floor(answers(), Key(model(SFT), cell), outcomes.MACRO, analysis.frequent(answers(), [cell]))


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
        drawn.append(stats.f1(stats.confusion(true_NF, said_NF[picked_N]))[keep].mean())
    return float(np.mean(drawn))


def _others(n: int, rng: np.random.Generator) -> np.ndarray:
    """For each of n patients another one, each once."""
    order = rng.permutation(n)
    return order[(np.argsort(order) + 1) % n]
