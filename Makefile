# Everything runs from .venv, which is made from requirements.lock: pinned, with hashes.
PYTHON ?= python3
BIN := .venv/bin
PROCESSES ?= 2
SOURCES := zoo_eval jobs benchmarks tests

# Stated, never left to Ray's defaults, which differ between its commands.
export RAY_USAGE_STATS_ENABLED := 0
export RAY_ENABLE_UV_RUN_RUNTIME_ENV := 0
# Each of a Ray's or the tests' many processes would compile all of this package anew, for two seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo harmonize-demo test kernels fuzz storm chaos image check format bench docs site site-links lock clean

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	# uv itself comes from the lock file, by hash; it then installs the rest in seconds.
	sed -n '/^uv==/,/^[a-z].*==/p' requirements.lock | sed '1!{/^[a-z].*==/d}' > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	# Compiled once here: where Python may keep no bytecode, each of many processes would compile anew.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/python -m jobs.demo

# Small networks trained with planted maps, and their controls, then swept: some minutes.
harmonize-demo: setup
	$(BIN)/python -m jobs.harmonize_demo

# Two processes, a file's tests in one of them: half of the time is spent waiting for Rays to start.
test: setup
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

# The tests whose numbers depend on the processor's code, under each setting of it: half an hour.
kernels: setup
	$(BIN)/python -m tests.kernels

# Damaged files of every reader, some thousand each: half an hour. A short part is in the tests.
fuzz: setup
	$(BIN)/python -m tests.fuzz

# Writers, readers and compactions on one store in a bucket whose requests fail: some twenty minutes.
storm: setup
	$(BIN)/python -m tests.storage.storm

# Sweeps on several nodes, killed, stopped and cut off at random: an hour. A short part is in the tests.
chaos: setup
	$(BIN)/python -m tests.chaos

# The image, built and tried; by its own steps in a clean root where no docker answers: five minutes.
image: setup
	$(BIN)/python -m tests.deploy.image

check: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_layers.py

format: setup
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: setup
	$(BIN)/python -m benchmarks.neural_fit --quick
	$(BIN)/python -m benchmarks.attacks --quick
	$(BIN)/python -m benchmarks.optimality --quick
	$(BIN)/python -m benchmarks.rsa --quick
	$(BIN)/python -m benchmarks.ceilings --quick
	$(BIN)/python -m benchmarks.capture --quick
	$(BIN)/python -m benchmarks.alignment --quick
	$(BIN)/python -m benchmarks.runner --quick
	$(BIN)/python -m benchmarks.matrix --models 100
	$(BIN)/python -m benchmarks.stimuli --quick
	$(BIN)/python -m benchmarks.pixels --quick
	$(BIN)/python -m benchmarks.crops --quick
	$(BIN)/python -m benchmarks.recordings --quick
	$(BIN)/python -m benchmarks.nsd --quick
	$(BIN)/python -m benchmarks.readers --quick
	$(BIN)/python -m benchmarks.published_stimuli --quick
	$(BIN)/python -m benchmarks.spatial_fit --quick
	$(BIN)/python -m benchmarks.zoo --quick
	$(BIN)/python -m benchmarks.store --quick
	$(BIN)/python -m benchmarks.queries --quick
	$(BIN)/python -m benchmarks.anatomies --quick
	$(BIN)/python -m benchmarks.trends --quick
	$(BIN)/python -m benchmarks.serve --quick
	$(BIN)/python -m benchmarks.harmonizer --quick

docs: setup
	$(BIN)/python -m benchmarks.tables_page
	$(BIN)/python -m benchmarks.questions_page

# The pages of docs/ as a site, build/site/index.html; any warning is an error.
site: setup
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site

# Whether what the pages link to elsewhere is there.
site-links: setup
	$(BIN)/python -m sphinx -q -W --keep-going -b linkcheck docs build/links

lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --constraint requirements.lock requirements.gcp.in --output-file requirements.gcp.lock

clean:
	rm -rf .venv results build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
