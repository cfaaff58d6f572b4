# A fresh machine needs Python 3.11+ and make; everything else is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEVELOPER := $(VENV)/.developer

PHOTOS ?=
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := photo manifest bundle archive

.PHONY: help demo quick test check docs torture bench fuzz bad-inputs format clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(READY)  ## enrol people who do not exist, and ask who is in new photos
	$(BIN)/twindex demo

# Each worker is a process; a file's tests stay together, because they share what its fixtures make.
WORKERS ?= 2
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile

quick: $(DEVELOPER)  ## tests, but those marked slow
	$(PYTEST) -m "not slow"

test: $(DEVELOPER)  ## all tests
	$(PYTEST)

check: $(DEVELOPER)  ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

DOCUMENTER := $(VENV)/.documenter

docs: $(DOCUMENTER)  ## the documentation as a site, in build/site
	$(BIN)/mkdocs build --quiet --strict

$(DOCUMENTER): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@ $(READY)

# What Hypothesis draws, drawn anew; a thousand kills, five hundred damaged snapshots, two writers. SEED=number repeats
# a run.
torture: $(DEVELOPER)  ## kills, damage and two writers, by the thousand
	$(BIN)/pytest -m hypothesis --hypothesis-profile torture $(if $(SEED),--hypothesis-seed $(SEED))
	$(BIN)/python -m tests.faults.torture $(if $(SEED),--seed $(SEED))

# `make bench PHOTOS=folder` measures on your photos too, one sub-folder per subject. dlib comes compiled, and
# face_recognition's own requirement would compile it again, hence --no-deps.
bench: $(READY)  ## speed beside the peers
	$(BIN)/python -m pip install --quiet --editable ".[bench]" dlib-bin
	$(BIN)/python -m pip install --quiet --no-deps face_recognition face_recognition_models
	$(BIN)/python benchmarks/embedding.py
	$(BIN)/python benchmarks/ceiling.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/endurance.py
	rm -rf build/bench
	$(BIN)/python benchmarks/big_gallery.py build/bench/gallery --references 1000000
	$(BIN)/python benchmarks/gallery.py build/bench/gallery --then sq8
	$(BIN)/python benchmarks/photos.py $(or $(PHOTOS),twindex/demo/people/enrolled)

# FUZZ_SECONDS for each reader of untrusted bytes; a find ends it and is kept below build/fuzz. What was learnt is kept
# there too, for the next time, in as few inputs as reach the same code.
fuzz: $(DEVELOPER)  ## random bytes for everything that reads untrusted ones
	$(BIN)/python -m pip install --quiet --editable ".[fuzz]"
	for target in $(FUZZ_TARGETS); do \
		$(BIN)/python -m fuzz $$target -max_total_time=$(FUZZ_SECONDS) && \
		$(BIN)/python -m fuzz.merge $$target || exit 1; \
	done

# Seconds and memory of each bad, unusual and largest photo.
bad-inputs: $(DEVELOPER)  ## seconds and memory of bad and large photos
	PYTHONPATH=. $(BIN)/python benchmarks/bad_inputs.py

format: $(DEVELOPER)  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The plain installation, without extras: all that the demo needs. The developer's adds to the same environment.
$(READY): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(DEVELOPER): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(READY)

clean:  ## remove what was made
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
