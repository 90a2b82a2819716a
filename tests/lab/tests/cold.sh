# shellcheck shell=bash
# The power of all hosts goes, and comes back: together, late, for some never, and again.

cut_all() {
    local k
    for k in 1 2 3; do
        lab cut "$k" &
    done
    wait
}

on_all() { # K...: in this order, without waiting for any to boot
    local k
    for k in "$@"; do
        lab on "$k" --no-wait
        sleep 0.3
    done
}

add_ranked() { # NAME K PRIORITY: on node K, writing
    lab vm "$1" "$2" 96 50 --no-add >/dev/null
    within 15 "$1 is added" stead vm add "$1" --xml "/srv/stead-lab/$1.xml" --on "n$2" --priority "$3"
    within 20 "$1 runs on n$2" vm_runs_on "$1" "$2"
}

add_four() {
    add_ranked rank0 1 0
    add_ranked rank3 3 3
    add_ranked rank5 2 5
    add_ranked rank9 3 9
    local name
    for name in rank0 rank3 rank5 rank9; do
        within 30 "the guest of $name writes" wrote "$name" 1 20
    done
}

all_run_once() { # NAME...
    local name
    for name in "$@"; do
        is_true "vm['$name']['state'] == 'running'" && runs_once "$name" || return
    done
}

# In what order is not asked here: the leases of both that were on n3 are taken over at once, and Ceph answers in its own order.
# Memory is kept for the more urgent meanwhile: scenarios 194 and 195.
test_cold_start() {
    add_four
    local from name before
    from=$(mark)
    before=$EPOCHSECONDS
    cut_all
    sleep 1
    on_all 3 1 2
    ASK=1
    within 60 'all four run, each once' all_run_once rank0 rank3 rank5 rank9
    tell "from the power back to four VMs running: $((EPOCHSECONDS - before)) s"
    for name in rank0 rank3 rank5 rank9; do
        must "$name was started once" [ "$(started_times "$from" "$name")" = 1 ]
        within 40 "the new guest of $name writes" wrote "$name" 2 20
        clean "$name" 2
    done
    must 'no host was switched off' eval "not grep -q ' off ' <(lab status)"
    within 20 'all nodes are online' is_true "all(n['state'] == 'online' for n in d['nodes'])"
    history_lacks "$from" 'bmc '
}

test_cold_start_one_late() { # its VMs are waited for, and its memory is not given away
    add_ranked slow 3 9
    add_ranked quick 1 0
    local from
    within 30 'both write' eval 'wrote slow 1 20 && wrote quick 1 20'
    from=$(mark)
    cut_all
    on_all 1 2
    ASK=1
    within 60 'quick runs' vm_runs_off quick 3
    sleep 12
    must 'n3 is absent, not lost' node_is 3 offline
    history_lacks "$from" 'node-(lost|fenced) n3 '
    lab on 3
    within 40 'slow is started' eval "[ \$(started_times $from slow) -ge 1 ]"
    within 40 'slow runs' is_true "vm['slow']['state'] == 'running'"
    history_has "$from" 'node-lost n3 - .*another boot id' 'node-fenced n3 - .*reborn' 'node-admitted n3 '
    must 'slow was started once' [ "$(started_times "$from" slow)" = 1 ]
    within 40 'the new guest of slow writes' wrote slow 2 20
    clean slow 2
    clean quick 2
}

test_cold_start_one_never() {
    add_ranked orphan 3 0
    local from
    within 30 'it writes' wrote orphan 1 20
    from=$(mark)
    cut_all
    on_all 2 1
    ASK=1
    within 60 'there is a quorum' is_true "d['quorate'] and d['fresh']"
    sleep 40
    must 'for the grace time n3 is only absent' node_is 3 offline
    within 50 'after it its VM runs on a survivor' vm_runs_off orphan 3
    history_has "$from" 'node-lost n3 - .*did not come up within grace_ms' 'node-fenced n3 - .*storage'
    history_lacks "$from" 'bmc n3 '
    within 40 'the new guest writes' wrote orphan 2 20
    lab on 3
    within 40 'n3 is back by itself' node_is 3 online
    must 'one QEMU' runs_once orphan
    clean orphan 2
}

test_cold_start_minority() { # one of three: it starts nothing and says why
    add_ranked few 1 0
    within 30 'it writes' wrote few 1 20
    cut_all
    lab on 1
    ASK=1
    within 30 'n1 has read the state' is_true "d['cluster']['state_version'] > 0"
    sleep 5
    must 'no QEMU' no_qemu few
    must 'it says why' eval "says \"d['situation']\" | grep -E 'no quorum: 1 in the ring, 2 needed'"
    on_all 2 3
    within 60 'with the others it runs' all_run_once few
    within 40 'the new guest writes' wrote few 2 20
    clean few 2
}

test_cold_start_cut_again() { # in the middle of the recovery
    add_ranked twice1 1 0
    add_ranked twice3 3 5
    within 30 'both write' eval 'wrote twice1 1 20 && wrote twice3 1 20'
    cut_all
    on_all 1 2 3
    ASK=1
    within 60 'a recovery begins' is_true "any(v['state'] in ('starting', 'recovering') for v in d['vms']) or vm['twice3']['state'] == 'running'"
    cut_all
    on_all 3 2 1
    within 60 'both run, each once' all_run_once twice1 twice3
    within 40 'their new guests write' eval 'wrote twice1 2 20 && wrote twice3 2 20'
    must 'the disk is clean' exits 0 lab disk twice1
    must 'the disk is clean' exits 0 lab disk twice3
}
