#!/usr/bin/env bash
# Builds what is measured: Tidegate, and bare Pingora with the same versions, into the same target directory.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

cargo build --release --locked -p tidegate
# Cargo drops what the yardstick does not use and keeps the version of the rest. The copy is not committed.
cp Cargo.lock bench/bare/Cargo.lock
cargo build --release --manifest-path bench/bare/Cargo.toml
