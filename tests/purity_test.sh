#!/usr/bin/env bash
# The purity check must be able to fail: a clock, a counter and an upward include are each seen.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
expect_refused() {
    local what=$1 code=$2
    printf '%s\n' "$code" >"$work/x.c"
    cc -c -o "$work/x.o" "$work/x.c"
    rm -f "$work/x.a"
    ar rcs "$work/x.a" "$work/x.o"
    if tests/purity.sh "$work/x.a" >/dev/null 2>&1; then
        echo "purity did not see $what" >&2
        exit 1
    fi
}
expect_refused "a clock" '#include <time.h>
long x(void); long x(void) { return time(0); }'
expect_refused "a counter" 'static int n; int x(void); int x(void) { return n++; }'
expect_refused "an allocation" '#include <stdlib.h>
void *x(void); void *x(void) { return malloc(3); }'
echo "purity sees strangers"
