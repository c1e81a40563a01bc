"""random-diff with each optimisation of the translator switched off in turn.

usage: switches.py RANDOM-DIFF CASES [SEED]

The switches are those of tcg/opt.h, but "tags": programs without tags differ.
Each is tried with code of the first tier, which is what programs that run once
get, and with all of it translated again at once; then come thresholds between.
The seed is printed.
"""
import os
import random
import re
import subprocess
import sys

OPT_H = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                     "tcg", "opt.h")


def switches():
    with open(OPT_H, encoding="ascii") as f:
        names = re.findall(r'X\(\w+, "(\w+)", "', f.read())
    return [name for name in names if name != "tags"]


def main():
    program, cases = sys.argv[1:3]
    seed = sys.argv[3] if len(sys.argv) > 3 else str(random.getrandbits(32))
    names = switches()
    failed = 0
    trials = [(f"no-{name}", []) for name in names]
    trials += [(f"tier-threshold=1,no-{name}", ["--both-tiers"])
               for name in names if name != "tiers"]
    trials += [(f"tier-threshold={n}", ["--both-tiers", "--repeat", str(n + 1)])
               for n in (2, 3, 5)]
    print(f"1..{len(trials)}")
    print(f"# seed {seed}, {cases} cases each")
    for number, (options, more) in enumerate(trials, 1):
        run = subprocess.run([program, "--seed", seed, "--cases", cases,
                              "--accel", f"jit,{options}", *more],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, check=False)
        good = run.returncode == 0 and ", 0 differ" in run.stdout
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {options}", flush=True)
        if not good:
            for line in run.stdout.splitlines():
                print("# " + line)
    sys.exit(1 if failed or len(names) < 20 else 0)


if __name__ == "__main__":
    main()
