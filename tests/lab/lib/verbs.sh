# shellcheck shell=bash
# The verbs, each a function; `lab help` says what they do.

verb_up() {
    local arg keep=no count=3
    for arg in "$@"; do
        case $arg in
            --bare) BARE=yes ;;
            --keep) keep=yes ;;
            --two-node) TIE=twonode ;;
            --qdevice) TIE=qdevice ;;
            [1-9]) count=$arg ;;
            *) die "up: what is '$arg'?" "$0 up 3 --bare" ;;
        esac
    done
    take_lock
    up_check
    NODES=$count
    BMC_PASSWORD=$(head -c8 /dev/urandom | od -An -tx1 | tr -d ' \n')
    # From here on, whatever goes wrong (^C too) takes everything away again.
    if [[ $keep = no ]]; then trap 'up_failed $?' EXIT; fi
    trap 'exit 130' INT TERM HUP
    up_make
    trap - EXIT INT TERM HUP
    up_greet
}

up_check() {
    local packages mount
    packages=$(missing_packages)
    [[ -z $packages ]] || die "packages are missing" "apt-get install --no-install-recommends $packages"
    left_behind
    for mount in /usr /etc /var; do # the nodes see the root file system only, not what is mounted on it
        ! mountpoint -q "$mount" || die "$mount is a file system of its own: nodes would not see it" "a machine or VM with one root file system"
    done
    [[ $TOKEN =~ ^[0-9]+$ && $CONSENSUS =~ ^[0-9]*$ && $PAXOS =~ ^[0-9.]+$ ]] || die "TOKEN, CONSENSUS and PAXOS are numbers (ms, ms, s)"
    (bmc_guid 1 >/dev/null) || exit
    [[ ! -e $STATE || -e $STATE/.stead-lab || -z $(ls -A "$STATE") ]] || die "$STATE holds something that is not a lab" "STEAD_LAB_DIR=/somewhere/else $0 up"
}

up_failed() { # EXIT_CODE
    trap - EXIT
    if [[ $1 -eq 130 ]]; then
        warn "interrupted; taking it down"
    else
        warn "up did not succeed; taking it down (keep the pieces with: up --keep)"
        [[ ! -s $STATE/ceph/out.log ]] || tail -n5 "$STATE/ceph/out.log" >&2
    fi
    down_all
    exit 1
}

up_make() {
    local ceph_job guest_job k
    mkdir -p "$RUN" "$STATE" && touch "$STATE/.stead-lab" && echo "$STATE" >"$RUN/dir"
    cgroup_mount
    settings_save
    say "networks"
    fabric_up
    mkdir -p "$DISKS" "$SHARE"
    mount -t tmpfs -o mode=0755 stead-lab-nodes "$DISKS"
    head -c256 /dev/urandom | install -m 0400 /dev/stdin "$STATE/corosync.key"
    ceph_prepare
    [[ $TIE != qdevice ]] || qnetd_up
    if [[ $BARE = no ]]; then up_stage; fi
    # In a cgroup of their own, so that an interrupted `up` leaves none of them behind.
    mkdir -p "$CG/setup"
    (exec 9>&- && echo $BASHPID >"$CG/setup/cgroup.procs" && ceph_start) & ceph_job=$!
    (exec 9>&- && echo $BASHPID >"$CG/setup/cgroup.procs" && guest_build) & guest_job=$!
    say "power on: n1..n$NODES and their BMCs"
    for ((k = 1; k <= NODES; k++)); do
        node_locked "$k" node_on "$k"
        bmc_start "$k"
    done
    up_wait
    wait $guest_job || die "the guest could not be built"
    wait $ceph_job || die "Ceph did not start" "see $CEPH/out.log (up --keep)"
    say "Ceph writes"
    touch "$RUN/ready"
    [[ $BARE = yes ]] || ! stead_built || { stead_form && say "stead cluster formed"; } || warn "stead cluster not formed; see: $0 log; then: $0 form"
}

up_stage() {
    if stead_built; then
        stead_stage
    else
        warn "stead is not built (make): the nodes come up without it"
    fi
}

