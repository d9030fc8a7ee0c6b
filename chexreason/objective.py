"""What GRPO maximises, line by line (paper, section 3.2.2, equation 2).

TRL computes this when it trains (see `grpo`); these small functions say the same in a form that can
be read, and the tests hold them against TRL's own loss. Shapes: B completions, G of them a group, T
tokens.
"""

import torch

from chexreason.recipe import GRPO


def advantages(rewards_B: torch.Tensor, group: int) -> torch.Tensor:
    """Reward minus its group's mean (B,); Dr. GRPO does not divide by the standard deviation."""
    groups = rewards_B.view(-1, group)
    return (groups - groups.mean(dim=1, keepdim=True)).view(-1)


def clipped_objective(ratio_BT: torch.Tensor, advantage_B: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """min(r A, clip(r, 1 - low, 1 + high) A) for each token (B, T); equation 2 without the KL term."""
    advantage_B1 = advantage_B[:, None]
    return torch.minimum(ratio_BT * advantage_B1, ratio_BT.clamp(1 - low, 1 + high) * advantage_B1)


def kl_estimate(logp_BT: torch.Tensor, reference_BT: torch.Tensor) -> torch.Tensor:
    """Schulman's estimate exp(d) - d - 1 with d = log pi_ref - log pi, for each token (B, T); never negative."""
    difference = reference_BT - logp_BT
    return difference.exp() - difference - 1


def loss(
    logp_BT: torch.Tensor, old_BT: torch.Tensor, reference_BT: torch.Tensor, advantage_B: torch.Tensor,
    mask_BT: torch.Tensor, settings: GRPO,
) -> torch.Tensor:  # fmt: skip
    """The Dr. GRPO loss of a batch: minus the summed objective over (completions x longest length).

    `mask_BT` is 1 on the tokens of a completion. The divisor is constant, so a long completion
    weighs more than in equation 2 and no length is favoured (Liu et al. 2025, arXiv:2503.20783).
    """
    ratio = (logp_BT - old_BT).exp()
    objective = clipped_objective(ratio, advantage_B, settings.epsilon, settings.epsilon_high)
    per_token = objective - settings.beta * kl_estimate(logp_BT, reference_BT)
    return -(per_token * mask_BT).sum() / (logp_BT.shape[0] * settings.max_completion_length)
