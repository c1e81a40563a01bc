"""Programs end when they are told to, whatever their jobs are waiting for:
a request held at a breakpoint, a person, a limit, a server that is silent.
All states are set up first and then ended at once, so the whole takes as
long as the slowest of them."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import Daemon, Qmp, run_tests

LIMIT = 25  # seconds, of a busy machine; a silent server gets five
MIB = 1 << 20
DATA = 256 * 1024
DAEMON, SYSTEM, IMG, SLOW_LOOKUP = sys.argv[1:5]


class System(Daemon):
    """e2k-system -M none with a monitor."""

    def __init__(self):
        self.own = True
        self.dir = tempfile.mkdtemp(prefix="e2k-quit-")
        self.path = os.path.join(self.dir, "qmp.sock")
        self.nbd = os.path.join(self.dir, "nbd.sock")
        self.process = subprocess.Popen(
            [SYSTEM, "-M", "none", "-nodefaults", "-display", "none",
             "-accel", "qtest", "-qmp",
             f"unix:{self.path},server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=sys.stderr,
            stderr=subprocess.DEVNULL)
        try:
            self.qmp = Qmp(self.path)
        except Exception:
            self.process.kill()
            self.process.wait()
            raise

    def io(self, node, command):
        out = self.cmd("human-monitor-command",
                       command_line=f'qemu-io {node} "{command}"')
        assert "rror" not in out and "annot" not in out, out
        return out


class Bridge:
    """e2k-nbd that passes on what another server exports, with a client
    that writes."""

    def __init__(self, uri):
        self.dir = tempfile.mkdtemp(prefix="e2k-quit-")
        path = os.path.join(self.dir, "nbd.sock")
        self.process = subprocess.Popen(
            [tool("e2k-nbd"), "-t", "-f", "raw", "-k", path, uri],
            stdin=subprocess.DEVNULL)
        self.uri = f"nbd+unix:///?socket={path}"
        deadline = time.monotonic() + LIMIT
        while not os.path.exists(path) and time.monotonic() < deadline:
            time.sleep(0.01)


def tool(name):
    return os.path.join(os.path.dirname(IMG), name)


def guest(uri):
    """Writes twice, one of which has to wait; to be killed by the caller."""
    return subprocess.Popen(
        [tool("e2k-io"), "-f", "raw", "-c", "write 0 64k", "-c",
         "write 1M 64k", uri],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Held:
    """Programs in the states of a test; ended together."""

    def __init__(self):
        self.all = []

    def __enter__(self):
        return self

    def new(self, what, kind):
        d = System() if kind == "system" else Daemon(DAEMON)
        self.all.append((what, d))
        return d

    def end(self, way):
        """Tells all to end; whoever is still there after LIMIT fails."""
        for _, d in self.all:
            if way == "quit" and not isinstance(d, Bridge):
                d.qmp.command("quit", {})
            else:
                d.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + LIMIT
        bad = []
        for what, d in self.all:
            try:
                code = d.process.wait(max(0, deadline - time.monotonic()))
                if code != 0:
                    bad.append(f"{what}: status {code}")
            except subprocess.TimeoutExpired:
                bad.append(f"{what}: does not end")
        assert not bad, bad
        for what, d in self.all:
            for name in os.listdir(d.dir):
                if name.endswith(".qcow2"):
                    check(os.path.join(d.dir, name), what)

    def __exit__(self, kind, value, trace):
        for _, d in self.all:
            if d.process.poll() is None:
                d.process.kill()
                d.process.wait()
            shutil.rmtree(d.dir, ignore_errors=True)


def check(path, what):
    done = subprocess.run([IMG, "check", "-f", "qcow2", path], timeout=30,
                          capture_output=True, text=True)
    assert done.returncode == 0, (what, path, done)


def qcow2(d, name, backing=None):
    """A qcow2 image behind blkdebug, as node `name`."""
    path = d.file(name + ".qcow2")
    more = ["-b", backing, "-F", "qcow2"] if backing else []
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", *more, path, "4M"],
                   check=True, timeout=30)
    d.cmd("blockdev-add", driver="qcow2", node_name=name,
          backing=os.path.basename(backing)[:-6] if backing else None,
          file={"driver": "blkdebug",
                "image": {"driver": "file", "filename": path}})
    return path


def source(d):
    path = d.file("n.img", 4 * MIB, 0x11)
    d.cmd("blockdev-add", driver="raw", node_name="n",
          file={"driver": "file", "filename": path})


def copy(d, job, target, **more):
    """A backup or mirror of n to the target."""
    d.cmd(f"blockdev-{job}", job_id="j", device="n", target=target,
          sync="full", **more)


def held_request(held, job):
    """A request of the job stands at a breakpoint."""
    d = held.new(f"{job} at a break", "system")
    if job in ("backup", "mirror"):
        source(d)
        qcow2(d, "t")
        d.io("t", "break write_aio A")
        copy(d, job, "t")
        d.io("t", "wait_break A")
        return
    base = qcow2(d, "base")
    if job == "stream":
        d.io("base", f"write -P 1 0 {DATA}")
        qcow2(d, "top", base)
        d.io("top", "break write_aio A")
        d.cmd("block-stream", job_id="j", device="top")
        d.io("top", "wait_break A")
        return
    middle = qcow2(d, "middle", base)
    d.io("middle", f"write -P 1 0 {DATA}")
    qcow2(d, "top", middle)
    d.io("base", "break write_aio A")
    d.cmd("block-commit", job_id="j", device="top", top_node="middle",
          base_node="base")
    d.io("base", "wait_break A")


def held_io(held):
    """A request of a person, not of a job, stands at a breakpoint."""
    d = held.new("e2k-io command at a break", "system")
    qcow2(d, "t")
    d.io("t", "break write_aio A")
    d.io("t", "aio_write 0 64k")
    d.io("t", "wait_break A")


def held_monitor(held):
    """A monitor waits for a breakpoint that nobody comes to."""
    d = held.new("e2k-io command waits for a break", "system")
    qcow2(d, "t")
    d.io("t", "break write_aio A")
    d.qmp.send(json.dumps({
        "execute": "human-monitor-command",
        "arguments": {"command-line": 'qemu-io t "wait_break A"'}}))
    time.sleep(0.2)


def paused(held, kind, job):
    d = held.new(f"{kind}: {job} paused by a person", kind)
    source(d)
    d.raw("t", 4 * MIB)
    copy(d, job, "t", speed=65536)
    d.cmd("job-pause", id="j")
    d.qmp.event("JOB_STATUS_CHANGE", id="j", status="paused")


def stopped(held, kind, job):
    d = held.new(f"{kind}: {job} stopped by an error", kind)
    source(d)
    d.raw("t", 4 * MIB)
    d.cmd("blockdev-add", driver="blkdebug", node_name="bad", image="t",
          **{"inject-error": [{"event": "none", "iotype": "write"}]})
    copy(d, job, "bad", on_target_error="stop")
    d.qmp.event("JOB_STATUS_CHANGE", id="j", status="paused")


def throttled(held, kind, job):
    d = held.new(f"{kind}: {job} behind a limit", kind)
    source(d)
    d.raw("file", 4 * MIB)
    d.cmd("object-add", qom_type="throttle-group", id="g",
          limits={"bps-total": 1})
    d.cmd("blockdev-add", driver="throttle", node_name="t",
          throttle_group="g", file="file")
    copy(d, job, "t")
    time.sleep(0.1)  # one request passes, the next ones wait


def silent(held, kind, job, server, **more):
    d = held.new(f"{kind}: {job} to a silent server {more}", kind)
    source(d)
    d.cmd("blockdev-add", driver="nbd", node_name="t", export="t",
          server={"type": "unix", "path": server.nbd}, **more)
    return d


def guest_waits(held):
    """A guest's write waits for the old data to reach a throttled target."""
    d = held.new("copy before write behind a limit", "daemon")
    source(d)
    d.raw("file", 4 * MIB)
    d.cmd("object-add", qom_type="throttle-group", id="g",
          limits={"bps-total": 1})
    d.cmd("blockdev-add", driver="throttle", node_name="t",
          throttle_group="g", file="file")
    d.cmd("blockdev-add", driver="copy-before-write", node_name="cbw",
          file="n", target="t")
    d.nbd_start()
    d.cmd("block-export-add", type="nbd", id="guest", name="guest",
          node_name="cbw", writable=True)
    client = guest(d.uri("guest"))
    time.sleep(0.3)
    return client


