# Two commands matter: `make run` serves the demo, `make test` runs every test.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install install-dev browser run test lint types format lock bench clean

help:
	@echo "make install   what running needs, into .venv (quick when nothing changed)"
	@echo "make run       the demo at http://127.0.0.1:8000"
	@echo "make test      install what tests need, then run the whole suite"
	@echo "make lint      ruff, mypy, missing migrations"
	@echo "make lock      re-pin every dependency with hashes"

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "AudSync needs Python 3.11; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

browser: install-dev
	@$(BIN)/python -m tests.install_browser

run: install
	@exec $(BIN)/python manage.py up --demo

test: install-dev browser
	$(BIN)/python -m pytest -n auto --dist loadgroup

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:
	uv pip compile pyproject.toml --generate-hashes --no-header --python-version 3.11 -o requirements.lock
	uv pip compile pyproject.toml --group dev --generate-hashes --no-header --python-version 3.11 -c requirements.lock -o requirements-dev.lock

bench: install
	$(BIN)/python manage.py bench --list

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
