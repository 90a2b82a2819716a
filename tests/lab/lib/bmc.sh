# shellcheck shell=bash
# A BMC per node: OpenIPMI's simulator in the fabric, at 10.88.3.(100+K), UDP 623.
# It switches the node through the hook below, and lives on when its node is dead.
# Cipher suite 3 only: ask with `ipmitool -I lanplus -C 3`, FreeIPMI with `-W opensesspriv`.

readonly BMCS=$STATE/bmc

bmc_address() { printf '10.88.3.%s' $((100 + $1)); }

# The simulator sends the sixteen bytes of `guid` as they stand there, to Get System GUID only
# (Get Device GUID is refused), so the order is ours to choose.
bmc_guid() { # K: the node's UUID, as bytes in the order of the wire
    local u a
    u=$(node_uuid "$1" | tr -d -)
    case $BMC_GUID in
        rfc4122) printf %s "$u" ;;
        # IPMI 2.0 table 20-10: the whole UUID last byte first.
        # FreeIPMI and ipmitool (which guesses) both read this one back as the UUID itself.
        ipmi) for ((a = 30; a >= 0; a -= 2)); do printf %s "${u:a:2}"; done ;;
        # SMBIOS, and so many a real BMC: the first three fields little-endian, the rest as written.
        smbios) printf %s "${u:6:2}${u:4:2}${u:2:2}${u:0:2}${u:10:2}${u:8:2}${u:14:2}${u:12:2}${u:16}" ;;
        *) die "BMC_GUID=$BMC_GUID is none of ipmi, smbios, rfc4122" ;;
    esac
}

bmc_start() { # K
    local k=$1 dir=$BMCS/n$1
    mkdir -p "$dir/state"
    echo ok >"$dir/mode"
    (umask 077 && bmc_conf "$k" "$dir" >"$dir/lan.conf")
    printf '#!/bin/sh\nexec %q _chassis %s "$@"\n' "$SELF" "$k" >"$dir/chassis"
    chmod 0755 "$dir/chassis"
    cat >"$dir/emu" <<'TXT'
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
TXT
    ip -n "$FABRIC" address add "$(bmc_address "$k")/24" dev mgt
    unit_start "bmc$k" "$dir/out.log" nsenter --net="/run/netns/$FABRIC" \
        ipmi_sim -n -c "$dir/lan.conf" -f "$dir/emu" -s "$dir/state"
}

bmc_conf() { # K DIR
    local auth='none md2 md5 straight' priv
    cat <<TXT
name "stead-lab-n$1"
set_working_mc 0x20
  startlan 1
    addr $(bmc_address "$1") 623
    priv_limit admin
    guid $(bmc_guid "$1")
TXT
    for priv in callback user operator admin; do
        echo "    allowed_auths_$priv $auth"
    done
    cat <<TXT
  endlan
  chassis_control "$2/chassis"
  user 1 false "" "" user 10 $auth
  user 2 true "ADMIN" "$BMC_PASSWORD" admin 10 $auth
TXT
}

bmc_mode() { # K MODE
    local k=$1 mode=$2 element
    element="{ $(bmc_address "$k") }"
    case $mode in
        ok | lies | lies-off | dead) ;;
        slow:*) [[ ${mode#slow:} =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "'$mode': how many seconds?" "$0 bmc $k slow:5" ;;
        *) die "a BMC can be ok, dead, slow:SEC, lies or lies-off, not '$mode'" ;;
    esac
    fabric nft delete element inet stead_lab bmc_dead "$element" 2>/dev/null || true
    [[ $mode != dead ]] || fabric nft add element inet stead_lab bmc_dead "$element"
    rm -f "$BMCS/n$k/told-off"
    echo "$mode" >"$BMCS/n$k/mode"
}

# The hook: `_chassis K get WHAT...` prints WHAT:VALUE, `_chassis K set WHAT VALUE...` does it.
# The simulator waits for it and answers nobody meanwhile, as a busy BMC would.
bmc_chassis() {
    local k=$1 verb=$2 mode
    shift 2
    mode=$(<"$BMCS/n$k/mode")
    [[ $mode != slow:* ]] || sleep "${mode#slow:}"
    case $verb in
        get) bmc_get "$k" "$mode" "$@" ;;
        set) bmc_set "$k" "$mode" "$@" ;;
    esac
}

bmc_get() { # K MODE WHAT...
    local k=$1 mode=$2 what
    shift 2
    for what in "$@"; do
        case $what in
            power)
                if node_alive "$k" && [[ $mode != lies-off || ! -e $BMCS/n$k/told-off ]]; then
                    echo power:1
                else
                    echo power:0
                fi
                ;;
            boot) echo boot:default ;;
            *) echo "$what:0" ;;
        esac
    done
}

bmc_set() { # K MODE WHAT VALUE...: a liar says yes and does nothing
    local k=$1 mode=$2
    shift 2
    while [[ $# -ge 2 ]]; do
        case $mode/$1/$2 in
            lies-off/power/0) touch "$BMCS/n$k/told-off" ;;
            lies-off/power/1) rm -f "$BMCS/n$k/told-off" ;;
            lies*) ;;
            */power/0) node_locked "$k" node_off "$k" ;;
            */power/1) node_locked "$k" node_on "$k" ;;
            */shutdown/*) node_try "$k" systemctl --no-block poweroff & ;; # answered before it is done
            */reset/*)
                node_locked "$k" node_off "$k"
                node_locked "$k" node_on "$k"
                ;;
        esac
        shift 2
    done
} >/dev/null