up_wait() {
    local k
    for ((k = 1; k <= NODES; k++)); do
        node_wait_boot "$k"
    done
    say "booted"
    for ((k = 1; k <= NODES; k++)); do
        wait_until 60 node_quorate "$k" "$NODES" || die "n$k is not quorate" "up --keep, then $0 log $k -u corosync"
    done
    say "quorate: $NODES of $NODES"
    for ((k = 1; k <= NODES; k++)); do
        wait_until 60 node_libvirt "$k" || die "libvirtd of n$k does not answer" "up --keep, then $0 log $k -u libvirtd"
    done
    say "libvirtd answers on all"
}

up_greet() {
    local lab=${0##*/}
    say "up: n1..n$NODES"
    cat <<TXT

  $lab status              what stands
  $lab vm web1 1           a guest on n1 that stamps its disk
  $lab cut 1               pull the plug of n1 ...
  $lab disk web1           ... and see who wrote the disk
  $lab sh 2                a shell on n2        ($lab help: all verbs)
  $lab down                when done
TXT
}

verb_clear() {
    take_lock
    left_behind
}

left_behind() { # takes away what is left of a lab that was killed, or half made
    [[ -e $RUN/dir ]] || return 0
    cgroup_mount
    [[ ! -e $RUN/ready ]] || ! grep -qx 'populated 1' "$CG/cgroup.events" || die "a lab is up (in $STATE)" "$0 status, or $0 down"
    warn "an earlier lab was killed, or never got ready: cleaning up after it"
    down_all
}

verb_down() {
    take_lock 60
    [[ -e $RUN/dir || -e $STATE/.stead-lab || -e /run/netns/$FABRIC ]] || { echo "no lab is up"; return 0; }
    down_all
    echo "lab is down"
}

down_all() { # every step may find its thing gone already
    local unit k ns
    if [[ -d $RUN ]]; then
        cgroup_mount
        echo 1 >"$CG/cgroup.kill" # the whole tree at once: nothing slips from one unit to another
        wait 2>/dev/null || true # for what an interrupted up still had at work
        for unit in "$CG"/*/; do
            [[ -d $unit ]] || continue
            wait_until 15 unit_dead "$(basename "$unit")" || warn "$(basename "$unit") does not end"
            unit_remove "$(basename "$unit")"
        done
        rmdir "$CG" 2>/dev/null || true
    fi
    for ((k = 1; k <= NODES_MAX; k++)); do
        ns=/run/netns/$(netns_of "$k")
        [[ ! -e $ns ]] || ip netns del "$(netns_of "$k")"
    done
    [[ ! -e /run/netns/$FABRIC ]] || ip netns del "$FABRIC"
    ! mountpoint -q "$DISKS" || umount "$DISKS" || umount -l "$DISKS"
    ! mountpoint -q "$RUN/cgroup" || umount "$RUN/cgroup"
    [[ ! -e $STATE/.stead-lab ]] || rm -rf --one-file-system "${STATE:?}"
    rm -rf --one-file-system "$RUN"
}

verb_status() {
    settings_load
    local k agent row=$RUN/status
    printf '%-4s %-7s %-5s %-7s %-5s %-9s %-10s %-9s %-9s %s\n' \
        NODE POWER NET STORAGE MGMT BMC QUORUM LIBVIRTD AGENT GUESTS
    for ((k = 1; k <= NODES; k++)); do
        status_row "$k" >"$row.$k" &
    done
    wait
    for ((k = 1; k <= NODES; k++)); do
        cat "$row.$k" && rm -f "$row.$k"
    done
    for agent in mon osd; do
        printf '%s %s  ' "$agent" "$(status_unit "$agent")"
    done
    printf '(Ceph)   state in %s\n' "$STATE"
    [[ -e $RUN/ready ]] || warn "up has not finished, or was killed: $0 down"
}

status_unit() { # NAME
    if unit_dead "$1"; then echo DOWN; elif unit_frozen "$1"; then echo frozen; else echo up; fi
}

status_row() { # K
    local k=$1 power=off quorum=- libvirt=- agent=- guests=-
    if node_frozen "$k"; then
        power=frozen
    elif node_alive "$k"; then
        power=on
        quorum=$(node_sh "$k" timeout 3 corosync-quorumtool -s 2>/dev/null | awk '/^Nodes:/ {n = $2} /^Quorate:/ {q = $2} END {print n ? q "(" n ")" : "no"}') || true
        agent=$(node_sh "$k" systemctl is-active stead-agent 2>/dev/null) || true
        if guests=$(node_sh "$k" timeout 5 virsh -q list --all 2>/dev/null); then
            libvirt=ok
            guests=$(awk 'NF {n = $2; $1 = $2 = ""; sub(/^ */, ""); printf "%s%s:%s", c, n, $0; c = ","}' <<<"$guests")
        else
            libvirt=silent guests=-
        fi
    fi
    printf '%-4s %-7s %-5s %-7s %-5s %-9s %-10s %-9s %-9s %s\n' "n$k" $power "$(link_state "$k" clu)" \
        "$(link_state "$k" sto)" "$(link_state "$k" mgt)" "$(cat "$BMCS/n$k/mode" 2>/dev/null || echo -)" "$quorum" "$libvirt" "$agent" "${guests:--}"
}

