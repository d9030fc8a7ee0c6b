"""What stands behind a table or figure: for each run all that a number of it leads back to."""

from collections.abc import Iterable

from chexreason.runs import Run
from companion.evidence.sections import STAGES
from companion.report.theme import escape

#: Where the runs of our own experiment are described; no notebook has made them.
PLAN = "plan.html"


def runs_behind(runs: Iterable[Run]) -> str:
    """The runs as a list to unfold: tier, n, seed, settings' digest, date, device, revision, executed notebook."""
    lines = [f"<li><code>{escape(run.run_id)}</code>: {escape(_facts(run))}, {_made_by(run)}</li>" for run in runs]
    if not lines:
        return ""
    title = f"The runs behind this ({len(lines)})"
    return f'<details class="cxr-runs"><summary>{title}</summary><ul>{"".join(lines)}</ul></details>'


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
    stage = STAGES.get(str(run.info["stage"]))
    if stage is None or not run.run_id.startswith(f"{stage.number}-"):
        return f'<a href="{PLAN}">an arm of the experiment</a>'
    return f'<a href="notebooks/{stage.notebook}.html">executed notebook {stage.notebook}</a>'
