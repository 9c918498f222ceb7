#!/usr/bin/env bash
# Sees to what a build needs besides this repository: Rust, a C compiler and cmake (Pingora compresses with zlib-ng,
# the allocator is jemalloc; both are C). Installs the C side where it may (root on Debian or Ubuntu), and otherwise
# says what to install. Quick and silent where everything is there.
#
# deps.sh c++: a C++ compiler as well, in which libFuzzer is written.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

# --- Rust: never installed for you, since it would land in your home -------------------------------------------------
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! command -v cargo >/dev/null; then
  say "Rust is missing. Install it with rustup (https://rustup.rs), then try again:"
  say "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  exit 1
fi
found=$(cargo --version | cut -d' ' -f2)
if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -t. -k1,1n -k2,2n | head -n1)" != "$wanted" ]; then
  say "Rust $found is too old: $wanted or later is needed."
  if command -v rustup >/dev/null; then
    say "    rustup update stable"
  else
    say "This one does not come from rustup; install a current one with it (https://rustup.rs):"
    say "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  fi
  exit 1
fi

# --- The C side ------------------------------------------------------------------------------------------------------
# With its headers: a compiler without them is found on many slim machines.
has_compiler() { printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | cc -x c -o /dev/null - 2>/dev/null; }
has_cxx_compiler() { printf '#include <vector>\nint main() { return 0; }\n' | c++ -x c++ -o /dev/null - 2>/dev/null; }

missing=()
debian=()
fedora=(gcc glibc-devel make cmake)
has_compiler || { missing+=("a C compiler"); debian+=(gcc libc6-dev); }
command -v cmake >/dev/null || { missing+=(cmake); debian+=(cmake); }
command -v make >/dev/null || { missing+=(make); debian+=(make); }
if [ "${1:-}" = c++ ]; then
  fedora+=(gcc-c++)
  has_cxx_compiler || { missing+=("a C++ compiler"); debian+=(g++); }
fi
[ ${#missing[@]} -gt 0 ] || exit 0

list=$(printf ', %s' "${missing[@]}")
say "Missing for the build: ${list:2}."
if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
  say "Installing with apt-get: ${debian[*]}"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${debian[@]}" >/dev/null; } >&2 ||
    { say "apt-get failed: see above."; exit 1; }
  exit 0
fi
say "Install it, then try again:"
say "    Debian, Ubuntu    sudo apt-get install ${debian[*]}"
say "    Fedora            sudo dnf install ${fedora[*]}"
say "    macOS             xcode-select --install && brew install cmake"
exit 1
