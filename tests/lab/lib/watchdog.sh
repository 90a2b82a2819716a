# shellcheck shell=bash
# A watchdog device per node, where a test asks for one: /dev/watchdog in the node, served by FUSE
# from outside, so that it counts on while the node is frozen. When it expires, it pulls the plug.

watchdog_build() {
    [[ -x $STATE/watchdog ]] || gcc -O2 -o "$STATE/watchdog" "$HERE/watchdog/watchdog.c" \
        $(pkg-config --cflags --libs fuse3) || die "the watchdog cannot be built" "apt-get install libfuse3-dev"
}

watchdog_on() { # K
    watchdog_build
    wait_until 10 node_leader "$1" || die "n$1 has no PID 1 yet" "$0 on $1"
    local leader=$REPLY
    watchdog_off "$1"
    unit_start "wd$1" "$STATE/watchdog$1.log" "$STATE/watchdog" "$leader" /dev/watchdog "$SELF" cut "$1"
}

watchdog_off() { # K: it goes with its node; else it would cut the next life short
    unit_kill "wd$1"
    unit_remove "wd$1"
}
