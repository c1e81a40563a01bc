"""Who talks to whom: servers x clients x transports x tasks, as one table.

    matrix.py SERVER     one of: ours qemu-nbd nbdkit nbd-server

Every cell of SERVER's part is either run, and then the bytes on the disk or
the answers are compared with what they must be, or listed with the reason why
it cannot exist (a server without bitmaps, a client without a trim command).
What only this machine lacks (a program, the kernel's client) is listed apart.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import unittest

from harness import E2K_NBD, Case, listens, read_pid, wait_for, wait_gone

E2K_IMG = os.environ.get("E2K_IMG", "e2k-img")
E2K_IO = os.environ.get("E2K_IO", "e2k-io")
KIB = 1 << 10
MIB = 1 << 20
SIZE = 4 * MIB
HOLE = (1 * MIB, 1 * MIB)  # of the raw image: start, length
DIRTY = (640 * KIB, 128 * KIB)

TRANSPORTS = ("plain", "x509", "psk")
TASKS = ("read", "write", "zero", "trim", "status", "bitmap", "qcow2")

# ---- What does not exist: (who, task or transport) -> why -------------------

SERVER_LACKS = {
    ("nbdkit", "bitmap"): "no plugin knows dirty bitmaps",
    ("nbdkit", "qcow2"): "the file plugin does not know image formats",
    ("nbd-server", "psk"): "x509 only",
    ("nbd-server", "zero"): "3.24 does not offer WRITE_ZEROES",
    ("nbd-server", "status"): "3.24 has no metadata contexts",
    ("nbd-server", "bitmap"): "3.24 has no metadata contexts",
    ("nbd-server", "qcow2"): "does not know image formats",
}
# Accepts it and leaves everything as it was, as a server may.
SERVER_IGNORES = {("nbd-server", "trim")}
CLIENT_LACKS = {
    ("nbd-client", "psk"): "x509 only",
    ("nbd-client", "status"): "the kernel does not ask",
    ("nbd-client", "bitmap"): "the kernel does not ask",
}


def pattern(size, seed):
    block = bytes((i * seed + 1) & 0xff for i in range(251))
    return (block * (size // 251 + 1))[:size]


def first_image():
    data = bytearray(pattern(SIZE, 3))
    data[HOLE[0]:HOLE[0] + HOLE[1]] = bytes(HOLE[1])
    return data


# ---- Servers ------------------------------------------------------------------

class Server:
    """Serves a file; tells where: a unix socket, or TCP if it must."""

    def __init__(self, case, transport, file, fmt="raw", bitmap=None):
        self.case = case
        self.transport = transport
        self.file = file
        self.format = fmt
        self.bitmap = bitmap
        self.sock = case.path("server.sock")
        self.export = ""
        self.port = None
        self.start()

    def tls_options(self):
        if self.transport == "plain":
            return []
        return ["--object", f"tls-creds-{self.transport},id=t,"
                f"endpoint=server,dir={self.case.certs}", "--tls-creds", "t"]

    def start(self):
        tool = {"ours": E2K_NBD, "qemu-nbd": "qemu-nbd"}[self.case.server]
        self.process = self.case.spawn(
            [tool, "-t", "-e", "0", "-k", self.sock, "--discard=unmap", "-f",
             self.format, *(["-r", "-B", self.bitmap] if self.bitmap else []),
             *self.tls_options(), self.file], self.sock)

    def stop(self):
        self.process.stop()

    def uri(self):
        scheme = "nbd" if self.transport == "plain" else "nbds"
        tls = {"plain": "",
               "x509": f"tls-certificates={self.case.certs}"
                       "&tls-hostname=localhost",
               "psk": f"tls-psk-file={self.case.certs}/keys.psk"}
        user = "alice@" if self.transport == "psk" else ""
        query = tls[self.transport]
        if self.port:
            return (f"{scheme}://{user}localhost:{self.port}/{self.export}"
                    f"{'?' if query else ''}{query}")
        return (f"{scheme}+unix://{user}/{self.export}?socket={self.sock}"
                f"{'&' if query else ''}{query}")

    def options(self):
        """For --image-opts; credentials are object c."""
        where = (f"server.type=inet,server.host=localhost,server.port="
                 f"{self.port}" if self.port
                 else f"server.type=unix,server.path={self.sock}")
        tls = "" if self.transport == "plain" else ",tls-creds=c"
        if self.transport == "x509":
            tls += ",tls-hostname=localhost"
        return f"driver=nbd,{where},export={self.export}{tls}"

    def objects(self):
        if self.transport == "plain":
            return []
        user = ",username=alice" if self.transport == "psk" else ""
        return ["--object", f"tls-creds-{self.transport},id=c,"
                f"endpoint=client,dir={self.case.certs}{user}"]


class Nbdkit(Server):
    def start(self):
        tls = {"plain": [],
               "x509": ["--tls=require", "--tls-verify-peer",
                        f"--tls-certificates={self.case.certs}"],
               "psk": ["--tls=require",
                       f"--tls-psk={self.case.certs}/keys.psk"]}
        self.process = self.case.spawn(
            ["nbdkit", "-f", "-U", self.sock, *tls[self.transport], "file",
             self.file], self.sock)


class NbdServer(Server):
    """nbd-server forks itself away; TLS as its manual says, over TCP."""

    def start(self):
        self.export = "disk"
        where = f"unixsock = {self.sock}\n"
        if self.transport == "x509":
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.port = s.getsockname()[1]
            where = (f"port = {self.port}\nlistenaddr = 127.0.0.1\n"
                     f"certfile = {self.case.certs}/server-cert.pem\n"
                     f"keyfile = {self.case.certs}/server-key.pem\n"
                     f"cacertfile = {self.case.certs}/ca-cert.pem\n"
                     "force_tls = true\ntlsprio = NORMAL\n")
        conf = self.case.path("nbd-server.conf")
        self.pid_file = self.case.path("nbd-server.pid")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"[generic]\n{where}[disk]\nexportname = {self.file}\n"
                    "flush = true\nfua = true\ntrim = true\n")
        subprocess.run(["nbd-server", "-C", conf, "-p", self.pid_file],
                       check=True, capture_output=True)
        self.case.addCleanup(self.stop)
        self.pid = read_pid(self.pid_file)
        wait_for("nbd-server", self.listens)

    def listens(self):
        if not self.port:
            return listens(self.sock)
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        pid, self.pid = getattr(self, "pid", None), None
        if pid:
            os.kill(pid, signal.SIGKILL)  # clients have flushed and left
            wait_gone(pid)


SERVERS = {"ours": Server, "qemu-nbd": Server, "nbdkit": Nbdkit,
           "nbd-server": NbdServer}
SERVER_PROGRAMS = {"ours": E2K_NBD, "qemu-nbd": "qemu-nbd",
                   "nbdkit": "nbdkit", "nbd-server": "nbd-server"}

# ---- Clients ------------------------------------------------------------------


class Qemu:
    """qemu-img and qemu-io; ours has the same options."""
    img, io = "qemu-img", "qemu-io"

    @classmethod
    def programs(cls):
        return (cls.img, cls.io)

    @staticmethod
    def image(server):
        return [*server.objects(), "--image-opts", server.options()]

    def read(self, case, server, out):
        case.run_tool(self.img, "convert", *server.objects(), "--image-opts",
                      "-O", "raw", server.options(), out)

    def change(self, case, server, command):
        case.run_tool(self.io, "-d", "unmap", *self.image(server), "-c",
                      command, "-c", "flush")

    def write(self, case, server, offset, data):
        file = case.path("chunk")
        with open(file, "wb") as f:
            f.write(data)
        self.change(case, server,
                    f"write -s {file} {offset} {len(data)}")

    def zero(self, case, server, offset, length):
        self.change(case, server, f"write -z {offset} {length}")

    def trim(self, case, server, offset, length):
        self.change(case, server, f"discard {offset} {length}")

    def map(self, case, server, context=None):
        where = server.options() + (f",x-dirty-bitmap={context}"
                                    if context else "")
        return json.loads(case.run_tool(
            self.img, "map", "--output=json", *server.objects(),
            "--image-opts", where))

    def status(self, case, server):
        return [(e["start"], e["length"], e["data"], e["zero"])
                for e in self.map(case, server)]

    def bitmap(self, case, server, context):
        """Dirty ranges; both print dirty as "no data"."""
        return [(e["start"], e["length"])
                for e in self.map(case, server, context) if not e["data"]]


class Ours(Qemu):
    img, io = E2K_IMG, E2K_IO

    @staticmethod
    def image(server):
        return ["-f", "raw", server.uri()]  # TLS by nbds:// here

    def read(self, case, server, out):
        case.run_tool(self.img, "convert", "-f", "raw", "-O", "raw",
                      server.uri(), out)


class Libnbd:
    @staticmethod
    def programs():
        return ("nbdcopy", "nbdinfo", "nbdsh")

    def read(self, case, server, out):
        case.run_tool("nbdcopy", server.uri(), out)

    def change(self, case, server, call):
        # nbdsh runs the first python3, which must be the distribution's;
        # and in a directory without a folder "nbd".
        path = "/usr/bin:" + os.environ["PATH"]
        case.run_tool("nbdsh", "-c", "h.set_uri_allow_local_file(True)\n"
                      f"h.connect_uri('{server.uri()}')\n{call}\n"
                      "if h.can_flush(): h.flush()\n",
                      cwd=case.dir, env={**os.environ, "PATH": path})

    def write(self, case, server, offset, data):
        file = case.path("chunk")
        with open(file, "wb") as f:
            f.write(data)
        self.change(case, server, f"h.pwrite(open('{file}', 'rb').read(), "
                                  f"{offset})")

    def zero(self, case, server, offset, length):
        self.change(case, server, f"h.zero({length}, {offset})")

    def trim(self, case, server, offset, length):
        self.change(case, server, f"h.trim({length}, {offset})")

    def map(self, case, server, context=None):
        return json.loads(case.run_tool(
            "nbdinfo", "--json", f"--map={context or 'base:allocation'}",
            server.uri()))

    def status(self, case, server):
        return [(e["offset"], e["length"], not e["type"] & 1,
                 bool(e["type"] & 2)) for e in self.map(case, server)]

    def bitmap(self, case, server, context):
        return [(e["offset"], e["length"])
                for e in self.map(case, server, context) if e["type"] & 1]


class Kernel:
    """nbd-client and a device of the kernel's."""

    @staticmethod
    def programs():
        return ("nbd-client",)

    def attach(self, case, server):
        tls = []
        if server.transport == "x509":
            tls = ["-certfile", f"{case.certs}/client-cert.pem", "-keyfile",
                   f"{case.certs}/client-key.pem", "-cacertfile",
                   f"{case.certs}/ca-cert.pem", "-tlshostname", "localhost"]
        where = (["localhost", str(server.port)] if server.port
                 else ["-unix", server.sock])
        case.run_tool("nbd-client", *where, "/dev/nbd0", "-N", server.export,
                      "-b", "512", *tls)

    def run(self, case, server, action):
        self.attach(case, server)
        try:
            return action("/dev/nbd0")
        finally:
            case.run_tool("nbd-client", "-d", "/dev/nbd0")

    def read(self, case, server, out):
        self.run(case, server, lambda dev: shutil.copyfile(dev, out))

    def write(self, case, server, offset, data):
        def action(dev):
            with open(dev, "r+b") as f:
                f.seek(offset)
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
        self.run(case, server, action)

    def zero(self, case, server, offset, length):
        self.run(case, server, lambda dev: case.run_tool(
            "blkdiscard", "-z", "-o", str(offset), "-l", str(length), dev))

    def trim(self, case, server, offset, length):
        self.run(case, server, lambda dev: case.run_tool(
            "blkdiscard", "-o", str(offset), "-l", str(length), dev))


