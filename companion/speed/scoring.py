"""The vocabulary where an answer stands and nowhere else (equations 1 and 2).

The loss counts answer tokens only. TRL's fused head scores just those on a GPU, but every position on a
processor, prompt and film included, forward and backward, and throws the rest away. Here the hidden states are
gathered first and then go through TRL's own kernel. Exact: each token is scored by itself.
"""

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
