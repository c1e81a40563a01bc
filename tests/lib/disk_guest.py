"""The disk exerciser guest (tests/guest/system/disk.s), seen from the host.

    versions = check_image(data)      # of each block; raises when one is torn

and a running e2k-system with it:

    with Guest(program, elf, where, *options) as g:
        g.running()                   # it works on its disk
        g.qmp.command(...)
        g.finish()                    # it verifies everything and ends
"""
import os
import struct
import subprocess
import time

from qmp import Qmp, QmpError

BLOCK = 4096
BLOCKS = 256
BYTES = BLOCK * BLOCKS
MAGIC = 0x4B534944324B3245
PATTERN = 0x5CA1AB1E0DDBA115
MASK = (1 << 64) - 1
TIMEOUT = 60


class Failed(Exception):
    pass


def block(number, version):
    """What a block must hold."""
    step = (number << 32) + version
    words = [(MAGIC + number) & MASK, version]
    words += [(PATTERN + step * i) & MASK for i in range(2, BLOCK // 8)]
    return struct.pack(f"<{BLOCK // 8}Q", *words)


def check_image(data):
    """Versions of all blocks; every block must be whole."""
    versions = []
    for number in range(BLOCKS):
        found = data[number * BLOCK:(number + 1) * BLOCK]
        version = struct.unpack_from("<Q", found, 8)[0]
        if found != block(number, version):
            raise Failed(f"block {number} is torn")
        versions.append(version)
    return versions


class Guest:
    def __init__(self, program, elf, where, *options, name="guest",
                 started=True, pass_fds=()):
        self.console = os.path.join(where, name + ".txt")
        path = os.path.join(where, name + ".qmp")
        self.errors = open(os.path.join(where, name + ".err"), "w+b")
        self.process = subprocess.Popen(
            [program, "-kernel", elf, "-m", "32", "-serial",
             f"file:{self.console}", "-qmp",
             f"unix:{path},server=on,wait=off", "-no-shutdown",
             *([] if started else ["-S"]), *options],
            stdin=subprocess.DEVNULL, stderr=self.errors,
            pass_fds=pass_fds)
        deadline = time.monotonic() + TIMEOUT
        while not os.path.exists(path):
            if self.process.poll() is not None:
                raise Failed("the machine did not start: " + self.said())
            if time.monotonic() > deadline:
                raise Failed("the monitor did not appear")
            time.sleep(0.01)
        self.qmp = Qmp(path)

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()

    def human(self, line):
        said = self.qmp.command("human-monitor-command",
                                {"command-line": line})
        if said.startswith("Error: "):
            raise QmpError({"class": "GenericError",
                            "desc": said[len("Error: "):].strip()})
        return said

    def text(self):
        if not os.path.exists(self.console):
            return ""
        with open(self.console, encoding="ascii", errors="replace") as file:
            return file.read()

    def wait_text(self, wanted, count=1):
        deadline = time.monotonic() + TIMEOUT
        while self.text().count(wanted) < count:
            if self.process.poll() is not None or \
                    time.monotonic() > deadline or "FAILED" in self.text():
                raise Failed(f"no '{wanted}' from the guest, which said:\n"
                             + self.text() + self.said())
            time.sleep(0.01)

    def running(self):
        self.wait_text("running")

    def command(self, name, /, **args):
        return self.qmp.command(name, {k.replace("_", "-"): v
                                       for k, v in args.items()})

    def requests(self):
        """Disk requests so far; to see that the guest goes on."""
        stats = self.command("query-blockstats")[0]["stats"]
        return stats["rd_operations"] + stats["wr_operations"]

    def goes_on(self):
        before = self.requests()
        deadline = time.monotonic() + TIMEOUT
        while self.requests() < before + 20:
            if time.monotonic() > deadline or "FAILED" in self.text():
                raise Failed("the guest stands still: " + self.text())
            time.sleep(0.01)

    def finish(self):
        """Presses the power button; the guest checks all and ends."""
        self.command("system_powerdown")
        self.qmp.event("SHUTDOWN")
        if "disk passed" not in self.text():
            raise Failed("the guest said:\n" + self.text())

    def quit(self):
        self.command("quit")
        status = self.process.wait(TIMEOUT)
        if status:
            raise Failed(f"exit status {status}: {self.said()}")