verb_form() { settings_load; stead_form; }
verb_install() { settings_load; stead_install; }

verb_sh() {
    settings_load
    node_arg "${1:-}"
    shift
    [[ $# -gt 0 ]] || set -- bash -l
    node_exec "$K" "$@"
}

verb_log() {
    settings_load
    local nodes=() k args=()
    if [[ ${1:-} =~ ^n?[1-9]$ ]]; then
        node_arg "$1"
        nodes=("$K")
        shift
    else
        for ((k = 1; k <= NODES; k++)); do nodes+=("$k"); done
    fi
    # Any selection of the caller's replaces ours.
    [[ " $* " =~ \ (-u|--unit|-t|_)[^\ ]* ]] || args=(-u stead-agent)
    log_show "${nodes[*]}" "${args[@]}" "$@"
}

log_show() { # "K..." ARGS...: read from the disks, so the dead speak too; follow from inside the living
    local k files=() which=$1
    shift
    if [[ " $* " =~ \ (-f|--follow)\  ]]; then
        trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
        for k in $which; do
            node_dead "$k" || node_sh "$k" journalctl -o short-precise "$@" &
        done
        wait
        return 0
    fi
    for k in $which; do
        files+=(--file "$DISKS/n$k/upper/var/log/journal/*/*.journal*")
    done
    journalctl --no-pager -q -o short-precise "${files[@]}" "$@"
}

verb_env() {
    settings_load
    cat <<TXT
export STEAD_LAB_DIR=$STATE
export STEAD_LAB_NODES=$NODES
export STEAD_LAB_FABRIC=$FABRIC
export STEAD_LAB_SHARE=$SHARE
export STEAD_LAB_BMC_USER=ADMIN
export STEAD_LAB_BMC_PASSWORD=$BMC_PASSWORD
export CEPH_CONF=$CEPH/ceph.conf
TXT
}

verb_cut() { settings_load; node_arg "${1:-}"; node_locked "$K" node_cut "$K"; }

verb_on() {
    settings_load
    node_arg "${1:-}"
    node_locked "$K" node_on "$K"
    [[ ${2:-} != --no-wait ]] || return 0
    node_wait_boot "$K"
}

verb_freeze() { settings_load; node_arg "${1:-}"; node_freeze "$K" 1; }
verb_thaw() { settings_load; node_arg "${1:-}"; node_freeze "$K" 0; }
verb_net() { settings_load; node_arg "${1:-}"; link_set "$K" clu "${2:-}"; }

verb_storage() {
    settings_load
    case "$*" in
        'all down') unit_freeze osd 1 && unit_freeze mon 1 ;; # every call to it hangs, the worst it can do
        'all up') unit_freeze mon 0 && unit_freeze osd 0 ;;
        'mon down' | 'osd down') unit_freeze "$1" 1 ;;
        'mon up' | 'osd up') unit_freeze "$1" 0 ;;
        'mon restart' | 'osd restart') ceph_restart "$1" ;;
        *) node_arg "${1:-}" && link_set "$K" sto "${2:-}" ;;
    esac
}

