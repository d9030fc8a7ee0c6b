"""The models: three families, their checkpoints, and LoRA adapters on them.

A family says which transformers class reads its checkpoints, which commit of the published weights is meant, how many
pixels of an image it may look at, and which modules LoRA touches. Nothing here knows whether a checkpoint is the
published one or a miniature: both are folders (or hub ids) with a config.json of the family's model type.
"""

import contextlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    BitsAndBytesConfig,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.processing_utils import ProcessorMixin
from transformers.utils import logging

from chexreason.errors import UserError, unknown
from chexreason.recipe import LoRA

#: A pattern on full module names, since a list of endings would also hit the vision encoders: SigLIP has its own
#: q/k/v_proj, Qwen's vision blocks their own gate/up/down_proj.
LORA_TARGETS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
#: The share of a GPU's memory that vLLM may take; the rest is the trainer's, or the model's that was loaded before.
VLLM_MEMORY = 0.4
#: What libraries raise for options and files that are anybody's: they check them in many places.
REFUSALS = (
    OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError, RuntimeError, re.error,
    SafetensorError,
)  # fmt: skip


class QwenImageProcessor(Qwen2_5_VLProcessor):
    """`Qwen2_5_VLProcessor` for still images: no video processor, which would need torchvision."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **kwargs: Any
    ) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        # The parent's __init__ would ask for the video processor; the grandparent's does not.
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    @property
    def model_input_names(self) -> list[str]:
        """Names of the tensors that a call returns."""
        return [*ProcessorMixin.model_input_names.fget(self), "mm_token_type_ids"]


@dataclass(frozen=True)
class Family:
    """One model family.

    `revision` is the commit of `hub_id` that the study uses, `model_type` what a checkpoint's config.json must say.
    `image_tokens` are the control tokens that a sampler must never emit: one more of them than there are image features
    breaks the model. `image_pixels` is the (least, most) pixels of an image, None where the processor fixes it.
    `dtype` is that of the weights on a GPU.
    """

    name: str
    title: str
    hub_id: str
    revision: str
    model_type: str
    model_class: Any  # a class with `from_pretrained`; transformers' own types are partial
    processor_class: Any
    image_tokens: tuple[str, ...]
    image_pixels: tuple[int, int] | None
    lora_targets: str = LORA_TARGETS
    dtype: torch.dtype = torch.bfloat16

    def revision_of(self, source: str) -> str:
        """The pinned commit for the published weights; the latest of any other hub id; no matter for a folder."""
        return self.revision if source == self.hub_id else "main"

    def pinned(self, source: str) -> dict[str, Any]:
        """What each `from_pretrained` is told beside the source."""
        return {"revision": self.revision_of(source), "trust_remote_code": False}


# 256 to 512 visual tokens of 28 x 28 pixels each (paper, section 3.2.1).
QWEN_PIXELS = (256 * 28 * 28, 512 * 28 * 28)
QWEN_IMAGE_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
GEMMA_IMAGE_TOKENS = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")

# The commits were not read from the hub, which was out of reach here: each is the one that several public repositories
# name as this model's, found by searching their text. A commit that does not exist is refused by the hub.
FAMILIES: Mapping[str, Family] = {
    "medgemma": Family(
        "medgemma", "MedGemma-4B", "google/medgemma-4b-it", "290cda5eeccbee130f987c4ad74a59ae6f196408", "gemma3",
        Gemma3ForConditionalGeneration, Gemma3Processor, GEMMA_IMAGE_TOKENS, None,
    ),
    "qwen": Family(
        "qwen", "Qwen2.5-VL-3B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct", "66285546d2b821cf421d4f5eb2576359d3770cd3",
        "qwen2_5_vl", Qwen2_5_VLForConditionalGeneration, QwenImageProcessor, QWEN_IMAGE_TOKENS, QWEN_PIXELS,
    ),
    "nv_reason": Family(
        "nv_reason", "NV-Reason-CXR-3B", "nvidia/NV-Reason-CXR-3B", "056bd0383b35226554da9dc5866e095df174ae19",
        "qwen2_5_vl", Qwen2_5_VLForConditionalGeneration, QwenImageProcessor, QWEN_IMAGE_TOKENS, QWEN_PIXELS,
        dtype=torch.float16,  # as its model card loads it
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """A model ready for use, with its processor and family."""

    model: PreTrainedModel
    processor: ProcessorMixin
    family: Family
    source: str

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return self.model.device


def dtype_for(family: Family, bf16: bool) -> torch.dtype:
    """The family's 16 bits where asked for, on a GPU; else float32."""
    return family.dtype if bf16 and torch.cuda.is_available() else torch.float32


