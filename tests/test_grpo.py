"""GRPO: our statement of the mathematics against TRL's own loss, the reference policy, where checkpoints fall."""

import dataclasses
import logging
import os
import sys
import traceback
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from chexreason import config, grpo, models, objective, prompts, rewards, scorer
from chexreason.errors import UserError
from chexreason.recipe import GRPO
from chexreason.rewards import Hard, Reward


@pytest.fixture
def profile(tmp_path):
    """The smoke profile with a rollout batch of two studies."""
    made = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    small = dataclasses.replace(
        made.grpo, studies_per_step=2, per_device_train_batch_size=8, max_completion_length=12, checkpoints=2
    )
    return dataclasses.replace(made, grpo=small)


@pytest.fixture
def start(saved_adapter, family_name, tmp_path):
    return saved_adapter(family_name, tmp_path / "start")


def task_of(studies, reward: str) -> grpo.Task:
    return grpo.Task.recorded(studies, prompts.get("only_label"), reward, "zeros")


def test_advantages_by_hand() -> None:
    # two groups of two: means 2 and 0
    assert objective.advantages(torch.tensor([1.0, 3.0, -5.0, 5.0]), 2).tolist() == [-1.0, 1.0, -5.0, 5.0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 2.0, 2.0),
        (1.5, 2.0, 2.44),  # clipped from above at 1.22
        (0.5, 2.0, 1.0),  # a good token made less likely is not clipped
        (0.5, -2.0, -1.7),  # clipped from below at 0.85
        (1.5, -2.0, -3.0),  # a bad token made more likely is not clipped
    ],
)
def test_the_clipped_objective_by_hand(ratio, advantage, expected) -> None:
    value = objective.clipped_objective(torch.tensor([[ratio]]), torch.tensor([advantage]), 0.15, 0.22)
    assert value.item() == pytest.approx(expected)


def test_the_kl_estimate_is_never_negative_and_unbiased_against_torch() -> None:
    torch.manual_seed(0)
    policy, reference = (torch.distributions.Categorical(logits=torch.randn(6)) for _ in range(2))
    tokens = policy.sample((200_000,))
    estimates = objective.kl_estimate(policy.log_prob(tokens), reference.log_prob(tokens))
    assert (estimates >= 0).all()
    exact = torch.distributions.kl_divergence(policy, reference).item()
    assert estimates.mean().item() == pytest.approx(exact, rel=0.02)


def test_the_arguments_are_the_papers(tmp_path) -> None:
    arguments = grpo.arguments(GRPO(), tmp_path, seed=0, studies=1000)
    stated = {
        "num_generations": 4, "temperature": 0.8, "top_p": 0.95, "beta": 0.15, "loss_type": "dr_grpo",
        "epsilon": 0.15, "epsilon_high": 0.22, "scale_rewards": "none", "num_iterations": 2, "use_vllm": False,
        "importance_sampling_level": "token", "max_steps": 250, "use_bias_correction_kl": False,
        "disable_dropout": True,
    }  # fmt: skip
    assert {name: getattr(arguments, name) for name in stated} == stated
    per_step = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    assert per_step == 8 * 4 == arguments.per_device_train_batch_size * arguments.steps_per_generation


