#!/usr/bin/env bash
# Drives the completion function as bash does. No agent runs here: names are completed in the lab.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PWD/build:$PATH
# shellcheck source=/dev/null
. deploy/completion/stead
bad=0

# offers "LINE" WORD...: typed so far (the last word unfinished), exactly these come
offers() {
    local line=$1 wanted got
    shift
    read -ra COMP_WORDS <<<"$line"
    [[ $line != *' ' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _stead
    wanted=$(printf '%s\n' "$@" | sort)
    got=$(printf '%s\n' "${COMPREPLY[@]}" | sort)
    [ "$got" = "$wanted" ] && return
    printf 'completion of "%s": wanted %s, got %s\n' "$line" "${wanted//$'\n'/ }" "${got//$'\n'/ }" >&2
    bad=1
}

# holds "LINE" WORD: among what comes
holds() {
    local word=$2
    offers_of "$1"
    [[ " ${COMPREPLY[*]} " == *" $word "* ]] && return
    echo "completion of \"$1\": no '$word' in '${COMPREPLY[*]}'" >&2
    bad=1
}
offers_of() {
    read -ra COMP_WORDS <<<"$1"
    [[ $1 != *' ' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _stead
}

offers 'stead hist' history
offers 'stead vm sta' start
offers 'stead nosuch ' ''
holds 'stead ' vm
holds 'stead vm ' add
holds 'stead vm add web --' --xml
holds 'stead vm stop web --' --timeout
offers 'stead vm stop web --ti' --timeout
offers 'stead vm stop web --on ' ''
holds 'stead --' --version
holds 'stead vm add web --xml Makef' Makefile
offers 'stead vm class web ' none
offers 'stead vm class web none ' ''
[ $bad = 0 ]
