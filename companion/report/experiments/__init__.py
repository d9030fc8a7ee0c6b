"""The experiment's chapters: the plan's tables, and for each question a figure and what it says.

`answers` reads what is there and sets it against one another; the other modules are one a question. Everything is
computed from ``results/experiment``; nothing here trains.
"""

from companion.report.experiments.answers import changed, compare, compared, significance
from companion.report.experiments.names import HARD, NAMES, NUANCED, SFT, model

__all__ = ["HARD", "NAMES", "NUANCED", "SFT", "changed", "compare", "compared", "model", "significance"]
