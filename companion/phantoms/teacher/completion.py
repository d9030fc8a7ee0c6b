"""What `parse_completion` reads, written."""

from collections.abc import Iterable

from chexreason.completions import AnswerFormat
from chexreason.labels import FINDINGS


def write_completion(thought: str, labels: Iterable[str], fmt: AnswerFormat) -> str:
    """The completion that `parse_completion` reads back, with the labels in CheXpert's order.

    >>> write_completion("Wide heart.", {"Edema", "Cardiomegaly"}, AnswerFormat())
    '<think>Wide heart.</think><solution>Cardiomegaly, Edema</solution>'

    Raises ValueError for labels that are empty or unknown, and for a thought with a tag in it.
    """
    wanted = frozenset(labels)
    if not wanted or not wanted <= frozenset(FINDINGS):
        raise ValueError(f"expected labels among the 14 findings, got {sorted(wanted)}")
    if "<" in thought:
        raise ValueError(f"expected a thought without tags, got {thought!r}")
    bodies = {"think": thought, fmt.tag: ", ".join(name for name in FINDINGS if name in wanted)}
    return "".join(f"<{name}>{bodies[name]}</{name}>" for name in fmt.blocks)