CLIENTS = {"ours": Ours(), "libnbd": Libnbd(), "qemu": Qemu(),
           "nbd-client": Kernel()}

# ---- Tasks --------------------------------------------------------------------


class Cell(Case):
    """One server, client and transport; a method for each task."""
    server = client = transport = None
    shared_certs = None

    def setUp(self):
        super().setUp()
        self.certs = self.shared_certs
        self.data = first_image()
        self.file = self.path("disk.img")
        with open(self.file, "wb") as f:
            f.write(self.data[:HOLE[0]])
            f.seek(HOLE[0] + HOLE[1])
            f.write(self.data[HOLE[0] + HOLE[1]:])

    def serve(self, **kwargs):
        return SERVERS[self.server](self, self.transport,
                                    kwargs.pop("file", self.file), **kwargs)

    def assert_file(self, path, message):
        with open(path, "rb") as f:
            got = f.read()
        if got != self.data:
            at = next((i for i, (a, b) in enumerate(zip(got, self.data))
                       if a != b), min(len(got), SIZE))
            self.fail(f"{message}: wrong from byte {at}, {len(got)} bytes")

    def task_read(self, client):
        server = self.serve()
        client.read(self, server, self.path("out.img"))
        self.assert_file(self.path("out.img"), "read")

    def task_write(self, client):
        server = self.serve()
        for offset, length, seed in ((HOLE[0] + 300 * KIB, 9 * KIB, 5),
                                     (3 * MIB, 512, 7),
                                     (SIZE - 64 * KIB, 64 * KIB, 11)):
            data = pattern(length, seed)
            client.write(self, server, offset, data)
            self.data[offset:offset + length] = data
        server.stop()
        self.assert_file(self.file, "after writing")

    def task_zero(self, client):
        server = self.serve()
        for offset, length in ((2 * MIB, 64 * KIB), (3 * MIB + 512, 1536)):
            client.zero(self, server, offset, length)
            self.data[offset:offset + length] = bytes(length)
        server.stop()
        self.assert_file(self.file, "after zeroing")

    def task_trim(self, client):
        """Nothing else changes, and space is given back."""
        before = os.stat(self.file).st_blocks
        server = self.serve()
        client.trim(self, server, 2 * MIB, MIB)
        server.stop()
        if (self.server, "trim") not in SERVER_IGNORES:
            self.data[2 * MIB:3 * MIB] = bytes(MIB)
            self.assertLessEqual(os.stat(self.file).st_blocks,
                                 before - MIB // 512,
                                 "nothing was given back")
        self.assert_file(self.file, "after trimming")

    def task_status(self, client):
        server = self.serve()
        self.assertEqual(client.status(self, server),
                         [(0, MIB, True, False), (MIB, MIB, False, True),
                          (2 * MIB, 2 * MIB, True, False)])

    def make_qcow2(self):
        image = self.path("disk.qcow2")
        self.run_tool(E2K_IMG, "convert", "-f", "raw", "-O", "qcow2",
                      self.file, image)
        return image

    def task_bitmap(self, client):
        image = self.make_qcow2()
        self.run_tool(E2K_IMG, "bitmap", "--add", "-g", "65536", image, "b")
        self.run_tool(E2K_IO, "-f", "qcow2", "-c",
                      f"write -q {DIRTY[0]} {DIRTY[1]}", image)
        server = self.serve(file=image, fmt="qcow2", bitmap="b")
        self.assertEqual(client.bitmap(self, server, "qemu:dirty-bitmap:b"),
                         [DIRTY])

    def task_qcow2(self, client):
        """The image holds what the client wrote; both sides check it."""
        image = self.make_qcow2()
        server = self.serve(file=image, fmt="qcow2")
        for offset, length, seed in ((HOLE[0] + 100 * KIB, 70 * KIB, 13),
                                     (5 * KIB, 3 * KIB, 17)):
            data = pattern(length, seed)
            client.write(self, server, offset, data)
            self.data[offset:offset + length] = data
        server.stop()
        checks = [E2K_IMG] + (["qemu-img"] if shutil.which("qemu-img")
                              else [])
        for tool in checks:
            self.run_tool(tool, "check", "-q", "-f", "qcow2", image)
            out = self.path(os.path.basename(tool) + ".img")
            self.run_tool(tool, "convert", "-f", "qcow2", "-O", "raw", image,
                          out)
            self.assert_file(out, f"{tool} reads the image")