def waiting(way):
    with Held() as held:
        for job in ("backup", "mirror", "stream", "commit"):
            held_request(held, job)
        held_io(held)
        if way == "signal":
            held_monitor(held)
        for kind in ("system", "daemon"):
            for job in ("backup", "mirror"):
                paused(held, kind, job)
                stopped(held, kind, job)
                throttled(held, kind, job)
        client = guest_waits(held)
        try:
            held.end(way)
        finally:
            client.kill()
            client.wait()


def test_waiting_jobs_quit():
    waiting("quit")


def test_waiting_jobs_signal():
    waiting("signal")


def test_silent_server():
    with Daemon(DAEMON) as server, Held() as held:
        server.raw("t", 4 * MIB)
        server.nbd_start()
        server.cmd("block-export-add", type="nbd", id="t", name="t",
                   node_name="t", writable=True)
        waiting_ones = [(job, silent(held, kind, job, server, **more))
                        for job, kind in (("backup", "daemon"),
                                          ("mirror", "system"))
                        for more in ({}, {"reconnect-delay": 100})]
        bridge = Bridge(server.uri("t"))
        held.all.append(("e2k-nbd to a silent server", bridge))
        # Its socket is there, but nobody answers any more.
        server.process.send_signal(signal.SIGSTOP)
        client = guest(bridge.uri)
        try:
            time.sleep(0.3)
            for job, d in waiting_ones:
                copy(d, job, "t")
            held.end("quit")
        finally:
            server.process.send_signal(signal.SIGCONT)
            client.kill()
            client.wait()


