"""Computed memory held against what torch, PEFT, AdamW and transformers make, on published shapes or miniatures."""

import dataclasses

import pytest
import torch
import walked
from peft import get_peft_model_state_dict
from transformers import DynamicCache
from transformers.cache_utils import Cache
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLVisionBlock

from chexreason import config, models
from chexreason.errors import UserError
from chexreason.models import FAMILIES, add_lora
from chexreason.recipe import LoRA
from companion.replication import memory
from companion.replication.memory import GB, need
from companion.replication.published import config_of
from companion.replication.shapes import QWEN_TOKENS, Shape, shape
from companion.speed import embeddings, grpo
from companion.speed.batch import SlotLayer

BASES = ("medgemma", "qwen")
#: Bytes that are in no equation, such as the rotary table, as a share of what was walked.
LITTLE = 0.01


@pytest.fixture(scope="module")
def paper() -> config.Profile:
    return config.load_profile("paper", unset=True)


def of(loaded) -> Shape:
    """The shape of a miniature's language model, as transformers tells it."""
    text = loaded.model.config.get_text_config()
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return dataclasses.replace(
        shape(loaded.family.name), L=text.num_hidden_layers, H=text.hidden_size, I=text.intermediate_size,
        Q=text.num_attention_heads * width, K=text.num_key_value_heads * width, V=text.vocab_size,
    )  # fmt: skip


@pytest.mark.parametrize("base", BASES)
def test_weights_are_those_of_the_published_architecture_byte_by_byte(base) -> None:
    with torch.device("meta"):
        model = FAMILIES[base].model_class._from_config(config_of(base), dtype=torch.bfloat16)
    s, text = shape(base), model.config.get_text_config()
    assert memory.weights(s) == sum(weight.numel() * weight.element_size() for weight in model.parameters())
    head = model.get_output_embeddings()
    linear = [one for one in model.modules() if isinstance(one, torch.nn.Linear) and one is not head]
    assert s.linear == sum(one.weight.numel() for one in linear)
    heads, groups = text.num_attention_heads, text.num_key_value_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    assert (
        text.num_hidden_layers, text.hidden_size, text.intermediate_size, heads * width, groups * width,
        text.vocab_size,
    ) == (s.L, s.H, s.I, s.Q, s.K, s.V)  # fmt: skip
    norms = [name for name, one in model.named_modules() if "language_model.layers.0." in name and "norm" in name]
    assert len(norms) == s.norms + 2 * s.head_norms
    assert memory.weights(s, 4) < memory.weights(s, 8) < memory.weights(s)


def test_limits_are_those_of_the_code_that_keeps_to_them() -> None:
    from trl.kernels import chunked_logprob

    from companion.speed import scoring

    assert memory.KEPT == {"sft": embeddings.LIMIT, "grpo": grpo.ROLLOUT}
    assert (chunked_logprob.TOKEN_CHUNK_SIZE, scoring.TILE) == memory.TILE
    assert models.VLLM_MEMORY == memory.VLLM_SHARE
    assert models.QWEN_PIXELS[1] == QWEN_TOKENS * 28 * 28


def test_adapter_gradients_and_moments_are_those_that_peft_and_adamw_make(random_model, paper) -> None:
    """A step on an adapter of a bf16 miniature: each in float32, as the parts of `need` have them."""
    s = of(random_model)
    model = add_lora(dataclasses.replace(random_model, model=random_model.model.to(torch.bfloat16)), LoRA())
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trained:
        weight.grad = torch.zeros_like(weight)
    optimizer = torch.optim.AdamW(trained)
    optimizer.step()
    size = {"LoRA": sum(w.nbytes for w in trained), "gradients": sum(w.grad.nbytes for w in trained)}
    moments = [one for state in optimizer.state.values() for one in state.values() if one.numel() > 1]
    size["AdamW"] = sum(one.nbytes for one in moments)
    assert sum(w.numel() for w in trained) == memory.lora_weights(s, 16)
    assert sum(one.numel() for one in get_peft_model_state_dict(model).values()) == memory.lora_weights(s, 16)
    parts, number = need(paper, "medgemma", "sft"), memory.lora_weights(shape("medgemma"), 16)
    for name, bytes_ in size.items():
        assert bytes_ / memory.lora_weights(s, 16) == parts[name] / number, name


def test_the_kv_cache_is_as_large_as_transformers_and_as_ours(random_model) -> None:
    s, model = of(random_model), random_model.model.to(torch.bfloat16)
    embedded = torch.zeros(2, 40, s.H, dtype=torch.bfloat16)
    ours = [SlotLayer(2, 8) for _ in range(s.L)]
    for cache, tokens in ((DynamicCache(), 40), (Cache(layers=ours), 48)):
        with torch.no_grad():
            model.model.language_model(inputs_embeds=embedded, past_key_values=cache, use_cache=True)
        made = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
        assert made == memory.kv_cache(s, 2 * tokens)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("share", [0.1, 0.0])
def test_what_a_layer_keeps_for_its_backward_pass_is_what_torch_keeps(base, share) -> None:
    """Two layers more keep twice `saved`: the real widths, in autocast, counted by saved-tensor hooks."""
    tokens, lora, kept = 640, LoRA(lora_dropout=share), {}
    for layers in (1, 3):
        with walked.walking(base, layers, lora) as model:
            given = walked.inputs(model, 1, tokens, grad=True)
            own = {weight.untyped_storage()._cdata for weight in model.parameters()}
            found: dict[int, torch.UntypedStorage] = {}

            def pack(one: torch.Tensor, own=own, found=found) -> torch.Tensor:
                storage = one.untyped_storage()
                if storage._cdata not in own:
                    found[storage._cdata] = storage
                return one

            hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one)
            with hooks, torch.autocast("cpu", dtype=torch.bfloat16):
                held = model.train().get_base_model().model.language_model(**given, use_cache=False)
            kept[layers] = sum(storage.nbytes() for storage in found.values())
            del held
    assert (kept[3] - kept[1]) / 2 == pytest.approx(memory.saved(shape(base), tokens, lora), rel=LITTLE)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("layers", [2, 6])
