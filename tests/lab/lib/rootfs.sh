# shellcheck shell=bash
# What makes the machine's own `/`, seen through an overlay, the disk of node K: run once per node.

rootfs_prepare() { # K ROOT
    local k=$1 root=${2:?}
    rootfs_forget "$root"
    rootfs_identity "$k" "$root"
    rootfs_corosync "$root"
    rootfs_libvirt "$k" "$root"
    rootfs_ceph "$root"
    rootfs_stead "$k" "$root"
}

rootfs_forget() { # what the machine itself runs, mounts, and knows is none of the node's business
    local root=${1:?}
    (
        [[ $root -ef / ]] && exit 1 # nothing below may ever meet the machine itself
        cd "$root" || exit
        rm -rf tmp/* || true # the machine may be at work in its own
        rm -rf run/* var/tmp/* var/log/journal etc/systemd/system/*.wants etc/systemd/system/*.requires \
            etc/corosync/* etc/ceph/* etc/stead var/lib/stead var/lib/corosync/* \
            etc/libvirt/qemu/*.xml etc/libvirt/qemu/autostart etc/libvirt/qemu/networks \
            etc/libvirt/secrets etc/libvirt/storage var/lib/libvirt/qemu/* var/log/libvirt/qemu/*
        rm -f usr/sbin/policy-rc.d etc/resolv.conf etc/mtab
        # No resolver: one that times out costs libvirtd ten seconds on its own host name.
        : >etc/resolv.conf
        : >etc/fstab
        : >etc/crypttab
        mkdir -p etc/systemd/system-generators etc/systemd/journald.conf.d var/log/journal var/log/stead-lab
        # Init scripts enabled on the machine stay out; their rc links stay, or `systemctl enable` fails.
        ln -sfn /dev/null etc/systemd/system-generators/systemd-sysv-generator
        ln -sfn /lib/systemd/system/multi-user.target etc/systemd/system/default.target
        printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\nRateLimitBurst=0\n' >etc/systemd/journald.conf.d/lab.conf
    )
}

rootfs_identity() {
    local k=$1 root=${2:?} i
    echo "n$k" >"$root/etc/hostname"
    # Never empty: an empty one means "first boot" to systemd, which then enables every unit it finds.
    node_uuid "$k" | tr -d - >"$root/etc/machine-id"
    {
        echo "127.0.0.1 localhost"
        for ((i = 1; i <= NODES; i++)); do
            echo "10.88.1.$i n$i"
            echo "10.88.2.$i n$i-sto"
            echo "10.88.3.$i n$i-mgt"
            echo "10.88.3.$((100 + i)) n$i-bmc"
        done
        echo "10.88.2.254 ceph"
    } >"$root/etc/hosts"
}

rootfs_enable() { # ROOT TARGET UNIT...
    local root=$1 wants=$1/etc/systemd/system/$2.wants unit
    shift 2
    mkdir -p "$wants"
    for unit in "$@"; do
        [[ ! -e $root/usr/lib/systemd/system/$unit ]] || ln -sfn "/lib/systemd/system/$unit" "$wants/$unit"
    done
}

rootfs_tie() { # what lets half of the nodes be quorate
    case $TIE in
        twonode) echo "    two_node: 1" ;;
        qdevice)
            cat <<TXT
    device {
        model: net
        votes: 1
        net {
            tls: off
            host: $QNETD
            algorithm: ffsplit
        }
    }
TXT
            ;;
    esac
}

rootfs_corosync() {
    local root=${1:?} i
    install -m 0400 "$STATE/corosync.key" "$root/etc/corosync/authkey"
    {
        cat <<TXT
totem {
    version: 2
    cluster_name: stead-lab
    transport: knet
    crypto_cipher: aes256
    crypto_hash: sha256
    token: $TOKEN
    token_coefficient: 0
    ${CONSENSUS:+consensus: $CONSENSUS}
}
logging {
    to_logfile: no
    to_syslog: yes
    timestamp: hires
}
quorum {
    provider: corosync_votequorum
TXT
        rootfs_tie
        printf '}\nnodelist {\n'
        for ((i = 1; i <= NODES; i++)); do
            printf '    node {\n        ring0_addr: 10.88.1.%s\n        nodeid: %s\n        name: n%s\n    }\n' $i $i $i
        done
        echo "}"
    } >"$root/etc/corosync/corosync.conf"
    rootfs_enable "$root" multi-user.target corosync.service
    [[ $TIE != qdevice ]] || rootfs_enable "$root" multi-user.target corosync-qdevice.service
}

rootfs_libvirt() {
    local k=$1 root=${2:?}
    # All nodes share this machine's DMI UUID; libvirt takes two such hosts for one.
    printf '\nhost_uuid = "%s"\n' "$(node_uuid "$k")" >>"$root/etc/libvirt/libvirtd.conf"
    cat >"$root/etc/libvirt/qemu.conf" <<'TXT'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
TXT
    # The guests' Ceph key, as libvirt keeps a secret on disk.
    local secrets=$root/etc/libvirt/secrets
    install -d -m 0700 "$secrets"
    cat >"$secrets/$GUEST_SECRET.xml" <<TXT
<secret ephemeral='no' private='no'>
  <uuid>$GUEST_SECRET</uuid>
  <usage type='ceph'><name>client.vm secret</name></usage>
</secret>
TXT
    (umask 077 && printf %s "$(ceph_key vm)" >"$secrets/$GUEST_SECRET.base64")
    rootfs_enable "$root" multi-user.target libvirtd.service
    rootfs_enable "$root" sockets.target libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket \
        virtlogd.socket virtlogd-admin.socket virtlockd.socket virtlockd-admin.socket
}

rootfs_ceph() {
    local root=${1:?} name
    cat >"$root/etc/ceph/ceph.conf" <<TXT
[global]
fsid = $(<"$STATE/ceph/fsid")
mon_host = [v2:10.88.2.254:3300]
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
ms_bind_ipv6 = false

[client]
admin_socket =
log_file =
TXT
    for name in stead vm; do
        install -m 0600 "$STATE/ceph/client.$name.keyring" "$root/etc/ceph/ceph.client.$name.keyring"
    done
}

rootfs_stead() {
    local k=$1 root=${2:?}
    install -d -m 0755 "$root/etc/stead"
    cat >"$root/etc/stead/stead.conf" <<TXT
[node]
uuid = $(node_uuid "$k")
[libvirt]
uri = qemu:///system
[ceph]
conf = /etc/ceph/ceph.conf
user = stead
pool = stead
guest_user = vm
[bmc]
address = $(bmc_address "$k")
credentials = /etc/stead/bmc.credentials
cipher_suite = 3
TXT
    (umask 077 && printf '[default]\nusername = ADMIN\npassword = %s\n' "$BMC_PASSWORD" >"$root/etc/stead/bmc.credentials")
    [[ ! -d $STATE/stage ]] || cp -a --no-preserve=ownership "$STATE/stage/." "$root/"
    [[ $BARE = yes ]] || rootfs_enable "$root" multi-user.target stead-agent.service
}
