# The three commands: `make demo`, `make days` and `make test`. All build .venv from requirements.lock.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DEMO := .videoloop/demo
# Processes that share the tests, a file at a time: one more than two cores, since tests of servers wait much of the time.
WORKERS ?= 3
# A round ends in a commit. On a machine where Git knows nobody, the demonstration commits as itself.
export GIT_AUTHOR_NAME ?= $(shell git config user.name || echo "videoloop demonstration")
export GIT_AUTHOR_EMAIL ?= $(shell git config user.email || echo demo@localhost)
export GIT_COMMITTER_NAME ?= $(GIT_AUTHOR_NAME)
export GIT_COMMITTER_EMAIL ?= $(GIT_AUTHOR_EMAIL)

.PHONY: demo days test unit check down clean lock

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
		|| { echo "videoloop needs Python 3.11 or 3.12: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

.venv/installed-test: .venv/installed requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-test.lock
	touch $@

demo: .venv/installed
	$(BIN)/python -m infra.demo $(DEMO) --workers 2
	$(BIN)/videoloop run --source $(DEMO)/clips.csv
	@echo "make days goes on: 30 days in which the world changes, with the watch and people who label"

days: .venv/installed
	$(BIN)/python -m infra.demo.days --workers 2

test: .venv/installed-test check
	$(BIN)/python -m pytest -n $(WORKERS)

unit: .venv/installed-test
	$(BIN)/python -m pytest -n $(WORKERS) -m "not integration and not gpu"

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

down:
	$(BIN)/videoloop down

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache

# Writes both locks anew from pyproject.toml; see docs/decisions/0002-lock.md.
lock:
	$(PYTHON) infra/lock.py
