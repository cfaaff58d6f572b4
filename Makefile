# A fresh machine needs Python 3.11+ and make; everything else is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEVELOPER := $(VENV)/.developer

PHOTOS ?=
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := photo manifest bundle archive

.PHONY: demo quick test check torture bench fuzz bad-inputs format clean

demo: $(READY)
	$(BIN)/twindex demo

# Each worker is a process; a file's tests stay together, because they share what its fixtures make.
WORKERS ?= 2
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile

quick: $(DEVELOPER)  ## tests, but those marked slow
	$(PYTEST) -m "not slow"

test: $(DEVELOPER)  ## all tests
	$(PYTEST)

check: $(DEVELOPER)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What Hypothesis draws, drawn anew; a thousand kills, five hundred damaged snapshots, two writers. SEED=number repeats
# a run.
torture: $(DEVELOPER)
	$(BIN)/pytest -m hypothesis --hypothesis-profile torture $(if $(SEED),--hypothesis-seed $(SEED))
	$(BIN)/python -m tests.faults.torture $(if $(SEED),--seed $(SEED))

# `make bench PHOTOS=folder` measures on your photos too, one sub-folder per subject. dlib comes compiled, and
# face_recognition's own requirement would compile it again, hence --no-deps.
bench: $(READY)
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
fuzz: $(DEVELOPER)
	$(BIN)/python -m pip install --quiet --editable ".[fuzz]"
	for target in $(FUZZ_TARGETS); do \
		$(BIN)/python -m fuzz $$target -max_total_time=$(FUZZ_SECONDS) && \
		$(BIN)/python -m fuzz.merge $$target || exit 1; \
	done

# Seconds and memory of each bad, unusual and largest photo.
bad-inputs: $(DEVELOPER)
	PYTHONPATH=. $(BIN)/python benchmarks/bad_inputs.py

format: $(DEVELOPER)
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

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
