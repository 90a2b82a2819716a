# shellcheck shell=bash
# Names, messages, bounded waits, and processes held in cgroups.

RUN=/run/stead-lab
FABRIC=stead-lab             # the network namespace of switches, BMCs and Ceph
CG=$RUN/cgroup/stead-lab     # every process of the lab lives below it: what is there is ours
NODES_MAX=9
PYTHON=/usr/bin/python3      # the one Debian's rados and rbd bindings belong to

# A running lab knows its own folder: no need to repeat STEAD_LAB_DIR.
STATE=${STEAD_LAB_DIR:-/var/lib/stead-lab}
[[ -r $RUN/dir ]] && STATE=$(<"$RUN/dir")
readonly RUN FABRIC CG NODES_MAX PYTHON STATE

# What `up` decided; verbs read it back from $STATE/settings.
NODES=0 TOKEN=${TOKEN:-1000} CONSENSUS=${CONSENSUS:-} PAXOS=${PAXOS:-1} BARE=no TIE='' BMC_PASSWORD='' BMC_GUID=${BMC_GUID:-ipmi}

say() { printf '%6.1f s  %s\n' "$(elapsed)" "$*" >&2; }
warn() { printf 'lab: %s\n' "$*" >&2; }

die() { # MESSAGE [REMEDY]
    printf 'lab: %s\n' "$1" >&2
    [[ -z ${2:-} ]] || printf '     try: %s\n' "$2" >&2
    exit 1
}

now_ms() { # into $REPLY, without a fork
    local t=${EPOCHREALTIME/[.,]/}
    REPLY=$((t / 1000))
}

now_ms
STARTED_MS=$REPLY
elapsed() {
    now_ms
    local ms=$((REPLY - STARTED_MS))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

wait_until() { # SECONDS CMD...: poll CMD until it succeeds; 1 when time is up
    local deadline
    now_ms
    deadline=$((REPLY + $1 * 1000))
    shift
    until "$@"; do
        now_ms
        ((REPLY < deadline)) || return 1
        sleep 0.05
    done
}

take_lock() { # one `up` or `down` at a time on this machine
    mkdir -p /run/lock
    exec 9>>/run/lock/stead-lab.lock
    flock -w "${1:-0}" 9 || die "another lab command is making or removing a lab" "wait for it to end"
}

settings_save() {
    local name
    for name in NODES TOKEN CONSENSUS PAXOS BARE TIE BMC_PASSWORD BMC_GUID; do
        printf '%s=%s\n' "$name" "${!name}"
    done >"$STATE/settings"
}

settings_load() {
    [[ -r $RUN/dir && -r $STATE/settings ]] || die "no lab is up" "$0 up"
    local line
    while read -r line; do
        [[ $line =~ ^([A-Z_]+)=([A-Za-z0-9.]*)$ ]] || die "$STATE/settings is damaged" "$0 down"
        printf -v "${BASH_REMATCH[1]}" %s "${BASH_REMATCH[2]}"
    done <"$STATE/settings"
}

node_arg() { # "2" or "n2" into $K
    [[ -n ${1:-} ]] || die "which node?" "$0 help"
    K=${1#n}
    [[ $K =~ ^[1-9]$ && $K -le $NODES ]] || die "no node '$1' (this lab has n1..n$NODES)"
}

missing_packages() { # one line, empty when all is there
    local tool package missing=()
    while read -r tool package; do
        command -v "$tool" >/dev/null || missing+=("$package")
    done <<'TXT'
systemd-nspawn systemd-container
corosync corosync
corosync-qdevice corosync-qdevice
corosync-qnetd corosync-qnetd
libvirtd libvirt-daemon-system
virsh libvirt-clients
qemu-system-x86_64 qemu-system-x86
ceph-mon ceph-mon
ceph-osd ceph-osd
ceph ceph-common
ipmi_sim openipmi
nft nftables
ip iproute2
cpio cpio
gcc gcc
TXT
    compgen -G '/usr/lib/*/qemu/block-rbd.so' >/dev/null || missing+=(qemu-block-extra)
    compgen -G '/boot/vmlinuz-*-cloud-amd64' >/dev/null || missing+=(linux-image-cloud-amd64)
    compgen -G '/usr/lib/*/libc.a' >/dev/null || missing+=(libc6-dev)
    "$PYTHON" -c 'import rbd' 2>/dev/null || missing+=(python3-rados python3-rbd)
    printf '%s' "${missing[*]-}"
}

# --- units: one cgroup per daemon or node; alive means that somebody is in it -------------

unit_start() { # NAME LOG CMD...: start CMD apart from this terminal, in its own cgroup
    local name=$1 log=$2
    shift 2
    mkdir -p "$CG/$name"
    # shellcheck disable=SC2016  # $$ and "$@" are the inner shell's
    setsid sh -c 'echo $$ >"$1/cgroup.procs" || exit; shift; exec "$@"' sh "$CG/$name" "$@" \
        </dev/null >>"$log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
    disown
    wait_until 5 unit_alive "$name" || die "$name did not start: $(tail -n1 "$log")" "see $log (up --keep)"
}

unit_alive() {
    local key value
    [[ -r $CG/$1/cgroup.events ]] || return 1
    while read -r key value; do
        [[ $key = populated ]] && { [[ $value = 1 ]]; return; }
    done 2>/dev/null <"$CG/$1/cgroup.events"
    return 1
}

unit_dead() { ! unit_alive "$1"; }

unit_kill() { # SIGKILL to all of it at once (works on frozen ones too), and wait until none is left
    [[ -e $CG/$1 ]] || return 0
    echo 1 >"$CG/$1/cgroup.kill"
    wait_until 10 unit_dead "$1" || die "processes of $1 do not end" "cat $CG/$1/cgroup.procs"
}

unit_freeze() { # NAME 1|0
    echo "$2" >"$CG/$1/cgroup.freeze"
    wait_until 5 grep -qx "frozen $2" "$CG/$1/cgroup.events" || die "$1 does not obey the freezer"
}

unit_frozen() { [[ $(cat "$CG/$1/cgroup.freeze" 2>/dev/null) = 1 ]]; }

unit_remove() {
    [[ -d $CG/$1 ]] || return 0
    find "$CG/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

cgroup_mount() { # our own view of the one cgroup v2 tree, wherever (and if) the system mounts it
    local there
    mkdir -p "$RUN/cgroup"
    if ! mountpoint -q "$RUN/cgroup"; then
        # Bound, where it is mounted already: a second mount would reset the options of the first.
        there=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/self/mounts)
        if [[ -n $there ]]; then
            mount --bind "$there" "$RUN/cgroup"
        else
            mount -t cgroup2 stead-lab "$RUN/cgroup" || die "cannot mount cgroup v2" "a kernel with cgroup v2 (5.14 or newer)"
        fi
    fi
    mkdir -p "$CG"
}
