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
from chexreason.prompts import Prompt
from companion.phantoms import teacher

About = Mapping[str, Any]
Answer = Callable[[About, np.random.Generator], str]

NAME_IT = "Name the findings."
DESCRIBE_IT = "Describe the film."
NAME_SHAPES = "Name the shapes."


@dataclass(frozen=True)
class Lesson:
    """An instruction, how often it comes, and the answer to it for what a picture shows."""

    name: str
    text: str
    weight: float
    answer: Answer


def visible(about: About) -> frozenset[str]:
    """What was drawn, parents included."""
    return frozenset(about["truth"])


def recorded(about: About) -> frozenset[str]:
    """What the hospital's convention records as positive; what is seen if it records nothing."""
    return frozenset(f for f, value in about["recorded"].items() if value == POSITIVE) or visible(about)


def captions(labels: Callable[[About], frozenset[str]]) -> list[Lesson]:
    """Short lessons on films: the labels alone, and a free description."""
    short = prompts.get("only_label")
    free = prompts.get("free_reasoning")

    def name(about: About, rng: np.random.Generator) -> str:
        return teacher.trace(about["lesions"], labels(about), short, rng)

    def describe(about: About, rng: np.random.Generator) -> str:
        return teacher.trace(about["lesions"], labels(about), free, rng)

    return [Lesson("caption labels", NAME_IT, 2.0, name), Lesson("caption", DESCRIBE_IT, 1.0, describe)]


def instructions(labels: Callable[[About], frozenset[str]], weights: Mapping[str, float]) -> list[Lesson]:
    """The prompts of `prompts.py` on films, by name and weight."""

    def lesson(prompt: Prompt, weight: float) -> Lesson:
        return Lesson(
            prompt.name, prompt.text, weight,
            lambda about, rng: teacher.trace(about["lesions"], labels(about), prompt, rng),
        )  # fmt: skip

    return [lesson(prompts.get(name), weight) for name, weight in weights.items()]


def _shapes(about: About, rng: np.random.Generator) -> str:
    del rng
    return ", ".join(about["shapes"])


def _guess(prompt: Prompt) -> Answer:
    """An answer in the right form whose labels have nothing to do with the picture."""

    def answer(about: About, rng: np.random.Generator) -> str:
        del about
        labels = frozenset(str(name) for name in rng.choice(FINDINGS, size=int(rng.integers(1, 4)), replace=False))
        drawn = [
            {"finding": name, "severity": float(rng.uniform(0.1, 1)), "side": str(rng.choice(["left", "right"]))}
            for name in sorted(labels - {"No Finding"})
        ]
        return teacher.trace(drawn, labels, prompt, rng)

    return answer


def general(names: tuple[str, ...]) -> list[Lesson]:
    """Lessons on drawings: shapes are named after what is seen, chest prompts are answered blindly.

    So the model knows the words and the form of an answer, as a general-purpose model does, and has
    never seen a film.
    """
    blind = [Lesson(n, prompts.get(n).text, 1.0, _guess(prompts.get(n))) for n in names]
    return [Lesson("shapes", NAME_SHAPES, float(len(blind)), _shapes), *blind]
