"""What the paper's own numbers support: the audit of its tables and its text (tier `published`).

`facts` has the printed cells and public label counts, `printed` knows what a rounded number may stand for. On them
stand `arithmetic` and `statements` (do the numbers agree), `attainability` (which scores are possible at all),
`matched` (the same findings on both sides), `lines` (what answers without an image score), `operating` (how many labels
are named), `uncertainty`, `validation`, `differences` and `power` (what may be chance), and `conventions` (what a label
means at each hospital). What the text claims is in `companion.evidence.claims`; `companion.evidence.frames` is all of
it as tables. Nothing here needs torch, and all of it takes a few seconds.
"""