def make_certificates(case):
    """A CA, localhost, and alice with a certificate and a key."""
    os.mkdir(case.certs)

    def cert(who, *lines):
        info = f"{case.certs}/{who}.info"
        key = f"{case.certs}/{who}-key.pem"
        with open(info, "w", encoding="ascii") as f:
            f.write("\n".join((*lines, "expiration_days = 2")) + "\n")
        case.run_tool("certtool", "--generate-privkey", "--key-type=ecdsa",
                      "--outfile", key)
        how = (("--generate-self-signed",) if who == "ca" else
               ("--generate-certificate", "--load-ca-certificate",
                f"{case.certs}/ca-cert.pem", "--load-ca-privkey",
                f"{case.certs}/ca-key.pem"))
        case.run_tool("certtool", *how, "--load-privkey", key, "--template",
                      info, "--outfile", f"{case.certs}/{who}-cert.pem")
    cert("ca", "cn = Test", "ca", "cert_signing_key")
    cert("server", "cn = localhost", "dns_name = localhost",
         "ip_address = 127.0.0.1", "tls_www_server", "signing_key")
    cert("client", "cn = alice", "tls_www_client", "signing_key")
    case.run_tool("psktool", "-u", "alice", "-p",
                  f"{case.certs}/keys.psk")
    # Or qemu-nbd makes its own at every start.
    case.run_tool("certtool", "--get-dh-params", "--sec-param", "medium",
                  "--outfile", f"{case.certs}/dh-params.pem")


