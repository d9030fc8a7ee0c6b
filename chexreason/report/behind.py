"""What stands behind a table or figure: for each run all that a number of it leads back to."""

from collections.abc import Iterable

from chexreason.report.theme import escape
from chexreason.runs import Run


def runs_behind(runs: Iterable[Run]) -> str:
    """The runs as a list to unfold: tier, n, seed, settings' digest, date, device, revision, executed notebook."""
    lines = [f"<li><code>{escape(run.run_id)}</code>: {escape(_facts(run))}</li>" for run in runs]
    if not lines:
        return ""
    title = f"The runs behind this ({len(lines)})"
    return f'<details class="cxr-runs"><summary>{title}</summary><ul>{"".join(lines)}</ul></details>'


def _facts(run: Run) -> str:
    info, git = run.info, run.info["git"]
    return ", ".join(
        [
            str(info["tier"]),
            f"n = {info['n']}",
            f"seed {info['seed']}",
            f"settings {info['config_digest'][:12]}",
            str(info["started"])[:10],
            str(info.get("device", "device not noted")),
            f"revision {str(git['revision'])[:7]}" + (" with changes" if git["dirty"] else ""),
            f"executed notebook {run.run_id[:2]}_{info['stage']}",
        ]
    )
