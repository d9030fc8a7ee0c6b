"""Supervised fine-tuning: the paper's settings, the label mask token by token, a frozen vision encoder."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from chexreason import prompts, sft
from chexreason.config import Override, Profile, load_profile
from chexreason.errors import UserError
from chexreason.examples import examples
from chexreason.recipe import SFT

TRACES = [
    "<think>clear</think><solution>Edema</solution>",
    "<think>a big heart, no more</think><solution>Cardiomegaly</solution>",
] * 4
TINY = dataclasses.replace(
    SFT(), num_train_epochs=1, per_device_train_batch_size=2, studies_per_step=4, validation_share=0.25
)


def small(settings: SFT) -> Profile:
    """The smoke profile with these settings and TRL's own trainer."""
    return dataclasses.replace(load_profile("smoke"), sft=settings, engines={})


@pytest.mark.parametrize("family_name", ["qwen"], indirect=True)
@pytest.mark.parametrize(("name", "value"), [("packing", True), ("loss_type", "nosuch"), ("report_to", "p10000032")])
def test_an_option_that_the_trainer_refuses_is_one_line(random_model, studies, tmp_path, name, value) -> None:
    profile = dataclasses.replace(small(TINY), overrides=(Override("sft", name, value, ""),))
    with pytest.raises(UserError, match="options that TRL's trainer takes, got ValueError: ") as told:
        sft.train(random_model, studies, TRACES, prompts.get("only_label"), profile, tmp_path)
    assert "p10000032" not in str(told.value)


def test_options_of_trls_are_handed_on(tmp_path) -> None:
    assert sft.arguments(SFT(), tmp_path, 0, {"label_smoothing_factor": 0.1}).label_smoothing_factor == 0.1


def test_the_arguments_are_the_papers(tmp_path) -> None:
    arguments = sft.arguments(SFT(), tmp_path, seed=3)
    stated = {
        "learning_rate": 5e-5, "num_train_epochs": 6, "warmup_steps": 0.05, "weight_decay": 0.01, "max_grad_norm": 5.0,
        "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8, "completion_only_loss": True,
        "load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "seed": 3,
    }  # fmt: skip
    assert {name: getattr(arguments, name) for name in stated} == stated
    assert arguments.lr_scheduler_type == "cosine"
    assert arguments.max_length is None


def test_the_loss_counts_the_answers_tokens_and_no_other(random_model, studies) -> None:
    prompt = prompts.get("free_reasoning")
    rows = examples(studies[:2], prompt, TRACES[:2])
    collator = DataCollatorForVisionLanguageModeling(random_model.processor, completion_only_loss=True)
    batch = collator([rows[0], rows[1]])
    tokenizer = random_model.processor.tokenizer
    end = {"medgemma": "<end_of_turn>\n", "qwen": "<|im_end|>\n"}[random_model.family.name]
    for trace, ids, labels in zip(TRACES, batch["input_ids"], batch["labels"], strict=False):
        counted = labels != -100
        assert tokenizer.decode(labels[counted]) == trace + end
        assert torch.equal(labels[counted], ids[counted])
        before = ids[: int(counted.nonzero()[0])]
        assert tokenizer.decode(before).rstrip().endswith(("model", "assistant"))
        padding = batch["attention_mask"][batch["input_ids"].tolist().index(ids.tolist())] == 0
        assert not (counted & padding).any()


def test_training_moves_the_adapter_and_no_weight_of_the_base(random_model, studies, tmp_path) -> None:
    before = {name: w.clone() for name, w in random_model.model.named_parameters()}
    trainer = sft.train(random_model, studies, TRACES, prompts.get("free_reasoning"), small(TINY), tmp_path)
    after = trainer.model.base_model.model.state_dict()
    for name, weight in before.items():
        module, _, kind = name.rpartition(".")
        kept = after.get(name, after.get(f"{module}.base_layer.{kind}"))
        assert torch.equal(weight, kept), name
    assert any(w.abs().sum() > 0 for name, w in trainer.model.named_parameters() if "lora_B" in name)
    assert (len(trainer.train_dataset), len(trainer.eval_dataset)) == (6, 2)
    fit, held_out = ({Path(path).stem for path in rows.data["path"].to_pylist()}
                     for rows in (trainer.train_dataset, trainer.eval_dataset))  # fmt: skip
    assert not fit & held_out
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses
    assert np.isfinite(losses).all()
