"""e2k-nbd with other people's clients and servers, in the clear and by TLS.

The rows are servers (ours, nbdkit, qemu-nbd, nbd-server), the columns clients
(nbdinfo, nbdcopy, qemu-img, qemu-io, and our own client, which is e2k-nbd
serving an export that it gets from another server)."""
import json
import os
import shutil
import subprocess
import time
import unittest

from harness import (E2K_NBD, Case, listens, main, need, read_pid, uri,
                     wait_for)

E2K_IMG = os.environ.get("E2K_IMG", "e2k-img")

MIB = 1 << 20


class OurServer(Case):
    """Other people's clients on our server."""

    def setUp(self):
        super().setUp()
        self.data = self.pattern(3 * MIB)
        self.file = self.image(data=self.data, size=8 * MIB)
        with open(self.file, "rb") as f:
            self.data = f.read()

    def test_nbdinfo(self):
        need("nbdinfo")
        server = self.serve("-f", "raw", "-x", "disk", "-D", "some text",
                            self.file)
        info = json.loads(self.run_tool("nbdinfo", "--json",
                                        uri(server, "disk")))
        export = info["exports"][0]
        self.assertEqual(info["protocol"], "newstyle-fixed")
        self.assertTrue(info["structured"])
        self.assertEqual(export["export-size"], 8 * MIB)
        self.assertEqual(export["description"], "some text")
        self.assertEqual(export["contexts"], ["base:allocation"])
        for can in ("can_cache", "can_df", "can_fast_zero", "can_flush",
                    "can_fua", "can_multi_conn", "can_trim", "can_zero"):
            self.assertTrue(export[can], can)
        extents = json.loads(self.run_tool("nbdinfo", "--json", "--map",
                                           uri(server, "disk")))
        self.assertEqual([(e["offset"], e["length"], e["type"])
                          for e in extents],
                         [(0, 3 * MIB, 0), (3 * MIB, 5 * MIB, 3)])
        listed = json.loads(self.run_tool("nbdinfo", "--json", "--list",
                                          uri(server)))
        self.assertEqual(listed["exports"][0]["export-name"], "disk")

    def test_nbdcopy_both_ways(self):
        need("nbdcopy")
        server = self.serve("-f", "raw", self.file)
        out = self.path("out.img")
        for flags in ((), ("--connections=1",), ("--synchronous",),
                      ("--no-extents",), ("--request-size=4194304",)):
            self.run_tool("nbdcopy", *flags, uri(server), out)
            self.assert_same(out, self.file)
            os.unlink(out)
        new = self.image("new.img", data=self.pattern(8 * MIB, 5))
        self.run_tool("nbdcopy", new, uri(server))
        self.assert_same(new, self.file)

    def assert_same(self, a, b):
        with open(a, "rb") as f, open(b, "rb") as g:
            self.assertEqual(f.read(), g.read())

    def test_qemu_img_and_qemu_io(self):
        need("qemu-img", "qemu-io")
        server = self.serve("-f", "raw", self.file)
        out = self.path("out.qcow2")
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2",
                      uri(server), out)
        self.assertIn("identical",
                      self.run_tool("qemu-img", "compare", "-f", "qcow2",
                                    "-F", "raw", out, uri(server)))
        extents = json.loads(self.run_tool("qemu-img", "map", "--output=json",
                                           "-f", "raw", uri(server)))
        self.assertEqual([(e["start"], e["length"], e["data"], e["zero"])
                          for e in extents],
                         [(0, 3 * MIB, True, False),
                          (3 * MIB, 5 * MIB, False, True)])
        self.run_tool("qemu-io", "-f", "raw", "-c", "write -P 0x41 1m 64k",
                      "-c", "write -z 2m 1m", "-c", "discard 0 64k", "-c",
                      "flush", "-c", "read -P 0x41 1m 64k", "-c",
                      "read -P 0 2m 1m", uri(server))
        with open(self.file, "rb") as f:
            f.seek(MIB)
            self.assertEqual(f.read(65536), b"\x41" * 65536)

    def map(self, server):
        return [(e["start"], e["length"], e["data"], e["zero"])
                for e in json.loads(self.run_tool(
                    E2K_IMG, "map", "--output=json", "-f", "raw",
                    uri(server)))]

    def test_a_file_that_ends_within_a_sector(self):
        odd = self.image("odd.img", data=b"x" * 1000, size=1000)
        server = self.serve("-f", "raw", odd)
        self.assertEqual(self.map(server), [(0, 1000, True, False),
                                            (1000, 24, False, True)])
        server.stop()
        # A guessed format means sectors, so the client sees whole ones.
        server = self.serve(odd)
        self.assertIn("min block: 512",
                      self.run_tool(E2K_NBD, "-L", "-k", server.sock))
        self.assertEqual(self.map(server), [(0, 1024, True, False)])

    def test_an_image_inside_an_export(self):
        """Made there, compressed, by our client; the export keeps its size."""
        room = self.image("room.img", size=16 * MIB)
        servers = [E2K_NBD] + (["qemu-nbd"] if shutil.which("qemu-nbd")
                               else [])
        for tool in servers:
            sock = self.path("room.sock")
            server = self.spawn([tool, "-t", "-k", sock, "-f", "raw", "-o",
                                 "1536", room], sock)
            there = uri(server)
            self.run_tool(E2K_IMG, "convert", "-f", "raw", "-O", "qcow2",
                          "-c", self.file, there)
            self.run_tool(E2K_IMG, "check", "-f", "qcow2", there)
            self.run_tool(E2K_IMG, "compare", "-f", "raw", "-F", "qcow2",
                          self.file, there)
            self.assertIn("Cannot grow NBD nodes", self.run_tool(
                E2K_IMG, "resize", "-f", "raw", there, "32M", status=1))
            server.process.kill()
            server.process.wait()
            self.assertEqual(os.path.getsize(room), 16 * MIB)

    def test_qemu_nbd_lists_us(self):
        need("qemu-nbd")
        server = self.serve("-f", "raw", "-x", "disk", "-D", "some text",
                            "-A", "-r", self.file)
        theirs = self.run_tool("qemu-nbd", "-L", "-k", server.sock)
        ours = self.run_tool(E2K_NBD, "-L", "-k", server.sock)
        self.assertEqual(theirs, ours)
        self.assertEqual(ours, """exports available: 1
 export: 'disk'
  description: some text
  size:  8388608
  flags: 0x58f ( readonly flush fua df multi cache )
  min block: 1
  opt block: 4096
  max block: 33554432
  available meta contexts: 2
   base:allocation
   qemu:allocation-depth
""")


