#!/usr/bin/env bash
# tests/cli/test_scenario_docs.sh: docs/scenarios.md has each event, key, word and command that the parser takes, and its story holds.
set -euo pipefail
cd "$(dirname "$0")/../.."
doc=docs/scenarios.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

# has PATTERN WHAT: a line of the document has it
has() {
    grep -qE -- "$1" "$doc" || {
        echo "$doc has no $2" >&2
        bad=1
    }
}

# lists NAME: what stands in the lists of words of that name, in what is read
lists() {
    awk -v name="static const char \\*const $1\\\\[" '$0 ~ name { on = 1 } on; /};/ { on = 0 }' | grep -oE '"[a-z0-9][a-z0-9_-]*"' | tr -d '"' | sort -u
}

events=$(sed -nE 's/^ *\{"([a-z0-9]+)", (at|parse)_.*/\1/p' tests/sim/sim_parse_at.c)
[ "$(wc -l <<<"$events")" -gt 30 ]
for event in $events; do
    has "^at TIME (.*[|] ?)?$event([| ]|$)" "event '$event'"
done
words=$(cat tests/sim/sim_parse*.c | lists '[a-z_]*')
[ "$(wc -l <<<"$words")" -gt 80 ]
for word in $words; do
    has "(^|[^a-z0-9_-])$word([^a-z0-9_-]|$)" "word '$word'"
done
for noun in vm node ha cluster class; do
    reader=do_$noun
    [ "$noun" != class ] || reader=parse_do_class
    verbs=$(sed -n "/^\(static \)\?void $reader(/,/^}/p" tests/sim/sim_parse*.c | lists verbs)
    [ -n "$verbs" ]
    for verb in $verbs; do
        has "(do|\|) $noun ([a-z-]+\|)*$verb([^a-z-]|$)" "command '$noun $verb'"
    done
done
awk '/^# A host/ { on = 1 } on; /^expect fenced/ { exit }' "$doc" >"$work/example.stead"
grep -q '^run 180s' "$work/example.stead"
build/stead-sim run "$work/example.stead" "$work/example.stead" >"$work/said"
printf 'node n1\nnode n2\nnode n3\nvm web on n1\nat 60s partition n1|n2|n3\nrun 90s\nexpect vm web suspended\n' >"$work/still.stead"
build/stead-sim run --json "$work/still.stead" >"$work/said"
grep -q '"vms": {"web": {"node": "n1", "state": "suspended"}}' "$work/said"
exit "$bad"
