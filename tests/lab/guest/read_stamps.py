#!/usr/bin/python3
"""Read a guest's stamps back from its RBD image and judge them.

read_stamps.py NAME [--json] [--consoles FILE...]

The image is opened read-only: no lock is taken and no writer disturbed.
Exit code 0 if the story is clean, 1 if not, 2 if it cannot be read:
  gaps           stamps that should lie between others of the same writer, but don't
  interleavings  a writer's stamps after those of a later writer: two wrote at once
  late           stamps beyond what the next writer's first read had found: they landed after it
  lost           acknowledged on the console, and not on the disk
"""
import argparse
import json
import re
import struct
import sys
import zlib

import rados
import rbd

SLOT = 512
CHUNK = 4 << 20
STAMP = struct.Struct("<8s36s36sQQQQQII")  # struct stamp of stamp.c
MAGIC = b"STEADST1"


class Stamp:
    __slots__ = ("boot", "first_boot", "first_seq", "first_pos", "seq", "pos", "time", "rate")

    def __init__(self, fields):
        _, boot, first_boot, self.first_seq, self.first_pos, self.seq, self.pos, time_ns, self.rate, _ = fields
        self.boot = boot.decode()
        self.first_boot = first_boot.rstrip(b"\0").decode()
        self.time = time_ns / 1e9


def parse(sector):
    """The stamp in a sector, None if it is empty, False if it is torn."""
    fields = STAMP.unpack_from(sector)
    if fields[0] != MAGIC:
        return None if sector.count(0) == SLOT else False
    return Stamp(fields) if zlib.crc32(sector[:STAMP.size - 4]) == fields[-1] else False


def read_image(name):
    """All stamps by position, the number of slots, and of torn ones."""
    stamps, torn = [], 0
    with rados.Rados(name="client.admin", conffile="") as cluster, cluster.open_ioctx("rbd") as pool, \
            rbd.Image(pool, name, read_only=True) as image:
        size = image.size()
        for start in range(0, size, CHUNK):
            chunk = image.read(start, min(CHUNK, size - start))
            if chunk.count(0) == len(chunk):
                continue
            for at in range(0, len(chunk), SLOT):
                stamp = parse(chunk[at:at + SLOT])
                torn += stamp is False
                if stamp:
                    stamps.append(stamp)
    return sorted(stamps, key=lambda s: s.pos), size // SLOT, torn


def read_consoles(paths):
    """The last acknowledged number of each boot, as its console told."""
    acked = {}
    for path in paths:
        boot = None
        with open(path, errors="replace") as lines:
            for line in lines:
                if match := re.search(r"boot ([0-9a-f-]{36})\s*$", line):  # behind what a killed one had begun to say
                    boot = match[1]
                elif boot and (match := re.search(r"\back (\d+)\r?\n", line)):
                    acked[boot] = max(acked.get(boot, 0), int(match[1]))
    return acked


def writers_of(stamps):
    """One dict per boot, in the order they first appear."""
    writers = {}
    for s in stamps:
        w = writers.get(s.boot)
        if not w:
            w = writers[s.boot] = {
                "boot": s.boot, "stamps": 0, "gaps": 0, "pause_s": 0, "rate": s.rate,
                "first_seq": s.seq, "first_pos": s.pos, "first_time": s.time,
                "first_read": {"boot": s.first_boot, "seq": s.first_seq, "pos": s.first_pos} if s.first_pos else None,
            }
        else:
            w["gaps"] += s.seq - w["last_seq"] - 1
            w["pause_s"] = max(w["pause_s"], round(s.time - w["last_time"], 3))
        w["stamps"] += 1
        w["last_seq"], w["last_pos"], w["last_time"] = s.seq, s.pos, s.time
    return writers


def judge(stamps, slots, torn, acked, newest=None):
    oldest = stamps[-1].pos - slots if stamps else 0  # positions up to here were written over
    stamps = [s for s in stamps if newest is None or s.pos <= newest]
    writers = writers_of(stamps)
    interleavings = late = 0
    seen, previous = set(), None
    for s in stamps:
        if previous and s.boot != previous.boot:
            interleavings += s.boot in seen
        seen.add(s.boot)
        previous = s
    for w in writers.values():
        if w["first_pos"] > oldest + 1:
            w["gaps"] += w["first_seq"] - 1
        found = w["first_read"]
        if found and found["boot"] in writers:
            late += max(0, writers[found["boot"]]["last_seq"] - found["seq"])
    lost = 0
    for boot, number in acked.items():
        if boot in writers:
            writers[boot]["acked"] = number
            lost += max(0, number - writers[boot]["last_seq"])
        elif number:
            lost += 0 if oldest > 0 else number  # all of it gone, unless the log has gone round since
    last = stamps[-1] if stamps else None
    result = {
        "stamps": len(stamps), "slots": slots, "writers": list(writers.values()),
        "gaps": sum(w["gaps"] for w in writers.values()), "interleavings": interleavings,
        "late": late, "lost": lost, "torn": torn,
        "last": {"boot": last.boot, "seq": last.seq, "pos": last.pos, "time": last.time} if last else None,
        "duration_s": round(last.time - stamps[0].time, 3) if last else 0,
    }
    result["ok"] = not any(result[fault] for fault in ("gaps", "interleavings", "late", "lost", "torn"))
    return result


def tell(name, result):
    print("%s: %d stamps by %d writer(s) in %.1f s" %
          (name, result["stamps"], len(result["writers"]), result["duration_s"]))
    before = None
    for n, w in enumerate(result["writers"], 1):
        seconds = w["last_time"] - w["first_time"]
        print("  %d. boot %s  seq %d..%d  %d stamps in %.1f s%s%s%s" % (
            n, w["boot"][:8], w["first_seq"], w["last_seq"], w["stamps"], seconds,
            "  (%.0f/s, longest pause %d ms)" % ((w["stamps"] - 1) / seconds, w["pause_s"] * 1000) if seconds > 1 else "",
            "  console acked %d" % w["acked"] if "acked" in w else "",
            "  silent before: %.1f s" % (w["first_time"] - before) if before else ""))
        before = w["last_time"]
    print("  " + "  ".join("%s %d" % (k, result[k]) for k in ("gaps", "interleavings", "late", "lost", "torn")) +
          ("  - NOT CLEAN" if not result["ok"] else "  - clean" if result["stamps"] else "  - nothing written yet"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--consoles", nargs="*", default=[])
    args = parser.parse_args()
    acked = read_consoles(args.consoles)  # before the disk: a writer at work is ahead of its console, never behind
    try:
        stamps, slots, torn = read_image(args.name)
        result = judge(stamps, slots, torn, acked)
        if result["gaps"]:
            # A writer at work may go from one chunk into the next between our reads of the two: what was
            # there by then is looked for again. A real gap stays one.
            newest = stamps[-1].pos
            stamps, slots, torn = read_image(args.name)
            result = judge(stamps, slots, torn, acked, newest)
    except (rados.Error, rbd.Error) as error:
        print("disk: cannot read rbd/%s: %s" % (args.name, error), file=sys.stderr)
        return 2
    result = judge(stamps, slots, torn, acked)
    if args.json:
        print(json.dumps(result))
    else:
        tell(args.name, result)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
