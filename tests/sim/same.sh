#!/usr/bin/env bash
# tests/sim/same.sh SIM OTHER...: every build of the simulator tells the same stories, to the byte, each time it is asked.
# The stories are the first seeds of the swarm and all scenarios; the last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=30
first=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# tell SIM DIR: all stories, as this build tells them
tell() {
    mkdir -p "$2"
    for seed in $(seq "$seeds"); do
        "$1" replay "$seed" >"$2/seed-$seed" 2>&1 || true # whether a promise holds is another test
    done
    "$1" run --trace tests/scenarios/*.stead >"$2/scenarios" 2>&1 || true
}

tell "$first" "$work/first"
for other in "$@"; do
    rm -rf "$work/other"
    tell "$other" "$work/other"
    for story in "$work"/first/*; do
        name=$(basename "$story")
        if [ -s "$story" ] && cmp "$story" "$work/other/$name"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "$name: $other tells it otherwise than $first"
            diff "$story" "$work/other/$name" | head -n 5 || true
        fi
    done
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
