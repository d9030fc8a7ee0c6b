"""What the study costs: time on this laptop, the same work with the libraries as they come, and on a GPU.

All but the times of the profile's own stages is read from `results/benchmarks/`, where `benchmarks/` writes it.
"""

import pandas as pd

from chexreason import runs
from chexreason.config import RESULTS
from chexreason.recipe import GRPO
from chexreason.settings import origins
from companion.evidence.stats import Interval
from companion.evidence.tables import profile, read_runs
from companion.report.frames import frame_table
from companion.report.plots import picture, short
from companion.report.theme import Html, badge, block
from companion.speed.switches import Speed

FOLDER = RESULTS / "benchmarks"
#: task of speed.csv -> what it is called here
TASKS = {
    "grpo": "GRPO step",
    "sft": "SFT epoch, Gemma 3",
    "sft-qwen": "SFT epoch, Qwen2.5-VL",
    "decode": "greedy answers, Gemma 3",
    "decode-qwen": "greedy answers, Qwen2.5-VL",
    "bootstrap": "paired bootstrap",
    "films": "images, read again",
}
FAMILIES = {"medgemma": "Gemma 3", "qwen": "Qwen2.5-VL", "nv_reason": "Qwen2.5-VL (NV-Reason)"}
SIDES = {"stock": "the libraries as they come", "ours": "this repository"}
LIBRARIES = ("torch", "transformers", "trl", "peft", "scikit-learn")


def measured(name: str) -> pd.DataFrame:
    """A table of the benchmarks."""
    return pd.read_csv(FOLDER / f"{name}.csv")


def _facts(*facts: str) -> str:
    return badge("miniature", "models of three million weights", *facts)


def laptop() -> Html:
    """What each stage of the shown profile took when its runs were made."""
    found = pd.DataFrame([run.info for run in read_runs(profile()).values()])
    rows = [
        (stage, len(of), of["seconds"].sum() / 60, ", ".join(sorted(set(of["device"].astype(str)))))
        for stage in runs.STAGES
        if len(of := found[found["stage"] == stage])
    ]
    rows.append(("together", len(found), found["seconds"].sum() / 60, ""))
    shown = pd.DataFrame(rows, columns=["Stage", "Runs", "Minutes", "Device"])
    shown["Minutes"] = shown["Minutes"].map("{:.1f}".format)
    head = badge(found["tier"][0], profile(), "as noted in each run's run.json")
    return frame_table(shown, "What each stage took", head=head)


def _whole() -> pd.DataFrame:
    """speed.csv with all switches on, a row a task in the order of `TASKS`; images have a ratio alone."""
    images = measured("films")["ratio"]
    row = {"ratio": images.median(), "ratio_least": images.min(), "ratio_most": images.max(), "rounds": len(images)}
    found = measured("speed").query("switches == 'all'").set_index("task").drop("films", errors="ignore")
    found = pd.concat([found, pd.DataFrame(row, index=["films"])])
    return found.reindex(list(TASKS)).dropna(subset="ratio").rename(index=TASKS)


def tokens() -> dict[str, str]:
    """The most tokens of a prompt and of a trace, by either published tokenizer, and those that an answer may have."""
    most = measured("tokens").groupby("kind")["most"].max()
    return {kind: f"{most[kind]:,}" for kind in most.index} | {"room": f"{GRPO().max_completion_length:,}"}


def speed_figure() -> Html:
    """How many times the libraries' time is ours: median and range over rounds, on a logarithmic axis."""
    found = _whole()
    shown = {f"{task}: {short(one['ratio'])}": Interval(one["ratio"], one["ratio_least"], one["ratio_most"])
             for task, one in found.iterrows()}  # fmt: skip
    rounds = " to ".join(dict.fromkeys(f"{n:.0f}" for n in (found["rounds"].min(), found["rounds"].max())))
    return picture(
        "How many times as fast?",
        _facts(f"median and range of {rounds} rounds", "greedy answers on all cores, else one thread"),
        {"Times as fast": {"": shown}}, "times as fast (logarithmic)",
        "Right of the line, this repository needs less time than TRL, transformers, scikit-learn and PIL as they come, "
        "for the same numbers. Each round runs both sides in turn on the same studies; a "
        "point is the median of the rounds' ratios, which need not be the ratio of the medians in the table below.",
        columns=1, line=1, xscale="log",
    )  # fmt: skip


