"""Work on a disk while a guest writes it: each result compared byte for byte.

usage: live.py TOOLS DISK-ELF [ENGINE [TEST...]]

The disk exerciser (tests/guest/system/disk.s) is the guest; it verifies its
disk at the end of every test.  A reference is the disk's content while the
guest stands still for a moment.  Tests: pull, push, mirror, snapshot, resize,
unplug, reconnect.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "lib"))
from disk_guest import (BLOCK, BLOCKS, BYTES, Failed, Guest,  # noqa: E402
                        check_image)
from qmp import QmpError  # noqa: E402

TOOLS, ELF = sys.argv[1:3]
ENGINE = sys.argv[3] if len(sys.argv) > 3 else "jit"
DISK_BYTES = 4 << 20
GRANULARITY = 65536


def tool(name):
    return os.path.join(TOOLS, name)


def check(what, good, details=""):
    if not good:
        raise Failed(f"{what} {details}")
    print("ok " + what, flush=True)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60,
                          check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def content(path):
    with open(path, "rb") as file:
        return file.read()


class Server:
    """e2k-nbd on a raw image that more than one client may use."""

    def __init__(self, where, name, size=DISK_BYTES):
        self.image = os.path.join(where, name + ".raw")
        self.path = os.path.join(where, name + ".sock")
        with open(self.image, "wb") as file:
            file.truncate(size)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [tool("e2k-nbd"), "-f", "raw", "-t", "-e", "0", "-k", self.path,
             self.image])
        deadline = time.monotonic() + 60
        while not os.path.exists(self.path):
            if time.monotonic() > deadline:
                raise Failed("the server did not start")
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def node(self, name):
        return {"driver": "nbd", "node-name": name,
                "server": {"type": "unix", "path": self.path}}


class Live:
    """A guest on a qcow2 disk, node disk0, with an NBD server of its own."""

    def __init__(self, where):
        self.where = where
        self.image = self.file("disk.qcow2")
        self.socket = self.file("live.sock")
        self.count = 0
        self.servers = []
        run(tool("e2k-img"), "create", "-q", "-f", "qcow2", self.image,
            str(DISK_BYTES))
        self.guest = Guest(
            tool("e2k-system"), ELF, where, "-accel", ENGINE, "-blockdev",
            "driver=qcow2,node-name=disk0,file.driver=file,"
            f"file.filename={self.image}", "-device",
            "virtio-blk-device,drive=disk0,id=d0")
        self.command = self.guest.command

    def __enter__(self):
        self.guest.__enter__()
        self.guest.running()
        self.command("nbd-server-start",
                     addr={"type": "unix", "data": {"path": self.socket}})
        return self

    def __exit__(self, *args):
        self.guest.__exit__(*args)
        for server in self.servers:
            server.kill()

    def file(self, name):
        return os.path.join(self.where, name)

    def server(self, name):
        self.servers.append(Server(self.where, name))
        return self.servers[-1]

    def pull(self, node, **more):
        """Content of a node, through an export of it."""
        self.count += 1
        name = f"pull{self.count}"
        self.command("block-export-add", type="nbd", id=name, name=name,
                     node_name=node, **more)
        path = self.file(name)
        run(tool("e2k-img"), "convert", "-O", "raw", "-f", "raw",
            f"nbd:unix:{self.socket}:exportname={name}", path)
        data = content(path)
        os.unlink(path)
        self.command("block-export-del", id=name)
        self.guest.qmp.event("BLOCK_EXPORT_DELETED")
        return data

    def dirty(self, node, bitmap):
        """Ranges that a bitmap of disk0 has, through an export of node."""
        self.command("block-export-add", type="nbd", id="map", name="map",
                     node_name=node,
                     bitmaps=[{"node": "disk0", "name": bitmap}])
        text = run(tool("e2k-img"), "map", "--output=json", "--image-opts",
                   "driver=nbd,export=map,server.type=unix,"
                   f"server.path={self.socket},"
                   f"x-dirty-bitmap=qemu:dirty-bitmap:{bitmap}")
        self.command("block-export-del", id="map")
        self.guest.qmp.event("BLOCK_EXPORT_DELETED")
        return [(item["start"], item["length"]) for item in json.loads(text)
                if not item["data"]]

    def reference(self):
        """The disk now; the guest stays stopped."""
        self.command("stop")
        return self.pull("disk0")

    def wait_job(self, name, event="BLOCK_JOB_COMPLETED"):
        while True:
            data = self.guest.qmp.event(event)["data"]
            if data["device"] == name:
                if data.get("error"):
                    raise Failed(f"job {name}: {data['error']}")
                return

    def end(self, copy=None):
        self.guest.finish()
        if copy is not None:
            check_image(copy)
        self.guest.quit()


def overlay(live, name):
    """A qcow2 overlay of disk0 that takes old data."""
    path = live.file(name + ".qcow2")
    run(tool("e2k-img"), "create", "-q", "-f", "qcow2", path,
        str(DISK_BYTES))
    live.command("blockdev-add", driver="qcow2", node_name=name,
                 file={"driver": "file", "filename": path}, backing="disk0")


def freeze(live, name, *actions):
    """Starts a frozen view and what belongs to the same moment."""
    overlay(live, name)
    live.command("transaction", actions=[
        {"type": "blockdev-backup",
         "data": {"job-id": name, "device": "disk0", "target": name,
                  "sync": "none"}},
        *actions])


def thaw(live, name):
    live.command("block-job-cancel", device=name)
    live.wait_job(name, "BLOCK_JOB_CANCELLED")
    live.command("blockdev-del", node_name=name)


def test_pull(where):
    with Live(where) as live:
        want = live.reference()
        freeze(live, "full", {"type": "block-dirty-bitmap-add",
                              "data": {"node": "disk0", "name": "b0",
                                       "granularity": GRANULARITY}})
        live.command("cont")
        live.guest.goes_on()
        full = live.pull("full")
        check("pull: full backup of a disk in use", full == want)
        thaw(live, "full")
        live.guest.goes_on()
        want = live.reference()
        freeze(live, "incr",
               {"type": "block-dirty-bitmap-disable",
                "data": {"node": "disk0", "name": "b0"}},
               {"type": "block-dirty-bitmap-add",
                "data": {"node": "disk0", "name": "b1"}})
        live.command("cont")
        live.guest.goes_on()
        frozen = live.pull("incr")
        backup = bytearray(full)
        ranges = live.dirty("incr", "b0")
        for start, length in ranges:
            backup[start:start + length] = frozen[start:start + length]
        check("pull: increment by the bitmap", backup == want and ranges)
        check("pull: the bitmap is not everything",
              sum(n for _, n in ranges) <= BYTES)
        thaw(live, "incr")
        live.end()


def test_push(where):
    with Live(where) as live:
        target = live.server("target")
        live.command("blockdev-add", **target.node("target"))
        want = live.reference()
        live.command("transaction", actions=[
            {"type": "block-dirty-bitmap-add",
             "data": {"node": "disk0", "name": "b0"}},
            {"type": "blockdev-backup",
             "data": {"job-id": "push", "device": "disk0", "target":
                      "target", "sync": "full"}}])
        live.command("cont")
        live.wait_job("push")
        check("push: full backup to another server",
              content(target.image) == want)
        live.guest.goes_on()
        want = live.reference()
        live.command("blockdev-backup", job_id="push2", device="disk0",
                     target="target", sync="incremental", bitmap="b0")
        live.command("cont")
        live.wait_job("push2")
        check("push: increment", content(target.image) == want)
        live.command("blockdev-del", node_name="target")
        live.end()


def test_mirror(where):
    with Live(where) as live:
        target = live.server("target")
        live.command("blockdev-add", **target.node("target"))
        live.command("blockdev-mirror", job_id="move", device="disk0",
                     target="target", sync="full")
        live.wait_job("move", "BLOCK_JOB_READY")
        live.guest.goes_on()
        live.command("stop")
        live.command("block-job-complete", device="move")
        live.wait_job("move")
        old = live.pull("disk0")
        check("mirror: both are the same at the pivot",
              content(target.image) == old)
        live.command("cont")
        live.guest.goes_on()
        check("mirror: the guest is on the other server",
              live.pull("disk0") == old)
        live.command("stop")
        live.command("blockdev-del", node_name="disk0")
        live.command("cont")
        live.guest.goes_on()
        live.guest.finish()
        check("mirror: the server has what the guest's disk has",
              live.pull("target") == content(target.image))
        live.guest.quit()
        versions = check_image(content(target.image))
        check("mirror: and writes there", max(versions) > 1)
        check_image(old)


def test_snapshot(where):
    with Live(where) as live:
        want = live.reference()
        path = live.file("overlay.qcow2")
        run(tool("e2k-img"), "create", "-q", "-f", "qcow2", path,
            str(DISK_BYTES))
        live.command("blockdev-add", driver="qcow2", node_name="over",
                     file={"driver": "file", "filename": path}, backing=None)
        live.command("blockdev-snapshot", node="disk0", overlay="over")
        live.command("cont")
        live.guest.goes_on()
        check("snapshot: the base is as it was", live.pull("disk0") == want)
        live.command("block-commit", job_id="commit", device="over",
                     top_node="over")
        live.wait_job("commit", "BLOCK_JOB_READY")
        live.command("block-job-complete", device="commit")
        live.wait_job("commit")
        live.guest.goes_on()
        live.guest.finish()
        data = live.pull("disk0")
        live.guest.quit()
        check_image(data)
        check("snapshot: committed back under the guest", data != want)


def test_resize(where):
    with Live(where) as live:
        live.guest.wait_text(f"capacity: {DISK_BYTES}")
        live.command("block_resize", node_name="disk0", size=2 * DISK_BYTES)
        live.guest.wait_text(f"capacity: {2 * DISK_BYTES}")
        live.guest.goes_on()
        check("resize: the guest sees the new size", True)
        data = live.reference()
        check("resize: content and zeroes", len(data) == 2 * DISK_BYTES and
              not any(data[DISK_BYTES:]))
        live.command("block_resize", node_name="disk0", size=3 * DISK_BYTES)
        check("resize: every byte is where it was",
              live.pull("disk0") == data + bytes(DISK_BYTES))
        live.command("cont")
        check_image(data)
        live.end()


def test_unplug(where):
    with Live(where) as live:
        extra = live.server("extra")
        before = os.urandom(DISK_BYTES)
        with open(extra.image, "r+b") as file:
            file.write(before)
        for driver in ("virtio-blk-device", "virtio-blk-pci"):
            live.command("blockdev-add", **extra.node("extra"))
            live.command("device_add", driver=driver, drive="extra", id="d1")
            live.guest.goes_on()
            try:
                live.command("blockdev-del", node_name="extra")
                raise Failed("the node of a device was deleted")
            except QmpError:
                pass
            live.command("device_del", id="d1")
            live.guest.qmp.event("DEVICE_DELETED")
            live.command("blockdev-del", node_name="extra")
            live.guest.goes_on()
        check("unplug: a disk came and went",
              content(extra.image) == before)
        live.command("stop")
        want = live.pull("disk0")
        live.command("device_del", id="d0")  # the guest's own
        live.command("cont")
        check("unplug: the disk is as the guest left it",
              live.pull("disk0") == want)
        check_image(want)
        live.command("blockdev-del", node_name="disk0")
        live.guest.quit()


def test_reconnect(where):
    """A second server, which lives, gets every write as well."""
    server, reference = Server(where, "served"), Server(where, "reference")
    try:
        with Guest(tool("e2k-system"), ELF, where, "-accel", ENGINE,
                   "-blockdev", "driver=nbd,node-name=disk0,"
                   f"server.type=unix,server.path={server.path},"
                   "reconnect-delay=60", "-device",
                   "virtio-blk-device,drive=disk0,id=d0",
                   name="reconnect") as guest:
            guest.running()
            guest.command("blockdev-add", **reference.node("reference"))
            guest.command("blockdev-mirror", job_id="twin", device="disk0",
                          target="reference", sync="full",
                          copy_mode="write-blocking")
            guest.qmp.event("BLOCK_JOB_READY")
            for _ in range(3):
                guest.goes_on()
                server.kill()
                time.sleep(0.1)
                server.start()
            guest.goes_on()
            guest.finish()
            guest.command("block-job-cancel", device="twin")
            guest.qmp.event("BLOCK_JOB_COMPLETED")
            guest.quit()
        data = content(server.image)
        check_image(data)
        check("reconnect: the server died three times and has every byte",
              data == content(reference.image))
    finally:
        server.kill()
        reference.kill()


def main():
    tests = {name[5:]: test for name, test in globals().items()
             if name.startswith("test_")}
    for name in sys.argv[4:] or tests:
        with tempfile.TemporaryDirectory() as where:
            tests[name](where)
    assert BLOCK * BLOCKS == BYTES
    print("live passed")


if __name__ == "__main__":
    main()
