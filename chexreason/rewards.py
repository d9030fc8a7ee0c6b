"""The rewards of GRPO (paper, section 3.2.2, equations 3 and 4).

A reward is a dataclass whose fields are its constants, each with its source. Called with a parsed completion, the
labels that it is held against and its text, it returns named terms; their sum is the reward. To add one, decorate such
a class (or a function of the same three) with `@reward("name")`, here or in a file of your own
(``chexreason grpo --reward my_rewards.py``). What the paper leaves open in equation 4 is read as follows:

* The terms add up, so an exact match earns its 100 points and full partial credit.
* A completion without valid blocks, or without any label, makes no prediction: the window does not see it.
* "Dominance" of a label is the share of the window's predictions that contain it, the present one included, judged
  once the window is full. A prediction pays for collapse once if it contains any dominant label, and for one excess
  repetition with each that it contains, right or not. (Counting all predictions beyond 70 % instead would reach 900
  points a completion and drown every other term.)
"""

import functools
import math
import re
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from chexreason.completions import THINK_SOLUTION, Parsed, parse_completion
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from chexreason.settings import assumed, paper, schema_of

Labels = frozenset[str]
Terms = Mapping[str, float]
#: Name -> the class of the reward.
REWARDS: dict[str, type["Reward"]] = {}


@dataclass
class Reward(ABC):
    """What the trainer asks of a reward; one with state overrides `fit` and the two state methods."""

    def __post_init__(self) -> None:
        for name, value in constants(self).items():
            if isinstance(value, int | float) and not 0 <= value < math.inf:
                raise UserError(f"a finite value of 0 or more for {name}", repr(value), "rewards set the sign")

    def fit(self, truths: Iterable[Labels]) -> None:
        """See the labels of the training studies once, before training."""

    @abstractmethod
    def __call__(self, answer: Parsed, truth: Labels, text: str) -> Terms:
        """The terms of the reward of one completion, by name; the same names whatever it says and constants are."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to keep, as plain data."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


def constants(reward: Reward) -> dict[str, Any]:
    """The constants of a reward by name, for a run's record."""
    return {entry.name: getattr(reward, entry.name) for entry in fields(reward) if entry.init}


Made = TypeVar("Made", bound=Callable[..., Any])


def reward(name: str) -> Callable[[Made], Made]:
    """Register a reward, a class or a function, under the name that profiles and the command line use."""
    if not (isinstance(name, str) and re.fullmatch(r"(?!\.)[A-Za-z0-9_.-]{1,100}", name)):  # it becomes part of a path
        raise UserError("a reward's name of letters, digits and _.-", repr(name), 'write @reward("its_name") above it')

    def register(made: Made) -> Made:
        methods = {"__call__": staticmethod(made), "__module__": made.__module__}
        cls = made if isinstance(made, type) else type(name, (Reward,), methods)
        if not issubclass(cls, Reward):
            raise UserError(f"a function or a dataclass on Reward as {name}", repr(cls), "see chexreason/rewards.py")
        schema_of(cls)  # a wrong type, a field without default and a class without `__call__` end here
        names_of(cls)
        REWARDS[name] = cls
        return made

    return register


@functools.cache
def names_of(cls: type[Reward]) -> frozenset[str]:
    """The names of a reward's terms, asked for once, by a made-up completion: none can quote a patient's.

    Raises UserError for one that pays nothing.
    """
    truth = frozenset(FINDINGS[:1])
    text = "".join(f"<{block}>{FINDINGS[0]}</{block}>" for block in THINK_SOLUTION.blocks)
    try:
        made = cls()
        made.fit([frozenset({name}) for name in FINDINGS])
        terms = made(parse_completion(text, THINK_SOLUTION), truth, text)
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:  # it is anybody's code
        got = f"{type(error).__name__}: {error}"
        raise UserError(f"the reward {cls.__name__} to pay {text}", got, "correct the reward") from error
    if not (isinstance(terms, Mapping) and terms):
        raise UserError(f"named terms from the reward {cls.__name__}", repr(terms), "correct the reward")
    return frozenset(map(str, terms))


def jaccard(truth: Labels, predicted: Labels) -> float:
    """Size of the intersection over size of the union; 0 to 1.

    >>> jaccard(frozenset({"Edema", "Fracture"}), frozenset({"Edema"}))
    0.5
    """
    return len(truth & predicted) / len(truth | predicted)


def _refuse_unlabelled(truth: Labels) -> None:
    if not truth or not truth <= frozenset(FINDINGS):
        raise ValueError(f"expected recorded labels among the 14 findings, got {sorted(truth)}")


