"""What the arms change in TRL's trainers: the reference policy, which answers count, and where SFT begins."""

import dataclasses
import gzip
import json

import pytest
import torch
from peft import load_peft_weights
from trl import SFTTrainer

from chexreason import config, grpo, models, prompts, runs, sft
from chexreason.errors import UserError
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
    trainer._keep = lambda images: None  # this reward has no terms
    trainer.reward_funcs = [lambda prompts, **_: [float(k % 4) for k in range(len(prompts))]]
    assert rollout(trainer)["advantages"].tolist() == pytest.approx([0, 0, 0.5, 1.5] * 4)


@pytest.mark.parametrize("family_name", ["medgemma"], indirect=True)
def test_the_groups_are_kept_with_terms_and_advantages_and_a_step_done_again_once(make, family_name, tmp_path, studies):
    trainer = make("nuanced")
    paid = rollout(trainer)["advantages"].tolist()
    place = tmp_path / "nuanced" / "groups.jsonl"
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    assert [line["image"] for line in lines] == [study.image.stem for study in studies[:4] for _ in range(4)]
    assert [line["advantage"] for line in lines] == pytest.approx(paid, abs=1e-6)
    scored = [sum(line["terms"].values()) for line in lines]
    assert scored == [sum(terms.values()) for terms in trainer.reward_funcs[0].terms]
    for k in range(0, 16, 4):
        group = scored[k : k + 4]
        less_mean = [score - sum(group) / 4 for score in group]
        assert [line["advantage"] for line in lines[k : k + 4]] == pytest.approx(less_mean, abs=1e-4)
    rollout(trainer)  # the same step, as after a stop
    (tmp_path / "kept").mkdir()
    run._keep_groups(place, tmp_path / "kept")
    with gzip.open(tmp_path / "kept" / "groups.jsonl.gz", "rt") as file:
        assert len(file.readlines()) == 16


def test_a_reward_of_nothing_gives_every_answer_zero(make, checkpoints):
    assert set(rollout(make("back-base-plain-zero"))["advantages"].tolist()) == {0.0}


@pytest.mark.parametrize("family_name", ["medgemma"], indirect=True)
def test_finding_words_share_out_a_completions_advantage(make, family_name):
    trainer = make("words")
    trainer._keep = lambda images: None  # this reward has no terms
    trainer.reward_funcs = [lambda prompts, **_: [float(k % 4) for k in range(len(prompts))]]
    trainer._weights = lambda ids, mask: (ids % 3).float()
    batch = rollout(trainer)
    plain = torch.tensor([-1.5, -0.5, 0.5, 1.5] * 4)[:, None]
    assert torch.allclose(batch["advantages"], plain * (batch["completion_ids"] % 3))


@pytest.mark.parametrize("family_name", ["medgemma"], indirect=True)
def test_the_recipe_of_nv_reason_trains(make, family_name):
    trainer = make("nv-recipe")
    trainer._keep = lambda images: None  # this reward has no terms
    trainer.reward_funcs = [lambda prompts, **_: [float(k % 3) for k in range(len(prompts))]]
    trainer.train()
    (step,) = [entry for entry in trainer.state.log_history if "grad_norm" in entry]  # one update a rollout batch
    assert step["grad_norm"] > 0
    assert "kl" not in step


def test_question_3s_arms_are_rewarded_on_the_studies_that_every_convention_labels(drawn, held, monkeypatch):
    place, tasks = config.DataPlace(drawn / "mimic"), {}
    profile = dataclasses.replace(held, data={**held.data, "mimic": place})
    profile = dataclasses.replace(profile, sizes=dataclasses.replace(profile.sizes, sft=8, rl=12))
    monkeypatch.setattr(run.grpo, "run", lambda _, name, start, task, *__: tasks.__setitem__(name, task))
    whole = run._credit

    def with_gaps(whose, chosen, profile):  # each convention is silent about a study of its own
        silent = {"report": 0, "radiologist": 3, "text-mined": 5, "visible": 7}[whose]
        return [frozenset() if k == silent else names for k, names in enumerate(whole(whose, chosen, profile))]

    monkeypatch.setattr(run, "_credit", with_gaps)
    arms = [name for name, arm in plan.ARMS.items() if arm.question == 3]
    for name in [*arms, "hard"]:
        run._fit(name, plan.get(name), profile, held.cache)
    assert len(arms) == 4
    assert plan.get("credit-report").seeds == plan.SOME
    studies = [[study.key for study in tasks[name].studies] for name in arms]
    assert all(one == studies[0] for one in studies)
    assert len(studies[0]) <= 8 < len(tasks["hard"].studies) == 11
    assert all(all(task.credit) for task in tasks.values())
    assert len({tuple(tasks[name].credit) for name in arms}) >= 3


def test_question_2_has_its_control_and_no_arm_twice():
    arms = {name: arm for name, arm in plan.ARMS.items() if arm.question == 2}
    zero = {name: arm.trainer["untouched"] for name, arm in arms.items() if arm.reward == "zero"}
    assert zero == {"back-sft-plain-zero": False, "back-base-plain-zero": True}
    assert len(arms) == 10


def test_sft_goes_on_from_an_adapter_and_refuses_another(checkpoints, studies, saved_adapter, tmp_path, monkeypatch):
    start = saved_adapter("medgemma", tmp_path / "checkpoints" / "sft" / "best")
    arm, profile = plan.get("sft-on"), config.load_profile("smoke", results=tmp_path / "r", cache=tmp_path / "c")
    profile = run.at(profile, 0, arm)
    assert profile.sft.num_train_epochs == 1
    digest, traces = runs.adapter_digest(start), ["<solution>Edema</solution>"] * 8
    folder = tmp_path / "sft-on" / "checkpoints" / "sft-on"
    monkeypatch.setattr(SFTTrainer, "train", lambda *_, **__: None)

    def fit(digest: str) -> SFTTrainer:
        engine = {"name": "companion.experiment.variants.OnwardTrainer", "digest": digest,
                  "start": "../../../checkpoints/sft/best"}  # fmt: skip
        own = dataclasses.replace(profile, engines={"sft": engine})
        return sft.train(models.load("medgemma", checkpoints / "medgemma"), studies, traces, PROMPT, own, folder)

    trainer = fit(digest)
    assert (len(trainer.train_dataset), len(trainer.eval_dataset)) == (7, 1)
    found = {name.replace(".default", ""): w for name, w in trainer.model.named_parameters() if w.requires_grad}
    expected = load_peft_weights(str(start), device="cpu")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    with pytest.raises(UserError, match="Train the arm that it comes from again"):
        fit("0" * 64)
