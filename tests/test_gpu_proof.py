"""The proof for a GPU, walked on a processor: the same path with the miniatures, in a GPU's precision too."""

import importlib
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def proof(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("gpu_proof")


def test_without_a_gpu_or_with_an_unknown_set_of_options_it_says_what_to_do(proof, monkeypatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for options, said in (
        ([], "gpu_proof: Expected a GPU that torch sees, got none. Run this where there is one, or walk"),
        (["--tiny", "--options", "paper,8gb"], "gpu_proof: Expected a set of options among 24gb, 40gb, decode-64"),
    ):
        monkeypatch.setattr(sys, "argv", ["gpu_proof.py", *options])
        assert proof.main() == 2
        assert capsys.readouterr().err.startswith(said)


def test_the_whole_script_walks_its_path(proof, monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setattr(proof, "apart", proof.once)  # in this process: starting three takes longer than they do
    monkeypatch.setattr(sys, "argv", ["gpu_proof.py", "--tiny", "--family", "qwen", "--out", str(tmp_path / "gpu.csv")])
    assert proof.main() == 0
    table = pd.read_csv(tmp_path / "gpu.csv").set_index("part")
    assert list(table.index) == ["sft", "decode"], "its GRPO is MedGemma's alone"
    assert (table[["seconds", "study_hours"]] > 0).all(axis=None)
    assert set(table["film_tokens"]) == {36}
    assert "no number here says anything of the study" in capsys.readouterr().out


# TRL 1.16 uses names that transformers 5.23 renames.
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_(en|dis)able` is deprecated:FutureWarning")
@pytest.mark.parametrize("part", ["sft", "grpo"])
def test_bfloat16_and_checkpointing_walk_it_too(proof, part, monkeypatch) -> None:
    """What a GPU turns on, turned on for a processor: nothing else of the path depends on the device."""
    from chexreason import models, training

    def as_on_a_gpu(bf16: bool, checkpointing: bool) -> dict[str, bool]:
        return {"bf16": bf16, "gradient_checkpointing": checkpointing, "use_cpu": True}

    monkeypatch.setattr(training, "device_options", as_on_a_gpu)
    monkeypatch.setattr(models, "dtype_for", lambda family, bf16: torch.bfloat16)
    row = proof.once(part, "medgemma", "paper", True)
    assert row["seconds"] > 0


def test_the_projection_is_the_sum_that_one_gets_by_hand(proof) -> None:
    seconds = {"sft": 8.0, "grpo": 40.0, "decode": 16.0}
    units = {"sft": 8, "grpo": 8, "decode": 16}
    measured = pd.DataFrame({"seconds": seconds, "units": units, "reserved_gb": 60.0}).rename_axis("part").reset_index()
    measured = pd.concat([measured.assign(family=family) for family in ("medgemma", "qwen")])
    profile = proof.profile_with("paper", False)
    table = proof.projected(measured, profile)
    by_stage = (3600 * table.groupby("stage")["hours"].sum()).round().to_dict()
    assert by_stage == {
        "prompting": 9 * 500 * 1,
        "sft": 2 * 4 * (6 * 2000 + 500),
        "grpo": 2 * (1000 * 5 + 4 * 500),
        "generalization": 5 * (500 + 25_596),
    }
    said = proof.verdict(measured, profile, "paper", False)
    assert f"{table['hours'].sum():.1f} hours and 60.0 GB at most\nThe paper's card of 80 GB suffices." in said
    large = measured.assign(reserved_gb=81.0)
    assert "80 GB does NOT suffice." in proof.verdict(large, profile, "paper", False)
    without = measured[measured["part"] != "grpo"]
    assert "out of memory: medgemma grpo" in proof.verdict(without, profile, "paper", False)


def test_what_is_computed_stands_beside_what_is_measured_for_the_run_as_it_was(proof) -> None:
    from companion.replication.memory import need

    profile = proof.profile_with("40gb", False)
    for part, stage in (("decode", "evaluate"), ("sft", "sft"), ("grpo", "grpo")):
        ran = {"prompt_tokens": 400, "images": 16}
        whole = need(profile, "medgemma", stage, prompt=400)
        most = (sum(whole.values()) - whole["overhead"]) / 1e9
        found = proof.computed_gb(profile, part, "medgemma", ran)
        kept = whole.get("image tokens", 0) / 1e9  # sixteen images leave little of it
        assert most - kept <= found <= most - 0.9 * kept
    assert proof.computed_gb(proof.profile_with("paper", False), "decode", "medgemma", {}) > found


#: The published configurations, narrow and shallow: what is left is images, vocabulary and control tokens as published.
NARROW = {
    "medgemma": {
        "text_config": {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                        "num_key_value_heads": 1, "head_dim": 32},
        "vision_config": {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2},
    },
    "qwen": {
        "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
        "vision_config": {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 64,
                          "fullatt_block_indexes": [0]},
    },
}  # fmt: skip


@pytest.mark.parametrize(("family", "least", "vocabulary"), [("medgemma", 256, 262_208), ("qwen", 256, 151_936)])
def test_the_stand_in_has_the_published_images_and_vocabulary(proof, monkeypatch, family, least, vocabulary) -> None:
    import dataclasses

    import stand_ins
    from transformers import AutoConfig

    from chexreason import evaluate, prompts
    from companion.replication.published import facts

    published = facts(family)["config"]
    narrow = {k: {**published[k], **v} if isinstance(v, dict) and k != "rope_scaling" else v
              for k, v in NARROW[family].items()}  # fmt: skip
    config = AutoConfig.for_model(published.pop("model_type"), **{**published, **narrow})
    monkeypatch.setattr(stand_ins, "config_of", lambda name: config)
    loaded = stand_ins.real(family, "cpu")
    assert loaded.model.get_output_embeddings().weight.shape[0] == vocabulary
    settings = dataclasses.replace(proof.profile_with("paper", True).decoding, max_new_tokens=3)
    with proof.tempfile.TemporaryDirectory() as folder:
        made = stand_ins.studies(2, Path(folder))
        assert least <= stand_ins.lengths(loaded, made, prompts.get("only_label"))["film_tokens"] <= 512
        answers = evaluate.decode(loaded, made, prompts.get("only_label"), settings)
    assert [one.tokens for one in answers] == [3, 3]
    long = stand_ins.answer(loaded, made[0], prompts.get("free_reasoning"), 100)
    assert len(loaded.processor.tokenizer(long)["input_ids"]) >= 100
