# shellcheck shell=bash
# Long ones, not among all. CUTS=50: power cuts in a row. MINUTES=30 LOAD=8: nothing happens, on a machine as busy as that.

progress() { echo "        $1" >&3; } # seen while the test runs

median() { sort -n | awk '{at[NR] = $1} END {print at[int((NR + 1) / 2)]}'; }

runs_a_vm() { is_true "any(v['state'] == 'running' and v['node'] == 'n$1' for v in d['vms'])"; } # K

next_victim() { # LAST: the next node that runs a VM, into $VICTIM; another one is asked from now on
    local i
    for i in 1 2 3; do
        VICTIM=$((($1 + i - 1) % 3 + 1))
        ! runs_a_vm "$VICTIM" || break
    done
    ASK=$((VICTIM % 3 + 1))
}

fences_since() { history_since "$1" | grep -c '^node-fenced ' || true; } # MARK

# Cuts the power of $VICTIM and waits until all is as before; how long its slowest VM was away, into $AWAY_MS.
cut_once() { # CUT
    local from at name host ms lost=()
    local -A boots=()
    mapfile -t lost < <(says "'\n'.join(v['name'] for v in d['vms'] if v['node'] == 'n$VICTIM')")
    for name in "${lost[@]}"; do boots[$name]=$(boots_of "$name"); done
    from=$(mark)
    at=$(now_us)
    AWAY_MS=0
    lab cut "$VICTIM"
    for name in "${lost[@]}"; do within 120 "$name runs elsewhere (cut $1)" vm_runs_off "$name" "$VICTIM"; done
    for name in "${lost[@]}"; do
        host=$(says "vm['$name']['node'][1:]")
        ms=$(ms_between "$at" "$(journal_us "$host" "$at" "vm $name: resume -> up")")
        ((ms <= AWAY_MS)) || AWAY_MS=$ms
        within 180 "the new guest of $name writes (cut $1)" wrote "$name" $((boots[$name] + 1)) 10
        must "one QEMU of $name (cut $1)" runs_once "$name"
    done
    lab on "$VICTIM"
    within 180 "n$VICTIM is back (cut $1)" is_true "all(n['state'] == 'online' for n in d['nodes']) and d['situation'] == 'all is settled'"
    must "one fence (cut $1)" [ "$(fences_since "$from")" = 1 ]
    history_has "$from" "node-fenced n$VICTIM "
}

# Two wrote at once, written late, lost, missing, torn: none of it, on the disk of each.
disks_are_clean() { # NAME...
    local name
    for name in "$@"; do must "the disk of $name is clean" exits 0 lab disk "$name"; done
}

test_fifty_cuts() {
    local i cuts=${CUTS:-50} away=() VICTIM=0 AWAY_MS
    one_each fifty
    within 60 'all nodes are online' is_true "all(n['state'] == 'online' for n in d['nodes'])"
    for ((i = 1; i <= cuts; i++)); do
        next_victim "$VICTIM"
        cut_once "$i"
        away+=("$AWAY_MS")
        progress "cut $i of $cuts: n$VICTIM, running again after $AWAY_MS ms; load $(cut -d' ' -f1 /proc/loadavg)"
        ((i % 10 > 0)) || disks_are_clean fifty1 fifty2 fifty3
    done
    disks_are_clean fifty1 fifty2 fifty3
    tell "$cuts cuts, $cuts fences, 0 double writers, 0 lost writes; running again after $(printf '%s\n' "${away[@]}" | median) ms (median), $(printf '%s\n' "${away[@]}" | sort -n | tail -n 1) ms at worst"
    for i in 1 2 3; do tell "$(lab disk "fifty$i" | head -n 1)"; done
}

# --- under load --------------------------------------------------------------------------------------

be_busy() { # COUNT SECONDS: so many processes that do nothing, each with an end of its own
    local i
    for ((i = 0; i < $1; i++)); do
        timeout "$2" sh -c 'while :; do :; done' &
        BUSY+=($!)
    done
}

load_is() { awk -v least="$1" '{exit !($1 >= least)}' /proc/loadavg; }

watch_the_load() { # MINUTES: a sample every 10 s, into $LOADS
    local minute i
    for ((minute = 1; minute <= $1; minute++)); do
        for i in 1 2 3 4 5 6; do
            sleep 10
            LOADS+=("$(cut -d' ' -f1 /proc/loadavg)")
        done
        progress "minute $minute of $1: load ${LOADS[-1]}"
    done
}

keepers_said() { # WORD SINCE_US: how often, all together
    local k count=0
    for k in 1 2 3; do
        [[ -z $(keeper_us "$k" "$2" "$1") ]] || count=$((count + 1))
    done
    echo "$count"
}

load_tally() { # MARK SINCE_US TERM: what must be nothing
    local k suspends=0
    history_since "$1" >"$WORK/history"
    for k in 1 2 3; do suspends=$((suspends + $(stood_still "$k" "$2"))); done
    tell "fences $(grep -c '^node-fenced ' "$WORK/history"), losses $(grep -c '^node-lost ' "$WORK/history"), suspends $suspends, terms $(($(says "d['cluster']['term']") - $3)), hosts reset $(keepers_reset "$2"), keepers whose word ran out $(keepers_said 'feeding -> expired' "$2")"
    must 'no guest was suspended' [ "$suspends" = 0 ]
    must 'no watchdog fired' [ "$(keepers_reset "$2")" = 0 ]
}

keepers_reset() { # SINCE_US
    local k count=0
    for k in 1 2 3; do ! expired "$k" "$1" || count=$((count + 1)); done
    echo "$count"
}

tell_deadlines() {
    local name line=''
    for name in token consensus; do
        line+="$name $(lab sh 1 corosync-cmapctl -g runtime.config.totem.$name | awk '{print $NF}') ms, "
    done
    for name in beat fresh able actor poll call watchdog watchdog_fires; do
        line+="${name}_ms $(stead config get "${name}_ms"), "
    done
    tell "${line%, }"
    stead config timing | while IFS= read -r line; do tell "$line"; done
}

# A quiet cluster with writing guests and armed watchdogs, all deadlines as shipped, on a busy machine.
test_under_load() {
    local k from since qemus term minutes=${MINUTES:-30} load=${LOAD:-8} BUSY=() LOADS=()
    one_each load
    for k in 1 2 3; do lab watchdog "$k" on && lab sh "$k" systemctl start stead-keeper; done
    stead config set proof watchdog
    within 60 'three watchdogs are armed' is_true "all(n['watchdog'] for n in d['nodes'])"
    tell_deadlines
    trap 'kill "${BUSY[@]}" 2>/dev/null || true' EXIT
    be_busy $((load + 2)) $((minutes * 60 + 900))
    within 600 "a load of $load" load_is "$load"
    from=$(mark) since=$(now_us) term=$(says "d['cluster']['term']")
    qemus=$(qemus_each load)
    watch_the_load "$minutes"
    tell "$minutes minutes at a load of $(printf '%s\n' "${LOADS[@]}" | sort -n | head -n 1) at least, $(printf '%s\n' "${LOADS[@]}" | median) in the median, on $(nproc) CPUs"
    load_tally "$from" "$since" "$term"
    kill "${BUSY[@]}"
    all_untouched load "$qemus" "$from"
    no_keepers
}
