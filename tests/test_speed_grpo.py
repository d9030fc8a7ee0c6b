"""GRPO with shared work against TRL's trainer as it comes: log-probabilities, losses, gradients, whole runs."""

import dataclasses

import numpy as np
import pytest
import torch
from trl import GRPOTrainer

from chexreason import config, grpo, models, prompts
from companion.speed.lora import merged
from companion.speed.switches import Speed

STOCK = Speed(**{field.name: False for field in dataclasses.fields(Speed)})
PROMPT = prompts.get("only_label")


@pytest.fixture
def make(checkpoints, family_name, tmp_path, three_shapes, saved_adapter):
    """A trainer over four studies with images of three shapes, so that Qwen's prompts differ in length."""
    saved_adapter(family_name, tmp_path / "start")

    def trainer(speed: Speed, name: str = "run", **changes) -> GRPOTrainer:
        profile = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
        small = dataclasses.replace(
            profile.grpo, studies_per_step=4, per_device_train_batch_size=8, max_completion_length=9, checkpoints=1
        )
        profile = dataclasses.replace(
            profile,
            grpo=dataclasses.replace(small, **changes),
            engines={"grpo": {"name": "companion.speed.grpo.FastGRPOTrainer", "speed": speed}},
        )
        task = grpo.Task.recorded(three_shapes[:4], PROMPT, "hard", "zeros")
        loaded = models.load(family_name, checkpoints / family_name)
        return grpo.trainer_for(loaded, tmp_path / "start", task, profile, tmp_path / name)

    return trainer


def rollout(trainer: GRPOTrainer) -> dict:
    """A rollout batch of 16 completions of several lengths, two of them cut short and one a single token."""
    rows = [row for k in range(4) for row in [trainer.train_dataset[k]] * 4]
    trainer.model.train()
    torch.manual_seed(3)
    lengths = [9, 1, 4, 7] * 4
    answers = [torch.randint(40, 90, (length,)).tolist() for length in lengths]
    trainer._generate_single_turn = lambda *_: (answers, None)
    trainer.current_gradient_accumulation_steps = 1
    return trainer._generate_and_score_completions(rows)


def moved(trainer: GRPOTrainer) -> None:
    torch.manual_seed(4)
    with torch.no_grad():
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight.add_(0.02 * torch.randn_like(weight))


def one_pass(trainer: GRPOTrainer, inputs: dict) -> tuple[float, torch.Tensor, dict[str, torch.Tensor]]:
    trainer.model.zero_grad()
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()
    grads = {name: w.grad for name, w in trainer.model.named_parameters() if w.grad is not None}
    return loss.item(), trainer.latest, grads


def close(ours: torch.Tensor, theirs: torch.Tensor, relative: float = 1e-5) -> None:
    assert (ours - theirs).norm() <= relative * theirs.norm(), ((ours - theirs).norm() / theirs.norm()).item()


def window_of(trainer: GRPOTrainer, tokens: int) -> None:
    trainer.model.get_base_model().config.get_text_config().sliding_window = tokens


@pytest.mark.parametrize(  # Qwen's attention has no window
    ("family_name", "window"), [("medgemma", 512), ("medgemma", 20), ("qwen", 512)], indirect=["family_name"]
)
def test_shared_prompts_give_trls_log_probabilities_losses_and_gradients(make, window) -> None:
    found = []
    for speed in (STOCK, dataclasses.replace(STOCK, shared_prompt=True)):
        trainer = make(speed)
        window_of(trainer, window)
        inputs = rollout(trainer)
        moved(trainer)
        inputs["advantages"] = torch.linspace(-1, 1, 16)
        found.append((inputs, *one_pass(trainer, inputs)))
    (stock, stock_loss, stock_logps, stock_grads), (ours, our_loss, our_logps, our_grads) = found
    for name in ("old_per_token_logps", "ref_per_token_logps"):
        close(ours[name] * ours["completion_mask"], stock[name] * stock["completion_mask"])
    assert (stock_logps - stock["old_per_token_logps"]).abs().max() > 0.05, "the policy has to have moved"
    close(our_logps, stock_logps)
    assert our_loss == pytest.approx(stock_loss, rel=1e-5)
    assert our_grads.keys() == stock_grads.keys()
    for name, theirs in stock_grads.items():
        close(our_grads[name], theirs, 2e-5)
    close(*(torch.cat([g.flatten() for g in grads.values()]) for grads in (our_grads, stock_grads)))


