# Everything runs inside .venv; every target is idempotent. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Downloads of packages can be slow on a busy line: pip's own retries are kept, nothing else is needed.
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types imports check benchmarks clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## create .venv and install everything (torch as constraints.txt pins it)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.10-3.13 or run make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { echo "error: Python 3.10-3.13 is needed; run make PYTHON=python3.12" >&2; exit 1; }
	@echo "== creating $(VENV) and installing (a few minutes, about 3 GB)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[synth,train,media,dev]'
	@touch $@
	@echo "== ready: $(BIN)/ncpifu --help"

demo: setup ## reconstruct examples/person.jpg into out/person.obj with a preview picture
	@echo "== reconstructing examples/person.jpg"
	@mkdir -p out
	@$(BIN)/ncpifu reconstruct examples/person.jpg -o out/person.obj --preview
	@echo "== mesh: $(CURDIR)/out/person.obj"
	@echo "== preview: $(CURDIR)/out/person.png"

test: setup ## run the whole test suite
	@echo "== running the tests"
	@$(BIN)/python -m pytest -n auto

lint: setup ## style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup ## static types
	@$(BIN)/mypy

imports: setup ## import direction (docs/architecture.md)
	@$(BIN)/lint-imports

check: lint types imports test ## all of the above: what CI runs

benchmarks: setup ## print the speed tables of extraction, reconstruction and rendering (about 15 minutes)
	@for script in extraction reconstruct render; do $(BIN)/python benchmarks/$$script.py; done

clean: ## remove what make demo wrote (not .venv, not data/)
	@rm -rf out
