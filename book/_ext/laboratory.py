"""Sphinx extension: the laboratory's scripts and what they are given, beside the pages, and exercises on pages.

    ```{exercise} advantages
    ```

is the exercise of that file in `book/exercises`: its task, what there is to begin from, and the command that checks it,
which is all that a page without scripts shows.
"""

import shutil
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SCRIPTS = ("words", "twin", "stats", "parts", "exercises-data", "python-data", "python", "exercise")


class ExerciseDirective(SphinxDirective):
    """An exercise by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The pieces of the page."""
        from companion.lab import exercises
        from companion.report.theme import escape

        one = exercises.get(self.arguments[0])
        self.env.note_dependency(str(exercises.FOLDER / f"{one.name}.py"))
        task = nodes.container(classes=["lab-task"])
        self.state.nested_parse(StringList(one.task.splitlines(), one.name), self.content_offset, task)
        head = (
            f'<section class="lab lab-exercise" data-exercise="{escape(one.name)}" id="exercise-{escape(one.name)}">'
            f'<h3>{escape(one.title)}<span class="lab-mark"></span></h3>'
        )
        shown = nodes.literal_block(given := exercises.begun(one), given, language="python")
        command = (
            "<details open><summary>In an editor of your own</summary>"
            f"<p><code>chexreason exercise {escape(one.name)}</code> writes this file and checks it.</p>"
        )
        end = f"</details></section>{self._scripts()}"
        return [self._html(head), task, self._html(command), shown, self._html(end)]

    def _html(self, text: str) -> nodes.raw:
        return nodes.raw("", text, format="html")

    def _scripts(self) -> str:
        """The scripts, once a page."""
        if getattr(self.state.document, "has_exercises", False):
            return ""
        self.state.document.has_exercises = True
        place = "../" * self.env.docname.count("/") + "_static/lab"
        return "".join(f'<script defer src="{place}/{name}.js"></script>' for name in SCRIPTS)


def copy(app: Sphinx, error: Exception | None) -> None:
    """Copy the scripts and write their data once all pages are there."""
    if error or app.builder.format != "html":
        return
    from companion.lab import export

    target = Path(app.outdir) / "_static" / "lab"
    export.write(target)
    for script in sorted((Path(app.srcdir) / "_lab").glob("*.js")):
        shutil.copy(script, target / script.name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("exercise", ExerciseDirective)
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
