"""Disks behind PCI: virtio-blk-pci under the disk exerciser, hot plug of SATA
and PCI disks, snapshots of machines with PCI functions.

usage: disk-pci.py E2K-SYSTEM E2K-IMG DISK-PCI-ELF [MACHINE WALK-DEVICES-ELF]...
"""
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from disk_guest import Failed, Guest  # noqa: E402
from qmp import QmpError  # noqa: E402

SYSTEM, IMG, ELF = sys.argv[1:4]
MACHINES = sys.argv[4:]


def check(what, good, details=""):
    if not good:
        raise Failed(f"{what} {details}")
    print("ok " + what, flush=True)


def create(where, name):
    path = os.path.join(where, name)
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", path, "8M"],
                   check=True)
    return path


def exerciser(where, engine):
    image = create(where, f"{engine}.qcow2")
    with Guest(SYSTEM, ELF, where, "-accel", engine, "-drive",
               f"file={image},format=qcow2,if=none,id=disk", "-device",
               "virtio-blk-pci,drive=disk,id=d0", name=engine) as g:
        g.running()
        g.goes_on()
        check("in the list of functions",
              "1af4:1042 d0" in g.human("info pci"))
        g.human("savevm here")
        g.goes_on()
        g.human("loadvm here")
        g.goes_on()
        check(f"virtio-blk-pci, {engine}: snapshot", True)
        extra = create(where, f"extra-{engine}.qcow2")
        g.command("blockdev-add", driver="qcow2", node_name="x",
                  file={"driver": "file", "filename": extra})
        g.command("device_add", driver="ahci", id="sata", ports=2)
        g.command("device_add", driver="ide-hd", drive="x", id="hd",
                  bus="sata.1")
        g.goes_on()
        try:
            g.command("device_del", id="sata")
            raise Failed("a controller with a disk was removed")
        except QmpError as error:
            check("a controller with a disk stays", "'hd'" in error.desc)
        g.command("device_del", id="hd")
        g.command("device_del", id="sata")
        g.command("blockdev-del", node_name="x")
        check("SATA controller and disk: plugged and unplugged",
              "sata" not in g.human("info pci"))
        g.goes_on()
        g.finish()
        g.quit()


def real_machine(where, machine, guest):
    """Put back to a moment of the walk through a real machine; one with root
    ports has a function below the second of them."""
    raw = os.path.join(where, "root.raw")
    image = os.path.join(where, f"root-{machine}.qcow2")
    subprocess.run([sys.executable,
                    os.path.join(HERE, "..", "guest", "system",
                                 "make-root.py"), raw, str(8 << 20),
                    "65536:4"], check=True)
    subprocess.run([IMG, "convert", "-O", "qcow2", raw, image], check=True)
    port = [] if machine == "e2s" else ["-device",
                                        "virtio-rng-pci,id=r,bus=port1"]
    with Guest(SYSTEM, guest, where, "-M", machine, "-cpu", machine, "-drive",
               f"file={image},format=qcow2", *port, name=machine,
               started=False) as g:
        functions = {words[2]: words[0] for words in
                     map(str.split, g.human("info pci").splitlines())}
        if port:
            check(f"{machine}: a function below a root port",
                  int(functions["r"].split(":")[0]) >
                  int(functions["port1"].split(":")[0]) > 0)
        g.command("cont")
        time.sleep(0.02)
        g.human("savevm here")
        time.sleep(0.05)
        g.human("loadvm here")
        if g.command("query-status")["status"] == "paused":
            g.command("cont")
        g.wait_text("walk-devices passed")
        g.quit()
    check(f"{machine}: put back to a moment of its walk", True)


def main():
    with tempfile.TemporaryDirectory() as where:
        for engine in ("jit", "interp"):
            exerciser(where, engine)
        for machine, guest in zip(MACHINES[::2], MACHINES[1::2]):
            real_machine(where, machine, guest)
    print("disk-pci passed")


if __name__ == "__main__":
    main()
