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

stead_form() { # one cluster of all nodes: safe to repeat, stead refuses what is done already
    local k
    node_sh 1 stead cluster init || return
    for ((k = 2; k <= NODES; k++)); do
        node_sh "$k" stead cluster join || return
    done
}
