"""A static e2k-user inside a foreign root file system, where nothing of the
host's is: the way binfmt_misc runs it in a chroot.

usage: chroot.py E2K-USER SHOW-GUEST

Needs e2k-user built with -Dstatic_user=true (static GLib and what that
needs), and a process that may chroot: root, or user namespaces.
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile


def is_static(path):
    """No PT_INTERP in an ELF64 file."""
    with open(path, "rb") as f:
        data = f.read(4096)
    at, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return all(struct.unpack_from("<I", data, at + size * i)[0] != 3
               for i in range(count))


def main():
    user, guest = sys.argv[1:]
    if not is_static(user):
        print("1..0 # SKIP e2k-user needs the host's libraries; configure "
              "with -Dstatic_user=true")
        return
    with tempfile.TemporaryDirectory() as root:
        for name in ("bin", "etc", "usr/bin"):
            os.makedirs(os.path.join(root, name))
        shutil.copy(user, os.path.join(root, "usr/bin/e2k-user"))
        shutil.copy(guest, os.path.join(root, "bin/show"))
        with open(os.path.join(root, "etc/motto"), "w",
                  encoding="ascii") as f:
            f.write("a foreign root\n")
        # As binfmt_misc calls an interpreter: it, the program, its arguments.
        command = ["/usr/bin/e2k-user", "/bin/show", "one"]
        change = (["chroot", root] if os.geteuid() == 0 else
                  ["unshare", "--map-root-user", "chroot", root])
        run = subprocess.run(change + command, capture_output=True, text=True,
                             timeout=60, check=False)
        if run.returncode and "unshare" in run.stderr:
            print("1..0 # SKIP " + run.stderr.strip())
            return
        good = (run.returncode == 0 and
                run.stdout.startswith("argument /bin/show\nargument one\n") and
                run.stdout.endswith("a foreign root\n"))
        print(f"1..1\n{'ok' if good else 'not ok'} 1 - a program runs in it")
        if not good:
            print(f"# {run}")
        sys.exit(not good)


if __name__ == "__main__":
    main()
