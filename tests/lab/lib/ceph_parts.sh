# shellcheck shell=bash
# What a tiny Ceph is made of, for the lab's and for the one of the edge tests: keys, ceph.conf, the
# first steps of mon and osd. Functions work in the folder DIR they are given.

ceph_parts_key() { # as ceph-authtool makes them: type 1, time 0.0, length 16, 16 random bytes
    { printf '\1\0\0\0\0\0\0\0\0\0\20\0' && head -c16 /dev/urandom; } | base64 -w0
}

ceph_parts_client() { # DIR NAME CAP...: its keyring, and its place in the mon's first keyring
    local dir=$1 name=$2 key
    shift 2
    key=$(ceph_parts_key)
    printf '[%s]\n\tkey = %s\n' "$name" "$key" | tee "$dir/$name.keyring" >>"$dir/mon.first.keyring"
    [[ $# -eq 0 ]] || printf '\tcaps %s\n' "$@" >>"$dir/mon.first.keyring"
}

# All keys and rights are seeded in the mon's first keyring: no `ceph auth` calls, each 0.3 s, later.
ceph_parts_keys() ( # DIR
    umask 077
    ceph_parts_client "$1" mon. 'mon = "allow *"'
    ceph_parts_client "$1" osd.0 'mon = "allow profile osd"' 'osd = "allow *"'
    ceph_parts_client "$1" client.admin 'mon = "allow *"' 'osd = "allow *"' 'mgr = "allow *"'
    # The agent: blocklist (`profile rbd` alone may add to it but not remove), images, its own pool.
    ceph_parts_client "$1" client.stead \
        'mon = "profile rbd, allow command \"osd blocklist\", allow command \"osd blocklist ls\""' \
        'osd = "profile rbd pool=rbd, allow rwx pool=stead"'
    ceph_parts_client "$1" client.vm 'mon = "profile rbd"' 'osd = "profile rbd pool=rbd"'
)

ceph_parts_conf() { # DIR ADDRESS PORT RUN_DIR PAXOS: writes DIR/ceph.conf, and DIR/fsid if it is not there
    local dir=$1 address=$2
    [[ -e $dir/fsid ]] || cat /proc/sys/kernel/random/uuid >"$dir/fsid"
    cat >"$dir/ceph.conf" <<TXT
[global]
fsid = $(<"$dir/fsid")
mon_host = [v2:$address:$3]
public_addr = $address
cluster_addr = $address
ms_bind_msgr1 = false
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
run_dir = $4
admin_socket = $4/\$name.asok
log_file = $dir/\$name.log
log_to_stderr = false
err_to_stderr = true
crash_dir = $dir/crash
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_crush_chooseleaf_type = 0

[client]
keyring = $dir/\$name.keyring
admin_socket =
log_file =

[mon]
mon_data = $dir/mon
mon_cluster_log_file = $dir/cluster.log
mon_cluster_log_to_syslog = false
mon_allow_pool_delete = true
mon_data_avail_warn = 1
mon_data_avail_crit = 1
paxos_propose_interval = $5
# What librbd fences by itself, when it breaks a dead client's lock, must stay fenced; the default
# is one hour.  Not by rbd_blocklist_expire_seconds in the clients: librbd 16.2.15 then sends the
# time as a string, the mon refuses ("bad or missing field 'expire'"), and the guest gets EINVAL.
mon_osd_blocklist_default_expire = 315360000

[osd]
osd_data = $dir/osd
keyring = $dir/osd.0.keyring
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

ceph_parts_mon() { # DIR: makes the mon's store
    local address
    address=$(sed -n 's/^mon_host = //p' "$1/ceph.conf")
    monmaptool --create --fsid "$(<"$1/fsid")" --enable-all-features --set-min-mon-release 16 \
        --addv a "$address" "$1/monmap" >>"$1/out.log"
    ceph-mon -i a --mkfs --monmap "$1/monmap" --keyring "$1/mon.first.keyring" >>"$1/out.log" 2>&1
}
