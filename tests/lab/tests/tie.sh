# shellcheck shell=bash
# Two nodes, and a qdevice: half of the nodes, and who may go on. CUTS=20 cuts two nodes from each other so often.

both_online() { is_true "len(node) == 2 and all(n['state'] == 'online' and n['agent_alive'] for n in d['nodes']) and d['situation'] == 'all is settled'"; }
other() { echo $((3 - $1)); }

# Who acts alone and runs all of these? Into $WINNER.
one_has() { # NAME...
    local k v
    for k in 1 2; do
        ASK=$k
        is_true "d['fresh'] and d['cluster']['actor'] == 'n$k' and not node['n$(other "$k")']['in_ring']" || continue
        for v in "$@"; do vm_runs_on "$v" "$k" || continue 2; done
        WINNER=$k
        return 0
    done
    return 1
}

lone_pair() { # a guest on each, the BMCs silent: nobody is switched off
    lab bmc 1 dead
    lab bmc 2 dead
    within 45 'both are online' both_online
    add_vm tie1 1 50
    add_vm tie2 2 50
}

loser_comes_back() { # after the heal
    local loser
    loser=$(other "$WINNER")
    within 20 "n$loser is in the ring again" is_true "node['n$loser']['in_ring'] and node['n$loser']['agent_alive']"
    ! node_is "$loser" fenced || stead node unfence "n$loser" >/dev/null
    within 30 "n$loser is online" both_online
}

test_two_node_cut() {
    local i from k wins='' cuts=${CUTS:-3}
    lone_pair
    for ((i = 1; i <= cuts; i++)); do
        ASK=1
        from=$(mark)
        lab path 1 2 down
        within 40 "one of them runs both (cut $i)" one_has tie1 tie2
        wins+=" n$WINNER"
        must "tie1 once (cut $i)" runs_once tie1
        must "tie2 once (cut $i)" runs_once tie2
        history_lacks "$from" "node-lost n$WINNER "
        lab path 1 2 up
        loser_comes_back
        must "the winner was not fenced after the heal (cut $i)" eval "! history_since $from | finds '^node-(lost|fenced) n$WINNER '"
        k=$(other "$WINNER")
        ((i % 2 == 0)) || continue # every other cut begins with a guest on each again
        stead vm stop tie2 --timeout 1s >/dev/null
        within 20 'tie2 is stopped' vm_is tie2 stopped
        stead vm start tie2 >/dev/null
        within 20 'tie2 runs' vm_is tie2 running
    done
    tell "$cuts cuts; the term went to$wins"
    for k in tie1 tie2; do must "the disk of $k is clean" exits 0 lab disk "$k"; done
}

test_two_node_winner_dies() {
    local from loser at
    lone_pair
    from=$(mark)
    lab path 1 2 down
    within 40 'one of them runs both' one_has tie1 tie2
    loser=$(other "$WINNER")
    ASK=$loser
    tell "n$loser: $(says "d['situation']")"
    at=$(now_us)
    lab cut "$WINNER"
    WINNER=$loser
    within 60 "n$loser takes its own address off, the term, and both guests" one_has tie1 tie2
    tell "both run on n$loser $((($(now_us) - at) / 1000)) ms after the winner died (bar_ms 15000)"
    must 'tie1 once' runs_once tie1
    must 'tie2 once' runs_once tie2
    within 40 'tie1 writes' wrote tie1 2 50
    history_has "$from" "node-lost n$(other "$loser") " "node-fenced n$(other "$loser") "
    lab path 1 2 up
    lab on "$(other "$loser")"
    within 60 'both are online' both_online
    goes_on tie1
    for k in tie1 tie2; do must "the disk of $k is clean" exits 0 lab disk "$k"; done
}

test_two_node_cold_start() {
    within 45 'both are online' both_online
    add_vm tie1 1 50
    add_vm tie2 2 50
    lab cut 1
    lab cut 2
    lab on 1
    within 60 'n1 answers, and waits for n2' is_true "not d['quorate'] and 'no quorum' in d['situation']"
    tell "$(says "d['situation']")"
    must 'nobody else can be given up' eval '! lab sh 1 stead cluster force --i-vouch-for n1,n2 2>"$WORK/said"'
    must 'and why' said 'n1 is not gone'
    lab sh 1 stead cluster force --i-vouch-for n2 >"$WORK/said" 2>&1 || fail "force: $(<"$WORK/said")"
    within 40 'n1 runs both' one_has tie1 tie2
    must 'tie1 once' runs_once tie1
    must 'tie2 once' runs_once tie2
    lab on 2
    within 60 'n2 is back, empty' both_online
}

quorate_is() { [[ $(lab sh "$1" corosync-quorumtool -s 2>/dev/null | awk '/^Quorate:/ {print $2}') = "$2" ]]; } # K Yes|No
has_device() { lab sh "$1" corosync-quorumtool -s 2>/dev/null | finds '^ +0 +1 +Qdevice'; } # K
all_stand() { [[ $(lab sh 1 virsh domstate tie1 2>/dev/null) = paused && $(lab sh 2 virsh domstate tie2 2>/dev/null) = paused ]]; }
all_run() { [[ $(lab sh 1 virsh domstate tie1 2>/dev/null) = running && $(lab sh 2 virsh domstate tie2 2>/dev/null) = running ]]; }

test_qdevice() {
    local at
    within 40 'n1 has the qdevice' has_device 1
    lone_pair
    lab qdevice down
    within 60 'n1 does without the qdevice' not has_device 1
    must 'two are a quorum' is_true "d['quorate']"
    lab path 1 2 down
    within 60 'neither has a quorum: both guests stand still' all_stand
    lab path 1 2 up
    within 60 'both go on' all_run
    must 'tie1 once' runs_once tie1
    goes_on tie1
    goes_on tie2
    lab qdevice up
    within 60 'the qdevice is back' has_device 1
    within 45 'both are online' both_online
    at=$(now_us)
    lab path 1 2 down
    within 60 'the one with the vote runs both' one_has tie1 tie2
    tell "n$WINNER runs both $((($(now_us) - at) / 1000)) ms after the cut"
    must 'the other has no quorum' quorate_is "$(other "$WINNER")" No
    must 'tie1 once' runs_once tie1
    must 'tie2 once' runs_once tie2
    lab path 1 2 up
    loser_comes_back
    for at in tie1 tie2; do must "the disk of $at is clean" exits 0 lab disk "$at"; done
}
