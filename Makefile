# Every target here works on a machine that has only Go; those that need more say so.
.DEFAULT_GOAL := help
# The driver of Snowflake would else unpack a library of its own at each start.
export GOFLAGS := -buildvcs=false -tags=minicore_disabled
GO ?= go
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
SBOM := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
VERSION ?= $(shell git describe --tags --always 2>/dev/null || echo dev)
FUZZTIME ?= 60s
# The race detector needs a C compiler; without one the tests run all the same.
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: run
run: ## play the demo: real alerts on a real database, messages on loopback
	$(GO) run ./cmd/sqlsentinel demo

.PHONY: build
build: ## build bin/sqlsentinel
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/sqlsentinel ./cmd/sqlsentinel

.PHONY: build-duckdb
build-duckdb: ## build bin/sqlsentinel with DuckDB in it; needs a C compiler
	CGO_ENABLED=1 $(GO) build -tags=minicore_disabled,duckdb -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/sqlsentinel ./cmd/sqlsentinel

.PHONY: test-duckdb
test-duckdb: ## run the tests of queries on DuckDB; needs a C compiler
	$(GO) vet -tags=minicore_disabled,duckdb ./shared/query
	CGO_ENABLED=1 $(GO) test -tags=minicore_disabled,duckdb -shuffle=on -timeout 10m -run '/duckdb|Duck' ./shared/query ./samples

# --- AWS: docs/aws.md

# Which stack, where, and more choices: CONTEXT="-c alarmEmail=you@example.com".
STACK ?= sentinel
REGION ?=
CONTEXT ?=
CDK = $(if $(REGION),AWS_REGION=$(REGION) )node_modules/.bin/cdk
CHOSEN = -c stack=$(STACK) $(CONTEXT)
SETTLE = $(if $(REGION),AWS_REGION=$(REGION) )infra/.build/settle

infra/node_modules/.bin/cdk: infra/package-lock.json
	@command -v npm >/dev/null || { echo "there is no Node with npm here, which CDK needs: install Node 22 or newer, https://nodejs.org" >&2; exit 1; }
	@cd infra && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.bin/cdk

infra/.build/settle: $(wildcard infra/settle/*.go shared/cloud/*.go shared/cloud/*/*.go)
	@$(GO) build -o $@ ./infra/settle

.PHONY: bootstrap
bootstrap: infra/node_modules/.bin/cdk ## prepare an account and a region for CDK, once: REGION=
	@cd infra && $(CDK) bootstrap $(CHOSEN)

.PHONY: synth
synth: infra/node_modules/.bin/cdk ## build the functions and print the template: STACK= CONTEXT=
	@cd infra && $(CDK) synth $(CHOSEN)

.PHONY: diff
diff: infra/node_modules/.bin/cdk infra/.build/settle ## show what deploy would change: STACK= REGION= CONTEXT=
	@$(SETTLE) -check
	@cd infra && $(CDK) diff $(CHOSEN)

.PHONY: deploy
deploy: infra/node_modules/.bin/cdk infra/.build/settle ## deploy a stack and wait until its schedules follow: STACK= REGION= CONTEXT=
	@$(SETTLE) -check
	@cd infra && $(CDK) deploy $(CHOSEN)
	@$(SETTLE) -stack $(STACK)

.PHONY: destroy
destroy: infra/node_modules/.bin/cdk infra/.build/settle ## remove a stack; table and bucket stay: STACK= REGION= CONTEXT=
	@$(SETTLE) -check
	@cd infra && $(CDK) destroy $(CHOSEN)

.tools/cfn-lint/bin/cfn-lint:
	@python3 -m venv .tools/cfn-lint && .tools/cfn-lint/bin/pip install -q cfn-lint==1.58.0

