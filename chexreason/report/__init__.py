"""Every table, figure and sentence of the book; the only part of the package that its pages import.

`evidence` reads the paper's values and a profile's runs, `tables` and `figures` draw them (Tables 1 to
6, Figures 1 to 3), `sentences` says what they say, `differences` takes a change apart, `front_page` sums up,
`audit_figures`, `audit_counts`, `audit_pages` and `verdict_table` show what the paper's own numbers support,
`experiments` what our experiment says, `pages`, `phantoms`, `data_card` and `notebooks` fill the pages about settings,
prompts, data, models, films, their card and executed notebooks; `cooccurrence` holds the phantoms' labels against
published counts. Nothing here trains or decodes, and torch is not imported, so that the book builds without it.
"""

from chexreason.evidence import gather, profile, published
from chexreason.report import audit_counts, audit_figures, audit_pages, differences, experiments, pages, sentences
from chexreason.report.figures import figure
from chexreason.report.front_page import front, tiers
from chexreason.report.tables import frame_table, runs_table, shared_findings, table
from chexreason.report.verdict_table import ledger
from chexreason.report.visible import recorded_and_visible

__all__ = [
    "audit_counts",
    "audit_figures",
    "audit_pages",
    "differences",
    "experiments",
    "figure",
    "frame_table",
    "front",
    "gather",
    "ledger",
    "pages",
    "profile",
    "published",
    "recorded_and_visible",
    "runs_table",
    "sentences",
    "shared_findings",
    "table",
    "tiers",
]
