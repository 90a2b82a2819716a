#!/usr/bin/env bash
# What cannot be meant is refused before any agent is asked, by a sentence that tells the remedy: status 2, one line on stderr.
set -euo pipefail
cd "$(dirname "$0")/../.."
long=$(printf 'a%.0s' {1..64})
bad=0

# refuses "PART" WORD...: `stead WORD...` does, and says so
refuses() {
    local part=$1 said status=0
    shift
    said=$(build/stead "$@" 2>&1 >/dev/null) || status=$?
    [[ $status == 2 && $said == "stead: "*"$part"* && $said != *$'\n'* ]] && return
    printf 'stead %s: wanted 2 and "%s", got %d and "%s"\n' "$*" "$part" "$status" "$said" >&2
    bad=1
}

refuses 'wants NAME proof=PROOFS' class set gold
refuses 'wants NAME proof=PROOFS' class set gold power
refuses 'storage, power or watchdog' class set gold "proof=$long"
refuses 'at most 63' class set "$long" proof=power
refuses "'a b' is no name of a class" class set 'a b' proof=power
refuses "'a b' is no name" class remove 'a b'
refuses 'wants a VM and a class' vm class web
refuses 'is no name of a VM' vm class 'w b' gold
refuses 'is no name of a class' vm class web "$long"
refuses "--class wants a class's name" vm add web --adopt --class 'a b'
refuses "--class wants a class's name" vm add web --adopt --class "$long"
[ $bad = 0 ]
