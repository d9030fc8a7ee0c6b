"""The two reward functions of GRPO as pure functions with a breakdown (section 3.2.2, equations 3 and 4).

The paper states the shape of both and most of their numbers. What it leaves open is settled in the
two settings classes, where every field says whether the paper states it, and in these readings:

* |t| in equation 3 is the number of *characters* of the completion, tags included. Equations 1 and 2
  use the same sign for tokens; a reward function is given text, and 250 tokens would be longer than
  most traces. The caller passes the length, so the unit is the caller's decision.
* The terms of equation 4 add up, so an exact match earns its 100 points and full partial credit.
* A completion without valid blocks, or without any label, earns no points under equation 4 and pays
  a flat price; it makes no prediction, so the window does not see it.
* "Dominance" of a label is the share of the window's predictions that contain it, the present one
  included. It is judged once the window is full. A prediction pays for collapse once if it contains
  any dominant label, and for one excess repetition with each dominant label that it contains,
  whether or not the label is right. (Counting all predictions beyond 70 % instead would reach 900
  points a completion and drown every other term.)

Only the window is state. It is passed in, changed in plain sight, and saved with checkpoints.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from chexreason.completions import Parsed
from chexreason.errors import UserError
from chexreason.labels import FINDINGS
from chexreason.settings import assumed, paper


def _refuse_negative(settings: Any) -> None:
    for entry in fields(settings):
        if getattr(settings, entry.name) < 0:
            raise UserError(
                f"a value of 0 or more for {entry.name}",
                repr(getattr(settings, entry.name)),
                "give its size; rewards set the sign",
            )


@dataclass(frozen=True)
class HardSettings:
    """The constants of equation 3."""

    min_length: int = assumed(
        250,
        "the paper states 250 and no unit, and |t| counts tokens in equations 1 and 2; read as characters, since "
        "250 tokens are longer than most traces",
        "|t| below which a completion is short, in characters",
    )
    short_penalty: float = assumed(
        0.1, "lambda_len is not stated; small, so that a short right answer beats a long wrong one", "lambda_len"
    )

    def __post_init__(self) -> None:
        _refuse_negative(self)


@dataclass(frozen=True)
class NuancedSettings:
    """The constants of equation 4, in points; penalties are given without their sign."""

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

    def __post_init__(self) -> None:
        _refuse_negative(self)


@dataclass(frozen=True)
class Reward:
    """A reward and the signed terms that it is the sum of."""

    terms: Mapping[str, float]

    @property
    def total(self) -> float:
        """The sum of the terms."""
        return float(sum(self.terms.values()))


class Window:
    """The most recent predictions of a training run, oldest first."""

    def __init__(self, predictions: Iterable[Iterable[str]] = ()) -> None:
        self._predictions: deque[frozenset[str]] = deque(frozenset(labels) for labels in predictions)
        self._counts: Counter[str] = Counter(label for labels in self._predictions for label in labels)

    def __len__(self) -> int:
        return len(self._predictions)

    def push(self, labels: frozenset[str], size: int) -> None:
        """Add a prediction and forget all but the last `size`."""
        self._predictions.append(labels)
        self._counts.update(labels)
        while len(self._predictions) > size:
            self._counts.subtract(self._predictions.popleft())

    def share(self, label: str) -> float:
        """The share of the predictions that contain `label`; 0 for an empty window."""
        return self._counts[label] / len(self) if len(self) else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The whole state as plain data, for a checkpoint."""
        return {"predictions": [sorted(labels) for labels in self._predictions]}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Window":
        """The window that `to_dict` described."""
        return cls(state["predictions"])


def jaccard(truth: frozenset[str], predicted: frozenset[str]) -> float:
    """Size of the intersection over size of the union; 0 to 1.

    >>> jaccard(frozenset({"Edema", "Fracture"}), frozenset({"Edema"}))
    0.5
    """
    return len(truth & predicted) / len(truth | predicted)


def label_frequencies(truths: Iterable[frozenset[str]]) -> dict[str, float]:
    """finding -> share of the training studies that it is recorded for; 0 for one that never is.

    Raises ValueError without any study.
    """
    sets = list(truths)
    if not sets:
        raise ValueError("expected the labels of at least one training study, came none")
    counts = Counter(label for labels in sets for label in labels)
    return {name: counts[name] / len(sets) for name in FINDINGS}


def _refuse_unlabelled(truth: frozenset[str]) -> None:
    if not truth or not truth <= frozenset(FINDINGS):
        raise ValueError(f"expected recorded labels among the 14 findings, came {sorted(truth)}")


