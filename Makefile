# One word per intention. CI runs the same words (.ci/run).

# Where rustup puts Rust, for shells that were opened before it came.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help demo demo-check test compose lint docs deps bench bench-deps bench-filters bench-build-time guard fuzz

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'

demo: deps ## two APIs, the front-end and the proxy on http://127.0.0.1:8080; Ctrl-C stops them
	@scripts/demo.sh

demo-check: deps ## the demo without a terminal: start, ask, stop, nothing left behind
	@scripts/demo-check.sh

test: deps ## all tests but the compose test
	cargo build --workspace --all-targets --locked
	cargo test --workspace --locked --no-fail-fast

compose: deps ## the stack in real containers: build, scale, break, edit (needs Docker)
	cargo test --workspace --locked --test stack -- --nocapture

lint: deps ## formatting, clippy, scripts and the dependency tree, as far as the tools for them are there
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --workspace --test stack --locked -- -D warnings
	@scripts/lint-optional.sh

docs: deps ## the code's own documentation, in target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

deps: ## what a build needs: checks, and installs where it may
	@scripts/deps.sh

bench: deps ## measured beside its peers: SCENARIO="a b", PEERS=a,b, QUICK=1 (see bench/README.md)
	@bench/build.sh
	@$(firstword $(wildcard bench/.venv/bin/python) python3) bench/run.py $(SCENARIO) $(if $(QUICK),--quick) $(if $(PEERS),--peers $(PEERS))

bench-deps: ## what the load lab needs: peers, clients, charts
	@bench/deps.sh

guard: deps ## instructions per request, against bench/guard/instructions.txt (UPDATE=1 changes the figure)
	cargo build --release --locked
	@python3 bench/guard/guard.py $(if $(UPDATE),--update)

bench-filters: deps ## instructions that each filter adds to a request, into bench/results/filters.md
	cargo build --release --locked
	@python3 bench/guard/filters.py

bench-build-time: deps ## how long 10,000 routes take to become a table (BUILDS=21)
	@bench/build.sh time
	@$(or $(CARGO_TARGET_DIR),target)/release/tidegate-build-time $(BUILDS)

fuzz: deps ## inputs that nobody thought of, SECONDS=30 for each target in fuzz/targets
	@scripts/fuzz.sh $(or $(SECONDS),30)