class OurClient(Case):
    """Our client on other people's servers."""

    def setUp(self):
        super().setUp()
        self.data = self.pattern(3 * MIB)
        self.file = self.image(data=self.data, size=8 * MIB)

    def nbdkit(self, *plugin):
        need("nbdkit")
        sock = self.path("peer.sock")
        return self.spawn(["nbdkit", "-f", "-U", sock, *plugin], sock)

    def qemu_nbd(self, *options):
        need("qemu-nbd")
        sock = self.path("peer.sock")
        return self.spawn(["qemu-nbd", "-t", "-e", "0", "-k", sock, *options],
                          sock)

    def nbd_server(self):
        need("nbd-server")
        sock = self.path("peer.sock")
        conf = self.path("nbd-server.conf")
        pid = self.path("nbd-server.pid")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"[generic]\nunixsock = {sock}\n[disk]\nexportname = "
                    f"{self.file}\nflush = true\nfua = true\ntrim = true\n")
        subprocess.run(["nbd-server", "-C", conf, "-p", pid], check=True,
                       capture_output=True)
        number = read_pid(pid)

        def stop():
            os.kill(number, 15)
            for _ in range(200):  # it removes its pid file as it ends
                if not os.path.exists(pid):
                    break
                time.sleep(0.02)
        self.addCleanup(stop)
        wait_for(sock, lambda: listens(sock))
        return sock

    def through(self, address, writes=True):
        """Our server on our client on the peer; nbdcopy compares."""
        need("nbdcopy", "qemu-io")
        server = self.serve("--image-opts", address, sock="ours.sock")
        out = self.path("out.img")
        self.run_tool("nbdcopy", uri(server), out)
        with open(out, "rb") as f, open(self.file, "rb") as g:
            self.assertEqual(f.read(), g.read())
        if not writes:
            return
        self.run_tool("qemu-io", "-f", "raw", "-c", "write -P 0x41 1m 64k",
                      "-c", "write -f -P 0x42 4097 5", "-c",
                      "write -z 2m 64k", "-c", "discard 3m 64k", "-c",
                      "flush", "-c", "read -P 0x41 1m 64k", "-c",
                      "read -P 0 2m 64k", "-c", "read -P 0x42 4097 5",
                      uri(server))
        with open(self.file, "rb") as f:
            f.seek(MIB)
            self.assertEqual(f.read(65536), b"\x41" * 65536)
        self.assertEqual(server.stop(), 0)

    def test_nbdkit_file(self):
        peer = self.nbdkit("file", self.file)
        self.through(f"driver=nbd,server.type=unix,server.path={peer.sock}")

    def test_several_connections(self):
        peer = self.nbdkit("file", self.file)
        self.through(f"driver=nbd,server.type=unix,server.path={peer.sock},"
                     "connections=4")

    def test_qemu_nbd(self):
        peer = self.qemu_nbd("-f", "raw", self.file)
        self.through(f"driver=nbd,path={peer.sock}")

    def test_nbd_server(self):
        sock = self.nbd_server()
        self.through(f"driver=nbd,server.type=unix,server.path={sock},"
                     "export=disk")

    def test_ourselves(self):
        peer = self.serve("-f", "raw", "-x", "disk", self.file)
        self.through(f"driver=nbd,path={peer.sock},export=disk")

    def test_nbdkit_without_modern_options(self):
        """No structured replies, no GO: the oldest ways still work."""
        for options in (("--no-sr",), ("-o",)):
            peer = self.nbdkit(*options, "file", self.file)
            # nbdkit 1.32 refuses the FUA and FLUSH it offers in oldstyle.
            self.through(f"driver=nbd,path={peer.sock}",
                         writes=options[0] != "-o")
            peer.process.kill()
            peer.process.wait()

    def test_block_size_limits_are_kept(self):
        need("nbdkit")
        peer = self.nbdkit("--filter=blocksize-policy", "file", self.file,
                           "blocksize-minimum=512",
                           "blocksize-preferred=4096",
                           "blocksize-maximum=65536",
                           "blocksize-error-policy=error")
        self.through(f"driver=nbd,path={peer.sock}")

    def test_errors_come_through(self):
        peer = self.nbdkit("--filter=error", "file", self.file,
                           "error-pwrite=ENOSPC", "error-pwrite-rate=100%")
        server = self.serve("--image-opts", f"driver=nbd,path={peer.sock}",
                            sock="ours.sock")
        need("qemu-io")
        self.assertIn("No space left", self.run_qemu_io(
            server, "write 0 4096"))
        self.assertNotIn("failed", self.run_qemu_io(server, "read 0 4096"))

    def run_qemu_io(self, server, command):
        done = subprocess.run(["qemu-io", "-f", "raw", "-c", command,
                               uri(server)], capture_output=True, text=True,
                              timeout=60, check=False)
        return done.stdout + done.stderr

    def test_a_server_that_comes_back(self):
        peer = self.nbdkit("file", self.file)
        sock = peer.sock
        server = self.serve("--image-opts", f"driver=nbd,path={sock},"
                            "reconnect-delay=20", sock="ours.sock")
        need("qemu-io")
        self.assertNotIn("failed", self.run_qemu_io(server, "read 0 4096"))
        peer.process.kill()
        peer.process.wait()
        os.unlink(sock)
        waiting = subprocess.Popen(
            ["qemu-io", "-f", "raw", "-c", "write -P 0x33 0 4096", "-c",
             "read -P 0x33 0 4096", uri(server)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        time.sleep(0.5)
        self.assertIsNone(waiting.poll())
        self.nbdkit("file", self.file)
        text, _ = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0, text)
        self.assertNotIn("failed", text)

    def test_a_server_that_does_not_come_back(self):
        peer = self.nbdkit("file", self.file)
        server = self.serve("--image-opts", f"driver=nbd,path={peer.sock}",
                            sock="ours.sock")
        need("qemu-io")
        self.assertNotIn("failed", self.run_qemu_io(server, "read 0 4096"))
        peer.process.kill()
        peer.process.wait()
        self.assertIn("Input/output error",
                      self.run_qemu_io(server, "write 0 4096"))
        self.assertEqual(server.stop(), 0)

    def test_waiting_for_a_server_to_start(self):
        sock = self.path("peer.sock")
        ours = self.path("ours.sock")
        process = subprocess.Popen(
            [E2K_NBD, "-k", ours, "--image-opts",
             f"driver=nbd,path={sock},open-timeout=20"])
        self.addCleanup(process.kill)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        self.nbdkit("file", self.file)
        for _ in range(500):
            if os.path.exists(ours):
                break
            time.sleep(0.02)
        need("nbdinfo")
        self.assertEqual(self.run_tool("nbdinfo", "--size",
                                       f"nbd+unix:///?socket={ours}").strip(),
                         str(8 * MIB))
        self.assertEqual(process.wait(20), 0)

    def test_refusals(self):
        peer = self.serve("-f", "raw", "-r", "-x", "disk", self.file)
        for address, text in (
                (f"path={peer.sock},export=nosuch",
                 "Requested export not available"),
                (f"path={peer.sock},export=disk", "NBD export is read-only"),
                (f"path={peer.sock},export=disk,x-dirty-bitmap="
                 "qemu:dirty-bitmap:b", "requested x-dirty-bitmap "
                 "qemu:dirty-bitmap:b not found"),
                ("path=/nosuch.sock", "Failed to connect to '/nosuch.sock': "
                 "No such file or directory"),
                ("port=5", "port may not be used without host"),
                ("path=/a,host=b", "path and host may not be used at the "
                 "same time"),
                (f"path={peer.sock},server.type=unix,server.path=/x",
                 "Cannot use 'server' and path/host/port at the same time"),
                (f"path={peer.sock},tls-creds=t",
                 "No TLS credentials with id 't'")):
            error = self.run_tool(E2K_NBD, "-k", self.path("x.sock"),
                                  "--image-opts", f"driver=nbd,{address}",
                                  status=1)
            self.assertIn(text, error)
        error = self.run_tool(E2K_NBD, "-k", self.path("x.sock"),
                              "nbd://[::1", status=1)
        self.assertIn("No valid URL specified", error)


@unittest.skipUnless(os.environ.get("E2K_TLS", "1") == "1", "no TLS built")
class Tls(Case):
    """x509 and PSK, on unix sockets and TCP."""

    def setUp(self):
        super().setUp()
        need("certtool", "psktool")
        self.file = self.image(data=self.pattern(MIB))
        self.certs = self.path("certs")
        os.mkdir(self.certs)
        self.run_tool("psktool", "-u", "alice", "-p",
                      os.path.join(self.certs, "keys.psk"))

    def make_certificates(self):
        def cert(who, *lines):
            with open(f"{self.certs}/{who}.info", "w",
                      encoding="ascii") as f:
                f.write("\n".join(lines) + "\n")
            key = "ca-key.pem" if who == "ca" else f"{who}-key.pem"
            with open(f"{self.certs}/{key}", "w", encoding="ascii") as f:
                f.write(self.run_tool("certtool", "--generate-privkey",
                                      "--key-type=ecdsa"))
            if who == "ca":
                how = ("--generate-self-signed",)
            else:
                how = ("--generate-certificate", "--load-ca-certificate",
                       f"{self.certs}/ca-cert.pem", "--load-ca-privkey",
                       f"{self.certs}/ca-key.pem")
            self.run_tool("certtool", *how, "--load-privkey",
                          f"{self.certs}/{key}", "--template",
                          f"{self.certs}/{who}.info", "--outfile",
                          f"{self.certs}/{who}-cert.pem")
        cert("ca", "cn = Test", "ca", "cert_signing_key",
             "expiration_days = 2")
        cert("server", "cn = localhost", "dns_name = localhost",
             "ip_address = 127.0.0.1", "tls_www_server", "signing_key",
             "expiration_days = 2")
        cert("client", "cn = alice", "tls_www_client", "signing_key",
             "expiration_days = 2")

    def tls_server(self, kind, *more):
        return self.serve("--object", f"tls-creds-{kind},id=t,endpoint=server,"
                          f"dir={self.certs}", "--tls-creds", "t", *more,
                          "-f", "raw", self.file)

    def test_psk(self):
        need("nbdinfo")
        server = self.tls_server("psk")
        keys = f"tls-psk-file={self.certs}/keys.psk"
        good = f"nbds+unix://alice@/?socket={server.sock}&{keys}"
        out = self.run_tool("nbdinfo", good)
        self.assertIn("with TLS", out)
        self.run_tool("nbdcopy", good, self.path("out.img"))
        with open(self.path("out.img"), "rb") as f:
            self.assertEqual(f.read(), self.pattern(MIB))
        # In the clear nothing is said; a wrong name is not let in.
        self.assertIn("server replied with error",
                      self.run_tool("nbdinfo", uri(server), status=1))
        self.run_tool("nbdinfo", f"nbds+unix://bob@/?socket={server.sock}&"
                      f"{keys}", status=1)
        self.assertTrue(server.alive())

    def our_client(self, server, objects, address, status=0):
        command = [E2K_NBD, "-k", self.path("ours.sock"), "--object", objects,
                   "--image-opts", f"driver=nbd,path={server.sock},{address}"]
        if status:
            return self.run_tool(*command, status=status)
        ours = self.spawn(command, self.path("ours.sock"))
        out = self.path("ours.img")
        self.run_tool("nbdcopy", "--connections=1", uri(ours), out)
        with open(out, "rb") as f:
            self.assertEqual(f.read(), self.pattern(MIB))
        return None

    def test_psk_our_client(self):
        need("nbdcopy")
        server = self.tls_server("psk")
        creds = f"tls-creds-psk,id=c,endpoint=client,dir={self.certs}"
        self.our_client(server, f"{creds},username=alice", "tls-creds=c")
        error = self.our_client(server, f"{creds},username=bob",
                                "tls-creds=c", status=1)
        self.assertIn("bob", error)
        error = self.our_client(server, f"{creds},username=alice",
                                "export=disk", status=1)
        self.assertIn("TLS negotiation required before option", error)
        self.assertIn("Did you forget a valid tls-creds?", error)

    def test_psk_our_client_on_nbdkit(self):
        need("nbdkit", "nbdcopy")
        sock = self.path("peer.sock")
        peer = self.spawn(["nbdkit", "-f", "-U", sock, "--tls=require",
                           f"--tls-psk={self.certs}/keys.psk", "file",
                           self.file], sock)
        self.our_client(peer, f"tls-creds-psk,id=c,endpoint=client,dir="
                        f"{self.certs},username=alice", "tls-creds=c")

    def test_x509(self):
        need("nbdinfo", "nbdcopy")
        self.make_certificates()
        server = self.tls_server("x509")
        good = (f"nbds+unix:///?socket={server.sock}&tls-hostname=localhost&"
                f"tls-certificates={self.certs}")
        os.link(f"{self.certs}/ca-cert.pem", f"{self.certs}/cacert.pem")
        self.assertIn("with TLS", self.run_tool("nbdinfo", good))
        creds = f"tls-creds-x509,id=c,endpoint=client,dir={self.certs}"
        self.our_client(server, creds, "tls-creds=c,tls-hostname=localhost")
        error = self.our_client(server, creds,
                                "tls-creds=c,tls-hostname=wrong.example",
                                status=1)
        self.assertIn("TLS handshake failed", error)

    def test_x509_authorisation(self):
        need("nbdcopy")
        self.make_certificates()
        creds = f"tls-creds-x509,id=c,endpoint=client,dir={self.certs}"
        for identity, status in (("CN=alice", 0), ("CN=mallory", 1)):
            server = self.tls_server("x509", "--object",
                                     f"authz-simple,id=a,identity={identity}",
                                     "--tls-authz", "a")
            self.our_client(server, creds,
                            "tls-creds=c,tls-hostname=localhost", status)
            server.stop()

    def test_uris(self):
        """nbds:// as the name of an image, of a server to list."""
        self.make_certificates()
        keys = f"{self.certs}/keys.psk"
        out = self.path("uri.img")
        for kind, user, query in (
                ("psk", "alice@", f"tls-psk-file={keys}"),
                ("x509", "", f"tls-certificates={self.certs}&"
                             "tls-hostname=localhost")):
            server = self.tls_server(kind, "-x", "a disk")
            name = (f"nbds+unix://{user}/a%20disk?socket={server.sock}&"
                    f"{query}")
            info = json.loads(self.run_tool(E2K_IMG, "info", "--output=json",
                                            "-f", "raw", name))
            for uri_ in (name, info["filename"]):
                self.assertTrue(uri_.startswith("nbds+unix://"), uri_)
                self.run_tool(E2K_IMG, "convert", "-O", "raw", "-f", "raw",
                              uri_, out)
                with open(out, "rb") as f:
                    self.assertEqual(f.read(), self.pattern(MIB))
            listed = self.run_tool(E2K_NBD, "-L", name)
            self.assertIn("export: 'a disk'", listed)
            for wrong, text in (
                    (name.replace("nbds", "nbd"),
                     "TLS negotiation required"),
                    (name + "&tls-type=none", "tls-type"),
                    (name.replace("localhost", "elsewhere"),
                     "TLS handshake failed"),
                    (name.replace(keys, "/nosuch"), "/nosuch"),
                    (name.replace("alice@", "bob@"), "bob")):
                if wrong != name:
                    error = self.run_tool(E2K_IMG, "info", "-f", "raw",
                                          wrong, status=1)
                    self.assertIn(text, error)
            server.stop()

    def test_wrong_endpoint(self):
        error = self.run_tool(
            E2K_NBD, "-k", self.path("x.sock"), "--object",
            f"tls-creds-psk,id=t,endpoint=client,username=alice,"
            f"dir={self.certs}", "--tls-creds", "t", self.file, status=1)
        self.assertIn("Expecting TLS credentials with a server endpoint",
                      error)


if __name__ == "__main__":
    main()
