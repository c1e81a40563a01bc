"""Starting servers for tests, and skipping when a peer is not installed."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

E2K_NBD = os.environ.get("E2K_NBD", "e2k-nbd")


def need(*tools):
    """Skips the test when one of the tools is not there."""
    for tool in tools:
        if not shutil.which(tool):
            raise unittest.SkipTest(f"{tool} is not installed")


def wait_gone(pid):
    """Until a process that is not our child has ended."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def listens(path):
    """The file of a unix socket is there from bind() on; clients are taken
    after listen().  Ours is bound under another name and appears when it
    listens."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as f:
        flags = [int(fields[3], 16) for fields in
                 (line.split(None, 7) for line in f.readlines()[1:])
                 if len(fields) == 8 and fields[7].strip() == path]
    return os.path.exists(path) and (not flags or
                                     any(n & 0x10000 for n in flags))


def wait_for(what, condition):
    """The first true value of the condition; an error after 20 s."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise RuntimeError(f"waited in vain for {what}")


def read_pid(path):
    """From a file that its owner is about to write."""
    def line():
        if os.path.exists(path):
            with open(path, encoding="ascii") as f:
                return f.readline()
        return ""
    return int(wait_for(path, lambda: line().endswith("\n") and line()))


class Process:
    """A server in the foreground that creates a unix socket."""

    def __init__(self, command, sock, **kwargs):
        self.sock = sock
        self.process = subprocess.Popen(command, **kwargs)
        deadline = time.monotonic() + 20
        while not listens(sock):
            if self.process.poll() is not None:
                raise RuntimeError(f"{command} ended with "
                                   f"{self.process.returncode}")
            if time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"{command} does not listen")
            time.sleep(0.01)

    def stop(self, sig=signal.SIGTERM):
        """Ends it and returns its exit status."""
        if self.process.stdin:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def alive(self):
        return self.process.poll() is None


class Case(unittest.TestCase):
    """A test with a directory of its own and servers that end with it."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="e2k-nbd-")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def image(self, name="disk.img", size=1 << 20, data=None):
        path = self.path(name)
        with open(path, "wb") as f:
            if data is not None:
                f.write(data)
            f.truncate(size if data is None else max(size, len(data)))
        return path

    def pattern(self, size, seed=1):
        """Bytes that differ from block to block."""
        block = bytes((i * seed + 1) & 0xff for i in range(251))
        return (block * (size // 251 + 1))[:size]

    def spawn(self, command, sock, **kwargs):
        if os.path.exists(sock):
            os.unlink(sock)  # others do not clean up after themselves
        server = Process(command, sock, **kwargs)

        def stop():
            # Peers may wait for their clients for ever; ours must not.
            if server.alive():
                server.stop(signal.SIGTERM if command[0] == E2K_NBD
                            else signal.SIGKILL)
        self.addCleanup(stop)
        return server

    def serve(self, *options, sock="s.sock", quiet=True):
        sock = self.path(sock)
        return self.spawn([E2K_NBD, "-t", "-e", "0", "-k", sock, *options],
                          sock, stderr=subprocess.DEVNULL if quiet else None)

    def run_tool(self, *command, status=0, **kwargs):
        """Runs a program; its standard output."""
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=60, check=False, **kwargs)
        self.assertEqual(done.returncode, status,
                         f"{command}: {done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr


def uri(server, export=""):
    return f"nbd+unix:///{export}?socket={server.sock}"


def main():
    result = unittest.main(exit=False, verbosity=2).result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == len(result.skipped):
        print("skipped:", result.skipped[0][1] if result.skipped else "empty")
        sys.exit(77)
