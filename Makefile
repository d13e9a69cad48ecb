# Three commands, the same in CI: make check, make test, make run.
# Only Python >= 3.11 and make are needed; everything lands in .venv and instance/.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header --extra postgres --group build pyproject.toml

PYBABEL := $(BIN)/pybabel
TRANSLATIONS := webapp/translations
LANGUAGES := ru pl zh_Hans

.PHONY: run test explore check format messages lock clean

run: .venv/.run
	$(BIN)/offerlab demo --port $(PORT)

# a file of tests stays with one process: some share a server
test: .venv/.dev
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

# the laws and the state machines with examples that no run has had yet; what it finds becomes a test
explore: .venv/.dev
	$(BIN)/python -m pytest --hypothesis-profile=exploring -m hypothesis

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# gathers the pages' messages, brings each language's catalogue up to them, and compiles it; nothing is guessed
messages: .venv/.dev
	$(PYBABEL) -q extract --mapping-file babel.cfg --keywords lazy_gettext \
	        --keywords worded --keywords worded_n:1,2 --no-location --sort-output \
	        --project offerlab --output-file $(TRANSLATIONS)/messages.pot .
	for language in $(LANGUAGES); do \
	  test -f $(TRANSLATIONS)/$$language/LC_MESSAGES/messages.po \
	    || $(PYBABEL) -q init --input-file $(TRANSLATIONS)/messages.pot --output-dir $(TRANSLATIONS) --locale $$language; \
	  $(PYBABEL) -q update --no-fuzzy-matching --ignore-obsolete --input-file $(TRANSLATIONS)/messages.pot \
	        --output-dir $(TRANSLATIONS) --locale $$language; \
	done
	$(PYBABEL) -q compile --directory $(TRANSLATIONS)

lock: .venv/.dev
	$(LOCK) --output-file requirements.lock
	$(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf .venv instance .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit("Offerlab needs Python 3.11 to 3.13; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	$(PYTHON) -m venv .venv

.venv/.run: .venv/pyvenv.cfg requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@touch $@
