#!/usr/bin/env bash
# Installs what building, testing and the lab need, from Debian 12. Starts no service: corosync and
# libvirtd of this machine stay as they are.
set -euo pipefail
packages=(
    build-essential clang libclang-rt-14-dev make pkg-config clang-format universal-ctags shellcheck git
    corosync corosync-qdevice corosync-qnetd libcpg-dev libquorum-dev libvotequorum-dev libcmap-dev libcfg-dev libqb-dev
    libvirt-daemon libvirt-daemon-driver-qemu libvirt-daemon-system libvirt-clients libvirt-dev
    ceph-mon ceph-osd ceph-common librados-dev librbd-dev python3-rados python3-rbd
    qemu-system-x86 qemu-utils qemu-block-extra
    libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libxml2-dev
    libfuse3-dev libfreeipmi-dev freeipmi-tools openipmi ipmitool fence-agents
    scdoc man-db groff-base bsdextrautils bash-completion
    libsystemd-dev libjansson-dev libsmartcols-dev libinih-dev libcmocka-dev
    procps python3 systemd systemd-container nftables iproute2 busybox-static linux-image-cloud-amd64 uuid-runtime jq kmod cpio
)
[ "$(id -u)" = 0 ] || {
    echo "deps: needs root (sudo make deps)" >&2
    exit 1
}
missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || {
    echo "deps: all ${#packages[@]} packages are installed"
    exit 0
}
echo "deps: installing ${#missing[@]} packages"
# Packages ask policy-rc.d before they start a daemon; ours says no for as long as this runs.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get -q -o DPkg::Lock::Timeout=600 update &&
    apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "deps: installation failed; the whole log is in $log" >&2
    exit 1
fi
rm -f "$log"
echo "deps: done"
