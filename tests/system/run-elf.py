"""Linux programs on the guest run-elf, in both engines, with and without
address translation: output and status must be those of e2k-user.

usage: run-elf.py E2K-SYSTEM E2K-USER RUN-ELF PROGRAM...
"""
import subprocess
import sys


def run(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, timeout=100, check=False)
    return done.stdout, done.returncode


def main():
    system, user, kernel, programs = *sys.argv[1:4], sys.argv[4:]
    failed = runs = 0
    for program in programs:
        wanted = run([user, program])
        cpu = "v5" if program.endswith("5") else "v3"
        for engine in "jit", "interp":
            for mode in "", "physical":
                got = run([system, "-M", "virt", "-cpu", cpu, "-m", "256",
                           "-accel", engine, "-kernel", kernel, "-initrd",
                           program, "-append", mode, "-nographic"])
                runs += 1
                if got != wanted:
                    failed += 1
                    print(f"{program} {engine} {mode}: {got}, not {wanted}")
    print(f"{runs - failed} passed, {failed} failed")
    return 1 if failed or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
