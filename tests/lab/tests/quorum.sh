# shellcheck shell=bash
# Hosts without a quorum: where nobody has one every guest stands still and goes on; where the others have one, each runs once elsewhere.

each_node() { # CMD...: for all three at the same time; K stands for its number
    local k
    for k in 1 2 3; do "${@//K/$k}" & done
    wait
}

one_each() { # PREFIX: a guest on each node, all writing; three booting at once are slow
    local k
    for k in 1 2 3; do lab vm "$1$k" "$k" 96 50; done
    for k in 1 2 3; do within 120 "the guest of $1$k writes" wrote "$1$k" 1 50; done
}

domain_is() { [[ $(lab sh "$2" virsh domstate "$1" 2>/dev/null) = "$3" ]]; } # NAME K STATE
all_are() { domain_is "${1}1" 1 "$2" && domain_is "${1}2" 2 "$2" && domain_is "${1}3" 3 "$2"; }
stood_still() { lab log "$1" --since "@$(($2 / 1000000))" | grep -cF 'guests stand still' || true; } # K SINCE_US

# Every guest is the QEMU it was and has lost nothing, and nobody was fenced.
all_untouched() { # PREFIX QEMUS MARK
    local k
    for k in 1 2 3; do
        within 20 "$1$k runs" domain_is "$1$k" "$k" running
        must "the same QEMU of $1$k" [ "$(sed -n "${k}p" <<<"$2")" = "$(qemus_of "$1$k")" ]
        goes_on "$1$k"
        clean "$1$k" 1
        tell "$1$k: longest gap between two writes $(longest_pause "$1$k") ms by its own clock, which stands still with it"
    done
    history_lacks "$3" '(node-lost|node-fenced|vm-starting|vm-recovering|vm-ended) '
}

qemus_each() { # PREFIX
    local k
    for k in 1 2 3; do qemus_of "$1$k"; done
}

still_ms() { # K NAME SINCE_US: from its host's word until it goes on
    ms_between "$(journal_us "$1" "$3" 'guests stand still')" "$(journal_us "$1" "$3" "vm $2: goes on")"
}

links_back() { # HOW: at once, or the last one so late that the others have a quorum before
    if [[ $1 != late ]]; then
        each_node lab net K up
    else
        lab net 1 up && lab net 2 up
        within 10 'n1 and n2 have a quorum' eval "domain_is ${2}1 1 running"
        lab net 3 up
    fi
}

# All cluster links are out for so long, and the storage's, too, where $3 is "storage".
nobody_quorate() { # PREFIX SECONDS [storage|late]
    local from since qemus k
    one_each "$1"
    from=$(mark)
    qemus=$(qemus_each "$1")
    since=$(now_us)
    each_node lab net K down
    [[ ${3:-} != storage ]] || each_node lab storage K down
    if (($2 > 5)); then
        within 10 'all stand still' all_are "$1" paused
        tell "$(lab sh 1 stead vm list | grep "${1}1")"
        sleep 3
        lab sh 1 stead vm show "${1}1" --json >"$WORK/said"
        must 'it says so' said '"state": *"suspended"'
        must 'an alarm says so' eval "lab sh 1 stead status --json | finds guests-suspended"
        sleep $(($2 - ($(now_us) - since) / 1000000))
        must 'they stand still yet' all_are "$1" paused
    else
        sleep "$2"
    fi
    [[ ${3:-} != storage ]] || each_node lab storage K up
    links_back "${3:-}" "$1"
    within 40 'all are in one ring' is_true "all(n['in_ring'] and n['agent_alive'] for n in d['nodes'])"
    within 40 'all run' all_are "$1" running
    for k in 1 2 3; do
        must "the guests of n$k stood still" [ "$(stood_still "$k" "$since")" -ge 1 ]
        tell "$1$k stood still for $(still_ms "$k" "$1$k" "$since") ms"
    done
    all_untouched "$1" "$qemus" "$from"
    history_has "$from" 'node-readmitted n1 ' 'node-readmitted n2 ' 'node-readmitted n3 '
    tell "$(history_since "$from" | grep '^node-readmitted')"
}

test_blip() { # shorter than Corosync's token (1 s), cables and all: nobody notices
    local from since qemus k
    one_each blip
    from=$(mark)
    qemus=$(qemus_each blip)
    since=$(now_us)
    each_node lab net K down
    sleep 0.3
    each_node lab net K up
    sleep 8
    for k in 1 2 3; do
        must "the guests of n$k ran on" [ "$(stood_still "$k" "$since")" = 0 ]
    done
    all_untouched blip "$qemus" "$from"
}

test_no_quorum_anywhere() { nobody_quorate still 3; }
test_no_quorum_and_one_late() { nobody_quorate late 3 late; }
test_no_quorum_for_a_minute() { nobody_quorate long 60; }
test_no_quorum_nor_storage_shortly() { nobody_quorate short 3 storage; }
test_no_quorum_nor_storage() { nobody_quorate both 60 storage; }

tell_takeover() { # NAME SINCE_US
    local host lost
    host=$(says "vm['$1']['node'][1:]")
    lost=$(journal_us 3 "$2" 'self: admitted -> lost')
    tell "$1 runs on n$host $(ms_between "$2" "$(journal_us "$host" "$2" "vm $1: resume -> up")") ms after that; n3 knew after $(ms_between "$2" "$lost") ms that it was given up"
}

test_cut_for_three_seconds() { # the rest is quorate: its guest is started there, once, and ended here
    local from since
    add_vm three3 3 0
    ASK=1
    ! acts 3 || lab sh 3 systemctl restart stead-agent
    within 15 'another than n3 acts' not acts 3
    from=$(mark)
    lab bmc 3 dead
    since=$(now_us)
    lab net 3 down
    sleep 3
    lab net 3 up
    recovered three3 3
    within 15 'the old side ends its guest' no_qemu three3 3
    must 'one QEMU' runs_once three3
    must 'one start' [ "$(started_times "$from" three3)" = 1 ]
    tell_takeover three3 "$since"
    clean three3 2
    comes_back 3
}

test_corosync_stopped() { # a Corosync that hangs says nothing: the storage does
    local from pid since
    add_vm hang3 3 0
    ASK=1
    ! acts 3 || lab sh 3 systemctl restart stead-agent
    within 15 'another than n3 acts' not acts 3
    from=$(mark)
    lab bmc 3 dead
    pid=$(lab sh 3 pidof corosync)
    since=$(now_us)
    lab sh 3 kill -STOP "$pid"
    recovered hang3 3
    within 15 'the old side ends its guest' no_qemu hang3 3
    must 'one start' [ "$(started_times "$from" hang3)" = 1 ]
    tell_takeover hang3 "$since"
    clean hang3 2
    lab sh 3 kill -CONT "$pid"
    comes_back 3
}
