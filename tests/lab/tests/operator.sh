# shellcheck shell=bash
# What the operator asks for, and what is refused.

test_vm_verbs() {
    add_vm ask1 2
    must 'stop' stead vm stop ask1 --timeout 1s
    within 15 'it is stopped' vm_is ask1 stopped
    within 5 'its QEMU is gone' no_qemu ask1
    must 'start' stead vm start ask1
    within 20 'it runs' vm_is ask1 running
    within 30 'it writes' wrote ask1 2 50
    must 'removing a running VM is refused' exits 1 stead vm remove ask1
    must 'stop' stead vm stop ask1 --timeout 1s
    within 15 'it is stopped' vm_is ask1 stopped
    clean ask1 2
    must 'remove' stead vm remove ask1
    must 'it is not known any more' is_true "'ask1' not in vm"
    must 'its disk is still there' lab rbd info rbd/ask1
}

test_refusals() {
    must 'an unknown VM' exits 1 stead vm stop nosuch
    must 'is called so' said 'no (such )?VM'
    must 'an unknown VM, shown' exits 1 stead vm show nosuch
    must 'an unknown node' exits 1 stead node unfence nosuch
    must 'a typing error' exits 2 stead vm strat web1
    must 'is understood' said 'did you mean .stead vm start'
    must 'no name' exits 2 stead vm start
    must 'a wrong option' exits 2 stead status --xml x
    must 'neither root nor in the group' exits 1 lab sh 1 setpriv --reuid=65534 --regid=65534 --clear-groups stead status
    must 'is told what it takes' said 'root and members of the group stead'
}

test_no_agent() {
    lab sh 3 systemctl stop stead-agent
    must 'without an agent' exits 3 lab sh 3 stead status
    must 'the remedy' said 'systemctl start stead-agent'
    lab sh 3 systemctl start stead-agent
    within 15 'n3 is back' is_true "node['n3']['state'] == 'online' and node['n3']['agent_alive']"
}

test_json() {
    lab vm json1 1
    local words
    for words in status history 'vm list' 'vm show json1' 'node list' 'node show n2' 'vm stop json1 --timeout 1s' 'vm remove json1'; do
        [[ $words != 'vm remove'* ]] || within 15 'it is stopped' vm_is json1 stopped
        # shellcheck disable=SC2086
        stead $words --json | "$REPO/tests/cli/test_json.py" --real "$(json_object "$words")" || fail "stead $words --json: not as docs/json.md says"
    done
}

json_object() { # WORDS: its heading in docs/json.md
    case $1 in
        'vm show'* | 'node show'*) echo "${1% *}" ;;
        vm\ stop* | vm\ remove*) echo 'every other command' ;;
        *) echo "$1" ;;
    esac
}

test_watch() { # --watch of commands and of status, to a pipe and to a terminal
    add_vm watch1 1
    lab sh 2 timeout 90 stead status --watch >"$WORK/watched" &
    local watching=$!
    must 'stop, until it has stopped' exits 0 stead vm stop watch1 --timeout 1s --watch
    must 'each change is a line' said '^ +[0-9.]+ s  vm watch1: stopped$'
    must 'it is stopped then' vm_is watch1 stopped
    must 'start, until it runs' stead vm start watch1 --watch
    must 'it runs then' vm_is watch1 running
    lab cut 3
    within 15 'n3 is missed' is_true "node['n3']['state'] == 'offline'"
    must 'fence, until it is fenced' stead node fence n3 --watch
    must 'n3 is fenced then' is_true "node['n3']['state'] == 'fenced'"
    must 'what cannot settle is given up' exits 1 stead node unfence n3 --watch --within 2s
    must 'and said so' said 'n3 has not settled within 2'
    must 'Ctrl-C ends the watching only' exits 130 lab sh 1 bash -c 'stead node unfence n3 --watch & sleep 1; kill -INT $!; wait $!'
    must 'and says so' said 'the command goes on'
    lab on 3
    within 60 'n3 is back' is_true "node['n3']['state'] == 'online'"
    kill "$watching"
    grep -q '  node n3: fenced$' "$WORK/watched" || fail "status --watch said nothing of it: $(<"$WORK/watched")"
    lab sh 1 script -qc 'stty rows 12 cols 100; timeout 3 stead status --watch' /dev/null >"$WORK/watched" || true
    grep -q $'\e''\[H.*Now' "$WORK/watched" || fail "status --watch does not draw on a terminal: $(cat -v "$WORK/watched")"
}

test_completion() { # the names that an agent knows
    add_vm compl1 1
    # shellcheck disable=SC2016  # the node's shell expands it
    local script='. /usr/share/bash-completion/completions/stead; COMP_CWORD=3; COMP_WORDS=(stead "$@"); _stead; echo "${COMPREPLY[*]}"'
    must 'VMs' exits 0 lab sh 2 bash -c "$script" x vm stop com
    must 'the one there is' said '^compl1$'
    must 'nodes' exits 0 lab sh 2 bash -c "$script" x node show n
    must 'all of them' said '^n1 n2 n3$'
    lab sh 2 systemctl stop stead-agent
    must 'nothing without an agent, and no complaint' exits 0 lab sh 2 bash -c "$script" x vm stop com
    must 'nothing' said '^$'
    lab sh 2 systemctl start stead-agent
    within 15 'n2 is back' is_true "node['n2']['state'] == 'online'"
}

test_image_missing() {
    lab vm gone1 2 --no-add
    must 'added, not started' stead vm add gone1 --xml /srv/stead-lab/gone1.xml --stopped
    lab vm gone2 2 --no-add
    lab rbd rm --no-progress rbd/gone1
    lab rbd rm --no-progress rbd/gone2
    must 'adding one without an image is refused' exits 1 stead vm add gone2 --xml /srv/stead-lab/gone2.xml
    must 'and told why' said 'image rbd/gone2'
    must 'wanted' stead vm start gone1
    within 20 'the reason is shown' is_true "(vm['gone1']['reason'] or '') != '' and vm['gone1']['state'] != 'running'"
    tell "$(stead vm list | grep gone1)"
    must 'no QEMU' no_qemu gone1
    lab vm gone1 2 --no-add
    within 60 'with its image made again, it starts' vm_is gone1 running
}
