# shellcheck shell=bash
# Power by fence agents, in levels; and BMCs that lie, die with their host, or are another's.

conf3=/etc/stead/stead.conf

agent3() { # NAME LINE...: [fence NAME] of n3 with these lines; the BMCs' user and password in its section of every credentials file
    local k name=$1
    shift
    on3 cp -n $conf3 /root/good.conf
    { echo "[fence $name]" && printf '%s\n' "$@"; } | lab sh 3 sh -c "cat >>$conf3"
    for k in 1 2 3; do
        lab sh "$k" sh -c "cd /etc/stead && cp -n bmc.credentials /root/good.credentials &&
            { echo '[fence $name]'; grep -A2 default /root/good.credentials | grep =; } >>bmc.credentials"
    done
}

agents_gone() { # as it was
    local k
    stead config set proof=default
    stead config set bmc_ms=default
    on3 cp /root/good.conf $conf3
    for k in 1 2 3; do
        lab sh "$k" sh -c '[ ! -e /root/good.credentials ] || mv /root/good.credentials /etc/stead/bmc.credentials'
    done
    on3 rm /root/good.conf
    starts_again
}

node_shows() { stead node show n3 | finds "$1"; } # PATTERN

bmc_alone() { # no BMC of stead's own for n3: only what follows
    agent3 "$@"
    on3 sed -i '/^address = /d' $conf3
    on3 systemctl restart stead-agent
}

# fence_ipmilan against n3's BMC is all there is; the policy wants it proven off.
test_fence_agent() {
    local from
    bmc_alone lan 'agent = fence_ipmilan' 'ip = 10.88.3.103' 'lanplus = 1' 'cipher = 3'
    trouble3 "nobody says that fence device lan is this host.s"
    on3 sh -c "echo 'trusted = yes' >>$conf3"
    check3 0 '^note +BMC +none is configured' '^ok +fence device lan \(fence_ipmilan, level 2\) reads on'
    starts_again
    within 60 'it is verified' node_shows '^Fence +lan \(fence_ipmilan\), level 2, verified'
    sleep 3 # until its new agent has said what it can do
    stead config set proof=power
    add_vm agent1 3
    from=$(mark)
    lab freeze 3
    recovered agent1 3 40
    history_has "$from" 'bmc n3 - power of n3: off, read back, after [0-9]+ ms; fence_ipmilan lan: reads off' 'node-fenced n3 - n3 fenced, proof: storage\+power'
    must "n3's old QEMU is gone with its power" no_qemu agent1 3
    tell "$(history_since "$from" | grep -m1 '^node-fenced')"
    must 'one QEMU' runs_once agent1
    clean agent1 2
    must 'the password is in no log' not eval "lab log -o cat | grep -F \"\$(lab sh 1 sed -n 's/^password = //p' /etc/stead/bmc.credentials | head -n 1)\""
    lab on 3
    within 40 'n3 is back by itself' node_is 3 online
    agents_gone
}

# The BMC dies with its host, as most on-board ones do: the next level proves it off.
test_bmc_with_host() {
    local from
    on3 sh -c 'printf on >/var/lib/outlet' # the agent sees no /root; the other hosts have no such file: their fence_dummy reads off
    agent3 outlet 'agent = fence_dummy' 'status_file = /var/lib/outlet' 'trusted = yes'
    on3 systemctl restart stead-agent
    within 60 'it is verified' node_shows '^Fence +outlet \(fence_dummy\), level 2, verified'
    sleep 3 # until its new agent has said what it can do
    stead config set proof=power
    stead config set bmc_ms=3s
    add_vm withhost1 3
    from=$(mark)
    lab bmc 3 dead
    lab cut 3
    recovered withhost1 3 30
    history_has "$from" 'bmc n3 - power of n3: off, read back, after [0-9]+ ms; fence_dummy outlet: reads off' 'node-fenced n3 - n3 fenced, proof: storage\+power'
    clean withhost1 2
    lab bmc 3 ok
    lab on 3
    within 40 'n3 is back by itself' node_is 3 online
    agents_gone
}

