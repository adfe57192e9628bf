# Everything a person or a machine runs here. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GATEWAY_VENV := .venv-gateway
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test test-nightly test-crash java nginx check bench bench-detection bench-nulls bench-ablations bench-evasion bench-exposure schemas docs lock new-signal migration clean clean-all

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes
TESTED_WITH = $(VENV)/.dev $(VENV)/.spark $(GATEWAY_VENV)/.installed java nginx
FAST_TESTS := tests/test_shape.py tests/test_imports.py tests/test_docs.py tests/test_schemas.py

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 18

install: $(VENV)/.runtime ## Install stillwatch itself into .venv

demo: $(VENV)/.runtime ## Simulate a small campaign, scan it, print what was found and name the report
	rm -rf demo
	$(BIN)/stillwatch simulate demo/sim --scenario feb2026 --scale 0.01
	$(BIN)/stillwatch scan 'demo/sim/exchanges/*.parquet' --accounts demo/sim/accounts.parquet --out demo/out
	@echo
	@echo "Report: demo/out/report.html (open it in a browser)"

check: $(VENV)/.dev ## Lint, format, types, import contracts, shape, docs and schemas: under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(FAST_TESTS)

test: $(TESTED_WITH) ## Run every test, real gateways and a Spark cluster included
	$(BIN)/pytest --verbosity=0 -n 2 --dist loadfile --no-loadscope-reorder -m "not nightly" $(PYTEST_ARGS)

test-nightly: $(TESTED_WITH) ## Run what make test leaves out: honesty of the worlds, whole benchmarks in small, other letters, a minute between detections
	$(BIN)/pytest --verbosity=0 -rs -n 2 --dist loadfile -m nightly $(PYTEST_ARGS)

test-crash: $(VENV)/.dev ## Kill the service 50 times under load, half of them over PostgreSQL, and compare with a batch
	STILLWATCH_KILLS=25 $(BIN)/pytest tests/server/intake/test_crashes.py --timeout 3600

bench: $(VENV)/.dev ## Run every benchmark in bench/ and print its figures
	@set -e; shopt -s nullglob; for file in bench/[a-z]*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

bench-detection: $(VENV)/.dev ## Stillwatch beside ten published detectors, in one table: docs/baselines.md
	$(BIN)/python -m bench.detection $(ARGS)

bench-nulls: $(VENV)/.dev ## What is reported where there is nothing to find: docs/proof.md
	$(BIN)/python -m bench.nulls $(ARGS)

bench-ablations: $(VENV)/.dev ## What is still found without one family of evidence: docs/proof.md
	$(BIN)/python -m bench.ablations $(ARGS)

bench-evasion: $(VENV)/.dev ## Recall over doses of each way of hiding, tables and charts: docs/evasion.md
	$(BIN)/python -m bench.evasion $(ARGS)

bench-exposure: $(VENV)/.dev ## What had leaked before a campaign was first reported: docs/evasion.md
	$(BIN)/python -m bench.exposure $(ARGS)

schemas: $(VENV)/.dev ## Publish the JSON Schema of every table again
	$(BIN)/python scripts/publish_schemas.py

docs: $(VENV)/.dev ## Write docs/cli.md and docs/signals/ again from the code
	$(BIN)/python scripts/new_signal.py --pages
	$(BIN)/typer stillwatch.cli utils docs --name stillwatch --title "Command line" --output docs/cli.md

new-signal: $(VENV)/.dev ## Start a signal and its test from the template: make new-signal NAME=<name>
	@test -n "$(NAME)" || { echo "make: say which signal: make new-signal NAME=<name>" >&2; exit 2; }
	$(BIN)/python scripts/new_signal.py "$(NAME)"

migration: $(VENV)/.dev ## Write the next step of the database's schema from its tables: make migration NAME=<name>
	@test -n "$(NAME)" || { echo "make: say what changes: make migration NAME=<name>" >&2; exit 2; }
	@file=$$($(BIN)/python scripts/new_migration.py "$(NAME)" | tail -1) && $(BIN)/ruff check --quiet --fix "$$file" && \
		$(BIN)/ruff format --quiet "$$file" && echo "$$file: read it before you commit it"

