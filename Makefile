# Two commands matter: `make lab` to use it, `make test` to check it. Both set up what they need.
# CONTRIBUTING.md has the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATIC := gemma_notebook/panel/static/widget.js
SHIM := gemma_notebook/engine/_shim.abi3.so
QUICK_START := notebooks/teaching/01-quick-start.ipynb
REGRESSION := notebooks/regression
# Further arguments for `make mutation`, for instance MUTATION_ARGS=--notebooks.
MUTATION_ARGS ?=
# Further arguments for `make lab`, for instance LAB_ARGS="--no-browser --port=8899".
LAB_ARGS ?=
KERNELS := $(patsubst %,$(VENV)/ipykernel-%/.installed,6.31 7.3 7.4)
PYTEST := $(BIN)/python -m pytest
NBVAL := $(PYTEST) --nbval --nbval-current-env --nbval-cell-timeout=60 -W "ignore::DeprecationWarning" \
  --nbval-sanitize-with=gemma_notebook/testing/sanitize.cfg
ROOT_FLAG := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: help build lab test test-js test-python test-notebooks test-browser lint format bench storm gemma-model test-gemma bench-gemma soak fuzz mutation wheel notebooks \
        tiny-model tiny-model-eval system-tools clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

# Set up

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

js/node_modules/.package-lock.json: js/package.json js/package-lock.json
	cd js && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund
	@touch $@

$(STATIC): js/node_modules/.package-lock.json js/build.mjs $(shell find js/src -type f 2>/dev/null)
	cd js && npm run build
	@touch $@