def quantised(family: Family, bits: int) -> dict[str, Any]:
    """What `from_pretrained` is told for weights of linear layers in 8 or 4 bits; nothing for 16.

    4 bits are NormalFloat with double quantization, as in QLoRA (arXiv:2305.14314). Raises UserError without
    bitsandbytes.
    """
    if bits == 16:
        return {}
    if importlib.util.find_spec("bitsandbytes") is None:
        do = "pip install bitsandbytes, or leave load_in_bits out of the profile"
        raise UserError(f"bitsandbytes for weights in {bits} bits", "none in this environment", do)
    kind = dtype_for(family, bf16=True)
    four = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": kind}
    return {"quantization_config": BitsAndBytesConfig(load_in_8bit=bits == 8, load_in_4bit=bits == 4, **four)}


def load(name: str, source: str | Path | None = None, *, bf16: bool = True, bits: int = 16) -> Loaded:
    """Load a base model of the family `name` from a folder or hub id (default: the published one).

    `bits` below 16 quantise the linear layers. Raises UserError for an unknown family, a checkpoint that is missing or
    incomplete, one of another family, and where a library for the `bits` is missing.
    """
    if name not in FAMILIES:
        raise unknown("model", name, FAMILIES, "chexreason/models.py")
    family = FAMILIES[name]
    place = str(source or family.hub_id)
    processor, _ = before_weights(family, place)
    options = {**family.pinned(place), **quantised(family, bits)}
    try:
        model, told = family.model_class.from_pretrained(
            place, dtype=dtype_for(family, bf16), output_loading_info=True, **options
        )
        _whole(told)
    except REFUSALS as error:
        raise _no_checkpoint(family, place, error) from error
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    loaded = Loaded(model, processor, family, place)
    model.generation_config.suppress_tokens = image_token_ids(loaded)
    return loaded


def before_weights(family: Family, source: str) -> tuple[ProcessorMixin, PretrainedConfig]:
    """All of a checkpoint but the values of its weights: its processor and configuration.

    Raises UserError for one that is missing, incomplete or cut off, and one of another family or size.
    """
    try:
        for weights in Path(source).glob("*.safetensors"):
            safe_open(weights, "pt")  # reads where each weight lies, and nothing else
        shape = AutoConfig.from_pretrained(source, **family.pinned(source))
        if shape.model_type != family.model_type:
            wanted, do = f"a checkpoint of type {family.model_type} for {family.title}", "name the right checkpoint"
            raise UserError(wanted, f"{shape.model_type} at {source}", f"{do} in the profile's `models`")
        processor = load_processor(family, source)
        known = processor.tokenizer.convert_tokens_to_ids(list(family.image_tokens))
        if shape.image_token_id not in known:  # without its files, a tokenizer that knows no word is made
            raise LookupError("a tokenizer without its sign for an image")
        processor.apply_chat_template(chat("x"), add_generation_prompt=True, tokenize=False)
        if Path(source).is_dir():  # names and sizes of the weights alone, which is quick
            options = {"device_map": "meta", "output_loading_info": True, **family.pinned(source)}
            with _without_bar():
                _whole(family.model_class.from_pretrained(source, **options)[1])
        return processor, shape
    except UserError:
        raise
    except Exception as error:  # the files are anybody's, and a template is a program
        raise _no_checkpoint(family, source, error) from error


@contextlib.contextmanager
def _without_bar() -> Iterator[None]:
    """No bar of transformers meanwhile."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _whole(told: Mapping[str, Any]) -> None:
    """Raise LookupError for weights that lack some of the model's, which would be random, or hold layers beyond it."""
    lacking = [*sorted(told["missing_keys"]), *sorted(told["mismatched_keys"])]
    beyond = sorted(name for name in told["unexpected_keys"] if ".layers." in name)
    if lacking or beyond:
        what = "not there" if lacking else "beyond its config.json"
        named = [*lacking, *beyond]
        raise LookupError(f"{len(named)} of the weights {what}, such as {str(named[0])[-60:]}")


def _no_checkpoint(family: Family, source: str, error: Exception) -> UserError:
    got, do = str(error).partition("\n")[0], "correct the profile's `models`, or see `chexreason doctor`"
    if "ignore_mismatched_sizes" in got:
        got = "weights of another size than its config.json says"
    return UserError(f"a checkpoint of {family.title} at {source}", got or type(error).__name__, do)


