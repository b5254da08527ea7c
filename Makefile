# make demo: set up and restore the examples. make test: set up and pass the tests. Nothing is written outside this folder.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test check clean

demo: $(BIN)/facewright
	$(BIN)/facewright restore examples --output out --compare --report out/report.html
	@echo "look at out/, and open out/report.html"

$(BIN)/facewright: pyproject.toml constraints.txt $(shell find src -type f -not -path '*.egg-info*' -not -name '*.pyc')
	$(PYTHON) -m venv $(VENV)
	$(PIP) .
	@touch $@

test:
	$(PYTHON) -m venv $(VENV)
	$(PIP) ".[dev]"
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/lint-imports
	# one thread a worker: two workers with two threads each wait for one another on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --durations 15

check:
	$(BIN)/mypy
	$(BIN)/ruff format --check src tests benchmarks scripts

clean:
	rm -rf $(VENV) out build
