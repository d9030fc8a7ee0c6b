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
# # Learning from a teacher's traces (section 4.2)
#
# Supervised fine-tuning shows the model an image, the question, and an answer that a teacher wrote knowing the
# labels. The paper compares four kinds of answer (the labels alone, free reasoning, a narrative, and the
# twelve-step protocol) on a model that was pre-trained on medicine and on one that was not. Its claim is that
# the best format depends on which of the two is taught.
#
# Only a low-rank update of the language model learns (LoRA); the vision encoder stays as it was. The loss counts
# the answer's tokens and nothing else (equation 1).

# %% tags=["parameters"]
profile: str = "demo"  # smoke, demo, miniature or paper: sizes, images and checkpoints
seed: int = 0  # the root of every random draw
results: str = ""  # a folder for the results instead of the repository's results/
cache: str = ""  # a folder for images and checkpoints instead of the profile's own
given: str = ""  # changes by hand, as JSON: settings, modules, study

# %%
from chexreason import cohorts, config, records, sft
from companion import report
from companion.phantoms.prepare import prepare

# %% [markdown]
# ## What is run

# %%
chosen = config.load_profile(profile, seed=seed, results=results, cache=cache, given=given)
print(f"{chosen.name}: tier {chosen.tier}, seed {chosen.seed}. {chosen.what}")

# %% [markdown]
# Each setting with where it comes from. What a profile changes, and why, is in the last column.

# %%
settings = report.settings_table()
report.frame_table(
    settings[settings["group"].isin(["lora", "sft"])],
    "The settings of this stage",
    wrap=("why", "what", "overrides"),
)

# %%
prepare(chosen)  # draws the phantoms of the profile, if it has any
taught, validation = cohorts.choose(chosen, "sft"), cohorts.choose(chosen, "validation")
print(f"{len(taught.studies)} studies with traces, {len(validation.studies)} others for scoring; no patient in both")
if lacking := records.lacking(taught):
    print(f"left out of the training: {lacking}")

# %% [markdown]
# ## Training and scoring
#
# Two base models in four formats. Training stops when the loss on the held-out tenth has not fallen for a few
# epochs; the best epoch's adapter is kept and scored. A training that was cut off goes on from its last epoch.

# %%
done = sft.train_all(chosen)
report.runs_table(done)

# %% [markdown]
# ## Figure 1: how each format was learned
#
# A high token accuracy says that the form of the answer is learned. It does not say that the labels are right:
# most tokens of a trace are the same for every image.

# %%
report.figure(1, chosen.name, chosen.results.parent)

# %% [markdown]
# ## Table 2: the model with medical pre-training

# %%
report.table(2, chosen.name, chosen.results.parent)

# %% [markdown]
# ## Table 3: the model without

# %%
report.table(3, chosen.name, chosen.results.parent)
