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
# # At other hospitals (section 4.4)
#
# Five models answer about the images of two hospitals from which neither the fine-tuning nor the rewards took an
# image. (The NV-Reason kind of model is another matter: it was made elsewhere, with the first of the two in view.)
# One names its findings as the training hospital does, though its labels were read by radiologists; the other
# has its own list, of which nine findings have a counterpart. The paper's central claim is read off here: a
# reward lifts the score where the labels are of the same kind and lowers it where they are not, while
# fine-tuning alone does the opposite.
#
# An average over fourteen findings and one over nine are averages of different things. Each table has its own;
# the two are never compared without saying so.

# %% tags=["parameters"]
profile: str = "demo"  # smoke, demo, miniature or paper: sizes, images and checkpoints
seed: int = 0  # the root of every random draw
results: str = ""  # a folder for the results instead of the repository's results/
cache: str = ""  # a folder for images and checkpoints instead of the profile's own
given: str = ""  # changes by hand, as JSON: settings, modules, study

# %%
import pandas as pd

from chexreason import cohorts, config, study
from companion import report
from companion.phantoms.prepare import prepare

# %% [markdown]
# ## What is run

# %%
chosen = config.load_profile(profile, seed=seed, results=results, cache=cache, given=given)
print(f"{chosen.name}: tier {chosen.tier}, seed {chosen.seed}. {chosen.what}")

# %%
prepare(chosen)  # draws the phantoms of the profile, if it has any
tests = [cohorts.choose(chosen, name) for name in chosen.study["generalization"]["test_sets"]]
report.frame_table(
    pd.DataFrame(
        [(test.dataset, len(test.studies), len(test.unreadable), str(dict(test.left_out))) for test in tests],
        columns=["data set", "studies", "unreadable images", "left out"],
    ),
    "The test studies",
    wrap=("left out",),
)

# %% [markdown]
# ## Asking and scoring

# %%
done = study.generalization(chosen)
report.runs_table(done)

# %% [markdown]
# ## Table 5: fourteen findings, labels of the same kind

# %%
report.table(5, chosen.name, chosen.results.parent)

# %% [markdown]
# ## Table 6: nine findings, labels of another kind

# %%
report.table(6, chosen.name, chosen.results.parent)

# %% [markdown]
# Test sets that the paper does not have, where a profile names some:

# %%
report.other_test_sets(chosen.name, chosen.results.parent)