def hard(parsed: Parsed, truth: frozenset[str], length: int, settings: HardSettings) -> Reward:
    """Equation 3: the Jaccard similarity if the blocks are valid, less lambda_len if short; else 0.

    Range: -short_penalty to 1. Terms: jaccard, short. What would game it: padding beyond
    `min_length` costs nothing, text outside the blocks neither, and a completion that expects to be
    wrong and short does better malformed (0) than valid (-short_penalty).

    Raises ValueError for a study without recorded labels, for which the similarity is undefined.
    """
    _refuse_unlabelled(truth)
    if not parsed.valid:
        return Reward({"jaccard": 0.0, "short": 0.0})
    short = -settings.short_penalty if length < settings.min_length else 0.0
    return Reward({"jaccard": jaccard(truth, frozenset(parsed.labels)), "short": short})


def nuanced(
    parsed: Parsed,
    truth: frozenset[str],
    settings: NuancedSettings,
    window: Window,
    frequencies: Mapping[str, float],
) -> Reward:
    """Equation 4: match + partial - false positives - collapse - format, in points.

    `frequencies` are the labels' shares among the training studies (`label_frequencies`); a false
    positive costs in proportion. The prediction is added to `window` before dominance is judged.

    Range: at most exact + recall + precision; unknown labels make it unbounded below. Terms: match;
    recall and precision (partial); false_positive; repetition and collapse (collapse); malformed,
    unknown, duplicate and outside (format). What would game it: the rarest labels are nearly free
    to guess but for the precision they cost; going through a few answers in turn keeps each label
    below the dominance bound; and completions of the same study share one window, so their order
    matters a little.

    Raises ValueError for a study without recorded labels, or frequencies without a positive one.
    """
    _refuse_unlabelled(truth)
    terms = _format_terms(parsed, settings)
    if parsed.failed or not parsed.valid:
        return Reward({**dict.fromkeys(_SCORED, 0.0), **terms})
    predicted = frozenset(parsed.labels)
    window.push(predicted, settings.window)
    hits = len(truth & predicted)
    dominant = _dominant(predicted, window, settings)
    scored = {
        "match": settings.exact if predicted == truth else 0.0,
        "recall": settings.recall * hits / len(truth),
        "precision": settings.precision * hits / len(predicted),
        "false_positive": 0.0 - settings.false_positive * _weight(predicted - truth, frequencies),
        "repetition": 0.0 - settings.repetition * dominant,
        "collapse": 0.0 - settings.collapse * (dominant > 0),
    }
    return Reward({**scored, **terms})


_SCORED = ("match", "recall", "precision", "false_positive", "repetition", "collapse")


def _format_terms(parsed: Parsed, settings: NuancedSettings) -> dict[str, float]:
    return {
        "malformed": 0.0 - settings.malformed * (parsed.failed or not parsed.valid),
        "unknown": 0.0 - settings.invalid * len(parsed.unknown),
        "duplicate": 0.0 - settings.duplicate * parsed.duplicates,
        "outside": 0.0 - settings.outside * bool(parsed.outside),
    }


def _weight(labels: frozenset[str], frequencies: Mapping[str, float]) -> float:
    """The summed frequency of labels relative to that of the commonest label."""
    commonest = max(frequencies.values(), default=0.0)
    if commonest <= 0:
        raise ValueError("expected a positive frequency for some label, came none")
    return sum(frequencies.get(label, 0.0) for label in sorted(labels)) / commonest


def _dominant(predicted: frozenset[str], window: Window, settings: NuancedSettings) -> int:
    """How many of the predicted labels dominate a full window."""
    if len(window) < settings.window:
        return 0
    return sum(window.share(label) > settings.dominance for label in predicted)


def _hard(
    parsed: Parsed,
    truth: frozenset[str],
    *,
    length: int,
    settings: HardSettings,
    window: Window,
    frequencies: Mapping[str, float],
) -> Reward:
    return hard(parsed, truth, length, settings)


def _nuanced(
    parsed: Parsed,
    truth: frozenset[str],
    *,
    length: int,
    settings: NuancedSettings,
    window: Window,
    frequencies: Mapping[str, float],
) -> Reward:
    return nuanced(parsed, truth, settings, window, frequencies)


#: Reward name -> function of (parsed, truth, *, length, settings, window, frequencies); each takes what it needs.
REWARDS: dict[str, Callable[..., Reward]] = {"hard": _hard, "nuanced": _nuanced}
