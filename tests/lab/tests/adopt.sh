# shellcheck shell=bash
# What was there before stead: taken as it is, given back as it was, and what may not be taken.

plain_domain() { # NAME K [running]: libvirt's own, persistent, autostarted
    lab vm "$1" "$2" --no-add
    lab sh "$2" virsh -q define "/srv/stead-lab/$1.xml"
    lab sh "$2" virsh -q autostart "$1"
    [[ ${3:-} != running ]] || lab sh "$2" virsh -q start "$1"
}
dominfo() { lab sh "$2" virsh -q dominfo "$1" 2>/dev/null | sed -n "s/^$3: *//p"; } # NAME K FIELD
dom_is() { [[ $(dominfo "$1" "$2" "$3") = "$4" ]]; }                               # NAME K FIELD VALUE
dom_gone() { ! lab sh "$2" virsh -q dominfo "$1" >/dev/null 2>&1; }                 # NAME K

test_adopt_running() {
    local pid from
    plain_domain adopt1 3 running
    within 30 'it writes' wrote adopt1 1 50
    pid=$(qemus_of adopt1 3)
    ASK=1
    must 'elsewhere it is not found' exits 1 stead vm add adopt1 --adopt
    must 'and told so' said 'libvirt on this node has no domain .adopt1.'
    must 'its open image is refused as an XML' exits 1 stead vm add adopt1 --xml /srv/stead-lab/adopt1.xml
    must 'with the remedy' said 'refused  image-open .* A running domain: --adopt'
    ASK=3
    must 'a dry run' exits 0 stead vm add adopt1 --adopt --dry-run
    must 'says so' said 'may be added; nothing was changed'
    must 'and changes nothing' is_true "'adopt1' not in vm"
    must 'autostart is on still' dom_is adopt1 3 Autostart enable
    from=$(mark)
    must 'adopt' exits 0 stead vm add adopt1 --adopt
    cat "$WORK/said"
    must 'it is running, here' vm_runs_on adopt1 3
    history_has "$from" 'vm-added n3 adopt1 .*adopted as it runs'
    within 10 'it is transient' dom_is adopt1 3 Persistent no
    must 'its QEMU is the same' [ "$(qemus_of adopt1 3)" = "$pid" ]
    must 'it booted once' [ "$(boots_of adopt1)" = 1 ]
    goes_on adopt1
    ASK=1
    lab cut 3
    recovered adopt1 3
    must 'one QEMU' runs_once adopt1
    clean adopt1 2
    lab on 3
    within 30 'n3 is back by itself' node_is 3 online
    must 'nothing of it is defined there' dom_gone adopt1 3
}

test_adopt_off() {
    plain_domain adopt2 2
    ASK=2
    must 'adopt by UUID' exits 0 stead vm add "$(dominfo adopt2 2 UUID)" --adopt
    must 'it is stopped' vm_is adopt2 stopped
    within 10 'libvirt has it no more' dom_gone adopt2 2
    must 'start' stead vm start adopt2
    within 20 'it runs' vm_is adopt2 running
    within 30 'it writes' wrote adopt2 1 50
    must 'stop' stead vm stop adopt2 --timeout 1s
    within 15 'it is stopped' vm_is adopt2 stopped
    lab sh 2 test ! -e /etc/libvirt/qemu/adopt2.xml
}

