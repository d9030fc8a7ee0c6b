"""What the study costs: time on this laptop, the same work with the libraries as they come, and on a GPU."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from chexreason import runs
from chexreason.config import RESULTS
from companion.evidence import tables as evidence
from companion.report.audit_figures import book_style
from companion.report.plots import framed, to_svg
from companion.report.tables import frame_table
from companion.report.theme import INK, SERIES, Html, Prose, badge, block, escape

#: task of results/benchmarks/speed.csv -> what it is called here
TASKS = {
    "grpo": "GRPO step",
    "sft": "SFT epoch, Gemma 3",
    "sft-qwen": "SFT epoch, Qwen2.5-VL",
    "decode": "greedy answers, Gemma 3",
    "decode-qwen": "greedy answers, Qwen2.5-VL",
    "bootstrap": "paired bootstrap",
    "films": "films, read again",
}
FAMILIES = {"medgemma": "Gemma 3", "qwen": "Qwen2.5-VL", "nv_reason": "Qwen2.5-VL (NV-Reason)"}
SIDES = {"stock": "the libraries as they come", "ours": "this repository"}
LIBRARIES = ("torch", "transformers", "trl", "peft", "scikit-learn")
NOT_YET = "Not measured yet:"


def _table(name: str, results: Path | None) -> pd.DataFrame | None:
    path = (results or RESULTS) / "benchmarks" / f"{name}.csv"
    return pd.read_csv(path) if path.is_file() else None


def laptop(profile: str | None = None, results: Path | None = None) -> Html:
    """What each stage of the shown profile took when its runs were made."""
    name = profile or evidence.profile()
    rows = []
    found = [run.info for run in runs.read_all((results or RESULTS) / name)]
    for stage in runs.STAGES:
        made = [info for info in found if info["stage"] == stage]
        if made:
            seconds = sum(info["seconds"] for info in made)
            devices = ", ".join(sorted({str(info["device"]) for info in made}))
            rows.append({"Stage": stage, "Runs": len(made), "Minutes": f"{seconds / 60:.1f}", "Device": devices})
    total = sum(info["seconds"] for info in found)
    rows.append({"Stage": "together", "Runs": len(found), "Minutes": f"{total / 60:.1f}", "Device": ""})
    head = badge(found[0]["tier"], name, "as noted in each run's run.json") if found else ""
    return block(f'<div class="cxr-head">{head}</div>') + frame_table(pd.DataFrame(rows), "What each stage took")


def ratios(results: Path | None = None) -> pd.DataFrame:
    """task, ratio, least, most: how many times the libraries' time is ours; median and range over rounds."""
    found, films = _table("speed", results), _table("films", results)
    parts = []
    if found is not None:
        whole = found[found["switches"] == "all"]
        parts.append(whole.rename(columns={"ratio_least": "least", "ratio_most": "most"}))
    if films is not None:
        each = films["ratio"]
        one = {"task": "films", "ratio": each.median(), "least": each.min(), "most": each.max(), "rounds": len(each)}
        parts.append(pd.DataFrame([one]))
    if not parts:
        return pd.DataFrame(columns=["task", "ratio", "least", "most", "rounds"])
    together = pd.concat(parts).set_index("task").reindex(list(TASKS)).dropna(subset="ratio")
    return together[["ratio", "least", "most", "rounds"]].reset_index()


