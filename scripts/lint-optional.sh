#!/usr/bin/env bash
# The part of `make lint` whose tools do not come with Rust. A missing one is named and left out, unless
# TIDEGATE_REQUIRE_ALL=1, which lets nothing be left out.
set -euo pipefail
cd "$(dirname "$0")/.."

# run TOOL HOW-TO-INSTALL COMMAND...
run() {
  local tool=$1 install=$2
  shift 2
  if command -v "$tool" >/dev/null; then
    printf '%s\n' "$*"
    "$@"
  elif [ "${TIDEGATE_REQUIRE_ALL:-}" = 1 ]; then
    echo "$tool is missing ($install), and TIDEGATE_REQUIRE_ALL=1 lets nothing be left out" >&2
    exit 1
  else
    echo "SKIPPED $tool: not installed ($install)" >&2
  fi
}

run shellcheck "apt-get install shellcheck" shellcheck scripts/*.sh bench/*.sh .ci/run
run pyflakes3 "apt-get install pyflakes3" pyflakes3 bench/run.py bench/lab bench/guard
# Not the advisories: they come from the network, and what others find out must not break an unchanged tree.
run cargo-deny "cargo install --locked cargo-deny" cargo-deny --all-features check --hide-inclusion-graph bans licenses sources
