#!/usr/bin/env bash
# `make fuzz`: inputs that nobody thought of, each target of fuzz/targets/ for some seconds.
#
# fuzz.sh [SECONDS]: 30 if not given. What reaches new code is kept in fuzz/corpus/ and is where the next run begins.
# What breaks a property lands in fuzz/found/, with the command that does it again.
#
# The proxy is built with LLVM's coverage counters, which released toolchains know as well. The sanitizers are for nightly
# ones only; there is little for them to find where `unsafe` is denied. Without `--cfg fuzzing`: some libraries check
# less under it.
set -euo pipefail
cd "$(dirname "$0")/.."

each=${1:-30}
# Beside the normal build, which has other flags.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# With its name, build scripts and macros are built without the counters.
machine=$(rustc -vV | sed -n 's/^host: //p')
programs=$CARGO_TARGET_DIR/$machine/release
scratch=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-fuzz.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

counters=(
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  # What is compared with what, so that a key is found letter by letter.
  -Cllvm-args=-sanitizer-coverage-trace-compares
)

build() {
  scripts/deps.sh c++
  RUSTFLAGS="${counters[*]}" cargo build --release --locked --manifest-path fuzz/Cargo.toml --target "$machine"
}

# Routing files, good and broken, and those of the pages, one by one.
seed_file() {
  local file
  find conf proxy/tests/diagnostics -name '*.yaml' | while read -r file; do
    cp "$file" "$1/${file//\//-}"
  done
  awk -v folder="$1" '
    /^```yaml/ { file = folder "/" ++count ".yaml"; next }
    /^```/ { file = "" }
    file { print > file }
  ' docs/*.md
}

# Every key that some routing file has.
keys() { cat "$1"/* | grep -oE '[a-z][a-z0-9_]+:' | sort -u | sed 's/.*/"& "/'; }

# run TARGET LENGTH [OPTION]...: an input has LENGTH bytes at most. A line with its figures, or what was found.
run() {
  local target=$1 length=$2 log=$scratch/$1.log found
  shift 2
  mkdir -p "fuzz/corpus/$target" fuzz/found "$scratch/$target"
  if "$programs/$target" "fuzz/corpus/$target" "$scratch/$target" -max_len="$length" "$@" \
    -max_total_time="$each" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="fuzz/found/$target-" >"$log" 2>&1; then
    sed -n 's/^#\([0-9]*\)\tDONE *cov: \([0-9]*\) .* exec\/s: \([0-9]*\) .*/\1 \2 \3/p' "$log" |
      { read -r runs edges pace && printf 'fuzz: %-9s %9d runs, %6d each second, %6d edges\n' "$target" "$runs" "$pace" "$edges"; }
    return
  fi
  grep -v '^#[0-9]' "$log" | tail -n 60
  found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n1)
  printf 'fuzz: %s FAILED' "$target"
  [ -z "$found" ] || printf ' with %s; once more:\n    %s %s' "$found" "$programs/$target" "$found"
  printf '\n'
  return 1
}

build
mkdir "$scratch/file"
seed_file "$scratch/file"
{ cat fuzz/file.dict && keys "$scratch/file"; } >"$scratch/file.dict"

status=0
run file 4096 -dict="$scratch/file.dict" || status=1
run path 256 -dict=fuzz/path.dict || status=1
# Long ones at once: of a short one most choices are the first.
run matching 512 -len_control=0 || status=1
exit $status
