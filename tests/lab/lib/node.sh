# shellcheck shell=bash
# A node: systemd as PID 1 in a container.  Its disk is the upper layer of an overlay
# on the machine's own `/`, kept on a tmpfs of the lab: it outlives a power cut.

readonly DISKS=$STATE/nodes

node_uuid() { printf '5ead0b0%s-12c4-4d56-8e9a-0123456789a%s' "$1" "$1"; }
node_alive() { unit_alive "n$1"; }
node_dead() { ! node_alive "$1"; }

node_leader() { # K: pid (here) of the node's PID 1 into $REPLY; 1 while there is none
    REPLY=''
    read -r REPLY <"$CG/n$1/payload/init.scope/cgroup.procs" || return 1
    [[ -n $REPLY ]]
} 2>/dev/null

node_frozen() { unit_frozen "n$1"; }

node_locked() { # K CMD...: power changes of one node come one after the other (BMC, terminal, tests)
    local k=$1
    shift
    (
        exec 8>"$RUN/n$k.lock"
        flock -w 60 8 || die "n$k is busy with another power change"
        "$@"
    )
}

node_on() { # K: returns once the node is powered, not yet booted
    node_alive "$1" && return 0
    mkdir -p "$DISKS/n$1/upper" "$DISKS/n$1/work" "$DISKS/n$1/root"
    node_net_up "$1"
    unit_remove "n$1" # a fresh cgroup: not frozen, no leftovers of the last life
    unit_start "n$1" "$DISKS/n$1/console.log" unshare -m --propagation private "$SELF" _node "$1"
}

node_off() { # K: cables first, or its dying sockets would tell the peers what a dead machine cannot
    node_net_cut "$1"
    unit_kill "n$1"
    watchdog_off "$1"
}

node_cut() { # K: when is noted, for those who measure
    echo "$EPOCHREALTIME" >"$RUN/n$1.cut"
    node_off "$1"
}

node_main() { # K: in a mount namespace of its own, until the node is powered off
    local k=$1 dir=$DISKS/n$1 code
    settings_load
    unset NOTIFY_SOCKET WATCHDOG_USEC # of whatever service runs the lab
    # systemd wants cgroup v2 at the usual place, whatever this machine has there.
    umount -R /sys/fs/cgroup 2>/dev/null || mount -t tmpfs tmpfs /sys/fs/cgroup
    mount --bind "$RUN/cgroup" /sys/fs/cgroup
    mount -t tmpfs tmpfs /run/systemd 2>/dev/null || true # nspawn keeps notes there; the machine's are not its business
    mkdir -p /run/systemd/nspawn
    mount -t overlay "stead-lab-n$k" -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
    if [[ ! -e $dir/prepared ]]; then
        rootfs_prepare "$k" "$dir/root"
        touch "$dir/prepared"
    fi
    while :; do
        code=0
        node_nspawn "$k" "$dir/root" || code=$?
        watchdog_off "$k"
        [[ $code -eq 133 ]] || break # 133: the node asked for a reboot
    done
    node_net_cut "$k"
}

node_nspawn() { # K ROOT
    local hide=()
    [[ ! -d $2$STATE ]] || hide=(--tmpfs="$STATE:mode=0700")
    systemd-nspawn -q -b -D "$2" -M "n$1" --hostname="n$1" --settings=no --register=no --keep-unit \
        --link-journal=no --console=pipe --network-namespace-path="/run/netns/$(netns_of "$1")" \
        --capability=all --resolv-conf=off --timezone=off \
        "${hide[@]}" --bind-ro="$STATE/share:/srv/stead-lab"
}

node_exec() { # K CMD...: replaces this process
    local k=$1 place=$CG/n$1/payload
    shift
    node_alive "$k" || die "n$k is off" "$0 on $k"
    ! node_frozen "$k" || die "n$k is frozen" "$0 thaw $k"
    wait_until 10 node_leader "$k" || die "n$k has no PID 1 yet" "see $DISKS/n$k/console.log"
    # In the node's own cgroup, so that freeze and power cut catch it like anything else there.
    mkdir -p "$place/stead-lab-sh"
    echo $BASHPID >"$place/stead-lab-sh/cgroup.procs"
    cd /
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        TERM="${TERM:-dumb}" LANG=C.UTF-8 nsenter -t "$REPLY" -a -- "$@"
}

node_sh() { (node_exec "$@"); }
node_try() { node_sh "$@" >/dev/null 2>&1; }

node_freeze() { # K 1|0: when is noted, as for a cut
    node_alive "$1" || die "n$1 is off" "$0 on $1"
    [[ $2 = 0 ]] || echo "$EPOCHREALTIME" >"$RUN/n$1.cut"
    unit_freeze "n$1" "$2"
}

node_booted() { # K: the unit manager is there and has nothing left to start
    local state
    node_leader "$1" || return 1
    state=$(node_sh "$1" systemctl is-system-running 2>/dev/null) || true
    [[ $state = running || $state = degraded ]]
}

node_settled() { node_booted "$1" || node_dead "$1"; }

node_wait_boot() { # K
    { wait_until 90 node_settled "$1" && node_alive "$1"; } ||
        die "n$1 does not boot: $(tail -n1 "$DISKS/n$1/console.log")" "see $DISKS/n$1/console.log (after up --keep)"
}

node_quorate() { # K MEMBERS
    node_sh "$1" corosync-quorumtool -s 2>/dev/null |
        awk -v want="$2" '/^Nodes:/ {n = $2} /^Quorate:/ {q = $2} END {exit !(n == want && q == "Yes")}'
}

node_libvirt() { node_try "$1" virsh -q list; }