def test_our_loss_is_trls_loss(start, family_name, checkpoints, studies, profile, tmp_path) -> None:
    loaded = models.load(family_name, checkpoints / family_name)
    trainer = grpo.trainer_for(loaded, start, task_of(studies[:2], "hard"), profile, tmp_path)
    trainer.first_is_old = trainer.shares_prompt = False  # TRL as it comes; tests/test_fast_grpo.py has the rest
    rows = [row for row in (trainer.train_dataset[0], trainer.train_dataset[1]) for _ in range(4)]
    trainer.model.train()
    inputs = trainer._generate_and_score_completions(rows)
    with torch.no_grad():  # the policy has moved since the rollout, the rewards differ
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight.add_(0.02 * torch.randn_like(weight))
        inputs["advantages"] = torch.linspace(-1, 1, 8)
        trainer.current_gradient_accumulation_steps = 1
        theirs = trainer._compute_loss(trainer.model, inputs)
        logp, *_ = trainer._get_per_token_logps_and_entropies(
            trainer.model,
            torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
            torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1),
            inputs["completion_ids"].shape[1],
            **{
                name: inputs[name]
                for name in ("pixel_values", "image_grid_thw", "num_images", "token_type_ids", "mm_token_type_ids")
                if name in inputs
            },
        )
    ours = objective.loss(
        logp, inputs["old_per_token_logps"], inputs["ref_per_token_logps"], inputs["advantages"],
        inputs["completion_mask"], profile.grpo,
    )  # fmt: skip
    ratio = (logp - inputs["old_per_token_logps"]).exp()
    assert (ratio - 1).abs().max() > 0.2, "the policy has to have moved for the clip to matter"
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_the_reference_is_the_sft_checkpoint(start, family_name, checkpoints, studies, profile, tmp_path) -> None:
    loaded = models.load(family_name, checkpoints / family_name)
    still = dataclasses.replace(profile, grpo=dataclasses.replace(profile.grpo, learning_rate=1e-12, num_iterations=1))
    trainer = grpo.train(loaded, start, task_of(studies[:2], "hard"), still, tmp_path / "run")
    first = next(entry for entry in trainer.state.log_history if "kl" in entry)
    assert first["kl"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("family_name", ["qwen"], indirect=True)
def test_another_reference_than_the_start_ends_before_the_first_step(
    start, random_model, studies, profile, tmp_path, monkeypatch
) -> None:
    trainer = grpo.trainer_for(random_model, start, task_of(studies[:2], "hard"), profile, tmp_path)
    grpo.begins_at_reference(trainer)
    for name, weight in trainer.model.named_parameters():
        if ".ref." in name and "lora_B" in name:
            weight.data.zero_()  # what TRL took before its pull request 4723
    with pytest.raises(UserError, match="the SFT checkpoint as the reference of GRPO, got another policy"):
        grpo.begins_at_reference(trainer)
    monkeypatch.setattr(grpo, "trainer_for", lambda *_: trainer)
    monkeypatch.setattr(grpo.resume, "go_on", lambda *_: pytest.fail("a step was taken"))
    with pytest.raises(UserError, match="another policy"):
        grpo.train(random_model, start, task_of(studies[:2], "hard"), profile, tmp_path)
    trainer.beta = 0.0
    grpo.begins_at_reference(trainer)  # no reference is asked


@pytest.mark.parametrize(
    ("wanted", "saved"),
    [(4, 64), (250, 2)],  # the paper's 250 steps: 64, 128, 192 and 250
)
def test_checkpoints_fall_between_rollout_batches(tmp_path, wanted, saved) -> None:
    settings = dataclasses.replace(GRPO(), checkpoints=wanted)
    assert grpo.arguments(settings, tmp_path, 0, 1000).save_steps == saved


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"save_steps": 7, "seed": 3, "log_completions": True}, "leaves open, got log_completions, save_steps, seed"),
        ({"optim": "nosuch"}, "settings that GRPOConfig takes, got nosuch"),
        ({"logging_strategy": "nosuch"}, "settings that GRPOConfig takes, got .*nosuch"),
    ],
)
def test_an_option_that_the_code_owns_or_trl_refuses_is_one_line(tmp_path, more, said) -> None:
    with pytest.raises(UserError, match=said):
        grpo.arguments(GRPO(), tmp_path, 0, 1000, more=more)


@pytest.mark.parametrize("family_name", ["qwen"], indirect=True)
def test_an_option_that_the_trainer_refuses_is_one_line(start, random_model, studies, profile, tmp_path) -> None:
    refused = dataclasses.replace(profile, overrides=(config.Override("grpo", "reward_weights", [1.0, 2.0], ""),))
    with pytest.raises(UserError, match="options that TRL's trainer takes, got ValueError: Number of reward weights"):
        grpo.trainer_for(random_model, start, task_of(studies[:2], "hard"), refused, tmp_path)


def scorer_of(reward, profile) -> scorer.Scorer:
    return scorer.Scorer("mine", reward, profile, prompts.get("free_reasoning"), ends={2})


def test_the_scorer_pays_what_the_reward_says(profile) -> None:
    scorer = scorer_of(Hard(), profile)
    texts = ["<think>wet</think><solution>Edema</solution>", "nothing at all"]
    paid = scorer([[{"content": text}] for text in texts], [[5, 2], [5, 2]], truth=["Edema", "Edema"])
    assert np.allclose(paid, [1 - Hard().short_penalty, 0])
    assert [sum(terms.values()) for terms in scorer.terms] == paid


LOG = logging.getLogger("a reward's")
#: A completion; not as it stands in a line of this file, which a traceback quotes.
SAID = "what " + "it said"


