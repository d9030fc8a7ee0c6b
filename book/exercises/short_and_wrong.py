# %% [markdown]
# # Short, and not sure
# A model is about to write a short answer whose labels are all wrong. Under equation 3 it would earn more by another
# ending. By which one?

# %% choice
# - It pads its reasoning until it has 250 characters. :: That takes the penalty off: 0 instead of -0.1. But one of the others gets there with less.
# - It leaves the solution block open, so that the answer is malformed. :: That earns 0 instead of -0.1. But it is not the only way to 0.
# + Either: padded or malformed, it earns 0 instead of less. :: Yes. A reward that pays a broken answer more than a short wrong one pays a model that is unsure for breaking the form.
# - Neither: a wrong answer earns 0 whatever its length. :: A valid short one pays the penalty: it earns -0.1.
