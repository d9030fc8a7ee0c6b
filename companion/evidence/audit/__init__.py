"""What the paper's own numbers support: the audit of its tables and its text (tier `published`).

`facts` has the printed cells and public label counts. On them stand `arithmetic` (do the numbers agree),
`attainability` (which scores are possible at all), `matched` (the same findings on both sides), `lines` (what answers
without an image score), `operating` (how many labels are named), `uncertainty`, `validation`, `differences` and `power`
(what may be chance), and `conventions` (what a label means at each hospital). `companion.evidence.frames` is all of it
as tables; what the text claims is in `companion.evidence.claims`.
"""
