# Every word below sets up what it needs; a fresh machine needs Python >= 3.11 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=

.PHONY: demo run test kill days flood check bench gallery lock clean help
help:            ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(READY)   ## the hub on a simulated market, with a chat
	@$(BIN)/tocsin demo $(ARGS)

run: $(READY)    ## the hub on live sources, as config.toml says
	@$(BIN)/tocsin run $(ARGS)

JOBS ?= 2
test: $(READY)   ## the test suite, two files at a time; JOBS=4 for another count, JOBS=0 for one after the other
	@$(BIN)/pytest -n $(JOBS) --dist loadfile $(ARGS)

kill: $(READY)   ## kill -9 of every part, and of the engine in a real day, 200 times each; TOCSIN_KILLS=n for another count
	@TOCSIN_KILLS=$${TOCSIN_KILLS:-200} $(BIN)/pytest -s tests/test_kill.py tests/test_kill_alerts.py tests/test_share.py $(ARGS)

days: $(READY)   ## whole real days from TOCSIN_DATA, every kind of alert, engine against reference
	@TOCSIN_DAYS=1 $(BIN)/pytest -s --durations=0 tests/test_same_triggers.py -k day $(ARGS)

flood: $(READY)  ## 10,000 notifications to 300 chats at the platforms' real limits
	@TOCSIN_FLOOD=1 $(BIN)/pytest -s tests/test_flood.py $(ARGS)

check: $(READY)  ## ruff, mypy --strict, the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/test_imports.py

bench: $(READY)  ## the benchmarks, as ratios in one run
	@$(BIN)/python -m bench $(ARGS)

gallery: $(READY) ## docs/gallery again, from the market data at TOCSIN_DATA
	@$(BIN)/python -m charts.gallery

COMPILE := .lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
           --no-emit-find-links --no-annotate --no-header --all-extras pyproject.toml
lock:            ## requirements.lock (the product) and requirements-dev.lock (with the tests), from pyproject.toml
	@rm -rf .lock && $(PYTHON) -m venv .lock && .lock/bin/pip -q install uv
	@$(COMPILE) --group dev -o requirements-dev.lock
	@$(COMPILE) -c requirements-dev.lock -o requirements.lock
	@rm -rf .lock; ! grep -nE '://' requirements.lock requirements-dev.lock

clean:           ## forget the virtual environment and caches; data folders stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once)"
	@$(BIN)/pip -q --disable-pip-version-check install --require-hashes -r requirements-dev.lock
	@$(BIN)/pip -q --disable-pip-version-check install --no-deps --no-build-isolation -e .
	@touch $(READY)
