"""Fails when an #include breaks the layer table of docs/architecture.md.

Each folder may include its own headers and those of the folders named for
it below; a private header (NAME-int.h) only from its own folder.  Headers
are named by their path from the root of the tree.
"""
import os
import re
import sys

TARGET = {"target-e2k", "tcg", "util"}
ALLOWED = {
    "util": set(),
    "tcg": {"util"},
    "target-e2k": {"tcg", "util"},
    "gdbstub": {"util"},
    "nbd": {"util"},
    "block": {"nbd", "util"},
    "system": TARGET | {"gdbstub"},
    "linux-user": TARGET | {"gdbstub"},
    "hw": TARGET | {"system", "block"},
    "monitor": TARGET | {"system", "block", "nbd"},
}
FREE = {"tools", "tests"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
KNOWN = set(ALLOWED) | FREE


def sources(root, folder):
    for where, _, names in os.walk(os.path.join(root, folder)):
        for name in sorted(names):
            if name.endswith((".c", ".h", ".def")):
                yield os.path.relpath(os.path.join(where, name), root)


def complaints(root):
    for folder in sorted(KNOWN):
        for path in sources(root, folder):
            with open(os.path.join(root, path), encoding="utf-8") as f:
                text = f.read()
            for header in INCLUDE.findall(text):
                owner = header.split("/")[0]
                if owner not in KNOWN:
                    if os.path.exists(os.path.join(root, header)):
                        yield f"{path}: \"{header}\" is in no layer"
                    elif os.path.exists(os.path.join(
                            root, os.path.dirname(path), header)):
                        yield f"{path}: name \"{header}\" from the root"
                    continue
                if folder in FREE or owner == folder:
                    continue
                if owner not in ALLOWED[folder]:
                    yield f"{path}: {folder} may not include {header}"
                elif header.endswith("-int.h"):
                    yield f"{path}: {header} is private to {owner}"


def main():
    found = list(complaints(sys.argv[1]))
    for line in found:
        print(line)
    checked = sum(1 for folder in KNOWN for _ in sources(sys.argv[1], folder))
    if not checked:
        print("no source file found")
    sys.exit(1 if found or not checked else 0)


if __name__ == "__main__":
    main()
