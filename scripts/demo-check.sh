#!/usr/bin/env bash
# `make demo-check`: runs the demo as a user would, without a terminal: starts it, asks through the proxy, stops it
# with Ctrl-C's signal, then once more with SIGKILL, and sees that nothing is left behind either time.
set -euo pipefail
cd "$(dirname "$0")/.."

web_port=${TIDEGATE_PORT:-8080}
start_within=1800 # seconds: the first build is in it
stop_within=60    # seconds
log=$(mktemp "${TMPDIR:-/tmp}/tidegate-demo-check.XXXXXX")
demo=''

say() { printf 'demo-check: %s\n' "$*"; }
fail() { say "FAILED: $*"; sed 's/^/    /' "$log"; exit 1; }
trap '[ -z "$demo" ] || kill -TERM "$demo" 2>/dev/null || true; rm -f "$log"' EXIT

# get PATH: the whole answer, head and all.
get() {
  exec 3<>"/dev/tcp/127.0.0.1/$web_port"
  printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$1" >&3
  cat <&3
  exec 3>&-
}

# wait_for SECONDS WHAT COMMAND...: asks again until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "not in time: $what"
    sleep 0.1
  done
}

announced() {
  kill -0 "$demo" 2>/dev/null || fail "the demo ended before it was ready"
  grep -q 'Tidegate is ready' "$log"
}

# In a process group of its own, as a terminal's foreground job has.
start_demo() {
  : >"$log"
  set -m
  scripts/demo.sh >"$log" 2>&1 </dev/null &
  demo=$!
  set +m
  wait_for $start_within "the demo is ready" announced
  ids=$(sed -n 's/.* started, pid \([0-9]*\)$/\1/p' "$log")
  [ "$(printf '%s\n' "$ids" | wc -l)" -eq 4 ] || fail "not four processes: $ids"
}

none_left() {
  local id
  for id in $demo $ids; do ! kill -0 "$id" 2>/dev/null || return 1; done
}

instance() { get /api/whoami | grep -o '"instance": *"[^"]*"'; }

# first and second: the next two instances that answer.
ask_two() {
  first=$(instance)
  second=$(instance)
}

two_instances() {
  ask_two
  [ "$first" != "$second" ]
}

start_demo
page=$(get /)
[[ $page == "HTTP/1.1 200"* && $page == *'<h1 id="dynamic-content"'* ]] || fail "no page: ${page:0:500}"
hello=$(get /api/hello)
[[ $hello == "HTTP/1.1 200"* && $hello == *"Hello, World!" ]] || fail "no hello: $hello"
wait_for 10 "both instances answer" two_instances
expected="$first $second"
for _ in 1 2 3; do
  ask_two
  [ "$first $second" = "$expected" ] || fail "the instances do not take turns: $expected, then $first $second"
done
say "the page, the API, and $first and $second by turns"

kill -INT -- "-$demo"
wait_for $stop_within "nothing runs after Ctrl-C" none_left
wait "$demo" || fail "the demo ended with status $?"
grep -q 'Stopped\.' "$log" || fail "the demo did not say that it stopped"
say "Ctrl-C leaves nothing behind"

start_demo
disown # bash would tell of its end
kill -KILL -- "-$demo"
wait_for $stop_within "nothing runs after SIGKILL" none_left
demo=''
say "SIGKILL leaves nothing behind"