def speed_figure(results: Path | None = None) -> Html:
    """The ratios as points with their range, on a logarithmic axis."""
    found = ratios(results)
    if found.empty:
        return _missing()
    colour, _, marker = SERIES[0]
    with book_style():
        drawing = Figure(figsize=(7.2, 0.95 + 0.32 * len(found)), layout="constrained")
        axes = drawing.add_subplot()
        axes.axvline(1, color=INK, linewidth=0.8)
        for row, one in enumerate(found.to_dict("records")):
            axes.plot([one["least"], one["most"]], [row, row], color=colour, linewidth=2)
            axes.plot([one["ratio"]], [row], marker, color=colour, markersize=6)
            axes.annotate(_times(one["ratio"]), (one["most"], row), (6, 0), textcoords="offset points", va="center")
        axes.set(xscale="log", xlabel="times as fast (logarithmic)", ylim=(len(found) - 0.5, -0.5))
        axes.set_xlim(0.8, found["most"].max() * 3)
        axes.set_yticks(range(len(found)), [TASKS[task] for task in found["task"]])
        axes.grid(visible=False, axis="y")
        said = "; ".join(f"{TASKS[one['task']]} {_times(one['ratio'])}" for one in found.to_dict("records"))
        shown = to_svg(drawing, f"Times as fast as the libraries as they come. {said}.")
    return framed(
        "How many times as fast?",
        _facts(f"median and range of {_rounds(found)} rounds", "greedy answers on all cores, else one thread"),
        [shown],
        "Right of the line, this repository needs less time than TRL, transformers, scikit-learn and PIL as they come, "
        "for the same numbers. Each round runs both sides in turn on the same studies; a "
        "point is the median of the rounds' ratios, which need not be the ratio of the medians in the table below.",
        columns=1,
    )


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _rounds(found: pd.DataFrame) -> str:
    least, most = int(found["rounds"].min()), int(found["rounds"].max())
    return str(least) if least == most else f"{least} to {most}"


def stages_figure(task: str, results: Path | None = None) -> Html:
    """Processor seconds by stage of a task, before and after: two bars a stage."""
    found = _table("stages", results)
    found = None if found is None else found[found["task"] == task]
    if found is None or found.empty:
        return _missing()
    wide = found.pivot(index="stage", columns="side", values="cpu_s").fillna(0.0)
    wide = wide.loc[wide["stock"].sort_values(ascending=False).index]
    with book_style():
        drawing = Figure(figsize=(7.2, 1.1 + 0.42 * len(wide)), layout="constrained")
        axes = drawing.add_subplot()
        for shift, (side, label), (colour, _, _), hatch in zip(
            (-0.2, 0.2), SIDES.items(), SERIES, ("", "//"), strict=False
        ):
            places = np.arange(len(wide)) + shift
            axes.barh(places, wide[side], 0.36, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.4, label=label)
        axes.set_yticks(range(len(wide)), list(wide.index))
        axes.set(xlabel="processor seconds", ylim=(len(wide) - 0.4, -0.6))
        axes.xaxis.set_major_locator(MultipleLocator(0.5 if wide.to_numpy().max() < 5 else 1))
        axes.grid(visible=False, axis="y")
        drawing.legend(loc="outside lower center", ncols=2, frameon=False)
        said = "; ".join(
            f"{stage} {row['stock']:.2f} before, {row['ours']:.2f} after" for stage, row in wide.iterrows()
        )
        shown = to_svg(drawing, f"{TASKS[task]}, by stage. {said}.")
    before, after = wide["stock"].sum(), wide["ours"].sum()
    largest = (wide["stock"] - wide["ours"]).idxmax()
    return framed(
        f"{TASKS[task]}: where the time goes",
        _facts(f"{before:.1f} s before, {after:.1f} s after", "one thread"),
        [shown],
        f"Solid bars are the libraries as they come, hatched bars this repository. Most is saved in: {largest}.",
        columns=1,
    )


def _facts(*facts: str) -> str:
    return badge("miniature", "models of three million weights", *facts)


def _missing() -> Html:
    return block(f"<p>{escape(NOT_YET)} run <code>python benchmarks/speed.py</code>.</p>")


