"""SCSI disks behind virtio: what a guest does with two of them, hot plug.

usage: scsi.py E2K-SYSTEM SCSI-ELF [ENGINE]
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

SYSTEM, ELF = sys.argv[1:3]
ENGINE = sys.argv[3] if len(sys.argv) > 3 else "jit"
BLOCK = bytes.fromhex("efcdab8967452301") * 64
failed = 0


def check(what, good, details=""):
    global failed
    failed += not good
    print(("ok " if good else "FAILED ") + what, "" if good else details)


def run_guest(where):
    for name in ["a", "b"]:
        with open(os.path.join(where, name), "wb") as image:
            image.truncate(1 << 20)
    done = subprocess.run(
        [SYSTEM, "-accel", ENGINE, "-kernel", ELF, "-m", "32", "-nographic",
         "-blockdev", f"file,node-name=fa,filename={where}/a",
         "-blockdev", f"file,node-name=fb,filename={where}/b,read-only=on",
         "-device", "virtio-scsi-device,id=s",
         "-device", "scsi-hd,bus=s.0,drive=fa,scsi-id=0,lun=0,serial=1234",
         "-device", "scsi-hd,bus=s.0,drive=fb,scsi-id=0,lun=1"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50,
        check=False)
    lines = done.stdout.splitlines()
    if done.returncode or lines[-1:] != ["scsi passed"]:
        print(done.stdout, done.stderr)
    check("the guest is content",
          done.returncode == 0 and lines[-1:] == ["scsi passed"])
    with open(os.path.join(where, "a"), "rb") as image:
        blocks = image.read()
    check("blocks 3 and 4 of the disk", blocks[3 * 512:5 * 512] == 2 * BLOCK)
    check("and no others", not any(blocks[:3 * 512] + blocks[5 * 512:]))
    with open(os.path.join(where, "b"), "rb") as image:
        check("the protected disk", not any(image.read()))


class Monitor:
    def __init__(self, path):
        deadline = time.monotonic() + 30
        self.sock = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.file = self.sock.makefile("r")
        json.loads(self.file.readline())
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.sock.sendall(json.dumps({
            "execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                return answer


def hot_plug(where):
    path = os.path.join(where, "qmp")
    with subprocess.Popen(
            [SYSTEM, "-kernel", ELF, "-m", "32", "-S", "-nographic",
             "-device", "virtio-scsi-pci,id=s",
             "-blockdev", "null-co,node-name=n,size=1M",
             "-blockdev", "null-co,node-name=m,size=1M",
             "-qmp", f"unix:{path},server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        qmp = Monitor(path)
        check("a disk is plugged", "return" in qmp(
            "device_add", driver="scsi-hd", id="d", drive="n", bus="s.0"))
        check("its place is taken", "no free place" in qmp(
            "device_add", driver="scsi-hd", id="e", drive="m", bus="s.0",
            **{"scsi-id": 0})["error"]["desc"])
        check("the adapter stays while it has a disk", "remove 'd' first" in
              qmp("device_del", id="s")["error"]["desc"])
        check("the disk is unplugged", "return" in qmp("device_del", id="d"))
        check("then the adapter", "return" in qmp("device_del", id="s"))
        check("no adapter, no disk", "there is no SCSI adapter" in qmp(
            "device_add", driver="scsi-hd", id="d",
            drive="n")["error"]["desc"])
        qmp("quit")
        check("the end", process.wait(timeout=30) == 0)


def main():
    with tempfile.TemporaryDirectory() as where:
        run_guest(where)
        hot_plug(where)
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
