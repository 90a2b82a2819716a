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
    within 15 'that is an alarm' check_is 1 'CRITICAL vm-panicked rule1: its kernel panicked'
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
    within 10 'three in a row are an alarm' check_is 1 'WARNING vm-restless die1: it ended by itself 3 times in a row'
    must 'started three times' [ "$(started_times "$from" die1)" = 3 ]
    history_lacks "$from" 'node-'
    clean die1 4
}

# Somebody takes the guests' Ceph secret out of libvirt: the start that fails by it brings it back.
test_secret_undefined() {
    local k
    for k in 1 2 3; do
        add_vm "secret$k" "$k"
    done
    stead vm stop secret2 --timeout 1s
    within 15 'it is stopped' vm_is secret2 stopped
    for k in 1 2 3; do
        lab sh "$k" virsh -q secret-undefine 5ead0000-0000-4000-8000-000000000001
    done
    stead vm start secret2
    within 30 'it starts again' is_true "vm['secret2']['state'] == 'running'"
    must 'one QEMU' runs_once secret2
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

fill() { # yes|no: the whole of Ceph is full (a quota, which takes a mgr to be seen, does the same: measured)
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
    within 80 'that is an alarm' check_is 1 'CRITICAL pool-full: full in Ceph: rbd, stead: what guests write there waits'
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
    within 80 'no alarm any more' check_is 0
    must 'it booted once' [ "$(boots_of full1)" = 1 ]
    history_lacks "$from" 'vm-(ended|starting|condition|recovering)'
    stead config set retry_ms default
    clean full1 1
    clean full2 1
}

# A disk that refuses I/O (its image was shrunk under it) pauses its guest: told, and resumed once it is whole again.
test_disk_refuses() {
    local from at
    add_vm io1 2
    from=$(mark)
    at=$(lab disk io1 --json | python3 -c "import json, sys; print(json.load(sys.stdin)['last']['pos'])")
    must 'its image ends three seconds ahead' lab rbd resize --no-progress --allow-shrink --size $(((at + 600) / 2))K rbd/io1
    within 20 'it stands still' vm_is io1 io-error
    must 'libvirt says why' eval '[[ $(lab sh 2 virsh domstate --reason io1) = "paused (I/O error)"* ]]'
    must 'so does vm show' shows io1 'its disk refused I/O and it is paused'
    within 15 'that is an alarm, on every node' check_is 1 'CRITICAL vm-io-error io1: its disk refused I/O'
    sleep 4
    must 'it is left there' runs_once io1
    must 'its image is whole again' lab rbd resize --no-progress --size 64M rbd/io1
    within 45 'it is well again' vm_runs_on io1 2
    goes_on io1
    must 'it booted once' [ "$(boots_of io1)" = 1 ]
    within 20 'no alarm any more' check_is 0
    must 'told once each' [ "$(history_since "$from" | grep -c '^vm-condition n2 io1')" = 2 ]
    clean io1 1
}

# Somebody blocklists a guest's client: it cannot write any more, so it is started anew.
test_blocklisted_by_hand() {
    local from client
    add_vm bar1 2
    from=$(mark)
    client=$(lab rbd status rbd/bar1 | sed -n 's/.*watcher=\([^ ]*\) .*/\1/p')
    lab ceph osd blocklist add "$client" 3600
    within 20 'its end is told' history_told "$from" 'vm-ended n2 bar1 its host could not keep it'
    within 30 'it runs' vm_is bar1 running
    within 30 'its new guest writes' wrote bar1 2 50
    must 'one QEMU' runs_once bar1
    clean bar1 2
}

# --- past the hook ----------------------------------------------------------------------------------

hook() { lab sh "$1" chmod "$([[ $2 = on ]] && echo 755 || echo 644)" /etc/libvirt/hooks/qemu.d/stead; } # K on|off
watchers_of() { lab rbd status "rbd/$1" | grep -c watcher= || true; }                                   # NAME
watched_by() { [[ $(watchers_of "$1") = "$2" ]]; }                                                       # NAME COUNT

# Started a second time where no hook is: killed, barred, written down; the first one does not notice.
test_started_twice_by_hand() {
    local from pid
    add_vm twice1 1
    from=$(mark)
    pid=$(qemus_of twice1 1)
    hook 3 off
    lab sh 3 timeout 60 virsh -q create /srv/stead-lab/twice1.xml || true # it may be gone before libvirt is done
    within 10 'that copy is written down' history_told "$from" 'vm-by-hand n3 twice1 somebody started it on n3 past stead'
    within 10 'it was killed' no_qemu twice1 3
    within 10 'its client is barred' watched_by twice1 1
    hook 3 on
    must 'it runs on n1' vm_runs_on twice1 1
    must 'in the same QEMU' [ "$(qemus_of twice1)" = "$pid" ]
    goes_on twice1
    sleep 3
    history_lacks "$from" 'vm-(ended|starting|condition)'
    must 'written down once' [ "$(history_since "$from" | grep -c '^vm-by-hand')" = 1 ]
    clean twice1 1
}

# Migrated to where no hook is: the copy there is killed. Mostly while it still comes in, and the guest stays where
# it is; else it ends there, and is started once where stead says.
test_moved_past_the_hook() {
    local from ends
    add_vm past1 1
    from=$(mark)
    hook 2 off
    libvirtd_listens 2 yes
    lab sh 1 timeout 60 virsh migrate --live past1 qemu+tcp://10.88.1.2/system tcp://10.88.1.2 || true
    within 10 'the copy is killed' no_qemu past1 2
    hook 2 on # before libvirtd begins anew: it asks only what could be run then
    libvirtd_listens 2 no
    sleep 3
    ends=$(history_since "$from" | grep -c '^vm-ended n1 past1 somebody moved or saved it' || true)
    tell "ended by the migration: $ends times"
    within 30 'it runs' vm_is past1 running
    within 30 'its guest writes' wrote past1 $((1 + ends)) 50
    goes_on past1
    must 'one QEMU' runs_once past1
    must 'started as often as it ended' [ "$(started_times "$from" past1)" = "$ends" ]
    clean past1 $((1 + ends))
}

# Saved to a file: started again; the file is of no use any more.
test_saved_by_hand() {
    local from
    add_vm save1 2
    from=$(mark)
    must 'save' lab sh 2 timeout 60 virsh -q save save1 /var/tmp/save1
    ended "$from" save1 2 'somebody moved or saved it through libvirt; started again in 1 s'
    again save1 2 2
    must 'restore is refused' exits 1 lab sh 2 timeout 60 virsh -q restore /var/tmp/save1
    must 'one QEMU' runs_once save1
    must 'a managed save is refused' exits 1 lab sh 2 timeout 60 virsh -q managedsave save1
    must 'stop' stead vm stop save1 --timeout 1s
    within 15 'it is stopped' vm_is save1 stopped
    hook 2 off
    lab sh 2 timeout 60 virsh -q restore /var/tmp/save1 || true
    within 10 'past the hook: killed' no_qemu save1
    hook 2 on
    must 'it stays stopped' vm_is save1 stopped
    clean save1 2
}

# Another domain with an image of a VM: told while that runs; and nothing is started beside it.
test_image_open_elsewhere() {
    add_vm own2 1
    lab sh 3 sh -c 'sed "s|<name>.*</name>|<name>thief</name>|; s|<uuid>.*</uuid>||; s|cmdline>|cmdline>rate=1 |; s|own2.serial|thief.serial|" /srv/stead-lab/own2.xml >/tmp/thief.xml'
    must 'libvirt starts a domain with the same disk' lab sh 3 virsh -q create --paused /tmp/thief.xml
    within 95 'that is an alarm' check_is 1 'CRITICAL vm-shared own2: its images are open at 10.88.2.3:.*, too'
    ASK=2
    within 10 'elsewhere, too' check_is 1 'CRITICAL vm-shared n1: images of a VM there are open elsewhere'
    ASK=1
    within 5 'by name again' check_is 1 'CRITICAL vm-shared own2'
    tell "$(grep vm-shared "$WORK/check")"
    must 'stop' stead vm stop own2 --timeout 1s
    within 15 'it is stopped' vm_is own2 stopped
    stead config set start_ms 5s
    must 'start' stead vm start own2
    within 60 'it is not started beside it' is_true "'are open at 10.88.2.3:' in (vm['own2']['reason'] or '')"
    tell "$(says "vm['own2']['reason']")"
    must 'no QEMU' no_qemu own2
    lab sh 3 virsh -q destroy thief
    within 60 'it runs once that is gone' vm_is own2 running
    stead config set start_ms default
    within 30 'it writes' wrote own2 2 50
    within 30 'no alarm any more' check_is 0
    clean own2 2
}

# A copy that no lease names stands still until it counts as gone: its image's lock tells of it, and it is barred before the VM starts.
test_copy_that_stands_still() {
    local client
    add_vm still1 1
    must 'stop' stead vm stop still1 --timeout 1s
    within 15 'it is stopped' vm_is still1 stopped
    lab sh 3 sh -c 'sed "s|<name>.*</name>|<name>copy</name>|; s|<uuid>.*</uuid>||; s|still1.serial|copy.serial|" /srv/stead-lab/still1.xml >/tmp/copy.xml'
    must 'libvirt starts a domain with the same disk' lab sh 3 virsh -q create /tmp/copy.xml
    within 60 'it writes' eval "[[ -n \$(lab rbd lock ls rbd/still1) ]]"
    client=$(lab rbd status rbd/still1 | sed -n 's/.*watcher=\([^ ]*\) .*/\1/p')
    lab sh 3 pkill -STOP -f guest=copy
    must 'start' stead vm start still1
    within 90 'it runs, once nobody sees the copy any more' vm_is still1 running
    must 'the copy is barred' eval "lab ceph osd blocklist ls 2>&1 | finds '$client'"
    within 30 'it writes' wrote still1 2 50
    lab sh 3 pkill -CONT -f guest=copy
    goes_on still1
    sleep 3
    lab sh 3 virsh -q destroy copy
    clean still1 3
}

# --- definitions and leftovers ----------------------------------------------------------------------

# Somebody defines a VM of the cluster in libvirt, with a smaller memory: told, and of no effect.
test_defined_by_hand() {
    local from
    add_vm def1 2
    from=$(mark)
    lab sh 2 sh -c "sed 's|<memory.*</memory>|<memory unit=\"MiB\">80</memory>|' /srv/stead-lab/def1.xml >/tmp/def1.xml"
    must 'libvirt takes it' lab sh 2 virsh -q define /tmp/def1.xml
    within 75 'that is a trouble of the host' is_true "'libvirt here has a definition of VM def1, made by hand' in (node['n2']['trouble'] or '')"
    within 20 'and an alarm, on every node' check_is 1 'WARNING host-trouble n2: libvirt here has a definition of VM def1'
    tell "$(grep host-trouble "$WORK/check")"
    goes_on def1
    lab sh 2 virsh -q destroy def1
    ended "$from" def1 2 'somebody destroyed it through libvirt; started again in 1 s'
    again def1 2 2
    must "by stead's definition" eval '[[ $(lab sh 2 virsh dumpxml def1 | sed -n "s|.*<memory unit=.KiB.>\(.*\)</memory>|\1|p") = 98304 ]]'
    lab sh 2 virsh -q undefine def1
    within 20 'no trouble any more' is_true "not node['n2']['trouble']"
    must 'it runs on' vm_runs_on def1 2
    clean def1 2
}

# A domain that a start of stead's made, and that comes when its VM is long removed.
test_late_domain_of_a_removed_vm() {
    lab vm late1 2 --no-add
    lab sh 3 sh -c "sed 's|</uuid>|</uuid><metadata><stead:vm xmlns:stead=\"https://stead.example/1\" term=\"1\" counter=\"7\" starting=\"yes\"/></metadata>|' /srv/stead-lab/late1.xml >/tmp/late1.xml"
    hook 3 off
    must 'libvirt has it, paused' lab sh 3 virsh -q create --paused /tmp/late1.xml
    hook 3 on
    sleep 5
    must 'it is not ended at once: the VM may be about to be known' runs_once late1
    within 140 'its agent ends it' no_qemu late1
    must 'and says so' eval "lab log 3 --since -3m | grep 'is left of a start of a VM that is no more: ending it'"
    must 'nobody has its image open' watched_by late1 0
    lab rbd rm --no-progress rbd/late1
}
