# Every target here works on a machine that has only Go; those that need more say so.
.DEFAULT_GOAL := help
export GOFLAGS := -buildvcs=false
GO ?= go
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
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

.PHONY: emulators
emulators: ## fetch the AWS emulators of the tests; needs Java, Maven and Python
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

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME each
	@set -e; for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package 2>/dev/null | grep '^Fuzz' || true); do \
	    echo "== $$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package; \
	  done; \
	done

.PHONY: crash
crash: ## kill `run` 200 times, and the functions at each of their calls of AWS
	SENTINEL_CRASH_ROUNDS=200 $(GO) test -run TestKilledRuns -count=1 -v -timeout 30m ./cmd/sqlsentinel
	SENTINEL_CRASH_ROUNDS=200 $(GO) test -run Killed -count=1 -v -timeout 30m ./functions

.PHONY: bench
bench: ## compare speed and memory with floors measured in the same run
	$(GO) run ./benchmarks

.PHONY: fmt
fmt: ## format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: clean
clean: ## remove what the targets made
	rm -rf bin coverage.out
