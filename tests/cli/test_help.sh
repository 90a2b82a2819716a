#!/usr/bin/env bash
# Every screen of `stead --help` fits 24 lines of 80 columns; each command has one, with an example.
set -euo pipefail
cd "$(dirname "$0")/../.."
stead=build/stead
bad=0
fail() {
    echo "help: $*" >&2
    bad=1
}

# fits WORDS...: the help of that
fits() {
    local text
    text=$($stead "$@" --help)
    [ "$(wc -l <<<"$text")" -le 24 ] || fail "stead $* --help: more than 24 lines"
    [ "$(LC_ALL=C.UTF-8 wc -L <<<"$text")" -le 80 ] || fail "stead $* --help: more than 80 columns"
    [ $# -lt 1 ] || grep -q "^usage: stead $*" <<<"$text" || fail "stead $* --help: not about it"
}

# same_options WORDS...: help and completion name the same options, and --json exactly where it is taken
same_options() {
    local told offered
    told=$($stead "$@" --help | sed -n 's/^  \(--[a-z-]*\) .*/\1/p' | sort -u)
    offered=$($stead complete "$@" -- | sed "/^--help$/d" | sort)
    [ "$told" = "$offered" ] || fail "$*: help has ${told//$'\n'/ }, completion ${offered//$'\n'/ }"
    if grep -qx -- --json <<<"$told"; then
        [[ $($stead "$@" a b --json 2>&1) != *"does not go with"* ]] || fail "$*: help has a --json that it refuses"
    else
        [[ $($stead "$@" a b --json 2>&1) = *"does not go with"* ]] || fail "$*: takes a --json that help has not"
    fi
}

fits
for first in $($stead complete ''); do
    fits "$first"
    verbs=$($stead complete "$first" '')
    # A group's second words; a command of one word may offer others.
    $stead "$first" --help | grep -q "^usage: stead $first COMMAND" || verbs=
    for verb in ${verbs:-.}; do
        words=("$first")
        [ "$verb" = . ] || words+=("$verb")
        fits "${words[@]}"
        $stead "${words[@]}" --help | grep -q "^Example: stead ${words[*]}" || fail "${words[*]}: no example"
        same_options "${words[@]}"
        [[ " $($stead --help | grep "^  $first  *[a-z]") " = *" ${words[-1]} "* ]] || fail "${words[*]}: not in the overview"
    done
done

# said TEXT WORDS...: what is answered to a command that is not there
said() {
    local text=$1 answer code=0
    shift
    answer=$($stead "$@" 2>&1) || code=$?
    [[ $code = 2 && $answer == *"$text"* ]] || fail "stead $*: not '$text' but '$answer' ($code)"
}
said 'did you mean `stead status' stauts
said 'did you mean `stead vm list' vn lst
said 'did you mean `stead vm start' vm strat web
said 'wants one more word: add remove' vm
said '; there is: list show' node drain n1 # no word is near
said '; there is: add remove' vm migrate web
said 'did you mean --timeout?' vm stop web --tiemout 3
said 'unknown option --force: see' cluster init --force
[ $bad = 0 ]
