# shellcheck shell=bash
# Seen red: the same story with an agent whose barrier only says that it stands.

build_without_barrier() { # DIR
    tar -C "$REPO" --exclude='./build*' --exclude=./.git -c . | tar -C "$1" -x
    sed -i 's/if (client_is_none(&node->client)) {.*/if (node != NULL) {/' "$1/fencing/fence.c"
    sed -i '/^static void block_clients/,/^}/s/ASSERT(barrier->lease.state == LEASE_HELD);/& barrier->state = BARRIER_STANDS; return;/' "$1/storage/barrier.c"
    must 'the barrier could be taken out' eval "! cmp -s '$REPO/fencing/fence.c' '$1/fencing/fence.c' && ! cmp -s '$REPO/storage/barrier.c' '$1/storage/barrier.c'"
    make -s -j"$(nproc)" -C "$1" all
}

test_red() {
    mkdir "$WORK/broken"
    build_without_barrier "$WORK/broken"
    STEAD_REPO=$WORK/broken "$LAB" up 3 >/dev/null
    cut_off_and_hung red1
    sleep 2
    lab disk red1 >"$WORK/disk" && fail "without the barrier the disk is clean all the same: $(<"$WORK/disk")"
    tell "$(<"$WORK/disk")"
    must 'it shows two writers at once' grep -qE 'interleavings [1-9]|late [1-9]' "$WORK/disk"
}
