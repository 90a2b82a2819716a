# shellcheck shell=bash
# People who start VMs of the cluster past stead: libvirt's hook refuses them.

refused() { # NAME K VIRSH WORDS...: by the hook, with the remedy
    local name=$1 k=$2
    shift 2
    must "n$k refuses 'virsh $*'" exits 1 lab sh "$k" virsh "$@"
    must 'and says why' said "$name is a VM of the cluster"
    must 'and what to do' said "stead vm start $name"
}
as_it_runs() { lab sh "$2" virsh dumpxml --security-info "$1" | lab sh "$3" sh -c 'cat >/tmp/as-it-runs.xml'; } # NAME K K

test_started_by_hand() { # on another node, on its own, with and without an agent; then a failover
    local from
    from=$(mark)
    add_vm hand1 1
    refused hand1 2 create /srv/stead-lab/hand1.xml
    tell "$(grep -v '^$' "$WORK/said")"
    as_it_runs hand1 1 3 # its mark is that of a start long over
    refused hand1 3 create /tmp/as-it-runs.xml
    lab sh 3 systemctl stop stead-agent
    refused hand1 3 create /srv/stead-lab/hand1.xml
    lab sh 3 systemctl start stead-agent
    lab sh 1 systemctl restart libvirtd
    within 20 'libvirtd is back, with its guest' lab sh 1 virsh -q domstate hand1
    must 'one QEMU' runs_once hand1
    goes_on hand1
    must 'stop' stead vm stop hand1 --timeout 1s
    within 15 'it is stopped' vm_is hand1 stopped
    refused hand1 1 create /srv/stead-lab/hand1.xml
    lab sh 1 virsh -q define /srv/stead-lab/hand1.xml
    refused hand1 1 start hand1
    lab sh 1 virsh -q undefine hand1
    must 'it runs nowhere' no_qemu hand1
    must 'stead starts it' stead vm start hand1
    within 20 'it runs' vm_is hand1 running
    within 30 'it writes' wrote hand1 2 50
    history_lacks "$from" 'vm-by-hand '
    local k
    k=$(says "vm['hand1']['node'][1:]")
    ASK=$((k % 3 + 1))
    lab cut "$k"
    within 20 'it runs on a survivor' vm_runs_off hand1 "$k"
    within 30 'it writes' wrote hand1 3 50
    must 'one QEMU' runs_once hand1
    clean hand1 3
    ASK=1
}

boots_again() { # K: and libvirtd answers
    lab on "$1"
    within 40 "libvirtd of n$1 answers" lab sh "$1" virsh -q list
}
libvirtd_refused() { lab sh "$1" journalctl -b -u libvirtd | finds "$2 is a VM of the cluster"; } # K NAME

test_left_behind() { # a definition with autostart on another host, which boots and has no agent yet
    add_vm left1 1
    lab sh 3 virsh -q define /srv/stead-lab/left1.xml
    lab sh 3 virsh -q autostart left1
    lab sh 3 systemctl disable -q stead-agent
    lab cut 3
    boots_again 3
    within 10 'libvirt was refused' libvirtd_refused 3 left1
    must 'nothing runs there' no_qemu left1 3
    must 'nothing is there to tell but the disk' eval '! lab sh 3 ls /run/stead/vms'
    lab sh 3 virsh -q undefine left1
    lab sh 3 systemctl enable -q --now stead-agent
    within 30 'n3 is back' node_is 3 online
    goes_on left1
    must 'one QEMU' runs_once left1
    clean left1 1
}

libvirtd_listens() { # K yes|no: on TCP, for migrations
    local units='libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd-tcp.socket'
    lab sh "$1" sh -c "systemctl stop $units; sed -i '/^auth_tcp/d' /etc/libvirt/libvirtd.conf
        if [ $2 = yes ]; then echo 'auth_tcp = \"none\"' >>/etc/libvirt/libvirtd.conf; systemctl start libvirtd-tcp.socket; fi
        systemctl start libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service"
    within 20 "libvirtd of n$1 answers" lab sh "$1" virsh -q list
}

test_moved_by_hand() { # virsh migrate: refused where it would arrive, and the guest goes on
    local from
    from=$(mark)
    add_vm move1 1
    libvirtd_listens 2 yes
    refused move1 1 migrate --live move1 qemu+tcp://10.88.1.2/system tcp://10.88.1.2
    libvirtd_listens 2 no
    must 'it runs on n1' vm_runs_on move1 1
    must 'one QEMU' runs_once move1
    goes_on move1
    history_lacks "$from" 'vm-(by-hand|ended) '
    clean move1 1
}

test_foreign_by_hand() { # what stead does not know is libvirt's alone; what it gives back is at once
    lab vm other2 2 96 100 --no-add
    must 'a foreign one starts' lab sh 2 virsh -q create /srv/stead-lab/other2.xml
    within 30 'and writes' wrote other2 1 50
    must 'with an agent that is down, too' lab sh 3 systemctl stop stead-agent
    lab vm other3 3 96 100 --no-add
    must 'a foreign one starts' lab sh 3 virsh -q create /srv/stead-lab/other3.xml
    lab sh 3 systemctl start stead-agent
    lab sh 3 virsh -q destroy other3
    must 'taken as it runs' lab sh 2 stead vm add other2 --adopt
    within 20 'it is the cluster'"'"'s' vm_runs_on other2 2
    lab sh 2 virsh -q destroy other2
    within 20 'started again' wrote other2 2 50
    must 'stop' stead vm stop other2 --timeout 1s
    within 15 'it is stopped' vm_is other2 stopped
    must 'given back' lab sh 3 stead vm remove other2
    must 'libvirt starts it at once' lab sh 3 virsh -q start other2
    within 30 'it writes' wrote other2 3 50
    lab sh 3 virsh -q destroy other2
    lab sh 3 virsh -q undefine other2
    clean other2 3
}

test_hook_missing() { # said by --check and by the agent, and over once it is back
    local hook=/etc/libvirt/hooks/qemu.d/stead
    must 'the check is content' lab sh 2 stead-agent --check
    lab sh 2 chmod 644 $hook
    must 'the check is not' exits 1 lab sh 2 stead-agent --check
    must 'it says why' said "hook .*$hook is missing or not executable"
    lab sh 2 systemctl restart stead-agent
    within 20 'the status says so' is_true "'starts by hand' in (node['n2']['trouble'] or '')"
    add_vm miss2 2
    must 'stead starts all the same' runs_once miss2
    lab sh 2 chmod 755 $hook
    lab sh 2 systemctl restart stead-agent
    within 20 'it is over' is_true "not node['n2']['trouble']"
    clean miss2 1
}
