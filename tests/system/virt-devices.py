"""The virt board's device tree, clock, random bytes and reset.

usage: virt-devices.py E2K-SYSTEM VIRT-DEVICES-ELF
"""
import os
import struct
import subprocess
import sys
import tempfile
import time

SYSTEM, ELF = sys.argv[1:3]
failed = 0


def check(what, good, details=""):
    global failed
    failed += not good
    print(("ok " if good else "FAILED ") + what, "" if good else details)


def run(*more):
    return subprocess.run(
        [SYSTEM, "-kernel", ELF, "-m", "32", "-nographic", "-device",
         "virtio-rng-device", *more], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=50, check=False)


def parse(blob):
    """A flattened tree as {path: {property: bytes}}."""
    magic, _, struct_at, strings_at = struct.unpack(">4I", blob[:16])
    assert magic == 0xd00dfeed
    nodes, path, at = {}, [], struct_at
    while True:
        token, = struct.unpack(">I", blob[at:at + 4])
        at += 4
        if token == 1:
            end = blob.index(b"\0", at)
            path.append(blob[at:end].decode())
            nodes["/".join(path) or "/"] = {}
            at = (end + 4) & ~3
        elif token == 2:
            path.pop()
        elif token == 3:
            size, name = struct.unpack(">2I", blob[at:at + 8])
            end = blob.index(b"\0", strings_at + name)
            name = blob[strings_at + name:end].decode()
            nodes["/".join(path) or "/"][name] = blob[at + 8:at + 8 + size]
            at = (at + 8 + size + 3) & ~3
        elif token == 9:
            return nodes


def tree(where, *more):
    path = os.path.join(where, "tree.dtb")
    done = run("-dump-dtb", path, *more)
    if done.returncode or not os.path.exists(path):
        print(done.stdout, done.stderr)
        return None
    with open(path, "rb") as file:
        return parse(file.read())


def check_tree(where, machine, controller, more):
    nodes = tree(where, "-M", machine, "-smp", "3", "-append", "some words",
                 *more)
    if nodes is None:
        check(machine + ": a device tree", False)
        return

    def having(text):
        return [node for node in nodes.values()
                if text in node.get("compatible", b"").split(b"\0")]

    check(machine + ": root", nodes["/"]["compatible"] == b"e2k,virt\0" and
          nodes["/"]["version"] == b"2.0\0")
    check(machine + ": arguments",
          nodes["/chosen"]["bootargs"] == b"some words\0")
    check(machine + ": memory", struct.unpack(
        ">2Q", nodes["/memory@0"]["reg"]) == (0, 32 << 20))
    check(machine + ": CPUs", len([path for path in nodes
                                   if path.startswith("/cpus/cpu@")]) == 3)
    check(machine + ": " + controller.decode(), len(having(controller)) == 1)
    for name, number in [(b"ns16550a", 1), (b"mcst,lt", 1),
                         (b"virtio,mmio", 16), (b"pci-host-ecam-generic", 1),
                         (b"syscon-poweroff", 1), (b"syscon-reboot", 1),
                         (b"e2k-emu,rtc", 1)]:
        check(f"{machine}: {name.decode()}", len(having(name)) == number)


def main():
    outputs = []
    for engine in ["interp", "jit"]:
        before = time.time_ns()
        done = run("-accel", engine)
        after = time.time_ns()
        lines = done.stdout.splitlines()
        found = {}
        for line in lines:
            words = line.split()
            if len(words) == 2:
                found.setdefault(words[0], words[1])
        if done.returncode or lines[-1:] != ["virt-devices passed"]:
            print(done.stdout, done.stderr)
        check(engine + ": passed after one reset",
              done.returncode == 0 and lines.count("reset") == 1 and
              lines[-1:] == ["virt-devices passed"])
        clock = int(found.get("clock", 0))
        check(engine + ": time of the host", before <= clock <= after,
              f"{before} <= {clock} <= {after}")
        randoms = [line for line in lines if line.startswith("random ")]
        check(engine + ": random bytes differ each time",
              len(set(randoms)) == 2)
        outputs += randoms
        magic = found.get("tree", "")
        check(engine + ": a device tree at %r2",
              magic == "0" * 16 or magic.endswith("edfe0dd0"), magic)
    check("random bytes differ from run to run", len(set(outputs)) == 4)
    with tempfile.TemporaryDirectory() as where:
        if "no libfdt" not in run("-dump-dtb", where + "/x").stderr:
            check_tree(where, "virt", b"mcst,ioapic", [])
            check_tree(where, "virt-epic", b"mcst,ioepic", ["-cpu", "v6"])
        own = os.path.join(where, "own.dtb")
        with open(own, "wb") as file:
            file.write(b"\x12\x34\x56\x78" + bytes(60))
        check("a tree of one's own",
              "tree 0000000078563412" in run("-dtb", own).stdout)
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
