"""e2k-nbd as scripts use it: readiness, exit codes, messages, signals,
sockets; and what it does with clients that come in numbers or mean harm."""
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import wire as w
from harness import E2K_NBD, Case, main, need, uri, wait_gone

E2K_IMG = os.environ.get("E2K_IMG", "e2k-img")
E2K_IO = os.environ.get("E2K_IO", "e2k-io")
MIB = 1 << 20


class Life(Case):
    def setUp(self):
        super().setUp()
        self.file = self.image(data=self.pattern(MIB))
        self.sock = self.path("s.sock")

    def start(self, *options):
        return self.spawn([E2K_NBD, "-k", self.sock, "-f", "raw", *options,
                           self.file], self.sock, stderr=subprocess.DEVNULL)

    def client(self):
        c = w.Wire(self.sock).greet()
        self.assertEqual(c.go()[-1], (w.ACK, b""))
        return c

    def test_fork_is_ready_when_the_parent_exits(self):
        pid_file = self.path("pid")
        for _ in range(5):
            self.run_tool(E2K_NBD, "--fork", "-t", "-k", self.sock, "-f",
                          "raw", "--pid-file", pid_file, self.file)
            with open(pid_file, encoding="ascii") as f:
                pid = int(f.read())
            self.client().close()
            os.kill(pid, signal.SIGTERM)
            self.assertTrue(wait_gone(pid))
            self.assertFalse(os.path.exists(pid_file))
            self.assertFalse(os.path.exists(self.sock))

    def test_fork_reports_failure(self):
        error = self.run_tool(E2K_NBD, "--fork", "-k", self.sock, "-f", "raw",
                              "/nonexistent/image", status=1)
        self.assertIn("No such file or directory", error)

    def test_ends_with_its_last_client(self):
        server = self.start("-e", "2")
        a = self.client()
        b = self.client()
        a.close()
        time.sleep(0.2)
        self.assertTrue(server.alive())
        self.assertEqual(b.do(w.READ, 0, 1)[0], 0)
        b.close()
        self.assertEqual(server.process.wait(10), 0)
        self.assertFalse(os.path.exists(self.sock))

    def test_a_failed_negotiation_is_no_client(self):
        server = self.start()
        with w.Wire(self.sock) as c:
            c.greet()
            c.ask(w.LIST)
        with w.Wire(self.sock) as c:
            c.send(b"garbage that is no handshake at all")
        time.sleep(0.2)
        self.assertTrue(server.alive())
        self.client().close()
        self.assertEqual(server.process.wait(10), 0)

    def test_one_client_at_a_time_by_default(self):
        server = self.start("-t")
        a = self.client()
        b = w.Wire(self.sock, timeout=0.3)
        with self.assertRaises(socket.timeout):
            b.recv(1)
        a.close()
        b.sock.settimeout(10)
        b.greet()
        flags = [struct.unpack(">HQH", d)[2] for k, d in b.go()
                 if k == w.REP_INFO and d[:2] == b"\0\0"]
        self.assertFalse(flags[0] & 0x100)  # no multi-conn for one client
        b.close()
        self.assertEqual(server.stop(), 0)

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            server = self.start("-t", "-e", "0")
            c = self.client()
            self.assertEqual(c.do(w.WRITE, 0, 4, 0, b"abcd")[0], 0)
            self.assertEqual(server.stop(number), 0)
            self.assertTrue(c.at_end())
            self.assertFalse(os.path.exists(self.sock))
            c.close()

    def test_a_client_that_does_not_read_cannot_hold_the_end(self):
        server = self.start("-t")
        c = self.client()
        for i in range(64):
            c.request(w.READ, 0, MIB, cookie=i)
        start = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - start, 10)
        c.close()

    def test_socket_activation(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.sock)
        listener.listen()

        def pass_it():
            copy = os.dup(listener.fileno())
            os.dup2(copy, 3, inheritable=True)
            os.environ["LISTEN_PID"] = str(os.getpid())
            os.environ["LISTEN_FDS"] = "1"
            os.environ["LISTEN_FDNAMES"] = "unknown"
            os.execv(E2K_NBD, [E2K_NBD, "-f", "raw", self.file])
        pid = os.fork()
        if pid == 0:
            try:
                pass_it()
            finally:
                os._exit(99)
        listener.close()
        try:
            c = self.client()
            self.assertEqual(c.do(w.READ, 0, 4), (0, self.pattern(4)))
            c.close()
            self.assertTrue(wait_gone(pid))
        finally:
            if not wait_gone(pid):
                os.kill(pid, signal.SIGKILL)
            self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def test_socket_activation_conflicts(self):
        for fds, options, text in (
                ("1", ["-k", self.sock], "Unix socket can't be set when"),
                ("1", ["-p", "10000"], "TCP port number can't be set when"),
                ("1", ["-b", "::1"], "The interface can't be set when"),
                ("1", ["-L"], "List mode is incompatible with socket"),
                ("2", [], "LISTEN_FDS > 1"),
                ("1", ["-f", "raw"], "is not a listening socket")):
            script = (f"exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS={fds} exec {E2K_NBD} "
                      f"{' '.join(options)} "
                      f"{'' if '-L' in options else self.file}")
            self.assertIn(text, self.run_tool("sh", "-c", script, status=1))

    def test_tcp(self):
        for bind, family in (("127.0.0.1", socket.AF_INET),
                             ("::1", socket.AF_INET6)):
            try:
                probe = socket.socket(family)
                probe.bind((bind, 0))
            except OSError:
                continue
            port = probe.getsockname()[1]
            probe.close()
            pid_file = self.path("pid")
            self.run_tool(E2K_NBD, "--fork", "-t", "-b", bind, "-p",
                          str(port), "-f", "raw", "--pid-file", pid_file,
                          self.file)
            with open(pid_file, encoding="ascii") as f:
                pid = int(f.read())
            out = self.run_tool(E2K_NBD, "-L", "-b", bind, "-p", str(port))
            self.assertIn("size:  1048576", out)
            os.kill(pid, signal.SIGTERM)
            self.assertTrue(wait_gone(pid))

    def test_vsock(self):
        """Listening; and talking, where the kernel has the local transport."""
        try:
            with socket.socket(socket.AF_VSOCK) as s:
                s.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
                port = s.getsockname()[1]
        except (AttributeError, OSError) as error:
            self.skipTest(f"no vsock here: {error}")
        command = [E2K_NBD, "-t", "-b", "vsock:", "-p", str(port), "-f", "raw",
                   self.file]
        pid_file = self.path("pid")
        self.run_tool(*command, "--fork", "--pid-file", pid_file)
        try:
            # Nobody else can have the port now.
            self.assertIn("Address already in use",
                          self.run_tool(*command, status=1))
            self.talk_over_vsock(port)
        finally:
            with open(pid_file, encoding="ascii") as f:
                pid = int(f.read())
            os.kill(pid, signal.SIGTERM)
            self.assertTrue(wait_gone(pid))

    def talk_over_vsock(self, port):
        local = 1  # VMADDR_CID_LOCAL
        with socket.socket(socket.AF_VSOCK) as s:
            s.settimeout(2)
            try:
                s.connect((local, port))
            except OSError as error:
                print("listening only, no local transport:", error)
                return
        out = self.path("out.img")
        self.run_tool(E2K_IMG, "convert", "-f", "raw", "-O", "raw",
                      f"nbd+vsock://{local}:{port}/", out)
        with open(out, "rb") as f:
            self.assertEqual(f.read(), self.pattern(MIB))

    def test_several_exports(self):
        other = self.image("other.img", size=2 * MIB)
        server = self.serve("-f", "raw", "-x", "a", "--add",
                            f"name=b,file={other},format=raw,read-only=on,"
                            "description=other", self.file)
        out = self.run_tool(E2K_NBD, "-L", "-k", server.sock)
        self.assertIn("exports available: 2", out)
        self.assertIn("export: 'b'\n  description: other\n  size:  2097152",
                      out)
        with w.Wire(server.sock) as c:
            c.greet()
            self.assertEqual(c.go("b")[-1], (w.ACK, b""))
            self.assertEqual(c.do(w.WRITE, 0, 1, 0, b"x")[0], w.EPERM)

    def test_offset(self):
        server = self.serve("-f", "raw", "-o", "4k", self.file)
        with w.Wire(server.sock) as c:
            c.greet()
            c.go()
            self.assertEqual(c.do(w.READ, 0, 512)[1],
                             self.pattern(MIB)[4096:4608])
            self.assertEqual(c.do(w.READ, MIB - 4096, 1)[0], w.EINVAL)

    def test_refused_command_lines(self):
        for options, text in (
                ([], "Invalid number of arguments"),
                (["-k", "relative", self.file], "socket path must be "
                 "absolute"),
                (["-p", "0", self.file], "Invalid port '0'"),
                (["-e", "x", self.file], "Invalid shared device number 'x'"),
                (["-o", "x", self.file], "Invalid offset 'x'"),
                (["--cache", "x", self.file], "Invalid cache mode `x'"),
                (["--aio", "x", self.file], "Invalid aio mode 'x'"),
                (["--discard", "x", self.file], "Invalid discard mode `x'"),
                (["--tls-authz", "a", self.file],
                 "--tls-authz is not permitted without --tls-creds"),
                (["--tls-creds", "t", self.file],
                 "Failed to get TLS creds: No TLS credentials with id 't'"),
                (["--image-opts", "-f", "raw", "x"],
                 "--image-opts and -f are mutually exclusive"),
                (["-L", self.file], "List mode is incompatible with a file "
                 "name"),
                (["-L", "-x", "a"], "List mode is incompatible with "
                 "per-device settings"),
                (["-L", "--fork"], "List mode is incompatible with forking"),
                (["-L", "-k", "/nonexistent.sock"],
                 "Failed to connect to '/nonexistent.sock': No such file"),
                (["-f", "nosuch", self.file], "Unknown driver 'nosuch'"),
                (["-x", "n" * 4097, self.file], "too long"),
                (["-c", "/dev/nonexistent", "-f", "raw", self.file],
                 "Failed to open /dev/nonexistent: No such file"),
                (["-d", "/dev/nonexistent"],
                 "Failed to open /dev/nonexistent: No such file"),
                (["-k", self.sock, "-f", "raw", "-B", "b", self.file],
                 "Bitmap 'b' is not found")):
            error = self.run_tool(E2K_NBD, *options, status=1)
            self.assertTrue(error.startswith("e2k-nbd: "), error)
            self.assertIn(text, error)
            self.assertFalse(os.path.exists(self.sock))

    def test_busy_socket(self):
        server = self.start("-t")
        other = self.image("other.img")
        error = self.run_tool(E2K_NBD, "-k", self.sock, "-f", "raw", other,
                              status=1)
        self.assertIn("Address already in use", error)
        self.client().close()
        self.assertTrue(server.alive())

    def test_stale_socket_is_taken_over(self):
        server = self.start("-t")
        server.process.kill()
        server.process.wait()
        self.assertTrue(os.path.exists(self.sock))
        self.assertEqual(self.run_tool(E2K_NBD, "--fork", "-k", self.sock,
                                       "-f", "raw", self.file), "")
        self.client().close()


