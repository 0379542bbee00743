# Two commands for a fresh clone; they need git, make and Python >= 3.11.
#   make compare   the phase 2 experiment on the default configuration
#   make test      the test suite; make test-all adds the slow tests and those on a SLURM, make test-long what takes
#                  minutes more, make package the release
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
# Snakemake rules call `python`, which must be that of the environment.
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
# Whole files, as what is made for one is shared by its tests, and the longest first.
PYTEST := python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 25

.PHONY: compare test test-all test-long package lint environment clean

compare: environment
	$(RUN) snakemake compare_phase2
	@echo "The report is results/default/phase2/comparison/report.html"

test: $(VENV)/.ready-dev
	$(RUN) $(PYTEST) -m "not slow and not slurm and not package"

test-all: test
	$(RUN) $(PYTEST) -m "(slow or slurm) and not long"

# What takes minutes more: the tutorial, published samples and arrays, phase 1, further events of SLURM, pages of hostile
# names in a browser, large inputs, a hundred kills.
test-long: $(VENV)/.ready-dev
	$(RUN) $(PYTEST) -m long
	$(RUN) python -m pytest tests/reliability/test_kills.py --kills 100

# The package as users get it: built, checked, installed where nothing else is, and used there.
package: $(VENV)/.ready-dev $(VENV)-package/.ready
	rm -rf dist $(VENV)-wheel
	$(VENV)-package/bin/python -m build
	$(VENV)-package/bin/twine check --strict dist/*
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	$(VENV)-wheel/bin/methmix --version
	$(RUN) python -m pytest -m package

lint: $(VENV)/.ready-dev
	$(RUN) ruff check src tests
	$(RUN) ruff format --check src tests
	$(RUN) mypy
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) snakemake --lint

environment: $(VENV)/.ready

$(VENV)/.ready: envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	sys.exit(0 if v >= (3, 11) else f"Python >= 3.11 is needed, {v.major}.{v.minor} found: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready envs/requirements-dev.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r envs/requirements-dev.txt
	@touch $@

$(VENV)-package/.ready: envs/requirements-package.txt
	$(PYTHON) -m venv $(VENV)-package
	$(VENV)-package/bin/python -m pip install --quiet --disable-pip-version-check -r envs/requirements-package.txt
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-package $(VENV)-wheel dist .snakemake
