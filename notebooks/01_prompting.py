# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Nine ways to ask (section 4.1)
#
# Before anything is trained, the paper asks the medically pre-trained model the same question about the
# same images in nine wordings. Some prescribe a protocol step by step, some leave the reasoning free, some
# demand a second look. What differs between two rows of Table 1 is therefore the instruction alone: the
# checkpoint, the images, the decoding and the parser stay the same.
#
# An answer that the parser cannot read counts as a failure and as an answer that names nothing, so that a
# prompt cannot win by being answered only where it is easy.

# %% tags=["parameters"]
profile: str = "demo"  # smoke, demo, miniature or paper: sizes, images and checkpoints
seed: int = 0  # the root of every random draw
results: str = ""  # a folder for the results instead of the repository's results/
cache: str = ""  # a folder for images and checkpoints instead of the profile's own
given: str = ""  # changes by hand, as JSON: settings, modules, study

# %%
import pandas as pd

from chexreason import cohorts, config, prompts, study
from companion import report
from companion.phantoms.prepare import prepare

# %% [markdown]
# ## What is run
#
# The profile decides which images and which checkpoint stand for the paper's, and how many studies are
# asked about. Its tier goes with every number below: a number from phantoms is not one from patients.

# %%
chosen = config.load_profile(profile, seed=seed, results=results, cache=cache, given=given)
print(f"{chosen.name}: tier {chosen.tier}, seed {chosen.seed}. {chosen.what}")

# %%
prepare(chosen)  # draws the phantoms of the profile, if it has any
validation = cohorts.choose(chosen, "validation")
print(f"{len(validation.studies)} studies from {validation.dataset}, one frontal image each")
print(f"left out: {dict(validation.left_out)}; unreadable images: {len(validation.unreadable)}")

# %% [markdown]
# The wordings are ours, written from the cue that the paper gives for each variant.

# %%
wordings = pd.DataFrame([vars(prompts.get(name)) for name in prompts.TABLE1_PROMPTS])
report.frame_table(wordings[["title", "version", "cue"]], "The nine prompts", wrap=("cue",))

# %% [markdown]
# ## Asking
#
# One run a prompt. A run that this machine has finished with the same settings is read, not repeated.

# %%
done = study.prompting(chosen)
report.runs_table(done)

# %% [markdown]
# ## Table 1
#
# The published value stands beside this run's. The levels cannot be compared, since model and images are others;
# whether an order can be told among these prompts depends on how many studies there are, and the book says so.

# %%
report.table(1, chosen.name, chosen.results.parent)
