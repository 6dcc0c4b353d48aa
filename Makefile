# The one command surface: `make help` lists every target. Needs Python >= 3.11 and make.
PYTHON ?= python3
PORT ?= 3000
HOST ?= 127.0.0.1
VENV := .venv
BIN := $(VENV)/bin
ENGINE ?= $(notdir $(shell command -v docker || command -v podman))
IMAGE ?= riskline
# processes for the tests: many of them wait for servers most of the time
JOBS ?= 2
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
.PHONY: help serve train adopt report onnx notebook build container push check quick test container-test crash-test
.PHONY: overload chaos soak loadtest hostile analytics console-figures client lambda bench audit sbom lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

serve: $(VENV)/training ## Train if there is no model yet, then serve on PORT (3000); settings: RISKLINE_* (README)
	@test -n "$(RISKLINE_MODEL)" || test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/bentoml serve service:Riskline --host $(HOST) --port $(PORT)

train: $(VENV)/training ## Train on DATA with the verdicts in LABEL, of which BAD counts as risk, and save to the store
	$(BIN)/python -m model.train $(if $(DATA),--data "$(DATA)") $(if $(LABEL),--label "$(LABEL)") $(if $(BAD),--bad "$(BAD)")

adopt: $(VENV)/training ## Write schema and features for the table CSV with its LABEL and BAD, and train; FORCE=1 or OUT=folder
	$(BIN)/python -m model.adopt "$(CSV)" $(if $(LABEL),--label "$(LABEL)") $(if $(BAD),--bad "$(BAD)") \
		$(if $(FORCE),--force) $(if $(OUT),--out "$(OUT)")

report: $(VENV)/training ## Train if there is no model yet, write its report to build/report.html and open it in a browser
	@test -n "$(RISKLINE_MODEL)" || test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/python -m model.report

notebook: $(VENV)/notebook ## Run examples/riskline.ipynb, from data to a served decision, and keep in it what it shows (20 s)
	$(BIN)/python -m examples.execute

onnx: $(VENV)/training ## Write the newest model, or MODEL, as one file that scores raw applications: build/riskline.onnx
	@test -n "$(MODEL)" || test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/python -m model.portable $(if $(MODEL),--model "$(MODEL)")

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
	$(BIN)/pytest -m "not slow" -n $(JOBS) --dist loadfile

# in two runs, so that no container engine is there while the others run
test: check ## Check and run every test: what CI runs
	$(BIN)/pytest -m "not container" -n $(JOBS) --dist loadfile
	$(BIN)/pytest -m container

container-test: $(VENV)/development ## Only the image's tests: build it and run it, in an engine that is set up where needed
	$(BIN)/pytest -m container

crash-test: $(VENV)/development ## Kill the service 50 times under load, and hold its record to what callers were told (20 min)
	CRASH_ROUNDS=50 $(BIN)/pytest tests/decisions/test_crash.py -s

overload: $(VENV)/development ## Send a worker five times what it can answer, and see what it still answers in time (1 min)
	@test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/python -m loadtest.overload

chaos: $(VENV)/development ## Do to the service what a bad night may do, and hold it to its promises (6 min); prints the figures
	CHAOS=long $(BIN)/pytest tests/chaos -s

soak: $(VENV)/development ## Load the service for MINUTES (30) at half of what it can do: does memory, p99 or a handle grow?
	@test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/python -m loadtest.soak

loadtest: $(VENV)/development ## Start a server, load it with locust, leave build/loadtest.html
	$(BIN)/python -m loadtest.run

hostile: $(VENV)/development ## Send COUNT (100,000) requests that nobody should send, and hold the answers to what is promised
	@test -n "$(RISKLINE_MODEL)" || test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/python -m loadtest.hostile $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

analytics: $(VENV)/analytics ## Archive what was decided here, or take ARCHIVE=URL, and show volumes, tiers, approval and drift
	$(if $(ARCHIVE),,$(BIN)/python -m decisions.archive)
	$(BIN)/python -m decisions.analytics $(if $(ARCHIVE),"$(ARCHIVE)")

console-figures: $(VENV)/development ## Load, scroll and use the console in a real Chromium, and show the figures of docs/console.md
	@test -n "$(RISKLINE_MODEL)" || test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/python -m loadtest.console

client: build/packing/installed ## Pack the client as a wheel to build/client/, for whoever asks the service from Python
	cd riskline_client && ../build/packing/bin/python -m hatchling build -t wheel -d ../build/client

lambda: $(VENV)/development ## Pack the channels' Lambda to build/riskline-lambda.zip; for RUNTIME (3.13) and MACHINE (x86_64)
	$(BIN)/python -m requirements.lambda_zip $(if $(RUNTIME),--python $(RUNTIME)) $(if $(MACHINE),--machine $(MACHINE))

bench: $(VENV)/development ## Measure side by side with other servers (20 min; QUICK=1: 4 min); leaves loadtest/results.md
	$(BIN)/python -m loadtest.bench $(if $(QUICK),--quick)

audit: $(VENV)/serving build/audit/installed ## Ask the database of advisories about everything that is locked
	$(BIN)/python -m requirements.audit

sbom: $(VENV)/development ## Write what serving consists of to build/sbom.json (CycloneDX), and docs/licences.md anew
	@test -f "$(NEWEST_MODEL)" || $(BIN)/python -m model.train
	$(BIN)/python -m requirements.sbom --lock requirements/serving.txt --model riskline:latest --out build/sbom.json
	$(BIN)/python -m requirements.licences

lock: $(VENV)/development ## Lock the dependencies of pyproject.toml and of the environments beside it anew, with hashes
	$(BIN)/python requirements/lock.py
	$(BIN)/python -m loadtest.bench_lock

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Each environment contains the one before: serving ⊂ training ⊂ notebook ⊂ development, and serving ⊂ analytics.
$(VENV)/%: requirements/%.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@touch $@

# pip-audit brings a pip of its own, so it lives apart
build/audit/installed: requirements/audit.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -qq --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

# what packs the client is locked with what the client's tests install it beside
build/packing/installed: tests/riskline_client/alone/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@
