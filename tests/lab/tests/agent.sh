# shellcheck shell=bash
# Agents that are killed, hang, or lose what they need.

kill_when() { # PID K PATTERN: kill -9 as soon as node K's agent says that; from now on, however long journalctl takes to begin
    local from
    from=$(now_us)
    { grep -m1 -E -- "$3" < <("$LAB" log "$2" -f -n all --since "@${from:0:-6}.${from: -6}" -o cat) && kill -9 "$1"; } &
    sleep 0.7
}

two_act() { # sets A, the node that acts, and B, the other of n1 and n2
    ! acts 3 || lab sh 3 systemctl restart stead-agent
    within 15 'n1 or n2 acts' not acts 3
    A=$(actor)
    B=$((3 - A))
    ASK=$B
}

# The acting node's agent is killed in the middle of recovering a VM of n3; somebody finishes it, once.
actor_killed() { # PLACED WATCHED PATTERN: kill1 will go to node PLACED (of A, B); killed when WATCHED says PATTERN
    local A B from pid placed watched
    two_act
    placed=${!1} watched=${!2}
    lab vm ballast $((3 - placed)) 96 10
    add_vm kill1 3
    from=$(mark)
    pid=$(agent_pid "$A")
    kill_when "$pid" "$watched" "${3/NEW/n$placed}"
    lab cut 3
    within 25 'kill1 runs on a survivor' vm_runs_off kill1 3
    within 5 'the acting agent was killed' not kill -0 "$pid"
    recovered kill1 3
    within 15 "the killed agent is back" is_true "node['n$A']['state'] == 'online' and node['n$A']['agent_alive']"
    within 15 'all is settled' is_true "d['situation'] == 'all is settled'"
    must 'one QEMU' runs_once kill1
    must 'one QEMU of the other' runs_once ballast
    history_lacks "$from" 'node-lost n[12] '
    must 'started once' [ "$(started_times "$from" kill1)" = 1 ]
    clean kill1 2
}
test_actor_killed_after_term() { actor_killed B A 'takes term.* lost'; }
test_actor_killed_before_proof() { actor_killed B A 'power of n3'; }
test_actor_killed_after_placing() { actor_killed B A 'kill1: start on NEW'; }
test_actor_killed_while_another_starts() { actor_killed B B 'vm kill1: take lease -> create'; }
test_actor_killed_while_it_starts() { actor_killed A A 'vm kill1: take lease -> create'; }
test_actor_killed_after_running() { actor_killed B A 'kill1: runs on NEW'; }

test_agent_killed() { # the acting one and another: their guests do not notice
    add_vm calm1 1
    add_vm calm2 2
    local from k before after old
    from=$(mark)
    before=$(qemus_of calm1; qemus_of calm2)
    for k in 1 2; do
        old=$(agent_pid "$k")
        kill -9 "$old"
        within 15 "n$k has a new agent" eval "[ -n \"\$(agent_pid $k)\" ] && [ \"\$(agent_pid $k)\" != $old ]"
        ASK=$((3 - k))
        within 15 "n$k is online" is_true "node['n$k']['state'] == 'online' and node['n$k']['agent_alive']"
        within 15 'all is settled' is_true "d['situation'] == 'all is settled'"
        vm_runs_on "calm$k" "$k" || fail "calm$k is not known to run on n$k"
    done
    sleep 2
    after=$(qemus_of calm1; qemus_of calm2)
    must 'the same two QEMUs' [ "$before" = "$after" ]
    goes_on calm1
    goes_on calm2
    clean calm1 1
    clean calm2 1
    history_lacks "$from" '(node-lost|node-fenced|vm-starting|vm-recovering) '
}

test_lowest_without_storage() {
    add_vm sto3 3
    ASK=2
    lab storage 1 down
    sleep 3
    lab cut 3
    recovered sto3 3 30
    must 'it runs on n2' vm_runs_on sto3 2
    must 'one QEMU' runs_once sto3
    clean sto3 2
}

test_actor_hangs() { # systemd ends it after ten seconds; nobody waits so long for it
    local A B
    add_vm stop3 3
    two_act
    kill -STOP "$(agent_pid "$A")"
    lab cut 3
    recovered stop3 3 30
    must 'one QEMU' runs_once stop3
    clean stop3 2
    within 20 'the agent that hung is back' is_true "node['n$A']['state'] == 'online' and node['n$A']['agent_alive']"
}

test_libvirtd_restart() {
    add_vm virt2 2
    local from before
    from=$(mark)
    before=$(qemus_of virt2)
    lab sh 2 systemctl restart libvirtd
    sleep 4
    must 'the same QEMU' [ "$before" = "$(qemus_of virt2)" ]
    must 'running, by the state' vm_runs_on virt2 2
    history_lacks "$from" '(node-|vm-)'
    goes_on virt2
    must 'it can be stopped after that' stead vm stop virt2 --timeout 1s
    within 15 'its QEMU is gone' no_qemu virt2
    clean virt2 1
}
