# shellcheck shell=bash
# What an administrator restarts: Corosync, the agent, the host. Guests that write must not notice.

longest_gap() { # NAME: between two stamps its guest put on the disk, in ms
    lab disk "$1" 2>/dev/null | sed -n 's/.*longest gap \([0-9]*\) ms.*/\1/p' | head -n1
}

boot_id() { lab sh "$1" cat /proc/sys/kernel/random/boot_id; }
incarnation_of() { says "node['n$1']['incarnation']"; }

# Nothing that a restart might have cost has been lost: the same QEMU, still writing, nothing fenced.
untouched() { # NAME QEMU MARK
    must "the same QEMU of $1" [ "$2" = "$(qemus_of "$1")" ]
    history_lacks "$3" '(node-lost|node-fenced|vm-starting|vm-recovering) '
    goes_on "$1"
    clean "$1" 1
}

corosync_restarts() { # K NAME: asked for at another node
    local k=$1 name=$2 from qemu ring
    add_vm "$name" "$k"
    from=$(mark)
    qemu=$(qemus_of "$name")
    ring=$(lab sh "$k" corosync-cmapctl -g runtime.members."$k".joined_count 2>/dev/null || true)
    lab sh "$k" systemctl restart corosync
    within 20 "n$k is online again" is_true "node['n$k']['state'] == 'online' and node['n$k']['in_ring'] and node['n$k']['agent_alive']"
    within 15 'its announcement is cleared' eval "history_since $from | grep -q '^node-back n$k '"
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
    before=$(qemus_of up1; qemus_of up2; qemus_of up3)
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
    must 'the same three QEMUs' [ "$before" = "$(qemus_of up1; qemus_of up2; qemus_of up3)" ]
    history_lacks "$from" '(node-lost|node-fenced|vm-starting|vm-recovering) '
    for k in 1 2 3; do
        goes_on "up$k"
        clean "up$k" 1
        tell "up$k: $(lab disk "up$k" | tail -n1)"
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
