"""The page *What it costs*: its figures and sentences follow the tables that the benchmarks write."""

import pandas as pd
import pytest

from companion.report import costs

SPEED = pd.DataFrame(
    {
        "task": ["grpo", "grpo", "decode"],
        "switches": ["all", "one_prefill", "all"],
        "ratio": [3.0, 1.2, 1.5],
        "ratio_least": [2.5, 1.1, 1.25],
        "ratio_most": [3.5, 1.3, 1.75],
        "rounds": [5, 5, 3],
        "stock_s": [12.0, 12.0, 6.0],
        "ours_s": [4.0, 10.0, 4.0],
        "stock_peak_mb": [1500, 1500, 700],
        "ours_peak_mb": [800, 1400, 650],
    }
)
STAGES = pd.DataFrame(
    {
        "task": ["decode"] * 6,
        "side": ["stock"] * 3 + ["ours"] * 3,
        "stage": ["prompts", "new tokens", "rest"] * 2,
        "cpu_s": [2.0, 3.5, 0.5, 2.0, 1.5, 0.5],
    }
)


@pytest.fixture
def results(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    SPEED.to_csv(tmp_path / "benchmarks" / "speed.csv", index=False)
    STAGES.to_csv(tmp_path / "benchmarks" / "stages.csv", index=False)
    images = pd.DataFrame({"round": [0, 1, 2], "ratio": [30.0, 40.0, 35.0]})
    images.to_csv(tmp_path / "benchmarks" / "films.csv", index=False)
    return tmp_path


def test_the_ratios_leave_single_switches_out_and_count_the_images_in(results):
    found = costs.ratios(results).set_index("task")
    assert list(found.index) == ["grpo", "decode", "films"]
    assert found.loc["grpo"].tolist() == [3.0, 2.5, 3.5, 5]
    assert found.loc["films"].tolist() == [35.0, 30.0, 40.0, 3]


def test_the_figure_says_its_numbers_to_who_cannot_see_it(results):
    shown = costs.speed_figure(results).text
    assert "GRPO step: 3: 3 (2.5 to 3.5)" in shown
    assert "3 to 5 rounds" in shown


def test_the_stages_are_summed_and_the_largest_saving_is_named(results):
    shown = costs.stages_figure("decode", results).text
    assert "6.0 s before, 4.0 s after" in shown
    assert "Most is saved in: new tokens." in shown
    assert "prompts, the libraries as they come: 2" in shown


def test_the_least_gain_is_named_with_what_no_side_can_save(results):
    assert costs.slowest(results) == ("greedy answers, Gemma 3", "1.50", "50%")


def test_a_measured_gpu_is_shown(results):
    assert "Not measured yet" in str(costs.gpu(results))
    pd.DataFrame({"device": ["a made-up card"], "peak_gb": [61.5]}).to_csv(
        results / "benchmarks" / "gpu.csv", index=False
    )
    assert "61.5" in costs.gpu(results).text


def test_without_measurements_each_part_says_how_to_get_them(tmp_path):
    for part in (costs.speed_figure, lambda where: costs.stages_figure("grpo", where), costs.memory):
        assert "python benchmarks/speed.py" in part(tmp_path).text
    assert costs.slowest(tmp_path) == ("–", "–", "–")


def test_a_vllm_that_was_refused_is_told_from_one_that_agrees(tmp_path):
    assert "Not measured yet" in costs.engines(tmp_path).text
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "vllm.csv").write_text(
        "family,model,device,vllm,transformers,prompt_apart,prompt_apart_causal,answers,same_answer,same_labels\n"
        "qwen,stand-in,cpu,0.32,5.19,1.26e-06,1.26e-06,50,0.98,1.0\n"
        "medgemma,stand-in,cpu,0.32,5.19,0.756,2e-06,,,\n"
    )
    shown = costs.engines(tmp_path).text
    assert "98% of 50" in shown
    assert "100% of 50" in shown
    assert shown.count("not asked") == 2
    assert "0.8" in shown
