#!/usr/bin/env bash
# Proves that the core touches nothing: linked alone, the pure objects may need only these symbols from
# outside, and must have no writable data. (strcmp is what gcc makes of strncmp with a literal.)
set -euo pipefail
library=${1:?usage: tests/purity.sh LIBRARY}
allowed='^(memcpy|memmove|memset|memcmp|strnlen|strncmp|strcmp|stead_panic|__stack_chk_fail|__memcpy_chk|__memset_chk|__memmove_chk|_GLOBAL_OFFSET_TABLE_)$'
whole=$(mktemp)
trap 'rm -f "$whole"' EXIT

ld -r --whole-archive "$library" -o "$whole"
strangers=$(nm -u "$whole" | awk '{print $NF}' | grep -Ev "$allowed" || true)
writable=$(size -A "$whole" | awk '$1 ~ /^\.(data|bss|tdata|tbss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 {print $1 " " $2}')
if [ -n "$strangers" ]; then
    echo "purity: the core must not use: $(tr '\n' ' ' <<<"$strangers")" >&2
    exit 1
fi
if [ -n "$writable" ]; then
    echo "purity: the core must have no writable data: $writable" >&2
    exit 1
fi
echo "purity: the core needs nothing but memory"
