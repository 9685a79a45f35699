# Postern. `make run` shows it, `make test` proves it, `make help` lists the rest.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

PYTHON   ?= python3
FUZZTIME ?= 10s
BENCH    ?= .
TORTURE  ?= 5m
SEED     ?= 1
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Not part of go.mod: it is a tool, and its dependencies are none of ours.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED := 0
export POSTERN_SKIPS := $(CURDIR)/.cache/skips
export POSTERN_BINARY := $(CURDIR)/bin/postern

# These change what TLS clients verify and where they connect, so the package
# registries may need them and no test may see them.
CLEAN := env -u SSL_CERT_FILE -u SSL_CERT_DIR -u REQUESTS_CA_BUNDLE -u CURL_CA_BUNDLE \
	-u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u http_proxy -u https_proxy -u all_proxy

COUNTS := .cache/counts
TALLY   = .cache/tally -counts $(COUNTS) -skips $(POSTERN_SKIPS)

# Everything but the tests against the built binary.
UNIT := ./...

.PHONY: help
help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, then show it: simulated devices, the gateway, 200 impatient clients
	@./bin/postern demo

.PHONY: build
build: ## the static binary, bin/postern
	@go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/postern ./cmd/postern

.PHONY: test
test: ## everything: vet, unit, race, real clients, crash tests
	@rm -f $(COUNTS) $(POSTERN_SKIPS)
	@$(MAKE) --no-print-directory setup vet
	@status=0; \
	for stage in unit race interop crash; do \
		$(MAKE) --no-print-directory test-$$stage || status=1; \
	done; \
	$(TALLY) -sum || status=1; \
	exit $$status

.PHONY: setup
setup: .cache/tally ## what the tests need: modules, command line tools, Python clients
	@go mod download
	@PYTHON=$(PYTHON) tools/setup.sh

.cache/tally: tools/tally/main.go
	@mkdir -p .cache
	@go build -o $@ ./tools/tally

.PHONY: vet
vet:
	@go vet ./... && go vet -tags integration ./interop/... && go vet -tags torture ./internal/lease

.PHONY: test-unit
test-unit: .cache/tally ## the Go tests, fuzz seeds included
	@echo "== unit"
	@$(CLEAN) go test -json -timeout 5m $(UNIT) | $(TALLY) -stage unit

.PHONY: test-race
test-race: .cache/tally ## the same under the race detector (needs a C compiler), at most 10 minutes
	@echo "== race"
	@if command -v $$(go env CC) >/dev/null; then \
		CGO_ENABLED=1 $(CLEAN) timeout -k 10 10m go test -race -json -timeout 9m $(UNIT) | $(TALLY) -stage race; \
	elif [ "$${CI:-}" = true ]; then \
		echo "needed in CI: a C compiler for the race detector" >&2; exit 1; \
	else \
		echo "race detector: no C compiler" | tee -a $(POSTERN_SKIPS); \
	fi

.PHONY: test-interop
test-interop: .cache/tally setup build ## unmodified third-party clients, at most 10 minutes
	@echo "== interop"
	@POSTERN_COMPAT=check $(CLEAN) timeout -k 10 10m \
		go test -tags integration -json -count 1 -timeout 9m50s -parallel 4 -skip '^TestCrash' ./interop | $(TALLY) -logs -stage interop

.PHONY: test-crash
test-crash: .cache/tally build ## kill -9 and what must hold after it, at most 4 minutes
	@echo "== crash"
	@$(CLEAN) timeout -k 10 4m \
		go test -tags integration -json -count 1 -timeout 3m50s -parallel 6 -run '^TestCrash' ./interop | $(TALLY) -logs -stage crash

.PHONY: torture
torture: .cache/tally ## the long form: the model of leases for TORTURE (5m) from SEED (1), then its mutants, at most 25 minutes more
	@echo "== torture, seed $(SEED)"
	@$(CLEAN) go test -json -count 1 -timeout 2h -run '^TestModel$$' ./internal/lease -torture $(TORTURE) -seed $(SEED) | $(TALLY) -logs -stage torture
	@$(CLEAN) timeout -k 10 25m \
		go test -tags torture -json -count 1 -timeout 24m -run '^TestModelMutants$$' ./internal/lease | $(TALLY) -logs -stage torture

.PHONY: compat
compat: setup build ## run the clients and write docs/compatibility.md and docs/leakcheck.md from what happened
	@POSTERN_COMPAT=write $(CLEAN) go test -tags integration -count 1 -timeout 15m -parallel 4 -skip '^TestCrash' ./interop

.PHONY: bench
bench: ## the figures of docs/performance.md (BENCH=regexp)
	@$(CLEAN) go test -run '^$$' -bench '$(BENCH)' -benchmem $(UNIT) | grep -vE '^(PASS|ok )|no test files'

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s)
	@for package in $$(go list $(UNIT)); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "== $$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: lint
lint: vet ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted" >&2; exit 1; fi
	@go run $(STATICCHECK) ./...
	@go run $(STATICCHECK) -tags integration ./interop/...

.PHONY: clean
clean: ## what make has made
	@rm -rf bin .cache .venv .venv-hpe .newman
