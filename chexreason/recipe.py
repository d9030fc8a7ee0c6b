"""Every hyper-parameter once, each with its source (paper, section 3).

The defaults are the paper's. What it does not state, or may state in a section that we have not read, is declared with
`assumed(...)` and a reason. A profile may set another value, with a reason (`config`).
"""

from dataclasses import dataclass

from chexreason.settings import UNREAD, assumed, paper

#: What transformers and TRL know by name.
SCHEDULES = (
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt",
    "reduce_lr_on_plateau", "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay", "greedy",
)  # fmt: skip
#: Bits of a loaded weight: bfloat16 (or float32), LLM.int8() (arXiv:2208.07339), 4-bit NormalFloat (arXiv:2305.14314).
BITS = (16, 8, 4)
LOSSES = ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo")


@dataclass(frozen=True)
class Sizes:
    """How many studies each stage sees; None means all there are."""

    sft: int = paper(2000, "3.2.1", "studies with teacher traces for SFT, 10 % of them for validation")
    rl: int = paper(1000, "3.2.2", "studies for GRPO")
    validation: int | None = assumed(
        500, f"{UNREAD}; Table 1's failure rates are multiples of 1/500", "studies that score Tables 1 to 4"
    )
    chexpert: int | None = assumed(None, f"{UNREAD}: the whole official test set", "test studies of Table 5")
    nih: int | None = assumed(None, f"{UNREAD}: the whole official test list", "test studies of Table 6")
    stratified: bool = assumed(False, UNREAD, "draw so that each rarest finding keeps its share; else at random")
    images_there: float = assumed(
        0.95, "not in the paper: partial downloads", "least share of a cohort's listed images that are there", maximum=1
    )
    worlds: int = assumed(300, "not in the paper: our own experiment", "patients of each population in the test worlds")


@dataclass(frozen=True)
class LoRA:
    """The adapter on the language model (section 3.2.1), in PEFT's names."""

    r: int = paper(16, "3.2.1", "rank of the LoRA update")
    lora_alpha: int = paper(32, "3.2.1", "LoRA scaling factor")
    lora_dropout: float = paper(0.1, "3.2.1", "dropout on the LoRA input", exclusiveMaximum=1)


@dataclass(frozen=True)
class SFT:
    """Supervised fine-tuning (section 3.2.1)."""

    num_train_epochs: int = paper(6, "3.2.1", "epochs at most")
    early_stopping_patience: int = paper(2, "3.2.1", "epochs without a better validation loss before stopping")
    learning_rate: float = paper(5e-5, "3.2.1", "peak learning rate of AdamW")
    lr_scheduler_type: str = paper("cosine", "3.2.1", "learning-rate schedule", enum=SCHEDULES)
    warmup_steps: float = paper(0.05, "3.2.1", "share of the steps with rising learning rate")
    weight_decay: float = paper(0.01, "3.2.1", "AdamW weight decay")
    max_grad_norm: float = paper(5.0, "3.2.1", "gradient clipping norm")
    studies_per_step: int = paper(8, "3.2.1", "studies per optimizer step")
    per_device_train_batch_size: int = paper(1, "3.2.1", "studies per forward pass; the rest is accumulated")
    validation_share: float = paper(
        0.1, "3.2.1", "share of the SFT studies held out for early stopping", exclusiveMinimum=0, exclusiveMaximum=1
    )
    bf16: bool = paper(True, "3.2.1", "bfloat16 where the device has it, else float32")
    gradient_checkpointing: bool = paper(True, "3.2.1", "recompute activations in the backward pass")
    load_in_bits: int = assumed(
        16, "not stated; bfloat16 is", "bits of a loaded weight; 8 and 4: bitsandbytes", enum=BITS
    )


