# make demo    the whole pipeline on the embedded scenes; ends by naming the report
# make demo-encoders  our own AVC and HEVC encoders with IDSE on the same scenes
# make demo-learned   ELIC and LIC-TCM of pictures and of features on the same scenes
# make test    the tests;  make check: formatting, lint, schemas;  make test-all: with the slow tests
# make real    studies on real COCO pictures, where the validation data lies beside the checkout
# The first of these that is of a version that the locked packages have wheels for.
PYTHON ?= $(firstword $(foreach name,python3 python3.12 python3.11,$(shell $(name) -c \
  'import sys; sys.version_info[:2] in ((3, 11), (3, 12)) and print("$(name)")' 2>/dev/null)) python3)
CORES ?= 2
VENV := .venv
BIN := $(VENV)/bin
SNAKEMAKE = flock -n -E 75 results/.lock $(BIN)/snakemake --nolock --cores $(CORES)

.PHONY: demo demo-encoders demo-learned test test-all check real retrain lock clean env test-env docs bench bench-avc bench-hevc bench-idse bench-matrix bench-learned

demo: env
	@mkdir -p results
	@$(SNAKEMAKE) --configfile config/demo.yaml || $(call explain)

demo-encoders: env
	@mkdir -p results
	@$(SNAKEMAKE) --configfile config/demo.yaml config/encoders.yaml || $(call explain)

demo-learned: env
	@mkdir -p results
	@$(SNAKEMAKE) --configfile config/demo.yaml config/learned.yaml || $(call explain)

real: env
	@mkdir -p results
	@$(SNAKEMAKE) --configfile tests/config/nanodet.yaml || $(call explain)

# Trains every model that the demo ships and writes it to workflow/models/demo (hours on two cores).
retrain: env
	@mkdir -p results
	@$(SNAKEMAKE) ship_models --configfile config/demo.yaml config/retrain.yaml || $(call explain)

test: test-env
	$(BIN)/python -m pytest -m "not slow" tests

test-all: test-env
	$(BIN)/python -m pytest tests

check: test-env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/python -m cfm.documentation --check
	$(BIN)/python -m cfm.measured --check
	$(BIN)/snakemake --lint --configfile config/demo.yaml

docs: test-env
	$(BIN)/python -m cfm.documentation

# Benchmarks print a table and write results/bench/<topic>.json; let nothing else run meanwhile.
bench: bench-avc bench-hevc bench-learned bench-matrix bench-idse

bench-avc: test-env
	$(BIN)/python -m tests.benchmarks.bench_avc

bench-hevc: test-env
	$(BIN)/python -m tests.benchmarks.bench_hevc

bench-learned: test-env
	$(BIN)/python -m tests.benchmarks.bench_learned

# The whole image coding study on the validation data beside the checkout; goes on where it was stopped.
bench-idse: test-env
	@mkdir -p results
	flock -n -E 75 results/.lock $(BIN)/python -m tests.benchmarks.bench_idse || $(call explain)

# Which form of the network's small matrix suffices.
bench-matrix: test-env
	$(BIN)/python -m tests.benchmarks.bench_matrix

lock:
	uv pip compile --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --universal \
	  envs/requirements.in -o envs/requirements.lock
	uv pip compile --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --universal \
	  -c envs/requirements.lock envs/requirements-test.in -o envs/requirements-test.lock

clean:
	find results -mindepth 1 -maxdepth 1 ! -name measured -exec rm -rf {} +
	rm -rf .snakemake

env: $(VENV)/.installed
test-env: $(VENV)/.installed-test

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and \
	  "error: $(PYTHON) is %d.%d and no other is found; the locked packages need 3.11 or 3.12: make PYTHON=/path/to/python3.11 demo" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: envs/requirements.lock pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --require-hashes -r envs/requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-test: envs/requirements-test.lock $(VENV)/.installed
	$(BIN)/pip install --quiet --require-hashes -r envs/requirements-test.lock
	@touch $@

# Exit status 75 is the lock's: another run is under way. Snakemake has said everything else.
define explain
{ status=$$?; test $$status -ne 75 || echo "error: another run holds results/.lock; wait for it to end" >&2; exit $$status; }
endef
