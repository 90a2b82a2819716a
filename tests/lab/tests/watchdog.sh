# shellcheck shell=bash
# The proof `watchdog`: each node has a keeper and a watchdog device that cuts its power.

WATCHDOG_MS=6000 FIRES_MS=8000

keepers() { # armed, and known to be
    local k from
    from=$(mark)
    for k in 1 2 3; do
        lab watchdog "$k" on
        lab sh "$k" systemctl start stead-keeper
    done
    stead config set watchdog_ms ${WATCHDOG_MS}ms
    stead config set watchdog_fires_ms ${FIRES_MS}ms
    stead config set proof "$1"
    within 20 'three watchdogs are committed' eval "(( \$(history_since $from | grep -c '^node-watchdog n[123] - watchdog of n[123] armed') >= 3 ))"
}

let_go() { # K: by its keeper, or it went with its node
    awk '$2 ~ /armed|closed|expired|gone/ {last = $2} END {exit last == "armed" || last == "closed,"}' "$(watchdog_log "$1")"
}

no_keepers() { # let go by a committed off, not by force
    local k
    stead config set proof default
    for k in 1 2 3; do
        within 20 "the watchdog of n$k is let go" let_go "$k"
        lab watchdog "$k" off
    done
    stead config set watchdog_fires_ms default
    stead config set watchdog_ms default
}

watchdog_log() { printf '%s/watchdog%s.log' "$(cat /run/stead-lab/dir)" "$1"; }
watchdog_us() { # K MARK_US WORD: when its device said that, since then
    awk -v since="$2" -v word="$3" '{at = $1; sub(/\./, "", at)} $2 == word && at >= since {print at; exit}' "$(watchdog_log "$1")"
}
expired() { [[ -n $(watchdog_us "$1" "$2" expired) ]]; }
ms_between() { echo $((($2 - $1) / 1000)); }

keeper_us() { # K MARK_US PATTERN: when its keeper first said that
    lab sh "$1" journalctl -q -u stead-keeper -o short-unix --since "@$(($2 / 1000000))" |
        grep -E -- "$3" | awk -v since="$2" '{sub(/\./, "", $1); if ($1 >= since) {print $1; exit}}'
}

# Every BMC is dead, and n3 hangs and is cut off: nothing but its watchdog ends it.
test_watchdog_alone() {
    local k from cut fired lost resumed host
    for k in 1 2 3; do lab bmc "$k" dead; done
    keepers watchdog
    add_vm dog1 3
    from=$(mark)
    kill -STOP "$(agent_pid 3)"
    cut=$(now_us)
    lab net 3 down
    within 15 'n3 is lost' eval "history_since $from | finds '^node-lost n3'"
    within 15 'its watchdog cuts n3' expired 3 "$cut"
    must 'dog1 runs nowhere yet' eval "! vm_runs_off dog1 3"
    recovered dog1 3 30
    host=$(says "vm['dog1']['node'][1:]")
    fired=$(watchdog_us 3 "$cut" expired)
    lost=$(journal_us "$(actor)" "$cut" 'takes term.* lost')
    resumed=$(journal_us "$host" "$cut" 'vm dog1: resume -> up')
    history_has "$from" 'node-fenced n3 - n3 fenced, proof: storage\+watchdog'
    tell "n3 was lost $(ms_between "$cut" "$lost") ms after the cut; its watchdog cut it $(ms_between "$cut" "$fired") ms after it"
    tell "$(history_since "$from" | grep -o 'watchdog: [0-9]* ms since.*')"
    tell "the guest was resumed $(ms_between "$lost" "$resumed") ms after the loss, $(ms_between "$fired" "$resumed") ms after the watchdog"
    must 'resumed only after the watchdog had fired' [ "$resumed" -gt "$fired" ]
    must 'and not before the deadline' [ "$(ms_between "$lost" "$resumed")" -ge $((FIRES_MS + 2000)) ]
    clean dog1 2
    lab on 3
    within 60 'n3 is back' node_is 3 online
    no_keepers
}

agent_ends_for_good() { # K: killed, and nobody starts it again
    lab sh "$1" chmod -x /usr/sbin/stead-agent
    kill -KILL "$(agent_pid "$1")"
}

