"""What the miniatures read and write in the second stage: a picture, an instruction and an answer.

A curriculum is a list of lessons with weights. *Caption* lessons have a prompt of a few words and
teach to name what is seen; *instruction* lessons carry the full prompts of `prompts.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chexreason import prompts
from chexreason.labels import FINDINGS, POSITIVE
from companion.phantoms import teacher

About = Mapping[str, Any]
Labels = Callable[[About], frozenset[str]]


@dataclass(frozen=True)
class Lesson:
    """An instruction, how often it comes, and the answer to it for what a picture shows."""

    name: str
    text: str
    weight: float
    answer: Callable[[About, np.random.Generator], str]


def visible(about: About) -> frozenset[str]:
    """What was drawn, parents included."""
    return frozenset(about["truth"])


def recorded(about: About) -> frozenset[str]:
    """What the hospital's convention records as positive; what is seen if it records nothing."""
    return frozenset(f for f, value in about["recorded"].items() if value == POSITIVE) or visible(about)


def _lesson(name: str, text: str, weight: float, labels: Labels, format_of: str) -> Lesson:
    """A lesson on phantoms, answered by the scripted teacher in the format of a prompt."""
    prompt = prompts.get(format_of)
    return Lesson(name, text, weight, lambda about, rng: teacher.trace(about["lesions"], labels(about), prompt, rng))


def captions(labels: Labels) -> list[Lesson]:
    """Short lessons on phantoms: the labels alone, and a free description."""
    return [
        _lesson("caption labels", "Name the findings.", 2.0, labels, "only_label"),
        _lesson("caption", "Describe the film.", 1.0, labels, "free_reasoning"),
    ]


def instructions(labels: Labels, weights: Mapping[str, float]) -> list[Lesson]:
    """The prompts of `prompts.py` on phantoms, by name and weight."""
    return [_lesson(name, prompts.get(name).text, weight, labels, name) for name, weight in weights.items()]


def _guess(name: str) -> Lesson:
    """A prompt answered in the right form, with labels that have nothing to do with the picture."""
    prompt = prompts.get(name)

    def answer(about: About, rng: np.random.Generator) -> str:
        labels = frozenset(str(name) for name in rng.choice(FINDINGS, size=int(rng.integers(1, 4)), replace=False))
        drawn = [
            {"finding": name, "severity": float(rng.uniform(0.1, 1)), "side": str(rng.choice(["left", "right"]))}
            for name in sorted(labels - {"No Finding"})
        ]
        return teacher.trace(drawn, labels, prompt, rng)

    return Lesson(name, prompt.text, 1.0, answer)


def general(names: tuple[str, ...]) -> list[Lesson]:
    """Lessons on drawings: shapes are named after what is seen, chest prompts are answered blindly.

    So the model knows the words and the form of an answer, as a general-purpose model does, and has
    never seen a chest.
    """
    shapes = Lesson("shapes", "Name the shapes.", float(len(names)), lambda about, rng: ", ".join(about["shapes"]))
    return [shapes, *map(_guess, names)]
