"""Every system call of the ABI's list has an entry, or a reason why not.

usage: syscall-table.py SOURCE-ROOT
"""
import csv
import os
import re
import sys

# Calls of a real kernel that we answer with ENOSYS.
REASONS = {
    "ioperm": "no e2k machine grants x86 ports",
    "bdflush": "an error in every kernel since 5.15, without effect before",
    "rseq": "a kernel option; C libraries do without",
    "remap_file_pages": "deprecated since 3.16; programs fall back to mmap",
    "userfaultfd": "faults of a page would stop the emulator, too",
    "io_uring_setup": "the kernel would follow pointers that nobody checks",
    "io_uring_enter": "see io_uring_setup",
    "io_uring_register": "see io_uring_setup",
    "rt_sigreturn": "ENOSYS on e2k: handlers return through 119",
    "_sysctl": "gone from kernels since 5.5",
}


def table(path):
    with open(path, encoding="utf-8") as f:
        return {int(m[1]): (m[2], m[4]) for m in re.finditer(
            r"^SYSCALL\((\d+), (\w+), (\w+), (\w+), ARGS\([^)]*\)\)$",
            f.read(), re.M)}


def main():
    root, = sys.argv[1:]
    listing = os.path.join(root, "..", "shared", "linux", "syscalls.csv")
    if not os.path.exists(listing):
        print("1..0 # SKIP the list of system calls is not beside this tree")
        return
    ours = table(os.path.join(root, "linux-user", "syscalls.def"))
    bad = []
    used = set()
    with open(listing, encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    for row in rows:
        number, name = int(row["number"]), row["name"]
        wants = not row["notes"].startswith("ENOSYS")
        have = ours.get(number)
        if have and name != have[0] and name != "(unused)" and \
                f"{name}" not in row["notes"] and name.strip("_") not in \
                have[0]:
            bad.append(f"{number} is {name}, not {have[0]}")
        if not wants:
            continue
        if not have:
            bad.append(f"{number} {name} has no entry")
        elif have[1] == "enosys":
            used.add(name)
            if name not in REASONS and "ENOSYS" not in row["notes"]:
                bad.append(f"{number} {name} is ENOSYS without a reason")
    stale = set(REASONS) - used - {"_sysctl", "rt_sigreturn", "ioperm"}
    print("1..3")
    print(f"{'not ok' if bad else 'ok'} 1 - {len(rows)} calls")
    for line in bad:
        print("# " + line)
    print(f"{'not ok' if stale else 'ok'} 2 - every reason is needed {stale}")
    enough = len(rows) > 400
    print(f"{'ok' if enough else 'not ok'} 3 - the list was read")
    sys.exit(1 if bad or stale or not enough else 0)


if __name__ == "__main__":
    main()
