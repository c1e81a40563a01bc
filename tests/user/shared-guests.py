"""The compiled guest programs, in one engine, against their expected output.

usage: shared-guests.py E2K-USER SHARED-DIR ENGINE [NAME...]
"""
import os
import subprocess
import sys


def main():
    user, shared, engine, *names = sys.argv[1:]
    folder = os.path.join(shared, "guests")
    table = os.path.join(folder, "expected.tsv")
    if not os.path.exists(table):
        print("1..0 # SKIP the shared guest programs are not beside this tree")
        return
    failed = number = 0
    with open(table, encoding="utf-8") as f:
        for line in f:
            name, wanted = line.rstrip("\n").split("\t")
            if names and name.split(".")[0] not in names:
                continue
            number += 1
            run = subprocess.run(
                [user, "-accel", engine, os.path.join(folder, name)],
                capture_output=True, text=True, timeout=300, check=False)
            good = run.returncode == 0 and run.stdout == wanted + "\n"
            print(f"{'ok' if good else 'not ok'} {number} - {name}")
            if not good:
                failed += 1
                print(f"# status {run.returncode}, output {run.stdout!r}")
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