test_remove_gives_back() {
    local pid
    add_vm back1 2
    ASK=2
    must 'a running one is not removed' exits 1 stead vm remove back1
    must 'and told how' said 'not stopped: stead vm stop it first, or give it back as it runs: on n2, with --keep-running'
    ASK=1
    must 'not from elsewhere' exits 1 stead vm remove back1 --keep-running
    must 'and told where' said 'does not run on this node but on n2'
    ASK=2
    pid=$(qemus_of back1 2)
    must 'give back as it runs' exits 0 stead vm remove back1 --keep-running
    cat "$WORK/said"
    must 'told' said 'given back to libvirt as it runs.*libvirt on n2 has it again'
    must 'stead knows it no more' is_true "'back1' not in vm"
    must 'it is persistent' dom_is back1 2 Persistent yes
    within 10 'its marks are gone' eval '! lab sh 2 virsh dumpxml back1 | finds stead.example'
    must 'nor in its definition' eval '! lab sh 2 virsh dumpxml --inactive back1 | finds stead.example'
    must 'its QEMU is the same' [ "$(qemus_of back1 2)" = "$pid" ]
    goes_on back1
    within 10 'its lease is gone' eval '! lab sh 1 rados -p stead --id stead ls | finds "$(dominfo back1 2 UUID)"'
    must 'adopted again' exits 0 stead vm add back1 --adopt
    within 10 'it is transient' dom_is back1 2 Persistent no
    goes_on back1
    must 'stop' stead vm stop back1 --timeout 1s
    within 15 'it is stopped' vm_is back1 stopped
    ASK=3
    must 'remove, given on n3' exits 0 stead vm remove back1
    must 'it is defined there' dom_is back1 3 State 'shut off'
    must 'without autostart' dom_is back1 3 Autostart disable
    within 10 'its mark is gone' eval '! lab sh 3 virsh dumpxml --inactive back1 | finds stead.example'
    must 'its disk is still there' lab rbd info rbd/back1
    within 60 'libvirt starts it by hand' lab sh 3 virsh -q start back1
    within 30 'it writes' wrote back1 2 20
    clean back1 2
    lab sh 3 virsh -q destroy back1
    lab sh 3 virsh -q undefine back1
}

test_remove_to_a_file() {
    lab vm back2 2 --no-add
    must 'add' stead vm add back2 --xml /srv/stead-lab/back2.xml --stopped
    must 'another domain of that name is in the way' lab sh 1 bash -c \
        "sed 's|<uuid>.*</uuid>||' /srv/stead-lab/back2.xml >/tmp/other.xml; virsh -q define /tmp/other.xml"
    must 'removing is refused' exits 1 stead vm remove back2
    must 'and told why' said 'back2 stays: libvirt here does not take it .*--no-define'
    must 'it is there still' vm_is back2 stopped
    must 'to a file' exits 0 stead vm remove back2 --no-define
    must 'told' said 'its XML is in /var/lib/stead/removed/back2.xml'
    must 'readable by root alone' eval '[[ $(lab sh 1 stat -c %a /var/lib/stead/removed/back2.xml) = 600 ]]'
    must 'it can be added again from there' eval 'lab sh 1 stead vm add back2 --xml /var/lib/stead/removed/back2.xml --stopped'
    lab sh 1 virsh -q undefine back2
}

test_adopt_refusals() {
    local xml=/tmp/refused.xml
    lab vm no1 1 --no-add
    lab vm no2 1 --no-add
    must 'one with the image of no1' stead vm add no1 --xml /srv/stead-lab/no1.xml --stopped
    lab sh 1 bash -c "sed -e 's|rbd/no2|rbd/no1|' -e 's|cache=.none.|cache=\"unsafe\"|' -e 's|username=.vm.|username=\"admin\"|' \
        -e 's|</devices>|<tpm><backend type=\"emulator\"/></tpm><disk type=\"block\"><source dev=\"/dev/rbd0\"/><target dev=\"vdb\"/></disk></devices>|' \
        /srv/stead-lab/no2.xml >$xml"
    must 'all at once' exits 1 stead vm add no2 --xml $xml
    must 'the other VM' said 'refused  image-used .*rbd/no1 is a disk of the VM no1'
    must 'the cache' said 'refused  cache '
    must 'the user' said 'refused  ceph-user .*client.admin'
    must 'krbd' said 'refused  krbd .*/dev/rbd0'
    must 'the TPM' said 'refused  tpm .*all the same: --accept tpm'
    must 'and how many' said 'no2 is not added: [56] findings against it'
    must 'nothing was added' is_true "'no2' not in vm"
    must 'a wrong word' exits 1 stead vm add no2 --xml $xml --accept passthru
    must 'is understood' said "did you mean 'passthrough'"
    must 'neither XML nor domain' exits 2 stead vm add no2
    must 'a duplicate name' exits 1 stead vm add no1 --xml /srv/stead-lab/no1.xml
    must 'is told' said 'a VM of that name is already registered'
    must 'other monitors' exits 1 lab sh 1 bash -c "sed 's|10.88.2.254|10.88.2.253|' /srv/stead-lab/no2.xml >$xml; stead vm add no2 --xml $xml"
    cat "$WORK/said"
    must 'are named' said 'no monitor answers client.vm at 10.88.2.253:3300'
    must 'a guest user without a key' exits 1 lab sh 1 bash -c \
        "mv /etc/ceph/ceph.client.vm.keyring /tmp/; stead vm add no2 --xml /srv/stead-lab/no2.xml; code=\$?; mv /tmp/ceph.client.vm.keyring /etc/ceph/; exit \$code"
    cat "$WORK/said"
    must 'is named' said 'Ceph does not let client.vm in .*/etc/ceph/ceph.client.vm.keyring'
}

