# shellcheck shell=bash
# What an administrator restarts: Corosync, the agent, the host. Guests that write must not notice.

longest_pause() { # NAME: between two stamps of one boot of its guest, in ms
    lab disk "$1" --json | jq '[.writers[].pause_s] | max * 1000 | floor'
}

boot_id() { lab sh "$1" cat /proc/sys/kernel/random/boot_id; }
incarnation_of() { says "node['n$1']['incarnation']"; }

# Nothing that a restart might have cost has been lost: the same QEMU, still writing, nothing fenced.
untouched() { # NAME QEMU MARK
    must "the same QEMU of $1" [ "$2" = "$(qemus_of "$1")" ]
    history_lacks "$3" '(node-lost|node-fenced|vm-starting|vm-recovering) '
    goes_on "$1"
    clean "$1" 1
    local pause
    pause=$(longest_pause "$1")
    tell "$1 never paused longer than $pause ms"
    must "no pause beyond noise (it is $pause ms)" [ "$pause" -lt 1500 ]
}

corosync_restarts() { # K NAME: asked for at another node
    local k=$1 name=$2 from qemu ring
    add_vm "$name" "$k"
    from=$(mark)
    qemu=$(qemus_of "$name")
    ring=$(lab sh "$k" corosync-cmapctl -g runtime.members."$k".joined_count 2>/dev/null || true)
    lab sh "$k" systemctl restart corosync
    within 20 "n$k is online again" is_true "node['n$k']['state'] == 'online' and node['n$k']['in_ring'] and node['n$k']['agent_alive']"
    within 15 'its announcement is cleared' eval "history_since $from | finds '^node-back n$k '"
    within 15 'all is settled' is_true "d['situation'] == 'all is settled'"
    history_has "$from" "node-away n$k " "node-back n$k "
    tell "$(history_since "$from" | grep -E '^node-(away|back)')"
    must "its Corosync is a new one ($ring)" eval "lab log $k -u corosync | grep -c 'Corosync Cluster Engine .* starting' | grep -qv '^[01]$'"
    untouched "$name" "$qemu" "$from"
}

test_corosync_restart() {
    ASK=1
    ! acts 3 || lab sh 3 systemctl restart stead-agent
    within 15 'another than n3 acts' not acts 3
    sleep 3 # until its new agent has said what it can do
    corosync_restarts 3 cor3
}

test_corosync_restart_of_the_acting_node() {
    local a
    a=$(actor)
    ASK=$((a % 3 + 1))
    corosync_restarts "$a" cora
}

test_corosync_killed() { # with Restart=on-failure it is back before anybody has missed it
    add_vm kil3 3
    local from qemu
    ASK=1
    from=$(mark)
    qemu=$(qemus_of kil3)
    lab sh 3 pkill -9 -x corosync
    within 20 'n3 is online' is_true "node['n3']['state'] == 'online' and node['n3']['agent_alive']"
    sleep 4
    untouched kil3 "$qemu" "$from"
}

test_agent_stopped_then_cut() {
    add_vm una3 3
    ASK=1
    local from
    from=$(mark)
    lab sh 3 systemctl stop stead-agent
    within 10 'n3 is unattended' node_is 3 unattended
    sleep 3
    must 'still only unattended' node_is 3 unattended
    tell "$(stead node list | grep n3)"
    goes_on una3
    history_lacks "$from" '(node-lost|node-fenced|vm-starting|vm-recovering) '
    lab cut 3
    recovered una3 3
    must 'one QEMU' runs_once una3
    clean una3 2
}

test_agent_upgrade() { # the agents replaced one by one below running guests
    local k from before
    ASK=1
    for k in 1 2 3; do add_vm "up$k" "$k"; done
    from=$(mark)
    before=$(for k in 1 2 3; do echo "$k $(qemus_of "up$k")"; done)
    for k in 1 2 3; do
        ASK=$((k % 3 + 1))
        local boot incarnation old
        boot=$(boot_id "$k")
        incarnation=$(incarnation_of "$k")
        old=$(agent_pid "$k")
        lab sh "$k" sh -c 'cp /usr/sbin/stead-agent /usr/sbin/stead-agent.new && mv /usr/sbin/stead-agent.new /usr/sbin/stead-agent && systemctl restart stead-agent'
        within 15 "n$k has a new agent" eval "[ -n \"\$(agent_pid $k)\" ] && [ \"\$(agent_pid $k)\" != $old ]"
        within 15 "n$k is online" is_true "node['n$k']['state'] == 'online' and node['n$k']['agent_alive']"
        within 15 'all is settled' is_true "d['situation'] == 'all is settled'"
        must 'the same boot' [ "$boot" = "$(boot_id "$k")" ]
        must 'the same incarnation' [ "$incarnation" = "$(incarnation_of "$k")" ]
    done
    for k in 1 2 3; do
        untouched "up$k" "$(grep -m1 "^$k " <<<"$before" | cut -d' ' -f2)" "$from"
    done
}

