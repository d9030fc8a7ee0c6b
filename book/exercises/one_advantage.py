# %% [markdown]
# # One advantage by hand
# Four answers to an image earn `0.2`, `0.2`, `0.5` and `0.7`. What is the advantage of the last one, as equation 2 has it? Two decimals are enough.

# %% number: 2

# %% solution
# 0.30