test_media_left_behind() {
    add_cd() { sed 's|</devices>|<disk type="file" device="cdrom"><source file="/tmp/only-here.iso"/><target dev="hdc" bus="ide"/><readonly/></disk></devices>|' "$1"; }
    lab vm cd1 3 --no-add
    lab sh 3 bash -c "head -c 1M /dev/zero >/tmp/only-here.iso; $(declare -f add_cd); add_cd /srv/stead-lab/cd1.xml >/tmp/cd1.xml"
    ASK=3
    must 'add' exits 0 stead vm add cd1 --xml /tmp/cd1.xml --on n3
    must 'what follows is said' said 'told     media .*/tmp/only-here.iso: a start on a node without that file leaves the drive empty'
    within 20 'it runs on n3' vm_runs_on cd1 3
    within 30 'it writes' wrote cd1 1 50
    must 'with its CD' eval 'lab sh 3 virsh domblklist cd1 | grep only-here.iso'
    ASK=1
    lab cut 3
    recovered cd1 3
    must 'its drive is empty' eval 'lab sh "$(says "vm[\"cd1\"][\"node\"][1:]")" virsh domblklist cd1 | grep -E "hdc +-"'
    clean cd1 2
    lab on 3
    within 30 'n3 is back by itself' node_is 3 online
}

test_nvram_follows() {
    # SeaBIOS as flash, and a file of noise as its variables: only our copy can bring that to another node.
    local vars=/var/lib/libvirt/qemu/nvram/nv1_VARS.fd sum there
    lab vm nv1 3 --no-add
    lab sh 3 bash -c "mkdir -p ${vars%/*}; head -c 64K /dev/urandom >$vars
        sed 's|<kernel>|<loader readonly=\"yes\" type=\"pflash\">/usr/share/seabios/bios-256k.bin</loader><nvram>$vars</nvram>&|' /srv/stead-lab/nv1.xml >/tmp/nv1.xml
        virsh -q define /tmp/nv1.xml; virsh -q start nv1"
    within 30 'it writes' wrote nv1 1 50
    ASK=3
    must 'adopt' exits 0 stead vm add nv1 --adopt
    must 'it is said' said "told     nvram .*$vars: stead copies them to RADOS"
    sum_on() { lab sh "$1" sha256sum "$vars" | cut -c1-64; }
    sum=$(sum_on 3)
    ASK=1
    lab cut 3
    recovered nv1 3
    there=$(says "vm['nv1']['node'][1:]")
    must 'the variables came along' [ "$(sum_on "$there")" = "$sum" ]
    lab sh "$there" dd if=/dev/urandom of=$vars bs=1K count=4 conv=notrunc status=none # the firmware writes
    sum=$(sum_on "$there")
    must 'stop' stead vm stop nv1 --timeout 1s
    within 15 'it is stopped' vm_is nv1 stopped
    lab on 3
    within 30 'n3 is back by itself' node_is 3 online
    must 'its file of before is older' [ "$(sum_on 3)" != "$sum" ]
    ASK=3
    must 'given back there' exits 0 stead vm remove nv1
    must 'with the newest variables' [ "$(sum_on 3)" = "$sum" ]
    lab sh 3 virsh -q undefine nv1 --nvram
}

