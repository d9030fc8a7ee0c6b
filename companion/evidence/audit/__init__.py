"""What the paper's own numbers support: the audit of its tables and its text (tier `published`).

`facts` has the printed cells and public label counts; the other modules ask of them whether numbers agree, which scores
are possible, what matched findings say, what needs no image, how many labels are named, and what may be chance.
`companion.evidence.frames` is all of it as tables; what the text claims is in `companion.evidence.claims`.
"""