$(SHIM) $(VENV)/.installed &: $(VENV)/pyvenv.cfg pyproject.toml setup.py native/build.py $(wildcard native/*.c native/*.h) | $(STATIC)
	$(BIN)/python -m pip install --quiet --editable ".[lab]"
	@touch $(SHIM) $(VENV)/.installed

$(VENV)/.test-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[lab,test,lint]"
	@touch $(SHIM) $@

# Older and newer kernels, each in a folder that a kernel with .venv's Python imports from first.
$(VENV)/ipykernel-%/.installed: $(VENV)/.test-installed
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(@D) "ipykernel==$*.*" nest-asyncio nest-asyncio2
	@touch $@

build: $(STATIC) $(VENV)/.installed ## make .venv, compile the shim, bundle the panel

lab: build ## open JupyterLab on the quick start
	$(BIN)/jupyter lab $(ROOT_FLAG) --ServerApp.root_dir=$(CURDIR)/notebooks $(LAB_ARGS) $(QUICK_START)

# What pip and npm cannot install. On Debian, as root, apt does; elsewhere say what is missing.
system-tools:
	@missing=; \
	for tool in chromium valgrind clang; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	for package in libc6-dbg libclang-rt-dev; do \
	  [ -e /etc/debian_version ] && ! dpkg -s $$package >/dev/null 2>&1 && missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	else echo "The tests need$$missing; install that and run this again." >&2; exit 1; fi

# Check

test: test-js test-python test-notebooks test-browser ## everything, setting up what it needs

test-js: $(STATIC) system-tools ## the panel's TypeScript
	cd js && CHROMIUM=$$(command -v chromium) npm test

test-python: build $(VENV)/.test-installed $(KERNELS) system-tools ## the shim, the engine, sessions, kernels, the wheel
	$(PYTEST) tests --ignore=tests/browser --ignore=tests/bench --ignore=tests/soak --ignore=tests/gemma

# Twice, in an order that differs each time: a notebook may depend on nothing but itself.
test-notebooks: build $(VENV)/.test-installed ## the regression notebooks against their reference outputs, in two random orders
	$(BIN)/gemma-notebook check-notebooks $(REGRESSION) notebooks/teaching
	for round in 1 2; do $(NBVAL) $$($(BIN)/python $(REGRESSION)/shuffled.py) || exit 1; done

test-browser: build $(VENV)/.test-installed system-tools ## the panel in JupyterLab, in Chromium, with the real model
	$(PYTEST) tests/browser

storm: build $(VENV)/.test-installed system-tools ## of these only the two hundred resets at random moments of replies
	$(PYTEST) tests/browser/test_reset_storm.py

lint: build $(VENV)/.test-installed ## ruff, mypy, import-linter, biome, tsc
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd js && npm run lint

format: $(VENV)/.test-installed js/node_modules/.package-lock.json ## let ruff and biome lay out the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd js && npm run format

bench: build $(VENV)/.test-installed ## speed, against the official binding
	$(BIN)/python tests/bench/bench.py

# With a real Gemma: none of this is part of `make test`. GEMMA is a name or a file.

GEMMA ?= gemma3-270m
GEMMA_CACHE ?= $(VENV)/gemma-cache
GEMMA_ENV = GEMMA_NOTEBOOK_TEST_MODEL=$(GEMMA) GEMMA_NOTEBOOK_TEST_CACHE=$(abspath $(GEMMA_CACHE))
# Further arguments for `make bench-gemma`.
BENCH_ARGS ?=

gemma-model: build
	@$(BIN)/gemma-notebook models path $(GEMMA) >/dev/null $(if $(filter gemma3-270m,$(GEMMA)),2>&1 || $(BIN)/gemma-notebook models build $(GEMMA))
	@mkdir -p $(GEMMA_CACHE)

test-gemma: gemma-model $(VENV)/.test-installed ## the lifecycle with a real Gemma, which it builds first: half an hour
	$(GEMMA_ENV) $(PYTEST) --timeout=1800 tests/gemma tests/engine -k "not model_files and not stub"

# A reply of 64 tokens, from a prompt that a pretrained model goes on with for ever.
bench-gemma: gemma-model $(VENV)/.test-installed ## speed with a real Gemma, against the official binding: ten minutes
	$(BIN)/python tests/bench/bench.py --model $(GEMMA) --limit 64 --rounds 5 \
	  --prompt "Say: la la la la la la la la la la la la la la la la la la la la la la la la" $(BENCH_ARGS)
	$(BIN)/gemma-notebook bench $(GEMMA)

soak: build $(VENV)/.test-installed ## thousands of resets, hundreds of exits and damaged files: some minutes
	$(PYTEST) -s tests/soak

fuzz: build $(VENV)/.test-installed system-tools ## any events of an engine against the shim, for FUZZ_SECONDS (600)
	$(BIN)/python tests/native/fuzzing.py

mutation: build $(VENV)/.test-installed ## plant lifecycle bugs one at a time; the tests must catch each
	$(BIN)/python tests/mutation/mutate.py $(MUTATION_ARGS)

# Make

wheel: $(STATIC) $(VENV)/.test-installed ## the wheel and the source distribution, in dist/
	rm -rf dist build
	$(BIN)/python -m build
	$(BIN)/abi3audit --strict --summary dist/*.whl

notebooks: build $(VENV)/.test-installed ## run the notebooks again and keep their outputs as the reference
	$(BIN)/python notebooks/execute.py

# The recipe of the bundled model, in an environment of its own: maintainers only.

TINY := native/tiny_model
TINY_PYTHON := .venv/bin/python

$(TINY)/.venv/.installed: $(TINY)/requirements.txt
	$(PYTHON) -m venv $(TINY)/.venv
	cd $(TINY) && $(TINY_PYTHON) -m pip install --quiet -r requirements.txt
	@touch $@

tiny-model: $(TINY)/.venv/.installed ## train, export and measure the bundled model: 2 hours on 2 cores with AMX, 2.5 with AVX-512 for bfloat16, 5 to 7 without
	cd $(TINY) && $(TINY_PYTHON) tokenizer.py && $(TINY_PYTHON) train.py && $(TINY_PYTHON) export.py && $(TINY_PYTHON) eval.py --keep

tiny-model-eval: $(TINY)/.venv/.installed ## measure the bundled model again
	cd $(TINY) && $(TINY_PYTHON) eval.py

clean: ## remove what was built
	rm -rf $(VENV) build dist *.egg-info js/node_modules gemma_notebook/panel/static tests/artifacts
	rm -f $(SHIM)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
