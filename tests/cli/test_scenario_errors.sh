#!/usr/bin/env bash
# tests/cli/test_scenario_errors.sh: what is wrong with a scenario is said with its line and column, and with what it should be.
# Each row: what follows a small cluster (n1, n2, n3, and web on n1; `;` is a new line), and what is said of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
while IFS=$'\t' read -r statements expected; do
    printf 'cluster seed=1\nnode n1\nnode n2\nnode n3\nvm web on n1\n%s\n' "${statements//;/$'\n'}" >"$work/bad"
    status=0
    said=$(cd "$work" && "$OLDPWD/build/stead-sim" run bad 2>&1 >/dev/null) || status=$?
    if [ "$status" != 2 ] || [ "$said" != "bad:$expected" ]; then
        printf '%s\n    exit %s: %s\n    wanted: bad:%s\n' "$statements" "$status" "$said" "$expected" >&2
        exit 1
    fi
    count=$((count + 1))
done <<'ROWS'
at 60s powr n3 off	6:8: unknown event 'powr', did you mean 'power'?
at 60s power n9 off	6:14: there is no node 'n9', did you mean 'n1'?
at 60s power n3 of	6:17: 'of' is neither on nor off
at 60 power n3 off	6:4: '60' is not a time such as 90s, 1500ms or 2m
at 60s power n3 off;at 50s power n3 on	7:4: time runs backwards: the last 'at' was later
node n1	6:6: 'n1' is a node already
vm db on n4	6:10: there is no node 'n4', did you mean 'n1'?
vm db n1	6:7: 'on' is missing here
vm db on n1 mem=4X	6:13: '4X' is not a size such as 512M or 16G
cluster seed=2	6:1: a second 'cluster' line
at 60s heal;node n4	7:1: the setup comes before the first 'at'
expect vm web running on n1|n7	6:26: there is no node 'n7', did you mean 'n1'?
expect vm wob running on n1	6:11: there is no VM 'wob', did you mean 'web'?
expect fenced n1 by magic	6:21: proof wants one or more, with commas between, of storage,power,reborn,clean,operator,watchdog, not 'magic'
run 10s;run 20s	7:1: a second 'run' line
at 60s power n3 off;run 30s	7:1: the last 'at' lies behind the end ('run')
at 60s partition n1,n2	6:18: a partition has two sides or more, as in n1,n2|n3
at 60s partition n1|n1,n2	6:18: a node is on two sides of the partition
at 60s cut n1-n9	6:12: 'n1-n9' is not two nodes of this cluster, as in n1-n3
at 60s clock n1 drift:900000ppm	6:17: '900000' is not a number up to 10000
at 60s clock n1 60s	6:17: '60s' is neither +TIME, -TIME nor drift:200ppm
at 60s storage all silent	6:20: only the path of one node can be silent
at 60s storage n1 lossy:300%	6:19: '300' is not a number up to 100
at 60s object old	6:15: no 'object kept' comes before it
at 60s bmc n1 asleep	6:15: 'asleep' is no BMC: ok, dead, with-host, slow:TIME, lies, lies-off or none
at 60s do node drain n1	6:16: 'drain' is not yet supported
at 60s do vm strt web	6:14: unknown command 'strt', did you mean 'start'?
at 60s qdevice down	6:8: there is no qdevice: say 'cluster qdevice=ffsplit'
rule r1 together vms=web,db	6:1: 'rule' is not yet supported
vm db on n1 want=ignored	6:13: want=ignored is not yet supported
expect refused vm start web	6:1: nobody does 'vm start web' in this story
at 60s freeze n1	6:17: a time is missing here
at 60s heal now	6:13: 'now' is one word too many
expect alarm quorum	6:14: unknown alarm 'quorum', did you mean 'no-quorum'?
vm db on n1 priority=high	6:13: 'high' is not a number up to 1000000
node n4 watchdog=soon	6:9: 'soon' is no watchdog: no, yes, never or late:TIME
at 60s version n1 0	6:19: feature levels begin with 1
at 60s load web cpu=2	6:8: 'load' is not yet supported
at 60s set web mem=2G	6:16: mem of a VM that is there: not yet supported
at 60s set web want=stopped	6:16: want: say 'do vm start' or 'do vm stop'
at 60s set web cpu=2	6:16: 'cpu' is not yet supported
at 60s set web bot=2s	6:16: unknown key 'bot', did you mean 'boot'?
at 60s set web	6:15: KEY=VALUE is missing here
at 60s do vm set web mem=2G	6:14: 'set' is not yet supported
at 60s do config set shutdown_policy=freeze	6:22: 'shutdown_policy' is not yet supported
vm db on n1 stop_fails=2	6:13: '2' is neither yes nor no
at 60s object restored	6:15: no 'object kept' comes before it
at 60s blocklist web off	6:22: only a node's address, or all, can be taken off
at 60s blocklist all on	6:22: all entries can only be taken 'off'
at 60s blocklist n4 on	6:18: there is no node 'n4', did you mean 'n1'?
at 60s monitors down	6:17: 'down' is neither stalled, back, slow:TIME nor late:TIME
at 60s monitors slow:1	6:17: '1' is not a time such as 90s, 1500ms or 2m
at 60s messages gone	6:17: unknown fate 'gone': chance, delivered or lost
at 60s guest web stuck	6:18: unknown deed of a guest 'stuck': poweroff, reboot or panic
cluster2	6:1: unknown statement 'cluster2', did you mean 'cluster'?
bogus	6:1: unknown statement 'bogus': cluster, node, vm, at, run, expect or class
node n4 mem=1G mem=2G	6:16: 'mem' is given twice
node n4 bmc	6:9: 'bmc' wants a value: bmc=…
node n4 pdu2=ok	6:16: pdu2= is the second of two: 'pdu=' is missing here
node n/4	6:6: 'n/4' is not a name: a letter or digit, then letters, digits, '.', '_', '-', 63 at most
vm db on n1 class=gold	6:13: 'gold' is no class: 'class gold proof=…' comes before it
at 60s set web class=gold	6:16: class: say 'do vm class'
at 60s hand	6:12: deed is missing here: start, stop, pause, resume or move
at 60s kill n1 qemu	6:16: there is no VM 'qemu': web
expect node n1 suspended	6:16: unknown word 'suspended': online, offline, fenced, away, unattended, removed, halted or out
run 0s	6:5: '0s' is no time for a story
ROWS
[ "$count" -gt 30 ]
printf 'node n1\n\0at' >"$work/nul"
said=$(build/stead-sim run "$work/nul" 2>&1) && exit 1
[ "$said" = "$work/nul: is not text: it holds a NUL byte" ]

# misuse SAID WORD...: what is said of these words
misuse() {
    said=$(build/stead-sim "${@:2}" 2>&1) && exit 1
    [ "$said" = "stead-sim: $1; see stead-sim --help" ]
}
misuse "swarm has no --seed" swarm --seed 5
misuse "swarm takes options only, not 'more'" swarm more
misuse "kills has no --json" kills --json x
said=$(build/stead-sim run "$work/none" 2>&1) && exit 1
[ "$said" = "$work/none: No such file or directory" ]
