# shellcheck shell=bash
# What the lab tests look at and do. A test ends at the first thing that is not as it must be.

ASK=1 # the node whose agent is asked

lab() { "$LAB" "$@" 3>&-; }
stead() { lab sh "$ASK" stead "$@"; }

fail() { # WHY
    echo "$1" >"$WORK/why"
    exit 1
}

tell() { echo "$1" | tee -a "$WORK/told"; } # shown even if all goes well

must() { # WHAT CMD...
    local what=$1
    shift
    "$@" || fail "not so: $what"
}

within() { # SECONDS WHAT CMD...
    local seconds=$1 end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        ((SECONDS < end)) || fail "not within $seconds s: $what"
        sleep 0.2
    done
}

not() { ! "$@"; }
finds() { grep -E -- "$1" >"$WORK/found"; } # PATTERN, in what is piped here, to its end: `grep -q` leaves at once, and pipefail takes the writer's SIGPIPE for a no
exits() { # CODE CMD...: what it said is in $WORK/said
    local want=$1 got=0
    shift
    "$@" >"$WORK/said" 2>&1 || got=$?
    cat "$WORK/said"
    ((got == want)) || { echo "exit $got, not $want: $*"; return 1; }
}
said() { grep -qE -- "$1" "$WORK/said"; }

# --- the cluster, as its agents tell --------------------------------------------------------

says() { # PYTHON EXPRESSION over the status: d, node['n1'], vm['web1']
    stead status --json 2>/dev/null | python3 -c "import json, sys
d = json.load(sys.stdin)
node = {n['name']: n for n in d['nodes']}
vm = {v['name']: v for v in d['vms']}
print($1)" 2>/dev/null
}
is_true() { [[ $(says "$1") = True ]]; }
node_is() { is_true "node['n$1']['state'] == '$2'"; }
actor() { says "d['cluster']['actor'][1:]"; }
acts() { [[ $(actor) = "$1" ]]; }
vm_runs_on() { is_true "vm['$1']['state'] == 'running' and vm['$1']['node'] == 'n$2'"; } # NAME K
vm_runs_off() { is_true "vm['$1']['state'] == 'running' and vm['$1']['node'] != 'n$2'"; }
vm_is() { is_true "vm['$1']['state'] == '$2'"; }

history_since() { # MARK: "kind node vm why", one a line
    stead history --json | python3 -c "import json, sys
for e in json.load(sys.stdin)['history']:
    if e['sequence'] > $1:
        print(e['kind'], e['node'] or '-', e['vm'] or '-', e['cause'])"
}
mark() { stead history --last 1 --json | python3 -c "import json, sys; print(json.load(sys.stdin)['history'][-1]['sequence'])"; }
history_has() { # MARK PATTERN...
    local from=$1 pattern
    shift
    history_since "$from" >"$WORK/history"
    for pattern in "$@"; do
        grep -qE "^$pattern" "$WORK/history" || fail "the history has no '$pattern': $(tr '\n' ';' <"$WORK/history")"
    done
}
history_lacks() { # MARK PATTERN
    history_since "$1" >"$WORK/history"
    ! grep -E "^$2" "$WORK/history" || fail "the history has '$(grep -m1 -E "^$2" "$WORK/history")'"
}
started_times() { history_since "$1" | grep -c "^vm-starting n[0-9] $2 " || true; } # MARK NAME

journal_us() { # K MARK_US PATTERN: when node K's agent first said that, in microseconds
    local at
    at=$(lab log "$1" -o short-unix --since "@$(($2 / 1000000))" | grep -E -- "$3" | awk -v since="$2" '{sub(/\./, "", $1); if ($1 >= since) {print $1; exit}}')
    [[ -n $at ]] || fail "n$1 never said '$3'"
    echo "$at"
}
now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

# --- processes, as the machine sees them ------------------------------------------------------

on_node() { # K PIDS...: those in that node
    local k=$1 pid
    shift
    for pid in "$@"; do
        ! grep -qs "/stead-lab/n$k/" "/proc/$pid/cgroup" || echo "$pid"
    done
}
qemus_of() { # NAME [K]: pids of its QEMUs, on one node or on all
    local pids k
    mapfile -t pids < <(pgrep -f "^[^ ]*qemu-system[^ ]* .*guest=$1," || true)
    for k in ${2:-1 2 3}; do
        on_node "$k" "${pids[@]}"
    done
}
no_qemu() { [[ -z $(qemus_of "$1" "${2:-}") ]]; }
runs_once() { [[ $(qemus_of "$1" | wc -l) = 1 ]]; }
agent_pid() { # K
    local pids
    mapfile -t pids < <(pgrep -x stead-agent || true)
    on_node "$1" "${pids[@]}"
}

# --- guests, as their consoles and disks tell -----------------------------------------------------

boots_of() { lab console "$1" 2>/dev/null | grep -c '^first read' || true; }
acked_by() { lab console "$1" 2>/dev/null | sed -n 's/.*ack \([0-9]*\).*/\1/p' | tail -n 1; }
wrote() { # NAME BOOTS ACKED: that many boots have read the disk, and the last one wrote so much
    local acked
    (($(boots_of "$1") >= $2)) && acked=$(acked_by "$1") && ((${acked:-0} >= $3))
}
goes_on() { # NAME: its guest writes
    local before
    before=$(acked_by "$1")
    within 10 "$1 goes on writing" eval "(( \$(acked_by $1) > $before ))"
}
add_vm() { # NAME K [RATE]: on node K, writing
    lab vm "$1" "$2" 96 "${3:-200}"
    within 20 "$1 runs on n$2" vm_runs_on "$1" "$2"
    within 30 "the guest of $1 writes" wrote "$1" 1 50
}
clean() { # NAME WRITERS: one after the other, nothing lost
    must "the disk of $1 is clean" exits 0 lab disk "$1"
    must "$2 boots wrote the disk of $1" said " by $2 writer"
}

recovered() { # NAME OLD [SECONDS]: committed as running elsewhere, and its guest writes
    within "${3:-20}" "$1 runs on a survivor" vm_runs_off "$1" "$2"
    within 30 "the new guest of $1 writes" wrote "$1" 2 50
}
comes_back() { # K: from fenced, still the same boot, by an operator's word
    within 20 "n$1 is in the ring again" is_true "node['n$1']['in_ring'] and node['n$1']['agent_alive']"
    must "n$1 is still fenced" node_is "$1" fenced
    within 15 "node unfence n$1" stead node unfence "n$1"
    within 45 "n$1 is online" node_is "$1" online # 20 s later where an agent killed a guest it knew no lease of
}
