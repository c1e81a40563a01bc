"""A guest and its native twin, each in a directory of its own: the same
answers, word by word.

usage: twin.py E2K-USER GUEST TWIN ENGINE
"""
import os
import subprocess
import sys
import tempfile


def answers(command):
    with tempfile.TemporaryDirectory() as directory:
        return subprocess.run(command, cwd=directory, capture_output=True,
                              text=True, timeout=60, check=False)


def main():
    engine = sys.argv[4]
    user, guest, twin = map(os.path.realpath, sys.argv[1:4])
    native = answers([twin])
    emulated = answers([user, "-accel", engine, guest])
    good = native.returncode == 0 and len(native.stdout.splitlines()) > 20
    same = native.stdout == emulated.stdout and emulated.returncode == 0
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
