"""Fault injection as test suites use it: events of qcow2 and raw, states,
breaks, limits; and temporary overlays (-s) of e2k-io.

usage: faults.py E2K_IMG E2K_IO
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import run_tests

IMG, IO = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])


def img(*args):
    subprocess.run([IMG, *args], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)


def io(args, *commands):
    words = [IO, *args]
    for c in commands:
        words += ["-c", c]
    p = subprocess.run(words, timeout=60, text=True, capture_output=True)
    return p.returncode, p.stdout + p.stderr


class Disk:
    """A qcow2 image behind blkdebug, opened anew for each list of commands."""

    def __init__(self, size="1M", fmt="qcow2"):
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "disk")
        self.config = os.path.join(self.dir.name, "rules")
        self.fmt = fmt
        img("create", "-f", fmt, self.path, size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.dir.cleanup()

    def rules(self, text):
        with open(self.config, "w") as f:
            f.write(text)

    def run(self, *commands):
        return io(["-f", self.fmt, f"blkdebug:{self.config}:{self.path}"],
                  *commands)

    def with_options(self, options, *commands):
        return io(["--image-opts", f"driver={self.fmt},file.driver=blkdebug,"
                   f"file.image.filename={self.path},{options}"], *commands)


def inject(event, extra=""):
    return f'[inject-error]\nevent = "{event}"\nerrno = "28"\n{extra}\n'


# Event, what makes an image in which it happens, the request that fails.
EVENTS = [
    ("write_aio", [], "write 0 64k"),
    ("cluster_alloc", [], "write 0 64k"),
    ("l2_alloc_write", [], "write 0 64k"),
    ("l2_load", ["write 0 64k"], "read 0 64k"),
    ("read_aio", ["write 0 64k"], "read 0 64k"),
    ("refblock_load", [], "write 0 64k"),
    ("flush_to_disk", [], "flush"),
    ("write_compressed", [], "write -c 0 64k"),
    ("read_compressed", ["write -c 0 64k"], "read 0 64k"),
    ("vmstate_save", [], "write -b 0 64k"),
]


def test_events(program):
    for event, before, request in EVENTS:
        with Disk() as d:
            for c in before:
                assert io(["-f", "qcow2", d.path], c)[0] == 0, (event, c)
            d.rules(inject(event, 'once = "off"'))
            # A flush that finds nothing to do passes no event.
            first = ["write 0 64k"] if request == "flush" else []
            code, out = d.run(*first, request)
            assert code == 1 and "No space left on device" in out, (event, out)
            img("check", "-q", "-f", "qcow2", "-r", "leaks", d.path)


def test_once_and_states(program):
    with Disk() as d:
        d.rules(inject("write_aio", 'state = "2"\nonce = "on"') +
                '[set-state]\nevent = "write_aio"\nstate = "1"\n'
                'new_state = "2"\n')
        code, out = d.run("write 0 4k", "write 4k 4k", "write 8k 4k")
        assert code == 1 and out.count("wrote") == 2, out
        assert out.index("write failed") > out.index("wrote"), out


def test_later_event_ends_earlier(program):
    with Disk() as d:
        # The second rule only matches sector 9999: nobody fails after it.
        d.rules(inject("read_aio", 'sector = "9999"') + inject("write_aio"))
        assert d.run("write 0 4k")[0] == 1
        io(["-f", "qcow2", d.path], "write 0 4k")
        code, out = d.run("write 0 4k", "read 0 4k")
        assert code == 1 and "read 4096/4096" in out, out


def test_unknown_event(program):
    with Disk() as d:
        d.rules(inject("no_such_event"))
        code, out = d.run("read 0 4k")
        assert code == 1 and 'Invalid event name "no_such_event"' in out, out
        d.rules("")
        code, out = d.run("break no_such_event A")
        assert code == 1 and "Invalid event name" in out, out


def test_breaks(program):
    with Disk() as d:
        d.rules("")
        code, out = d.run("break write_aio A", "aio_write 0 4k",
                          "wait_break A", "read 512k 4k", "resume A",
                          "aio_flush", "read -P 0xcd 0 4k")
        assert code == 0, out
        assert out.index("offset 524288") < out.index("wrote"), out
        # One tag at several events: all go at once.
        code, out = d.run("break write_aio A", "break read_aio A",
                          "aio_write 0 4k", "wait_break A", "remove_break A",
                          "aio_flush", "read -P 0xcd 0 4k")
        assert code == 0, out
        code, out = d.run("resume A")
        assert code == 1 and "No break with tag 'A'" in out, out


def test_raw_events(program):
    with Disk(fmt="raw") as d:
        d.rules(inject("read_aio"))
        code, out = d.run("write 0 4k", "read 0 4k")
        assert code == 1 and "wrote" in out and "read failed" in out, out


def test_limits(program):
    with Disk("8M", "raw") as d:
        limits = "file.align=512,file.max-write-zero=1M," \
                 "file.opt-write-zero=64k,file.max-discard=1M," \
                 "file.opt-discard=64k,discard=unmap"
        code, out = d.with_options(limits, "write -P 1 0 8M",
                                   "write -z 1000 5M", "read -P 1 0 1000",
                                   "read -P 0 1000 5M", "discard 100 7M",
                                   "read -P 1 7M 1M")
        assert code == 0, out
        code, out = d.with_options("file.align=512,file.max-write-zero=100k,"
                                   "file.opt-write-zero=64k")
        assert code == 1 and "Cannot meet constraints with max-write-zero " \
            "102400" in out, out


def test_overlap_switches(program):
    """overlap-check as a word, a template, and single switches."""
    with Disk() as d:
        assert io(["-f", "qcow2", d.path], "write 0 64k")[0] == 0
        with open(d.path, "r+b") as f:
            f.seek(40)
            l1 = int.from_bytes(f.read(8), "big")
            f.seek(l1)
            l2 = int.from_bytes(f.read(8), "big") & ~(1 << 63)
            # The first guest cluster "lies" on the L2 table itself.
            f.seek(l2)
            f.write((l2 | 1 << 63).to_bytes(8, "big"))
        image = open(d.path, "rb").read()
        for options, caught in [("overlap-check=none", False),
                                ("overlap-check.template=none", False),
                                ("overlap-check.active-l2=off", False),
                                ("overlap-check.template=none,"
                                 "overlap-check.active-l2=on", True),
                                ("overlap-check.template=all", True)]:
            with open(d.path, "wb") as f:
                f.write(image)
            code, out = io(["--image-opts", "driver=qcow2,file.filename="
                            f"{d.path},{options}"], "write 32k 4k")
            assert (code == 1) == caught, (options, out)
            assert ("overlaps with active L2 table" in out) == caught, out
        code, out = io(["--image-opts", "driver=qcow2,file.filename="
                        f"{d.path},overlap-check.l2=on"], "read 0 4k")
        assert code == 1 and "l2" in out, out


def test_temporary(program):
    with Disk() as d:
        assert io(["-f", "qcow2", d.path], "write -P 1 0 64k")[0] == 0
        before = open(d.path, "rb").read()
        code, out = io(["-s", "-f", "qcow2", d.path], "write -P 2 0 4k",
                       "read -P 2 0 4k", "read -P 1 4k 60k")
        assert code == 0, out
        assert open(d.path, "rb").read() == before
        code, out = io([], f"open -s {d.path}", "write -P 2 0 4k",
                       "read -P 2 0 4k", "close")
        assert code == 0, out
        assert open(d.path, "rb").read() == before


run_tests(dict(globals()), sys.argv[2])
