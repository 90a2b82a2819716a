# shellcheck shell=bash
# Settings, alarms, history: what an operator and his monitoring see.

setting_on() { # K NAME VALUE
    [[ $(lab sh "$1" stead config get "$2") = "$3" ]]
}

test_settings() {
    must 'a setting is set' exits 0 stead config set actor_ms 4s
    must 'from what to what' said 'actor_ms: 3s -> 4s, by root'
    local k
    for k in 1 2 3; do
        within 5 "n$k goes by it" setting_on "$k" actor_ms 4s
    done
    must 'who, and when' exits 0 stead config list
    must 'root did' said 'by root'
    must 'an unknown one' exits 1 stead config set aktor_ms 4s
    must 'the nearest and its range' said "did you mean 'actor_ms' \(500ms to 60s\)"
    must 'out of range' exits 1 stead config set actor_ms 1h
    must 'the range' said 'a time from 500ms to 60s'
    must 'against another' exits 1 stead config set able_ms=800ms
    must 'what would mend it' said 'set able_ms to 1s or more, or poll_ms to 400ms or less'
    must 'no value' exits 2 stead config set actor_ms
    lab sh "$(actor)" systemctl kill -s KILL stead-agent
    within 15 'another acts, or it acts again' is_true "d['cluster']['actor'] != ''"
    for k in 1 2 3; do
        within 15 "n$k goes by it still" setting_on "$k" actor_ms 4s
    done
    must 'it is taken back' stead config set actor_ms=default
    within 5 'everywhere' setting_on 2 actor_ms 3s
}

# --- alarms ---------------------------------------------------------------------------------------

check_is() { # CODE [PATTERN...]: of status --check, asked where somebody answers
    local code=0 pattern
    stead status --check >"$WORK/check" 2>&1 || code=$?
    [[ $code = "$1" ]] || return 1
    shift
    for pattern in "$@"; do
        grep -qE -- "$pattern" "$WORK/check" || return 1
    done
}
notify_everywhere() { # a command that keeps what it is told, and agents that know of it
    local k
    for k in 1 2 3; do
        # shellcheck disable=SC2016
        lab sh "$k" sh -c 'printf "#!/bin/sh\ncat >>/var/log/stead-notify\n" >/etc/stead/notify && chmod 0755 /etc/stead/notify
            rm -f /var/log/stead-notify
            grep -q "^.notify" /etc/stead/stead.conf || printf "[notify]\ncommand = /etc/stead/notify\n" >>/etc/stead/stead.conf
            journalctl --update-catalog; systemctl restart stead-agent'
    done
    sleep 3 # until then a peer may still count the last life of an agent
    within 30 'all agents are back' is_true "all(n['state'] == 'online' and n['agent_alive'] for n in node.values())"
}
notified() { # KIND STATE SUBJECT: how often, over all nodes that run
    local k
    for k in 1 2 3; do
        lab sh "$k" cat /var/log/stead-notify 2>/dev/null || true
    done | python3 -c "
import json, sys
told = [json.loads(line) for line in sys.stdin]
print(sum((t['kind'], t['state'], t['subject']) == ('$1', '$2', '$3') for t in told))"
}
notified_once() { [[ $(notified "$@") = 1 ]]; }
alarm_entries() { # K STATE SINCE: of n3's fence in node K's journal, since that second
    lab sh "$1" journalctl -o json --since "@$3" MESSAGE_ID=cba7848aa738551bb5bd372c4aeb84e7 STEAD_SUBJECT=n3 "STEAD_STATE=$2" 2>/dev/null | grep -c node-fenced || true
}

test_alarms() {
    local since # earlier tests had their alarms too
    notify_everywhere
    within 30 'all is well' check_is 0 '^OK: 3 nodes'
    add_vm al1 3
    since=$(date +%s)
    lab cut 3
    recovered al1 3
    within 10 'the fence is an alarm' check_is 1 '^WARNING node-fenced n3: it was fenced and stays out \(since'
    tell "$(grep node-fenced "$WORK/check")"
    must 'and a line of status, with what to do' exits 0 stead status
    must 'which is' said 'do: find out why; then power it on'
    must 'and in JSON' is_true "[a['kind'] for a in d['alarms'] if a['subject'] == 'n3'] == ['node-fenced']"
    within 5 'the command got it, from one node' notified_once node-fenced raised n3
    must 'one journal has it' is_one "$(alarm_entries 1 raised "$since")" "$(alarm_entries 2 raised "$since")"
    must 'and explains it' exits 0 lab sh "$(actor)" journalctl -x MESSAGE_ID=cba7848aa738551bb5bd372c4aeb84e7
    must 'by the catalog' said 'What to do: find out why; then power it on, or stead node unfence NODE'
    lab on 3
    within 90 'it is back and all is well' check_is 0
    within 5 'which the command got too' notified_once node-fenced cleared n3
    lab sh 2 systemctl stop stead-agent
    must 'without an agent' exits 3 lab sh 2 stead status --check
    within 30 'the others miss it' check_is 1 'node-unattended n2'
    lab sh 2 systemctl start stead-agent
    within 30 'no more' check_is 0
    must 'stop' stead vm stop al1 --timeout 1s
}
is_one() { (($1 + $2 == 1)); }

# Storage away on one node: that node tells, the others see it; and its notify command hangs meanwhile.
test_alarm_local() {
    notify_everywhere
    within 30 'all is well' check_is 0
    # shellcheck disable=SC2016
    lab sh 3 sh -c 'printf "#!/bin/sh\ncat >>/var/log/stead-notify\nexec sleep 60\n" >/etc/stead/notify'
    lab storage 3 down
    within 40 'n3 says so' notified_once storage-away raised n3
    within 10 'n1 shows it' check_is 1 'CRITICAL storage-away n3'
    within 5 'n3 answers all the time' exits 1 timeout 3 "$LAB" sh 3 stead status --check
    within 20 'the hanging command is killed, and that is said' lab sh 3 sh -c 'journalctl -u stead-agent | grep -q "was killed: it took longer than 10000 ms"'
    lab storage 3 up
    within 60 'over' check_is 0
    within 15 'and told' notified_once storage-away cleared n3
}

# --- history --------------------------------------------------------------------------------------

test_history() {
    stead config set retry_ms 2s
    sleep 2
    must 'nothing within a second' exits 0 stead history --since 1s --json
    must 'is nothing' said '"history": \[\]'
    must 'within an hour' exits 0 stead history --since 1h
    must 'it is there' said 'retry_ms: 1s -> 2s, by root'
    must 'a bad time' exits 2 stead history --since yesterday
    must 'says what is right' said 'a duration such as 10m, or a time such as 14:30'
    (timeout 8 "$LAB" sh 2 stead history --follow --json --last 1 >"$WORK/followed" 2>&1 || true) &
    local follower=$!
    sleep 2
    stead config set retry_ms=default
    wait "$follower"
    python3 - "$WORK/followed" <<'PY' || fail "followed: $(<"$WORK/followed")"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert [line["cause"].split(",")[0] for line in lines] == ["retry_ms: 1s -> 2s", "retry_ms: 2s -> 1s (default)"], lines
assert lines[1]["sequence"] == lines[0]["sequence"] + 1
PY
}
