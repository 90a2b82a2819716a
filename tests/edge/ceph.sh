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
LIB=$(dirname "$(readlink -f "$0")")/../lab/lib
# shellcheck source=tests/lab/lib/ceph_parts.sh
. "$LIB/ceph_parts.sh"
PAXOS=${PAXOS:-0.05}
export CEPH_CONF=$DIR/ceph.conf

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
    UUID=$(</proc/sys/kernel/random/uuid)
    port=$(free_port)
    ceph_parts_conf "$DIR" 127.0.0.1 "$port" "$DIR" "$PAXOS"
    ceph_parts_keys "$DIR"
    ceph_parts_mon "$DIR"
    daemon mon ceph-mon -f -i a --paxos_propose_interval 0.05
    ceph-osd -i 0 --mkfs --osd-uuid "$UUID" >>"$DIR/out.log" 2>&1 &
    mkfs=$!
    /usr/bin/python3 "$LIB/ceph_setup.py" mon "$UUID" || { wait $mkfs; return 1; }
    wait $mkfs
    daemon osd ceph-osd -f -i 0
    /usr/bin/python3 "$LIB/ceph_setup.py" osd
    /usr/bin/python3 "$LIB/ceph_setup.py" pace "$DIR/mon.a.asok" "$PAXOS"
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
