"""The experiment's chapters: the plan's tables, and for each question a figure and what it says.

`answers` reads what is there, `intervals` draws estimates with their intervals; the other modules are
one a question. Everything is computed from ``results/experiment``; nothing here trains.
"""

from companion.report.experiments import cells, collapse, cures, dose, health, posthoc, scaffold, selection, trainings
from companion.report.experiments.plan import again, arms_table, sizes

__all__ = [
    "again",
    "arms_table",
    "cells",
    "collapse",
    "cures",
    "dose",
    "health",
    "posthoc",
    "scaffold",
    "selection",
    "sizes",
    "trainings",
]
