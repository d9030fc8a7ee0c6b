"""Predictions of one's own, scored against one's own label files as a run of the study is (Tables 5 and 6).

`reading` takes the file with predictions, `labels` the files with labels, `run` joins the two into a run folder.
"""
