# shellcheck shell=bash
# The smallest real Ceph: one mon, one osd (bluestore in a file), cephx, no mgr.
# Without a mgr, commands it would serve (`ceph pg stat`, `ceph df`) hang, and health warns.

readonly CEPH=$STATE/ceph

ceph_key() { awk '$1 == "key" {print $3}' "$CEPH/client.$1.keyring"; }
ceph_admin() { CEPH_CONF=$CEPH/ceph.conf fabric "$@"; }

ceph_new_key() { # as ceph-authtool makes them: type 1, time 0.0, length 16, 16 random bytes
    { printf '\1\0\0\0\0\0\0\0\0\0\20\0' && head -c16 /dev/urandom; } | base64 -w0
}

ceph_new_client() { # NAME CAP...: its keyring, and its place in the mon's first keyring
    local name=$1 key
    shift
    key=$(ceph_new_key)
    printf '[%s]\n\tkey = %s\n' "$name" "$key" | tee "$CEPH/$name.keyring" >>"$CEPH/mon.first.keyring"
    [[ $# -eq 0 ]] || printf '\tcaps %s\n' "$@" >>"$CEPH/mon.first.keyring"
}

# All keys and rights are seeded in the mon's first keyring: no `ceph auth` calls, each 0.3 s, later.
ceph_keys() (
    umask 077
    ceph_new_client mon. 'mon = "allow *"'
    ceph_new_client osd.0 'mon = "allow profile osd"' 'osd = "allow *"'
    ceph_new_client client.admin 'mon = "allow *"' 'osd = "allow *"' 'mgr = "allow *"'
    # The agent: blocklist (`profile rbd` alone may add to it but not remove), images, its own pool.
    ceph_new_client client.stead \
        'mon = "profile rbd, allow command \"osd blocklist\", allow command \"osd blocklist ls\""' \
        'osd = "profile rbd pool=rbd, allow rwx pool=stead"'
    ceph_new_client client.vm 'mon = "profile rbd"' 'osd = "profile rbd pool=rbd"'
)

ceph_conf() {
    local address=10.88.2.254
    cat >"$CEPH/ceph.conf" <<TXT
[global]
fsid = $(<"$CEPH/fsid")
mon_host = [v2:$address:3300]
public_addr = $address
cluster_addr = $address
ms_bind_msgr1 = false
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
run_dir = $RUN/ceph
admin_socket = $RUN/ceph/\$name.asok
log_file = $CEPH/\$name.log
log_to_stderr = false
err_to_stderr = true
crash_dir = $CEPH/crash
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_crush_chooseleaf_type = 0

[client]
keyring = $CEPH/client.admin.keyring
admin_socket =
log_file =

[mon]
mon_data = $CEPH/mon
mon_cluster_log_file = $CEPH/cluster.log
mon_cluster_log_to_syslog = false
mon_allow_pool_delete = true
mon_data_avail_warn = 1
mon_data_avail_crit = 1
paxos_propose_interval = $PAXOS
# What librbd fences by itself, when it breaks a dead client's lock, must stay fenced; the default
# is one hour.  Not by rbd_blocklist_expire_seconds in the clients: librbd 16.2.15 then sends the
# time as a string, the mon refuses ("bad or missing field 'expire'"), and the guest gets EINVAL.
mon_osd_blocklist_default_expire = 315360000

[osd]
osd_data = $CEPH/osd
keyring = $CEPH/osd/keyring
osd_objectstore = bluestore
# A full osd aborts and never starts again; the file is sparse, so be generous.
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

ceph_prepare() { # keys, conf, ids: what the nodes' disks need to know of it
    mkdir -p "$CEPH/mon" "$CEPH/osd" "$CEPH/crash" "$RUN/ceph"
    chmod 0700 "$CEPH"
    cat /proc/sys/kernel/random/uuid >"$CEPH/fsid"
    cat /proc/sys/kernel/random/uuid >"$CEPH/osd.uuid"
    ceph_conf
    ceph_keys
    cp "$CEPH/osd.0.keyring" "$CEPH/osd/keyring"
}

ceph_start() { # until the first object is written
    export CEPH_CONF=$CEPH/ceph.conf
    local mkfs
    monmaptool --create --fsid "$(<"$CEPH/fsid")" --enable-all-features --set-min-mon-release 16 \
        --addv a '[v2:10.88.2.254:3300]' "$CEPH/monmap" >>"$CEPH/out.log"
    ceph-mon -i a --mkfs --monmap "$CEPH/monmap" --keyring "$CEPH/mon.first.keyring" >>"$CEPH/out.log" 2>&1
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
