# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # ChexReason: the demo, on Colab or Binder
#
# Computes the whole study at the sizes of the profile `demo` and builds the book from it: images are drawn, models of
# about three million weights are trained, no GPU and no account is needed. Run the cells from top to bottom. The set-up
# takes about two minutes (on Binder it is in the image), the study four to seven more on two cores; README says what
# was measured, and where.

# %%
import os
import subprocess

REPOSITORY = ""  # on Colab: the address of this repository, as git clone takes it

if os.path.exists("../companion"):  # Binder, or a clone of your own
    os.chdir("..")
elif not os.path.exists("companion"):
    if not REPOSITORY:
        raise SystemExit("Expected the address of the repository, got none. Write it into REPOSITORY above.")
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", REPOSITORY, "chexreason"], check=True)
    os.chdir("chexreason")

# %% [markdown]
# The environment. It is made once, in `.venv`, beside that of Jupyter.

# %%
# !python3 -m chexreason setup

# %% [markdown]
# The study. `smoke` in place of `demo` is the smallest one, for a first look. Stopped at any time, the same cell goes
# on.

# %%
PROFILE = "demo"
# !python3 -m chexreason book --profile {PROFILE}

# %% [markdown]
# What came out, claim by claim, and the book to take home: unpack `_build/book.zip` and open `index.html`.

# %%
import shutil

# !python3 -m chexreason claims --run {PROFILE}
shutil.make_archive("_build/book", "zip", "_build/html")