test_host_reboot_with_vms() { # an orderly reboot ends its guests: they run elsewhere at once, and the host comes back by itself
    add_vm reb3 3
    ASK=1
    ! acts 3 || lab sh 3 systemctl restart stead-agent
    within 15 'another than n3 acts' not acts 3
    local from
    from=$(mark)
    lab sh 3 systemctl reboot || true
    recovered reb3 3 40
    must 'one QEMU' runs_once reb3
    clean reb3 2
    history_lacks "$from" 'node-away n3 '
    within 60 'n3 is back by itself' is_true "node['n3']['state'] == 'online' and node['n3']['agent_alive']"
    must 'one QEMU' runs_once reb3
}

test_host_reboot_with_libvirt_guests() { # it shuts guests down when the host goes down and would start them when it is up: neither is a wish
    local from
    lab sh 3 sh -c "printf 'ON_BOOT=start\nON_SHUTDOWN=shutdown\nSHUTDOWN_TIMEOUT=5\n' >/etc/default/libvirt-guests"
    lab sh 3 systemctl enable --now libvirt-guests
    add_vm lg3 3
    ASK=1
    ! acts 3 || lab sh 3 systemctl restart stead-agent
    within 15 'another than n3 acts' not acts 3
    from=$(mark)
    lab sh 3 systemctl reboot || true
    recovered lg3 3 60
    must 'it is still wanted' is_true "vm['lg3']['want'] == 'running'"
    history_lacks "$from" 'vm-ended '
    within 60 'n3 is back by itself' is_true "node['n3']['state'] == 'online' and node['n3']['agent_alive']"
    within 20 'libvirt-guests has done its part' lab sh 3 systemctl -q is-active libvirt-guests
    tell "$(lab log 3 -o cat -u libvirt-guests | tail -n 3)"
    sleep 3
    must 'one QEMU' runs_once lg3
    clean lg3 2
    lab sh 3 systemctl disable --now libvirt-guests
}

kill_agent() { # K: SIGKILL, and wait for the next
    local old
    old=$(agent_pid "$1")
    kill -9 "$old"
    within 30 "n$1 has a new agent" eval "[ -n \"\$(agent_pid $1)\" ] && [ \"\$(agent_pid $1)\" != $old ]"
}

test_agent_crash_loop() { # its guest runs on; it is not the place for others; nothing is fenced
    local from qemu i
    ASK=1
    add_vm loop3 3
    add_vm moves 1
    lab vm ballast1 1 96 10
    lab vm ballast2 2 96 10
    lab vm ballast3 2 96 10
    from=$(mark)
    qemu=$(qemus_of loop3)
    for i in 1 2 3 4 5; do
        kill_agent 3
        within 30 'n3 is online' is_true "node['n3']['agent_alive']"
    done
    within 30 'n3 is known to be restless' is_true "node['n3']['restarts'] >= 5 and 'within ten minutes' in node['n3']['trouble']"
    tell "$(stead node show n3 | grep Trouble)"
    must 'stop' stead vm stop moves --timeout 1s
    within 15 'it is stopped' vm_is moves stopped
    must 'start' stead vm start moves
    within 30 'it runs, and not on n3 with the fewest VMs' eval "vm_is moves running && ! vm_runs_on moves 3"
    untouched loop3 "$qemu" "$(mark)"
    history_lacks "$from" '(node-lost|node-fenced) '
    lab sh 3 systemctl restart stead-agent # an end in order: what was before is forgotten
    within 20 'n3 is steady again' is_true "node['n3']['agent_alive'] and node['n3']['restarts'] == 0 and not node['n3']['trouble']"
}

