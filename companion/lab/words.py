"""Every name, sign and constant that the pages' JavaScript works with: it holds logic only (`book/_lab/twin.js`)."""

from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import t as student

from chexreason import completions, labels
from chexreason.recipe import Decoding
from chexreason.rewards import Hard, Nuanced
from chexreason.settings import origins
from companion.evidence import comparable, scoring
from companion.lab import xrays
from companion.report import scored

#: What Python's str.splitlines ends a line at; "\r\n" is one end.
LINES = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
#: The rewards whose constants a reader may change.
REWARDS = {"hard": Hard, "nuanced": Nuanced}


def words() -> dict[str, Any]:
    """Labels and their spellings, the signs that the parser heeds, and the rewards' constants with their origins."""
    return {
        "findings": labels.FINDINGS,
        "aliases": dict(labels.ALIASES),
        "label_sets": {name: list(held) for name, held in labels.LABEL_SETS.items() if name in ("chexpert14", "nih9")},
        "space": "".join(sign for sign in map(chr, range(0x3001)) if sign.isspace()),
        "lines": LINES,
        "separators": "".join(chr(code) for code in labels._SEPARATORS),
        "decoration": labels._DECORATION,
        "number": labels._NUMBER.pattern,
        "marks": completions._MARKS,
        "ticked": completions._TICKED.pattern,
        "empty": completions._EMPTY.pattern,
        "count": completions._COUNT.pattern,
        "next": completions._NEXT.pattern,
        "less": completions._LESS.pattern,
        "box": completions._BOX.pattern,
        "signs": _ranges(completions._SIGNS),
        "limit": Decoding().max_new_tokens,
        "devices": labels.SUPPORT_DEVICES,
        "side": xrays.SIDE,
        "grid": xrays.GRID,
        "enough": comparable.ENOUGH,
        "mostly": comparable.MOSTLY,
        "policies": scored.POLICIES,
        "against": scored.LABELS,
        "resamples": scoring.RESAMPLES,
        "student": [float(student.ppf(0.975, freedom)) for freedom in range(1, 20)],
        "draws": {name: str(value) for name, value in np.random.default_rng(0).bit_generator.state["state"].items()},
        "rewards": {name: _reward(cls) for name, cls in REWARDS.items()},
    }


def _reward(cls: type[Any]) -> dict[str, dict[str, Any]]:
    """constant -> its value, what it is, and where it comes from."""
    return {
        name: {"value": value, "what": one.what, "origin": f"stated, {one.section}" if one.stated else "assumed",
               "why": one.why}
        for name, value, one in origins(cls)
    }  # fmt: skip


def _ranges(table: dict[int, str]) -> list[tuple[int, int, str]]:
    """A table of str.translate as runs of neighbouring codes with one meaning: (first, last, meaning)."""
    found: list[list[Any]] = []
    for code in sorted(table):
        if found and found[-1][1] == code - 1 and found[-1][2] == table[code]:
            found[-1][1] = code
        else:
            found.append([code, code, table[code]])
    assert all(before[1] < after[0] for before, after in pairwise(found))
    return [tuple(one) for one in found]