clean: ## Delete what the other targets made, environments excepted
	rm -rf demo out sim build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	find src tests scripts bench -type d -name __pycache__ -prune -exec rm -rf {} +

clean-all: clean ## Delete the environments too
	rm -rf $(VENV) $(GATEWAY_VENV) .nginx

# Locked requirements: hashed, for every platform and Python from 3.11 on, nothing younger than a week.
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--exclude-newer "7 days" --custom-compile-command "make lock"

lock: $(VENV)/.dev ## Resolve requirements/*.txt anew; UPGRADE=--upgrade moves what still fits too
	$(COMPILE) $(UPGRADE) requirements/build.in -o requirements/build.txt
	$(COMPILE) $(UPGRADE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra server --extra sharing --extra kafka -c requirements/runtime.txt -o requirements/server.txt
	$(COMPILE) $(UPGRADE) requirements/dev.in pyproject.toml --extra server --extra sharing --extra kafka -c requirements/server.txt -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) requirements/spark.in -c requirements/dev.txt -o requirements/spark.txt
	$(COMPILE) $(UPGRADE) requirements/gateway.in --excludes requirements/gateway-excluded.in -o requirements/gateway.txt

# Environments. A stamp file says what is installed, so a second run costs nothing.
$(VENV)/bin/python:
	@$(call new_environment,$(VENV))

$(VENV)/.runtime: requirements/build.txt requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python $(PIP_INSTALL) -r requirements/build.txt -r requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(BIN)/python $(PIP_INSTALL) -r requirements/dev.txt
	@touch $@

# pyspark comes as source; requirements/build.txt brought what builds it.
$(VENV)/.spark: requirements/spark.txt $(VENV)/.dev
	$(BIN)/python $(PIP_INSTALL) --no-build-isolation -r requirements/spark.txt
	@touch $@

java: ## Install Java 17 when there is none and apt-get may; the Spark tests are skipped without it
	@if test -n "$$JAVA_HOME" || command -v java >/dev/null; then exit 0; fi; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		echo "Installing Java 17 for the Spark tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends openjdk-17-jre-headless && exit 0; \
	fi; \
	echo "make: no Java 17: THE SPARK TESTS WILL BE SKIPPED. Install it (Debian, Ubuntu: apt install openjdk-17-jre-headless)" >&2

nginx: ## Unpack Debian's nginx into .nginx when there is none and apt-get may; its tests are skipped without it
	@if command -v nginx >/dev/null || test -x .nginx/usr/sbin/nginx; then exit 0; fi; \
	if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
		echo "Unpacking nginx for its tests"; mkdir -p .nginx; \
		if test "$$(id -u)" = 0; then apt-get update -qq; fi; \
		(cd .nginx && apt-get download -qq nginx && dpkg-deb -x nginx_*.deb . && usr/sbin/nginx -v) && exit 0; \
	fi; \
	echo "make: no nginx: ITS TESTS WILL BE SKIPPED. Install it (Debian, Ubuntu: apt install nginx)" >&2

# --no-deps: the lock leaves out parts of litellm[proxy] on purpose (requirements/gateway-excluded.in).
$(GATEWAY_VENV)/.installed: requirements/gateway.txt
	@test -x $(GATEWAY_VENV)/bin/python || { $(call new_environment,$(GATEWAY_VENV)); }
	$(GATEWAY_VENV)/bin/python $(PIP_INSTALL) --no-deps -r requirements/gateway.txt
	@touch $@

define new_environment
command -v $(PYTHON) >/dev/null || { \
	echo "make: $(PYTHON) is not installed. Install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=python3.12" >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "make: $$($(PYTHON) --version 2>&1) is too old: stillwatch needs Python 3.11 or newer. Name a newer one: make PYTHON=python3.12" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "make: $(PYTHON) has no venv and ensurepip. Install them (Debian, Ubuntu: apt install python3-venv) and run make again" >&2; exit 1; }; \
echo "Making $(1) with $$($(PYTHON) --version)"; rm -rf $(1); $(PYTHON) -m venv $(1)
endef
