#!/usr/bin/env bash
# I4 has a checker: a watchdog that arms and never fires ends the run, where the policy counts on it.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() {
    echo "i4: $*" >&2
    exit 1
}
story() { # WATCHDOG
    cat <<TXT
# A host that is cut off, and its watchdog
cluster seed=262 proof=watchdog watchdog_ms=10s watchdog_fires_ms=15s
node n1 watchdog=yes bmc=none
node n2 watchdog=yes bmc=none
node n3 watchdog=$1 bmc=none
vm web on n3

at 60s hang n3 300s
at 60s net n3 down
at 61s storage n3 down

run 240s
TXT
}
story yes | build/stead-sim run - >/dev/null || fail "a watchdog that fires in time is refused"
story late:4s | build/stead-sim run - >/dev/null || fail "one that fires within watchdog_fires_ms is refused"
for lie in never late:30s; do
    said=$(story $lie | build/stead-sim run - | tail -n 1) && fail "watchdog=$lie passes: $said"
    grep -q 'I4: n3 is taken for reset by its watchdog, and web lives there' <<<"$said" || fail "watchdog=$lie: $said"
done