# Without its agent a host goes on, unless the policy counts on its watchdog.
test_watchdog_agent_killed() {
    local killed stopped
    add_vm dog2 3
    killed=$(now_us)
    agent_ends_for_good 3
    sleep 12
    must 'policy storage: n3 and its guest go on' eval '! no_qemu dog2 3'
    goes_on dog2
    lab sh 3 sh -c 'chmod +x /usr/sbin/stead-agent; systemctl restart stead-agent'
    within 30 'n3 is online' node_is 3 online
    keepers watchdog
    killed=$(now_us)
    agent_ends_for_good 3
    within 15 'policy watchdog: n3 is reset' expired 3 "$killed"
    stopped=$(watchdog_us 3 "$killed" expired)
    tell "agent killed for good: its host was reset $(ms_between "$killed" "$stopped") ms later (timeout $WATCHDOG_MS ms, fresh_ms 1000)"
    must 'not before the timeout' [ "$(ms_between "$killed" "$stopped")" -ge $((WATCHDOG_MS - 700)) ]
    must 'and within it and fresh_ms' [ "$(ms_between "$killed" "$stopped")" -le $((WATCHDOG_MS + 1500)) ]
    recovered dog2 3 40
    clean dog2 2
    chmod +x "$(cat /run/stead-lab/dir)/nodes/n3/upper/usr/sbin/stead-agent"
    lab on 3
    within 60 'n3 is back' node_is 3 online
    no_keepers
}

# A keeper that dies costs nothing where all is well: systemd starts it again, and its agent has the device armed anew.
test_watchdog_keeper_killed() {
    local killed from pid
    keepers watchdog
    add_vm dog4 3
    from=$(mark)
    pid=$(lab sh 3 systemctl show -p MainPID --value stead-keeper)
    killed=$(now_us)
    lab sh 3 kill -KILL "$pid"
    within 5 'its device is armed anew' eval "[ -n \"\$(watchdog_us 3 $killed armed)\" ]"
    tell "armed anew $(ms_between "$(watchdog_us 3 "$killed" closed,)" "$(watchdog_us 3 "$killed" armed)") ms after its keeper died (timeout $WATCHDOG_MS ms)"
    within 10 'it is fed' eval "[ -n \"\$(keeper_us 3 $killed 'armed -> feeding')\" ]"
    sleep $((WATCHDOG_MS / 1000 + 2))
    must 'n3 was not reset' not expired 3 "$killed"
    must 'n3 is online' node_is 3 online
    must 'its watchdog is counted on' eval "! history_since $from | grep '^node-watchdog n3' | tail -n 1 | finds ' off'"
    history_lacks "$from" 'node-(lost|fenced)'
    goes_on dog4
    clean dog4 1
    no_keepers
}

# Corosync stands still on one node: no heartbeat is answered, so nobody vouches for it any more.
test_watchdog_corosync_hangs() {
    local stopped expired_at pid feed_ms=600
    lab bmc 3 dead # should it be taken for lost after all
    keepers watchdog
    add_vm dog3 3
    mapfile -t pid < <(on_node 3 $(pgrep -x corosync))
    stopped=$(now_us)
    kill -STOP "${pid[@]}"
    sleep 1.2 # Corosync's own token and consensus take 2.1 s: nobody is lost
    kill -CONT "${pid[@]}"
    within 20 'n3 is in the ring' is_true "node['n3']['in_ring'] and node['n3']['agent_alive']"
    expired_at=$(keeper_us 3 "$stopped" 'feeding -> expired')
    must 'the keeper fed no more' [ -n "$expired_at" ]
    tell "Corosync stopped: the keeper's word ran out $(ms_between "$stopped" "$expired_at") ms later, of $((1000 + feed_ms)) ms (fresh_ms and one feed): margin $((1000 + feed_ms - $(ms_between "$stopped" "$expired_at"))) ms"
    must 'within fresh_ms and one feed' [ "$(ms_between "$stopped" "$expired_at")" -le $((1000 + feed_ms)) ]
    within 10 'and it is vouched for again' eval "[ -n \"\$(keeper_us 3 $stopped 'expired -> feeding')\" ]"
    must 'n3 was not reset' eval "! expired 3 $stopped"
    ! node_is 3 fenced || comes_back 3 # on a busy machine it may have been too long
    within 30 'all nodes are online' is_true "all(n['state'] == 'online' for n in d['nodes'])"
    no_keepers
}
