#!/usr/bin/env bash
# The man pages render without a warning, and say all that the programs do.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
fail() {
    echo "man: $*" >&2
    bad=1
}
plain() { MANWIDTH=100 MAN_KEEP_FORMATTING='' man -P cat -l "build/man/$1" 2>&1 | col -b; }

for page in stead.8 stead-agent.8 stead-keeper.8 stead.conf.5 stead-sim.1; do
    warnings=$(groff -man -ww -z -Tutf8 "build/man/$page" 2>&1)
    [ -z "$warnings" ] || fail "$page: $warnings"
    text=$(plain "$page")
    grep -qE '^EXAMPLES?$' <<<"$text" || fail "$page: no example"
    ! grep -qE '^ *@[a-z]+@' <<<"$text" || fail "$page: a table is missing"
done
text=$(plain stead.8)
for first in $(build/stead complete ''); do
    grep -q "stead $first" <<<"$text" || fail "stead.8 does not tell of '$first'"
done
# The programs' own usage is the source here.
for pair in stead-sim:stead-sim.1 stead-agent:stead-agent.8 stead-keeper:stead-keeper.8; do
    text=$(plain "${pair#*:}")
    for option in $("build/${pair%:*}" --help | grep -oE -- '--[a-z]+' | sort -u); do
        grep -q -- "$option" <<<"$text" || fail "${pair#*:} does not tell of $option"
    done
done
[ $bad = 0 ]
