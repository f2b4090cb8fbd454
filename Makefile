# Needs Python 3.11 or newer and make, nothing else. PYTHON=python3.12 chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What to install beside the package: dev for the tests, with lucene the tests that need Lucene, and with browser those
# that open a report in the Chromium of the system.
EXTRAS ?= dev
INSTALLED := $(VENV)/.installed-$(EXTRAS)
# What benchmarks compare with, where it cannot be installed beside us.
PEERS := $(VENV)/peers/.installed

.PHONY: test demo trials bench bench-full bench-gpu clean

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
	$(BIN)/python benchmarks/backends.py --size full
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/training_speed.py
	MTEB_CASCADE_TRIALS=1 $(BIN)/pytest tests/mteb_plugin/test_mteb_command.py tests/values tests/stages tests/store

bench: $(INSTALLED) $(PEERS)  ## Ours beside the peers, under 15 minutes on two cores.
	$(BIN)/python benchmarks/table.py

bench-full: $(INSTALLED) $(PEERS)  ## The same at full size, scaling too, under an hour.
	$(BIN)/python benchmarks/table.py --full

bench-gpu: $(INSTALLED) $(PEERS)  ## The same at the size of a GPU.
	$(BIN)/python benchmarks/table.py --gpu

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

# Without it the benchmarks leave out the rows that need it, so a failure here stops nothing.
$(PEERS): benchmarks/peers.txt constraints.txt | $(INSTALLED)
	rm -f $@
	$(BIN)/python -m venv --clear $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip install --quiet -c constraints.txt -r benchmarks/peers.txt && touch $@ || \
	  echo "$(VENV)/peers could not be installed: pyserini, PyTerrier, ranx and rerankers are left out"
