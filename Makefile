# The one command surface: `make help` lists every target. Needs Python >= 3.11 and make.
PYTHON ?= python3
PORT ?= 3000
HOST ?= 127.0.0.1
VENV := .venv
BIN := $(VENV)/bin
ENGINE ?= $(notdir $(shell command -v docker || command -v podman))
IMAGE ?= riskline
# more options for the engine, --network=host say
BUILD_OPTIONS ?=
export BENTOML_DO_NOT_TRACK ?= true
export DOCKER_BUILDKIT ?= 1
# attestations come in an image index, which SageMaker refuses
export BUILDX_NO_DEFAULT_ATTESTATIONS ?= 1
export BENTOML_HOME ?= $(HOME)/bentoml
# the file that the model store keeps for the newest model
NEWEST_MODEL := $(BENTOML_HOME)/models/riskline/latest

.DEFAULT_GOAL := help
.PHONY: help serve train report build container push check quick test container-test loadtest bench lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

serve: $(VENV)/training ## Train if there is no model yet, then serve on PORT (3000); settings: RISKLINE_* (README)
	@test -n "$(RISKLINE_MODEL)" || test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/bentoml serve service:Riskline --host $(HOST) --port $(PORT)

train: $(VENV)/training ## Train on DATA with the verdicts in LABEL, of which BAD counts as risk, and save to the store
	$(BIN)/python -m model.train $(if $(DATA),--data "$(DATA)") $(if $(LABEL),--label "$(LABEL)") $(if $(BAD),--bad "$(BAD)")

report: $(VENV)/training ## Train if there is no model yet, write its report to build/report.html and open it in a browser
	@test -n "$(RISKLINE_MODEL)" || test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/python -m model.report

build: $(VENV)/training ## Pack the newest model and the service as a Bento
	@test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/bentoml build

container: ## Build the image IMAGE (riskline) with docker or podman; MODEL=archive or folder to put another model in it
	@test -n "$(ENGINE)" || { echo "make container needs docker or podman"; exit 1; }
	$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) $(if $(MODEL),--build-arg MODEL="$(MODEL)") \
		--build-arg REVISION="$$(git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null)" $(BUILD_OPTIONS) -t $(IMAGE) .

REGISTRY = $(firstword $(subst /, ,$(ECR)))
REGION = $(word 4,$(subst ., ,$(REGISTRY)))
BUILT_FROM = {{index .Config.Labels "org.opencontainers.image.revision"}}
push: ## Push the image IMAGE to ECR=<registry>/<repository>, tagged with its commit and, if given, TAG
	@test -n "$(ENGINE)" || { echo "make push needs docker or podman"; exit 1; }
	@case "$(ECR)" in *.dkr.ecr.*.*/?*) ;; \
		*) echo "make push needs ECR=<registry>/<repository> in Amazon's ECR"; exit 1; esac
	@command -v aws >/dev/null || { echo "make push needs Amazon's command line, aws"; exit 1; }
	@$(ENGINE) image inspect $(IMAGE) >/dev/null 2>&1 || { echo "there is no image $(IMAGE); run make container"; exit 1; }
	@aws ecr get-login-password --region $(REGION) | $(ENGINE) login --username AWS --password-stdin $(REGISTRY)
	@set -e; tags="$$($(ENGINE) image inspect -f '$(BUILT_FROM)' $(IMAGE)) $(TAG)"; \
		test -n "$${tags# }" || { echo "the image names no commit; give TAG"; exit 1; }; \
		for tag in $$tags; do $(ENGINE) tag $(IMAGE) "$(ECR):$$tag"; $(ENGINE) push "$(ECR):$$tag"; done

check: $(VENV)/development ## Lint and type-check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

quick: check ## Check and run the tests that take seconds: what to run at every save
	$(BIN)/pytest -m "not slow"

# in two runs, so that no container engine is there while the others run
test: check ## Check and run every test: what CI runs
	$(BIN)/pytest -m "not container"
	$(BIN)/pytest -m container

container-test: $(VENV)/development ## Only the image's tests: build it and run it, in an engine that is set up where needed
	$(BIN)/pytest -m container

loadtest: $(VENV)/development ## Start a server, load it with locust, leave build/loadtest.html
	$(BIN)/python -m loadtest.run

bench: $(VENV)/development ## Measure side by side with other servers (20 min; QUICK=1: 4 min); leaves loadtest/results.md
	$(BIN)/python -m loadtest.bench $(if $(QUICK),--quick)

lock: $(VENV)/development ## Lock the dependencies of pyproject.toml and of the environments beside it anew, with hashes
	$(BIN)/python requirements/lock.py
	$(BIN)/python -m loadtest.bench_lock

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Each environment contains the one before: serving ⊂ training ⊂ development.
$(VENV)/%: requirements/%.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@touch $@
