# Each verb is a line that one could type. PYTHON chooses the interpreter: make setup PYTHON=python3.12
PYTHON ?= python3
BIN = .venv/bin
KILLS ?= 50

.PHONY: setup test wire model api-fuzz lint demo sim sim-release kill mutants bench docs

setup: ## a .venv with the project (editable) and everything that tests need
	$(PYTHON) -m venv .venv && $(BIN)/pip install -e '.[test]'

test: ## all tests; one story: .venv/bin/pytest -k last_unit
	$(BIN)/pytest

wire: ## every request and answer against the marketplaces' own documents, with counts (ONESHELF_CONTRACTS says where they are)
	$(BIN)/pytest tests/contract/test_wire.py -n0 -q -s


model: ## every interleaving of larger small worlds (docs/concepts/model-checks.md); the small ones run with the tests
	$(BIN)/pytest tests/model -m 'slow or not slow' -n auto --dist load -s

api-fuzz: ## the API's document against the service, 200 random requests an operation
	ONESHELF_FUZZ=200 $(BIN)/pytest tests/scenario/test_api_fuzz.py -n0 -q --timeout 7200

lint: ## form, types, who may import whom
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

demo: ## four marketplaces and a shelf on this machine, until Ctrl-C
	$(BIN)/oneshelf demo

sim: ## as much of what each change should pass as ten minutes on two cores hold: hostile worlds, seeds twice, crashes at commits and awaits
	$(BIN)/oneshelf sim --runs 60 --profile hostile --days 0.05
	$(BIN)/oneshelf sim --runs 6 --seed 100 --profile hostile --days 0.05 --twice
	$(BIN)/oneshelf sim --crash-points 300

sim-release: ## until it breaks or is stopped: 20 worlds twice, 1,000 hostile worlds of six hours, then 20,000 crashes at commits and awaits, then every planted fault
	$(BIN)/oneshelf sim --runs 20 --seed 100 --profile hostile --days 0.05 --twice --json
	$(BIN)/oneshelf sim --runs 1000 --profile hostile --json
	$(BIN)/oneshelf sim --crash-points 20000 --json
	$(BIN)/oneshelf sim --teeth

kill: ## the service under load, ended with kill -9 and started again, KILLS times; afterwards nothing is lost and nothing double
	KILLS=$(KILLS) $(BIN)/pytest tests/scenario/test_kill.py -k under_load -n0 -s

mutants: ## wrong lines planted into what decides, one at a time, and whether a test notices; fewer by MUTANTS='oneshelf.core.slot*'
	$(BIN)/pip install -q -e '.[test,mutants]'
	$(BIN)/mutmut run $(MUTANTS)
	$(BIN)/mutmut results

bench: ## orders decided and durable per second, beside a bare loop that writes the same rows
	$(BIN)/oneshelf bench orders

docs: ## the pages that are generated: settings and commands
	$(BIN)/python docs/generate.py
