"""Measures NBD servers side by side: ours, nbdkit, qemu-nbd, nbd-server.

Prints one line per point and server,

    nbd POINT SERVER mib_s=N iops=N cpu_s_gib=N ratio=N cpu_ratio=N

then a line "best" per point: the least of our speed ratios, the greatest of
our CPU ratios; then geometric means.  Every round measures all servers one
after the other, each round another one first, and ratios are taken within a
round, their median is told: a change of the machine's mood hits all of them.
CPU is the server's.

A server "ours+SWITCHES" is ours with --tune SWITCHES, to see what they are
worth.  --idle waits for the machine to have nothing else to do, and measures
again when it got something meanwhile: with work on all CPUs threads are woken
in other places than on a machine of their own.  --pin gives the load the first
CPU and the servers the others, which is how an idle machine runs them at
depth 1, whatever else goes on; with several connections on few CPUs it
measures the crowd.

Points "copy" are nbdcopy of the whole disk; "extents-map" and
"extents-copy" are nbdinfo --map and nbdcopy of a sparse 1 TiB qcow2 with
--extents extents, where mib_s counts the virtual size and rss_mib is the
server's peak.

    nbd-bench.py BUILD-DIR [--rounds N] [--ms N] [--size MIB] [--points GLOB]
                 [--servers a,b] [--extents N] [--dir DIR] [--idle SECONDS]
                 [--pin]
"""
import argparse
import fnmatch
import math
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
IDLE_LOOK = 0.1    # seconds
IDLE_SHARE = 0.05  # of all CPUs: what others may use

# name, backing, direction, pattern, block, depth, connections
POINTS = []
for backing in ("null", "raw", "qcow2", "chain"):
    for op in ("read", "write"):
        for conns in (1, 4):
            POINTS.append((f"{backing}-seq{op}-1m-c{conns}", backing, op,
                           "seq", 1 << 20, 8, conns))
            for depth in (1, 32):
                POINTS.append((f"{backing}-rand{op}-4k-qd{depth}-c{conns}",
                               backing, op, "rand", 4096, depth, conns))
        POINTS.append((f"{backing}-copy{op}", backing, op, "copy", 0, 0, 4))
for what in ("map", "copy"):
    POINTS.append((f"extents-{what}", "extents", what, "extents", 0, 0, 0))


