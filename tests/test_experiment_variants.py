"""What the arms change in TRL's trainer: the reference policy, and which answers count."""

import dataclasses

import pytest
import torch

from chexreason import config, grpo, models, prompts
from chexreason.rewards import REWARDS
from companion.experiment import neighbours, plan, run
from companion.experiment.variants import VariantTrainer

PROMPT = prompts.get("only_label")


@pytest.fixture
def make(checkpoints, tmp_path, studies, saved_adapter, monkeypatch):
    """A trainer on four studies, with an arm's changes."""
    monkeypatch.setitem(REWARDS, "nv_reason", neighbours.OWN["nv_reason"])  # registered for the test alone
    saved_adapter("medgemma", tmp_path / "start")

    def trainer(arm: str) -> VariantTrainer:
        profile = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
        profile = run.at(profile, 0, plan.get(arm))
        small = dataclasses.replace(
            profile.grpo, studies_per_step=4, per_device_train_batch_size=8, max_completion_length=9, checkpoints=1
        )
        task = grpo.Task.recorded(studies[:4], PROMPT, plan.get(arm).reward, "zeros")
        loaded = models.load("medgemma", checkpoints / "medgemma")
        return grpo.trainer_for(
            loaded, tmp_path / "start", task, dataclasses.replace(profile, grpo=small), tmp_path / arm
        )

    return trainer


def rollout(trainer: VariantTrainer) -> dict:
    trainer.model.train()
    torch.manual_seed(3)
    trainer._generate_single_turn = lambda *_: ([torch.randint(40, 90, (6,)).tolist() for _ in range(16)], None)
    return trainer._generate_and_score_completions([trainer.train_dataset[k] for k in range(4) for _ in range(4)])


@pytest.mark.parametrize("family_name", ["medgemma"], indirect=True)
def test_the_untouched_reference_is_the_base_and_the_usual_one_the_start(make, family_name):
    for arm, untouched in (("hard", False), ("back-base-plain-zero", True)):
        trainer = make(arm)
        batch = rollout(trainer)
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        seen = {name: batch[name] for name in ("pixel_values", "token_type_ids", "mm_token_type_ids") if name in batch}

        def said(trainer=trainer, ids=ids, mask=mask, seen=seen, keep=batch["completion_ids"].shape[1]) -> torch.Tensor:
            with torch.no_grad():
                return trainer._get_per_token_logps_and_entropies(
                    trainer.model, ids, mask, keep, compute_entropy=True, **seen
                )[0]

        peft = trainer.accelerator.unwrap_model(trainer.model)
        start = said()
        with peft.disable_adapter():
            base = said()
        expected, other = (base, start) if untouched else (start, base)
        assert torch.allclose(batch["ref_per_token_logps"], expected, atol=1e-5), arm
        assert not torch.allclose(batch["ref_per_token_logps"], other, atol=1e-3), arm


@pytest.mark.parametrize("family_name", ["medgemma"], indirect=True)
def test_raft_leaves_only_answers_above_their_groups_mean(make, family_name):
    trainer = make("raft")
    trainer.reward_funcs = [lambda prompts, **_: [float(k % 4) for k in range(len(prompts))]]
    assert rollout(trainer)["advantages"].tolist() == pytest.approx([0, 0, 0.5, 1.5] * 4)


def test_a_reward_of_nothing_gives_every_answer_zero(make, checkpoints):
    assert set(rollout(make("back-base-plain-zero"))["advantages"].tolist()) == {0.0}


@pytest.mark.parametrize("family_name", ["medgemma"], indirect=True)
def test_finding_words_share_out_a_completions_advantage(make, family_name):
    trainer = make("words")
    trainer.reward_funcs = [lambda prompts, **_: [float(k % 4) for k in range(len(prompts))]]
    trainer._weights = lambda ids, mask: (ids % 3).float()
    batch = rollout(trainer)
    plain = torch.tensor([-1.5, -0.5, 0.5, 1.5] * 4)[:, None]
    assert torch.allclose(batch["advantages"], plain * (batch["completion_ids"] % 3))


@pytest.mark.parametrize("family_name", ["medgemma"], indirect=True)
def test_the_recipe_of_nv_reason_trains(make, family_name):
    trainer = make("nv-recipe")
    trainer.reward_funcs = [lambda prompts, **_: [float(k % 3) for k in range(len(prompts))]]
    trainer.train()
    (step,) = [entry for entry in trainer.state.log_history if "grad_norm" in entry]  # one update a rollout batch
    assert step["grad_norm"] > 0
    assert "kl" not in step