def opening(held, kind, **server):
    """blockdev-add waits for a server that is not there, or says nothing."""
    for more in ({}, {"open-timeout": 100}):
        d = held.new(f"{kind}: opens {server} {more}", kind)
        d.qmp.send(json.dumps({
            "execute": "blockdev-add",
            "arguments": dict(driver="nbd", export="t", server=server,
                              **{"node-name": "t"}, **more)}))


def test_opening():
    with tempfile.TemporaryDirectory() as where, Held() as held, \
            socket.socket(socket.AF_UNIX) as mute, \
            socket.socket(socket.AF_UNIX) as no_room, \
            socket.socket() as full:
        # Connections to it wait in the backlog: nobody greets them.
        path = os.path.join(where, "mute")
        mute.bind(path)
        mute.listen(64)
        # Nor does it take more of them: connect() gets no answer at all,
        # as from a host that is gone.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        crowded = os.path.join(where, "crowded")
        no_room.bind(crowded)
        no_room.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            unix = socket.socket(socket.AF_UNIX)
            unix.setblocking(False)
            unix.connect_ex(crowded)
            fillers += [filler, unix]
        host, port = full.getsockname()
        for kind in ("system", "daemon"):
            opening(held, kind, type="unix", path=path)
            opening(held, kind, type="unix", path=crowded)
            opening(held, kind, type="inet", host=host, port=str(port))
        time.sleep(0.5)
        held.end("signal")
        for filler in fillers:
            filler.close()


def test_name_server_is_silent():
    # Sanitizers want to be loaded first.
    more = {"LD_PRELOAD": SLOW_LOOKUP,
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
            ":verify_asan_link_order=0"}
    before = dict(os.environ)
    with Held() as held:
        os.environ.update(more)
        try:
            for kind in ("system", "daemon"):
                opening(held, kind, type="inet", host="host.slow",
                        port="10809")
        finally:
            os.environ.clear()
            os.environ.update(before)
        time.sleep(0.5)
        held.end("signal")


run_tests(dict(globals()))
