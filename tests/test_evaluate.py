"""Decoding, parsing and scoring with random miniatures, and on real images where there are some."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from chexreason import cohorts, config, data, evaluate, models, prompts, records
from chexreason.cohorts import Cohort
from chexreason.completions import Completion
from chexreason.config import DataPlace
from chexreason.data.image import open_image
from chexreason.errors import UserError
from chexreason.labels import FINDINGS, NIH_SHARED
from chexreason.recipe import Decoding, Sizes
from chexreason.rows import under
from chexreason.runs import Plan

PROMPT = prompts.get("only_label")


def decoding(**changes) -> Decoding:
    return dataclasses.replace(Decoding(), **({"max_new_tokens": 12} | changes))


def chosen_of(studies, dataset: str = "mimic", root: Path = Path("/nowhere")) -> Cohort:
    return Cohort("validation", dataset, root, tuple(studies), (), {})


def test_one_completion_a_study_whatever_the_batch(random_model, three_shapes) -> None:
    alone = [evaluate.decode(random_model, [study], PROMPT, decoding(batch_size=1))[0] for study in three_shapes[:5]]
    for batch in (2, 4):
        assert evaluate.decode(random_model, three_shapes[:5], PROMPT, decoding(batch_size=batch)) == alone
    assert all(completion.truncated == (completion.tokens == 12) for completion in alone)


def test_an_answer_ends_at_the_first_end_token_or_is_truncated(random_model, studies, monkeypatch) -> None:
    ends = random_model.model.generation_config.eos_token_id
    pad = random_model.processor.tokenizer.pad_token_id
    [a] = random_model.processor.tokenizer("a", add_special_tokens=False)["input_ids"]
    answers = [[a, a, a, a], [a, ends[0], pad, pad], [ends[-1], pad, pad, pad]]

    def generate(input_ids, **_):
        return torch.cat([input_ids, torch.tensor(answers[: len(input_ids)])], dim=1)

    monkeypatch.setattr(random_model.model, "generate", generate)
    done = evaluate.decode(random_model, studies[:3], PROMPT, decoding(batch_size=3, max_new_tokens=4))
    assert [(c.tokens, c.truncated) for c in done] == [(4, True), (1, False), (0, False)]
    assert done[2].text == ""


ANSWERS = [
    Completion("<solution>Enlarged Cardiomediastinum</solution>", 5, False),
    Completion("no blocks at all", 4, False),
    Completion("<solution>Edema, gout</solution>", 9, False),
    Completion("<solution>Fracture", 3, True),
]


def test_predictions_tell_what_was_said_and_what_was_recorded(studies) -> None:
    relabelled = dataclasses.replace(studies[3], labels={"Edema": 1.0, "Fracture": -1.0})
    chosen = chosen_of([*studies[:3], relabelled])
    rows = records.predictions(chosen, ANSWERS, PROMPT, "ignore")
    assert list(rows.columns) == [
        "study_key", "patient_key", "completion", "tokens", "failures", "valid", "failed",
        "predicted", "truth", "ignored", "visible", "states",
    ]  # fmt: skip
    assert rows["study_key"].tolist() == [study.key for study in chosen.studies]
    assert rows["patient_key"].tolist() == ["mimic/p0", "mimic/p1", "mimic/p2", "mimic/p3"]
    assert rows["predicted"].tolist() == ["Enlarged Cardiomediastinum", "", "Edema", ""]
    assert rows["failed"].tolist() == [False, True, False, True]
    assert rows["failures"].tolist() == ["", "missing_block;text_outside", "unknown_label", "truncated"]
    assert rows["truth"].tolist()[1:] == ["Cardiomegaly;Support Devices", "Lung Opacity", "Edema"]
    assert rows["ignored"].tolist() == ["", "", "", "Fracture"]
    assert rows["states"].tolist()[2:] == ["Lung Opacity=1;Support Devices=0", "Edema=1;Fracture=-1"]
    for policy in ("zeros", "ones", "ignore"):
        assert under(rows, FINDINGS, policy).equals(records.predictions(chosen, ANSWERS, PROMPT, policy))


def test_rows_of_drawn_images_are_as_they_were(drawn) -> None:
    chosen = chosen_of(data.load("nih", drawn / "nih", "test").studies[:4], "nih", drawn / "nih")
    assert list(records.predictions(chosen, ANSWERS, PROMPT, "zeros"))[-2:] == ["ignored", "visible"]


def random_rows(n: int, names, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    cells = {c: rng.random((n, len(names))) < p for c, p in (("truth", 0.3), ("predicted", 0.4), ("ignored", 0.2))}
    cells["truth"] &= ~cells["ignored"]
    joined = {c: [";".join(np.array(names)[row]) for row in matrix] for c, matrix in cells.items()}
    return pd.DataFrame(joined).assign(failed=[k % 4 == 0 for k in range(n)])


@pytest.mark.parametrize(("label_set", "names"), [("chexpert14", FINDINGS), ("nih9", NIH_SHARED)])
def test_scores_are_scikit_learns_over_the_cells_that_count(label_set, names) -> None:
    rows = random_rows(40, names)
    scores = evaluate.score(rows, label_set)
    for name in names:
        kept = rows[[name not in cell.split(";") for cell in rows["ignored"]]]
        truth, predicted = ([name in cell.split(";") for cell in kept[c]] for c in ("truth", "predicted"))
        assert scores.findings[name]["f1"] == pytest.approx(f1_score(truth, predicted, zero_division=0))
    assert scores.macro["f1"] == pytest.approx(np.mean([row["f1"] for row in scores.findings.values()]))
    assert (scores.failure_rate, scores.n) == (0.25, 40)


def test_an_adapter_is_merged_and_changes_what_is_said(
    random_model, family_name, saved_adapter, studies, tmp_path
) -> None:
    inputs = models.encode(random_model, [open_image(studies[0].image)], PROMPT.text)
    with torch.inference_mode():
        before = random_model.model(**inputs).logits
    adapter = saved_adapter(family_name, tmp_path / "02-sft-x" / "best", 0.1)
    tuned = models.with_adapter(random_model, adapter)
    assert not [name for name, _ in tuned.model.named_parameters() if "lora" in name]
    assert tuned.model.generation_config.suppress_tokens
    assert tuned.source.endswith(" + 02-sft-x")
    with torch.inference_mode():
        assert (tuned.model(**inputs).logits - before).abs().max() > 0.1


def test_an_adapter_of_the_other_family_is_refused_in_one_line(
    random_model, family_name, saved_adapter, tmp_path
) -> None:
    other = {"medgemma": "qwen", "qwen": "medgemma"}[family_name]
    adapter = saved_adapter(other, tmp_path / "02-sft-x" / "best")
    with pytest.raises(UserError, match=r"an adapter for .*, got one for .*\. Train it again"):
        models.with_adapter(random_model, adapter)
    with pytest.raises(UserError, match=r"an adapter at .*, got no adapter_config\.json there"):
        models.with_adapter(random_model, tmp_path)


@pytest.mark.parametrize(("rows", "names"), [("results", ["a.jpg"]), ("cache", [])])
def test_unreadable_images_are_named_only_where_rows_may_be_shown(studies, tmp_path, rows, names) -> None:
    chosen = dataclasses.replace(
        chosen_of(studies, "nih"), unreadable=(Path("/x/a.jpg"),), left_out={"no frontal image": 3}
    )
    profile = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    this = Plan(dataclasses.replace(profile, rows=rows), "01-x", {}, {})
    info = records.finish(this, chosen, pd.DataFrame(), pd.DataFrame(), None).info
    told = {"n": 8, "unreadable": {"count": 1, "names": names}, "left_out": {"no frontal image": 3}}
    assert {name: info[name] for name in told} == told


def test_real_images_go_through_from_the_loader_to_the_scores(nih_sample, checkpoints, tmp_path) -> None:
    profile = config.load_profile("smoke", results=tmp_path / "results", cache=tmp_path / "cache")
    profile = dataclasses.replace(profile, data={"nih": DataPlace(nih_sample)}, sizes=Sizes(nih=None))
    chosen = cohorts.choose(profile, "nih")
    assert len(chosen.studies) == len((nih_sample / "test_list.txt").read_text().split())
    loaded = models.load("medgemma", checkpoints / "medgemma")
    asked = dataclasses.replace(profile, decoding=decoding(max_new_tokens=8, batch_size=23))
    scores, rows = evaluate.evaluate(loaded, chosen, PROMPT, asked)
    assert len(rows) == scores.n == len(chosen.studies)
    assert scores.label_set == "nih9"
    assert set(scores.findings) == set(NIH_SHARED)
    assert (rows["visible"] == "").all(), "nothing was drawn on a real image"
    assert rows["truth"].str.len().gt(0).sum() > 0
