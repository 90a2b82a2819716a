#!/usr/bin/env bash
# House rules as a failing test: format, include arrows, pure headers, lengths, shell.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
fail() {
    echo "tidy: $*" >&2
    bad=1
}

# Every C file as clang-format writes it.
while read -r file; do
    clang-format --dry-run --Werror "$file" 2>/dev/null || fail "$file: not formatted (make format)"
done < <(git ls-files '*.c' '*.h')

# agent/ -> {storage, fencing, migration} -> proto/, and the three never see each other.
arrows() {
    local room=$1 may=$2
    git ls-files "$room/*.[ch]" | xargs -r grep -nE '^#include "(agent|storage|fencing|migration|proto|tests)/' |
        grep -vE "\"($may)/" | while IFS=: read -r file line text; do
        echo "$file:$line: $room/ may not ${text#\#}"
    done || true
}
for rule in 'proto:proto' 'storage:storage|proto' 'fencing:fencing|proto' \
    'migration:migration|proto' 'agent:agent|storage|fencing|migration|proto'; do
    wrong=$(arrows "${rule%%:*}" "${rule#*:}")
    [ -z "$wrong" ] || fail "$wrong"
done

# A file that is neither *_io nor *main is pure: no headers of the world, no edge's header.
pure() { git ls-files 'agent/*.[ch]' 'storage/*.[ch]' 'fencing/*.[ch]' 'migration/*.[ch]' 'proto/*.[ch]' | grep -vE '(_io|main)\.[ch]$'; }
while read -r file; do
    wrong=$(grep -nE '^#include (<|"[a-z/]*_io\.h")' "$file" | grep -vE '<(string|stdint|stdbool|stddef)\.h>' || true)
    [ -z "$wrong" ] || fail "$file is pure and may not: $wrong"
    wrong=$(grep -nE '^static [^(]*;$' "$file" | grep -v const || true)
    [ -z "$wrong" ] || fail "$file is pure and may keep no variable: $wrong"
    wrong=$(grep -nE '\b(float|double)\b' "$file" | grep -vE '^[0-9]+:\s*(/?\*|//)' || true)
    [ -z "$wrong" ] || fail "$file is pure and may not use floating point: $wrong"
done < <(pure)

# A pure file opens with 5 to 25 lines: what it decides, assumes, never does.
while read -r file; do
    lines=$(awk '!/^( ?\*|\/\*)/ {print 0; exit} /\*\// {print NR; exit}' "$file")
    { [ "$lines" -ge 5 ] && [ "$lines" -le 25 ]; } || fail "$file: a head of $lines lines (5 to 25)"
done < <(pure | grep '\.c$')

# What others may call is said before it is called: each group of prototypes has a comment.
while read -r header; do
    wrong=$(awk 'BEGIN {RS = ""} /(^|\n)[a-z][^\n]*[a-z_0-9]\([^;{]*\);/ && !/\/\*/ {split($0, lines, "\n"); print lines[1]}' "$header")
    [ -z "$wrong" ] || fail "$header has no word about: $wrong"
done < <(git ls-files '*.h' | grep -vE '^tests/|_inner_io\.h$')

# Lengths.
while read -r file; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || fail "$file: $lines lines (600 at most)"
done < <(git ls-files '*.c' '*.h' '*.sh' 'tests/lab/*')
while read -r long; do
    fail "$long lines (70 at most)"
done < <(git ls-files '*.c' | xargs -r ctags --c-kinds=f --fields=+ne -f - 2>/dev/null |
    awk -F'\t' '{l=0; e=0; for (i = 4; i <= NF; i++) {if ($i ~ /^line:/) l = substr($i, 6); if ($i ~ /^end:/) e = substr($i, 5)}
                 if (l && e && e - l + 1 > 70) print $2 ": " $1 ", " e - l + 1}')

# Each header compiles alone.
while read -r header; do
    out=$(cc -std=gnu17 -I. -Ibuild -I/usr/include/libxml2 -fsyntax-only -x c "$header" 2>&1) ||
        fail "$header does not compile alone: $(head -n 1 <<<"$out")"
done < <(git ls-files 'agent/*.h' 'storage/*.h' 'fencing/*.h' 'migration/*.h' 'proto/*.h')

# Shell.
while read -r script; do
    shellcheck -x -P SCRIPTDIR "$script" >&2 || fail "$script: shellcheck"
done < <(git ls-files | while read -r f; do head -c 64 "$f" 2>/dev/null | head -n 1 | grep -qaE '^#!.*(bash|/sh)' && echo "$f"; done)

# A break that no longer has its place in the code breaks nothing.
stale=$(tests/mutants/breaks --dry 2>&1) || fail "tests/mutants/breaks --dry: ${stale%$'\n'*}"

# A lab test that nothing runs is none.
while read -r name; do
    fail "tests/lab/test: $name is in no list"
done < <(comm -23 <(git ls-files 'tests/lab/tests/*.sh' | xargs sed -n 's/^test_\([a-z_0-9]*\)().*/\1/p' | tr _ - | sort) <(bash tests/lab/test list | sort))

[ "$bad" = 0 ] && echo "tidy: all rules hold"
exit "$bad"
