# shellcheck shell=bash
# Hosts that are lost and yet alive, with a guest that writes as fast as it can and a BMC that cannot help.

test_net_down() {
    add_vm net1 3 0
    lab bmc 3 dead
    lab net 3 down
    within 20 'net1 runs on a survivor' vm_runs_off net1 3
    within 15 'the old side kills its guest' no_qemu net1 3
    recovered net1 3
    must 'one QEMU' runs_once net1
    must "n3's agent knows why" eval "lab log 3 | grep -E 'self: .*lost'"
    clean net1 2
    lab net 3 up
    comes_back 3
    clean net1 2
}

test_frozen() {
    add_vm ice1 3 0
    lab bmc 3 dead
    lab freeze 3
    recovered ice1 3
    must 'the old QEMU is there, frozen' not no_qemu ice1 3
    lab thaw 3
    within 15 'the thawed host kills its guest' no_qemu ice1 3
    must 'one QEMU' runs_once ice1
    goes_on ice1
    clean ice1 2
    comes_back 3
    clean ice1 2
}

# The barrier alone: the host is cut off, its guest writes, its agent hangs (until systemd's watchdog), its BMC is dead.
cut_off_and_hung() { # NAME
    add_vm "$1" 3 0
    lab bmc 3 dead
    kill -STOP "$(agent_pid 3)"
    lab net 3 down
    recovered "$1" 3
}

test_cut_off_and_hung() {
    cut_off_and_hung hung1
    clean hung1 2
    within 20 'systemd ends the agent, the next one the guest' no_qemu hung1 3
    lab net 3 up
    comes_back 3
    clean hung1 2
}
