"""What the study costs: time on this laptop, the same work with the libraries as they come, and on a GPU."""

from pathlib import Path

import pandas as pd

from chexreason import runs
from chexreason.config import RESULTS
from chexreason.settings import origins
from companion.evidence import tables as evidence
from companion.evidence.stats import Interval
from companion.report.frames import frame_table
from companion.report.plots import picture, short
from companion.report.theme import Html, badge, block, escape
from companion.speed.switches import Speed

#: task of results/benchmarks/speed.csv -> what it is called here
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


def _table(name: str, results: Path | None) -> pd.DataFrame | None:
    path = (results or RESULTS) / "benchmarks" / f"{name}.csv"
    return pd.read_csv(path) if path.is_file() else None


def laptop(profile: str | None = None, results: Path | None = None) -> Html:
    """What each stage of the shown profile took when its runs were made."""
    name = profile or evidence.profile()
    found = pd.DataFrame([run.info for run in runs.read_all((results or RESULTS) / name)])
    if found.empty:
        return block(f'<p class="cxr-note">The profile {escape(name)} has no runs.</p>')
    rows = [("together", len(found), found["seconds"].sum(), "")]
    for stage in reversed([stage for stage in runs.STAGES if stage in set(found["stage"])]):
        of = found[found["stage"] == stage]
        rows.insert(0, (stage, len(of), of["seconds"].sum(), ", ".join(sorted(set(of["device"].astype(str))))))
    shown = pd.DataFrame(rows, columns=["Stage", "Runs", "Minutes", "Device"])
    shown["Minutes"] = (shown["Minutes"] / 60).map("{:.1f}".format)
    head = badge(found["tier"][0], name, "as noted in each run's run.json")
    return frame_table(shown, "What each stage took", head=head)


def ratios(results: Path | None = None) -> pd.DataFrame:
    """task, ratio, least, most: how many times the libraries' time is ours; median and range over rounds."""
    found, images = _table("speed", results), _table("films", results)
    parts = []
    if found is not None:
        whole = found[found["switches"] == "all"]
        parts.append(whole.rename(columns={"ratio_least": "least", "ratio_most": "most"}))
    if images is not None:
        each = images["ratio"]
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
    shown = {
        f"{TASKS[one['task']]}: {short(one['ratio'])}": Interval(one["ratio"], one["least"], one["most"])
        for one in found.to_dict("records")
    }
    least, most = int(found["rounds"].min()), int(found["rounds"].max())
    return picture(
        "How many times as fast?",
        _facts(
            f"median and range of {least if least == most else f'{least} to {most}'} rounds",
            "greedy answers on all cores, else one thread",
        ),
        {"Times as fast": {"": shown}},
        "times as fast (logarithmic)",
        "Right of the line, this repository needs less time than TRL, transformers, scikit-learn and PIL as they come, "
        "for the same numbers. Each round runs both sides in turn on the same studies; a "
        "point is the median of the rounds' ratios, which need not be the ratio of the medians in the table below.",
        columns=1,
        line=1,
        xscale="log",
    )


def stages_figure(task: str, results: Path | None = None) -> Html:
    """Processor seconds by stage of a task, before and after."""
    found = _table("stages", results)
    if found is None or task not in set(found["task"]):
        return _missing()
    wide = found[found["task"] == task].pivot(index="stage", columns="side", values="cpu_s").fillna(0.0)
    wide = wide.sort_values("stock", ascending=False)
    largest = (wide["stock"] - wide["ours"]).idxmax()
    return picture(
        f"{TASKS[task]}: where the time goes",
        _facts(f"{wide['stock'].sum():.1f} s before, {wide['ours'].sum():.1f} s after", "one thread"),
        {"By stage": {title: wide[side].to_dict() for side, title in SIDES.items()}},
        "processor seconds",
        f"Most is saved in: {largest}.",
        columns=1,
        line=None,
        xlim=(0, None),
    )


def _facts(*facts: str) -> str:
    return badge("miniature", "models of three million weights", *facts)


def _missing() -> Html:
    return _not_yet("run <code>python benchmarks/speed.py</code>.")


def _not_yet(how: str) -> Html:
    return block(f'<p class="cxr-note">Not measured yet: {how}</p>')


