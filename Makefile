# What people type. Each target is one or two commands; look inside when something fails.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help run test crash-test lint bench bench-queries bench-exports

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

run: ## Build, start everything in one process, make a demo tenant and send it a trace.
	cargo run --release --locked -p spanlake-server -- standalone --demo --data-dir ./spanlake-data

test: ## All tests, with a private Postgres and Redis; SPANLAKE_TEST_PYTHON with duckdb for the test of that warehouse.
	@"$${SPANLAKE_TEST_PYTHON:-python3}" -c 'import duckdb' 2>/dev/null || echo "no Python with duckdb (pip install duckdb): its test is skipped"
	@if cargo nextest --version >/dev/null 2>&1; then \
		scripts/with-services cargo nextest run --workspace --locked; \
	else \
		scripts/with-services cargo test --workspace --lib --bins --tests --locked; \
	fi
	cargo test --workspace --doc --locked

crash-test: ## Kill a loaded server CYCLES times (20; SEED=n to repeat the kills) and look whether it kept its promises.
	cargo build --release --locked -p spanlake-server -p spanlake-load-tests
	cargo run --release --locked -p spanlake-load-tests -- crash --cycles $(or $(CYCLES),20) $(if $(SEED),--seed $(SEED))

lint: ## What a review should not have to say.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; else echo "cargo-deny is not installed: skipped"; fi
	@if command -v helm >/dev/null; then scripts/check-helm; else echo "helm is not installed: skipped"; fi

bench: ## Measure ingest, sizes on disk, recovery and memory on this machine; print tables (see load-tests/README.md).
	scripts/bench

bench-queries: ## Ask a server full of history what people ask, beside the ClickHouse engine (PYTHON with chdb; SPANS=10000000).
	scripts/bench-queries $(if $(SPANS),--spans $(SPANS)) $(if $(PYTHON),--python $(PYTHON))

bench-exports: ## Export a server full of history, beside DuckDB and beside ingest (PYTHON with duckdb; SPANS=1000000).
	scripts/bench-exports $(if $(SPANS),--spans $(SPANS)) $(if $(PYTHON),--python $(PYTHON))
