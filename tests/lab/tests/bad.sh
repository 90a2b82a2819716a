# shellcheck shell=bash
# A host that is not as it must be: what its agent, `stead-agent --check` and every node's status say.

on3() { lab sh 3 "$@"; }
conf=/etc/stead/stead.conf

check3() { # EXIT PATTERN...: what --check says on n3
    local code=$1 pattern
    shift
    must "--check ends with $code" exits "$code" on3 stead-agent --check
    for pattern in "$@"; do
        must "--check says: $pattern" said "$pattern"
    done
}

trouble3() { # PATTERN: n3's agent says so, and another node's status repeats it
    ASK=1
    within 40 "n3's trouble is known: $1" eval "says \"node['n3']['trouble'] or ''\" | finds '$1'"
    tell "$(says "node['n3']['trouble']")"
    must 'node show tells it' eval "stead node show n3 | finds '^Trouble +.*$1'"
    must 'status tells it' eval "stead status | finds '^Trouble +n3: .*$1'"
}

well3() {
    ASK=1
    within 60 'n3 has no trouble any more' is_true "node['n3']['trouble'] is None and node['n3']['state'] == 'online'"
}

agent3_said() { lab log 3 -o cat -n 40 | grep -m1 -E -- "$1" >"$WORK/agent3"; }

refuses_to_start() { # PATTERN: the agent of n3 does not start and says why
    on3 systemctl restart stead-agent || true
    within 15 'it does not run' not on3 systemctl -q is-active stead-agent
    within 5 "it says: $1" agent3_said "$1"
    tell "$(<"$WORK/agent3")"
}

starts_again() {
    on3 systemctl reset-failed stead-agent || true
    on3 systemctl restart stead-agent
    well3
}

test_check() { # a host that is well
    check3 0 '^ok +config' '^ok +machine' '^ok +disk' '^ok +corosync +3 nodes, this one is n3' '^ok +quorum' '^ok +ceph' \
        '^ok +cluster .*n3 is a member' '^ok +guest key +client.vm' '^ok +libvirt' '^ok +credentials' "^ok +BMC .*is this machine's" \
        'This host is ready'
    on3 hostname other
    check3 0 "^note +corosync .*is 'n3' to stead, and its host name is 'other' \(nothing rests on that\)"
    on3 hostname n3
    on3 sh -c "sed 's/uuid = .*/uuid = 03000200-0400-0500-0006-000700080009/' $conf >/tmp/junk.conf"
    must 'a junk UUID' exits 1 on3 stead-agent --check -c /tmp/junk.conf
    must 'is named' said '^WRONG +machine .*many boards are shipped with'
    on3 sh -c "sed 's/uuid = .*/uuid = 5ead0b02-12c4-4d56-8e9a-0123456789a2/' $conf >/tmp/twin.conf"
    must "another node's UUID" exits 1 on3 stead-agent --check -c /tmp/twin.conf
    must 'is named' said "^WRONG +machine +its UUID is node n2's too"
    on3 rm /tmp/junk.conf /tmp/twin.conf
}

test_bad_config() {
    on3 cp $conf /root/good.conf
    on3 sed -i 's/^pool = stead/pol = stead/' $conf
    check3 1 "^WRONG +config .*stead.conf.*unknown key 'pol' in \[ceph\]; did you mean 'pool'\?"
    refuses_to_start "unknown key 'pol' in \[ceph\]; did you mean 'pool'"
    on3 cp /root/good.conf $conf
    on3 chmod 644 /etc/stead/bmc.credentials
    check3 1 '^WRONG +credentials .*holds passwords but has mode 0644: chmod 600 /etc/stead/bmc.credentials'
    refuses_to_start 'holds passwords but has mode 0644: chmod 600'
    on3 chmod 600 /etc/stead/bmc.credentials
    starts_again
    on3 sed -i 's/^pool = stead/pool = sted/' $conf
    check3 1 "^WRONG +ceph +Ceph has no pool sted: 'ceph osd pool create sted 16 16 replicated', or correct"
    on3 systemctl restart stead-agent
    ASK=3
    within 20 'its status says so' eval "says \"d['situation']\" | finds 'Ceph has no pool sted'"
    on3 cp /root/good.conf $conf
    starts_again
}

