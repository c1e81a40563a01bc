"""The main job, from a disk image to the blocks that a guest changed.

usage: main-job.py --tools DIR --guest MAIN-JOB-ELF [--engine jit|interp]

  1. e2k-nbd serves a disk image
  2. e2k-system boots a guest whose disk is that export, with a dirty bitmap
  3. the guest verifies its root block, writes runs of blocks, powers off
  4. the founding rule decides about exporting the disk with the bitmap
  5. nbdinfo and qemu-img read the bitmap: exactly what the guest wrote
  6. the changed blocks are pulled out over NBD and compared

Says what it does as it goes; ends with "main job: ok" or a non-zero exit.
Exits with 77 when nbdinfo, nbdcopy or qemu-img is not installed.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "guest", "system"))
import importlib  # noqa: E402

from qmp import Qmp, QmpError  # noqa: E402

make_root = importlib.import_module("make-root")

DISK_BYTES = 64 << 20
BLOCK = 4096
GRANULARITY = 65536
# Byte offset and number of blocks of each run the guest writes; the offsets
# are multiples of the bitmap's granularity or not, on purpose.
RUNS = [(1 << 20, 16), (3 << 20, 5), ((7 << 20) + 3 * BLOCK, 40),
        (DISK_BYTES - GRANULARITY, 16)]
WAIT = 60


class Failed(Exception):
    pass


def say(text):
    print(text, flush=True)


def step(number, text):
    say(f"\n[{number}] {text}")


def check(condition, text):
    if not condition:
        raise Failed(text)
    say(f"    ok: {text}")


def run(*command):
    say("    $ " + " ".join(command))
    done = subprocess.run(command, capture_output=True, text=True,
                          timeout=WAIT, check=False)
    if done.returncode:
        raise Failed(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def dirty_ranges():
    """What the bitmap must show: the runs, rounded to its granularity."""
    marks = set()
    for offset, blocks in RUNS:
        first = offset // GRANULARITY
        last = (offset + blocks * BLOCK - 1) // GRANULARITY
        marks.update(range(first, last + 1))
    ranges = []
    for mark in sorted(marks):
        start = mark * GRANULARITY
        if ranges and ranges[-1][0] + ranges[-1][1] == start:
            ranges[-1][1] += GRANULARITY
        else:
            ranges.append([start, GRANULARITY])
    return [tuple(r) for r in ranges]


class Job:
    def __init__(self, args, directory):
        self.args = args
        self.dir = directory
        self.image = os.path.join(directory, "disk.img")
        self.disk_socket = os.path.join(directory, "disk.sock")
        self.qmp_socket = os.path.join(directory, "qmp.sock")
        self.export_socket = os.path.join(directory, "export.sock")
        self.console = os.path.join(directory, "console.txt")
        self.processes = []

    def tool(self, name):
        return os.path.join(self.args.tools, name)

    def start(self, *command, **kwargs):
        say("    $ " + " ".join(os.path.basename(w) if i == 0 else w
                                for i, w in enumerate(command)) + " &")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **kwargs)
        self.processes.append(process)
        return process

    def stop_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_for(self, path):
        deadline = time.monotonic() + WAIT
        while not os.path.exists(path):
            for process in self.processes:
                if process.poll() is not None:
                    raise Failed(f"{process.args[0]} ended too early")
            if time.monotonic() > deadline:
                raise Failed(f"{path} did not appear")
            time.sleep(0.01)

    def serve_image(self):
        runs = [f"{offset}:{blocks}" for offset, blocks in RUNS]
        run(sys.executable, make_root.__file__, self.image, str(DISK_BYTES),
            *runs)
        with open(self.image, "rb") as image:
            self.before = image.read()
        self.start(self.tool("e2k-nbd"), "-f", "raw", "-t", "-e", "0",
                   "-x", "disk", "-k", self.disk_socket, self.image)
        self.wait_for(self.disk_socket)

    def boot(self):
        self.start(
            self.tool("e2k-system"), "-M", "virt", "-accel", self.args.engine,
            "-kernel", self.args.guest, "-serial", f"file:{self.console}",
            "-blockdev",
            "driver=nbd,node-name=disk0,server.type=unix,"
            f"server.path={self.disk_socket},export=disk",
            "-device", "virtio-blk-device,drive=disk0",
            "-qmp", f"unix:{self.qmp_socket},server=on,wait=off",
            "-S", "-no-shutdown")
        self.wait_for(self.qmp_socket)
        self.qmp = Qmp(self.qmp_socket)
        self.command("block-dirty-bitmap-add", node="disk0", name="b0",
                     granularity=GRANULARITY)
        self.command("cont")

    def command(self, name, /, **args):
        args = {key.replace("_", "-"): value for key, value in args.items()}
        say("    QMP> " + name + (" " + json.dumps(args) if args else ""))
        return self.qmp.command(name, args)

    def refused(self, name, word, /, **args):
        try:
            self.command(name, **args)
        except QmpError as error:
            say(f"    QMP< error: {error.desc}")
            check(word in error.desc, f"refused, naming {word!r}")
            return
        raise Failed(f"{name} was not refused")

    def watch_guest(self):
        self.qmp.event("SHUTDOWN")
        with open(self.console, encoding="utf-8") as console:
            text = console.read()
        for line in text.splitlines():
            say("    guest| " + line)
        blocks = sum(blocks for _, blocks in RUNS)
        check("root block: ok" in text, "the guest verified its root block")
        check(f"blocks written: {blocks}" in text,
              f"the guest wrote {blocks} blocks")

    def export(self, name, writable=False, node="disk0"):
        self.command("block-export-add", type="nbd", id=name, name=name,
                     node_name=node, writable=writable, bitmaps=["b0"])

    def founding_rule(self):
        self.command("nbd-server-start", addr={
            "type": "unix", "data": {"path": self.export_socket}})
        self.refused("block-export-add", "b0", type="nbd", id="e0", name="e0",
                     node_name="disk0", writable=False, bitmaps=["b0"])
        say("    enabled bitmap, writable node, writable export: allowed")
        self.export("writable", writable=True)
        self.command("block-export-del", id="writable", mode="hard")
        self.wait_export_gone("writable")
        say("    disabled bitmap, read-only export: allowed")
        self.command("block-dirty-bitmap-disable", node="disk0", name="b0")
        self.export("snapshot")

    def wait_export_gone(self, name):
        deadline = time.monotonic() + WAIT
        while any(e["id"] == name
                  for e in self.qmp.command("query-block-exports", {})):
            if time.monotonic() > deadline:
                raise Failed(f"export {name} does not go away")
            time.sleep(0.01)

    def uri(self):
        return f"nbd+unix:///snapshot?socket={self.export_socket}"

    def read_bitmap(self):
        want = dirty_ranges()
        out = run("nbdinfo", "--json", "--map=qemu:dirty-bitmap:b0",
                  self.uri())
        got = [(e["offset"], e["length"]) for e in json.loads(out)
               if e["type"] & 1]
        for offset, length in got:
            say(f"    dirty {offset:#10x} .. {offset + length:#10x}")
        check(got == want, "nbdinfo shows exactly the ranges written")
        out = run("qemu-img", "map", "--output=json", "--image-opts",
                  "driver=nbd,server.type=unix,"
                  f"server.path={self.export_socket},export=snapshot,"
                  "x-dirty-bitmap=qemu:dirty-bitmap:b0")
        got = [(e["start"], e["length"]) for e in json.loads(out)
               if not e["data"]]
        check(merge(got) == want, "qemu-img map shows the same ranges")

    def pull(self):
        copy = os.path.join(self.dir, "pulled.img")
        run("nbdcopy", self.uri(), copy)
        with open(copy, "rb") as f:
            after = f.read()
        written = bytearray(self.before)
        for offset, blocks in RUNS:
            for i in range(blocks):
                at = offset + i * BLOCK
                written[at:at + BLOCK] = make_root.expected_block(at)
        same = all(after[o:o + n] == written[o:o + n]
                   for o, n in dirty_ranges())
        check(same, "the changed blocks hold what the guest wrote")
        check(after == bytes(written), "every other block is as it was")
        with open(self.image, "rb") as image:
            check(image.read() == after, "and so does the image behind e2k-nbd")

    def read_only_node(self):
        """An enabled bitmap on a read-only node may be exported read-only."""
        self.command("blockdev-add", driver="file", node_name="ro-file",
                     filename=self.image, read_only=True)
        self.command("blockdev-add", driver="raw", node_name="ro",
                     file="ro-file", read_only=True)
        self.command("block-dirty-bitmap-add", node="ro", name="b0")
        say("    enabled bitmap, read-only node, read-only export: allowed")
        self.export("ro-export", node="ro")

    def finish(self):
        self.command("nbd-server-stop")
        self.command("quit")
        status = self.processes[-1].wait(WAIT)
        check(status == 0, "e2k-system ended with status 0")


def merge(ranges):
    merged = []
    for start, length in ranges:
        if merged and sum(merged[-1]) == start:
            merged[-1] = (merged[-1][0], merged[-1][1] + length)
        else:
            merged.append((start, length))
    return merged


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", required=True)
    parser.add_argument("--guest", required=True)
    parser.add_argument("--engine", default="jit")
    args = parser.parse_args()
    for program in ("nbdinfo", "nbdcopy", "qemu-img"):
        if not shutil.which(program):
            print(f"{program} is not installed")
            sys.exit(77)
    directory = tempfile.mkdtemp(prefix="e2k-main-job-")
    job = Job(args, directory)
    try:
        step(1, "e2k-nbd serves a disk image")
        job.serve_image()
        step(2, f"e2k-system boots a guest from it (engine: {args.engine})")
        job.boot()
        step(3, "the guest works and powers off")
        job.watch_guest()
        step(4, "the founding rule: when may the bitmap be exported?")
        job.founding_rule()
        step(5, "standard clients read the bitmap")
        job.read_bitmap()
        step(6, "the changed blocks are pulled out and compared")
        job.pull()
        step(7, "the other side of the rule: a read-only node")
        job.read_only_node()
        job.finish()
    except Failed as error:
        say(f"\nmain job: FAILED: {error}")
        sys.exit(1)
    finally:
        job.stop_all()
        shutil.rmtree(directory, ignore_errors=True)
    say("\nmain job: ok")


if __name__ == "__main__":
    main()