verb_path() {
    settings_load
    local from to
    node_arg "${1:-}" && from=$K
    node_arg "${2:-}" && to=$K
    path_set "$from" "$to" "${3:-}"
    [[ ${4:-} = oneway ]] || path_set "$to" "$from" "${3:-}"
}

verb_qdevice() {
    settings_load
    [[ $TIE = qdevice ]] || die "this lab has no qdevice" "$0 up 2 --qdevice"
    case ${1:-} in
        up) qnetd_up ;;
        down) qnetd_down ;;
        *) die "qdevice: up or down?" "$0 help" ;;
    esac
}

verb_mgmt() { settings_load; node_arg "${1:-}"; link_set "$K" mgt "${2:-}"; }
verb_bmc() { settings_load; node_arg "${1:-}"; bmc_mode "$K" "${2:-}"; }

verb_watchdog() {
    settings_load
    node_arg "${1:-}"
    case ${2:-} in
        on | off) "watchdog_$2" "$K" ;;
        *) die "a watchdog is on or off, not '${2:-}'" "$0 watchdog $K on" ;;
    esac
}

verb_vm() {
    settings_load
    local add=yes words=() word
    for word in "$@"; do
        if [[ $word = --no-add ]]; then add=no; else words+=("$word"); fi
    done
    set -- "${words[@]}"
    [[ ${1:-} =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || die "a VM needs a name" "$0 vm web1 1"
    node_arg "${2:-}"
    [[ ${3:-96} =~ ^[0-9]+$ && ${3:-96} -ge 80 ]] || die "the guest's kernel needs at least 80 MiB"
    [[ ${4:-200} =~ ^[0-9]+$ ]] || die "the rate is a number of stamps a second"
    [[ $add = no ]] || node_alive "$K" || die "n$K is off" "$0 on $K"
    guest_image "$1"
    guest_xml "$1" "$(guest_uuid "$1")" "${3:-96}" "${4:-200}" >"$SHARE/$1.xml"
    if [[ $add = yes ]]; then
        node_sh "$K" stead vm add "$1" --xml "/srv/stead-lab/$1.xml" --on "n$K"
    else
        echo "/srv/stead-lab/$1.xml"
    fi
}

verb_tell() {
    settings_load
    node_arg "${2:-}"
    [[ ${3:-} =~ ^(poweroff|reboot|panic)$ ]] || die "a guest can be told poweroff, reboot or panic" "$0 tell web1 1 panic"
    guest_tell "$K" "$1" "$3"
}

verb_disk() {
    settings_load
    local consoles=()
    [[ -n ${1:-} ]] || die "which VM?" "$0 disk NAME"
    mapfile -t consoles < <(guest_consoles "$1")
    ceph_admin "$PYTHON" "$HERE/guest/read_stamps.py" "$@" --consoles "${consoles[@]}"
}

verb_console() {
    settings_load
    local files=() follow=()
    mapfile -t files < <(guest_consoles "${1:?which VM?}")
    [[ ${#files[@]} -gt 0 ]] || die "no node has a console of '$1'"
    [[ ${2:-} != -f ]] || follow=(-F)
    if [[ ${2:-} = -f || ${#files[@]} -gt 1 ]]; then
        tail -n +1 "${follow[@]}" "${files[@]}"
    else
        cat "${files[@]}"
    fi
}

verb_ceph() { settings_load; ceph_admin timeout --foreground -k 5 60 ceph "$@"; }
verb_rados() { settings_load; ceph_admin timeout --foreground -k 5 60 rados "$@"; }
verb_rbd() { settings_load; ceph_admin timeout --foreground -k 5 60 rbd "$@"; }
