"""A QMP client and a storage daemon to talk to, for tests.

    with Daemon(program) as d:
        d.cmd("blockdev-add", driver="null-co", **{"node-name": "n"})
        d.error("blockdev-del", node_name="x")     # _ in keywords means -

Only the standard library.  Every wait has a limit.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TIMEOUT = 30


class QmpError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.cls = error["class"]
        self.desc = error["desc"]


class Qmp:
    """One connection.  Events are kept in .events until taken."""

    def __init__(self, path, negotiate=True):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.buffer = b""
        self.events = []
        self.greeting = self.receive()
        if negotiate:
            self.command("qmp_capabilities", {})

    def receive(self):
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("monitor closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def send(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode())

    def reply(self):
        """The next message that is not an event."""
        while True:
            message = self.receive()
            if "event" not in message:
                return message
            self.events.append(message)

    def command(self, name, args):
        message = {"execute": name}
        if args:
            message["arguments"] = args
        self.send(json.dumps(message))
        reply = self.reply()
        if "error" in reply:
            raise QmpError(reply["error"])
        return reply["return"]

    def event(self, name, **match):
        """Waits for an event and takes it."""
        while True:
            for i, e in enumerate(self.events):
                data = e.get("data", {})
                if e["event"] == name and all(
                        data.get(k.replace("_", "-")) == v
                        for k, v in match.items()):
                    return self.events.pop(i)
            message = self.receive()
            assert "event" in message, message
            self.events.append(message)

    def close(self):
        self.sock.close()


class Daemon:
    """A running e2k-storage-daemon in a directory of its own."""

    def __init__(self, program, *args, directory=None):
        self.own = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="e2k-sd-")
        self.path = os.path.join(self.dir, "qmp.sock")
        self.nbd = os.path.join(self.dir, "nbd.sock")
        self.process = subprocess.Popen(
            [program, "--chardev",
             f"socket,id=m,path={self.path},server=on,wait=off",
             "--monitor", "chardev=m", *args], stdin=subprocess.DEVNULL,
            stdout=sys.stderr)
        try:
            self.qmp = Qmp(self.path)
        except Exception:
            self.process.kill()
            self.process.wait()
            raise

    def file(self, name, size=None, pattern=None):
        path = os.path.join(self.dir, name)
        if size is not None:
            with open(path, "wb") as f:
                if pattern is not None:
                    f.write(bytes([pattern]) * size)
                f.truncate(size)
        return path

    def cmd(self, command, **args):
        return self.qmp.command(command, {k.replace("_", "-"): v
                                          for k, v in args.items()})

    def error(self, command, **args):
        """Runs a command that must fail; its message."""
        try:
            result = self.cmd(command, **args)
        except QmpError as e:
            return e.desc
        raise AssertionError(f"{command} {args} succeeded: {result}")

    def fails(self, desc, command, **args):
        got = self.error(command, **args)
        assert got == desc, f"{command}: expected {desc!r}, got {got!r}"

    def raw(self, name, size, **more):
        """A raw file of zeroes as node `name`."""
        path = self.file(name + ".img", size)
        self.cmd("blockdev-add", driver="raw", node_name=name,
                 file={"driver": "file", "filename": path}, **more)
        return path

    def bitmaps(self, node):
        for info in self.cmd("query-named-block-nodes", flat=True):
            if info["node-name"] == node:
                return {b["name"]: b for b in info.get("dirty-bitmaps", [])
                        if "name" in b}
        raise AssertionError(f"no node {node}")

    def nbd_start(self):
        self.cmd("nbd-server-start",
                 addr={"type": "unix", "data": {"path": self.nbd}})

    def uri(self, name):
        return f"nbd+unix:///{name}?socket={self.nbd}"

    def quit(self):
        self.qmp.command("quit", {})
        assert self.process.wait(TIMEOUT) == 0

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None and self.process.poll() is None:
                self.quit()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.own:
                shutil.rmtree(self.dir, ignore_errors=True)


def need(tool):
    """The path of an optional tool; the test is skipped without it."""
    path = shutil.which(tool)
    if not path:
        print(f"1..0 # SKIP {tool} is not installed")
        sys.exit(77)
    return path


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


def run_tests(namespace, *args):
    """Runs every test_* function, TAP to standard output."""
    tests = [(n, f) for n, f in namespace.items() if n.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for i, (name, function) in enumerate(tests, 1):
        try:
            function(*args)
            print(f"ok {i} {name}")
        except Skip as e:
            print(f"ok {i} {name} # SKIP {e}")
        except Exception as e:  # report, and go on with the next
            import traceback
            failed += 1
            print(f"not ok {i} {name}: {e!r}")
            traceback.print_exc()
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
