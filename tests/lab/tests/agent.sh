# shellcheck shell=bash
# Agents that are killed, hang, or lose what they need.

kill_when() { # PID K PATTERN: kill -9 as soon as node K's agent says that
    { grep -m1 -E -- "$3" < <("$LAB" log "$2" -f -n 0 -o cat) && kill -9 "$1"; } &
    sleep 0.7
}

# n1 acts and is killed in the middle of recovering a VM of n3; somebody finishes it, once.
actor_killed() { # ELSEWHERE WATCHED PATTERN: another VM on node ELSEWHERE makes n1 (or not) the new place
    local from pid
    lab vm ballast "$1" 96 10
    add_vm kill1 3
    must 'n1 acts' acts 1
    from=$(mark)
    pid=$(agent_pid 1)
    kill_when "$pid" "$2" "$3"
    lab cut 3
    ASK=2
    within 25 'kill1 runs on a survivor' vm_runs_off kill1 3
    must "n1's agent was killed" not kill -0 "$pid"
    recovered kill1 3
    within 15 "n1's agent is back" is_true "node['n1']['state'] == 'online' and node['n1']['agent_alive']"
    must 'one QEMU' runs_once kill1
    must 'one QEMU of the other' runs_once ballast
    history_lacks "$from" 'node-lost n[12] '
    echo "started $(started_times "$from" kill1) time(s)"
    clean kill1 2
}
test_actor_killed_after_term() { actor_killed 1 1 'takes term.* lost'; }
test_actor_killed_before_proof() { actor_killed 1 1 'BMC of n3'; }
test_actor_killed_after_placing() { actor_killed 1 1 'n3 fenced.*start on n2'; }
test_actor_killed_while_another_starts() { actor_killed 1 2 'vm kill1: take lease -> create'; }
test_actor_killed_while_it_starts() { actor_killed 2 1 'vm kill1: take lease -> create'; }
test_actor_killed_after_running() { actor_killed 1 1 'kill1: runs on n2'; }

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
    add_vm stop3 3
    must 'n1 acts' acts 1
    ASK=2
    kill -STOP "$(agent_pid 1)"
    lab cut 3
    recovered stop3 3 30
    must 'one QEMU' runs_once stop3
    clean stop3 2
    within 20 "n1's agent is back" is_true "node['n1']['state'] == 'online' and node['n1']['agent_alive']"
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
