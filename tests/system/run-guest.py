"""Runs a guest that checks itself, and looks at what it says.

usage: run-guest.py E2K-SYSTEM GUEST [--engine E] [--smp N] [--cpu MODEL]
                    [--repeat N] [--disk BYTES] [--machine M] [--root]
                    [--more OPTION...]

The guest NAME.elf must end with the line "NAME passed", or the beginning of
NAME when it is a variant of a guest, and exit status 0, on each CPU model
given (default: one for each ISA version 3 to 6).  --root gives it a disk that
begins with a root block (make-root.py).
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

MAKE_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                         "guest", "system", "make-root.py")
CPUS = ["v3", "v4", "v5", "v6"]


def run(args, cpu, disk):
    command = [args.system, "-M", args.machine, "-cpu", cpu, "-accel", args.engine,
               "-smp", str(args.smp), "-kernel", args.guest, "-nographic",
               "-d", "guest_errors"] + args.more
    if disk:
        command += ["-drive", f"file={disk},format=raw"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=50,
                              check=False)
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output, status = expired.stdout or b"", "timeout"
    lines = output.decode(errors="replace").splitlines()
    name = os.path.splitext(os.path.basename(args.guest))[0]
    said = re.fullmatch(r"(\S+) passed", lines[-1]) if lines else None
    if status == 0 and said and name.startswith(said.group(1)):
        return True
    print(f"{name} on {cpu}: status {status}, it said:")
    print("\n".join(lines[-40:]))
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("system")
    parser.add_argument("guest")
    parser.add_argument("--engine", default="interp")
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--cpu", action="append")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--disk", type=int)
    parser.add_argument("--machine", default="virt")
    parser.add_argument("--root", action="store_true")
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[])
    args = parser.parse_args()
    runs = failed = 0
    with tempfile.TemporaryDirectory() as where:
        disk = None
        if args.disk:
            disk = os.path.join(where, "disk.img")
            with open(disk, "wb") as image:
                image.truncate(args.disk)
        if args.root:
            disk = os.path.join(where, "root.img")
            subprocess.run([sys.executable, MAKE_ROOT, disk, str(8 << 20),
                            "65536:4"], check=True)
        for _ in range(args.repeat):
            for cpu in args.cpu or CPUS:
                runs += 1
                failed += not run(args, cpu, disk)
    print(f"{runs - failed} passed, {failed} failed")
    sys.exit(1 if failed or not runs else 0)


if __name__ == "__main__":
    main()