# ---- The table ----------------------------------------------------------------

def machine_lacks(server, client, transport):
    """What this machine, not the pair, cannot do; None if nothing."""
    for tool in (SERVER_PROGRAMS[server], *CLIENTS[client].programs()):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    if client == "nbd-client" and not (os.path.exists("/dev/nbd0") and
                                       os.geteuid() == 0):
        return "no kernel client here (no /dev/nbd0, or not root)"
    if transport != "plain":
        if os.environ.get("E2K_TLS", "1") != "1":
            return "built without TLS"
        if not (shutil.which("certtool") and shutil.which("psktool")):
            return "certtool is not installed"
    return None


def no_cell(server, client, transport, task):
    for who, table in ((server, SERVER_LACKS), (client, CLIENT_LACKS)):
        for what in (transport, task):
            if (who, what) in table:
                return f"{who}: {table[who, what]}"
    return None


class Matrix(Case):
    """Runs the cells of one server and prints the table."""
    server = None

    def test_matrix(self):
        certs = self.certs = self.path("certs")
        if shutil.which("certtool") and shutil.which("psktool"):
            make_certificates(self)
        counts = {"ok": 0, "FAILED": 0, "n/a": 0, "absent": 0}
        for client in CLIENTS:
            for transport in TRANSPORTS:
                for task in TASKS:
                    verdict, text = self.cell(client, transport, task, certs)
                    counts[verdict] += 1
                    print(f"{self.server:10} {client:10} {transport:5} "
                          f"{task:6} {verdict}{': ' if text else ''}{text}",
                          flush=True)
        print(f"{self.server}: " + ", ".join(
            f"{n} {verdict}" for verdict, n in counts.items()), flush=True)
        self.assertEqual(counts["FAILED"], 0)
        if not counts["ok"]:
            self.skipTest("nothing of this server can run here")

    def cell(self, client, transport, task, certs):
        why = no_cell(self.server, client, transport, task)
        if why:
            return "n/a", why
        why = machine_lacks(self.server, client, transport)
        if why:
            return "absent", why
        cell = Cell()
        cell.server, cell.transport = self.server, transport
        cell.shared_certs = certs
        try:
            cell.setUp()
            getattr(cell, "task_" + task)(CLIENTS[client])
            return "ok", ""
        except (AssertionError, RuntimeError, OSError, ValueError,
                subprocess.SubprocessError) as error:
            return "FAILED", str(error)
        finally:
            cell.doCleanups()


if __name__ == "__main__":
    Matrix.server = sys.argv.pop(1)
    outcome = unittest.main(exit=False).result
    if not outcome.wasSuccessful():
        sys.exit(1)
    if outcome.skipped:
        print("skipped:", outcome.skipped[0][1])
        sys.exit(77)
