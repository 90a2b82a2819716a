# shellcheck shell=bash
# How guests end by themselves and what people do to them past stead: each followed by its rule, once.

history_told() { # MARK PATTERN
    history_since "$1" >"$WORK/history" && grep -qE "^$2" "$WORK/history"
}
ended() { # MARK NAME K PATTERN: told in the history, with the rule that was followed
    within 20 "the history tells how $2 ended: $4" history_told "$1" "vm-ended n$3 $2 $4"
}
shows() { # NAME PATTERN: what vm show says of it
    stead vm show "$1" >"$WORK/said" 2>&1 && said "$2"
}
again() { # NAME K BOOTS: running there once more, and writing; one QEMU
    within 30 "$1 runs on n$2 again" vm_runs_on "$1" "$2"
    within 30 "the guest of $1 writes again" wrote "$1" "$3" 50
    must 'one QEMU' runs_once "$1"
}

# Of its own accord: it reboots, it panics, it powers itself off.
test_guest_ends() {
    local from pid
    add_vm own1 2
    from=$(mark)
    pid=$(qemus_of own1 2)
    lab tell own1 2 reboot
    within 30 'it has booted again' wrote own1 2 50
    must 'in the same QEMU' [ "$(qemus_of own1 2)" = "$pid" ]
    history_lacks "$from" 'vm-'
    lab tell own1 2 panic
    ended "$from" own1 2 "the guest's kernel panicked; started again in 1 s"
    again own1 2 3
    must 'in another QEMU' [ "$(qemus_of own1 2)" != "$pid" ]
    lab tell own1 2 poweroff
    ended "$from" own1 2 'the guest powered itself off; it stays off \(guest_poweroff = stop\)'
    must 'stopped, and wanted so' is_true "(vm['own1']['state'], vm['own1']['want']) == ('stopped', 'stopped')"
    must 'vm show says why' shows own1 'the guest powered itself off; it stays off'
    must 'no QEMU' no_qemu own1
    must 'no alarm' stead status --check
    must 'started once' [ "$(started_times "$from" own1)" = 1 ]
    clean own1 3
}

# The other rules, as settings.
test_guest_ends_by_other_rules() {
    local from
    add_vm rule1 3
    from=$(mark)
    stead config set guest_poweroff restart
    stead config set guest_panic leave
    within 5 'n3 goes by it' setting_on 3 guest_panic leave
    lab tell rule1 3 poweroff
    ended "$from" rule1 3 'the guest powered itself off; started again in 1 s'
    again rule1 3 2
    lab tell rule1 3 panic
    within 10 'it is left as it is' vm_is rule1 panicked
    history_has "$from" 'vm-condition n3 rule1 its kernel panicked; it is left so \(guest_panic = leave\)'
    must 'its QEMU is there' runs_once rule1
    must 'a stop works' stead vm stop rule1 --timeout 1s
    within 15 'it is stopped' vm_is rule1 stopped
    stead config set guest_poweroff default
    stead config set guest_panic default
    clean rule1 2
}

# QEMU dies, and dies again: where it was, each time later.
test_qemu_killed() {
    local from n
    add_vm die1 2
    from=$(mark)
    for n in 1 2 3; do
        kill -9 "$(qemus_of die1 2)"
        ended "$from" die1 2 "QEMU died; started again in $((1 << (n - 1))) s$( ((n == 1)) || echo " .in a row: $n")"
        again die1 2 $((n + 1))
    done
    must 'started three times' [ "$(started_times "$from" die1)" = 3 ]
    history_lacks "$from" 'node-'
    clean die1 4
}

# virsh destroy, suspend, resume.
test_by_hand() {
    local from pid
    add_vm hand1 3
    from=$(mark)
    lab sh 3 virsh -q destroy hand1
    ended "$from" hand1 3 'somebody destroyed it through libvirt; started again in 1 s'
    again hand1 3 2
    pid=$(qemus_of hand1 3)
    lab sh 3 virsh -q suspend hand1
    within 10 'it is paused, and that is said' vm_is hand1 paused
    must 'and what lets it go on' shows hand1 'somebody paused it through libvirt; virsh resume lets it go on'
    within 30 'that is an alarm' check_is 1 'vm-paused hand1'
    tell "$(grep vm-paused "$WORK/check")"
    must 'it is left so' vm_is hand1 paused
    lab sh 3 virsh -q resume hand1
    within 10 'it is well again' vm_runs_on hand1 3
    goes_on hand1
    must 'the same QEMU' [ "$(qemus_of hand1 3)" = "$pid" ]
    within 30 'no alarm any more' check_is 0
    lab sh 3 virsh -q suspend hand1
    within 10 'paused once more' vm_is hand1 paused
    must 'a stop works' stead vm stop hand1 --timeout 1s
    within 15 'it is stopped' vm_is hand1 stopped
    clean hand1 2
}

# --- storage ----------------------------------------------------------------------------------------

fill() { # yes|no: the whole of Ceph is full (without a mgr, a quota is not looked at; to a client both are one flag of the pool)
    local ratios=(0.85 0.9 0.95)
    [[ $1 = no ]] || ratios=(0.00001 0.00002 0.00003)
    if [[ $1 = no ]]; then lab ceph osd set-full-ratio "${ratios[2]}"; fi
    lab ceph osd set-nearfull-ratio "${ratios[0]}"
    lab ceph osd set-backfillfull-ratio "${ratios[1]}"
    if [[ $1 = yes ]]; then lab ceph osd set-full-ratio "${ratios[2]}"; fi
}
stands() { # NAME: no stamp for two seconds
    local before
    before=$(acked_by "$1")
    sleep 2
    [[ $(acked_by "$1") = "$before" ]]
}

# A full pool refuses nobody: what is written waits. stead says so, goes on deciding, and nothing is moved.
test_pool_full() {
    local from
    add_vm full1 2
    add_vm full2 3
    from=$(mark)
    fill yes
    within 20 'that is an alarm' check_is 1 'CRITICAL pool-full: full in Ceph: rbd, stead: what guests write there waits'
    tell "$(grep pool-full "$WORK/check")"
    within 10 'the guest waits' stands full1
    must 'libvirt sees nothing of it' eval '[[ $(lab sh 2 virsh domstate full1) = running* ]]'
    must 'it runs, by the state' vm_runs_on full1 2
    must 'things are decided' stead config set retry_ms 2s
    must 'a VM can be stopped' stead vm stop full2 --timeout 1s
    within 40 'it is stopped' vm_is full2 stopped
    must 'nothing is odd' is_true "d['situation'] == 'all is settled'"
    fill no
    goes_on full1
    within 20 'no alarm any more' check_is 0
    must 'it booted once' [ "$(boots_of full1)" = 1 ]
    history_lacks "$from" 'vm-(ended|starting|condition|recovering)'
    stead config set retry_ms default
    clean full1 1
    clean full2 1
}