def memory(results: Path | None = None) -> Html:
    """The most memory of each task on both sides, in MB."""
    found = _table("speed", results)
    if found is None:
        return _missing()
    whole = found[found["switches"] == "all"].set_index("task").reindex([task for task in TASKS if task != "films"])
    rows = [
        {
            "Task": TASKS[str(task)],
            "Seconds, stock": f"{row['stock_s']:.3g}",
            "Seconds, ours": f"{row['ours_s']:.3g}",
            "Peak MB, stock": f"{row['stock_peak_mb']:.0f}",
            "Peak MB, ours": f"{row['ours_peak_mb']:.0f}",
        }
        for task, row in whole.dropna(subset="ratio").iterrows()
    ]
    on = found.iloc[-1]
    libraries = ", ".join(f"{name} {on[name]}" for name in LIBRARIES if name in on)
    head = (
        _facts(f"{on['processor']}, {on['cores']} cores; greedy answers use all, the rest one", libraries)
        if "processor" in on
        else ""
    )
    table = frame_table(pd.DataFrame(rows), "Seconds and peak memory of each task on both sides")
    return block(f'<div class="cxr-head">{head}</div>') + table


def slowest(results: Path | None = None) -> Prose:
    """What gains least, and how much of it no side can save, from the stages of decoding."""
    found, stages = ratios(results), _table("stages", results)
    if found.empty or stages is None or "decode" not in set(stages["task"]):
        return Prose(f"*{NOT_YET}* where the time of decoding goes.")
    least = min(found.to_dict("records"), key=lambda one: float(one["ratio"]))
    ours = stages[(stages["task"] == "decode") & (stages["side"] == "ours")].set_index("stage")["cpu_s"]
    shared = ours.drop(["new tokens", "rest"], errors="ignore").sum() / ours.sum()
    return Prose(
        f"The least gain, {least['ratio']:.2f} times, is in: {TASKS[least['task']]}. Of decoding's time that is left, "
        f"{shared:.0%} goes into reading the films, the vision tower and the prompts, which both sides do once a film."
    )


def engines(results: Path | None = None) -> Html | Prose:
    """Whether vLLM says what transformers says, a row a model that both were asked with."""
    found = _table("vllm", results)
    if found is None:
        return Prose(f"*{NOT_YET}* `python benchmarks/vllm_agreement.py --stand-in` compares the two.")
    columns: dict[str, dict[str, str]] = {}
    for one in found.to_dict("records"):
        same = {"same answer to the last token": one["same_answer"], "same labels": one["same_labels"]}
        asked = one["answers"] > 0  # not where it is missing: vLLM was refused
        columns[f"{FAMILIES[one['family']]}, {one['model']}"] = {
            "apart on a prompt": f"{one['prompt_apart']:.1g}",
            "apart if film tokens see only those before": f"{one['prompt_apart_causal']:.1g}",
            **{what: f"{share:.0%} of {one['answers']:.0f}" if asked else "not asked" for what, share in same.items()},
            "ran on": f"{one['device']}, vLLM {one['vllm']}, transformers {one['transformers']}",
        }
    head = badge("miniature", "three million weights, made for this") if set(found["model"]) == {"stand-in"} else ""
    said = "Mean difference of the log-probabilities of a prompt's tokens, and greedy answers of vLLM and transformers"
    table = pd.DataFrame(columns).rename_axis("").reset_index()
    shown = frame_table(table, said, wrap=tuple(table.columns), dense=True)
    return block(f'<div class="cxr-head">{head}</div>') + shown


def gpu(results: Path | None = None) -> Html | Prose:
    """Memory, seconds a step and projected hours of the real architectures, where a GPU has measured them."""
    found = _table("gpu", results)
    if found is None:
        return Prose(
            f"*{NOT_YET}* no GPU was at hand when this book was built. `python benchmarks/gpu_proof.py` builds the "
            "real architectures with random weights, runs the paper's steps on them, and writes peak memory, seconds a "
            "step and the projected hours of the whole study into `results/benchmarks/gpu.csv`, which this page then "
            "shows."
        )
    return frame_table(found, "Memory and time of the real architectures on a GPU", dense=True)
