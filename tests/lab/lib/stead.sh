# shellcheck shell=bash
# stead itself: from the build folder into the nodes, and the cluster made of them.

stead_built() { [[ -x $REPO/build/stead-agent ]]; }

stead_stage() { # what `make install` gives, kept beside the nodes' disks
    rm -rf "${STATE:?}/stage"
    mkdir -p "$STATE/stage"
    make -s -C "$REPO" install DESTDIR="$STATE/stage" PREFIX=/usr >"$STATE/install.log" 2>&1 ||
        die "make install failed" "see $STATE/install.log"
}

stead_install() { # into the running nodes, agents restarted; disks of nodes that are off get it too
    local k
    stead_built || die "stead is not built" "make -C $REPO"
    stead_stage
    for ((k = 1; k <= NODES; k++)); do
        if node_alive "$k"; then
            tar -C "$STATE/stage" -c . | node_sh "$k" tar -C / -x --no-same-owner --unlink-first
            node_sh "$k" sh -c 'systemctl daemon-reload; systemctl enable -q stead-agent; systemctl restart stead-agent' ||
                warn "n$k: stead-agent does not start (lab log $k)"
        else
            cp -a --remove-destination "$STATE/stage/." "$DISKS/n$k/upper/"
            rootfs_enable_upper "$k"
        fi
    done
}

rootfs_enable_upper() { # the same link as rootfs_enable makes, on the disk of a node that is off
    local wants=$DISKS/n$1/upper/etc/systemd/system/multi-user.target.wants
    mkdir -p "$wants"
    ln -sfn /lib/systemd/system/stead-agent.service "$wants/stead-agent.service"
}

stead_form() { # one cluster of all nodes: safe to repeat, stead refuses what is done already
    local k
    node_sh 1 stead cluster init || return
    for ((k = 2; k <= NODES; k++)); do
        node_sh "$k" stead cluster join || return
    done
}