# Two VMs of two policies on a host whose BMC died with it: one starts elsewhere at once, the other when the BMC answers again.
test_classes() {
    local from
    stead config set bmc_ms=3s
    stead class set gold proof=power
    add_vm class1 3
    add_vm class2 3
    stead vm class class2 gold
    from=$(mark)
    lab bmc 3 dead
    lab cut 3
    recovered class1 3
    within 20 'class2 waits, and says for what' eval "stead vm show class2 | finds '^Reason .*waits for power \\(class gold\\).*n3: '"
    must 'n3 is fenced' node_is 3 fenced
    must 'class2 runs nowhere' vm_is class2 recovering
    must 'a class that a VM is of stays' not stead class remove gold
    lab bmc 3 ok
    recovered class2 3 60
    history_has "$from" 'node-fenced n3 - n3 fenced, proof: storage;' 'bmc n3 - power of n3: off, read back'
    must 'class1 started once' [ "$(started_times "$from" class1)" = 1 ]
    must 'class2 started once' [ "$(started_times "$from" class2)" = 1 ]
    clean class1 2
    clean class2 2
    lab on 3
    within 40 'n3 is back by itself' node_is 3 online
    stead vm class class2 none
    stead class remove gold
    stead config set bmc_ms=default
}

revived() { # K: it waits for a person's word, or one more try at its power has come through meanwhile
    ! node_is "$1" online || return 0
    if "$LAB" status | finds "^n$1 *off"; then lab on "$1"; else stead node unfence "n$1" || true; fi
    return 1
}

# It says yes and the host stays on: read back on it is no proof, read back off it is one. The disk has one writer either way.
bmc_lies() { # NAME MODE POLICY PATTERN
    local from
    add_vm "$1" 3 0
    lab bmc 3 "$2"
    stead config set "proof=$3"
    stead config set bmc_ms=3s
    from=$(mark)
    lab freeze 3
    recovered "$1" 3
    within 30 "the history tells of the BMC: $4" eval "history_since $from | finds '^$4'"
    must 'the old QEMU is there, frozen' not no_qemu "$1" 3
    lab thaw 3
    within 15 'the thawed host kills its guest' no_qemu "$1" 3
    goes_on "$1"
    clean "$1" 2
    lab bmc 3 ok
    stead config set proof=default
    stead config set bmc_ms=default
    within 60 'n3 is back' revived 3
    clean "$1" 2
}
test_bmc_lies() { bmc_lies lies1 lies storage 'bmc n3 - power of n3: not proven off, .*did not read as off'; }
test_bmc_lies_off() { bmc_lies lies2 lies-off power 'node-fenced n3 - n3 fenced, proof: storage.power'; }

# n3's stead.conf has n2's BMC: nobody switches n2 off, and under the policy `power` a person is waited for.
test_bmc_swapped() {
    local from
    on3 cp $conf3 /root/good.conf
    on3 sed -i 's/^address = 10.88.3.103/address = 10.88.3.102/' $conf3
    on3 systemctl restart stead-agent
    trouble3 "another machine.s"
    stead config set proof=power
    add_vm swapped2 2
    add_vm swapped3 3
    from=$(mark)
    lab cut 3
    within 20 'n3 is lost' node_is 3 lost
    sleep 20
    must 'its VM waits' vm_is swapped3 recovering
    must 'n2 is on' node_is 2 online
    goes_on swapped2
    history_lacks "$from" 'bmc '
    must 'a person says that it is off' exits 0 stead node fence n3 --i-vouch --yes
    recovered swapped3 3
    history_has "$from" 'node-fenced n3 - n3 fenced, proof: storage\+operator'
    clean swapped3 2
    clean swapped2 1
    lab on 3
    within 40 'n3 is back by itself' node_is 3 online
    stead config set proof=default
    on3 mv /root/good.conf $conf3
    starts_again
}

typed() { echo "$1" | lab sh 1 script -qec 'stead node fence n3' /dev/null; } # WORD, at a terminal

# A host that is well is fenced only by a person who means that very one.
test_fence_by_hand() {
    add_vm hand3 3
    ASK=1
    must 'a script without --yes is refused' exits 2 stead node fence n3
    must 'and told why' said 'n3 is alive: its agent answers'
    must 'another name typed is refused' exits 1 typed n2
    must 'and told so' said 'that is not .n3.; nothing was done'
    must 'n3 is online' node_is 3 online
    must 'its own name typed fences it' exits 0 typed n3
    recovered hand3 3
    within 20 'its BMC has switched it off' eval '! lab sh 3 true 2>/dev/null'
    must 'what is gone is not asked about' exits 1 stead node fence n3
    must 'but it is fenced' said 'it is fenced, out or removed already'
    clean hand3 2
    lab on 3
    within 60 'n3 is back' node_is 3 online
}