@reward("hard")
@dataclass
class Hard(Reward):
    """Equation 3: the Jaccard similarity if the blocks are valid, less lambda_len if short; else 0.

    Range: -short_penalty to 1. What would game it: padding up to `min_length` (white space will do) and beyond costs
    nothing, text outside the blocks neither, and a completion that expects to be wrong and short does better malformed
    (0) than valid (-short_penalty).
    Raises ValueError for a study without recorded labels, for which the similarity is undefined.
    """

    min_length: int = assumed(
        250,
        "the paper states 250 and no unit, and |t| counts tokens in equations 1 and 2; read as characters, tags "
        "included, since 250 tokens are longer than most traces",
        "|t| below which a completion is short, in characters",
        minimum=0,
    )
    short_penalty: float = assumed(
        0.1, "lambda_len is not stated; small, so that a short right answer beats a long wrong one", "lambda_len"
    )

    def __call__(self, answer: Parsed, truth: Labels, text: str) -> Terms:
        _refuse_unlabelled(truth)
        if not answer.valid:
            return {"jaccard": 0.0, "short": 0.0}
        short = -self.short_penalty if len(text) < self.min_length else 0.0
        return {"jaccard": jaccard(truth, frozenset(answer.labels)), "short": short}


@reward("nuanced")
@dataclass
class Nuanced(Reward):
    """Equation 4: match + partial - false positives - collapse - format, in points; penalties without their sign.

    Range: at most exact + recall + precision; unknown labels make it unbounded below. What would game it:

    * the rarest labels are nearly free to guess but for the precision they cost;
    * going through a few answers in turn keeps each label below the dominance bound;
    * once labels dominate, breaking the format (-100) costs less than naming two of them wrongly (-110 and the price
      of two false positives), and the window never sees it, so that they go on dominating;
    * then, too, naming less can earn more than being right: all of four dominant labels and a rare one -20, the rare
      one alone 26;
    * a label crosses the bound between two completions of a rollout batch: by their order the same right answer earns
      150 points or 70.

    All follow from the paper's constants as read here; none is repaired, since the paper's reward is what is studied.
    Raises ValueError for a study without recorded labels, or before `fit` has seen some.
    """

    exact: float = paper(100.0, "3.2.2", "points for naming exactly the recorded labels")
    recall: float = paper(30.0, "3.2.2", "points times the share of the recorded labels that are named")
    precision: float = paper(20.0, "3.2.2", "points times the share of the named labels that are recorded")
    false_positive: float = assumed(
        20.0,
        "weighted by frequency, size not stated; the commonest label then costs what full precision earns",
        "price of a false positive of the commonest label; others cost in proportion to their frequency",
    )
    repetition: float = paper(30.0, "3.2.2", "price of each excess repetition of a dominant label")
    collapse: float = paper(50.0, "3.2.2", "price of naming any dominant label")
    window: int = paper(100, "3.2.2", "most recent predictions that are watched for dominance")
    dominance: float = paper(0.70, "3.2.2", "share of the window above which a label dominates")
    invalid: float = paper(100.0, "3.2.2", "price of each name that is none of the 14 labels")
    duplicate: float = paper(25.0, "3.2.2", "price of each repeated label")
    outside: float = assumed(25.0, "penalised, size not stated; as a duplicate", "price of text outside the blocks")
    malformed: float = assumed(
        100.0, "not stated; as an invalid label", "price of blocks that are not valid or hold no label; no points then"
    )
    frequencies: Mapping[str, float] = field(init=False, default_factory=dict, repr=False)
    recent: deque[Labels] = field(init=False, default_factory=deque, repr=False)

    def fit(self, truths: Iterable[Labels]) -> None:
        """The labels' shares among the training studies, by which false positives are weighed."""
        sets = list(truths)
        counts = Counter(label for labels in sets for label in labels)
        self.frequencies = {name: counts[name] / len(sets) for name in FINDINGS}

    def __call__(self, answer: Parsed, truth: Labels, text: str) -> Terms:
        _refuse_unlabelled(truth)
        earned = dict.fromkeys(("match", "recall", "precision", "false_positive", "repetition", "collapse"), 0.0)
        form = {
            "malformed": 0.0 - self.malformed * (answer.failed or not answer.valid),
            "unknown": 0.0 - self.invalid * len(answer.unknown),
            "duplicate": 0.0 - self.duplicate * answer.duplicates,
            "outside": 0.0 - self.outside * bool(answer.outside),
        }
        if answer.failed or not answer.valid:
            return earned | form
        predicted = frozenset(answer.labels)
        hits, dominant = len(truth & predicted), self._dominant(predicted)
        commonest = max(self.frequencies.values())
        wrong = sum(self.frequencies.get(label, 0.0) for label in sorted(predicted - truth)) / commonest
        earned |= {
            "match": self.exact if predicted == truth else 0.0,
            "recall": self.recall * hits / len(truth),
            "precision": self.precision * hits / len(predicted),
            "false_positive": 0.0 - self.false_positive * wrong,
            "repetition": 0.0 - self.repetition * dominant,
            "collapse": 0.0 - self.collapse * (dominant > 0),
        }
        return earned | form

    def _dominant(self, predicted: Labels) -> int:
        """Add a prediction to the window; how many of its labels dominate a full window."""
        self.recent.append(predicted)
        while len(self.recent) > self.window:
            self.recent.popleft()
        if len(self.recent) < self.window:
            return 0
        counts = Counter(label for labels in self.recent for label in labels)
        return sum(counts[label] / self.window > self.dominance for label in predicted)

    def state_dict(self) -> dict[str, Any]:
        """The window, oldest prediction first."""
        return {"recent": [sorted(labels) for labels in self.recent]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with that window."""
        self.recent = deque(frozenset(labels) for labels in state["recent"])