@dataclass(frozen=True)
class GRPO:
    """Group relative policy optimization (section 3.2.2, equation 2)."""

    num_generations: int = paper(4, "3.2.2", "completions per study (the group)", minimum=2)
    temperature: float = paper(0.8, "3.2.2", "sampling temperature", exclusiveMinimum=0)
    top_p: float = paper(0.95, "3.2.2", "nucleus sampling", exclusiveMinimum=0, maximum=1)
    beta: float = paper(0.15, "3.2.2", "weight of the KL divergence from the SFT checkpoint")
    loss_type: str = paper("dr_grpo", "3.2.2", "loss normalisation by a constant length (Dr. GRPO)", enum=LOSSES)
    epsilon: float = paper(0.15, "3.2.2", "lower clip bound: ratio above 1 - 0.15", maximum=1)
    epsilon_high: float = paper(0.22, "3.2.2", "upper clip bound: ratio below 1 + 0.22")
    scale_rewards: str = assumed(
        "none",
        '"the Dr. GRPO loss normalization to eliminate length bias" fits two readings: TRL\'s loss_type="dr_grpo" with '
        'its default scale_rewards="group", and both changes of Dr. GRPO, which also drops the division by the '
        "group's standard deviation; the second is run",
        "advantage scaling",
        enum=("group", "batch", "none"),
    )
    use_bias_correction_kl: bool = assumed(
        False, "equation 2 has the plain KL term; TRL's default weighs it by the ratio", "KL term weighed by the ratio"
    )
    num_iterations: int = assumed(
        2, "with one pass the importance ratio is always 1 and the clip bounds never act", "updates per rollout batch"
    )
    learning_rate: float = assumed(
        1e-5, "not stated; TRL's default is 1e-6, and 1e-5 is usual with LoRA", "peak learning rate of AdamW"
    )
    lr_scheduler_type: str = assumed("constant_with_warmup", "not stated", "learning-rate schedule", enum=SCHEDULES)
    warmup_steps: float = assumed(0.05, "not stated; as in SFT", "share of the steps with rising learning rate")
    shuffle_dataset: bool = assumed(True, "not stated; usual", "studies in random order")
    weight_decay: float = assumed(0.01, "not stated; as in SFT", "AdamW weight decay")
    max_grad_norm: float = assumed(5.0, "not stated; as in SFT", "gradient clipping norm")
    studies_per_step: int = assumed(8, "not stated; as SFT's effective batch", "studies per rollout batch")
    per_device_train_batch_size: int = assumed(4, "one group a pass fits 80 GB", "completions per forward pass")
    num_train_epochs: int = assumed(1, "not stated", "passes over the RL studies")
    max_completion_length: int = assumed(512, "not stated; also the constant of Dr. GRPO", "completion length at most")
    disable_dropout: bool = assumed(
        True, "not stated; old, new and reference policy then differ by their weights alone", "no dropout during GRPO"
    )
    mask_truncated_completions: bool = assumed(False, "not stated; TRL's default", "cut completions leave the loss")
    use_vllm: bool = assumed(False, "not stated; rounds differently", "vLLM samples the completions, not transformers")
    checkpoints: int = assumed(4, "not stated; Table 4's 'best' has to be chosen among some", "checkpoints scored")
    bf16: bool = assumed(True, "as in SFT", "bfloat16 where the device has it, else float32")
    gradient_checkpointing: bool = assumed(True, "as in SFT", "recompute activations in the backward pass")
    load_in_bits: int = assumed(16, "as in SFT", "bits of a loaded weight; 8 and 4: bitsandbytes", enum=BITS)


@dataclass(frozen=True)
class Decoding:
    """How completions are decoded for scoring."""

    max_new_tokens: int = assumed(512, UNREAD, "completion length at most; a longer one is cut and fails")
    batch_size: int = assumed(16, "does not change the result", "studies decoded together")
    do_sample: bool = assumed(False, f"{UNREAD}; greedy answers are repeatable", "sample; else the likeliest token")
    load_in_bits: int = assumed(
        16, "not stated; bfloat16 is", "bits of a loaded weight; 8 and 4: bitsandbytes", enum=BITS
    )
    uncertain: str = assumed("zeros", UNREAD, "how an uncertain label counts", enum=("zeros", "ones", "ignore"))


#: Choices of GRPO that no setting expresses, each with its reason: name -> (what is done, why).
CHOICES: dict[str, tuple[str, str]] = {
    "adapter": ("the SFT adapter goes on training", "not stated; else a fresh one on the merged weights"),
    "vision_encoder": ("frozen", "stated for SFT in 3.2.1, and not stated for GRPO"),
    "kl_policies": ("both at the sampling temperature", "not stated; TRL divides all logits by the temperature"),
    "last_batch": ("dropped if incomplete", "not stated; TRL's sampler repeats whole rollout batches only"),
}

#: The settings classes by the name that a profile uses for them.
SETTINGS: dict[str, type] = {"sizes": Sizes, "lora": LoRA, "sft": SFT, "grpo": GRPO, "decoding": Decoding}
