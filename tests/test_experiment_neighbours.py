"""The neighbours' recipes: which studies are rewarded, for what, on which tokens, and adapters between two others."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from chexreason import cohorts, completions, config, models, prompts, traces
from chexreason.labels import FINDINGS, NO_FINDING
from chexreason.rewards import REWARDS, jaccard
from chexreason.scorer import reward_of
from companion.experiment import neighbours, plan, run
from companion.experiment.variants import VariantTrainer
from companion.phantoms import sample_case
from companion.phantoms.teacher import trace

ARMS = {name: arm for name, arm in plan.ARMS.items() if arm.question == 6}
PIECES = ["<think>", "No", " pleural", " eff", "usion", ",", " Ede", "ma", "</think>", "pad"]


@pytest.fixture(autouse=True)
def rewards(monkeypatch):
    """What these tests register is forgotten after each."""
    for name, made in neighbours.OWN.items():
        monkeypatch.setitem(REWARDS, name, made)


def test_an_arm_says_in_a_line_what_it_is_and_costs_as_many_completions_as_the_others():
    usual = config.load_profile("paper", unset=True)
    for name, arm in ARMS.items():
        assert len(arm.what) <= 120, name
        assert plan.get(arm.start or "sft").seeds >= arm.seeds == plan.FEW, name
        if arm.stage == "grpo":
            profile = run.at(usual, 0, arm)
            of, studies = profile.grpo, profile.sizes.rl // (5 if arm.studies == "diverse" else 1)
            assert studies * of.num_generations * of.num_train_epochs == 4000, name
            assert of.studies_per_step * of.num_generations == 32, name


def test_tokens_of_finding_words_weigh_more_wherever_they_stand():
    trainer = VariantTrainer.__new__(VariantTrainer)
    trainer.processing_class = SimpleNamespace(tokenizer=SimpleNamespace(decode=lambda ids: PIECES[ids[0]]))
    trainer.finding_words = 3.0
    (weights,) = trainer._weights(torch.arange(10)[None], torch.tensor([[1] * 9 + [0]])).tolist()
    mean = (4 * 1 + 5 * 3) / 9  # of "No", the comma and the tags; of the pieces of two findings; padding is left out
    assert weights == pytest.approx([weight / mean for weight in (1, 1, 3, 3, 3, 1, 3, 3, 1, 1)])


def test_what_a_teacher_argues_for_are_its_labels():
    rng, free = np.random.default_rng(0), prompts.get("free_reasoning")
    for k in range(150):
        case = sample_case(4, k, "ABC"[k % 3], enrichment=4.0)
        labels = rng.choice(FINDINGS[:-1], 2).tolist() if k % 2 else case.truth  # also what was not drawn, and the rest
        text = trace([lesion.to_dict() for lesion in case.lesions], frozenset(labels), free, rng)
        assert neighbours.argued(text) == frozenset(labels) - {NO_FINDING}, text


@pytest.mark.parametrize(("thought", "truth", "earned"), [
    ("Mild edema. Dense consolidation.", {"Edema"}, 0.25),
    ("Mild edema, no pneumothorax. Only slight pleural scar. Heart not enlarged.", {"Edema"}, 0.5),
    ("Heart size normal.", {NO_FINDING}, 0.5),
    ("Heart size normal.", {"Edema"}, 0.0),
    ("A pacemaker.", {NO_FINDING, "Support Devices"}, 0.5),
    ("Edema", {"Edema"}, 0.5),  # what games it: the answer without any argument
    ("Edema is absent.", {NO_FINDING}, 0.0),  # a denial that the rule does not know
])  # fmt: skip
def test_the_process_reward_counts_the_findings_argued_for(thought, truth, earned):
    text = f"<think>{thought}</think><solution>Edema</solution>"
    pays, fmt = REWARDS["process"](), completions.THINK_SOLUTION
    plain = REWARDS["hard"]()(completions.parse_completion(text, fmt), frozenset(truth), text)
    terms = pays(completions.parse_completion(text, fmt), frozenset(truth), text)
    assert terms == {**plain, "process": pytest.approx(earned)}
    bad = text.removesuffix("</solution>")
    assert sum(pays(completions.parse_completion(bad, fmt), frozenset(truth), bad).values()) == 0


def test_rewards_of_nv_reason_and_of_an_answer_before_its_reasoning():
    def paid(name: str, text: str, prompt: prompts.Prompt, **constants: float) -> float:
        parsed = completions.parse_completion(text, prompt.answer)
        return sum(REWARDS[name](**constants)(parsed, frozenset({"Edema", "Fracture"}), text).values())

    think, answer, free = "<think>Wet lungs.</think>", "<solution>Edema</solution>", prompts.get("free_reasoning")
    both, length = think + answer, len(think + answer)
    assert paid("nv_reason", both, free, min_length=4 * length) == pytest.approx(0.5 - 0.75)
    assert paid("nv_reason", both, free, min_length=length) == paid("nv_reason", both, free, min_length=0) == 0.5
    assert paid("nv_reason", both + "x", free, min_length=length) == 0
    for text, earned in ((answer + think, 0.5), (think + answer, 0), (answer, 0), (answer + think + think, 0)):
        assert paid("think_after", text, neighbours.THINK_AFTER, min_length=0) == earned


def test_farthest_first_takes_each_time_the_farthest():
    rng = np.random.default_rng(1)
    sets = [frozenset(rng.choice(FINDINGS, rng.integers(1, 4), replace=False).tolist()) for _ in range(30)] * 2
    taken = neighbours.farthest_first(sets, 45)
    assert (taken[0], len(set(taken))) == (0, 45)
    for k in range(1, 45):
        away = {p: min(1 - jaccard(sets[p], sets[q]) for q in taken[:k]) for p in range(60) if p not in taken[:k]}
        assert taken[k] == min(p for p in away if away[p] == max(away.values()))


def test_medium_studies_are_those_whose_answers_earn_different_rewards(held, saved_adapter, monkeypatch):
    studies = [dataclasses.replace(s, labels={"Edema": 1.0}) for s in cohorts.choose(held, "rl").studies]
    chosen, asked = dataclasses.replace(cohorts.choose(held, "rl"), studies=tuple(studies)), []
    edema, both, other = (f"{sum(1 << FINDINGS.index(n) for n in names):x}" for names in (
        ["Edema"], ["Edema", "Fracture"], ["Fracture"]))  # fmt: skip
    words = [[edema] * 4, [edema, edema, both, edema], [other] * 4, [other, "-empty", edema + "~", other],
             [edema, edema + "~", edema, edema], [other, "-empty", "-empty", edema]]  # fmt: skip
    monkeypatch.setattr(run.cohorts, "choose", lambda *_: chosen)
    monkeypatch.setattr(run.sampling, "sample", lambda *_: asked.append(1) or words)
    saved_adapter("medgemma", held.cache / "checkpoints" / "sft" / "best")
    monkeypatch.setattr(run.models, "load", lambda *_: None)
    monkeypatch.setattr(run, "with_adapter", lambda *_: None)
    for _ in range(2):  # the second time from the cache
        picked = run._rewarded(plan.get("medium"), held).studies
        assert [studies.index(study) for study in picked] == [1, 4, 5, 1, 4, 5]
    assert asked == [1]


def test_studies_of_two_hospitals_come_in_order_half_of_each(held):
    own = cohorts.choose(held, "rl").studies
    for name, order in (("a-then-b", "AAABBB"), ("b-then-a", "BBBAAA"), ("mixed", "AAABBB")):
        arm = plan.get(name)
        found = run._rewarded(arm, held).studies
        assert "".join({"mimic": "A", "chexpert": "B"}[study.source] for study in found) == order
        assert [study for study in found if study.source == "mimic"] == list(own[:3])
        assert {study.split for study in found} == {"train"}
        assert len({study.key for study in found}) == 6
        assert run.at(held, 0, arm).grpo.shuffle_dataset == (name == "mixed")


def test_a_blend_lies_exactly_between_its_ends(checkpoints, saved_adapter, tmp_path):
    def weights(place=None) -> dict[str, torch.Tensor]:
        loaded = models.load("medgemma", checkpoints / "medgemma")
        return (models.with_adapter(loaded, place) if place else loaded).model.state_dict()

    start, end = (saved_adapter("medgemma", tmp_path / name / "best", b) for name, b in (("a", 0.1), ("b", 0.3)))
    at = {}
    for share in (0.0, 0.25, 1.0):
        neighbours.blend(models.load("medgemma", checkpoints / "medgemma"), start, end, share, tmp_path / "c" / "best")
        at[share] = weights(tmp_path / "c" / "best")
    first, last = weights(start), weights(end)
    changed = [name for name in first if not torch.equal(first[name], last[name])]
    assert len(changed) == 28  # seven matrices of four layers
    for share, found in at.items():
        for name, weight in found.items():
            assert torch.allclose(weight, (1 - share) * first[name] + share * last[name], atol=1e-6), (share, name)


def test_the_answer_comes_first_in_the_traces_of_think_after(tmp_path):
    profile = config.load_profile("smoke", results=tmp_path, cache=tmp_path)
    place, text = traces.place(profile, prompts.get("free_reasoning")), "<think>Wet.</think><solution>Edema</solution>"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"study": "s", "trace": text}) + "\n")
    neighbours.write_answer_first(profile)
    found = traces.read(traces.place(profile, neighbours.THINK_AFTER))["s"]["trace"]
    assert found == "<solution>Edema</solution><think>Wet.</think>"
    assert completions.parse_completion(found, neighbours.THINK_AFTER.answer).valid


def test_rewards_that_extend_equation_3_keep_the_profiles_constants(held):
    given = config.Override("hard", "min_length", 130, "as in the experiment")
    held = dataclasses.replace(held, overrides=(*held.overrides, given))
    for name, length in (("words", 130), ("process", 130), ("nv-recipe", 130), ("think-after", 130), ("no-think", 0)):
        assert reward_of(plan.get(name).reward, run.at(held, 0, plan.get(name))).min_length == length


def test_a_placebo_gives_no_study_labels_like_its_own_if_that_can_be():
    rng = np.random.default_rng(2)
    for alike, n in ((3, 12), (6, 12), (7, 12), (11, 12), (12, 12), (400, 1000)):
        others = [frozenset({FINDINGS[1 + k % 5]}) for k in range(n - alike)]
        sets = [frozenset({NO_FINDING})] * alike + others
        for _ in range(20):
            order = neighbours.deranged(sets, rng)
            assert sorted(order) == list(range(n))
            assert sum(sets[k] == sets[given] for k, given in enumerate(order)) == max(0, 2 * alike - n)
    assert len({tuple(neighbours.deranged(sets, rng)) for _ in range(5)}) == 5, "at random"