def test_cut_completions_leave_the_loss_as_they_leave_trls(make) -> None:
    losses = []
    for speed in (STOCK, dataclasses.replace(STOCK, shared_prompt=True)):
        trainer = make(speed, mask_truncated_completions=True)
        inputs = rollout(trainer)
        assert not inputs["completion_mask"].any(dim=1).all(), "some completions are cut at nine tokens"
        inputs["advantages"] = torch.linspace(-1, 1, 16)
        losses.append(one_pass(trainer, inputs)[0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_the_first_pass_tells_the_old_policy(make) -> None:
    stock, ours = make(STOCK), make(dataclasses.replace(STOCK, reuse_first_logprobs=True))
    expected, inputs = rollout(stock), rollout(ours)
    assert "old_per_token_logps" not in inputs
    assert torch.equal(inputs["ref_per_token_logps"], expected["ref_per_token_logps"])
    ours._compute_loss(ours.model, inputs)
    close(inputs["old_per_token_logps"] * inputs["completion_mask"],
          expected["old_per_token_logps"] * inputs["completion_mask"])  # fmt: skip
    kept = inputs["old_per_token_logps"]
    moved(ours)
    ours._compute_loss(ours.model, inputs)
    assert inputs["old_per_token_logps"] is kept, "later passes keep the first one's"


def fixed_answers(trainer: GRPOTrainer) -> GRPOTrainer:
    """Completions that depend on the study and not on the weights, so that two runs see the same."""

    def generate(prompt_ids, images, fields, *_):
        answers = []
        for k, image in enumerate(images):
            seed = int(np.asarray(image[0]).sum()) + k % 4
            answers.append(np.random.default_rng(seed).integers(40, 90, 3 + (seed + k) % 7).tolist())
        return answers, None

    trainer._generate_single_turn = generate
    return trainer


@pytest.mark.parametrize(("family_name", "device_batch"), [("medgemma", 8), ("qwen", 16)], indirect=["family_name"])
def test_a_whole_run_is_trls_run(make, device_batch) -> None:
    logs = []
    for name, speed in (("stock", STOCK), ("ours", dataclasses.replace(Speed(), share_prefill=False))):
        trainer = fixed_answers(make(speed, name, num_train_epochs=2, per_device_train_batch_size=device_batch))
        trainer.reward_funcs[0] = lambda completion_ids, **_: [float(len(ids) + ids[0] % 5) for ids in completion_ids]
        trainer.train()
        logs.append([entry for entry in trainer.state.log_history if "kl" in entry])
    assert len(logs[0]) == len(logs[1]) == 4
    for theirs, ours in zip(*logs, strict=True):
        assert ours.keys() == theirs.keys()
        for metric in theirs.keys() & {"loss", "grad_norm", "reward", "completions/mean_length", "entropy"}:
            assert ours[metric] == pytest.approx(theirs[metric], rel=2e-4, abs=2e-5), metric
        # What TRL logs of KL is a mean over slices of the batch, and with more than one they are other slices.
        assert ours["kl"] == pytest.approx(theirs["kl"], rel=0.1 if device_batch == 8 else 2e-3, abs=1e-6)
    assert logs[0][-1]["kl"] > 1e-4, "the policy has to have moved"


def test_merged_weights_give_the_adapters_logits_and_leave_no_trace(make) -> None:
    model = make(STOCK).model
    ids = torch.arange(40, 60)[None]
    text = model.get_base_model().model.language_model
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    with torch.no_grad():
        expected = text(input_ids=ids).last_hidden_state
        with model.disable_adapter():
            bare = text(input_ids=ids).last_hidden_state
        with merged(model):
            found = text(input_ids=ids).last_hidden_state
        after = text(input_ids=ids).last_hidden_state
    assert (bare - expected).abs().max() > 0.01
    close(found, expected)
    assert torch.equal(after, expected)
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_adapters_in_one_product_give_pefts_numbers_and_gradients(make) -> None:
    theirs, ours = make(STOCK).model, make(dataclasses.replace(STOCK, fused_adapters=True)).model
    ids = torch.arange(40, 60)[None]
    found = []
    for model in (theirs, ours):
        assert model.training or model.train()
        hidden = model.get_base_model().model.language_model(input_ids=ids).last_hidden_state
        hidden.square().mean().backward()
        with torch.no_grad(), model.disable_adapter():
            bare = model.get_base_model().model.language_model(input_ids=ids).last_hidden_state
        grads = {name: w.grad for name, w in model.named_parameters() if w.grad is not None}
        found.append((hidden.detach(), bare, grads))
    (hidden, bare, grads), (our_hidden, our_bare, our_grads) = found
    close(our_hidden, hidden)
    assert torch.equal(our_bare, bare)
    assert (hidden - bare).abs().max() > 0.01
    assert our_grads.keys() == grads.keys()
    for name, theirs_ in grads.items():
        close(our_grads[name], theirs_, 2e-5)


def test_completions_are_drawn_from_the_policy(make) -> None:
    """Many short completions of one study: the first token's frequencies are the policy's nucleus."""
    trainer = make(Speed())
    row = trainer.train_dataset[0]
    trainer.model.train()
    trainer.max_completion_length = 1
    torch.manual_seed(0)
    counts = torch.zeros(trainer.model.get_base_model().config.get_text_config().vocab_size)
    prompt = [
        {**turn, "content": [{"type": "image", "image": row["images"][0]}, turn["content"][1]]}
        for turn in row["prompt"]
    ]
    prompt_ids, images, fields = trainer._tokenize_prompts([prompt])
    many = {name: np.concatenate([np.asarray(value)] * 500) for name, value in fields.items()}
    many = {name: value.tolist() if "type_ids" in name else value for name, value in many.items()}
    for _ in range(8):
        answers, _ = trainer._generate_single_turn(prompt_ids * 500, images * 500, many, 4)
        counts += torch.bincount(torch.tensor(answers)[:, 0], minlength=len(counts))
    given = {name: torch.tensor(np.asarray(value)) for name, value in fields.items() if name != "num_crops"}
    with torch.no_grad():
        logits = trainer.model.get_base_model()(input_ids=torch.tensor(prompt_ids), **given).logits[0, -1]
    logits[trainer.generation_config.suppress_tokens] = -torch.inf
    likely, order = torch.softmax(logits / trainer.temperature, 0).sort(descending=True)
    likely[likely.cumsum(0) - likely >= trainer.top_p] = 0
    expected = torch.zeros(len(counts)).scatter(0, order, likely / likely.sum()) * counts.sum()
    assert counts[expected == 0].sum() == 0
    big = expected >= 5
    chi2 = ((counts - expected)[big] ** 2 / expected[big]).sum()
    assert chi2 < big.sum() + 5 * (2 * big.sum()) ** 0.5
