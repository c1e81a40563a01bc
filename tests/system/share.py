"""A shared folder: what the guest reads, writes and lists, and what it may not
reach.

usage: share.py E2K-SYSTEM SHARE-ELF [ENGINE]
"""
import os
import subprocess
import sys
import tempfile

SYSTEM, ELF = sys.argv[1:3]
ENGINE = sys.argv[3] if len(sys.argv) > 3 else "jit"
LEFT = {".", "..", "folder", "hello", "link-made", "link-out", "link-up",
        "made", "made-folder", "pipe"}


def put(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def get(path):
    with open(path, "rb") as file:
        return file.read()


def make(where):
    """The folder, and a file beside it that must stay as it is."""
    share = os.path.join(where, "share")
    secret = os.path.join(where, "secret")
    os.makedirs(os.path.join(share, "folder"))
    put(secret, "untouched\n")
    put(os.path.join(share, "hello"), "hlo from a host\n")
    put(os.path.join(share, "folder", "inner"), "inner")
    put(os.path.join(share, "unwanted"), "")
    put(os.path.join(share, "old-name"), "moved")
    os.symlink(secret, os.path.join(share, "link-out"))
    os.symlink("..", os.path.join(share, "link-up"))
    os.mkfifo(os.path.join(share, "pipe"))
    return share, secret


def run(share, *more):
    return subprocess.run(
        [SYSTEM, "-accel", ENGINE, "-kernel", ELF, "-m", "32", "-nographic",
         "-device", f"virtio-9p-device,path={share},mount_tag=share" +
         "".join(more)], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=50, check=False)


def main():
    failed = 0

    def check(what, good):
        nonlocal failed
        failed += not good
        print(("ok " if good else "FAILED ") + what)

    with tempfile.TemporaryDirectory() as where:
        share, secret = make(where)
        done = run(share)
        lines = done.stdout.splitlines()
        names = {line[6:] for line in lines if line.startswith("entry ")}
        if done.returncode or "share passed" not in lines:
            print(done.stdout, done.stderr)
        check("the guest is content", done.returncode == 0 and
              lines[-1:] == ["share passed"])
        check("names in its list", names == LEFT)
        check("what is there", set(os.listdir(share)) == LEFT - {".", ".."})
        check("written file", get(os.path.join(share, "made")) ==
              bytes(4) + b"abcdefgh")
        check("moved file", get(os.path.join(share, "made-folder",
                                             "new-name")) == b"moved")
        check("second name", os.path.samefile(
            os.path.join(share, "made-folder", "second-name"),
            os.path.join(share, "hello")))
        check("nothing above was touched",
              sorted(os.listdir(where)) == ["secret", "share"] and
              get(secret) == b"untouched\n")
    with tempfile.TemporaryDirectory() as where:
        share, secret = make(where)
        before = sorted(os.listdir(share))
        done = run(share, ",readonly=on")
        check("a read-only folder refuses to make a file",
              "FAILED: a file is made" in done.stdout)
        check("and stays as it is", sorted(os.listdir(share)) == before)
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
