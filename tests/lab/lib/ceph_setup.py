#!/usr/bin/python3
"""The first commands to a new Ceph, over one connection: a `ceph` call costs 0.3 s of start-up each.

mon UUID        make the osd known, and the pools
osd             wait until the osd serves, and write to each pool
pace SOCK SEC   set the mon's proposal interval from now on
"""
import json
import socket
import struct
import sys
import time

import rados
import rbd

POOLS = {"rbd": "rbd", "stead": "stead"}


def connect():
    cluster = rados.Rados(name="client.admin", conffile="")
    cluster.connect(timeout=30)
    return cluster


def command(cluster, **words):
    code, out, err = cluster.mon_command(json.dumps(words), b"", timeout=30)
    if code:
        sys.exit("ceph %s: %s (%d)" % (words["prefix"], err, code))
    return out


def setup_mon(uuid):
    cluster = connect()
    command(cluster, prefix="osd new", uuid=uuid, id=0)
    for pool, application in POOLS.items():
        command(cluster, prefix="osd pool create", pool=pool, pg_num=8, pgp_num=8, pool_type="replicated", size=1)
        command(cluster, prefix="osd pool application enable", pool=pool, app=application)


def setup_osd():
    cluster = connect()
    deadline = time.monotonic() + 60
    while not json.loads(command(cluster, prefix="osd stat", format="json")).get("num_up_osds"):
        if time.monotonic() > deadline:
            sys.exit("ceph: the osd does not come up")
        time.sleep(0.03)
    # A new connection: one that saw the osd down looks again only every 5 s.
    cluster = connect()
    for pool in POOLS:
        with cluster.open_ioctx(pool) as pool_io:
            pool_io.write_full("lab-ready", b"x")
            pool_io.remove_object("lab-ready")
    with cluster.open_ioctx("rbd") as pool_io:
        rbd.RBD().pool_init(pool_io, False)


def pace(path, seconds):
    words = {"prefix": "config set", "var": "paxos_propose_interval", "val": [seconds]}
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(10)
        admin.connect(path)
        admin.sendall(json.dumps(words).encode() + b"\0")
        size, = struct.unpack(">I", admin.recv(4, socket.MSG_WAITALL))
        answer = admin.recv(size, socket.MSG_WAITALL)
    if b"error" in answer.lower():
        sys.exit("ceph: " + answer.decode())


if __name__ == "__main__":
    {"mon": setup_mon, "osd": setup_osd, "pace": pace}[sys.argv[1]](*sys.argv[2:])