.PHONY: lint-template
lint-template: .tools/cfn-lint/bin/cfn-lint ## check the snapshots of the template against the schemas of CloudFormation; needs Python
	.tools/cfn-lint/bin/cfn-lint --ignore-checks W3005 -- infra/testdata/*.json

.PHONY: test-deploy
test-deploy: emulators infra/node_modules/.bin/cdk ## deploy the stack into an emulator of AWS and use it; takes minutes
	SENTINEL_DEPLOY=1 $(GO) test -count=1 -timeout 20m ./infra/deployed

.PHONY: aws-local
aws-local: emulators infra/node_modules/.bin/cdk ## the whole stack on this machine, without an account, to play with
	@$(GO) run ./infra/laptop up

.PHONY: aws-local-down
aws-local-down: ## end what aws-local started, and remove it
	@$(GO) run ./infra/laptop down

# --- containers: docs/containers.md

COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
PROFILE ?=
FUNCTION ?= query
EVENT ?= events/$(FUNCTION).json
FROM ?=

.PHONY: image
image: ## build both container images, sqlsentinel and sqlsentinel-lambda; needs Docker
	docker build --target sqlsentinel --build-arg VERSION=$(VERSION) -t sqlsentinel .
	docker build --target lambda --build-arg VERSION=$(VERSION) -t sqlsentinel-lambda .

.PHONY: image-test
image-test: emulators ## build the images from stand-in bases and use them; needs Docker, and takes minutes
	SENTINEL_IMAGES=1 $(GO) test -count=1 -timeout 20m -v ./infra/containers

.PHONY: up
up: ## the daemon in a container, with a shop to watch and a mail catcher; PROFILE=lambda: the functions, beside make aws-local
	$(if $(PROFILE),AWS_LOCAL=.tools/aws-local/containers )$(COMPOSE) $(if $(PROFILE),--profile $(PROFILE) )up -d --build $(if $(PROFILE),query sync email slack webhook)

.PHONY: down
down: ## end what up started, and remove it
	$(COMPOSE) --profile lambda down -v

.PHONY: local-invoke
local-invoke: ## call a function that make up PROFILE=lambda started: FUNCTION= EVENT=, or FROM=queue
	@$(GO) run ./infra/laptop invoke $(FUNCTION) $(if $(FROM),$(FROM),$(EVENT))

.tools/sam/bin/sam:
	@python3 -m venv .tools/sam && .tools/sam/bin/pip install -q aws-sam-cli==1.170.0

.tools/kubernetes-validate/bin/kubernetes-validate:
	@python3 -m venv .tools/kubernetes-validate && .tools/kubernetes-validate/bin/pip install -q kubernetes-validate==1.37.0

.PHONY: lint-containers
lint-containers: .tools/sam/bin/sam .tools/kubernetes-validate/bin/kubernetes-validate ## check template-local.yaml and the manifest for Kubernetes against their schemas; needs Python
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .tools/sam/bin/sam validate --lint -t template-local.yaml
	.tools/kubernetes-validate/bin/kubernetes-validate --strict samples/kubernetes/sqlsentinel.yaml

.PHONY: emulators
emulators: ## fetch the emulators of the tests (AWS, BigQuery, Snowflake); needs Java, Maven and Python
	@shared/sentineltest/emulators/fetch.sh

.PHONY: test-aws
test-aws: emulators ## run the tests of the AWS runtime against emulators that others wrote
	$(GO) test $(RACE) -shuffle=on -timeout 20m ./shared/cloud/... ./functions/... ./shared/sentineltest/emulators

.PHONY: test
test: emulators ## run every test in random order, with the race detector where there is a C compiler
	@[ -n "$(RACE)" ] || echo "NO C COMPILER: the tests run without the race detector"
	$(GO) test $(RACE) -shuffle=on -timeout 20m $(TESTFLAGS) ./...

.PHONY: cover
cover: ## run the tests and print the coverage of shared/
	$(MAKE) test TESTFLAGS='-coverpkg=./shared/... -coverprofile=coverage.out'
	.ci/covered coverage.out 85

.PHONY: lint
lint: ## run the linters, the import rule among them
	$(GO) run $(GOLANGCI) run ./...

.PHONY: vuln
vuln: ## look for known vulnerabilities; needs the vulnerability database
	$(GO) run $(GOVULNCHECK) ./...

.PHONY: sbom
sbom: build ## list the modules of the program, with licenses, as CycloneDX
	$(GO) run $(SBOM) bin -json -licenses -std -version $(VERSION) -output bin/sqlsentinel.cdx.json bin/sqlsentinel

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME each, two at a time
	@for file in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do \
	  sed -n "s|^func \(Fuzz[A-Za-z0-9]*\)(.*|./$$(dirname $$file) \1|p" $$file; \
	done | xargs -P 2 -n 2 sh -c 'out=$$($(GO) test -run "^$$" -fuzz "^$$2$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s -parallel 1 $$1 2>&1); \
	  code=$$?; printf "== %s %s\n%s\n" "$$1" "$$2" "$$out"; exit $$code' fuzz

.PHONY: crash
crash: ## kill `run` 200 times, the daemon 200 times, and the functions at each of their calls of AWS
	SENTINEL_CRASH_ROUNDS=200 $(GO) test -run 'TestKilledRuns|TestAKilledDaemon' -count=1 -v -timeout 30m ./cmd/sqlsentinel
	SENTINEL_CRASH_ROUNDS=200 $(GO) test -run Killed -count=1 -v -timeout 30m ./functions

# The programs that docs/performance.md compares with.
.tools/bench/sqlsentinel/bin/sqlsentinel:
	@python3 -m venv .tools/bench/sqlsentinel && .tools/bench/sqlsentinel/bin/pip install -q sqlsentinel==0.1.0
.tools/bench/dbt/bin/dbt:
	@python3 -m venv .tools/bench/dbt && .tools/bench/dbt/bin/pip install -q dbt-core==1.11.16 dbt-sqlite==1.10.0
.tools/bench/query-exporter/bin/query-exporter:
	@python3 -m venv .tools/bench/query-exporter && .tools/bench/query-exporter/bin/pip install -q query-exporter==5.0.2
OTHERS = .tools/bench/sqlsentinel/bin/sqlsentinel .tools/bench/dbt/bin/dbt .tools/bench/query-exporter/bin/query-exporter

ONLY ?=
.PHONY: faults
faults: ## 200 rounds of faults around a real daemon: killed, stopped, disk full, connections spoiled; its clock set. As root, for the small disk
	SENTINEL_FAULT_ROUNDS=200 CI=true $(GO) test -run 'TestFaultsInRounds|TestAClockThatJumps' -count=1 -v -timeout 30m ./cmd/sqlsentinel

SEEDS ?= 10000
SEEDS_SQLITE ?= 2000
SEEDS_DYNAMODB ?= 36
SEED ?=

.PHONY: simulate
simulate: ## play SEEDS histories full of failures and hold them to the promises; SEED= tells the story of one
ifneq ($(SEED),)
	SENTINEL_SEED=$(SEED) $(GO) test -run TestSimulationInMemory -count=1 -v ./shared/sentineltest/simulation
else
	SENTINEL_SEEDS=$(SEEDS) $(GO) test -run Test -count=1 -v -timeout 10m ./shared/sentineltest/simulation
	SENTINEL_SEEDS=$(SEEDS_SQLITE) $(GO) test -run TestSimulation -count=1 -v -timeout 10m ./shared/local
	SENTINEL_SEEDS=$(SEEDS_DYNAMODB) $(GO) test -run TestSimulation -count=1 -v -timeout 10m ./shared/cloud
endif

.PHONY: bench
bench: $(if $(filter others,$(or $(ONLY),others)),$(OTHERS)) ## measure, and write docs/performance.md; ONLY=: one section; needs Python
	$(GO) run ./benchmarks $(if $(ONLY),-only $(ONLY))

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: clean
clean: ## remove what the targets made
	rm -rf bin coverage.out
