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
# # Learning from a reward (section 4.3)
#
# GRPO lets the model answer the same question several times, pays each answer by a rule, and moves towards
# those that were paid better than their group (equation 2). It starts from the fine-tuned model with free
# reasoning, which also is the reference that the policy may not leave too far.
#
# Two rules are compared. The *hard* reward (equation 3) is the overlap of the named labels with the recorded
# ones, nothing for an answer out of form, and a deduction for a short one. The *nuanced* reward (equation 4)
# adds up points for right labels and takes off points for false ones, for repeating one label all the time and
# for lapses of form.

# %% tags=["parameters"]
profile: str = "demo"  # smoke, demo, miniature or paper: sizes, images and checkpoints
seed: int = 0  # the root of every random draw
results: str = ""  # a folder for the results instead of the repository's results/
cache: str = ""  # a folder for images and checkpoints instead of the profile's own
given: str = ""  # changes by hand, as JSON: settings, modules, study

# %%
from chexreason import cohorts, config, grpo, records
from companion import report
from companion.phantoms.prepare import prepare

# %% [markdown]
# ## What is run
#
# The paper leaves several settings open (learning rate, length, passes over a batch). They are marked
# *assumed*, each with the reason for our choice.

# %%
chosen = config.load_profile(profile, seed=seed, results=results, cache=cache, given=given)
print(f"{chosen.name}: tier {chosen.tier}, seed {chosen.seed}. {chosen.what}")

# %%
settings = report.settings_table()
report.frame_table(
    settings[settings["group"].isin(["grpo", "hard", "nuanced"])],
    "The settings of this stage",
    wrap=("why", "what", "overrides"),
)

# %%
prepare(chosen)  # draws the phantoms of the profile, if it has any
rewarded = cohorts.choose(chosen, "rl")
print(f"{len(rewarded.studies)} studies of patients that the fine-tuning never saw")
if lacking := records.lacking(rewarded):
    print(f"left out of the training: {lacking}")

# %% [markdown]
# ## Training and scoring
#
# Several checkpoints of each training are scored on the validation studies. Table 4 shows two of them: the one
# with the best macro-F1, and the last. Choosing the best on the studies that it is then reported on flatters it.

# %%
done = grpo.train_all(chosen)
report.runs_table(done)

# %% [markdown]
# ## Figures 2 and 3: the course of the training
#
# Thin is what was logged, bold its exponential average. A reward is logged only where new answers are sampled.

# %%
report.figure(2, chosen.name, chosen.results.parent)

# %%
report.figure(3, chosen.name, chosen.results.parent)

# %% [markdown]
# A loss near zero is no sign that nothing is learned. What to look at instead: the spread of the rewards within
# a group (without it there is nothing to learn from), the divergence from the reference, the entropy, and how
# often the clip bounds acted.

# %%
report.figure("health of nuanced", chosen.name, chosen.results.parent)

# %%
report.figure("health of hard", chosen.name, chosen.results.parent)

# %% [markdown]
# ## Table 4

# %%
report.table(4, chosen.name, chosen.results.parent)
