# Two commands matter: `make run` and `make test`. The rest serves them.
VENV    ?= .venv
ifndef PYTHON
PYTHON  := $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
endif
BIN     := $(VENV)/bin
# every file that is installed has its hash there: run.txt for the app, lock.txt for the tests too, build.txt for what builds it
RUN     := requirements/run.txt
LOCK    := requirements/lock.txt
BUILD   := requirements/build.txt
UPGRADE ?= --upgrade
COMPILE := uv pip compile --universal --generate-hashes --no-emit-index-url --no-header -q
INSTALL  = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# a browser's driver keeps an event loop running in its process, so its tests have processes of their own;
# they run also when the first part failed; what fails beside another browser is played once more by itself
PYTEST  := $(BIN)/python -m pytest --dist loadfile
# Python starts hundreds of times in the tests; without compiled files each start takes twice as long
unexport PYTHONDONTWRITEBYTECODE
export TWOKEYS_TEST_MODELS ?= $(CURDIR)/.cache/models

.PHONY: run test check format lock models clean help

help: ## this list
	@grep -E '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/'

run: $(BIN)/.app ## make the environment, start the app, open the browser
	$(BIN)/twokeys ui $(ARGS)

test: $(BIN)/.test ## everything: lint, types, contracts, unit, integration and browser tests
	sh scripts/prepare-test-machine.sh
	$(BIN)/python scripts/fetch_test_models.py
	$(MAKE) --no-print-directory check
ifdef ARGS
	$(PYTEST) -n $(or $(JOBS),2) $(ARGS)
else
	status=0; $(PYTEST) -n $(or $(JOBS),3) -m "not browser" || status=$$?; \
	$(PYTEST) -n $(or $(JOBS),2) -m browser || $(PYTEST) -n 0 -m browser --last-failed --last-failed-no-failures none || status=$$?; \
	exit $$status
endif

check: $(BIN)/.test ## lint, format, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.test ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

models: $(BIN)/.app ## fetch the two small models the tests use
	$(BIN)/python scripts/fetch_test_models.py

lock: ## renew the files of requirements/ from pyproject.toml (needs uv); UPGRADE= keeps the versions that are there
	$(COMPILE) $(UPGRADE) --extra test pyproject.toml -o $(LOCK)
	$(COMPILE) pyproject.toml -c $(LOCK) -o $(RUN)
	cd requirements && $(COMPILE) build.in -c run.txt -o build.txt

clean: ## remove the environment and caches, never models or conversations
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "TwoKeys needs Python 3.11 or newer; install it and run again." >&2; exit 1; }
	sh scripts/make-venv.sh "$(PYTHON)" "$(VENV)"

$(BIN)/.app: $(BIN)/python pyproject.toml $(RUN) $(BUILD)
	$(INSTALL) --require-hashes -r $(RUN) -r $(BUILD)
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

$(BIN)/.test: $(BIN)/python pyproject.toml $(LOCK) $(BUILD)
	$(INSTALL) --require-hashes -r $(LOCK) -r $(BUILD)
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@ $(BIN)/.app
