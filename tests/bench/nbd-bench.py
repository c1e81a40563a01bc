"""Measures NBD servers side by side: ours, nbdkit, qemu-nbd, nbd-server.

Prints one line per point and server,

    nbd POINT SERVER mib_s=N iops=N cpu_s_gib=N ratio=N

and a line "best" per point: our median against the best peer's median of the
same run, then geometric means.  Rounds of all servers are interleaved, so
that a change of the machine's mood hits all of them.

    nbd-bench.py BUILD-DIR [--rounds N] [--ms N] [--size MIB] [--points GLOB]
                 [--servers a,b]
"""
import argparse
import fnmatch
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")

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
            if os.path.exists(sock) and (not self.pid_file or
                                         os.path.exists(self.pid_file)):
                return
            if not self.pid_file and self.process.poll() is not None:
                raise RuntimeError(f"{name}: {' '.join(command)} failed")
            time.sleep(0.01)
        raise RuntimeError(f"{name}: no socket")

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
                # Children that are gone are counted in their parent.
                total += sum(int(fields[i]) for i in (11, 12, 13, 14))
            except OSError:
                pass
        return total / TICK

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
        raw = self.path(f"{server}-{backing}.raw") if backing != "raw" \
            else path
        with open(raw, "wb") as f:
            chunk = os.urandom(1 << 20)
            for _ in range(self.args.size):
                f.write(chunk)
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

    def command(self, server, backing, sock):
        fmt = "raw" if backing == "raw" else "qcow2"
        tool = {"ours": self.ours, "qemu-nbd": "qemu-nbd"}.get(server)
        if tool:
            base = [tool, "-t", "-e", "0", "-k", sock]
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
        running = Server(server, command, sock)
        if server == "nbdkit-memory":
            subprocess.run([self.load, running.uri, "write", "seq",
                            str(1 << 20), "4", "1", "1500"], check=True,
                           stdout=subprocess.DEVNULL)
        return running

    def measure(self, server, point):
        _, _, op, pattern, block, depth, conns = point
        before = server.cpu_seconds()
        out = subprocess.run(
            [self.load, server.uri, op, pattern, str(block), str(depth),
             str(conns), str(self.args.ms)],
            check=True, capture_output=True, text=True).stdout.split()
        after = server.cpu_seconds()
        requests, size, seconds = int(out[1]), int(out[3]), float(out[5])
        return (size / seconds / (1 << 20), requests / seconds,
                (after - before) / (size / (1 << 30)))

    def run_backing(self, backing, points):
        servers = []
        for name in self.args.servers.split(","):
            running = self.start(name, backing)
            if running:
                servers.append(running)
        results = []
        try:
            for point in points:
                results.append(self.run_point(servers, point))
        finally:
            for server in servers:
                server.stop()
        for name in os.listdir(self.dir):
            os.unlink(self.path(name))
        return results

    def run_point(self, servers, point):
        samples = {s.name: [] for s in servers}
        for _ in range(self.args.rounds):
            for server in servers:
                samples[server.name].append(self.measure(server, point))
        medians = {name: tuple(statistics.median(s[i] for s in got)
                               for i in range(3))
                   for name, got in samples.items()}
        ours = medians["ours"]
        peers = [v for name, v in medians.items() if name != "ours"]
        for name, (mib, iops, cpu) in medians.items():
            print(f"nbd {point[0]} {name} mib_s={mib:.1f} iops={iops:.0f} "
                  f"cpu_s_gib={cpu:.3f} ratio={ours[0] / mib:.3f}")
        if not peers:
            return None
        speed = ours[0] / max(p[0] for p in peers)
        cpu = ours[2] / max(min(p[2] for p in peers), 1e-9)
        print(f"nbd {point[0]} best speed_ratio={speed:.3f} "
              f"cpu_ratio={cpu:.3f}", flush=True)
        return speed, cpu


def geomean(values):
    values = [max(v, 1e-6) for v in values]
    return math.exp(sum(map(math.log, values)) / len(values))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ms", type=int, default=1000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--points", default="*")
    parser.add_argument("--servers", default="ours,nbdkit,nbdkit-memory,"
                                             "qemu-nbd,nbd-server")
    args = parser.parse_args()
    where = tempfile.mkdtemp(prefix="nbd-bench-")
    results = []
    try:
        bench = Bench(args, where)
        for backing in ("null", "raw", "qcow2", "chain"):
            points = [p for p in POINTS if p[1] == backing and
                      fnmatch.fnmatch(p[0], args.points)]
            if points:
                results += bench.run_backing(backing, points)
    finally:
        shutil.rmtree(where)
    results = [r for r in results if r]
    if not results:
        sys.exit("nothing was measured")
    print(f"nbd all geomean speed_ratio={geomean([r[0] for r in results]):.3f}"
          f" cpu_ratio={geomean([r[1] for r in results]):.3f}"
          f" worst_speed={min(r[0] for r in results):.3f}")


if __name__ == "__main__":
    main()
