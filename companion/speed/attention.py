"""Attention masks and rotary positions for both families, from three integers a token.

A token has a branch (0 the prompt, 1 and up the completions, -1 padding), a position on its path, and a flag for image
tokens. It attends to the prompt and its own branch up to itself. In Gemma 3 image tokens attend to one another in both
directions, and a sliding-window layer sees no further back than its window. transformers builds the same masks for
plain rows with a function called for each pair of tokens.
"""

import torch
from transformers import PreTrainedModel


def masks(
    model: PreTrainedModel, branch_RL: torch.Tensor, step_RL: torch.Tensor, image_RL: torch.Tensor
) -> dict[str, torch.Tensor]:
    """True where a query (third axis) sees a key (last), (R, 1, L, L) a kind of layer; padding sees itself only."""
    text = model.config.get_text_config()
    branch_q, branch_k = branch_RL[:, :, None], branch_RL[:, None, :]
    step_q, step_k = step_RL[:, :, None], step_RL[:, None, :]
    seen = ((branch_k == 0) | (branch_k == branch_q)) & (step_k <= step_q) & (branch_q >= 0)
    if model.config.model_type == "gemma3":
        image = image_RL == 1
        seen |= image[:, :, None] & image[:, None, :]  # one image a prompt, so one block
    itself = torch.eye(seen.shape[1], dtype=torch.bool, device=seen.device)
    made = {"full_attention": (seen | itself)[:, None]}
    if "sliding_attention" in text.layer_types:
        near = seen & (step_k > step_q - text.sliding_window)
        made["sliding_attention"] = (near | itself)[:, None]
    return made


def places(
    model: PreTrainedModel, ids_BT: torch.Tensor, mask_BT: torch.Tensor, image_BT: torch.Tensor,
    grids_B3: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """The rotary positions of padded rows, (B, T) or for Qwen2.5-VL (3, B, T), and of the token after each (B,)."""
    if model.config.model_type != "qwen2_5_vl":
        return (mask_BT.cumsum(dim=1) - 1).clamp(min=0), mask_BT.sum(dim=1)
    found, behind = model.model.get_rope_index(
        ids_BT, mm_token_type_ids=image_BT, image_grid_thw=grids_B3, attention_mask=mask_BT
    )
    return found, mask_BT.sum(dim=1) + behind[:, 0]  # an image takes fewer positions than tokens
