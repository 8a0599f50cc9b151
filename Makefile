# SPDX-License-Identifier: Apache-2.0
# Every target makes what it needs; `make` alone lists them.

SHELL := /bin/bash
BIN := .venv/bin
export PYTHON

.PHONY: help .venv demo run test lint docs clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ' ## ' '/^[.a-z]+:.* ## / {split($$1, t, ":"); printf "make %-6s %s\n", t[1], $$2}' $(MAKEFILE_LIST)

.venv: .venv/.package ## make the environment in .venv; PYTHON=... names the interpreter
	@:

.venv/.package: requirements.txt test-requirements.txt setup.cfg
	@bash .ci/venv package && touch $@

.venv/.lint: lint-requirements.txt | .venv/.package
	@bash .ci/venv lint && touch $@

demo: .venv/.package ## show what it does, in one go
	@$(BIN)/python -m demo

run: .venv/.package ## start the service and keep it; ARGS=... are its options
	@exec $(BIN)/mogan-hil $(ARGS)

test: .venv/.package ## run the tests with real servers; T=regex runs those that match
	@$(BIN)/python -m tests.servers --install -- $(BIN)/python -m tests.run_summary $(if $(T),'$(T)')

SHELL_FILES := devstack/plugin.sh devstack/settings tests/real/devstack_functions.sh

lint: .venv/.lint ## hacking, ruff, mypy --strict, the import layers and shell
	@failed=; for check in flake8 "ruff check" "ruff format --check --quiet" "mypy --strict" lint-imports \
			"shellcheck -s bash $(SHELL_FILES)" "bashate --max-line-length 120 -i E005 $(SHELL_FILES)"; do \
		echo "$$check"; $(BIN)/$$check || failed=1; \
	done; [ -z "$$failed" ]

docs: .venv/.lint ## build the documents into */build/html
	@for part in doc api-ref releasenotes; do \
		[ -e $$part/source/conf.py ] || continue; \
		echo "$(BIN)/sphinx-build $$part"; \
		$(BIN)/sphinx-build -q -W -b html -d $$part/build/doctrees $$part/source $$part/build/html || exit 1; \
	done

clean: ## remove the environment and everything that was built
	rm -rf .venv .venv-keystone .tox .stestr tests.log .mypy_cache .ruff_cache .import_linter_cache cover .coverage*
	rm -rf *.egg-info build dist
	rm -rf doc/build api-ref/build releasenotes/build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
