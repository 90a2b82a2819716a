# shellcheck shell=bash
# A node's life: removed alive and dead, joined again, other hardware under its name.

node_hidden() { # K: out of the list of nodes
    stead node list --json | python3 -c 'import json, sys; sys.exit(any(n["name"] == "n'"$1"'" for n in json.load(sys.stdin)["nodes"]))'
}

joins_again() { # K: also from behind its address entry
    lab sh "$1" stead cluster join
    within 30 "n$1 is online" is_true "node['n$1']['state'] == 'online' and node['n$1']['agent_alive']"
}

two_not_3() { # the acting node cannot be removed
    ! acts 3 || lab sh 3 systemctl restart stead-agent
    within 15 'n1 or n2 acts' not acts 3
}

change_machine() { # K HEX8: its machine UUID begins so from the next boot on
    local disks
    disks=$(lab env | sed -n "s/^export STEAD_LAB_DIR=//p")/nodes
    sed -i "s/^uuid = ......../uuid = $2/" "$disks/n$1/upper/etc/stead/stead.conf"
}

test_node_removed_alive() { # its VM moves on by a fence, its agent empties itself; then it joins anew
    local from
    two_not_3
    add_vm gone3 3
    from=$(mark)
    must 'a script has to say --yes' eval '! stead node remove n3'
    stead node remove n3 --yes --watch | tee "$WORK/told"
    recovered gone3 3
    within 15 'no QEMU is left on n3' eval '! lab sh 3 pgrep -f guest=gone3'
    within 10 'it is no longer listed' node_hidden 3
    must 'but with --all' eval "stead node list --all | grep -E 'n3 .*removed'"
    history_has "$from" 'node-lost n3 ' 'node-removed n3 ' 'vm-running n[12] gone3 '
    clean gone3 2
    joins_again 3
    must 'one QEMU' runs_once gone3
}

test_node_removed_dead() {
    add_vm gone3 3
    lab cut 3
    recovered gone3 3
    stead node remove n3 --yes --watch
    within 10 'it is no longer listed' node_hidden 3
    lab on 3
    within 40 'its agent says what to do' eval "lab sh 3 stead status | finds 'stead cluster join here if it was removed'"
    clean gone3 2
    joins_again 3
}

test_node_replaced() { # another machine UUID under the same name: no proof of the old one's death
    add_vm old3 3
    local from
    from=$(mark)
    lab cut 3
    recovered old3 3
    change_machine 3 0badcafe
    lab on 3
    sleep 8
    must 'it does not come back by itself' node_is 3 fenced
    stead node unfence n3
    within 30 'n3 is back' node_is 3 online
    must 'under its new UUID' is_true "node['n3']['machine'].startswith('0badcafe')"
    clean old3 2
    lab cut 3 # the tests after this one want the machine that n3's BMC is of; it holds no VM, so nobody fences it meanwhile
    change_machine 3 5ead0b03
    lab on 3
    within 30 'it is back, with its own BMC' is_true "node['n3']['state'] == 'online' and node['n3']['trouble'] is None"
}

emptied() { # nothing is left in stead's pool
    # shellcheck disable=SC2016 # it is the node's shell that expands
    lab sh 1 sh -c 'rados --id stead -p stead ls | while read -r o; do rados --id stead -p stead rm "$o"; done'
}

epoch() { says "d['cluster']['epoch']"; }

lease_refuses() { # NAME: not its image, which counts as open for half a minute after its guest was killed
    exits 1 stead vm add "$1" --xml "/srv/stead-lab/$1.xml" && said 'object lease/'
}

test_backup_and_restore() { # the state object is removed; the backup brings it back, in a new epoch
    add_vm keep1 1
    add_vm keep3 3
    local file=/root/state.backup before
    lab sh 1 stead cluster backup $file | tee -a "$WORK/told"
    must 'for root only' eval "[ \$(lab sh 1 stat -c %a $file) = 600 ]"
    add_vm late2 2 # the backup does not know it
    before=$(epoch)
    lab sh 1 rados --id stead -p stead rm cluster
    within 20 'the agents see that it is gone' is_true "'is gone' in d['situation']"
    must 'guests go on' goes_on keep1
    must 'a copy of an agent is backed up in its stead' eval "lab sh 2 stead cluster backup /root/copy.backup | tee -a $WORK/told | grep \"the copy of n2's agent, last known to be the newest\""
    must 'with what came later' eval "lab sh 2 grep -c -a late2 /root/copy.backup"
    must 'a script has to say --yes' eval "! lab sh 1 stead cluster restore $file </dev/null"
    lab sh 1 stead cluster restore $file --yes | tee -a "$WORK/told"
    within 60 'all nodes are online, in a new epoch' is_true "all(n['state'] == 'online' for n in d['nodes']) and d['cluster']['epoch'] > $before"
    within 60 'both VMs run' is_true "all(vm[v]['state'] == 'running' for v in ('keep1', 'keep3'))"
    must 'keep1 runs once' runs_once keep1
    must 'keep3 runs once' runs_once keep3
    must 'late2 is managed no more' is_true "'late2' not in vm"
    must 'and its guest was ended' no_qemu late2
    within 20 'keep1 writes' wrote keep1 2 50
    within 20 'keep3 writes' wrote keep3 2 50
    clean keep1 2
    clean keep3 2
    must 'the history says so' eval "stead history | finds 'restored from a backup'"
    within 40 'its lease is held still, and the refusal says which object that is' lease_refuses late2
    must 'a person who knows that it runs nowhere removes that' lab sh 1 rados --id stead -p stead rm "$(grep -o 'lease/[0-9a-f-]*' "$WORK/said")"
    must 'and adds it again' exits 0 stead vm add late2 --xml /srv/stead-lab/late2.xml
    within 60 'it runs' vm_is late2 running
    within 20 'late2 writes' wrote late2 2 50
    clean late2 2
}

test_restore_of_an_emptied_pool() { # leases and definitions are gone too: nothing starts without a person's word
    add_vm deep1 1
    local file=/root/state.backup
    lab sh 1 stead cluster backup $file
    emptied
    lab sh 1 stead cluster restore $file --yes | tee -a "$WORK/told"
    within 60 'all nodes are online' is_true "all(n['state'] == 'online' for n in d['nodes'])"
    within 30 'it waits, and says for what' is_true "'lease is missing' in vm['deep1']['reason']"
    sleep 3
    must 'it runs nowhere' no_qemu deep1
    lab sh 1 stead cluster restore $file --yes --i-vouch | tee -a "$WORK/told"
    within 60 'it runs' is_true "vm['deep1']['state'] == 'running'"
    must 'once' runs_once deep1
    within 20 'it writes' wrote deep1 2 50
    clean deep1 2
}
