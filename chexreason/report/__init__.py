"""Every table, figure and sentence of the book; the only part of the package that its pages import.

`evidence` reads the paper's values and a profile's runs, `tables` and `figures` draw them (Tables 1 to
6, Figures 1 to 3), `sentences` says what they say, `pages` fills the pages about settings, prompts,
data, models and phantoms. Nothing here trains or decodes, and torch is not imported, so that the
book builds without it.
"""

from chexreason.report import sentences
from chexreason.report.evidence import evidence, profile, published
from chexreason.report.figures import figure
from chexreason.report.tables import frame_table, table

__all__ = ["evidence", "figure", "frame_table", "profile", "published", "sentences", "table"]
