#!/bin/bash
# ceph.sh start|stop DIR: a tiny real Ceph for the edge tests, all of it in DIR and on 127.0.0.1.
#
# One mon, one osd (bluestore in a sparse file), cephx, no mgr: commands a mgr would serve hang.
# Starts in about 4 s. PAXOS (seconds, default 0.05; Ceph's own is 1) is how long the mon gathers map
# changes. DIR/mon.pid and DIR/osd.pid are there to be frozen by a test; DIR/ceph.conf knows the
# users client.stead (what the agent may do), client.vm (a guest's disk) and client.admin.
set -euo pipefail

usage() { sed -n '2s/^# //p' "$0" >&2; exit 2; }
[[ $# -eq 2 && -n $2 ]] || usage
DIR=$(readlink -m "$2")
SETUP=$(dirname "$(readlink -f "$0")")/../lab/lib/ceph_setup.py
PAXOS=${PAXOS:-0.05}
export CEPH_CONF=$DIR/ceph.conf

new_key() { # as ceph-authtool makes them: type 1, time 0.0, length 16, 16 random bytes
    { printf '\1\0\0\0\0\0\0\0\0\0\20\0' && head -c16 /dev/urandom; } | base64 -w0
}

new_client() { # NAME CAP...: its keyring, and its place in the mon's first keyring
    local name=$1 key
    shift
    key=$(new_key)
    printf '[%s]\n\tkey = %s\n' "$name" "$key" | tee "$DIR/$name.keyring" >>"$DIR/mon.first.keyring"
    [[ $# -eq 0 ]] || printf '\tcaps %s\n' "$@" >>"$DIR/mon.first.keyring"
}

keys() (
    umask 077
    new_client mon. 'mon = "allow *"'
    new_client osd.0 'mon = "allow profile osd"' 'osd = "allow *"'
    new_client client.admin 'mon = "allow *"' 'osd = "allow *"' 'mgr = "allow *"'
    new_client client.stead \
        'mon = "profile rbd, allow command \"osd blocklist\", allow command \"osd blocklist ls\""' \
        'osd = "profile rbd pool=rbd, allow rwx pool=stead"'
    new_client client.vm 'mon = "profile rbd"' 'osd = "profile rbd pool=rbd"'
)

conf() { # PORT
    cat <<TXT
[global]
fsid = $FSID
mon_host = [v2:127.0.0.1:$1]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
run_dir = $DIR
admin_socket = $DIR/\$name.asok
log_file = $DIR/\$name.log
log_to_stderr = false
err_to_stderr = true
crash_dir = $DIR/crash
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0

[client]
keyring = $DIR/\$name.keyring
admin_socket =
log_file =

[mon]
mon_data = $DIR/mon
mon_cluster_log_file = $DIR/cluster.log
mon_cluster_log_to_syslog = false
mon_allow_pool_delete = true
mon_data_avail_warn = 1
mon_data_avail_crit = 1
paxos_propose_interval = $PAXOS

[osd]
osd_data = $DIR/osd
keyring = $DIR/osd.0.keyring
osd_objectstore = bluestore
bluestore_block_size = 10737418240
bluestore_block_db_create = false
bluestore_block_wal_create = false
bluestore_fsck_on_mount = false
bluestore_cache_autotune = false
bluestore_cache_size = 33554432
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_numa_auto_affinity = false
TXT
}

free_port() {
    local port
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 10000))
        if ! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo $port
            return
        fi
    done
    return 1
}

daemon() { # NAME COMMAND...: in the background, its pid in DIR/NAME.pid
    local name=$1
    shift
    setsid "$@" </dev/null >>"$DIR/out.log" 2>&1 &
    echo $! >"$DIR/$name.pid"
}

start() {
    local mkfs port
    [[ ! -e $CEPH_CONF ]] || { echo "ceph.sh: $DIR holds a Ceph already" >&2; exit 1; }
    mkdir -p "$DIR/mon" "$DIR/osd" "$DIR/crash"
    FSID=$(</proc/sys/kernel/random/uuid)
    UUID=$(</proc/sys/kernel/random/uuid)
    port=$(free_port)
    conf "$port" >"$CEPH_CONF"
    keys
    monmaptool --create --fsid "$FSID" --enable-all-features --set-min-mon-release 16 \
        --addv a "[v2:127.0.0.1:$port]" "$DIR/monmap" >>"$DIR/out.log"
    ceph-mon -i a --mkfs --monmap "$DIR/monmap" --keyring "$DIR/mon.first.keyring" >>"$DIR/out.log" 2>&1
    daemon mon ceph-mon -f -i a --paxos_propose_interval 0.05
    ceph-osd -i 0 --mkfs --osd-uuid "$UUID" >>"$DIR/out.log" 2>&1 &
    mkfs=$!
    /usr/bin/python3 "$SETUP" mon "$UUID" || { wait $mkfs; return 1; }
    wait $mkfs
    daemon osd ceph-osd -f -i 0
    /usr/bin/python3 "$SETUP" osd
    /usr/bin/python3 "$SETUP" pace "$DIR/mon.a.asok" "$PAXOS"
}

end_one() { # NAME: by its pid, frozen or not; hard after 10 s
    local pid
    [[ -e $DIR/$1.pid ]] || return 0
    pid=$(<"$DIR/$1.pid")
    # Never a stranger that has the number by now.
    if [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "ceph-$1" ]]; then
        kill "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
        for _ in {1..200}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
        kill -KILL "$pid" 2>/dev/null || true
    fi
    rm -f "$DIR/$1.pid"
}

case $1 in
start)
    start || { tail -n 20 "$DIR/out.log" >&2; "$0" stop "$DIR"; exit 1; }
    ;;
stop)
    [[ -e $CEPH_CONF ]] || exit 0
    end_one osd # while the mon can still note it down: otherwise it waits 5 s
    end_one mon
    rm -rf "$DIR"
    ;;
*) usage ;;
esac
