#!/usr/bin/env bash
# I4 has a checker: a watchdog that fires later than it is said to ends the run, where the policy counts on it. (One that never fires is
# the device's own fault: scenario 397.)
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
said=$(story late:30s | build/stead-sim run - | tail -n 1) && fail "watchdog=late:30s passes: $said"
grep -q 'I4: n3 is taken for reset by its watchdog, and web lives there' <<<"$said" || fail "watchdog=late:30s: $said"
