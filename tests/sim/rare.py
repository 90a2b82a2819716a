#!/usr/bin/env python3
"""rare.py: is each pair of a state and an event that the swarm hardly meets met by a scenario, or has it a reason?

    tests/sim/rare.py SIM [SWARM_OUTPUT…]

tests/sim/rare has a line per pair, or for several: machine, state, event and form as `stead-sim swarm --coverage` prints them
(`a|b`: either, `*`: any), then `scenario NAME…` or `why: …`. That each line names a pair, and that its scenarios meet it, is always
looked at. With the output of swarms, --coverage and whole, so is that each pair which they met fewer than 10 times in 100,000 seeds,
or the like share of fewer, has a line; and that they met none that the table in sim_coverage.c calls impossible."""
import fnmatch, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
SCENARIOS = os.path.join(HERE, "..", "scenarios")
FEW, OF_SEEDS = 10, 100000
HIT = re.compile(r"^([a-z]+) +(\S+) +(\S+) +(\S+) +(\d+)( impossible)?$", re.M)


def hits(text):
    return {hit[:4]: int(hit[4]) for hit in HIT.findall(text)}


def met_by(sim, names):
    files = [os.path.join(SCENARIOS, name + ".stead") for name in names]
    done = subprocess.run([sim, "run", "--json", "--coverage", *files], stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode != 0:
        sys.exit(f"rare.py: {' '.join(names)}: does not hold, or is no scenario")
    return hits(done.stdout)


def matches(patterns, pair):
    return all(any(fnmatch.fnmatchcase(word, one) for one in pattern.split("|")) for pattern, word in zip(patterns, pair))


def read_lines():
    with open(os.path.join(HERE, "rare"), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.split()
            if words and not line.startswith("#"):
                if len(words) < 6 or words[4] not in ("scenario", "why:"):
                    sys.exit(f"tests/sim/rare:{number}: not MACHINE STATE EVENT FORM and `scenario NAME…` or `why: …`")
                yield number, words[:4], words[5:] if words[4] == "scenario" else []


def main(sim, outputs):
    lines = list(read_lines())
    pairs = hits(subprocess.run([sim, "swarm", "--seeds", "1..1", "--coverage"], stdout=subprocess.PIPE, encoding="utf-8").stdout)
    wrong = []
    for number, patterns, scenarios in lines:
        named = [pair for pair in pairs if matches(patterns, pair)]
        met = met_by(sim, scenarios) if scenarios and named else {}
        if not named:
            wrong.append(f"tests/sim/rare:{number}: there is no such pair")
        wrong += [f"tests/sim/rare:{number}: {' '.join(pair)}: not met" for pair in named if scenarios and not met.get(pair)]
    seeds, counts = 0, {}
    for output in outputs:
        with open(output, encoding="utf-8") as file:
            text = file.read()
        seeds += sum(map(int, re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M)[-1]))
        wrong += [f"{' '.join(hit[:4])}: met, and called impossible" for hit in HIT.findall(text) if hit[5]]
        for pair, count in hits(text).items():
            counts[pair] = counts.get(pair, 0) + count
    for pair, count in counts.items():
        if count * OF_SEEDS < FEW * seeds and not any(matches(patterns, pair) for _, patterns, _ in lines):
            wrong.append(f"{' '.join(pair)}: met {count} times in {seeds} seeds, and not in tests/sim/rare")
    print("\n".join(wrong + [f"{len(lines)} lines looked at, {len(wrong)} complaints"]))
    return bool(wrong)


sys.exit(main(sys.argv[1], sys.argv[2:]))
