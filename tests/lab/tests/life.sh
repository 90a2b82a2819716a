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
    disks=$(lab env | sed -n "s/^STEAD_LAB_DIR=//p" | tr -d "'")/nodes
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
    within 40 'its agent says what to do' eval "lab sh 3 stead status | grep -q 'stead cluster join here if it was removed'"
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
}
