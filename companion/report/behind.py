"""What stands behind a table or figure: for each run all that a number of it leads back to."""

from collections.abc import Iterable

from chexreason.cohorts import NOT_THERE, place_of
from chexreason.data import SOURCES
from chexreason.runs import Run
from companion.evidence.sections import STAGES
from companion.evidence.tables import OWN
from companion.report.theme import escape

#: Where the runs of our own experiment are described; no notebook has made them.
PLAN = "plan.html"


def runs_behind(runs: Iterable[Run]) -> str:
    """Images that were not there; then the runs to unfold: tier, n, seed, settings, date, device, revision, link."""
    runs = list(runs)
    lines = [f"<li><code>{escape(run.run_id)}</code>: {escape(_facts(run))}, {_made_by(run)}</li>" for run in runs]
    if not lines:
        return ""
    title = f"The runs behind this ({len(lines)})"
    return f'{_not_there(runs)}<details class="cxr-runs"><summary>{title}</summary><ul>{"".join(lines)}</ul></details>'


def _not_there(runs: Iterable[Run]) -> str:
    """A note on the studies that are missing from the runs' cohorts, if any are."""
    lacking: dict[str, None] = {}
    for info in (run.info for run in runs):
        scored = info.get("left_out", {}).get(NOT_THERE, 0) + info.get("unreadable", {}).get("count", 0)
        trained = sum(info.get("trained_left_out", {}).values())
        place = info.get("dataset", ""), info.get("split", "")
        for count, (dataset, split) in ((scored, place), (trained, place_of("sft"))):
            if count:
                lacking[f"{count:,} of {SOURCES[dataset].title}, {split} split"] = None
    said = f"Studies left out, their image was not there or not readable: {'; '.join(lacking)}."
    return f'<p class="cxr-note">{escape(said)}</p>' if lacking else ""


def _facts(run: Run) -> str:
    info, git = run.info, run.info["git"]
    return ", ".join(
        [
            str(info["tier"]),
            str(info["profile"]),
            f"n = {info['n']}",
            f"seed {info['seed']}",
            f"settings {info['config_digest'][:12]}",
            str(info["started"])[:10],
            str(info.get("device", "device not noted")),
            f"revision {str(git['revision'])[:7]}" + (" with changes" if git["dirty"] else ""),
        ]
    )


def _made_by(run: Run) -> str:
    """The way to the executed notebook, from a page beside the front page."""
    if run.info["stage"] == OWN:
        return "predictions of one's own, scored by <code>chexreason score</code>"
    stage = STAGES.get(str(run.info["stage"]))
    if stage is None or not run.run_id.startswith(f"{stage.number}-"):
        return f'<a href="{PLAN}">an arm of the experiment</a>'
    return f'<a href="notebooks/{stage.notebook}.html">executed notebook {stage.notebook}</a>'
