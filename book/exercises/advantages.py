# %% [markdown]
# # The advantages of a group
# A model wrote several answers to one image, and a reward paid each of them. Write `advantages(rewards)`, which returns a list: what moves
# the model is how much each answer earned *above the mean of its group*. Equation 2 does not divide by the group's
# spread (the first GRPO did); so a group in which little differs moves little.

# %% starter
def advantages(rewards):
    return rewards


print(advantages([0, 0.5, 0.5, 1]))

# %% check: the mean is taken off
# Take the mean of the rewards off each of them, and return a list.
assert advantages([0, 0, 0, 1]) == [-0.25, -0.25, -0.25, 0.75]

# %% check: a group that ties teaches nothing
# All earn the mean, so all advantages are 0.
assert list(advantages([1, 1, 1, 1])) == [0, 0, 0, 0]

# %% check: they add up to nothing
# What some are above the mean, others are below it. Is it the mean of this group, whatever its size?
assert abs(sum(advantages([0.1, 0.7, 0.3]))) < 1e-12

# %% check: the spread of the group is left in
# Do not divide: ten times the rewards are ten times the advantages.
assert [round(one, 9) for one in advantages([0, 0, 0, 10])] == [-2.5, -2.5, -2.5, 7.5]

# %% check: the rewards are left as they were
# Make a new list; others still read the old one.
given = [0, 0, 0, 1]
advantages(given)
assert given == [0, 0, 0, 1]

# %% solution
def advantages(rewards):
    middle = sum(rewards) / len(rewards)
    return [earned - middle for earned in rewards]

# %% wrong: the mean is taken off
def advantages(rewards):
    return [one - max(rewards) for one in rewards]

# %% wrong: they add up to nothing
def advantages(rewards):
    return [one - sum(rewards) / 4 for one in rewards]

# %% wrong: the mean is taken off
def advantages(rewards):
    mean = sum(rewards) / len(rewards)
    spread = (sum((one - mean) ** 2 for one in rewards) / len(rewards)) ** 0.5
    return [(one - mean) / (spread or 1) for one in rewards]

# %% wrong: the spread of the group is left in
def advantages(rewards):
    mean = sum(rewards) / len(rewards)
    return [(one - mean) / max(1, max(rewards)) for one in rewards]

# %% wrong: the rewards are left as they were
def advantages(rewards):
    mean = sum(rewards) / len(rewards)
    for place in range(len(rewards)):
        rewards[place] -= mean
    return rewards
