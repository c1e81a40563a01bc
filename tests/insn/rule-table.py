"""Checks the table of rules against the rule files and the description.

usage: rule-table.py TABLE DESCRIPTION-FOLDER RULE-FILE...

Fails when a rule has neither a file nor a reason, when a file named is missing
or does not show both sides (what is allowed, and what is refused), when a rule
file is in no row, and, where the description is at hand, when the table lacks
one of its sections or listed rules.
"""
import os
import re
import sys

DOCUMENTS = ("semantics", "state", "aau")


def read_table(path):
    table = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = [field.strip() for field in line.split("|")]
            if fields[0] in table:
                sys.exit(f"{path}:{number}: '{fields[0]}' again")
            if len(fields) < 2 or not fields[1]:
                sys.exit(f"{path}:{number}: '{fields[0]}' has no file")
            table[fields[0]] = fields[1]
    return table


def both_sides(path):
    """Has the file a case that runs and one that is refused?"""
    with open(path, encoding="utf-8") as f:
        expectations = re.findall(r"^expect .*$", f.read(), re.MULTILINE)
    refused = [e for e in expectations if re.search(r"\bexc=", e)]
    return len(refused) > 0, len(expectations) > len(refused)


# Sections that are lists of rules: how one rule is found, and its name.
LISTS = {
    "semantics 1": (r"^(\d+)\. ", "item"),
    "semantics 3.3": (r"^\| (\d+) \|", "type"),
    "semantics 5.1": (r"^\| (\d) \|", "mod"),
    "semantics 6": (r"^\| (\d+)(?:/\d+|\.\.\d+)? \|", "bit"),
    "semantics 10": (r"^(\d+)\. ", "item"),
}
COUNTED = {
    "semantics 4": (r"^\| (?!class|---)", "row"),
    "semantics 9": (r"^\* ", "bullet"),
}


def rules_of(document, text):
    section = None
    counts = {}
    for line in text.splitlines():
        heading = re.match(r"##+ (\d+(?:\.\d+)?)\b", line)
        if heading:
            section = f"{document} {heading.group(1)}"
            if section not in LISTS and section not in COUNTED:
                yield section
        elif section in LISTS:
            found = re.match(LISTS[section][0], line)
            if found:
                yield f"{section} {LISTS[section][1]} {int(found.group(1))}"
        elif section in COUNTED and re.match(COUNTED[section][0], line):
            counts[section] = counts.get(section, 0) + 1
            yield f"{section} {COUNTED[section][1]} {counts[section]}"


def main():
    table = read_table(sys.argv[1])
    files = {os.path.basename(path)[:-4]: path for path in sys.argv[3:]}
    problems = []
    used = set()
    for key, value in table.items():
        if value.startswith("none"):
            if len(value) < len("none: ") + 10:
                problems.append(f"{key}: no file and no reason")
            continue
        for name in value.split():
            used.add(name)
            if name not in files:
                problems.append(f"{key}: no rule file '{name}'")
    for name, path in files.items():
        refused, allowed = both_sides(path)
        if name not in used:
            problems.append(f"{name}: in no row of the table")
        if not refused or not allowed:
            problems.append(f"{name}: only one side is tested")
    compared = 0
    for document in DOCUMENTS:
        path = os.path.join(sys.argv[2], document + ".md")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as f:
            wanted = list(rules_of(document, f.read()))
        compared += len(wanted)
        problems += [f"{rule}: not in the table" for rule in wanted
                     if rule not in table]
    for problem in problems:
        print(problem)
    print(f"{len(table)} rules, {len(files)} files, {compared} compared with "
          f"the description, {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
