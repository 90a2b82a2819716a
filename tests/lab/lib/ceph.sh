# shellcheck shell=bash
# The smallest real Ceph: one mon, one osd (bluestore in a file), cephx, no mgr.
# Without a mgr, commands it would serve (`ceph pg stat`, `ceph df`) hang, and health warns.

# shellcheck source=/dev/null
. "$HERE/lib/ceph_parts.sh"
readonly CEPH=$STATE/ceph

ceph_key() { awk '$1 == "key" {print $3}' "$CEPH/client.$1.keyring"; }
ceph_admin() { CEPH_CONF=$CEPH/ceph.conf fabric "$@"; }

ceph_prepare() { # keys, conf, ids: what the nodes' disks need to know of it
    mkdir -p "$CEPH/mon" "$CEPH/osd" "$CEPH/crash" "$RUN/ceph"
    chmod 0700 "$CEPH"
    cat /proc/sys/kernel/random/uuid >"$CEPH/osd.uuid"
    ceph_parts_conf "$CEPH" 10.88.2.254 3300 "$RUN/ceph" "$PAXOS"
    ceph_parts_keys "$CEPH"
}

ceph_restart() { # mon|osd: killed, and started again
    export CEPH_CONF=$CEPH/ceph.conf
    local id=0
    [[ $1 = osd ]] || id=a
    unit_kill "$1"
    unit_remove "$1"
    unit_start "$1" "$CEPH/out.log" nsenter --net="/run/netns/$FABRIC" "ceph-$1" -f -i "$id"
}

ceph_start() { # until the first object is written
    export CEPH_CONF=$CEPH/ceph.conf
    local mkfs
    ceph_parts_mon "$CEPH"
    # Every map change waits for a proposal: hurry while setting up, then go to what was asked for.
    unit_start mon "$CEPH/out.log" nsenter --net="/run/netns/$FABRIC" ceph-mon -f -i a --paxos_propose_interval 0.05
    ceph-osd -i 0 --mkfs --no-mon-config --osd-uuid "$(<"$CEPH/osd.uuid")" >>"$CEPH/out.log" 2>&1 &
    mkfs=$!
    fabric "$PYTHON" "$HERE/lib/ceph_setup.py" mon "$(<"$CEPH/osd.uuid")" || { wait $mkfs; return 1; }
    wait $mkfs
    unit_start osd "$CEPH/out.log" nsenter --net="/run/netns/$FABRIC" ceph-osd -f -i 0
    fabric "$PYTHON" "$HERE/lib/ceph_setup.py" osd
    "$PYTHON" "$HERE/lib/ceph_setup.py" pace "$RUN/ceph/mon.a.asok" "$PAXOS"
}