def busy_seconds():
    """CPU time of everybody since the start of the machine."""
    with open("/proc/stat", encoding="ascii") as f:
        fields = [int(n) for n in f.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def own_seconds():
    times = os.times()
    return sum(times[:4])


def wait_idle(until):
    """False when that has not come by then."""
    while time.monotonic() < until:
        before = busy_seconds()
        time.sleep(IDLE_LOOK)
        if busy_seconds() - before <= IDLE_LOOK * IDLE_SHARE * os.cpu_count():
            return True
    return False


class Server:
    """A running server: its process, its socket."""

    def __init__(self, name, command, sock):
        self.name = name
        self.sock = sock
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.pid_file = None
        if name == "nbd-server":  # becomes a daemon
            self.process.wait()
            self.pid_file = command[-1]
        for _ in range(500):
            if self.listens() and (not self.pid_file or
                                   os.path.exists(self.pid_file)):
                return
            if not self.pid_file and self.process.poll() is not None:
                raise RuntimeError(f"{name}: {' '.join(command)} failed")
            time.sleep(0.01)
        raise RuntimeError(f"{name}: no socket")

    def listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.sock) == 0

    @property
    def uri(self):
        export = "x" if self.name == "nbd-server" else ""
        return f"nbd+unix:///{export}?socket={self.sock}"

    def cpu_seconds(self):
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
                # The process by its own clock, to the nanosecond; children
                # that are gone are counted in their parent, in ticks.
                total += time.clock_gettime(~pid << 3 | 2)
                total += sum(int(fields[i]) for i in (13, 14)) / TICK
            except OSError:
                pass
        return total

    def main_pid(self):
        if not self.pid_file:
            return self.process.pid
        with open(self.pid_file, encoding="ascii") as f:
            return int(f.read())

    def pids(self):
        found = [self.main_pid()]
        for pid in found:
            try:
                with open(f"/proc/{pid}/task/{pid}/children",
                          encoding="ascii") as f:
                    found += [int(p) for p in f.read().split()]
            except OSError:
                pass
        return found

    def peak_mib(self):
        with open(f"/proc/{self.main_pid()}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        return 0

    def stop(self):
        os.kill(self.main_pid(), signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    def __init__(self, args, where):
        self.args = args
        self.dir = where
        self.ours = os.path.join(args.build, "tools", "e2k-nbd")
        self.load = os.path.join(args.build, "tests", "bench", "nbd-load")
        self.size = args.size << 20

    def path(self, name):
        return os.path.join(self.dir, name)

    def image(self, server, backing):
        """An image of its own for each server, in page cache."""
        path = self.path(f"{server}-{backing}.img")
        if os.path.exists(path):
            return path
        if backing == "extents":
            return self.sparse_image()
        raw = self.path(f"{server}-{backing}.raw") if backing != "raw" \
            else path
        with open(raw, "wb") as f:
            chunk = os.urandom(1 << 20)
            for _ in range(self.args.size):
                f.write(chunk)
            f.flush()
            os.fsync(f.fileno())  # or writing back disturbs the first ones
        if backing == "qcow2":
            subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, path],
                           check=True)
            os.unlink(raw)
        elif backing == "chain":
            base = self.path(f"{server}-base.qcow2")
            subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, base],
                           check=True)
            os.unlink(raw)
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b",
                            base, "-F", "qcow2", path], check=True)
        return path

    def sparse_image(self):
        """1 TiB; data at equal distances, one for all servers."""
        path = self.path("extents.qcow2")
        if os.path.exists(path):
            return path
        subprocess.run([os.path.join(self.args.build, "tools", "e2k-img"),
                        "create", "-q", "-f", "qcow2", path, "1T"],
                       check=True)
        writer = Server("ours", [self.ours, "-t", "-k", self.path("w.sock"),
                                 "-f", "qcow2", "--cache=unsafe", path],
                        self.path("w.sock"))
        step = (1 << 40) // self.args.extents & ~65535
        with socket.socket(socket.AF_UNIX) as s, s.makefile("rb") as replies:
            s.connect(writer.sock)
            replies.read(18)
            s.sendall(struct.pack(">IQII", 3, 0x49484156454F5054, 1, 0))
            replies.read(10)
            for i in range(0, self.args.extents, 256):
                n = min(256, self.args.extents - i)
                s.sendall(b"".join(
                    struct.pack(">IHHQQI", 0x25609513, 0, 1, k, k * step,
                                512) + b"x" * 512 for k in range(i, i + n)))
                replies.read(16 * n)
        writer.stop()
        return path

    def command(self, server, backing, sock):
        fmt = "raw" if backing == "raw" else "qcow2"
        own, _, tune = server.partition("+")
        tool = {"ours": self.ours, "qemu-nbd": "qemu-nbd"}.get(own)
        if tool:
            base = [tool, "-t", "-e", "0", "-k", sock]
            if tune:
                base += [f"--tune={tune}"]
            if backing == "extents":
                base += ["-r"]
            if backing == "null":
                return base + ["--image-opts",
                               f"driver=null-co,size={self.size}"]
            return base + ["-f", fmt, self.image(server, backing)]
        if server == "nbdkit" and backing == "null":
            return ["nbdkit", "-f", "-U", sock, "null", str(self.size)]
        if server == "nbdkit" and backing == "raw":
            return ["nbdkit", "-f", "-U", sock, "file",
                    self.image(server, backing)]
        if server == "nbdkit-memory" and backing == "raw":
            return ["nbdkit", "-f", "-U", sock, "memory", str(self.size)]
        if server == "nbd-server" and backing == "raw":
            conf = self.path("nbd-server.conf")
            with open(conf, "w", encoding="ascii") as f:
                f.write(f"[generic]\nunixsock = {sock}\n"
                        f"allowlist = true\n[x]\nexportname = "
                        f"{self.image(server, backing)}\nflush = true\n"
                        f"fua = true\ntrim = true\n")
            return ["nbd-server", "-C", conf, "-p",
                    self.path("nbd-server.pid")]
        return None

    def start(self, server, backing):
        sock = self.path(f"{server}-{backing}.sock")
        command = self.command(server, backing, sock)
        if not command or not shutil.which(command[0]):
            return None
        return Server(server, self.pinned(f"1-{os.cpu_count() - 1}") +
                      command, sock)

    def pinned(self, cpus):
        return ["taskset", "-c", cpus] if self.args.pin else []

    def fill(self, server):
        """What lives in memory begins empty."""
        if server.name == "nbdkit-memory":
            subprocess.run([self.load, server.uri, "write", "seq",
                            str(1 << 20), "4", "1", "1500"], check=True,
                           stdout=subprocess.DEVNULL)

    def copy_source(self):
        path = self.path("copy-source")
        if not os.path.exists(path):
            with open(path, "wb") as f:
                for _ in range(self.args.size):
                    f.write(os.urandom(1 << 20))
        return path

    def load_once(self, server, point):
        """Requests, bytes, seconds."""
        _, _, op, pattern, block, depth, conns = point
        commands = {
            ("copy", "read"): ["nbdcopy", "--no-extents", server.uri,
                               "null:"],
            ("copy", "write"): ["nbdcopy", self.copy_source(), server.uri]
                               if pattern == "copy" else None,
            ("extents", "map"): ["nbdinfo", "--map", server.uri],
            ("extents", "copy"): ["nbdcopy", server.uri, "null:"]}
        if (pattern, op) in commands:
            start = time.monotonic()
            subprocess.run(self.pinned("0") + commands[pattern, op],
                           check=True,
                           stdout=subprocess.DEVNULL)
            return (1, 1 << 40 if pattern == "extents" else self.size,
                    time.monotonic() - start)
        out = subprocess.run(
            self.pinned("0") +
            [self.load, server.uri, op, pattern, str(block), str(depth),
             str(conns), str(self.args.ms)],
            check=True, capture_output=True, text=True).stdout.split()
        return int(out[1]), int(out[3]), float(out[5])

    def measure(self, server, point):
        """Speed, requests per second, CPU; the machine to itself if asked."""
        until = time.monotonic() + self.args.idle
        while self.args.idle and wait_idle(until):
            others = busy_seconds() - own_seconds() - server.cpu_seconds()
            start = time.monotonic()
            result = self.measure_once(server, point)
            others = (busy_seconds() - own_seconds() - server.cpu_seconds() -
                      others)
            allowed = (time.monotonic() - start) * os.cpu_count() * IDLE_SHARE
            if others <= max(allowed, 3 / TICK):
                return result
        if self.args.idle:
            print(f"nbd {point[0]} {server.name} not idle", flush=True)
        return self.measure_once(server, point)

    def measure_once(self, server, point):
        before = server.cpu_seconds()
        requests, size, seconds = self.load_once(server, point)
        after = server.cpu_seconds()
        return (size / seconds / (1 << 20), requests / seconds,
                (after - before) / (size / (1 << 30)))

    def run_backing(self, backing, points):
        servers = []
        results = []
        try:
            for name in self.args.servers.split(","):
                running = self.start(name, backing)
                if running:
                    servers.append(running)
                    self.fill(running)
            for point in points:
                results.append(self.run_point(servers, point))
        finally:
            for server in servers:
                server.stop()
        for name in os.listdir(self.dir):
            try:
                os.unlink(self.path(name))
            except FileNotFoundError:
                pass  # nbd-server takes its pid file with it
        return results

    def run_point(self, servers, point):
        samples = {s.name: [] for s in servers}
        rounds = 1 if point[1] == "extents" else self.args.rounds
        for i in range(rounds):
            first = i % len(servers)
            for server in servers[first:] + servers[:first]:
                samples[server.name].append(self.measure(server, point))
        best = None
        for server in servers:
            got = samples[server.name]
            mib, iops, cpu = (statistics.median(s[i] for s in got)
                              for i in range(3))
            speed = statistics.median(a[0] / b[0] for a, b in
                                      zip(samples["ours"], got))
            work = statistics.median(a[2] / max(b[2], 1e-4) for a, b in
                                     zip(samples["ours"], got))
            rss = f" rss_mib={server.peak_mib():.0f}" \
                if point[1] == "extents" else ""
            print(f"nbd {point[0]} {server.name} mib_s={mib:.1f} "
                  f"iops={iops:.0f} cpu_s_gib={cpu:.4f} ratio={speed:.3f} "
                  f"cpu_ratio={work:.3f}{rss}")
            if not server.name.startswith("ours"):
                best = (min(speed, best[0]), max(work, best[1])) if best \
                    else (speed, work)
        if best:
            print(f"nbd {point[0]} best speed_ratio={best[0]:.3f} "
                  f"cpu_ratio={best[1]:.3f}", flush=True)
        return best


