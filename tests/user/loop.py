"""ioctls of block and loop devices, on a real loop device where this host
gives one (root, losetup).

usage: loop.py E2K-USER IOCTLS-GUEST IOCTLS-GUEST-32 ENGINE
"""
import os
import subprocess
import sys
import tempfile


def run(*command):
    return subprocess.run(command, capture_output=True, text=True,
                          timeout=60, check=False)


def main():
    user, guest, guest_32, engine = sys.argv[1:]
    with tempfile.NamedTemporaryFile(dir="/tmp") as image:
        image.truncate(1 << 20)
        try:
            made = run("losetup", "--find", "--show", "--read-only",
                       image.name)
        except OSError as error:
            print(f"1..0 # SKIP losetup: {error}")
            return
        device = made.stdout.strip()
        if made.returncode or not os.path.exists(device):
            print(f"1..0 # SKIP no loop device: {made.stderr.strip()}")
            return
        failed = 0
        print("1..2")
        try:
            for number, program in enumerate((guest, guest_32), 1):
                answer = run(user, "-accel", engine, program, device)
                good = answer.returncode == 0 and "not ok" not in \
                    answer.stdout and answer.stdout.count("ok ") > 30
                failed += not good
                print(f"{'ok' if good else 'not ok'} {number} - "
                      f"{os.path.basename(program)} {device}")
                for line in ([] if good else answer.stdout.splitlines()):
                    print("# " + line)
        finally:
            run("losetup", "--detach", device)
        sys.exit(failed != 0)


if __name__ == "__main__":
    main()
