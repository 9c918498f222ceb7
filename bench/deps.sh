#!/usr/bin/env bash
# What the load lab needs besides a build: peers, clients, valgrind. Says what it installs, installs where it may (root on
# Debian or Ubuntu for the packages; the rest lands in bench/.venv and in Cargo's own directory), and says what is missing.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf 'bench-deps: %s\n' "$*"; }
has() { PATH="$PATH:/usr/sbin:/usr/local/sbin:$HOME/.cargo/bin" command -v "$1" >/dev/null; }

# --- Peers and clients of the distribution ---------------------------------------------------------------------------
# program and package
packages=(nginx nginx haproxy haproxy wrk wrk valgrind valgrind taskset util-linux)
wanted=()
for ((i = 0; i < ${#packages[@]}; i += 2)); do
  has "${packages[i]}" || wanted+=("${packages[i + 1]}")
done
if [ ${#wanted[@]} -gt 0 ]; then
  if has apt-get && [ "$(id -u)" -eq 0 ]; then
    say "installing with apt-get: ${wanted[*]}"
    # A package that is there starts no service: the lab runs its own.
    export DEBIAN_FRONTEND=noninteractive
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      printf '#!/bin/sh\nexit 101\n' >$policy
      chmod +x $policy
      trap 'rm -f $policy' EXIT
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null || say "apt-get failed: see above"
  else
    say "missing, and not installed without root on Debian: sudo apt-get install ${wanted[*]}"
  fi
fi

# --- Peers and the charts' library, in an environment of the lab's own -----------------------------------------------
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  say "Python 3.11 or later is needed"
  exit 1
fi
if [ ! -x .venv/bin/pip ]; then
  say "making bench/.venv"
  rm -rf .venv
  python3 -m venv .venv || { say "no venv: sudo apt-get install python3-venv"; exit 1; }
fi
say "bench/.venv: $(grep -v '^#' requirements.txt | tr '\n' ' ')"
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt || say "pip failed: see above"

# --- The client of the open loops --------------------------------------------------------------------------------------
if ! has oha; then
  say "cargo install --locked oha (some minutes)"
  cargo install --quiet --locked oha || say "cargo failed: see above"
fi

# --- What there is -----------------------------------------------------------------------------------------------------
lacks=0
for program in nginx haproxy wrk oha valgrind taskset .venv/bin/envoy .venv/bin/traefik .venv/bin/caddy; do
  if has "$program" || [ -x "$program" ]; then
    say "$(printf '%-18s there' "$(basename "$program")")"
  else
    say "$(printf '%-18s MISSING' "$(basename "$program")")"
    lacks=1
  fi
done
has pingap || say "pingap: not installed here; apt-get install protobuf-compiler; cargo install --locked pingap"
[ $lacks -eq 0 ] || say "what is missing is left out of the runs; nginx, taskset and one of wrk and oha are needed for any"
