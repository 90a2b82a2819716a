# shellcheck shell=bash
# stead itself: from the build folder into the nodes, and the cluster made of them.

stead_built() { [[ -x $REPO/build/stead-agent ]]; }

stead_stage() { # what `make install` gives, kept beside the nodes' disks
    rm -rf "${STATE:?}/stage"
    mkdir -p "$STATE/stage"
    make -s -C "$REPO" install DESTDIR="$STATE/stage" PREFIX=/usr >"$STATE/install.log" 2>&1 ||
        die "make install failed" "see $STATE/install.log"
    # /lib, /bin, /sbin are links into /usr: a folder of that name would take the link's place on a node.
    local dir
    for dir in lib bin sbin; do
        [[ -d $STATE/stage/$dir && -L /$dir ]] || continue
        mkdir -p "$STATE/stage/usr/$dir"
        cp -a "$STATE/stage/$dir/." "$STATE/stage/usr/$dir/"
        rm -rf "${STATE:?}/stage/$dir"
    done
}

stead_install() { # into the running nodes, agents restarted; disks of nodes that are off get it too
    local k
    stead_built || die "stead is not built" "make -C $REPO"
    stead_stage
    for ((k = 1; k <= NODES; k++)); do
        if node_alive "$k"; then
            tar -C "$STATE/stage" -c . | node_sh "$k" tar -C / -x --no-same-owner
            node_sh "$k" sh -c 'systemctl daemon-reload; systemctl enable -q stead-agent; systemctl restart stead-agent' ||
                warn "n$k: stead-agent does not start (lab log $k)"
        else
            cp -a --remove-destination "$STATE/stage/." "$DISKS/n$k/upper/"
            rootfs_enable "$DISKS/n$k/upper" multi-user.target stead-agent.service
        fi
    done
}

# A step of forming the cluster: asked again while the agent is still finding its feet, and good
# too if it was done before.
stead_step() { # K WORDS...
    local k=$1
    shift
    wait_until 30 stead_asked "$k" "$@" && return
    warn "n$k: stead $*: $(<"$RUN/form")"
    return 1
}

stead_asked() { # K WORDS...: its answer is kept in $RUN/form
    local k=$1
    shift
    node_sh "$k" stead "$@" >"$RUN/form" 2>&1 || grep -qw already "$RUN/form"
}

stead_form() { # one cluster of all nodes
    local k
    stead_step 1 cluster init || return
    for ((k = 2; k <= NODES; k++)); do
        stead_step "$k" cluster join || return
    done
    stead_step 1 config set flap_ms 0 # here a node dies every minute, and is not the worse for it
    stead_step 1 config set fence_budget 64
}
