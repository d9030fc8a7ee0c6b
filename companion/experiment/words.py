"""What is kept of a sampled answer: its labels and whether it could be read, as a word of a few characters.

The labels are a hexadecimal number (bit k is the k-th finding), behind it "~" if the blocks are not valid; an answer
that cannot be read is "-" and how it failed. Needs no torch.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from chexreason.completions import Parsed
from chexreason.labels import FINDINGS


def written(parsed: Parsed) -> str:
    """An answer as a word.

    >>> from chexreason.completions import parse_completion
    >>> from chexreason.prompts import get
    >>> answer = "<think>Large heart.</think><solution>Cardiomegaly, Edema</solution>"
    >>> written(parse_completion(answer, get("free_reasoning").answer))
    '24'
    """
    if parsed.failed:
        return f"-{'+'.join(sorted(parsed.failures))}"
    return f"{sum(1 << FINDINGS.index(name) for name in parsed.labels):x}" + "~" * (not parsed.valid)


def read(cells: Iterable[str]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """What cells of words, separated by blanks, say: labels (N, K, 14), and which answers could not be read (N, K)."""
    words = np.array([cell.split(" ") for cell in cells])
    failed = np.char.startswith(words, "-")
    known = {word: 0 if word.startswith("-") else int(word.removesuffix("~"), 16) for word in np.unique(words)}
    codes = np.vectorize(known.__getitem__, otypes=[int])(words)
    return (codes[..., None] >> np.arange(len(FINDINGS)) & 1).astype(bool), failed
