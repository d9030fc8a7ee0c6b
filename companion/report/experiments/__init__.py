"""The experiment's chapters: the plan's tables, and for each question a figure and what it says.

`answers` reads what is there and sets it against one another; the other modules are one a question. Everything is
computed from ``results/experiment``; nothing here trains.
"""

from companion.report.experiments import (
    answers,
    cells,
    collapse,
    cures,
    health,
    posthoc,
    scaffold,
    selection,
    trainings,
)
from companion.report.experiments.answers import changed, compare, compared, have, told
from companion.report.experiments.names import HARD, NAMES, NUANCED, SFT, model
from companion.report.experiments.plan import again, arms_table

__all__ = [
    "HARD",
    "NAMES",
    "NUANCED",
    "SFT",
    "again",
    "answers",
    "arms_table",
    "cells",
    "changed",
    "collapse",
    "compare",
    "compared",
    "cures",
    "have",
    "health",
    "model",
    "posthoc",
    "scaffold",
    "selection",
    "told",
    "trainings",
]
