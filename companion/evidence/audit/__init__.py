"""What the paper's own numbers support: the audit of its tables and its text (tier `published`).

`facts` has the printed cells and public label
counts, `printed` knows what a rounded number may stand for. On them stand `arithmetic` and `statements` (do the numbers
agree), `comparisons` (do the comparisons hold; `comparison` is what one is, `readings` how each is read),
`contradictions` (where the paper says two things), `attainability` (which scores are possible at all), `matched` (the
same findings on both sides), `lines` (what answers without a film score), `uncertainty`, `validation`, `differences`
and `power` (what may be chance), and `conventions` (what a label means at each hospital). `summary` is all of it as
plain data. Nothing here needs torch, and all of it takes a few seconds.
"""

from companion.evidence.audit.summary import summary

__all__ = ["summary"]
