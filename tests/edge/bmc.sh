#!/bin/bash
# bmc.sh start DIR PORT GUID | stop DIR: a real BMC simulator (OpenIPMI's ipmi_sim) for the edge tests.
#
# On 127.0.0.1:PORT, user admin, password secret, cipher suite 3 only. The machine behind it is four
# files: DIR/power (1 or 0), DIR/delay (seconds each chassis command takes; the simulator answers
# nobody meanwhile), DIR/stuck (if there, switching is accepted and not done), DIR/claims (if there,
# it reads off whatever it is). DIR/commands is what was asked of it, DIR/pid is there to be frozen
# by a test.
set -euo pipefail

usage() { sed -n '2s/^# //p' "$0" >&2; exit 2; }
[[ $# -ge 2 && -n $2 ]] || usage
DIR=$(readlink -m "$2")

conf() { # PORT GUID
    local auth='none md2 md5 straight' privilege
    cat <<TXT
name "edge"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 $1
    priv_limit admin
    guid $2
TXT
    for privilege in callback user operator admin; do
        echo "    allowed_auths_$privilege $auth"
    done
    cat <<TXT
  endlan
  chassis_control "$DIR/chassis"
  user 1 false "" "" user 10 $auth
  user 2 true "admin" "secret" admin 10 $auth
TXT
}

chassis() {
    cat <<'TXT'
#!/bin/sh
# get WHAT... | set WHAT VALUE...
cd "$(dirname "$0")" || exit 1
echo "$*" >>commands
[ ! -s delay ] || sleep "$(cat delay)"
verb=$1
shift
while [ $# -gt 0 ]; do
    case $verb/$1 in
        get/power) [ -e claims ] && echo power:0 || echo "power:$(cat power)" ;;
        get/*) echo "$1:0" ;;
        set/power) [ -e stuck ] || echo "$2" >power; shift ;;
        set/*) shift ;;
    esac
    shift
done
TXT
}

start() { # PORT GUID
    mkdir -p "$DIR/state"
    echo 1 >"$DIR/power"
    : >"$DIR/commands"
    chassis >"$DIR/chassis"
    chmod 0755 "$DIR/chassis"
    conf "$1" "$2" >"$DIR/lan.conf"
    cat >"$DIR/emu" <<'TXT'
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
TXT
    setsid ipmi_sim -n -c "$DIR/lan.conf" -f "$DIR/emu" -s "$DIR/state" \
        </dev/null >"$DIR/out.log" 2>&1 &
    echo $! >"$DIR/pid"
    for _ in {1..100}; do
        kill -0 "$(<"$DIR/pid")" 2>/dev/null || { cat "$DIR/out.log" >&2; exit 1; }
        ! grep -q "$(printf ':%04X ' "$1")" /proc/net/udp || return 0
        sleep 0.05
    done
    echo "ipmi_sim does not listen on port $1" >&2
    exit 1
}

stop() {
    local pid
    [[ -s $DIR/pid ]] || return 0
    pid=$(<"$DIR/pid")
    rm -f "$DIR/pid"
    kill -KILL "$pid" 2>/dev/null || true # frozen perhaps, so TERM might wait for ever
}

case $1 in
    start) [[ $# -eq 4 ]] || usage; start "$3" "$4" ;;
    stop) stop ;;
    *) usage ;;
esac
