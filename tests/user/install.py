"""-binfmt and -binfmt-install: what the kernel is told, and that its pattern
fits e2k programs only.  Installing is done in a mount namespace, where empty
directories stand for /etc and the kernel's binfmt_misc.

usage: install.py E2K-USER GUEST GUEST-32
"""
import os
import re
import subprocess
import sys

INSTALL = """
set -e
mount -t tmpfs none /etc
kernel=/proc/sys/fs/binfmt_misc
if [ -d $kernel ]; then
    mount -t tmpfs none $kernel
    : >$kernel/register
    : >$kernel/e2k
fi
echo ready
"$1" -binfmt-install
echo "exit $?"
cat /etc/binfmt.d/e2k.conf
if [ -d $kernel ]; then echo told; cat $kernel/e2k $kernel/register; fi
"""
tests = failed = 0


def check(condition, text, detail=""):
    global tests, failed
    tests += 1
    print(f"{'ok' if condition else 'not ok'} {tests} - {text}")
    if not condition:
        failed += 1
        print(f"# {detail}")


def raw(text):
    r"""\xNN and characters as bytes."""
    return re.sub(rb"\\x(..)", lambda m: bytes([int(m[1], 16)]),
                  text.encode())


def fits(lines, path):
    """How many lines' patterns the file fits."""
    with open(path, "rb") as f:
        start = f.read(64)
    count = 0
    for line in lines:
        magic, mask = map(raw, line.split(":")[4:6])
        count += all(a & m == b & m for a, b, m in zip(start, magic, mask))
    return count


def main():
    user, *guests = map(os.path.realpath, sys.argv[1:])
    printed = subprocess.run([user, "-binfmt"], capture_output=True, text=True,
                             timeout=60, check=False)
    lines = printed.stdout.splitlines()
    check(printed.returncode == 0 and len(lines) == 2, "-binfmt: two lines",
          printed)
    check(all(re.fullmatch(r":[\w-]+:M::[^:]+:[^:]+:" + re.escape(user) +
                           ":F", line) and len(line) < 256
              for line in lines),
          "each names this program and is short enough", lines)
    for guest in guests:
        check(fits(lines, guest) == 1, "one fits " + os.path.basename(guest))
    check(fits(lines, user) == 0, "none fits a program of the host")

    name = ["unshare", "--map-root-user", "--mount", "sh", "-c", INSTALL,
            "sh", user]
    run = subprocess.run(name, capture_output=True, text=True, timeout=60,
                         check=False)
    if "ready\n" not in run.stdout:
        check(True, "-binfmt-install # SKIP no mount namespace: " +
              run.stderr.strip())
    else:
        written, _, told = run.stdout.split("exit 0\n")[-1].partition("told\n")
        check(run.returncode == 0 and written == printed.stdout,
              "-binfmt-install writes them", run)
        # The old entry of the name is taken away; the last line stays.
        check(not told or told == "-1" + lines[1],
              "and tells the kernel, if it listens", run)
    print(f"1..{tests}")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
