# shellcheck shell=bash
# Three networks, each a bridge in the fabric's namespace; nothing in the machine's own.
#   clu 10.88.1.K  Corosync       node clu0, port cK
#   sto 10.88.2.K  Ceph           node sto0, port sK; mon and osd at .254
#   mgt 10.88.3.K  to the BMCs    node mgt0, port mK; the BMC of node K at .(100+K)

readonly NETS=(clu sto mgt)
readonly QNETD=10.88.3.254 # the qdevice's host, on the network of the BMCs

netns_of() { printf 'sl-n%s' "$1"; }
fabric() { nsenter --net="/run/netns/$FABRIC" -- "$@"; }

fabric_up() {
    ip netns add "$FABRIC"
    fabric sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || true
    {
        echo "link set lo up"
        local net i=0
        # An address of its own: a bridge without one takes its lowest port's, and changes it when
        # a node goes; then all nodes would lose Ceph and the BMCs until their ARP entries expire.
        for net in "${NETS[@]}"; do
            i=$((i + 1))
            echo "link add $net address 02:5e:ad:00:0$i:fe type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
            echo "link set $net up"
        done
        echo "address add 10.88.2.254/24 dev sto"
        echo "address add $QNETD/24 dev mgt"
    } | ip -n "$FABRIC" -batch -
    # A dead BMC is one that hears nothing: it keeps its address, drops every packet,
    # and has no queue of old orders to obey when it comes back.
    fabric nft -f - <<'TXT'
table inet stead_lab {
    set bmc_dead { type ipv4_addr; }
    chain input { type filter hook input priority 0; ip daddr @bmc_dead drop; }
}
table bridge stead_lab {
    set broken { type ifname . ifname; }
    chain forward { type filter hook forward priority 0; iifname . oifname @broken drop; }
}
TXT
}

qnetd_up() {
    mkdir -p "$STATE/qnetd"
    unit_start qnetd "$STATE/qnetd/out.log" nsenter --net="/run/netns/$FABRIC" \
        corosync-qnetd -f -s off -l "$QNETD" -S lock_file="$STATE/qnetd/lock" -S local_socket_file="$STATE/qnetd/socket"
}

qnetd_down() { unit_kill qnetd; }

node_net_up() { # K: a namespace, made anew for each boot: no socket of the last life may speak from it
    local k=$1 ns net i=0
    ns=$(netns_of "$k")
    node_net_down "$k"
    ip netns add "$ns"
    nsenter --net="/run/netns/$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || true
    for net in "${NETS[@]}"; do
        i=$((i + 1))
        # A fixed hardware address per node and network, or the peers' ARP tables would name the last life's.
        echo "link add ${net:0:1}$k type veth peer name ${net}0 address 02:5e:ad:00:0$i:0$k netns $ns"
        echo "link set ${net:0:1}$k master $net up"
    done | ip -n "$FABRIC" -batch -
    i=0
    {
        echo "link set lo up"
        for net in "${NETS[@]}"; do
            i=$((i + 1))
            echo "address add 10.88.$i.$k/24 dev ${net}0"
            echo "link set ${net}0 up"
        done
    } | ip -n "$ns" -batch -
}

node_net_down() { # K: the cables and the namespace
    local k=$1 net ns
    ns=$(netns_of "$k")
    for net in "${NETS[@]}"; do
        ip -n "$FABRIC" link del "${net:0:1}$k" 2>/dev/null || true
    done
    [[ ! -e /run/netns/$ns ]] || ip netns del "$ns"
}

node_net_cut() { # K: all cables at once
    printf 'link set %s down\n' "c$1" "s$1" "m$1" | ip -n "$FABRIC" -force -batch - 2>/dev/null || true
}

link_set() { # K NET up|down
    local port="${2:0:1}$1"
    case $3 in
        up | down) ip -n "$FABRIC" link set "$port" "$3" ;;
        *) die "'$3' is neither up nor down" ;;
    esac
}

path_set() { # FROM TO up|down: what port c(FROM) sends no longer reaches port c(TO)
    local element="{ \"c$1\" . \"c$2\" }"
    case $3 in
        up) fabric nft delete element bridge stead_lab broken "$element" 2>/dev/null || true ;;
        down) fabric nft add element bridge stead_lab broken "$element" ;;
        *) die "'$3' is neither up nor down" ;;
    esac
}

link_state() { # K NET: up or down
    local flags
    flags=$(ip -n "$FABRIC" -o link show "${2:0:1}$1" 2>/dev/null) || { echo none; return 0; }
    [[ $flags =~ [\<,]UP[,\>] ]] && echo up || echo down
}
