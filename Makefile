# The project's vocabulary; `make help` explains it. Each target makes what it needs, once.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
ARGS    ?=
PYTEST_ARGS ?=

export TOWROPE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/towrope

.DEFAULT_GOAL := help
.PHONY: help quickstart test lint types layers unit system testbed conformance bench fuzz lock format clean

help: ## Explain these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(VENV)/.ready ## kubectl to a real cluster through server, relay and agent, on this machine (ARGS="--once", "--kube-context NAME")
	@bin="$$(tools/cluster-tools $(ARGS))" && PATH="$(CURDIR)/$(BIN):$$bin$${bin:+:}$$PATH" $(BIN)/towrope quickstart $(ARGS)

test: lint types layers conformance ## Every check and every test, as CI runs them
	@$(MAKE) --no-print-directory pytest

.PHONY: pytest
pytest: $(VENV)/.ready
	@rm -f .coverage .coverage.*
	@bin="$$(testbed/build.sh)" && TOWROPE_TESTBED_BIN="$$bin" \
	  $(BIN)/coverage run -m pytest $(PYTEST_ARGS); status=$$?; \
	  $(BIN)/coverage combine -q && $(BIN)/python tools/coverage_bars.py; bars=$$?; \
	  if [ $$status -eq 0 ]; then exit $$bars; fi; exit $$status

lint: $(VENV)/.ready ## Style: ruff
	@$(BIN)/ruff check && $(BIN)/ruff format --check

types: $(VENV)/.ready ## Types: mypy --strict on the package and the tests
	@$(BIN)/mypy

layers: $(VENV)/.ready ## The layers that docs/architecture.md draws: import-linter
	@$(BIN)/lint-imports

unit: $(VENV)/.ready ## The tests that need no cluster
	@$(BIN)/pytest --ignore tests/system --ignore tests/testbed --ignore tests/conformance $(PYTEST_ARGS)

system: $(VENV)/.ready conformance ## Whole programs against a real Kubernetes
	@TOWROPE_TESTBED_BIN="$$(testbed/build.sh)" $(BIN)/pytest tests/testbed tests/system tests/conformance $(PYTEST_ARGS)

testbed: ## Build the test cluster (a real Kubernetes as local processes) and say where it is
	@testbed/build.sh

conformance: $(VENV)/.ready ## Install the third-party clients that the tests speak with
	@tests/conformance/install.sh >/dev/null
	@tests/conformance/install-azure.sh azure >/dev/null
	@tests/conformance/install-azure.sh azure-sdk >/dev/null

bench: $(VENV)/.ready ## Measure: latency, throughput and memory, through the tunnel and directly
	@bin="$$(testbed/build.sh)" && TOWROPE_TESTBED_BIN="$$bin" $(BIN)/python -m bench $(ARGS)

fuzz: $(VENV)/.ready ## Feed the parsers what no peer should send, for a minute each
	@$(BIN)/python -m fuzz $(ARGS)

format: $(VENV)/.ready ## Rewrite the sources in the project's format
	@$(BIN)/ruff check --fix-only -q && $(BIN)/ruff format -q

lock: $(VENV)/.ready ## Pin the newest dependencies that pyproject.toml allows
	@tools/lock

clean: ## Remove what make made here; the cache with the built test cluster stays
	@rm -rf $(VENV) build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.ready: pyproject.toml requirements/bootstrap.lock requirements/test.lock
	@tools/virtual-environment "$(PYTHON)" "$(VENV)"
	@touch $@
