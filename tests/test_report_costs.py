"""The page *What it costs*: its figures and sentences follow the tables that the benchmarks write."""

import pandas as pd
import pytest
from chapter import cells_of

from companion.report import costs

TABLES = {
    "speed": """task,switches,ratio,ratio_least,ratio_most,rounds,stock_s,ours_s,stock_peak_mb,ours_peak_mb
grpo,all,3.0,2.5,3.5,5,12,4,1500,800
grpo,one_prefill,1.2,1.1,1.3,5,12,10,1500,1400
grpo,all but one_prefill,2.4,2.3,2.5,5,12,5,1500,1400
decode,all,1.5,1.25,1.75,3,6,4,700,650
""",
    "stages": """task,side,stage,cpu_s
decode,stock,prompts,2.0
decode,stock,new tokens,3.5
decode,stock,rest,0.5
decode,ours,prompts,2.0
decode,ours,new tokens,1.5
decode,ours,rest,0.5
""",
    "films": "round,ratio\n0,30\n1,40\n2,35\n",
    "vllm": """family,model,device,vllm,transformers,prompt_apart,prompt_apart_causal,answers,same_answer,same_labels
qwen,stand-in,cpu,0.32.0,5.19.0,1.26e-06,1.26e-06,50,0.98,1.0
medgemma,stand-in,cpu,0.32.0,5.19.0,0.756,2e-06,,,
""",
}


@pytest.fixture(autouse=True)
def measured(tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "FOLDER", tmp_path)
    for name, text in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(text)
    on = {"processor": "a made-up one", "cores": 2, **dict.fromkeys(costs.LIBRARIES, "1.0")}
    pd.read_csv(tmp_path / "speed.csv").assign(**on).to_csv(tmp_path / "speed.csv", index=False)
    return tmp_path


def test_the_figures_leave_single_switches_out_count_the_images_in_and_say_their_numbers():
    shown = costs.speed_figure().text
    for told in ("GRPO step: 3: 3 (2.5 to 3.5)", "images, read again: 35: 35 (30 to 40)", "3 to 5 rounds",
                 "The numbers (3)"):  # fmt: skip
        assert told in shown
    stages = costs.stages_figure("decode").text
    assert "6.0 s before, 4.0 s after; most is saved in new tokens." in stages
    assert "prompts, the libraries as they come: 2" in stages


def test_the_least_gain_is_named_with_what_no_side_can_save():
    assert costs.slowest() == ("greedy answers, Gemma 3", "1.50", "50%")


def test_tables_show_both_sides_and_each_switch_alone_and_left_out():
    assert cells_of(costs.memory().text, "GRPO step") == ["12", "4", "1500", "800"]
    alone, without = "1.20 (1.10 to 1.30)", "2.40 (2.30 to 2.50)"
    assert cells_of(costs.switches().text, "GRPO step; all: 3.00 (2.50 to 3.50)")[:3] == ["one_prefill", alone, without]


def test_a_measured_gpu_is_shown(measured):
    assert "Not measured yet" in costs.gpu().text
    pd.DataFrame({"device": ["a made-up card"], "peak_gb": [61.5]}).to_csv(measured / "gpu.csv", index=False)
    assert "61.5" in costs.gpu().text


def test_a_vllm_that_was_refused_is_told_from_one_that_agrees():
    shown = costs.engines().text
    assert cells_of(shown, "same answer to the last token") == ["98%", "not asked"]
    assert cells_of(shown, "same labels") == ["100%", "not asked"]
    assert cells_of(shown, "answers") == ["50", "not asked"]
    assert cells_of(shown, "apart on a prompt") == ["1e-06", "0.8"]