def stages_figure(*tasks: str) -> Html:
    """Processor seconds by stage of some tasks, before and after."""
    found, panels, said = measured("stages"), {}, []
    for task in tasks:
        wide = found[found["task"] == task].pivot(index="stage", columns="side", values="cpu_s").fillna(0.0)
        wide, total = wide.sort_values("stock", ascending=False), wide.sum()
        panels[TASKS[task]] = {name: wide[side].to_dict() for side, name in SIDES.items()}
        said.append(f"{TASKS[task]}: {total['stock']:.1f} s before, {total['ours']:.1f} s after; most is saved in "
                    f"{(wide['stock'] - wide['ours']).idxmax()}.")  # fmt: skip
    return picture("Where the time goes", _facts("one thread"), panels, "processor seconds", " ".join(said), line=None,
                   xlim=(0, None))  # fmt: skip


def slowest() -> tuple[str, str, str]:
    """The task with the least gain, that gain, and the share of decoding's time that no side can save."""
    ratios = _whole()["ratio"]
    ours = measured("stages").query("task == 'decode' and side == 'ours'").set_index("stage")["cpu_s"]
    shared = ours.drop(["new tokens", "rest"], errors="ignore").sum() / ours.sum()
    return str(ratios.idxmin()), f"{ratios.min():.2f}", f"{shared:.0%}"


def memory() -> Html:
    """Seconds and the most memory of each task on both sides."""
    columns = {"stock_s": "Seconds, stock", "ours_s": "Seconds, ours", "stock_peak_mb": "Peak MB, stock",
               "ours_peak_mb": "Peak MB, ours"}  # fmt: skip
    found = _whole().drop(TASKS["films"]).rename_axis("Task")
    shown = found[list(columns)].map(lambda value: f"{value:.3g}" if value < 1000 else f"{value:.0f}")
    on = measured("speed").iloc[-1]
    facts = f"{on['processor']}, {on['cores']} cores; greedy answers use all, the rest one"
    head = _facts(facts, ", ".join(f"{name} {on[name]}" for name in LIBRARIES))
    label = "Seconds and peak memory of each task on both sides"
    return frame_table(shown.rename(columns=columns).reset_index(), label, head=head)


def switches() -> Html:
    """What each switch gives by itself and on top of the others: a row a task and switch."""
    times = {
        (one["task"], one["switches"]): f"{one['ratio']:.2f} ({one['ratio_least']:.2f} to {one['ratio_most']:.2f})"
        for one in measured("speed").dropna(subset="switches").to_dict("records")
    }
    exact = {name: origin.why for name, _, origin in origins(Speed)}
    rows = [
        {
            "Task": f"{TASKS[task]}; all: {times[task, 'all']}", "Switch": names, "alone": cell,
            "all but this": times.get((task, f"all but {names}"), "–"),
            "same numbers?": "; ".join(dict.fromkeys(exact[name] for name in names.split("+") if name in exact)),
        }
        for (task, names), cell in times.items()
        if not names.startswith("all")
    ]  # fmt: skip
    table = pd.DataFrame(rows).sort_values("Task", kind="stable")
    head = _facts("times as fast as stock; median and range of the rounds")
    return frame_table(table, "What each switch gives", wrap=list(rows[0]), dense=True, head=head)


def engines() -> Html:
    """Whether vLLM says what transformers says, a column a model that both were asked with."""
    found = measured("vllm")
    shown = pd.DataFrame(
        {
            "": found["family"].map(FAMILIES) + ", " + found["model"],
            "apart on a prompt": found["prompt_apart"].map("{:.1g}".format),
            "apart if image tokens see only those before": found["prompt_apart_causal"].map("{:.1g}".format),
            "same answer to the last token": found["same_answer"].map("{:.0%}".format),
            "same labels": found["same_labels"].map("{:.0%}".format),
            "answers": found["answers"].map("{:.0f}".format),
            "ran on": found["device"] + ", vLLM " + found["vllm"] + ", transformers " + found["transformers"],
        }
    )
    # vLLM is not asked for answers where it is refused.
    shown = shown.replace(["nan%", "nan"], "not asked").set_index("").T.rename_axis("").reset_index()
    head = badge("miniature", "three million weights, made for this") if set(found["model"]) == {"stand-in"} else ""
    said = "Mean difference of the log-probabilities of a prompt's tokens, and greedy answers of vLLM and transformers"
    return frame_table(shown, said, wrap=list(shown.columns), dense=True, head=head)


def gpu() -> Html:
    """Memory, seconds a step and projected hours of the real architectures, where a GPU has measured them."""
    if not (FOLDER / "gpu.csv").is_file():
        return block(
            '<p class="cxr-note">Not measured yet: <code>python benchmarks/gpu_proof.py</code> builds the real '
            "architectures with random weights, runs the paper's steps on them, and writes peak memory, seconds a step "
            "and the projected hours of the whole study into <code>results/benchmarks/gpu.csv</code>, which this page "
            "then shows.</p>"
        )
    return frame_table(measured("gpu"), "Memory and time of the real architectures on a GPU", dense=True)
