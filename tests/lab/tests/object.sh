# shellcheck shell=bash
# The state object, or its pool, or Ceph: away, gone, old, damaged. And a node's disk that is full.

object() { lab rados -p stead "$@"; } # rados' own verbs
trouble() { [[ $(says "d['state_object']") = "$1" ]]; }
situation() { says "d['situation']" | finds "$1"; }

nothing_is_decided() { # NAME...: these VMs run on, and a command is not carried out
    local name
    must 'a command is not carried out' exits 1 timeout 45 "$LAB" sh "$ASK" stead vm stop "$1"
    for name in "$@"; do
        goes_on "$name"
    done
}

test_object_gone() {
    add_vm gone1 1
    add_vm gone3 3
    local from k
    from=$(mark)
    object cp cluster aside
    object rm cluster
    for k in 1 2 3; do
        ASK=$k
        within 5 "n$k says that it is gone" trouble gone
        must 'and the remedy' situation 'gone from its pool: nothing is decided, VMs run on; .*stead cluster restore'
    done
    must 'the copy still answers' vm_runs_on gone3 3
    ASK=2
    nothing_is_decided gone1 gone3
    lab sh 1 systemctl restart stead-agent
    lab sh 2 systemctl restart stead-agent
    ASK=1
    within 10 'an agent without a copy says so too' situation 'gone from its pool.*\(copy: n3\)'
    must 'a new cluster is not made' exits 1 stead cluster init
    must 'and why' said 'its state object is gone: stead cluster restore'
    goes_on gone1
    lab sh 3 systemctl restart stead-agent # now nobody holds a copy
    sleep 3
    ASK=3
    must 'it is still called gone' situation 'gone from its pool'
    goes_on gone3
    object cp aside cluster
    object rm aside
    for k in 1 2 3; do
        ASK=$k
        within 10 "n$k is well by itself" trouble None
    done
    within 15 'all is settled' situation 'all is settled'
    clean gone1 1
    clean gone3 1
    history_lacks "$from" '(node-lost|node-fenced|vm-starting|vm-recovering|vm-stopping) '
    stead vm stop gone1 --timeout 1s
    within 15 'commands work again' vm_is gone1 stopped
}

test_object_old() { # an old backup is put in its place
    add_vm old1 1
    local k from
    object cp cluster backup
    add_vm old3 3
    within 10 'all is settled' situation 'all is settled'
    from=$(mark)
    object cp cluster newest
    object rm cluster
    object cp backup cluster
    for k in 1 2 3; do
        ASK=$k
        within 5 "n$k refuses the old one" trouble older
        must 'and says so' situation 'older than .*: nothing is decided, VMs run on; .*stead cluster restore'
    done
    lab sh 2 systemctl restart stead-agent
    ASK=2
    within 10 'an agent without a copy takes the word of those that have one' trouble older
    must 'and says whose' situation 'older than the copy of n[13]'
    goes_on old1
    goes_on old3
    object rm cluster
    object cp newest cluster
    for k in 1 2 3; do
        ASK=$k
        within 10 "n$k is well by itself, with the newest" trouble None
    done
    object rm backup
    object rm newest
    within 15 'all is settled' situation 'all is settled'
    history_lacks "$from" '(node-lost|node-fenced|vm-recovering|vm-starting) '
    clean old3 1
}

test_object_damaged() {
    add_vm dam1 1
    add_vm dam3 3
    local from A
    from=$(mark)
    object rmomapkey cluster node/02
    object setomapval cluster vm/00000 garbage
    object setomapval cluster vm/00077 garbage
    object setomapval cluster something/new 'of a newer version'
    A=$(actor)
    ASK=$((A % 3 + 1))
    lab sh "$ASK" systemctl restart stead-agent
    within 15 'it is mended soon once an agent is blind' trouble None
    within 15 'and that agent sees again' situation 'all is settled'
    history_has "$from" 'state n[123] - the state object was damaged \([0-9]+ of its records\): written anew'
    sleep 4 # that agent's BMC is seen to be its own: the commit of that would write the header, too
    object setomapval cluster header garbage
    within 15 'a header too' eval "history_since $from | finds 'state n[123] - .*its header'"
    object setomapval cluster guard garbage
    must 'with a damaged guard' stead vm stop dam1 --timeout 1s
    within 15 'commands take effect' vm_is dam1 stopped
    goes_on dam3
    clean dam3 1
    tell "$(history_since "$from" | grep '^state')"
    lab sh 1 systemctl restart stead-agent
    lab sh 2 systemctl restart stead-agent
    lab sh 3 systemctl restart stead-agent
    within 20 'the object is whole: read anew by all' situation 'all is settled'
    history_lacks "$from" '(node-lost|node-fenced|vm-starting|vm-recovering) '
}

