"""A guest and its native twin, each in a directory of its own: the same
answers, word by word.  With "part" the guest has checks of its own between
them: what the host can answer, too, comes in the same order.

usage: twin.py E2K-USER GUEST TWIN ENGINE [part]
"""
import os
import re
import subprocess
import sys
import tempfile


def answers(command):
    with tempfile.TemporaryDirectory() as directory:
        return subprocess.run(command, cwd=directory, capture_output=True,
                              text=True, timeout=60, check=False)


def texts(answer):
    """Without numbers and plan."""
    return [re.sub(r"ok \d+ - ", "ok - ", line)
            for line in answer.stdout.splitlines() if "ok " in line]


def part_of(some, every):
    every = iter(every)
    return all(line in every for line in some)


def main():
    engine = sys.argv[4]
    part = sys.argv[5:] == ["part"]
    user, guest, twin = map(os.path.realpath, sys.argv[1:4])
    native = answers([twin])
    emulated = answers([user, "-accel", engine, guest])
    answered = texts(native)
    good = (native.returncode == 0 and len(answered) >= 8 and
            native.stdout.endswith(f"\n1..{len(answered)}\n"))
    same = emulated.returncode == 0 and (
        part_of(answered, texts(emulated)) if part else
        native.stdout == emulated.stdout)
    print("1..2")
    print(f"{'ok' if good else 'not ok'} 1 - the host answers as expected")
    for line in ([] if good else native.stdout.splitlines()):
        if not line.startswith("ok"):
            print("# " + line)
    print(f"{'ok' if same else 'not ok'} 2 - the guest gets the same answers")
    if not same:
        print("# " + emulated.stderr[:300])
        for a, b in zip(native.stdout.splitlines(),
                        emulated.stdout.splitlines()):
            if a != b:
                print(f"# native {a}\n# guest  {b}")
    sys.exit(0 if good and same else 1)


if __name__ == "__main__":
    main()
