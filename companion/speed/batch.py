"""The KV cache and the tokens of sequences in generation, one slot each (sections 3.2.2 and 4).

A sequence begins in the first column of its slot and has a length of its own, so a finished one can be replaced
without moving the others (continuous batching). Columns behind a sequence's end are masked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class SlotLayer(DynamicLayer):
    """A layer's keys and values (B, heads, columns, width); a row's tokens are in its first columns, without gaps.

    There is room for `rows` rows, or for as many as come first, and for `extra` tokens behind the longest prompt.
    `pads_B` has the padding before each prompt while prompts run; `column_BN` where each row's new tokens go
    while answers do.
    """

    def __init__(self, rows: int, extra: int) -> None:
        super().__init__()
        self.rows, self.extra = rows, extra
        self.pads_B: torch.Tensor | None = None
        self.column_BN: torch.Tensor | None = None
        self.seen = 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep them and return all that there is to look at: of prompts what came, of answers the columns in use."""
        if self.column_BN is None:
            self.lazy_initialization(keys, values)
            count, heads, self.seen, width = keys.shape
            shape = (max(self.rows, count), heads, self.seen + self.extra, width)
            # Zeros: a masked column is multiplied by zero, and what lies in fresh memory may not be a number.
            self.keys, self.values = keys.new_zeros(shape), values.new_zeros(shape)
            self.keys[:count, :, : self.seen] = without_padding(keys, self.pads_B)
            self.values[:count, :, : self.seen] = without_padding(values, self.pads_B)
            return keys, values
        count = len(keys)
        row_B1 = torch.arange(count, device=keys.device)[:, None]
        self.keys[row_B1, :, self.column_BN] = keys.transpose(1, 2)
        self.values[row_B1, :, self.column_BN] = values.transpose(1, 2)
        return self.keys[:count, :, : self.seen], self.values[:count, :, : self.seen]

    def get_seq_length(self) -> int:
        """Columns in use."""
        return self.seen

    def take(self, rows: torch.Tensor) -> None:
        """Keep these rows, in this order; a row may be named several times."""
        self.keys, self.values = self.keys.index_select(0, rows), self.values.index_select(0, rows)

    def put(self, rows: torch.Tensor, other: "SlotLayer") -> None:
        """Write the rows of `other` to these places, which may lie behind the last."""
        used = other.seen
        for name in ("keys", "values"):
            mine = getattr(self, name)
            below, behind = int(rows.max()) + 1 - mine.shape[0], used + self.extra - mine.shape[2]
            if below > 0 or behind > 0:
                mine = torch.nn.functional.pad(mine, (0, 0, 0, max(0, behind), 0, 0, 0, max(0, below)))
                setattr(self, name, mine)
            mine[rows, :, :used] = getattr(other, name)[: len(rows), :, :used]


def without_padding(rows_BHTD: torch.Tensor, pads_B: torch.Tensor | None) -> torch.Tensor:
    """Each row moved to the left by its padding; what is behind its end does not matter."""
    if pads_B is None:
        return rows_BHTD
    columns = torch.arange(rows_BHTD.shape[2], device=pads_B.device)
    from_BT = (columns + pads_B[:, None]).clamp(max=len(columns) - 1)
    return rows_BHTD.take_along_dim(from_BT[:, None, :, None], dim=2)


@dataclass
class Batch:
    """Answers that are being written, a row each."""

    answers: list[list[int]]  # the tokens so far
    cache: Cache
    length_B: torch.Tensor  # tokens of prompt and answer that have run
    seen_BT: torch.Tensor  # those tokens; behind them, the row's first again
    next_B: torch.Tensor  # rotary position of the token that comes next
    logits_BV: torch.Tensor  # its logits

    def take(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; one that is named several times becomes several answers."""
        at = torch.tensor(rows, device=self.next_B.device)
        for layer in self.cache.layers:
            layer.take(at)
        for name in ("length_B", "seen_BT", "next_B", "logits_BV"):
            setattr(self, name, getattr(self, name)[at])
        first = {row: place for place, row in reversed(list(enumerate(rows)))}
        self.answers = [
            self.answers[row] if first[row] == place else list(self.answers[row]) for place, row in enumerate(rows)
        ]

    def keep(self, right_B: torch.Tensor, logits_BNV: torch.Tensor) -> None:
        """Count the next token as run, and so many guesses behind it; the logits are those behind each."""
        self.logits_BV = logits_BNV[torch.arange(len(right_B), device=right_B.device), right_B]
        self.length_B, self.next_B = self.length_B + 1 + right_B, self.next_B + 1 + right_B
        if logits_BNV.shape[1] > 1:
            behind_BT = torch.arange(self.seen_BT.shape[1], device=right_B.device) >= self.length_B[:, None]
            self.seen_BT = torch.where(behind_BT, self.seen_BT[:, :1], self.seen_BT)

    def put(self, rows: Sequence[int], other: "Batch") -> None:
        """Write the rows of `other` over these, as far as they go, and below the last."""
        here, new = len(self.answers), len(other.answers)
        places = [*rows[:new], *range(here, here + new - len(rows))]
        at = torch.tensor(places, device=self.next_B.device)
        for ours, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            ours.put(at, theirs)
        self.seen_BT = widened(self.seen_BT, self.columns)
        other.seen_BT = widened(other.seen_BT, self.columns)
        for name in ("length_B", "seen_BT", "next_B", "logits_BV"):
            mine, theirs = getattr(self, name), getattr(other, name)
            mine = torch.cat([mine, theirs[: max(0, new - len(rows))]])
            mine[at] = theirs
            setattr(self, name, mine)
        self.answers += [[] for _ in range(here, here + new - len(rows))]
        for place, answer in zip(places, other.answers, strict=True):
            self.answers[place] = answer

    @property
    def columns(self) -> int:
        """Tokens that there is room for in a row."""
        columns: int = self.cache.layers[0].keys.shape[2]
        return columns


def widened(rows_BT: torch.Tensor, width: int) -> torch.Tensor:
    """The rows with each one's first entry again behind them, up to this width."""
    return torch.cat([rows_BT, rows_BT[:, :1].expand(-1, width - rows_BT.shape[1])], dim=1)
