# Two commands: `make lab` opens the course, `make test` runs everything that CI runs.
# Works with GNU make 3.81 and newer. Without make: the plain commands are in README.md.

PYTHON ?= python3
JOBS ?= 2
ONLY ?=
WHAT ?= mcomp tests $(wildcard chapters solutions)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FIRST := chapters/00_a_hundred_times_smaller.ipynb
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

# One pytest run for all: library, doctests, tests and notebooks. A file stays on one worker (--dist
# loadfile), because the cells of a notebook share a kernel; conftest.py puts the slow ones first.
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --nbval \
	--nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg $(WHAT)

.PHONY: help setup lab lint test portable engines llm notebooks figures clean

help:
	@echo "make lab        open the course in JupyterLab (installs on first use)"
	@echo "make test       ruff, pytest with doctests, and every notebook compared with its stored outputs"
	@echo "make portable   the same as other processors would run it, and what needs no torch on other Pythons"
	@echo "make engines    every inference engine, in .venv-engines: their tests, and the measurement of chapter 17"
	@echo "make llm        MiniLM, 90 MB, into .venv: its tests, and the measurement of chapter 18 (TESTS=1: not that)"
	@echo "make notebooks  re-execute the notebooks that changed (ALL=1: all of them)"
	@echo "make lint       ruff only"
	@echo "make figures    draw the README's pictures again"
	@echo "make clean      remove caches (the environment is .venv: remove it by hand to install anew)"

# The stamp is newer than both files exactly when the environment is up to date.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or newer is needed; try: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)

lab: $(STAMP)
	$(BIN)/jupyter lab $(AS_ROOT) $(FIRST)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(PYTEST)

portable: $(STAMP)
	$(BIN)/python scripts/portable.py $(ONLY) -- $(PYTEST)

engines:
	$(PYTHON) scripts/engines.py

llm: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[llm]'
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_minilm.py
	$(if $(TESTS),,$(BIN)/python experiments/18_minilm.py)

notebooks: $(STAMP)
	$(BIN)/python scripts/notebooks.py $(if $(ALL),--all)

figures: $(STAMP)
	$(BIN)/python scripts/readme_figure.py

clean:
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
