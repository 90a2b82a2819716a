#!/usr/bin/env bash
# `make uninstall` takes away what `make install` put there, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
fail() {
    echo "install: $*" >&2
    exit 1
}
for prefix in /usr /usr/local; do
    make -s install DESTDIR="$root" PREFIX=$prefix >/dev/null
    for file in sbin/stead-agent bin/stead bin/stead-sim libexec/stead/stead-bmc lib/systemd/system/stead-agent.service \
        sbin/stead-keeper lib/systemd/system/stead-keeper.service share/man/man8/stead-keeper.8 lib/systemd/system/corosync.service.d/stead.conf \
        share/man/man8/stead.8 share/man/man8/stead-agent.8 share/man/man5/stead.conf.5 share/man/man1/stead-sim.1 \
        share/bash-completion/completions/stead share/doc/stead/json.md share/doc/stead/stead.conf lib/systemd/catalog/stead.catalog; do
        [ -s "$root$prefix/$file" ] || fail "$prefix/$file was not installed"
    done
    [ -x "$root/etc/libvirt/hooks/qemu.d/stead" ] || fail "libvirt's hook was not installed, or cannot be run"
    grep -q "^ExecStart=$prefix/sbin/stead-agent" "$root$prefix/lib/systemd/system/stead-agent.service" || fail "the unit starts another agent"
    touch "$root$prefix/bin/another" "$root$prefix/share/man/man8/another.8"
    make -s uninstall DESTDIR="$root" PREFIX=$prefix
    left=$(cd "$root" && find . -type f | sort | tr '\n' ' ')
    [ "$left" = ".$prefix/bin/another .$prefix/share/man/man8/another.8 " ] || fail "left behind: $left"
    for folder in libexec/stead share/doc/stead; do
        [ ! -e "$root$prefix/$folder" ] || fail "$prefix/$folder is left"
    done
    rm -rf "${root:?}"/*
done
