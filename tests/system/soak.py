#!/usr/bin/env python3
"""All bare-metal guests many times, in both engines, on 1 and 4 CPUs.

usage: soak.py E2K-SYSTEM GUEST-DIR [--runs N] [--only NAME,...]

Each guest runs N times (default 200) in each engine and with each number of
CPUs it can have, on the ISA versions 3 to 6 in turn.  Prints a line for each
combination and the output of each run that failed; the exit status is 1 then.
Not part of the tests: it takes a quarter of an hour.
"""
import argparse
import importlib.util
import os
import sys

SPEC = importlib.util.spec_from_file_location(
    "run_guest", os.path.join(os.path.dirname(os.path.abspath(__file__)),
                              "run-guest.py"))
run_guest = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(run_guest)

GUESTS = {
    "traps": (1, 4), "interrupts": (1, 4), "mmu": (1, 4), "code": (1, 4), "windows": (1, 4),
    "kernel": (1, 4), "smp": (4,), "fair": (4,),
    "epic": (4,),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("system")
    parser.add_argument("guests")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    args.more = []
    only = [name for name in args.only.split(",") if name]
    failures = 0
    for guest, smp_list in GUESTS.items():
        if only and guest not in only:
            continue
        args.guest = os.path.join(args.guests, guest + ".elf")
        for args.engine in "jit", "interp":
            for args.smp in smp_list:
                failed = 0
                args.machine = "virt-epic" if guest == "epic" else "virt"
                cpus = ["v6"] if guest == "epic" else run_guest.CPUS
                for i in range(args.runs):
                    cpu = cpus[i % len(cpus)]
                    failed += not run_guest.run(args, cpu, None)
                print(f"soak guest={guest} engine={args.engine} "
                      f"cpus={args.smp} runs={args.runs} failed={failed}",
                      flush=True)
                failures += failed
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
