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
    within 15 'another acts, or it acts again' is_true "cluster['actor'] != ''"
    for k in 1 2 3; do
        within 15 "n$k goes by it still" setting_on "$k" actor_ms 4s
    done
    must 'it is taken back' stead config set actor_ms=default
    within 5 'everywhere' setting_on 2 actor_ms 3s
}
