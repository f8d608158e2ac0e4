# `make run` and `make test` set up what they need: a virtual environment with pinned packages.
PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
STUDY ?= benchmark.yaml

.PHONY: setup run test test-fast test-slow test-slurm check gpu-check

# `make gpu-check PYTHON=python3` takes that interpreter as it is and sets nothing up.
ifeq ($(origin PYTHON),command line)
GPU_PYTHON := $(PYTHON)
else
GPU_PYTHON := $(BIN)/python
GPU_SETUP := setup
endif

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 setup"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) lacks venv or ensurepip: install it (Debian: apt-get install python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@if [ -n "$(TORCH_INDEX)" ]; then \
	  $(BIN)/python -m pip install --quiet --index-url "$(TORCH_INDEX)" \
	    $$(grep -E '^(torch|torchvision)==' requirements.lock); fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

run: setup
	$(BIN)/python runners/run_grid.py $(STUDY)
	$(BIN)/python analysis/make_tables.py $(STUDY)
	$(BIN)/python analysis/make_figures.py $(STUDY)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

test: check
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

# What one runs after every edit: tests without processes of their own and without long trainings.
test-fast: setup
	$(BIN)/python -m pytest -q -n 2 -m 'not slow and not gpu and not slurm and not long'

test-slow: setup
	$(BIN)/python -m pytest -q -m slow

# Real SLURMs of one node, installed and started for the tests: needs root on Debian or Ubuntu. Two
# at once, each with half of the files: much of a test is waiting.
test-slurm: setup
	$(BIN)/python -m pytest -q -m slurm -n 2 --dist loadfile tests/slurm

# Again with the same folder it goes on where it stopped: docs/gpu.md. DATA is the root of the data.
GPU_OUT ?= results/gpu_check
DATA ?=
gpu-check: $(GPU_SETUP)
	$(GPU_PYTHON) runners/gpu_check.py --out $(GPU_OUT) $(if $(DATA),--data $(DATA))