def memory(results: Path | None = None) -> Html:
    """The most memory of each task on both sides, in MB."""
    found = _table("speed", results)
    if found is None:
        return _missing()
    whole = found[(found["switches"] == "all") & (found["task"] != "films")].dropna(subset="ratio").set_index("task")
    whole = whole.reindex([task for task in TASKS if task in whole.index])
    columns = {"stock_s": "Seconds, stock", "ours_s": "Seconds, ours", "stock_peak_mb": "Peak MB, stock",
               "ours_peak_mb": "Peak MB, ours"}  # fmt: skip
    shown = whole[list(columns)].map(lambda value: f"{value:.3g}" if value < 1000 else f"{value:.0f}")
    shown = shown.rename(index=TASKS, columns=columns).rename_axis("Task").reset_index()
    on = found.iloc[-1]
    libraries = ", ".join(f"{name} {on[name]}" for name in LIBRARIES if name in on)
    facts = f"{on['processor']}, {on['cores']} cores; greedy answers use all, the rest one" if "processor" in on else ""
    label = "Seconds and peak memory of each task on both sides"
    return frame_table(shown, label, head=_facts(facts, libraries))


def switches(results: Path | None = None) -> Html:
    """What each switch gives by itself and on top of the others: a row a task and switch."""
    found = _table("speed", results)
    if found is None:
        return _missing()
    times = {
        (row["task"], row["switches"]): f"{row['ratio']:.2f} ({row['ratio_least']:.2f} to {row['ratio_most']:.2f})"
        for row in found.dropna(subset="switches").to_dict("records")
    }
    exact = {name: origin.why for name, _, origin in origins(Speed)}
    rows = [
        {
            "Task": f"{TASKS[task]}; all: {times[task, 'all']}",
            "Switch": names,
            "alone": cell,
            "all but this": times.get((task, f"all but {names}"), "–"),
            "same numbers?": "; ".join(dict.fromkeys(exact[name] for name in names.split("+") if name in exact)),
        }
        for (task, names), cell in times.items()
        if names != "all" and not names.startswith("all but") and (task, "all") in times
    ]
    columns = ["Task", "Switch", "alone", "all but this", "same numbers?"]
    table = pd.DataFrame(rows, columns=columns).sort_values("Task", kind="stable")
    head = _facts("times as fast as stock; median and range of the rounds")
    return frame_table(table, "What each switch gives", wrap=columns, dense=True, head=head)


def slowest(results: Path | None = None) -> tuple[str, str, str]:
    """The task with the least gain, that gain, and the share of decoding's time that no side can save; dashes where
    nothing was measured."""
    found, stages = ratios(results), _table("stages", results)
    if found.empty or stages is None or "decode" not in set(stages["task"]):
        return "–", "–", "–"
    least = found.sort_values("ratio").iloc[0]
    ours = stages.query("task == 'decode' and side == 'ours'").set_index("stage")["cpu_s"]
    shared = ours.drop(["new tokens", "rest"], errors="ignore").sum() / ours.sum()
    return TASKS[str(least["task"])], f"{least['ratio']:.2f}", f"{shared:.0%}"


def engines(results: Path | None = None) -> Html:
    """Whether vLLM says what transformers says, a column a model that both were asked with."""
    found = _table("vllm", results)
    if found is None:
        return _not_yet("<code>python benchmarks/vllm_agreement.py --stand-in</code> compares the two.")
    # `answers` is missing where vLLM was refused.
    shares = {"same_answer": "same answer to the last token", "same_labels": "same labels"}
    shown = pd.DataFrame({
        "": found["family"].map(FAMILIES) + ", " + found["model"],
        "apart on a prompt": found["prompt_apart"].map("{:.1g}".format),
        "apart if image tokens see only those before": found["prompt_apart_causal"].map("{:.1g}".format),
        **{what: [f"{share:.0%} of {n:.0f}" if n > 0 else "not asked"
                  for share, n in zip(found[name], found["answers"], strict=True)] for name, what in shares.items()},
        "ran on": found["device"] + ", vLLM " + found["vllm"].astype(str) + ", transformers "
        + found["transformers"].astype(str),
    }).set_index("").T.rename_axis("").reset_index()  # fmt: skip
    head = badge("miniature", "three million weights, made for this") if set(found["model"]) == {"stand-in"} else ""
    said = "Mean difference of the log-probabilities of a prompt's tokens, and greedy answers of vLLM and transformers"
    return frame_table(shown, said, wrap=list(shown.columns), dense=True, head=head)


def gpu(results: Path | None = None) -> Html:
    """Memory, seconds a step and projected hours of the real architectures, where a GPU has measured them."""
    found = _table("gpu", results)
    if found is None:
        return _not_yet(
            "<code>python benchmarks/gpu_proof.py</code> builds the real architectures with random weights, runs the "
            "paper's steps on them, and writes peak memory, seconds a step and the projected hours of the whole study "
            "into <code>results/benchmarks/gpu.csv</code>, which this page then shows."
        )
    return frame_table(found, "Memory and time of the real architectures on a GPU", dense=True)
