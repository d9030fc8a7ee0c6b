"""Sphinx extension: each page's kernel listens in a folder of its own (`companion.workflow.batch.private_kernel`).

Pages are executed side by side. The kernels would ask the system for free ports and take them a moment later, when
another page's kernel may have them: the build then ended with "Address already in use".
"""

from typing import Any

from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from myst_nb.core.execute import direct
from sphinx.application import Sphinx

from companion.workflow.batch import private_kernel


def execute(*given: Any, **options: Any) -> ExecutionResult:
    """Execute a page's cells as MyST-NB would, by a private kernel."""
    with private_kernel() as private:
        return single_nb_execution(*given, config=private, **options)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    direct.single_nb_execution = execute  # MyST-NB has no setting for what it passes on
    return {"parallel_read_safe": True, "parallel_write_safe": True}
