#!/bin/bash
# libvirtd.sh start DIR | stop DIR: a real libvirtd with QEMU for the edge tests, apart from the host's.
#
# It runs in a mount namespace of its own, with empty /run, /etc/libvirt and state directories, and
# listens on DIR/libvirt-sock; DIR/libvirtd.pid is there to be killed or frozen by a test, and `start`
# may be called again after that: its guests live on, as after a restart of the service. Needs root.
set -euo pipefail

usage() { sed -n '2s/^# //p' "$0" >&2; exit 2; }
[[ $# -eq 2 && -n $2 ]] || usage
DIR=$(readlink -m "$2")

configure() {
    cat >/etc/libvirt/qemu.conf <<'TXT'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
dynamic_ownership = 0
remember_owner = 0
TXT
    cat >"$DIR/libvirtd.conf" <<TXT
unix_sock_dir = "$DIR"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "c0ffee00-1111-4222-8333-444455556666"
log_outputs = "3:file:$DIR/libvirtd.log"
TXT
}

# The first process of the namespace keeps it while libvirtd comes and goes.
inside() {
    local place
    mount --make-rprivate /
    # What is mounted below /run (a lab's cgroup, say) would be hidden and confuse libvirt.
    awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts | xargs -r -n1 umount -l
    for place in /run /etc/libvirt /var/lib/libvirt /var/log/libvirt; do
        mkdir -p "$place"
        mount -t tmpfs tmpfs "$place"
    done
    configure
    echo $$ >"$DIR/keeper.pid"
    exec sleep infinity
}

start() {
    mkdir -p "$DIR"
    if ! [[ -s $DIR/keeper.pid ]]; then
        setsid unshare --mount "$0" _inside "$DIR" </dev/null >"$DIR/out.log" 2>&1 &
        for _ in {1..100}; do [[ -s $DIR/keeper.pid ]] && break; sleep 0.05; done
    fi
    rm -f "$DIR/libvirt-sock" "$DIR/libvirtd.pid"
    nsenter --mount --target "$(<"$DIR/keeper.pid")" -- \
        libvirtd --daemon --config "$DIR/libvirtd.conf" --pid-file "$DIR/libvirtd.pid"
    for _ in {1..200}; do
        virsh -q -c "qemu+unix:///system?socket=$DIR/libvirt-sock" version >/dev/null 2>&1 && return 0
        sleep 0.05
    done
    tail "$DIR/libvirtd.log" >&2
    exit 1
}

end() { # PIDFILE
    [[ -s $1 ]] || return 0
    kill -KILL "$(<"$1")" 2>/dev/null || true
}

stop() {
    local keeper guest
    [[ -s $DIR/keeper.pid ]] || return 0
    keeper=$(<"$DIR/keeper.pid")
    end "$DIR/libvirtd.pid"
    for guest in "/proc/$keeper/root/run/libvirt/qemu"/*.pid; do
        [[ $guest == */driver.pid ]] || end "$guest"
    done
    kill -KILL "$keeper" 2>/dev/null || true
    rm -f "$DIR/keeper.pid"
}

case $1 in
    start) start ;;
    stop) stop ;;
    _inside) inside ;;
    *) usage ;;
esac