test_object_stalls() { # the placement groups of stead's own pool alone: the disks go on
    add_vm pg1 1
    add_vm pg3 3
    local from
    from=$(mark)
    lab ceph osd pool set stead size 2 --yes-i-really-mean-it
    lab ceph osd pool set stead min_size 2
    ASK=1
    within 20 'it says what is silent, since when' situation 'Ceph (does not answer|answers, but not about).* for [0-9]+ s'
    tell "$(says "d['situation']")"
    goes_on pg1
    lab cut 3
    sleep 6
    must 'nothing is decided' vm_runs_on pg3 3
    lab sh 2 systemctl restart stead-agent
    sleep 2
    goes_on pg1
    lab ceph osd pool set stead min_size 1
    lab ceph osd pool set stead size 1 --yes-i-really-mean-it
    recovered pg3 3 40
    must 'one QEMU' runs_once pg3
    clean pg1 1
    clean pg3 2
    history_lacks "$from" '(node-lost|node-fenced) n[12] '
}

test_pool_deleted() { # and made again, with what was in it
    add_vm pool1 1
    local from
    from=$(mark)
    object export "$WORK/pool"
    lab ceph osd pool rm stead stead --yes-i-really-really-mean-it
    within 10 'it says that it is gone' trouble gone
    goes_on pool1
    sleep 4
    lab ceph osd pool create stead 8 8 replicated
    object import "$WORK/pool"
    within 30 'it is well by itself' trouble None
    within 15 'all is settled' situation 'all is settled'
    goes_on pool1
    must 'a command takes effect' stead vm stop pool1 --timeout 1s
    within 15 'it is stopped' vm_is pool1 stopped
    clean pool1 1
    history_lacks "$from" '(node-lost|node-fenced|vm-recovering) '
}

test_mon_and_osd_restart() { # under writing VMs: nothing is fenced; what was unknown is done again
    add_vm mo1 1
    add_vm mo3 3
    local from
    from=$(mark)
    lab storage mon restart
    sleep 3
    within 30 'all is settled' situation 'all is settled'
    goes_on mo1
    lab storage osd restart
    sleep 3
    within 60 'all is settled' situation 'all is settled'
    goes_on mo1
    goes_on mo3
    history_lacks "$from" '(node-lost|node-fenced|vm-recovering|vm-starting) '
    lab storage mon down
    ASK=1
    lab cut 3
    sleep 8
    must 'without a mon nobody is proven harmless' not vm_runs_off mo3 3
    lab storage mon up
    recovered mo3 3 40
    must 'one QEMU' runs_once mo3
    clean mo1 1
    clean mo3 2
}

test_run_without_inodes() { # /run/stead can hold no file: the agent cannot start there; it is tried at a bounded rate, and said
    local from starts
    from=$(now_us)
    lab sh 3 systemctl stop stead-agent
    lab sh 3 mount -t tmpfs -o nr_inodes=1 tmpfs /run/stead
    lab sh 3 systemctl start --no-block stead-agent
    sleep 35
    starts=$(lab log 3 -o cat --since "@$((from / 1000000))" | grep -c 'cannot make /run/stead/lock' || true)
    must "it is tried again, not often ($starts times)" eval "[ $starts -ge 2 ] && [ $starts -le 4 ]"
    must 'systemctl status says why' eval "lab sh 3 systemctl show -p StatusText stead-agent | grep 'make room in /run'"
    tell "$(lab log 3 -o cat --since "@$((from / 1000000))" | grep -m1 'cannot make /run/stead/lock')"
    lab sh 3 umount -l /run/stead
    ASK=3
    within 40 'with room again it is back' is_true "node['n3']['state'] == 'online' and node['n3']['agent_alive']"
}

test_run_full() { # /run cannot be written: the incarnation is not kept, which is tried at a bounded rate and said
    local from said
    from=$(now_us)
    lab sh 3 systemctl stop stead-agent
    lab sh 3 mount -t tmpfs -o size=64k tmpfs /run/stead
    lab sh 3 sh -c 'head -c 65536 /dev/zero >/run/stead/fill'
    lab sh 3 systemctl start stead-agent # it knows no incarnation: admitted anew, which cannot be kept
    ASK=3
    within 30 'it says so' is_true "'/run/stead cannot be written' in (node['n3']['trouble'] or '')"
    within 10 'so does everybody' eval "lab sh 1 stead status | grep -E 'Trouble +n3: /run/stead cannot be written'"
    tell "$(says "node['n3']['trouble']")"
    sleep 12
    said=$(lab log 3 -o cat --since "@$((from / 1000000))" | grep -c 'cannot write /run/stead' || true)
    must "it does not flood the journal ($said lines)" [ "$said" -le 8 ]
    must 'it takes part' is_true "node['n3']['state'] == 'online' and node['n3']['agent_alive']"
    lab sh 3 rm /run/stead/fill
    within 60 'with room again it is kept' is_true "node['n3']['trouble'] is None"
    must 'kept' lab sh 3 grep -q '^number' /run/stead/incarnation
    lab sh 3 sh -c 'cp /run/stead/incarnation /run/kept; umount -l /run/stead; cp /run/kept /run/stead/incarnation'
    lab sh 3 systemctl restart stead-agent
}
