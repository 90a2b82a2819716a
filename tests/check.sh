#!/usr/bin/env bash
# tests/check.sh [unit|sim|cli|fuzz|edge|lab|long]...   without a word: all but long
# Runs the tests, prints one line each, and ends with "N passed, N failed". What could not run failed.
set -euo pipefail
cd "$(dirname "$0")/.."
passed=0
failed=0
work=$(mktemp -d)
ceph_dir=
jobs=$(nproc)

stop_ceph() {
    [ -z "$ceph_dir" ] || tests/edge/ceph.sh stop "$ceph_dir" >/dev/null 2>&1 || true
    ceph_dir=
}
cleanup() {
    stop_ceph
    rm -rf "$work"
}
trap cleanup EXIT

# count NAME PASSED FAILED LOG: adds to the totals, shows the log of what failed
count() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    if [ "$3" -gt 0 ]; then
        echo "FAILED $1 ($2 passed, $3 failed)"
        grep '^FAILED' "$4" | sed 's/^/    /' || true # why, wherever it stands
        tail -n 60 "$4" | sed 's/^/    /'
    else
        echo "ok     $1 ($2)"
    fi
}

# one NAME COMMAND...: a command that passes or fails as a whole
one() {
    local name=$1 log=$work/log
    shift
    if "$@" >"$log" 2>&1; then count "$name" 1 0 "$log"; else count "$name" 0 1 "$log"; fi
}

# tally NAME COMMAND...: a command whose last line says "N passed, N failed"
tally() {
    local name=$1 log=$work/log status=0 line
    shift
    "$@" >"$log" 2>&1 || status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 || true)
    local good=${line%% passed*} bad=${line#*, }
    bad=${bad%% failed*}
    if [ -z "$line" ] || { [ "$status" != 0 ] && [ "$bad" = 0 ]; }; then
        count "$name (exit $status)" "${good:-0}" 1 "$log"
    else
        count "$name" "$good" "$bad" "$log"
    fi
}

# cmocka BINARY: counts its test cases; a crash counts as one failure, and so does one that was skipped
cmocka() {
    local name log=$work/log status=0 good
    name=$(basename "$1")
    (umask 077 && timeout 300 "$1") >"$log" 2>&1 || status=$? # as the agent starts
    good=$(grep -acE '^\[       OK \]' "$log" || true)
    local bad
    bad=$(grep -aE '^\[  (FAILED |SKIPPED) \] [a-z_0-9]+$' "$log" | sort -u | wc -l || true)
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    [ "$((good + bad))" -gt 0 ] || bad=1
    count "$name" "$good" "$bad" "$log"
}

build() {
    local log=$work/build
    if ! make -j"$jobs" "$@" >"$log" 2>&1; then
        count "build $*" 0 1 "$log"
        return 1
    fi
}

check_unit() {
    build all && one "build with gcc" true
    build CC=clang all && one "build with clang" true
    one "house rules" tests/tidy.sh
    one "purity" make purity
    one "purity sees a stranger" tests/purity_test.sh
    build SAN=1 unit-tests || return 0
    for test in build-san/tests/test_*; do
        if [ -f "tests/unit/$(basename "$test").c" ] && [ -x "$test" ]; then cmocka "$test"; fi
    done
}

check_sim() {
    # Sanitizers make a seed ten times as slow, so most seeds run without them.
    build SAN=1 build-san/stead-sim || return 0
    build build/stead-sim || return 0
    tally "scenarios" build-san/stead-sim run tests/scenarios/*.stead
    build CC=clang build-clang/stead-sim &&
        tally "the same stories, by gcc twice and by clang" tests/sim/same.sh build/stead-sim build/stead-sim build-clang/stead-sim
    tally "swarm, 200 seeds" build/stead-sim swarm --seeds 1..200
    one "what the swarm hardly meets is met by scenarios" tests/sim/rare.py build/stead-sim
    tally "swarm, 20 seeds with sanitizers" build-san/stead-sim swarm --seeds 201..220
    tally "kill the acting node after each action" build/stead-sim kills tests/scenarios/010-host-dies.stead
}

check_cli() {
    build all man cli-tests || return 0
    one "json.md is what is printed" tests/cli/test_json.py build/tests/cli_json_samples
    for test in tests/cli/test_*.sh; do
        one "$(basename "$test" .sh)" "$test"
    done
}

check_fuzz() {
    tally "fuzzing, 10 s each" tests/fuzz/run --seconds 10
}

check_edge() {
    build SAN=1 edge-tests all || return 0
    build build/stead-keeper build/tests/watchdog || return 0 # as it is installed: locked memory is none for sanitizers
    ceph_dir=$work/ceph
    if tests/edge/ceph.sh start "$ceph_dir" >"$work/log" 2>&1; then
        export STEAD_TEST_CEPH=$ceph_dir
    else
        count "a tiny Ceph for the edge tests" 0 1 "$work/log"
    fi
    for test in build-san/tests/test_*; do
        if [ -f "tests/edge/$(basename "$test").c" ] && [ -x "$test" ]; then cmocka "$test"; fi
    done
    stop_ceph
}

check_lab() {
    build all || return 0
    tally "the real cluster" tests/lab/test
}

check_long() {
    build all SAN=1 || return 0
    build all bench || return 0
    tally "swarm, 10000 seeds" build/stead-sim swarm --seeds 1..10000 --coverage
    cp "$work/log" "$work/swarm"
    one "what the swarm hardly meets is listed" tests/sim/rare.py build/stead-sim "$work/swarm"
    tally "the swarm finds what is broken on purpose" tests/mutants/breaks
    one "simulator benchmark" tests/bench/sim
    tail -n 1 "$work/log"
    one "failover benchmark" tests/bench/failover --runs 10
    tail -n 1 "$work/log"
    one "commit benchmark" tests/bench/commit
    tally "fifty power cuts" tests/lab/test fifty-cuts
    tally "half an hour under load" tests/lab/test under-load
    tally "the real cluster, all of it" tests/lab/test all
    tail -n 1 "$work/log"
}

[ $# -gt 0 ] || set -- unit sim cli fuzz edge lab
for kind in "$@"; do
    echo "== $kind"
    "check_$kind"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
