# `make` alone lists what there is. Needs make and Python 3.11 or newer; everything else is fetched into .venv and,
# for the control plane, built once into the user's cache folder.
#
#   make PYTHON=python3.12 test     another interpreter
#   make run ONCE=1                 show the page and end
#   make run KUBECONFIG=FILE ADDRESS=IP    an existing cluster; IP is where its API server reaches this machine

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
PYTEST ?=

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/sh
.PHONY: help venv run test test-node lint pytest bench bench-rings controlplane image image-check docs docs-check install-yaml clean lock fmt

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

venv:
	@$(PYTHON) .ci/venv $(VENV)

# An exported KUBECONFIG is not taken: `make run` must never touch a cluster that nobody named for it.
run: venv ## a real API server with the webhook and the examples; stays up until Ctrl-C (ONCE=1: ends by itself)
	@$(BIN)/python -m tests.demo $(if $(filter-out 0,$(ONCE)),--once) \
	  $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig '$(KUBECONFIG)') $(if $(ADDRESS),--address '$(ADDRESS)')

test: lint pytest ## lint, then every test (PYTEST='-k name' passes options on)

lint: venv docs-check ## ruff, mypy --strict, the layers of the code, the Dockerfile, stale documentation
	@echo "  ruff check" && $(BIN)/ruff check -q .
	@echo "  ruff format" && $(BIN)/ruff format -q --check .
	@echo "  hadolint" && $(BIN)/hadolint Dockerfile
	@echo "  mypy" && $(BIN)/mypy --no-error-summary
	@echo "  import-linter" && $(BIN)/lint-imports --no-logo >$(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }

pytest: venv
	@$(BIN)/pytest -q -n $(JOBS) $(PYTEST)

# As with `make run`, an exported KUBECONFIG is not taken.
test-node: venv ## the installation and injected pods on a real kubelet (KUBECONFIG=FILE names a cluster; says so where none can be had)
	@$(BIN)/python -m tests.node $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig '$(KUBECONFIG)') -- $(PYTEST)

bench: venv ## measure beside reference servers in one run; prints one table with ratios
	@$(BIN)/python -m bench $(BENCH)

bench-rings: venv ## the controller at 100 to 5,000 pods beside another design (20 minutes; BENCH=--help)
	@$(BIN)/python -m bench.rings $(BENCH)

controlplane: venv ## build and start a bare control plane, print its KUBECONFIG, stay up until Ctrl-C
	@$(BIN)/python -m tests.controlplane

image: ## build the image by docker, podman or buildah (TAG=, BASE=, BUILD=, BUILDER=: see .ci/image)
	@.ci/image

image-check: venv ## carry out the Dockerfile's steps without any of them, and list what each package costs
	@$(BIN)/python -m tests.image

docs: venv ## write the pages and the dashboard that are made from the code, and deploy/chart/README.md from the chart's values
	@$(BIN)/habitat-webhook annotations -o markdown >docs/annotations.md.new && mv docs/annotations.md.new docs/annotations.md
	@$(BIN)/python deploy/values_table.py >deploy/chart/README.md.new && mv deploy/chart/README.md.new deploy/chart/README.md
	@$(BIN)/python -m deploy.policy_docs
	@$(BIN)/python -m deploy.metrics_page >docs/metrics.md.new && mv docs/metrics.md.new docs/metrics.md
	@$(BIN)/python -m deploy.dashboard >$(DASHBOARD).new && mv $(DASHBOARD).new $(DASHBOARD)

DASHBOARD := deploy/chart/dashboards/habitat-webhook.json

install-yaml: venv ## write deploy/install.yaml from deploy/chart (builds Helm at the first use)
	@$(BIN)/python -m tests.deploy.chart

docs-check: venv
	@echo "  deploy/chart/README.md is current"
	@$(BIN)/python deploy/values_table.py | diff -u deploy/chart/README.md - || { echo "deploy/chart/README.md is stale: run make docs"; exit 1; }
	@echo "  docs/policy.md and deploy/policy.schema.json are current"
	@$(BIN)/python -m deploy.policy_docs --check
	@echo "  docs/annotations.md is current"
	@$(BIN)/habitat-webhook annotations -o markdown | diff -u docs/annotations.md - || { echo "docs/annotations.md is stale: run make docs"; exit 1; }

	@echo "  docs/metrics.md is current"
	@$(BIN)/python -m deploy.metrics_page | diff -u docs/metrics.md - || { echo "docs/metrics.md is stale: run make docs"; exit 1; }
	@echo "  $(DASHBOARD) is current"
	@$(BIN)/python -m deploy.dashboard | diff -u $(DASHBOARD) - || { echo "$(DASHBOARD) is stale: run make docs"; exit 1; }

fmt: venv ## format the code and mend what ruff can mend
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

lock: venv ## bring the lock files up to date with pyproject.toml (UPGRADE=1: newest versions)
	@$(BIN)/pip-compile $(COMPILE) --output-file=requirements.lock pyproject.toml
	@$(BIN)/pip-compile $(COMPILE) --allow-unsafe --constraint=requirements.lock --extra=dev \
	  --output-file=requirements-dev.lock pyproject.toml
	@$(BIN)/pip-compile $(COMPILE) --allow-unsafe --constraint=requirements-dev.lock --all-build-deps --only-build-deps \
	  --output-file=requirements-build.lock pyproject.toml
COMPILE = --quiet $(if $(filter-out 0,$(UPGRADE)),--upgrade) --generate-hashes --strip-extras \
  --no-emit-find-links --no-emit-index-url --no-emit-trusted-host

clean: ## remove .venv, caches and build results (the control plane's binaries stay in the user's cache folder)
	@rm -rf $(VENV) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
