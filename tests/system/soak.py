#!/usr/bin/env python3
"""The machine guests many times over.

usage: soak.py BUILD-DIR [--runs N] [--jobs N] [--only TEXT,...]

Takes the tests of the suite 'system' from the build: each guest that checks
itself (run-guest.py) is booted N times (default 200) in each combination of
engine, machine and number of CPUs, on its CPU models in turn; the scripts that
work with a guest's devices run N times (network, shared folder, console, disks,
programs), all other scripts N/20 times (the long ones: live disk work,
snapshots, debugger, monitor, CI, and what is new and not named here).  Prints
a line for each, the output of each run that failed, and a total; the exit
status is 1 when a run failed.  Tests without a guest are named as left out.

Not part of the tests: 200 runs take hours on two cores.
"""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import time

CPUS = ["v3", "v4", "v5", "v6"]
DEVICES = ("net.py", "main-job.py", "disk-pci.py", "run-elf.py", "share.py",
           "scsi.py", "virt-devices.py")
NO_GUEST = {
    "command-line.py": "command lines that are refused",
    "option-walk.py": "command lines that make no sense",
    "device-fuzz": "run it for long by itself: device-fuzz SECONDS SEED",
    "mmu-fuzz": "run it for long by itself: mmu-fuzz SECONDS SEED",
}
TIMEOUT_S = 600  # other work on the machine may make a run slow


def tests_of(build):
    with open(os.path.join(build, "meson-info", "intro-tests.json"),
              encoding="utf-8") as file:
        return [test for test in json.load(file)
                if any(suite.endswith("system") for suite in test["suite"])]


class Case:
    """A test as (name, commands to choose from, number of runs)."""

    def __init__(self, test, runs, where):
        self.name = test["name"]
        self.where = where
        self.environment = dict(os.environ, **test["env"])
        command = test["cmd"]
        script = [os.path.basename(word) for word in command
                  if word.endswith(".py")]
        self.script = script[0] if script else ""
        self.commands = [command]
        self.runs = 0
        if self.script == "run-guest.py":
            self.runs = runs
            if "--cpu" not in command:
                at = command.index("--more") if "--more" in command \
                    else len(command)
                self.commands = [command[:at] + ["--cpu", cpu] + command[at:]
                                 for cpu in CPUS]
        elif self.script in DEVICES:
            self.runs = runs
        elif not self.left_out():
            self.runs = max(1, runs // 20)

    def left_out(self):
        """Why the test is not run, or None."""
        program = self.script or os.path.basename(self.commands[0][0])
        return NO_GUEST.get(program)

    def run(self, number):
        """Why the run failed, or None."""
        command = self.commands[number % len(self.commands)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, cwd=self.where,
                                  env=self.environment, timeout=TIMEOUT_S,
                                  check=False)
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as expired:
            status, output = "timeout", expired.stdout or b""
        if status == 0:
            return None
        return (f"{' '.join(command)}\nstatus {status}, it said:\n"
                + output.decode(errors="replace"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="parts of tests' names")
    args = parser.parse_args()
    only = [name for name in args.only.split(",") if name]
    total = failures = 0
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for test in tests_of(args.build):
            case = Case(test, args.runs, args.build)
            if only and not any(name in case.name for name in only):
                continue
            if not case.runs:
                print(f"soak test={case.name} left out: {case.left_out()}",
                      flush=True)
                continue
            failed = 0
            for reason in pool.map(case.run, range(case.runs)):
                if reason:
                    failed += 1
                    print(reason, flush=True)
            print(f"soak test={case.name} runs={case.runs} failed={failed}",
                  flush=True)
            total += case.runs
            failures += failed
    print(f"soak total runs={total} failed={failures} "
          f"minutes={(time.monotonic() - began) / 60:.1f}")
    return 1 if failures or not total else 0


if __name__ == "__main__":
    sys.exit(main())
