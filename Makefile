# Needs Python 3.11 or newer and make, nothing else. PYTHON=python3.12 chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What to install beside the package: dev for the tests, with lucene the tests that need Lucene, and with browser those
# that open a report in the Chromium of the system.
EXTRAS ?= dev
INSTALLED := $(VENV)/.installed-$(EXTRAS)

.PHONY: test demo trials bench clean

test: $(INSTALLED)  ## Lint, types, doctests, tests.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --doctest-modules mteb_cascade tests

demo: $(INSTALLED)  ## The main job on real text, under 5 minutes.
	$(BIN)/mteb-cascade demo

trials: $(INSTALLED)  ## Long checks against published figures and at full size.
	$(BIN)/python benchmarks/leaderboard.py
	$(BIN)/python benchmarks/hybrid.py
	$(BIN)/python benchmarks/curves.py
	$(BIN)/python benchmarks/trials.py
	MTEB_CASCADE_TRIALS=1 $(BIN)/pytest tests/mteb_plugin/test_mteb_command.py

bench: $(INSTALLED)  ## What the machine at hand takes.
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/sweep_speed.py
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/curves.py

clean:  ## Everything that git ignores except trained models.
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last and taken away first: an environment without any was interrupted and is made anew.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mteb-cascade needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 ...")'
	ls $(VENV)/.installed* >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	rm -f $(VENV)/.installed*
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@
