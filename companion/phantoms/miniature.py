"""The miniatures: the unmodified transformers classes at about three million parameters.

Each miniature keeps what matters of its big sister and shrinks the rest: the same model class, the same way from image
to image tokens (SigLIP and average pooling for Gemma 3; windowed attention and 2 x 2 merging for Qwen2.5-VL), the same
chat format with the same control tokens, tied embeddings. What differs, and the model cards say so: widths and depths,
a byte-level BPE vocabulary of 2,048 tokens learnt from our own prompts and traces, and images of 168 px (144 patches of
14 px, 36 tokens).
"""

from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
)
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.processing_utils import ProcessorMixin

from chexreason.models import QwenImageProcessor
from companion.phantoms.pretrain import IMAGE_PX, IMAGE_TOKENS, PATCH_PX

VOCABULARY = 2048

GEMMA_TOKENS = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>",
                "<image_soft_token>")  # fmt: skip
QWEN_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
               "<|video_pad|>")  # fmt: skip

# The chat formats of the two families, for one user turn and one answer (no tools, no system turn
# but Qwen's own default). `{% generation %}` marks the answer for loss masks.
GEMMA_TEMPLATE = """\
{{ bos_token }}{% for message in messages -%}
<start_of_turn>{{ 'model' if message.role == 'assistant' else message.role }}
{% if message.content is string %}{{ message.content | trim }}{% else %}\
{% for part in message.content %}{% if part.type == 'image' %}<start_of_image>\
{% else %}{{ part.text | trim }}{% endif %}{% endfor %}{% endif %}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""
QWEN_TEMPLATE = """\
{% if messages[0].role != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}\
{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>\
{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def _tokenizer(texts: Iterable[str], special: tuple[str, ...], **roles: Any) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `VOCABULARY` tokens; the special tokens come first, in the given order."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True) for token in special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", **roles)


def gemma_processor(texts: Iterable[str]) -> Gemma3Processor:
    """Gemma 3's processor for images of 168 px."""
    images = Gemma3ImageProcessorPil(
        size={"height": IMAGE_PX, "width": IMAGE_PX}, do_pan_and_scan=False, image_seq_length=IMAGE_TOKENS
    )
    tokenizer = _tokenizer(
        texts, GEMMA_TOKENS, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", chat_template=GEMMA_TEMPLATE,
        extra_special_tokens={"image_token": "<image_soft_token>", "boi_token": "<start_of_image>",
                              "eoi_token": "<end_of_image>"},
    )  # fmt: skip
    return Gemma3Processor(images, tokenizer, chat_template=GEMMA_TEMPLATE, image_seq_length=IMAGE_TOKENS)


def qwen_processor(texts: Iterable[str]) -> QwenImageProcessor:
    """Qwen2.5-VL's processor for images of 168 px."""
    images = Qwen2VLImageProcessorPil(
        patch_size=PATCH_PX, merge_size=2, temporal_patch_size=2, min_pixels=IMAGE_PX**2, max_pixels=IMAGE_PX**2
    )
    tokenizer = _tokenizer(
        texts, QWEN_TOKENS, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=QWEN_TEMPLATE
    )
    return QwenImageProcessor(images, tokenizer, chat_template=QWEN_TEMPLATE)


def gemma_model(processor: ProcessorMixin) -> PreTrainedModel:
    """A random Gemma 3 with a SigLIP vision encoder; call `torch.manual_seed` before."""
    ids = processor.tokenizer.convert_tokens_to_ids
    config = Gemma3Config(
        text_config={
            "vocab_size": VOCABULARY, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 48, "query_pre_attn_scalar": 48,
            "max_position_embeddings": 2048, "sliding_window": 512,
            "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
            "pad_token_id": ids("<pad>"), "bos_token_id": ids("<bos>"), "eos_token_id": ids("<eos>"),
        },
        vision_config={
            "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
            "image_size": IMAGE_PX, "patch_size": PATCH_PX, "vision_use_head": False,
        },
        mm_tokens_per_image=IMAGE_TOKENS,
        image_token_index=ids("<image_soft_token>"),
        boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"),
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Gemma3ForConditionalGeneration(config)
    model.generation_config.update(
        eos_token_id=[ids("<eos>"), ids("<end_of_turn>")], pad_token_id=ids("<pad>"), bos_token_id=ids("<bos>")
    )
    return model


def qwen_model(processor: ProcessorMixin) -> PreTrainedModel:
    """A random Qwen2.5-VL; call `torch.manual_seed` before."""
    ids = processor.tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": VOCABULARY, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [8, 8, 8]},
            "pad_token_id": ids("<|endoftext|>"), "eos_token_id": ids("<|im_end|>"), "bos_token_id": None,
        },
        vision_config={
            "depth": 4, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4, "out_hidden_size": 192,
            "patch_size": PATCH_PX, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
            "fullatt_block_indexes": [1, 3],
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.update(
        eos_token_id=[ids("<|im_end|>"), ids("<|endoftext|>")], pad_token_id=ids("<|endoftext|>")
    )
    return model
