"""What is scored, and nothing else: the vocabulary and the last feed-forward block (equations 1 and 2).

The loss counts answer tokens only. TRL's fused head scores just those on a GPU, but every position on a processor, and
throws the rest away. `score` gathers the hidden states first and gives them to TRL's own kernel; exact, because each
token is scored by itself. After the last layer's attention no token attends to another, so `only_at` runs that
layer's feed-forward block on the scored tokens and puts zeros elsewhere; no later layer reads these positions.
It is exact without dropout; with LoRA dropout, as in SFT, it draws other masks of the same distribution. Where
activations are recomputed in the backward pass it stays off.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel
from trl.kernels import ChunkedLogProbFunction

#: Vocabulary entries per tile, as in TRL.
TILE = 32768


def score(
    model: PreTrainedModel, hidden_NH: torch.Tensor, target_N: torch.Tensor, wanted_BT: torch.Tensor,
    outputs: tuple[str, ...], temperature: float = 1.0,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """`log_probs` and the `outputs` asked for (entropy, is_top1), each (B, T), 0 where `wanted_BT` is not.

    `hidden_NH` are the states that predict `target_N`, in the order of `wanted_BT`'s True entries.
    """
    head = model.get_output_embeddings()
    log_probs, entropy, _, _, is_top1 = ChunkedLogProbFunction.apply(
        hidden_NH, head.weight, head.bias, target_N, temperature, TILE, None, 1.0, outputs
    )
    found = {"log_probs": log_probs, "entropy": entropy, "is_top1": is_top1}
    return {
        name: values_N.new_zeros(wanted_BT.shape).masked_scatter(wanted_BT, values_N)
        for name, values_N in found.items()
        if values_N is not None
    }


@contextmanager
def only_at(model: PreTrainedModel, wanted_BT: torch.Tensor | None) -> Iterator[None]:
    """Within this context, the last feed-forward block sees the tokens where `wanted_BT` is; all of them for None."""
    block = model.model.language_model.layers[-1].mlp
    if wanted_BT is None:
        yield
        return
    plain = block.forward

    def forward(x_BTH: torch.Tensor) -> torch.Tensor:
        out_NH = plain(x_BTH[wanted_BT])
        return out_NH.new_zeros(x_BTH.shape).masked_scatter(wanted_BT[..., None], out_NH)

    block.forward = forward
    try:
        yield
    finally:
        del block.forward  # the class's own shows again