test_vm_show_places() {
    lab vm show1 2 --no-add
    lab sh 2 bash -c "sed 's|</devices>|<console type=\"pty\"/><graphics type=\"vnc\" port=\"-1\" autoport=\"yes\" passwd=\"hush\"/><video><model type=\"vga\"/></video></devices>|; s|<serial.*file.*>|<serial type=\"pty\">|; /source path=/d' /srv/stead-lab/show1.xml >/tmp/show1.xml"
    ASK=2
    must 'add' exits 0 stead vm add show1 --xml /tmp/show1.xml --on n2
    within 20 'it runs' vm_runs_on show1 2
    must 'shown on its node' exits 0 stead vm show show1
    must 'the console' said 'Console +virsh -c qemu.ssh://n2/system console show1'
    must 'the screen, as it is' said 'Screen +vnc 127.0.0.1:59[0-9]+, on n2'
    must 'what is known of it' said 'Known of it +host-file: '
    must 'no secret' eval '! said hush'
    ASK=1
    must 'shown elsewhere' exits 0 stead vm show show1
    must 'how to ask' said 'Screen +virsh -c qemu.ssh://n2/system domdisplay show1'
    must 'its definition' exits 0 stead vm show show1 --dumpxml
    must 'is whole' said 'passwd=.hush.'
    must 'as JSON' eval 'stead vm show show1 --json | python3 -c "import json, sys; d = json.load(sys.stdin); assert d[\"places\"] and d[\"findings\"]"'
}

# One owner, whichever: stead's VM with its definition gone, or the plain domain without a mark.
has_one_owner() { # NAME K
    if is_true "'$1' in vm"; then
        vm_runs_on "$1" "$2" && dom_is "$1" "$2" Persistent no
    else
        dom_is "$1" "$2" Persistent yes && ! lab sh "$2" virsh dumpxml "$1" | finds stead.example &&
            ! lab sh "$2" virsh dumpxml --inactive "$1" | finds stead.example
    fi
}
test_adopt_agent_killed() { # at five moments of an adoption
    local delays=(0.03 0.08 0.13 0.2 0.3) i pids=() added=0
    for i in 1 2 3 4 5; do
        plain_domain "crash$i" 3 running
        within 30 'it writes' wrote "crash$i" 1 20
        pids[i]=$(qemus_of "crash$i" 3)
    done
    ASK=3
    for i in 1 2 3 4 5; do
        stead vm add "crash$i" --adopt >/dev/null 2>&1 &
        sleep "${delays[i - 1]}"
        kill -KILL "$(agent_pid 3)"
        wait $! || true
        within 20 'the agent is back' stead status >/dev/null
    done
    ASK=1
    for i in 1 2 3 4 5; do
        within 100 "crash$i has one owner" has_one_owner "crash$i" 3
        must 'its QEMU is the same' [ "$(qemus_of "crash$i" 3)" = "${pids[i]}" ]
        goes_on "crash$i"
        ! is_true "'crash$i' in vm" || added=$((added + 1))
    done
    tell "adopted $added of 5; the others are plain domains as before"
    ASK=3
    for i in 1 2 3 4 5; do # what broke off can be repeated
        is_true "'crash$i' in vm" || must 'adopt again' exits 0 stead vm add "crash$i" --adopt
    done
    ASK=1
    lab cut 3
    for i in 1 2 3 4 5; do
        recovered "crash$i" 3 30
        clean "crash$i" 2
    done
    lab on 3
    within 30 'n3 is back by itself' node_is 3 online
}
