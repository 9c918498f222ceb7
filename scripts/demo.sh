#!/usr/bin/env bash
# `make demo`: two APIs, the front-end and the proxy before them, on this machine, without Docker.
# Builds them, starts them, says what to try, shows their logs; Ctrl-C stops them all.
#
# Needs bash (3.2 is enough) and nothing that a build does not need anyway.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=${CARGO_TARGET_DIR:-target}/release
routing=conf/tidegate.yaml
web_port=${TIDEGATE_PORT:-8080} admin_port=${TIDEGATE_ADMIN_PORT:-9901}
url=http://127.0.0.1:$web_port
ready_within=30 # seconds; it takes less than one
stop_within=35  # seconds for each to end by itself; the proxy gives requests in flight 30

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '%s%-9s|%s %s\n' "$bold" demo "$plain" "$*"; }
fail() { say "$*" >&2; exit 1; }

# --- Who has the port ------------------------------------------------------------------------------------------------

# The inode and user id of the socket that listens on a port, wherever that is in the way of 127.0.0.1.
linux_listener() {
  awk -v port="$(printf ':%04X$' "$1")" '
    $4 == "0A" && $2 ~ port && $2 ~ /^(0100007F|7F000001|0+|0+(FFFF0000|0000FFFF)(0100007F|7F000001)):/ { print $10, $8; exit }
  ' /proc/net/tcp /proc/net/tcp6 2>/dev/null || true
}

# Prints who listens on a port of 127.0.0.1, as well as this user may know; nothing where nobody does.
holder() {
  local inode user pid
  if [ -r /proc/net/tcp ]; then
    read -r inode user < <(linux_listener "$1") || return 0
    pid=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -n1 | cut -d/ -f3) || true
    if [ -z "$pid" ]; then
      printf 'a process of user %s' "$(id -un "$user" 2>/dev/null || printf %s "$user")"
      return
    fi
  elif command -v lsof >/dev/null; then
    pid=$(lsof -nP -t -iTCP:"$1" -sTCP:LISTEN 2>/dev/null | head -n1) || true
    [ -n "$pid" ] || return 0
  else
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && printf 'another process'
    return 0
  fi
  printf '%s (pid %s: %s)' "$(ps -o comm= -p "$pid")" "$pid" "$(ps -o args= -p "$pid" | cut -c1-80)"
}

# check_ports [PORT WHAT HINT]...
check_ports() {
  local who taken=0
  while [ $# -gt 0 ]; do
    who=$(holder "$1")
    if [ -n "$who" ]; then
      say "Port $1, for $2, is taken by $who. $3" >&2
      taken=1
    fi
    shift 3
  done
  [ $taken -eq 0 ] || exit 1
}

check_all_ports() {
  check_ports \
    "$web_port" "the proxy" "Stop it, or choose another: make demo TIDEGATE_PORT=8081" \
    "$admin_port" "the proxy's admin side" "Stop it, or choose another: make demo TIDEGATE_ADMIN_PORT=9902" \
    5252 api-1 "Stop it first." 5253 api-2 "Stop it first." 9000 "the front-end" "Stop it first."
}

# --- The leash -------------------------------------------------------------------------------------------------------
# A pipe that only this script holds open for writing. Each process writes its own id into it just before it becomes
# the program, and a keeper reads them. When the pipe ends, the keeper stops them all. It ends however this script
# does: Ctrl-C, an error, a closed terminal, SIGKILL. So nothing is left behind, and there is one way to stop.

keeper() {
  trap '' INT TERM HUP
  local line pids=()
  while read -r line; do
    case $line in
      +*) pids=("${line#+}" ${pids[@]+"${pids[@]}"}) ;; # the last one started is stopped first: the proxy
      -*) forget "${line#-}" ;;                         # ended; its id may soon be another's
    esac
  done
  for pid in ${pids[@]+"${pids[@]}"}; do stop "$pid"; done
  rm -rf "$scratch"
}

forget() {
  local kept=() pid
  for pid in "${pids[@]}"; do [ "$pid" = "$1" ] || kept+=("$pid"); done
  pids=(${kept[@]+"${kept[@]}"})
}

stop() {
  local tenths=$((stop_within * 10))
  kill -TERM "$1" 2>/dev/null || return 0
  kill -CONT "$1" 2>/dev/null || true # one that was put to sleep could not end
  while kill -0 "$1" 2>/dev/null; do
    if [ $tenths -eq 0 ]; then kill -KILL "$1"; return; fi
    sleep 0.1
    tenths=$((tenths - 1))
  done
}

