# Two steps on a fresh machine: `make report`, `make test`. Everything lands in .venv and out.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
OUT ?= out

.DEFAULT_GOAL := help
.PHONY: help report test bench lint install clean bundle notebooks pages validation
.PHONY: study-review study-fuzz study-coverage study-degenerate study-examples

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

report: $(VENV)/installed ## Make the sample reports (a review, two pilots) and say where they are
	@$(RUN) -m therapyeval report quarterly_review --data data_samples/harbor_rehab -p period=2026Q2 --out $(OUT)
	@$(RUN) -m therapyeval report pilot_study --data data_samples/stroke_recovery -p protocol=data_samples/stroke_recovery/pilot.yml --out $(OUT)
	@$(RUN) -m therapyeval report pilot_study --data data_samples/harbor_rehab -p protocol=data_samples/harbor_rehab/pilot.yml --out $(OUT)

test: $(VENV)/tested ## Run the whole test suite, a file at a time on two cores
	$(RUN) -m pytest -n 2 --dist loadfile

lint: $(VENV)/tested ## Check the style
	$(RUN) -m ruff check .

study-review: $(VENV)/tested ## All sites and quarters of harbor_rehab against SQL (about 5 minutes)
	$(RUN) -m pytest -m study -s tests/test_review.py

study-fuzz: $(VENV)/tested ## 20,000 damaged files and 300 killed writers: no traceback, no lost row (80 minutes on 2 cores)
	$(RUN) -m pytest -m study -s tests/test_fuzz.py tests/test_cache_safety.py

study-coverage: $(VENV)/tested ## Simulated coverage and type I error, written into docs/validation.md (about 20 minutes)
	$(RUN) -m pytest -m study -s tests/test_simulated_coverage.py

study-degenerate: $(VENV)/tested ## 5,000 degenerate data sets through every estimator (a minute)
	$(RUN) -m pytest -m study tests/test_stats_degenerate.py

study-examples: $(VENV)/tested ## Fresh random examples for every test that draws its own (a few minutes)
	$(RUN) -m pytest -n 2 -m 'hypothesis and not study' --hypothesis-profile=fresh

bench: $(VENV)/tested ## Measure speed against named peers
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(RUN) -m benchmarks

bundle: $(VENV)/tested ## Make the offline bundle for Windows and Linux in dist (a minute or two, 1 GB of disk)
	$(RUN) -m bundle

notebooks: $(VENV)/tested ## Run the notebooks, keep the one checked output, empty the rest
	PYTHONPATH=. $(RUN) tests/test_notebooks.py

pages: $(VENV)/tested ## Write docs/metrics.md and docs/measures.md from the registries
	PYTHONPATH=. $(RUN) tests/test_pages.py

validation: $(VENV)/tested ## Write docs/validation.md: every reference value beside ours
	PYTHONPATH=. $(RUN) tests/validation.py

install: $(VENV)/installed ## Create .venv and install what users need

$(VENV)/bin/python:
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing (a few minutes the first time) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

clean: ## Remove .venv and reports
	rm -rf $(VENV) $(OUT)
