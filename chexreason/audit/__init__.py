"""What the paper's own numbers support: the audit of its tables and its text (tier `published`).

`facts` reads the printed cells and public label counts, `printed` knows what a rounded number may stand
for. On them stand `arithmetic` and `statements` (do the numbers agree), `contradictions` (where the
paper says two things), `attainability` (which scores are possible at all), `matched` (the same findings
on both sides), `lines` (what answers without a film score), `uncertainty` and `power` (what may be
chance), and `conventions` (what a label means at each hospital). `summary` is all of it as plain data.
Nothing here needs torch, and all of it takes about a second.
"""

from chexreason.audit.summary import summary

__all__ = ["summary"]
