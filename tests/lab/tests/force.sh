# shellcheck shell=bash
# Two of three are lost for ever: a person forces the last one on.

asks_first() { # it says what it means, and does nothing without --yes in a script
    must 'a script has to say --yes' eval '! lab sh 1 stead cluster force </dev/null >"$WORK/said" 2>&1'
    must 'it names the lost' said 'You vouch that n2 n3 are dead for ever'
    must 'and what may be lost' said 'What may be lost'
}

alone_and_quorate() { is_true "d['quorate'] and d['fresh'] and d['cluster']['actor'] == 'n1'"; }

votes_of() { # K: "EXPECTED QUORUM", by its Corosync (whose tool exits 1 where all is well)
    lab sh "$1" sh -c 'corosync-quorumtool -s; true' | sed -nE 's/^(Expected votes|Quorum): +([0-9]+).*/\2/p' | paste -sd ' '
}
needs_two() { [[ $(votes_of "$1") == *' 2' ]]; } # K

test_cluster_force() {
    local v before from
    ASK=1
    add_vm keep1 1
    add_vm lost2 2
    add_vm lost3 3
    before=$(epoch)
    from=$(mark)
    must 'with a quorum it is refused' eval '! lab sh 1 stead cluster force --yes 2>"$WORK/said"'
    must 'and says why' said 'nothing to force: there is a quorum here'
    lab net 2 down
    lab net 3 down
    within 15 'n1 has no quorum' is_true "not d['quorate']"
    tell "$(says "d['situation']")"
    must 'n2 and n3 write to the state: refused' eval '! lab sh 1 stead cluster force --yes >"$WORK/said" 2>&1'
    tell "$(tail -n 1 "$WORK/said")"
    must 'they are named' said 'n2, n3 still writes? to the state'
    lab cut 2
    lab cut 3
    asks_first
    lab sh 1 stead cluster force --yes >"$WORK/said" 2>&1 || fail "force: $(<"$WORK/said")"
    tell "$(<"$WORK/said")"
    within 15 'n1 is quorate and acts, in a new epoch' alone_and_quorate
    must 'the epoch is new' is_true "d['cluster']['epoch'] > $before"
    for v in keep1 lost2 lost3; do
        within 40 "$v runs on n1" vm_runs_on "$v" 1
        must "$v once" runs_once "$v"
    done
    within 20 'lost2 writes' wrote lost2 2 50
    within 20 'lost3 writes' wrote lost3 2 50
    must 'keep1 was not touched' goes_on keep1
    history_has "$from" 'forced ' 'node-lost n2 ' 'node-lost n3 ' 'node-fenced n2 ' 'node-fenced n3 '
    tell "votes expected and needed: on n1 $(votes_of 1)"
    lab sh 1 systemctl restart corosync # it expects three again, and is told again
    within 20 'n1 is quorate again' alone_and_quorate
    must 'keep1 goes on' goes_on keep1
    lab on 2
    within 40 'n2 is back and empty' is_true "node['n2']['state'] == 'online' and node['n2']['agent_alive']"
    tell "votes expected and needed: on n1 $(votes_of 1), on n2 $(votes_of 2)"
    within 10 'both are needed' needs_two 1
    lab sh 1 systemctl restart stead-agent
    within 15 'all is settled' is_true "d['situation'] == 'all is settled'"
    for v in keep1:1 lost2:2 lost3:2; do
        must "${v%:*} runs once" runs_once "${v%:*}"
        clean "${v%:*}" "${v#*:}"
    done
}