class Harm(Case):
    def setUp(self):
        super().setUp()
        self.file = self.image(size=MIB)
        self.server = self.serve("-f", "raw", self.file)

    def tearDown(self):
        """Whatever they did: it ends well and the image is free again."""
        self.assertEqual(self.server.stop(), 0)
        self.run_tool(E2K_IO, "-f", "raw", "-c", "write -q 0 512", self.file)
        super().tearDown()

    def works(self):
        with w.Wire(self.server.sock) as c:
            c.greet()
            self.assertEqual(c.go()[-1], (w.ACK, b""))
            # What they sent may have been a write.
            mark = os.urandom(512)
            self.assertEqual(c.do(w.WRITE, 0, 512, 0, mark)[0], 0)
            self.assertEqual(c.do(w.READ, 0, 512), (0, mark))
        self.assertTrue(self.server.alive())

    def drain(self, sock):
        sock.settimeout(5)
        try:
            while sock.recv(65536):
                pass
        except OSError:
            pass

    def test_garbage(self):
        seed = random.randrange(1 << 32)
        print("seed", seed)
        rng = random.Random(seed)
        for i in range(150):
            with w.Wire(self.server.sock) as c:
                try:
                    if i % 3:
                        c.greet(rng.choice((0, 1, 2, 3)))
                    if i % 3 == 2:
                        c.structured_reply()
                        c.go()
                    c.send(rng.randbytes(rng.randrange(1, 3000)))
                    c.sock.shutdown(socket.SHUT_WR)
                    self.drain(c.sock)
                except (w.Closed, OSError, AssertionError):
                    pass
        self.works()

    def test_almost_right(self):
        """Valid streams with a few bytes changed."""
        seed = random.randrange(1 << 32)
        print("seed", seed)
        rng = random.Random(seed)
        good = struct.pack(">I", 3)
        good += struct.pack(">QII", w.OPTION_MAGIC, w.STRUCTURED, 0)
        body = w.name("") + struct.pack(">I", 1) + w.name("base:allocation")
        good += struct.pack(">QII", w.OPTION_MAGIC, w.SET_META,
                            len(body)) + body
        body = w.name("") + b"\0\1\0\3"
        good += struct.pack(">QII", w.OPTION_MAGIC, w.GO, len(body)) + body
        for kind in range(9):
            good += struct.pack(">IHHQQI", w.REQUEST_MAGIC, 0, kind, kind,
                                4096 * kind, 512 if kind != w.DISC else 0)
            good += bytes(512) if kind == w.WRITE else b""
        for _ in range(150):
            data = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            with w.Wire(self.server.sock) as c:
                try:
                    c.send(data[:rng.randrange(1, len(data) + 1)])
                    c.sock.shutdown(socket.SHUT_WR)
                except (w.Closed, OSError):
                    pass
                self.drain(c.sock)
        self.works()

    def test_many_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = int(os.environ.get("NBD_SOAK_CONNECTIONS",
                                   min(1000, hard // 3)))
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (min(max(soft, count + 100), hard), hard))
        held = []
        for i in range(count):
            c = w.Wire(self.server.sock, timeout=60)
            if i % 2:
                c.greet()
                self.assertEqual(c.go()[-1], (w.ACK, b""))
            held.append(c)
        for i, c in enumerate(held):
            if i % 2:
                self.assertEqual(c.do(w.READ, 4096, 512), (0, bytes(512)))
        with open(f"/proc/{self.server.process.pid}/status",
                  encoding="ascii") as f:
            rss = [int(line.split()[1]) for line in f
                   if line.startswith("VmRSS")][0]
        self.assertLess(rss, 60000 + 300 * count)  # kB
        for c in held:
            c.close()
        self.works()

    def test_clients_that_vanish_under_load(self):
        def one():
            for _ in range(15):
                c = w.Wire(self.server.sock)
                c.greet()
                c.structured_reply()
                c.go()
                for i in range(32):
                    c.request(w.READ, 0, 65536, cookie=i)
                c.recv(1000)
                c.close()
        threads = [threading.Thread(target=one) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.works()


class Bitmaps(Case):
    """Bitmaps stored in qcow2 images, of the image and of its backing."""

    def setUp(self):
        super().setUp()
        self.img = os.environ["E2K_IMG"]
        base = self.path("base.qcow2")
        self.disk = self.path("disk.qcow2")
        self.run_tool(self.img, "create", "-q", "-f", "qcow2", base, "1M")
        self.run_tool(self.img, "bitmap", "--add", "-g", "64k", base, "old")
        self.write(base, 0)
        self.run_tool(self.img, "create", "-q", "-f", "qcow2", "-b", base,
                      "-F", "qcow2", self.disk)
        self.run_tool(self.img, "bitmap", "--add", "-g", "64k", self.disk,
                      "new")
        self.write(self.disk, 256 << 10)

    def write(self, image, offset):
        server = self.serve("-f", "qcow2", image, sock="w.sock")
        with w.Wire(server.sock) as c:
            c.greet()
            c.go()
            self.assertEqual(c.do(w.WRITE, offset, 512, 0, bytes(512))[0], 0)
        self.assertEqual(server.stop(), 0)

    def test_several_and_of_the_backing_image(self):
        server = self.serve("-r", "-f", "qcow2", "-A", "-B", "new", "-B",
                            "old", self.disk)
        names = ["base:allocation", "qemu:allocation-depth",
                 "qemu:dirty-bitmap:new", "qemu:dirty-bitmap:old"]
        with w.Wire(server.sock) as c:
            c.greet().structured_reply()
            got = c.meta(w.LIST_META, "")
            self.assertEqual([d[4:].decode() for k, d in got if k == w.META],
                             names)
            c.meta(w.SET_META, "", *names)
            c.go()
            error, got = c.do(w.STATUS, 0, MIB)
            self.assertEqual(error, 0)
            k = 1 << 10
            self.assertEqual(dict(got)[2], [(256 * k, 0), (64 * k, 1),
                                            (704 * k, 0)])
            self.assertEqual(dict(got)[3], [(64 * k, 1), (960 * k, 0)])
            self.assertEqual(dict(got)[1], [(64 * k, 2), (192 * k, 0),
                                            (64 * k, 1), (704 * k, 0)])

    def test_writes_are_recorded_by_an_exported_bitmap(self):
        server = self.serve("-f", "qcow2", "-B", "new", self.disk)
        with w.Wire(server.sock) as c:
            c.greet().structured_reply()
            c.meta(w.SET_META, "", "qemu:dirty-bitmap:new")
            c.go()
            self.assertEqual(c.do(w.WRITE, 0, 512, 0, bytes(512))[0], 0)
            self.assertEqual(c.do(w.STATUS, 0, 131072)[1][0][1],
                             [(65536, 1), (65536, 0)])
        self.assertEqual(server.stop(), 0)
        self.test_again()

    def test_again(self):
        """What was recorded is in the image after the end."""
        server = self.serve("-r", "-f", "qcow2", "-B", "new", self.disk)
        with w.Wire(server.sock) as c:
            c.greet().structured_reply()
            c.meta(w.SET_META, "", "qemu:dirty-bitmap:new")
            c.go()
            self.assertEqual(c.do(w.STATUS, 256 << 10, 65536)[1][0][1],
                             [(65536, 1)])

    def test_after_kill(self):
        """Open for writing and killed: the bitmap is not to be trusted."""
        server = self.serve("-f", "qcow2", self.disk, sock="k.sock")
        with w.Wire(server.sock) as c:
            c.greet()
            c.go()
            self.assertEqual(c.do(w.WRITE, 0, 512, 0, bytes(512))[0], 0)
            server.stop(signal.SIGKILL)
        error = self.run_tool(E2K_NBD, "-r", "-f", "qcow2", "-B", "new", "-k",
                              self.path("x.sock"), self.disk, status=1)
        self.assertIn("Bitmap 'new' is inconsistent and cannot be used\n"
                      "Try block-dirty-bitmap-remove to delete this bitmap "
                      "from disk", error)

    def test_refused(self):
        for name, text in (("nosuch", "Bitmap 'nosuch' is not found"),):
            error = self.run_tool(E2K_NBD, "-r", "-f", "qcow2", "-B", name,
                                  "-k", self.path("x.sock"), self.disk,
                                  status=1)
            self.assertIn(text, error)


class Engine(Case):
    """The server engine on a backend of a test's own."""

    def plain(self, *options):
        sock = self.path("plain.sock")
        return self.spawn([os.environ["PLAIN_SERVER"], *options[:-2], sock,
                           *options[-2:]], sock, stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL)

    def test_a_slow_backend_is_asked_in_parallel(self):
        server = self.plain("--delay", "20000", "memory", str(MIB))
        for kind, data in ((w.READ, b""), (w.WRITE, bytes(4096))):
            with w.Wire(server.sock) as c:
                c.greet().structured_reply()
                c.go()
                start = time.monotonic()
                for i in range(64):
                    c.request(kind, 4096 * i, 4096, cookie=i, data=data)
                for i in range(64):
                    self.assertEqual(c.result(kind)[0], 0)
                # One after the other this takes 1.28 s.
                self.assertLess(time.monotonic() - start, 0.9)

    def test_a_slow_backend_finishes_before_the_disconnect(self):
        server = self.plain("--delay", "20000", "memory", str(MIB))
        with w.Wire(server.sock) as c:
            c.greet()
            c.go()
            for i in range(16):
                c.request(w.READ, 4096 * i, 4096, cookie=i)
            c.request(w.DISC)
            seen = {c.simple(4096)[1] for _ in range(16)}
            self.assertEqual(seen, set(range(16)))
            self.assertTrue(c.at_end())

    def test_every_switch_keeps_the_data(self):
        file = self.image(data=self.pattern(MIB), size=2 * MIB)
        data = self.pattern(MIB) + bytes(MIB)
        for tune in (*range(32), *range(64, 96)):  # 64: zero-copy
            server = self.plain("--tune", str(tune), "file", file)
            with w.Wire(server.sock) as c:
                c.greet().structured_reply()
                c.go()
                for i in range(8):
                    c.request(w.READ, 1000 * i, 300000, cookie=i)
                got = {}
                done = 0
                while done < 8:
                    flags, kind, cookie, payload = c.chunk()
                    got.setdefault(cookie, []).append((flags, kind, payload))
                    done += flags & 1
                for i in range(8):
                    error, pieces = w.summary(got[i])
                    self.assertEqual(error, 0)
                    self.assertEqual(w.whole(pieces),
                                     data[1000 * i:1000 * i + 300000])
            server.stop()


class Waiting(Case):
    """One request at a time: the server may wait awake for the next."""

    def test_data_and_a_client_that_thinks(self):
        file = self.image(data=self.pattern(MIB))
        for options in ((), ("--tune=no-awake",)):
            with open(file, "rb") as f:
                model = bytearray(f.read())
            server = self.serve(*options, "-f", "raw", file)
            with w.Wire(server.sock) as c:
                c.greet()
                c.go()
                for i in range(3000):
                    at = i * 331 % (MIB - 512)
                    if i == 260:  # it has just begun to try
                        self.think(server)
                    if i % 3:
                        self.assertEqual(c.do(w.READ, at, 512),
                                         (0, bytes(model[at:at + 512])))
                        continue
                    data = bytes((i + k) & 0xff for k in range(512))
                    c.send(c.header(w.WRITE, at, 512, cookie=i))
                    c.send(data)
                    self.assertEqual(c.simple(), (0, i, b""))
                    model[at:at + 512] = data
                self.think(server)
            self.assertEqual(server.stop(), 0)
            with open(file, "rb") as f:
                self.assertEqual(f.read(), bytes(model))

    def test_long_writes_in_parts_of_any_size(self):
        """Longer than a piece, shorter, at odd places, another one behind."""
        for options in ((), ("--tune=no-pieces",)):
            self.long_writes(options)

    def long_writes(self, options):
        rng = random.Random(seed := random.randrange(1 << 32))
        print("seed", seed)
        file = self.image(data=self.pattern(2 * MIB))
        with open(file, "rb") as f:
            model = bytearray(f.read())
        server = self.serve(*options, "-f", "raw", file)
        with w.Wire(server.sock) as c:
            c.greet()
            c.go()
            for i in range(60):
                stream = b""
                for k in range(2):
                    length = rng.choice((65535, 65536, 65537, 100000, 262144,
                                         300000, 700001))
                    at = rng.choice((0, 65536, 7, 4095, rng.randrange(MIB)))
                    data = rng.randbytes(length)
                    stream += c.header(w.WRITE, at, length, cookie=k) + data
                    model[at:at + length] = data
                while stream:
                    n = rng.choice((1, 28, 4096, 65536, 200000, 1 << 20))
                    c.send(stream[:n])
                    stream = stream[n:]
                    if rng.random() < 0.1:
                        time.sleep(0.002)
                for k in range(2):
                    self.assertEqual(c.simple(), (0, k, b""))
            at = rng.randrange(MIB)
            self.assertEqual(c.do(w.READ, at, 4096),
                             (0, bytes(model[at:at + 4096])))
        self.assertEqual(server.stop(), 0)
        with open(file, "rb") as f:
            self.assertEqual(f.read(), bytes(model))

    def think(self, server):
        clock = ~server.process.pid << 3 | 2
        before = time.clock_gettime(clock)
        time.sleep(0.5)
        self.assertLess(time.clock_gettime(clock) - before, 0.1)


class Engines(Case):
    def test_every_engine_keeps_the_data(self):
        """Small requests that arrive together, mixed, with every engine."""
        rng = random.Random(seed := random.randrange(1 << 32))
        print("seed", seed)
        file = self.image(data=self.pattern(MIB), size=MIB)
        for options in (["--aio=threads"], ["--aio=io_uring"],
                        ["--cache=none"], ["--cache=none", "--aio=threads"],
                        ["--cache=none", "--aio=native"],
                        ["--cache=none", "--tune=no-uring"],
                        ["--cache=directsync"]):
            with open(file, "rb") as f:
                model = bytearray(f.read())
            try:
                server = self.serve(*options, "-f", "raw", file)
            except RuntimeError:
                if options[0] == "--cache=none":
                    continue  # no O_DIRECT on this file system
                raise
            with w.Wire(server.sock) as c:
                c.greet()
                c.go()
                for _ in range(20):
                    self.mixed_burst(c, rng, model)
            self.assertEqual(server.stop(), 0)
            with open(file, "rb") as f:
                self.assertEqual(f.read(), bytes(model), options)

    def test_every_engine_on_qcow2(self):
        """Allocated, compressed and missing clusters in the same bursts."""
        rng = random.Random(seed := random.randrange(1 << 32))
        print("seed", seed)
        raw = self.path("model.raw")
        disk = self.path("disk.qcow2")
        model = bytearray(MIB)
        for i in range(0, 64, 2):
            model[i * 16384:(i + 1) * 16384] = rng.randbytes(16384)
        with open(raw, "wb") as f:
            f.write(model)
        for create in (["-S", "16k", "-o", "cluster_size=16k"], ["-c"]):
            for options in (["--aio=threads"], ["--aio=io_uring"],
                            ["--cache=none"]):
                image = bytearray(model)
                self.run_tool(E2K_IMG, "convert", "-f", "raw", "-O", "qcow2",
                              *create, raw, disk)
                try:
                    server = self.serve(*options, "-f", "qcow2", disk)
                except RuntimeError:
                    if options[0] == "--cache=none":
                        continue  # no O_DIRECT on this file system
                    raise
                with w.Wire(server.sock) as c:
                    c.greet()
                    c.go()
                    for _ in range(12):
                        self.mixed_burst(c, rng, image)
                self.assertEqual(server.stop(), 0)
                self.run_tool(E2K_IMG, "check", "-q", disk)
                with open(self.path("image.raw"), "wb") as f:
                    f.write(image)
                self.run_tool(E2K_IMG, "compare", "-q", "-f", "qcow2", "-F",
                              "raw", disk, self.path("image.raw"))

    def mixed_burst(self, c, rng, model):
        """48 requests in one send, on blocks of their own."""
        burst = b""
        wanted = {}
        for cookie, block in enumerate(rng.sample(range(64), 48)):
            at = block * 16384 + rng.choice((0, 0, 512, 7))
            length = rng.choice((4096, 8192, 512, 33))
            if rng.random() < 0.5:
                burst += c.header(w.READ, at, length, cookie=cookie)
                wanted[cookie] = bytes(model[at:at + length])
            else:
                data = rng.randbytes(length)
                burst += c.header(w.WRITE, at, length, cookie=cookie) + data
                model[at:at + length] = data
                wanted[cookie] = b""
        c.send(burst)
        for _ in range(48):
            error, cookie, _ = c.simple()
            self.assertEqual(error, 0)
            self.assertEqual(c.recv(len(wanted[cookie])), wanted[cookie])
            del wanted[cookie]
        self.assertEqual(wanted, {})


class Kernel(Case):
    def test_device(self):
        """The kernel's own client, where there is one and we may use it."""
        if not os.path.exists("/sys/module/nbd") or os.geteuid() != 0 or \
                not os.path.exists("/dev/nbd0"):
            self.skipTest("the kernel has no nbd module, or we are not root")
        need("nbd-client")
        server = self.serve("-f", "raw", self.image(size=MIB))
        self.run_tool("nbd-client", "-unix", server.sock, "/dev/nbd0")
        try:
            with open("/dev/nbd0", "rb") as f:
                self.assertEqual(f.read(4096), bytes(4096))
        finally:
            self.run_tool("nbd-client", "-d", "/dev/nbd0")
        self.assertIn(server.sock, uri(server))


if __name__ == "__main__":
    sys.exit(main())