def load_processor(family: Family, source: str) -> ProcessorMixin:
    """The family's processor, with the paper's pixel limits where the family has any.

    A miniature's processor has one size of image and keeps it. The limits are set on the made processor: as arguments
    they would lose against the published file's own (`size`), or be handed on to each call, which newer transformers
    refuse (`min_pixels`).
    """
    processor = family.processor_class.from_pretrained(source, **family.pinned(source))
    images = processor.image_processor
    if family.image_pixels and images.size["shortest_edge"] != images.size["longest_edge"]:
        least, most = family.image_pixels
        images.size = type(images.size)(shortest_edge=least, longest_edge=most)
    processor.tokenizer.padding_side = "left"
    return processor


def image_token_ids(loaded: Loaded) -> list[int]:
    """Ids that a sampler must never emit: training would count them as images."""
    return sorted(loaded.processor.tokenizer.convert_tokens_to_ids(list(loaded.family.image_tokens)))


def vllm_silence(tokens: Sequence[int]) -> dict[str, Any]:
    """vLLM's sampling option that keeps these tokens from being written; transformers calls it `suppress_tokens`."""
    return {"logit_bias": dict.fromkeys(tokens, -100.0)}


def chat(prompt: str, answer: str | None = None) -> list[dict[str, Any]]:
    """One user turn with an image, then the prompt; and the answer's turn if there is one."""
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
    return [user] if answer is None else [user, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]


def encode(loaded: Loaded, images: list[Image.Image], prompt: str) -> dict[str, torch.Tensor]:
    """Tensors for a batch of (image, prompt): input_ids (B, T) padded on the left, pixel_values, ..."""
    text = loaded.processor.apply_chat_template(chat(prompt), add_generation_prompt=True, tokenize=False)
    batch = loaded.processor(
        images=[[image.convert("RGB")] for image in images], text=[text] * len(images), return_tensors="pt",
        padding=True, add_special_tokens=False,
    )  # fmt: skip
    return {name: value.to(loaded.device) for name, value in batch.items()}


def add_lora(loaded: Loaded, settings: LoRA, more: Mapping[str, Any] | None = None) -> PeftModel:
    """The model with a fresh adapter on the language model; the vision encoder stays frozen.

    `more` are options of PEFT's `LoraConfig` that a profile sets. Raises UserError for one that it refuses.
    """
    fixed = {"target_modules": loaded.family.lora_targets, "task_type": "CAUSAL_LM"}
    try:
        model = get_peft_model(loaded.model, LoraConfig(**{**fixed, **asdict(settings), **(more or {})}))
    except REFUSALS as error:
        raise UserError("options that PEFT takes", str(error), "see the profile's settings of lora") from error
    assert_language_only(model)
    return model


def assert_language_only(model: torch.nn.Module) -> None:
    """Raise UserError if another weight than LoRA's on the language model would train, or none would."""
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    outside = [name for name in trained if "language_model" not in name or "lora_" not in name]
    if outside or not trained:
        got = f"weights like {outside[0]}" if outside else "no weight"
        raise UserError("LoRA on the language model alone to train", got, "see the profile's settings of lora")


def with_adapter(loaded: Loaded, adapter: Path) -> Loaded:
    """The model with a trained adapter merged in; beside quantised weights, which would round it away in part.

    Raises UserError for a folder without an adapter, and for an adapter of another family: the layers of both have the
    same names, so it might load and spoil every answer.
    """
    trained_on, wanted = _base_of(adapter), loaded.model.config.model_type
    if trained_on not in (None, wanted):
        raise UserError(
            f"an adapter for {loaded.family.title} ({wanted})", f"one for {trained_on} at {adapter}",
            "train it again from this base model",
        )  # fmt: skip
    adapted = PeftModel.from_pretrained(loaded.model, str(adapter))
    quantised = getattr(loaded.model, "is_quantized", False)
    model = adapted.get_base_model() if quantised else adapted.merge_and_unload()
    model.generation_config = loaded.model.generation_config
    return Loaded(model.eval(), loaded.processor, loaded.family, f"{loaded.source} + {adapter.parent.name}")


def _base_of(adapter: Path) -> str | None:
    """The model type that an adapter was trained on; None if its base model cannot be found any more."""
    path = adapter / "adapter_config.json"
    if not path.is_file():
        raise UserError(f"an adapter at {adapter}", f"no {path.name} there", "run the stage that trains it again")
    base = str(json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path"))
    config = Path(base) / "config.json"
    if config.is_file():
        return str(json.loads(config.read_text(encoding="utf-8"))["model_type"])
    return {family.hub_id: family.model_type for family in FAMILIES.values()}.get(base)