test_libvirtd_down() { # it stays away: said, no place for others, and its guest can still be killed
    ASK=1
    add_vm virt3 3
    add_vm moves 1
    lab vm ballast1 1 96 10
    lab vm ballast2 2 96 10
    lab vm ballast3 2 96 10
    lab sh 3 sh -c 'systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd 2>/dev/null; ! systemctl is-active -q libvirtd'
    within 20 'n3 says so' is_true "'libvirt' in (node['n3']['trouble'] or '')"
    tell "$(stead node show n3 | grep Trouble)"
    goes_on virt3
    must 'stop' stead vm stop moves --timeout 1s
    within 15 'it is stopped' vm_is moves stopped
    must 'start' stead vm start moves
    within 30 'it runs, and not on n3' eval "vm_is moves running && ! vm_runs_on moves 3"
    lab bmc 3 dead # so that its agent has to end what runs there
    lab net 3 down
    within 20 'virt3 runs on a survivor' vm_runs_off virt3 3
    within 20 'its old QEMU is killed without libvirtd' no_qemu virt3 3
    recovered virt3 3
    clean virt3 2
    lab net 3 up
    lab sh 3 sh -c 'systemctl start libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd'
    comes_back 3
}

# --- an assertion that fails: an agent built so that one does, on the node that a command names

build_with_a_flaw() { # DIR
    tar -C "$REPO" --exclude='./build*' --exclude=./.git -c . | tar -C "$1" -x
    sed -i '/^void request_on_event(/,/^{/s/^{/{\n    ASSERT(core->local.halted || strncmp(request->name, "panic-", 6) != 0 || strcmp(request->name + 6, core->local.facts.name) != 0);/' "$1/agent/request.c"
    must 'the flaw could be put in' eval "! cmp -s '$REPO/agent/request.c' '$1/agent/request.c'"
    make -s -j"$(nproc)" -C "$1" all
}

panic() { # K
    local old
    old=$(agent_pid "$1")
    stead node unfence "panic-n$1" || true
    within 30 "n$1 has a new agent" eval "[ -n \"\$(agent_pid $1)\" ] && [ \"\$(agent_pid $1)\" != $old ]"
}

test_halted() {
    local k from before a
    mkdir -p "$WORK/flawed"
    build_with_a_flaw "$WORK/flawed"
    STEAD_REPO=$WORK/flawed "$LAB" up 3 >/dev/null
    for k in 1 2 3; do add_vm "halt$k" "$k"; done
    from=$(mark)
    before=$(for k in 1 2 3; do echo "$k $(qemus_of "halt$k")"; done)
    ASK=1
    ! acts 3 || lab sh 3 systemctl restart stead-agent
    within 15 'another than n3 acts' not acts 3

    panic 3
    within 15 'n3 is halted' node_is 3 halted
    tell "$(stead node show n3 | grep Trouble)"
    goes_on halt3
    ASK=3
    must 'a command is refused there' exits 1 stead vm stop halt3
    must 'with the reason' said 'this node is halted'
    tell "$(stead status | head -n1)"
    ASK=1
    must 'it is let work again' stead node resume n3
    within 10 'n3 is online' node_is 3 online
    must 'which it is' exits 1 stead node resume n3
    must 'and is told so' said 'not halted'

    a=$(actor) # the acting one: another acts, and once that decided something the halted one is out
    ASK=3
    panic "$a"
    within 15 'the acting node is halted' node_is "$a" halted
    within 15 'another acts' not acts "$a"
    must 'halted still' node_is "$a" halted
    must 'the other decides something' stead vm stop "halt3" --timeout 1s
    within 15 'the halted node is at work again' node_is "$a" online
    must 'start it again' stead vm start halt3
    within 30 'halt3 runs' vm_is halt3 running
    within 15 'all is settled' is_true "d['situation'] == 'all is settled'"

    panic 1 # both at one version: nobody acts, all guests run on
    within 15 'n1 is halted' node_is 1 halted
    panic 2
    within 15 'n2 is halted' node_is 2 halted
    tell "$(stead status | head -n1)"
    must 'nobody acts, and it says so' eval "says \"d['situation']\" | finds 'two nodes are halted'"
    for k in 1 2; do goes_on "halt$k"; done
    must 'n1 is let work again, from n3' stead node resume n1
    must 'a command is taken again' stead vm stop halt3 --timeout 1s
    within 20 'all are online' is_true "all(n['state'] == 'online' for n in d['nodes'])"
    history_lacks "$from" '(node-lost|node-fenced) '
    for k in 1 2; do
        must "the same QEMU of halt$k" [ "$(grep -m1 "^$k " <<<"$before" | cut -d' ' -f2)" = "$(qemus_of "halt$k")" ]
        clean "halt$k" 1
    done
}
