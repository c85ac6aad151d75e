# Parkhub: the few commands that matter. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= .park
STEPS ?= 100000
SEED ?= 1
STAMP := $(VENV)/.installed

.PHONY: help install up test check bench model clean

help:  ## list these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## make .venv with Parkhub and everything it needs

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Parkhub needs Python 3.11 or newer; found %s. Try: make PYTHON=python3.11" % sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 has no venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

up: install  ## run a park: database, broker, simulated field, gateway, intake, API
	@$(BIN)/park up --data $(DATA)

test: install  ## run every test
	@$(BIN)/python -m pytest

check: install  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

bench: install  ## measure gateway, intake, alarm kernel and the latency of an alarm; prints a table
	@$(BIN)/park bench all

model: install  ## random traces of the delivery chain with every fault: make model STEPS=1000000 SEED=1
	@PYTHONPATH=tests $(BIN)/python tests/chain/model.py --steps $(STEPS) --seed $(SEED)

clean:  ## remove .venv, the built console, caches and the data of `make up`
	rm -rf $(VENV) $(DATA) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf platform/park_platform/web platform/console/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
