# Two commands from a fresh clone: `make book` and `make test`. Each does all the set-up by itself.
# A target is a command of that name, for which `python3 -m chexreason` needs no make: companion/workflow/targets.py.

PROFILE ?= demo
CORES ?= 2
# As it was typed: nothing in it is executed, by make or by a shell.
unexport PROFILE
export CHOSEN := $(value PROFILE)
# Interpreters to try, in this order; the first for which all pins exist, and which makes environments, is taken.
PYTHON ?= python3.11 python3 python3.12 python3.13
export TRIED := $(value PYTHON)
# Options for pip as it installs torch, such as PIP_TORCH="--index-url ...PyTorch's CPU wheels...".
PIP_TORCH ?=
export PIP_TORCH

# The first interpreter that runs finds the one that is taken. The path of one may hold a blank. No more than this is
# asked of make and of the shell: macOS has those of 2006.
run = @for python in "$$TRIED" $$TRIED python3; do \
	    if "$$python" -c '' 2>/dev/null; then exec "$$python" -m chexreason $@ $(1); fi; \
	done; \
	echo "chexreason: Expected Python 3.11, 3.12 or 3.13, got none among $$TRIED. Install one, or name it: make PYTHON=/path/to/python3." >&2; \
	exit 2

.DEFAULT_GOAL := help
.PHONY: help setup lint check test pages fresh book experiments html lab pins clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s  %s\n", $$1, $$2}' Makefile
	@echo "  PROFILE=smoke|demo|full|paper chooses the sizes of book and html (now: $$CHOSEN)"

setup:  ## make .venv, if it is not whole already
	$(call run)

lint:  ## ruff, mypy and the import contract
	$(call run)

test:  ## run the tests (doctests included; some minutes on 2 cores)
	$(call run,--cores $(CORES))

pages:  ## build the book from the committed results and look at every page in a browser
	$(call run,--cores $(CORES))

fresh:  ## refuse results that are older than their code (for releases; the book shows a badge)
	$(call run)

check:  ## lint, the tests, the pages, and whether the results are those of the code
	$(call run,--cores $(CORES))

book:  ## compute the study at PROFILE on this machine, then build the book from it
	$(call run,--cores $(CORES) --profile "$$CHOSEN")

experiments:  ## train and ask every arm of the experiment (hours; stop at any time, the same command goes on)
	$(call run,--cores $(CORES))

html:  ## build the book from the results that are there, without computing anything
	$(call run,--profile "$$CHOSEN")

lab:  ## open JupyterLab on the notebooks (installed when first asked for)
	$(call run)

pins:  ## write constraints.txt from .venv, after a deliberate upgrade
	$(call run)

clean:  ## remove what was built or cached here; .venv and results stay
	$(call run)
