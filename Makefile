# The commands of the README. Nothing here is clever: each target is one cargo command or one script under scripts/.

export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
TARGET := $(or $(CARGO_TARGET_DIR),target)
# A continuous build takes Cargo.lock as it is; at your desk cargo may extend it.
LOCKED := $(if $(CI),--locked)
# Goes to `aisled demo`, for instance: make demo ARGS=--once
ARGS ?=

.PHONY: help setup build demo test soak chaos bench fuzz screenshots check arm arm-check deb clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install everything a bare Debian 12 lacks (each target below installs what it needs itself)
	@scripts/setup.sh base test check

# One selection and one profile for demo and tests, so that cargo builds everything once.
build:
	@scripts/setup.sh base
	cargo build $(LOCKED) --workspace --bins

demo: build ## a whole store and its headquarters on this machine; stop with Ctrl-C
	@exec $(TARGET)/debug/aisled demo $(ARGS)

# The end-to-end tests start the binaries, hence `build`. The runner's closing line stays last.
test: build ## everything: unit, scenario, power cuts, real processes, broker, browser
	@scripts/setup.sh base test
	@scripts/test.sh $(LOCKED)

chaos: build ## minutes of unplugging, hanging and garbage on every device at once, while the shop sells (MINUTES=10)
	AISLE_CHAOS_MINUTES=$(or $(MINUTES),10) cargo test $(LOCKED) -p e2e --test it chaos -- --nocapture

# The suite's own tests with more seeds, cuts and kills; each prints the table of what was injected. SEED=17 tells one seed's story.
soak: $(if $(KILLS),build) ## whole stores in virtual time, power cuts of the real journal file (SEEDS=10000 CUTS=12000), an evil broker (NETWORKS=1000); KILLS=1000: real processes
	@scripts/setup.sh base test
	$(if $(SEED),AISLE_SEED=$(SEED)) AISLE_SEEDS=$(or $(SEEDS),10000) cargo test $(LOCKED) -p e2e --test sim whatever_fails -- --nocapture
	$(if $(SEED),,AISLE_POWER_CUTS=$(or $(CUTS),12000) cargo test $(LOCKED) -p e2e --test disk no_power_cut -- --nocapture)
	$(if $(SEED),,AISLE_NETWORKS=$(or $(NETWORKS),1000) cargo test $(LOCKED) -p e2e --test sim whatever_the_broker -- --nocapture)
	$(if $(KILLS),AISLE_KILLS=$(KILLS) cargo test $(LOCKED) -p e2e --test it killed_two_hundred -- --nocapture)

# Figures are about what ships: the profile of the packages.
bench: ## figures against their budgets: target/bench/report.json, vision.json, a table and plots
	@scripts/setup.sh base test bench
	cargo build $(LOCKED) --profile ci --bins -p aisled -p aisle-hq
	cargo bench $(LOCKED) --profile ci -p e2e
	cargo bench $(LOCKED) --profile ci -p models

# Any stable compiler; `cargo +nightly fuzz run classify` in fuzz/ drives the same properties with libFuzzer.
fuzz: ## minutes of mutated scans, frames and messages against the properties of fuzz/ (SECONDS_EACH=300)
	@scripts/setup.sh base
	AISLE_FUZZ_SECONDS=$(or $(SECONDS_EACH),300) cargo test $(LOCKED) -p checkout --test it fuzzing -- --nocapture
	AISLE_FUZZ_SECONDS=$(or $(SECONDS_EACH),300) cargo test $(LOCKED) -p drivers --test fuzzing -- --nocapture
	AISLE_FUZZ_SECONDS=$(or $(SECONDS_EACH),300) cargo test $(LOCKED) -p aisle-hq --test it fuzzing -- --nocapture
	AISLE_FUZZ_SECONDS=$(or $(SECONDS_EACH),300) cargo test $(LOCKED) -p models --test it fuzzing -- --nocapture

screenshots: build ## pictures of every page for docs/ (needs python3 and chromium)
	@scripts/setup.sh base test
	@scripts/screenshots.py docs

check: ## what a change must pass before the tests: format, clippy, dependencies, purity, systemd hardening
	@scripts/setup.sh base check
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	@scripts/deny.sh
	@scripts/purity.sh
	@scripts/systemd.sh

arm: ## aisled, aisle-hq and aisle-vision for 64-bit ARM (PROFILE=release for the last percent)
	@scripts/setup.sh base arm
	@scripts/arm.sh build

arm-check: ## the cheap proof: aisled and the core's tests for ARM, run under qemu
	@scripts/setup.sh base arm
	@scripts/arm.sh check

deb: ## Debian packages for amd64 and arm64 in target/deb (ARCH=amd64 or ARCH=arm64 for one)
	@scripts/setup.sh base deb $(if $(filter amd64,$(ARCH)),,arm)
	@scripts/deb.sh $(or $(ARCH),amd64 arm64)

clean: ## remove everything built
	cargo clean
