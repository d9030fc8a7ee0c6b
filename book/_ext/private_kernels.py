"""Sphinx extension: each page's kernel listens in a folder of its own (`companion.workflow.batch.private_kernel`).

Pages are executed side by side. The kernels would ask the system for free ports and take them a moment later, when
another page's kernel may have them: the build then ended with "Address already in use". MyST-NB executes a page in one
of two ways, before it is rendered or, for values inside sentences, while it is; it has no setting for either's kernel.
"""

from contextlib import ExitStack
from functools import partial
from typing import Any

import myst_nb.core.execute as execution
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from myst_nb.core.execute import direct, inline
from sphinx.application import Sphinx

from companion.workflow.batch import private_kernel

PLAIN = inline.ModifiedNotebookClient


def execute(*given: Any, **options: Any) -> ExecutionResult:
    """Execute a page's cells as MyST-NB would, by a private kernel."""
    with private_kernel() as private:
        return single_nb_execution(*given, config=private, **options)


class Inline(inline.NotebookClientInline):
    """Executes a page while it is rendered, by a private kernel."""

    def start_client(self) -> None:
        """Start the kernel."""
        self._private = ExitStack()
        inline.ModifiedNotebookClient = partial(PLAIN, config=self._private.enter_context(private_kernel()))
        super().start_client()

    def close_client(self, *error: Any) -> None:
        """Stop the kernel; a page that failed ends the build, as it does in the other way."""
        super().close_client(*error)
        self._private.close()


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    direct.single_nb_execution = execute
    execution.NotebookClientInline = Inline
    return {"parallel_read_safe": True, "parallel_write_safe": True}
