# `make` lists the tasks. Everything is installed into .venv with checked hashes.
.DEFAULT_GOAL := help
PY := .venv/bin/python
UV := .venv/bin/uv
export ROGATORY_UV := $(UV)

help: ## list the tasks
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

.venv/run.ok: requirements/uv.txt requirements/run.txt pyproject.toml
	@python3 -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Rogatory needs Python 3.11 or newer; on Debian 12: apt-get install python3 python3-venv")'
	@test -x $(PY) || python3 -m venv .venv
	@test -x $(UV) || $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@# Compiled once here: where Python may not write bytecode, every service would compile 2 s at every start.
	@$(UV) pip install --quiet --python $(PY) --compile-bytecode --require-hashes -r requirements/run.txt
	@$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@$(PY) -m compileall -q shared services cli deploy simulate verify
	@touch $@

.venv/dev.ok: .venv/run.ok requirements/dev.txt
	@$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements/dev.txt
	@touch $@

setup: .venv/run.ok ## make .venv with .venv/bin/rogatory

run: .venv/run.ok ## the whole system on this machine, and fifteen letters through it (ONCE=1, KEEP=1, KAFKA=, MONGO=)
	@.venv/bin/rogatory demo $(if $(ONCE),--once) $(if $(KEEP),--keep) $(if $(KAFKA),--kafka $(KAFKA)) $(if $(MONGO),--mongo $(MONGO))

check: .venv/dev.ok ## ruff, mypy --strict, import-linter
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

test: check ## everything: checks and all tests, against real Kafka and MongoDB
	@.venv/bin/pytest

fault: .venv/dev.ok ## kill services, Kafka and mongod; writes tests/fault/results/latest.json
	@ROGATORY_FAULT_RESULTS=1 ROGATORY_FAULT_PLANTED=1 .venv/bin/pytest tests/fault

fuzz: .venv/dev.ok ## bad input by the hundred thousand (`make test` tries a tenth)
	@ROGATORY_FUZZ=full .venv/bin/pytest tests/fuzz --timeout 3600

bench: .venv/dev.ok ## measure against a bare loop; writes benchmarks/results/latest.json
	@$(PY) -m benchmarks
	@$(PY) -m benchmarks.scaling --write

scaling: .venv/dev.ok ## measure what a letter costs in bytes and operations; renews docs/scaling.md
	@$(PY) -m benchmarks.footprint
	@$(PY) -m benchmarks.scaling --write

format: .venv/dev.ok ## lay out the code
	@.venv/bin/ruff check --quiet --fix .
	@.venv/bin/ruff format --quiet .

lock: .venv/run.ok ## write requirements/*.txt and benchmarks/peers/*.txt anew from their *.in
	@for n in requirements/uv requirements/run requirements/dev requirements/java benchmarks/peers/quix benchmarks/peers/intelmq; do $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $$n.in -o $$n.txt; done

clean: ## remove the local stack's data and downloads
	@rm -rf .rogatory

.PHONY: help setup run check test fault fuzz bench scaling format lock clean
