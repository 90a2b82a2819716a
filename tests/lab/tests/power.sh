# shellcheck shell=bash
# Hosts that die, BMCs that do not help, and too many dead at once.

test_power_cut() {
    add_vm cut1 3
    local from
    from=$(mark)
    lab cut 3
    recovered cut1 3
    must 'one QEMU' runs_once cut1
    clean cut1 2
    history_has "$from" 'node-lost n3 ' 'node-fenced n3 - n3 fenced, proof: storage' 'vm-starting n[12] cut1 ' 'vm-running n[12] cut1 '
    must 'started once' [ "$(started_times "$from" cut1)" = 1 ]
    lab on 3
    within 30 'n3 is back by itself' node_is 3 online
    history_has "$from" 'node-admitted n3 '
    must 'one QEMU' runs_once cut1
    clean cut1 2
}

bmc_does_not_help() { # MODE MS: a recovery that waits for no answer of the BMC, which would take longer than MS
    add_vm bmc1 3
    local cut host lost resumed
    lab bmc 3 "$1"
    cut=$(now_us)
    lab cut 3
    recovered bmc1 3
    host=$(says "vm['bmc1']['node'][1:]")
    lost=$(journal_us "$(actor)" "$cut" 'takes term.* lost')
    resumed=$(journal_us "$host" "$cut" 'vm bmc1: resume -> up')
    tell "BMC $1: from the term to the guest resumed in $(((resumed - lost) / 1000)) ms"
    must "it does not wait for the BMC (took $(((resumed - lost) / 1000)) ms)" [ $((resumed - lost)) -lt "${2}000" ]
    clean bmc1 2
}
test_bmc_slow() { bmc_does_not_help slow:4 3500; }
test_bmc_dead() { bmc_does_not_help dead 7500; }

test_two_of_three_gone() {
    add_vm two1 1
    add_vm two3 3
    local from
    from=$(mark)
    lab cut 3
    lab cut 2
    sleep 6
    must 'n1 knows that it has no quorum' is_true "not d['quorate']"
    stead status
    must 'and says so' eval "says \"d['situation']\" | grep -qi quorum"
    history_lacks "$from" '(term|node-lost|node-fenced|vm-starting) '
    must 'two3 runs nowhere' no_qemu two3
    within 10 'two1 stands still, and status says so' vm_is two1 suspended
    local qemu
    qemu=$(qemus_of two1)
    lab on 2 # now there is a quorum: what was on n3 runs again, and n3 is told off, should it be on
    within 30 'both run' is_true "all(v['state'] == 'running' and v['node'] != 'n3' for v in d['vms'])"
    lab on 3
    within 30 'all nodes are online' is_true "all(n['state'] == 'online' for n in d['nodes'])"
    must 'two1 runs in the same QEMU' eval "[[ -n '$qemu' && \$(qemus_of two1) = '$qemu' ]]"
    goes_on two1
    must 'two3 runs once' runs_once two3
    within 20 'two3 writes' wrote two3 2 50
    clean two1 1
    clean two3 2
}