@pytest.mark.parametrize("rows", ["results", "cache"])
@pytest.mark.parametrize(
    "returned",
    [
        None,
        {},
        1.0,
        {"a": float("nan")},
        {"a": "1"},
        {"a": None},
        ["a"],
        {"a": SAID},
        {"a": 1.0, SAID: 1.0},
        ValueError(SAID),
        SystemExit(SAID),
        GeneratorExit(SAID),
        type(SAID, (Exception,), {})(SAID),
    ],
)
def test_a_reward_that_raises_or_returns_nonsense_names_the_completion_but_no_patients(profile, rows, returned) -> None:
    class Broken(Reward):
        def __call__(self, answer: object, truth: object, text: str) -> object:
            if text != SAID:
                return {"a": 1.0}
            if isinstance(returned, BaseException):
                raise returned
            return returned

    scorer = scorer_of(Broken(), dataclasses.replace(profile, rows=rows))
    with pytest.raises(UserError, match="the same named finite terms each time, got ") as refused:
        scorer([[{"content": SAID}]], [[5, 2]], truth=["Edema"])
    shown = "".join(traceback.format_exception(refused.value))
    assert (SAID in shown) == (rows == "results")
    assert (f"for {SAID!r}, recorded: ['Edema']" in str(refused.value)) == (rows == "results")
    assert ("not shown since patients' rows may stand in it" in str(refused.value)) == (rows == "cache")
    assert (SAID in str(refused.value)) == (rows == "results")


@pytest.mark.parametrize("rows", ["results", "cache"])
def test_what_a_reward_prints_is_heard_unless_it_is_about_patients(profile, rows, capfd, monkeypatch) -> None:
    monkeypatch.setattr(LOG, "handlers", [logging.StreamHandler(sys.stdout)])  # bound before it is asked

    class Loud(Reward):
        def fit(self, truths: object) -> None:
            print(f"fit {truths}")

        def __call__(self, answer: object, truth: object, text: str) -> dict[str, float]:
            print(text)
            LOG.warning(text)
            os.write(1, text.encode())
            print(text, file=sys.stderr)
            return {"a": Decimal("1.0")}

        def state_dict(self) -> dict[str, str]:
            raise RuntimeError(SAID)

    heard = scorer_of(Loud(), dataclasses.replace(profile, rows=rows))
    capfd.readouterr()  # it was asked about a made-up completion
    heard.fit([frozenset({"Edema"})])
    heard([[{"content": SAID}]], [[5, 2]], truth=["Edema"])
    assert "".join(capfd.readouterr()).count(SAID) == (4 if rows == "results" else 0)
    assert logging.root.manager.disable == logging.NOTSET
    saving = SimpleNamespace(is_world_process_zero=True, global_step=1)
    with pytest.raises(UserError, match="that keeps its state as plain data, got RuntimeError") as refused:
        heard.on_save(SimpleNamespace(output_dir=str(profile.cache)), saving, None)
    assert (SAID in "".join(traceback.format_exception(refused.value))) == (rows == "results")


def test_the_names_of_terms_are_those_before_any_patient_was_seen() -> None:
    seen = ["shared"]

    class Sharing(Reward):
        def __call__(self, answer: object, truth: object, text: str) -> dict[str, float]:
            return dict.fromkeys(seen, 1.0)

    rewards.reward("sharing")(Sharing)
    rewards.REWARDS.pop("sharing")
    seen.append(SAID)  # as another reward of its module might, in training
    assert rewards.names_of(Sharing) == {"shared"}


@pytest.mark.parametrize("family_name", ["medgemma"], indirect=True)
def test_the_answer_may_weigh_more_and_the_step_stays_as_long(
    start, family_name, checkpoints, studies, profile, tmp_path
) -> None:
    loaded = models.load(family_name, checkpoints / family_name)
    weighted = {"name": "companion.experiment.answer_weight.AnswerWeighted", "answer_weight": 3.0}
    heavy = dataclasses.replace(profile, engines={"grpo": weighted})
    trainer = grpo.trainer_for(loaded, start, task_of(studies[:2], "hard"), heavy, tmp_path)
    tokenizer = loaded.processor.tokenizer
    texts = ["so it is <solution>Edema</solution>", "no block at all"]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    width = max(map(len, ids)) + 2
    ids_BT = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in ids])
    mask_BT = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    weights_BT = trainer._weights(ids_BT, mask_BT)
    assert torch.allclose((weights_BT * mask_BT).sum(1), mask_BT.sum(1).float())
    first = weights_BT[0][mask_BT[0].bool()]
    assert first[-1] == pytest.approx(3 * first[0].item())
    assert tokenizer.decode(ids[0][int((first > 1).nonzero()[0, 0]) :]).startswith("Edema")
    assert weights_BT[1][mask_BT[1].bool()].unique().tolist() == [1.0]