test_bad_bmc() {
    on3 cp /etc/stead/bmc.credentials /root/good.credentials
    on3 sed -i 's/^password = .*/password = wrong/' /etc/stead/bmc.credentials
    check3 1 '^WRONG +BMC .*said no to user ADMIN: .*; correct username and password in the BMC credentials file'
    on3 systemctl restart stead-agent
    trouble3 'said no to user ADMIN: .*correct username and password'
    must 'the password is nowhere' not eval "lab log 3 -o cat | grep -F 'password = wrong'"
    on3 cp /root/good.credentials /etc/stead/bmc.credentials
    starts_again # or within a minute by itself
    on3 cp $conf /root/good.conf
    on3 sed -i 's/^address = 10.88.3.103/address = 10.88.3.102/' $conf # n2's
    check3 1 "^WRONG +BMC .*another machine's \(its GUID is not this host's UUID\)"
    on3 systemctl restart stead-agent
    trouble3 "another machine.s"
    on3 cp /root/good.conf $conf
    starts_again
    lab bmc 3 dead
    check3 1 '^WRONG +BMC .*no answer'
    lab bmc 3 ok
}

test_bad_ceph() {
    local osd='profile rbd pool=rbd, allow rwx pool=stead' list='allow command "osd blocklist ls"' change='allow command "osd blocklist"'
    lab ceph auth caps client.stead mon "profile rbd, $list" osd "$osd"
    check3 1 '^WRONG +ceph +client.stead may not change the blocklist, no host could be fenced: its mon caps lack .allow command "osd blocklist"'
    on3 systemctl restart stead-agent
    trouble3 'may not change the blocklist, no host could be fenced'
    lab ceph auth caps client.stead mon 'allow r' osd "$osd"
    check3 1 '^WRONG +ceph +client.stead may not (read|change) the blocklist'
    lab ceph auth caps client.stead mon "profile rbd, $list, $change" osd 'profile rbd pool=rbd, allow r pool=stead'
    check3 1 "^WRONG +ceph +client.stead may not write pool stead: its osd caps lack 'allow rwx pool=stead'"
    lab ceph auth caps client.stead mon "profile rbd, $list, $change" osd "$osd"
    on3 cp /etc/ceph/ceph.client.stead.keyring /root/good.keyring
    on3 sed -i 's/key = .*/key = AQBFlVJmAAAAABAAVd0f6oHqVJ3vZ6yHwN1B9Q==/' /etc/ceph/ceph.client.stead.keyring
    check3 1 '^WRONG +ceph +Ceph refuses the key of client.stead'
    on3 systemctl restart stead-agent
    ASK=3
    within 20 'its status says so' eval "says \"d['situation']\" | finds 'Ceph refuses the key of client.stead'"
    on3 rm /etc/ceph/ceph.client.stead.keyring
    check3 1 '^WRONG +ceph +no keyring of client.stead here'
    on3 cp /root/good.keyring /etc/ceph/ceph.client.stead.keyring
    starts_again
}

test_bad_corosync() {
    local file=/etc/corosync/corosync.conf
    on3 cp $file /root/good.corosync
    on3 systemctl stop corosync
    ASK=3
    within 20 'its agent says that it is alone' eval "says \"d['situation']\" | finds 'no quorum: 1 in the ring, 2 needed'"
    must '--check' exits 1 on3 stead-agent --check
    must 'says so' said '^WRONG +corosync +does not run: systemctl status corosync'
    must 'and takes nobody for another' not said 'WRONG +machine'
    on3 sed -i 's/provider: corosync_votequorum/provider: corosync_votequorum\n    last_man_standing: 1/' $file
    on3 systemctl restart corosync
    within 20 'Corosync runs' on3 corosync-quorumtool -s
    check3 1 '^WRONG +corosync +.*quorum.last_man_standing'
    within 20 'its status says so, and what that means' \
        eval "says \"d['situation']\" | finds 'quorum.last_man_standing is set, .*: set it to 0; until then this node takes no part'"
    tell "$(says "d['situation']")"
    on3 rm -f /run/stead/incarnation # as after a boot
    refuses_to_start 'quorum.last_man_standing'
    on3 cp /root/good.corosync $file
    on3 systemctl restart corosync
    starts_again
}

with_corosync() { # SED PATTERN: n3's corosync.conf changed so; what --check says of it, or nothing where it is well
    on3 cp /root/good.corosync /etc/corosync/corosync.conf
    on3 sed -i "$1" /etc/corosync/corosync.conf
    on3 systemctl restart corosync
    within 20 'Corosync runs' on3 corosync-quorumtool -s
    if [[ -n $2 ]]; then
        check3 1 "^WRONG +corosync +.*$2"
        tell "$(grep -E '^WRONG +corosync' "$WORK/said")"
    else
        within 15 'it is taken' eval "on3 stead-agent --check | grep -E '^ok +corosync'"
    fi
}

