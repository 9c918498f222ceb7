#!/usr/bin/env bash
# Builds what is measured: Tidegate, and bare Pingora with the same versions, into the same target directory. With `time`, what
# measures how long routes take to become a table.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

# Cargo drops what a package does not use and keeps the version of the rest. The copy is not committed.
build() {
  cp Cargo.lock "$1/Cargo.lock"
  cargo build --release --manifest-path "$1/Cargo.toml"
}

if [ "${1:-}" = time ]; then
  build bench/build_time
else
  cargo build --release --locked -p tidegate
  build bench/bare
fi
