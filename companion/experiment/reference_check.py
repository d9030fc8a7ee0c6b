"""Is the reference of a GRPO trainer where its training starts? A check for any version of TRL (book/reference.md).

It does what the trainer will do to get its reference, on one text: a second model if there is one, else the adapter
"ref", else no adapter.
"""

from typing import Any

import torch
from torch.distributions import Categorical, kl_divergence


@torch.no_grad()
def divergence_at_start(trainer: Any, inputs: Any) -> float:
    """Nats a token: 0 if training starts at the reference."""
    policy = trainer.accelerator.unwrap_model(trainer.model).eval()
    logits = [policy(**inputs).logits]
    if trainer.ref_model is not None:  # no LoRA, or TRL 0.14
        logits.append(trainer.ref_model(**inputs).logits)
    elif "ref" in policy.peft_config:  # TRL 0.27 and later
        policy.set_adapter("ref")
        logits.append(policy(**inputs).logits)
        policy.set_adapter("default")
    else:  # a new adapter, or an older TRL
        with policy.disable_adapter():
            logits.append(policy(**inputs).logits)
    p, q = (Categorical(logits=one.float()) for one in logits)
    return kl_divergence(p, q).mean().item()
