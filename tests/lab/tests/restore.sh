# shellcheck shell=bash
# Between two tests: everything on, plugged in and online, no VM left. What does not heal is made anew.

heal_node() { # K
    "$LAB" thaw "$1" 2>/dev/null || true # it may be off
    "$LAB" bmc "$1" ok
    "$LAB" on "$1" || "$LAB" on "$1" # stead's next try may have met a BMC that answers again, and switched it off
    "$LAB" net "$1" up
    "$LAB" storage "$1" up
    "$LAB" mgmt "$1" up
    "$LAB" sh "$1" chmod 755 /etc/libvirt/hooks/qemu.d/stead
    "$LAB" sh "$1" systemctl start libvirtd stead-agent
}

return_all() { # those that are off, back without a reboot, or were removed
    local k
    for k in 1 2 3; do
        "$LAB" on "$k" --no-wait || true # a slow BMC may have switched it off again: an order from before
        is_true "'n$k' in node" || { "$LAB" sh "$k" stead cluster join || true; continue; }
        ! is_true "node['n$k']['state'] == 'fenced' and node['n$k']['in_ring']" || stead node unfence "n$k" || true
    done
}

all_online() {
    is_true "len(node) == 3 and all(n['state'] == 'online' and n['agent_alive'] for n in d['nodes']) and d['situation'] == 'all is settled'" || {
        return_all
        return 1
    }
}

forget_vms() { # with their disks and consoles: the next test may use the name again
    local name k
    for name in $(says "*vm"); do
        stead vm stop "$name" --timeout 1s || return
        stead vm remove "$name" --no-define || return
        "$LAB" rbd rm --no-progress "rbd/$name" || return
        for k in 1 2 3; do
            "$LAB" sh "$k" rm -f "/var/log/stead-lab/$name.log"
        done
    done
    [[ -z $(says "*vm") ]]
}

restore() {
    local k
    ASK=1
    "$LAB" storage all up
    for k in 1 2 3; do
        heal_node "$k" &
    done
    wait
    ! is_true "'HA is paused' in d['situation']" || stead ha resume
    ! "$LAB" sh 3 test -e /root/good.conf || agents_gone # a test of fence devices failed
    within 45 'all nodes are online' all_online
    within 45 'all VMs are stopped and gone' forget_vms
    for k in 1 2 3; do
        must "n$k is empty" eval "! pgrep -f '^[^ ]*qemu-system' | xargs -r -I{} grep -s /stead-lab/n$k/ /proc/{}/cgroup"
    done
}
