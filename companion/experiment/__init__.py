"""The experiment that the paper could not run: a change of images told apart from a change of labels.

The paper sees that GRPO gains on one data set and loses on another (sections 4.4 and 5), where patients, images and
labels all change at once. Phantoms can change them one at a time. `arms` lists what is trained, `worlds` what is asked,
`train` does both, and `analysis` computes what the chapters say from the answers that were kept. `again` runs a few
arms anew and compares. `arms`, `worlds` and `analysis` need no torch.
"""