def geomean(values):
    values = [max(v, 1e-6) for v in values]
    return math.exp(sum(map(math.log, values)) / len(values))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--ms", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--points", default="*")
    parser.add_argument("--extents", type=int, default=1 << 20)
    parser.add_argument("--idle", type=float, default=0, metavar="SECONDS",
                        help="wait so long for an idle machine, each time")
    parser.add_argument("--pin", action="store_true",
                        help="load and servers on CPUs of their own")
    parser.add_argument("--dir", help="where the images lie: it decides the "
                                      "file system")
    parser.add_argument("--servers", default="ours,nbdkit,nbdkit-memory,"
                                             "qemu-nbd,nbd-server")
    args = parser.parse_args()
    where = tempfile.mkdtemp(prefix="nbd-bench-", dir=args.dir)
    results = []
    try:
        bench = Bench(args, where)
        for backing in ("null", "raw", "qcow2", "chain", "extents"):
            points = [p for p in POINTS if p[1] == backing and
                      fnmatch.fnmatch(p[0], args.points)]
            if points:
                results += bench.run_backing(backing, points)
    finally:
        shutil.rmtree(where)
    results = [r for r in results if r]
    if not results:
        sys.exit("nothing was measured")
    print(f"nbd all points={len(results)} geomean speed_ratio={geomean([r[0] for r in results]):.3f}"
          f" cpu_ratio={geomean([r[1] for r in results]):.3f}"
          f" worst_speed={min(r[0] for r in results):.3f}")


if __name__ == "__main__":
    main()