def test_the_largest_point_of_a_step_is_covered_and_not_by_much(base, checkpointing, layers) -> None:
    tokens, lora = 640, LoRA()
    with walked.walking(base, layers, lora) as model:
        model.train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        alive = walked.Alive(model)
        with alive:
            given = walked.inputs(model, 1, tokens, grad=True)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = model.get_base_model().model.language_model(**given, use_cache=False).last_hidden_state
            out.backward(torch.zeros_like(out))
    s = dataclasses.replace(shape(base), L=layers)
    computed = memory.training(s, 1, tokens, lora, checkpointing=checkpointing)
    gradients = 4 * memory.lora_weights(s, lora.r)  # a part of its own
    assert alive.peak <= (computed + gradients) * (1 + LITTLE)
    assert computed <= alive.peak * 1.15


@pytest.mark.parametrize("base", BASES)
def test_a_prompts_forward_pass_is_covered_and_not_by_much(base) -> None:
    rows, tokens = 3, 500
    with walked.walking(base, 2) as model, torch.no_grad(), walked.Alive(model) as alive:
        rooms = [SlotLayer(rows, 0) for _ in range(2)]
        given = walked.inputs(model, rows, tokens)
        model.eval().model.language_model(**given, past_key_values=Cache(layers=rooms), use_cache=True)
    s = dataclasses.replace(shape(base), L=2)
    computed = memory.prefill(s, rows, tokens) + memory.kv_cache(s, rows * tokens)
    assert alive.peak <= computed <= alive.peak * 1.15


def test_the_encoders_are_covered_and_not_by_much() -> None:
    s = shape("medgemma")
    with walked.walking("medgemma", 2) as model, torch.no_grad(), walked.Alive(model) as alive:
        model.model.get_image_features(torch.zeros(2, 3, 896, 896))
    assert memory.encoder(s, 2) == pytest.approx(alive.peak, rel=0.01)
    # Qwen2.5-VL's asks for the contents of a tensor, so one block of it runs on numbers, over fewer patches.
    vision, patches = config_of("qwen").vision_config, 256
    vision._attn_implementation = "sdpa"
    block = Qwen2_5_VLVisionBlock(vision).to(torch.bfloat16)
    with torch.no_grad(), walked.Alive(block) as alive:
        turn, ends = torch.zeros(patches, vision.hidden_size // vision.num_heads), torch.tensor([0, patches])
        state = torch.zeros(patches, vision.hidden_size, dtype=torch.bfloat16)
        seen = torch.zeros(patches, 3 * 2 * 14 * 14)  # one image stands twice, as two moments of a film
        assert seen.shape[1] == shape("qwen").pixels
        block(state, cu_seqlens=ends.int(), position_embeddings=(turn, turn))
    s = dataclasses.replace(shape("qwen"), patches=patches)
    assert alive.peak <= memory.encoder(s, 1) <= alive.peak * 1.15


def test_a_stage_is_the_sum_of_its_parts_and_each_option_moves_its_own(paper) -> None:
    def with_(**settings):
        return dataclasses.replace(paper, grpo=dataclasses.replace(paper.grpo, **settings))

    whole = need(paper, "medgemma", "grpo")
    assert min(whole.values()) > 0
    assert whole["overhead"] >= memory.CONTEXT
    number = memory.lora_weights(shape("medgemma"), paper.lora.r)
    assert whole["reference"] == 4 * number
    assert "reference" not in need(with_(beta=0.0), "medgemma", "grpo")
    assert "KV cache" in whole, "the rollout of the whole batch is the largest point"
    kept = need(with_(gradient_checkpointing=False), "medgemma", "grpo")
    assert "KV cache" not in kept
    assert kept["activations"] > 10 * whole["activations"]
    for bits, wide in ((8, 2), (4, 2)):
        less = need(paper, "medgemma", "grpo", bits=bits)
        assert less["AdamW"] == 2 * wide * number
        assert less["weights"] == memory.weights(shape("medgemma"), bits)
    sampled = need(with_(use_vllm=True), "medgemma", "grpo", card=48 * GB)
    assert sampled["vLLM"] == models.VLLM_MEMORY * (48 * GB)
    assert "KV cache" not in sampled, "it lies in vLLM's share"
    stock = dataclasses.replace(paper, engines={})
    assert "image tokens" not in need(stock, "medgemma", "sft")
    assert sum(need(paper, "qwen", "sft", prompt=300).values()) < sum(need(paper, "qwen", "sft").values())
    assert need(paper, "nv_reason", "evaluate") == need(paper, "qwen", "evaluate")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"stage": "ppo"}, "Expected a stage among evaluate, grpo, sft, got 'ppo'"),
        ({"base": "llava"}, "Expected a model among medgemma, nv_reason, qwen, got 'llava'"),
        ({"bits": 3}, "Expected weights in 16, 8, 4 bits, got 3"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(paper, words, said) -> None:
    with pytest.raises(UserError, match=said) as told:
        need(**{"profile": paper, "base": "medgemma", "stage": "sft", **words})
    assert len(str(told.value)) <= 200
