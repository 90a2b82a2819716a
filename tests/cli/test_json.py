#!/usr/bin/python3
"""Compares docs/json.md with what `stead --json` prints.

    tests/cli/test_json.py SAMPLES       both ways: every object of tests/cli/json_samples.c
    tests/cli/test_json.py --real NAME   one object from standard input has no key that is not documented"""
import json, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
PLAIN = {"number": (int, float), "string": str, "bool": bool}
# Which words a key may hold: every one in these functions; of those that fill in more, each that is set as the state.
WORD = r'"([a-z-]+)"'
STATE = r'->state = lent\("([a-z-]+)"\)'
WORDS = {
    ("NODE", "state"): [("agent/query.c", "query_node_word", WORD), ("agent/status_io.c", "fill_strangers", STATE)],
    ("VM", "state"): [("agent/query.c", "query_vm_word", WORD), ("agent/status_io.c", "fill_vm", STATE)],
    ("status", "state_object"): [("agent/query.c", "query_state_word", WORD)],
    ("FENCE DEVICE", "standing"): [("agent/status_io.c", "fill_devices", WORD)],
}
NEVER = {"unknown"}  # of a free slot, which is not shown


def documented():
    """{heading: {key: type}}"""
    objects, heading = {}, None
    with open(os.path.join(ROOT, "docs", "json.md")) as file:
        for line in file:
            if line.startswith("### "):
                heading = line[4:].strip()
                objects[heading] = {}
            elif heading and (row := re.match(r"\| `(\w+)` \| ([^|]+?) \|", line)):
                objects[heading][row[1]] = row[2]
    return objects


def check(objects, heading, value, path, used, wrong):
    used.add(heading)
    if heading not in objects:
        wrong.append(f"{path}: docs/json.md has no object '{heading}'")
        return
    for key in value.keys() - objects[heading].keys():
        wrong.append(f"{path}.{key}: printed, and not in the table of '{heading}'")
    for key in objects[heading].keys() & value.keys():
        check_type(objects, objects[heading][key], value[key], f"{path}.{key}", used, wrong)


def check_type(objects, kind, value, path, used, wrong):
    if kind.endswith(" or null"):
        kind = kind.removesuffix(" or null")
        if value is None:
            return
    if kind.startswith("list of "):
        if not isinstance(value, list):
            wrong.append(f"{path}: documented as a list")
            return
        for item in value:
            check_type(objects, kind.removeprefix("list of "), item, path + "[]", used, wrong)
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind == "number" and isinstance(value, bool)):
            wrong.append(f"{path}: documented as {kind}, printed as {value!r}")
    elif isinstance(value, dict):
        check(objects, kind, value, path, used, wrong)
    else:
        wrong.append(f"{path}: documented as {kind}, printed as {value!r}")


def missing(objects, heading, value, path, wrong):
    """Documented, and not printed although every field was set."""
    for key, kind in objects.get(heading, {}).items():
        if key not in value:
            wrong.append(f"{path}.{key}: documented, and not printed")
        inner = kind.removesuffix(" or null").removeprefix("list of ")
        if inner in objects:
            at = value.get(key)
            at = at[0] if isinstance(at, list) and at else at
            if isinstance(at, dict):
                missing(objects, inner, at, f"{path}.{key}", wrong)
            else:
                wrong.append(f"{path}.{key}: the sample leaves it empty")


def all_printers_are_sampled(wrong):
    with open(os.path.join(ROOT, "agent", "cli", "json_io.h")) as file:
        printers = re.findall(r"void (cli_json_\w+)\(", file.read())
    with open(os.path.join(HERE, "json_samples.c")) as file:
        source = file.read()
    wrong += [f"{name}() is not called in tests/cli/json_samples.c" for name in printers if name + "(" not in source]


def read(*path):
    with open(os.path.join(ROOT, *path)) as file:
        return file.read()


def words_are_documented(wrong):
    text = read("docs", "json.md")
    for (heading, key), sources in WORDS.items():
        section = re.search(rf"^### {heading}$(.*?)(?=^##|\Z)", text, re.M | re.S)[1]
        meaning = re.search(rf"^\| `{key}` \|[^|]*\|(.*)\|$", section, re.M)[1]
        told, said = set(re.findall(r"`([a-z-]+)`", meaning)), set()
        for path, function, pattern in sources:
            body = re.search(rf"^\S[^\n]*\b{function}\([^;]*?^{{(.*?)^}}", read(path), re.M | re.S)[1]
            found = set(re.findall(pattern, body)) - NEVER
            wrong += [] if found else [f"{path}: no words found in {function}()"]
            said |= found
        wrong += [f"{heading}.{key}: may be '{word}', and docs/json.md does not say so" for word in sorted(said - told)]
        wrong += [f"{heading}.{key}: docs/json.md has '{word}', which it never is" for word in sorted(told - said)]


def commands_without_are_named(wrong):
    table = read("agent", "cli", "command_table_io.c")
    plain = re.findall(r'\{"([a-z ]+)",[^{]*?\bOPTION_PLAIN\b', table)
    named = re.findall(r"`(\w+ \w+)`", re.search(r"Every command of `stead` but (.*?) takes", read("docs", "json.md"))[1])
    if set(plain) != set(named):
        wrong.append(f"without --json are {sorted(plain)}; docs/json.md names {sorted(named)}")


def main():
    objects, used, wrong = documented(), set(), []
    if sys.argv[1] == "--real":
        check(objects, sys.argv[2], json.load(sys.stdin), sys.argv[2], used, wrong)
    else:
        out = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
        for name, text in re.findall(r"^== ([^\n]+)\n(.*?)(?=^== |\Z)", out, re.M | re.S):
            value = json.loads(text)
            check(objects, name, value, name, used, wrong)
            missing(objects, name, value, name, wrong)
        wrong += [f"'{name}' is documented, and never printed" for name in objects.keys() - used]
        all_printers_are_sampled(wrong)
        words_are_documented(wrong)
        commands_without_are_named(wrong)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