# --- Starting --------------------------------------------------------------------------------------------------------

names=() ids=() commands=() readers=()

# Prefixes each line as it comes. Outlives Ctrl-C, to show what the programs say while they end.
prefix() {
  trap '' INT
  if command -v stdbuf >/dev/null; then exec stdbuf -oL sed "$1"; else exec sed -l "$1"; fi
}

# start NAME COLOUR PROGRAM [ARGUMENT]...
start() {
  local name=$1 head
  head=$(printf '%-9s|' "$1")
  [ -z "$bold" ] || head=$'\e['$2'm'$head$plain
  shift 2
  mkfifo "$scratch/$name"
  # Job control gives each its own process group: Ctrl-C reaches this script alone, which ends them in order.
  set -m
  prefix "s/^/$head /" <"$scratch/$name" 8>&- 9>&- &
  readers+=($!)
  # shellcheck disable=SC2016 # expanded by that shell, not by this one
  sh -c 'echo "+$$" >&9; exec "$@" 9>&-' sh "$@" </dev/null >"$scratch/$name" 2>&1 8>&- &
  set +m
  names+=("$name") ids+=($!) commands+=("$*")
  say "$name started, pid $!"
}

# Looks whether one has ended, and says how to bring it back. Without the proxy there is no demo.
look_after() {
  local i status
  for i in "${!ids[@]}"; do
    if [ -z "${ids[i]}" ] || kill -0 "${ids[i]}" 2>/dev/null; then continue; fi
    status=0
    wait "${ids[i]}" || status=$?
    echo "-${ids[i]}" >&9
    ids[i]=''
    if [ "$ready" = no ] || [ "${names[i]}" = proxy ]; then
      wait "${readers[i]}" || true # its last words come first
      fail "${names[i]} ended with status $status"
    fi
    say "${names[i]} ended with status $status. To bring it back, in another terminal: ${commands[i]}"
  done
}

# A second, or less when a signal arrives. No `sleep` process to leave behind.
pause() { read -r -t 1 _ <&8 || true; }

finish() {
  local status=$?
  trap '' INT TERM HUP
  trap - EXIT
  [ ${#ids[@]} -eq 0 ] || say "Stopping."
  exec 9>&- # the leash
  wait "$keeper_id" ${readers[@]+"${readers[@]}"} 2>/dev/null || true
  [ $status -ne 0 ] || say "Stopped."
  exit $status
}

# --- The demo --------------------------------------------------------------------------------------------------------

check_all_ports # before the build, which takes minutes the first time
cargo build --release --locked
check_all_ports

scratch=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-demo.XXXXXX")
mkfifo "$scratch/leash" "$scratch/never"
ready=no
set -m
keeper <"$scratch/leash" &
keeper_id=$!
set +m
exec 9>"$scratch/leash" 8<>"$scratch/never"
trap finish EXIT
trap 'exit 0' INT TERM HUP

start api-1 36 "$programs/tidegate-api" --listen 127.0.0.1:5252 --name api-1
start api-2 34 "$programs/tidegate-api" --listen 127.0.0.1:5253 --name api-2
start frontend 35 "$programs/tidegate-frontend" --listen 127.0.0.1:9000 --root frontend/site
start proxy 32 "$programs/tidegate" run -c "$routing" --log-format human

SECONDS=0
until "$programs/tidegate" health -c "$routing" >/dev/null 2>&1; do
  look_after
  [ $SECONDS -lt $ready_within ] || fail "The proxy is not ready after $ready_within seconds."
  sleep 0.1
done
ready=yes

cat <<TEXT

${bold}Tidegate is ready: $url${plain}

  Open    $url                    the page; its heading comes from the API
          http://127.0.0.1:$admin_port/ready              what the proxy says about itself
  Ask     curl $url/api/whoami    each time the next instance answers
  Edit    $routing                     takes effect at once; a mistake changes nothing
  Break   kill ${ids[0]}                              stops api-1; nobody notices
  Mend    ${commands[0]}
  Load    oha -z 10s -c 64 $url/api/hello
  Stop    Ctrl-C

TEXT

# Under make, which could be killed alone: its end is ours.
while [ -z "${MAKELEVEL:-}" ] || kill -0 "$PPID" 2>/dev/null; do
  look_after
  pause
done
