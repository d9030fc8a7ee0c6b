# Two commands from a fresh clone: `make book` and `make test`. Each does all the set-up by itself.
# The set-up is one virtual environment, .venv, filled from pyproject.toml at the pins of constraints.txt.

PROFILE ?= demo
CORES ?= 2
# As it was typed: nothing in it is executed, by make or by a shell.
unexport PROFILE
export CHOSEN := $(value PROFILE)
# Interpreters to try, in this order; the first for which all pins exist, and which has venv, is taken.
PYTHON ?= python3.11 python3 python3.12 python3.13
export TRIED := $(value PYTHON)
# What installs; options for it can be added, such as PIP_TORCH="--index-url ...PyTorch's CPU wheels...".
PIP ?= $(PY) -m pip
PIP_TORCH ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup lint check test pages fresh book experiments html pins clean

VENV := .venv
PY := $(VENV)/bin/python
# The stamp is written last, and its name holds a digest of what was asked for and where the clone lies:
# an environment without it is half made, of older pins, or of another folder.
ASKED := $(shell { cat pyproject.toml constraints.txt; pwd; } | sha256sum | cut -c1-16)
STAMP := $(VENV)/whole-$(ASKED)

# What libraries keep in the home folder goes to .cache where that folder cannot be written (a container, for one).
ifneq ($(shell test -w ~ && echo yes),yes)
export XDG_CACHE_HOME ?= $(CURDIR)/.cache/home
export MPLCONFIGDIR ?= $(CURDIR)/.cache/home
endif

SNAKEMAKE = $(PY) -m snakemake --cores $(CORES) --resources gpu=1 --nolock --rerun-incomplete --config "profile=$$CHOSEN"
# One book at a time. The lock goes with the process, unlike Snakemake's own, which a killed run leaves behind.
LOCKED = $(PY) -m companion.workflow.locked .cache/book.lock

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s  %s\n", $$1, $$2}' Makefile
	echo "  PROFILE=smoke|demo|miniature|paper chooses the sizes of book and html (now: $$CHOSEN)"

setup: $(STAMP)  ## make .venv, if it is not whole already

$(STAMP): ; @
	python="" bare=""
	candidates=("$$TRIED")
	command -v "$$TRIED" >/dev/null || candidates=($$TRIED)  # one, whose path may hold a blank, or several
	for candidate in "$${candidates[@]}"; do
	    "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue
	    if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then python=$$candidate; break; fi
	    bare=$${bare:-$$candidate}
	done
	if [ -z "$$python$$bare" ]; then
	    echo "chexreason: Expected Python 3.11, 3.12 or 3.13, got none among $$TRIED. Install one, or name it: make PYTHON=/path/to/python3." >&2
	    exit 2
	fi
	if [ -z "$$python" ]; then
	    package=$$("$$bare" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
	    echo "chexreason: Expected a Python that makes environments, got $$bare without venv or ensurepip. Install $$package, or name another: make PYTHON=/path/to/python3." >&2
	    exit 2
	fi
	if ! compgen -G '$(VENV)/whole-*' >/dev/null || ! $(PY) -c '' 2>/dev/null; then
	    echo "setup: making $(VENV) with $$("$$python" --version) (a few minutes, about 2 GB)"
	    "$$python" -m venv --clear $(VENV)
	fi
	rm -f $(VENV)/whole-*
	echo "setup: installing torch at its pin, by itself, so that a CPU build at hand is taken"
	$(PIP) install --quiet $(PIP_TORCH) "$$(grep '^torch==' constraints.txt)"
	echo "setup: installing the rest at the pins of constraints.txt"
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	$(PIP) check
	touch $(STAMP)
	echo "setup: done"

lint: setup  ## ruff, mypy and the import contract
	@echo "lint: ruff, mypy, import-linter"
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

test: setup  ## run the tests (doctests included; some minutes on 2 cores)
	@echo "test: doctests and tests, on $(CORES) processes"
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(CORES) --dist worksteal -m "not browser"

pages: setup  ## build the book from the committed results and look at every page in a browser
	@echo "pages: every page, wide and narrow, light and dark"
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(CORES) --dist worksteal -m browser

fresh: setup  ## refuse results that are older than their code (for releases; the book shows a badge)
	@$(PY) -m companion fresh

check: lint test pages fresh  ## lint, the tests, the pages, and whether the results are those of the code

book: setup  ## compute the study at PROFILE on this machine, then build the book from it
	@echo "book: computing what is missing for the profile '$$CHOSEN'; stop at any time, the same command goes on"
	status=0
	$(LOCKED) $(SNAKEMAKE) --quiet all || status=$$?
	case $$status in
	    0) ;;
	    2) exit 2 ;;
	    *) # What a stage had to say it has said; what Snakemake itself may have to say, it says in a rehearsal only.
	       $(SNAKEMAKE) --dry-run --quiet rules host > .cache/rehearsal.txt 2>&1 || cat .cache/rehearsal.txt >&2
	       echo "book: not done; what has run stays, and the same command goes on from there" >&2; exit $$status ;;
	esac
	echo "book: open _build/html/index.html"

experiments: setup  ## train and ask every arm of the experiment (hours; stop at any time, the same command goes on)
	@echo "experiments: what is finished is not repeated"
	$(PY) -m snakemake --cores $(CORES) --resources gpu=1 --nolock --rerun-incomplete --rerun-triggers input params --keep-going experiments

html: setup  ## build the book from the results that are there, without computing anything
	@echo "html: building the book from results/$$CHOSEN"
	$(LOCKED) $(PY) -m companion book --profile "$$CHOSEN"
	echo "html: open _build/html/index.html"

pins:  ## write constraints.txt from .venv, after a deliberate upgrade
	@sed '/^[^#]/d' constraints.txt > constraints.txt.partial
	# Below the new pins stay those that only another Python needs.
	{ $(PIP) freeze --exclude-editable | sed '/^torch==/s/+.*//'; grep '^[^#]' constraints.txt; } \
	    | LC_ALL=C sort --stable --unique --ignore-case --field-separator== --key=1,1 >> constraints.txt.partial
	mv constraints.txt.partial constraints.txt
	# The tests see what is installed here; this sees that each pin takes each Python, those of another Python included.
	for minor in 11 12 13; do
	    $(PIP) install --quiet --dry-run --no-deps --ignore-installed --target .cache --python-version 3.$$minor --requirement constraints.txt
	done
	echo "pins: constraints.txt is written; make test says what environment.yml has to follow"

clean:  ## remove what was built or cached here; .venv and results stay
	@echo "clean: removing _build, .cache, .snakemake and the tools' caches"
	rm -rf _build .cache .snakemake .pytest_cache .mypy_cache .ruff_cache .import_linter_cache chexreason.egg-info
	find chexreason companion tests notebooks book -name __pycache__ -prune -exec rm -rf {} +
