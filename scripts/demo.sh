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
  local inode user pid name command
  if [ -r /proc/net/tcp ]; then
    read -r inode user < <(linux_listener "$1") || return 0
    pid=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -n1 | cut -d/ -f3) || true
    if [ -z "$pid" ]; then
      printf 'a process of user %s' "$(id -un "$user" 2>/dev/null || printf %s "$user")"
      return
    fi
    # Not by `ps`, which slim machines lack.
    name=$(cat "/proc/$pid/comm") command=$(tr '\0' ' ' <"/proc/$pid/cmdline")
  elif command -v lsof >/dev/null; then
    pid=$(lsof -nP -t -iTCP:"$1" -sTCP:LISTEN 2>/dev/null | head -n1) || true
    [ -n "$pid" ] || return 0
    name=$(ps -o comm= -p "$pid") command=$(ps -o args= -p "$pid")
  else
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && printf 'another process'
    return 0
  fi
  command=${command:0:80}
  printf '%s (pid %s: %s)' "$name" "$pid" "${command% }"
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
  local what number id pids=()
  while read -r what number id; do
    case $what in
      started) pids[number]=$id ;;
      ended) pids[number]='' ;; # the id may soon be another's
    esac
  done
  # The last one first: the proxy finishes its requests while those behind it still answer.
  for ((number = ${#pids[@]}; number >= 0; number--)); do
    [ -z "${pids[number]:-}" ] || stop "${pids[number]}"
  done
  rm -rf "$scratch"
}

# One that has ended and that nobody has waited for yet is still there, but not alive.
alive() {
  local stat
  kill -0 "$1" 2>/dev/null || return 1
  if [ -d /proc/self ]; then
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    case ${stat##*) } in [ZX]*) return 1 ;; esac
  fi
}

stop() {
  local tenths=$((stop_within * 10))
  kill -TERM "$1" 2>/dev/null || return 0
  kill -CONT "$1" 2>/dev/null || true # one that was put to sleep could not end
  while alive "$1"; do
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
  sh -c 'echo "started $1 $$" >&9; shift; exec "$@" 9>&-' sh "${#names[@]}" "$@" </dev/null >"$scratch/$name" 2>&1 8>&- &
  set +m
  names+=("$name") ids+=($!) commands+=("$*")
  say "$name started, pid $!"
}

# Looks whether one has ended, and says how to bring it back. Without the proxy there is no demo.
look_after() {
  local i status
  for i in "${!ids[@]}"; do
    if [ -z "${ids[i]}" ] || alive "${ids[i]}"; then continue; fi
    status=0
    wait "${ids[i]}" 2>/dev/null || status=$?
    echo "ended $i" >&9
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
  set +e # even where nobody can be told any more
  trap '' INT TERM HUP PIPE
  trap - EXIT
  [ ${#ids[@]} -eq 0 ] || say "Stopping."
  exec 9>&- # the leash
  wait "$keeper_id" ${readers[@]+"${readers[@]}"} 2>/dev/null
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
start proxy 32 "$programs/tidegate" run -c "$routing" --log-format human --state "$scratch/generations"

SECONDS=0
until "$programs/tidegate" health -c "$routing" >/dev/null 2>&1; do
  look_after
  [ $SECONDS -lt $ready_within ] || fail "The proxy is not ready after $ready_within seconds."
  sleep 0.1
done
ready=yes

try() {
  if [ $# -eq 2 ]; then printf '  %-7s %s\n' "$@"; else printf '  %-7s %-*s  %s\n' "$1" "$width" "$2" "$3"; fi
}
width=$((${#url} + 16))

printf '\n%sTidegate is ready: %s%s\n\n' "$bold" "$url" "$plain"
try Open "$url" "the page; its heading comes from the API"
try '' "http://127.0.0.1:$admin_port/ready" "what the proxy says about itself"
try Ask "curl $url/api/whoami" "each time the next instance answers"
try Edit "$routing" "takes effect at once; a mistake changes nothing"
try Break "kill ${ids[0]}" "stops api-1; nobody notices"
try Mend "${commands[0]}"
try Load "oha -z 10s -c 64 $url/api/hello"
try Stop Ctrl-C
echo

# Two ends that send no signal here: make killed alone, and a terminal that went away with make as its first process.
[ -t 0 ] && terminal=yes || terminal=no
orphaned() {
  if [ -n "${MAKELEVEL:-}" ] && ! kill -0 "$PPID" 2>/dev/null; then return 0; fi
  [ "$terminal" = yes ] && [ ! -t 0 ]
}

until orphaned; do
  look_after
  pause
done