test_bad_corosync_keys() { # each key that lets less than half, or the wrong one's word, be a quorum
    local provider='provider: corosync_votequorum'
    on3 cp /etc/corosync/corosync.conf /root/good.corosync
    with_corosync "s/$provider/&\n    wait_for_all: 1/" ''
    with_corosync "s/$provider/&\n    two_node: 1/" 'quorum.two_node is set, and the nodelist has not two nodes'
    with_corosync "s/$provider/&\n    auto_tie_breaker: 1/" 'quorum.auto_tie_breaker is set'
    with_corosync "s/$provider/&\n    allow_downscale: 1/" 'quorum.allow_downscale is set'
    with_corosync "s/$provider/&\n    expected_votes: 2/" 'quorum.expected_votes is 2, less than the 3 nodes'
    with_corosync "s/nodeid: 1\$/&\n        quorum_votes: 2/" 'nodelist.node.*quorum_votes must be 1 .it is 2'
    with_corosync "s/$provider/&\n    device {\n        model: net\n        votes: 1\n        net {\n            host: 10.88.1.9\n        }\n    }/" \
        'quorum.device.net.algorithm must be ffsplit'
    ASK=3
    within 20 'it takes no part' eval "says \"d['situation']\" | finds 'takes no part'"
    on3 cp /root/good.corosync /etc/corosync/corosync.conf
    on3 systemctl restart corosync
    well3
    ASK=1 # n3's second vote raised what all others wait for, and a running Corosync never lowers that
    within 40 'the others tell of the votes' eval "stead status | finds 'votes-raised: Corosync wants 3 votes'"
    for verb in stop start; do
        for node in 1 2 3; do lab sh "$node" systemctl "$verb" corosync & done
        wait
    done
    within 40 'that is over' eval "! stead status | finds votes-raised"
    well3
}

test_bad_names() {
    lab vm twice 1 96 10
    must 'a name that is taken' exits 1 lab sh 1 stead vm add twice --xml /srv/stead-lab/twice.xml
    must 'is refused so' said 'already'
    tell "$(<"$WORK/said")"
    must 'an unknown node' exits 1 stead node fence n9
    must 'is refused so' said 'no such node; see stead node list'
    must 'an unknown VM' exits 1 stead vm start twices
    must 'is refused so' said 'no (such )?VM'
    must 'a second cluster' exits 1 stead cluster init
    must 'is refused so' said 'there is a cluster in this pool already'
}

other_corosync() { # CLUSTER_NAME: n3 is a cluster of its own, in which it has n1's node id, and a life it never had here
    on3 systemctl stop stead-agent corosync
    on3 cp /root/good.corosync /etc/corosync/corosync.conf
    on3 sed -i "s/cluster_name: .*/cluster_name: $1/; /^nodelist/,\$d" /etc/corosync/corosync.conf
    on3 sh -c "printf 'nodelist {\n  node {\n    ring0_addr: 10.88.1.3\n    nodeid: 1\n    name: x1\n  }\n}\n' >>/etc/corosync/corosync.conf"
    on3 rm -f /run/stead/incarnation
    on3 systemctl start corosync stead-agent
    ASK=3
}

as_it_was() { # what n1 and n2 have, and who is barred
    ASK=1
    stead status --json | python3 -c "import json, sys
d = json.load(sys.stdin)
print(d['cluster']['term'], d['cluster']['actor'], [(n['name'], n['state']) for n in d['nodes'] if n['name'] != 'n3'], [(v['name'], v['state'], v['node']) for v in d['vms']])"
    lab ceph osd blocklist ls 2>/dev/null | sort
}

test_other_cluster() { # the agent of another Corosync cluster, pointed at this pool: it decides, fences and ends nothing
    local said
    add_vm ours1 1
    on3 cp /etc/corosync/corosync.conf /root/good.corosync
    on3 systemctl stop corosync # announced; nothing is on it
    sleep 3
    as_it_was >"$WORK/before"
    other_corosync prod
    within 20 'its status names both' eval "said=\$(says \"d['situation']\"); [[ \$said == *\"Corosync cluster 'stead-lab'\"*\"cluster_name is 'prod'\"* ]]"
    tell "$said"
    check3 1 "^WRONG +cluster +the state in pool stead is that of Corosync cluster 'stead-lab', and this host's cluster_name is 'prod'"
    tell "$(grep WRONG "$WORK/said")"
    must 'it may not join' exits 1 on3 stead cluster join
    tell "$(<"$WORK/said")"
    must 'nor make one' exits 1 on3 stead cluster init
    tell "$(<"$WORK/said")"
    other_corosync stead-lab # the same name: then only the machine tells
    within 20 'its status says so' eval "said=\$(says \"d['situation']\"); [[ \$said == *'as another machine'* ]]"
    tell "$said"
    sleep 5
    as_it_was >"$WORK/after"
    must 'nothing of ours has changed' diff "$WORK/before" "$WORK/after"
    must 'ours1 goes on' goes_on ours1
    clean ours1 1
    on3 systemctl stop stead-agent corosync
    on3 cp /root/good.corosync /etc/corosync/corosync.conf
    on3 systemctl start corosync stead-agent
    well3
}
