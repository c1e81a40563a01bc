"""Our client and servers that lie, stall or fall silent: an error, never a
crash, a hang or wrong data."""
import itertools
import os
import socket
import struct
import subprocess
import threading
import time
import unittest

import wire as w
from harness import E2K_NBD, Case, main

MIB = 1 << 20
SIZE = 16 * MIB


class Liar:
    """A server that follows a script per connection."""

    def __init__(self, path, script):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.script = script
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                self.conn, _ = self.listener.accept()
            except OSError:
                return
            self.conn.settimeout(20)
            try:
                self.script(self)
            except (OSError, AssertionError):
                pass
            self.conn.close()

    def close(self):
        self.listener.close()

    def send(self, data):
        self.conn.sendall(data)

    def recv(self, n):
        data = b""
        while len(data) < n:
            part = self.conn.recv(n - len(data))
            if not part:
                raise OSError("closed")
            data += part
        return data

    # ---- Honest parts ----

    def greet(self, flags=3):
        self.send(struct.pack(">QQH", w.MAGIC, w.OPTION_MAGIC, flags))
        return self.recv(4)

    def option(self):
        magic, option, length = struct.unpack(">QII", self.recv(16))
        assert magic == w.OPTION_MAGIC
        return option, self.recv(length)

    def reply(self, option, kind, data=b""):
        self.send(struct.pack(">QIII", w.REPLY_MAGIC, option, kind,
                              len(data)) + data)

    def negotiate(self, style="structured", size=SIZE, flags=0xc6d,
                  blocks=(1, 4096, 32 * MIB), override=None):
        """Answers options honestly but for those in override."""
        self.greet()
        while True:
            option, _ = self.option()
            if override and option in override:
                override[option](self)
            elif option == w.EXTENDED:
                self.reply(option, w.ACK if style == "extended" else w.UNSUP)
            elif option == w.STRUCTURED:
                self.reply(option, w.ACK if style == "structured"
                           else w.UNSUP)
            elif option == w.SET_META:
                self.reply(option, w.META, struct.pack(">I", 5)
                           + b"base:allocation")
                self.reply(option, w.ACK)
            elif option == w.GO:
                if blocks:
                    self.reply(option, w.REP_INFO,
                               struct.pack(">HIII", 3, *blocks))
                self.reply(option, w.REP_INFO, struct.pack(">HQH", 0, size,
                                                           flags))
                self.reply(option, w.ACK)
                return self
            else:
                self.reply(option, w.UNSUP)

    def request(self):
        _, flags, kind, cookie, offset, length = struct.unpack(
            ">IHHQQI", self.recv(28))
        if kind == w.WRITE:
            self.recv(length)
        return flags, kind, cookie, offset, length

    def chunk(self, cookie, kind, payload, flags=1):
        self.send(struct.pack(">IHHQI", w.CHUNK_MAGIC, flags, kind, cookie,
                              len(payload)) + payload)


class Opening(Case):
    """Lies in the handshake: opening fails with a message."""

    numbers = itertools.count()

    def refused(self, script, text=None, timeout=25):
        path = self.path(f"liar{next(self.numbers)}.sock")
        liar = Liar(path, script)
        try:
            done = subprocess.run(
                [E2K_NBD, "-k", self.path("x.sock"), "--image-opts",
                 f"driver=nbd,path={path}"], capture_output=True, text=True,
                timeout=timeout, check=False)
        finally:
            liar.close()
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertTrue(done.stderr.startswith("e2k-nbd: "), done.stderr)
        if text:
            self.assertIn(text, done.stderr)

    def test_greetings(self):
        self.refused(lambda s: None, "end-of-file")
        self.refused(lambda s: s.send(b"NBDMAGI"), "end-of-file")
        self.refused(lambda s: s.send(bytes(18)), "Bad initial magic")
        self.refused(lambda s: s.send(b"NBDMAGIC" + bytes(10)),
                     "Bad server magic")
        self.refused(lambda s: s.send(struct.pack(
            ">QQQI", w.MAGIC, 0x420281861253, 512, 0xffff0001) + bytes(124)),
            "Unexpected export flags")

    def test_option_replies(self):
        def bad(raw):
            def script(s):
                s.greet()
                s.option()
                s.send(raw)
                s.recv(1)
            return script
        self.refused(bad(bytes(20)), "Unexpected option reply magic")
        self.refused(bad(struct.pack(">QIII", w.REPLY_MAGIC, 99, w.ACK, 0)),
                     "Unexpected option type")
        self.refused(bad(struct.pack(">QIII", w.REPLY_MAGIC, w.EXTENDED,
                                     w.ACK, 0xffffffff)), "too long")
        self.refused(bad(struct.pack(">QIII", w.REPLY_MAGIC, w.EXTENDED, 77,
                                     0)), "Unexpected reply type")

    def test_exports(self):
        for args, text in (
                ({"blocks": (3, 4096, MIB)}, "minimum block size"),
                ({"blocks": (0, 4096, MIB)}, "minimum block size"),
                ({"blocks": (1 << 20, 1 << 20, 1 << 25)},
                 "minimum block size"),
                ({"blocks": (512, 5000, MIB)}, "preferred block size"),
                ({"blocks": (4096, 512, MIB)}, "preferred block size"),
                ({"blocks": (4096, 4096, 512)}, "maximum block size"),
                ({"blocks": (4096, 4096, MIB), "size": 4097},
                 "not a multiple"),
                ({"size": 1 << 63}, "too large")):
            self.refused(lambda s, a=args: s.negotiate(**a), text)

    def test_go(self):
        def only_ack(s):
            s.reply(w.GO, w.ACK)

        def endless(s):
            while True:
                s.reply(w.GO, w.REP_INFO, b"\0\1x")

        def short(s):
            s.reply(w.GO, w.REP_INFO, b"\0")

        def refuses(s):
            s.reply(w.GO, w.UNKNOWN, b"go \xff away")
        for lie, text in ((only_ack, "omitted"), (endless, "Too many"),
                          (short, "too short"),
                          (refuses, "Requested export not available")):
            self.refused(lambda s, x=lie: s.negotiate(override={w.GO: x}),
                         text)

    def test_contexts(self):
        def other(s):
            s.reply(w.SET_META, w.META, b"\0\0\0\1base:other")

        def twice(s):
            for i in range(2):
                s.reply(w.SET_META, w.META, struct.pack(">I", i)
                        + b"base:allocation")
            s.reply(w.SET_META, w.ACK)
        for lie in (other, twice):
            self.refused(
                lambda s, x=lie: s.negotiate(override={w.SET_META: x}),
                "different context")

    @unittest.skipUnless(os.environ.get("NBD_SOAK"), "takes half a minute")
    def test_silence(self):
        def silent(s):
            s.conn.settimeout(None)
            s.recv(1)
        start = time.monotonic()
        self.refused(silent, "does not answer", timeout=60)
        self.assertLess(time.monotonic() - start, 45)


class Serving(Case):
    """Lies in the transmission phase: requests fail, the client lives."""

    def serve_liar(self, script, style="structured"):
        path = self.path("liar.sock")
        if os.path.exists(path):
            os.unlink(path)

        def whole(s):
            s.negotiate(style)
            script(s)
        liar = Liar(path, whole)
        self.addCleanup(liar.close)
        ours = self.serve("--image-opts", f"driver=nbd,path={path}",
                          sock="ours.sock")
        return ours

    def fails(self, script, kind=w.READ, length=4096, style="structured"):
        ours = self.serve_liar(script, style)
        with w.Wire(ours.sock) as c:
            c.greet()
            c.go()
            error, _ = c.do(kind, 0, length, 0,
                            bytes(length) if kind == w.WRITE else b"")
            self.assertEqual(error, w.EIO)
        self.assertEqual(ours.stop(), 0)

    def test_bad_replies_to_a_read(self):
        def answer(build):
            def script(s):
                _, kind, cookie, offset, length = s.request()
                while kind != w.READ:  # a status call may come first
                    s.chunk(cookie, w.BLOCK_STATUS,
                            struct.pack(">III", 5, length, 0))
                    _, kind, cookie, offset, length = s.request()
                build(s, cookie, offset, length)
                s.recv(1)
            return script

        def head(s, magic, cookie):
            s.send(struct.pack(">IHHQI", magic, 1, w.DATA, cookie, 16))

        lies = {
            "magic": lambda s, c, o, n: head(s, 0x12345678, c),
            "cookie": lambda s, c, o, n: head(s, w.CHUNK_MAGIC, c ^ 12345),
            "simple": lambda s, c, o, n: s.send(
                struct.pack(">IIQ", w.SIMPLE_MAGIC, 0, c) + bytes(n)),
            "early end": lambda s, c, o, n: s.chunk(c, w.NONE, b""),
            "too much": lambda s, c, o, n: s.chunk(
                c, w.DATA, struct.pack(">Q", o) + bytes(n + 1)),
            "outside": lambda s, c, o, n: s.chunk(
                c, w.DATA, struct.pack(">Q", o + n) + bytes(16)),
            "before": lambda s, c, o, n: s.chunk(
                c, w.DATA, struct.pack(">Q", 2 ** 64 - 8) + bytes(16)),
            "huge": lambda s, c, o, n: s.send(struct.pack(
                ">IHHQI", w.CHUNK_MAGIC, 1, w.DATA, c, 0xffffffff)),
            "overlap": lambda s, c, o, n: [s.chunk(
                c, w.DATA, struct.pack(">Q", o) + bytes(n), i)
                for i in (0, 1)],
            "empty data": lambda s, c, o, n: s.chunk(
                c, w.DATA, struct.pack(">Q", o)),
            "hole length": lambda s, c, o, n: s.chunk(
                c, w.HOLE, struct.pack(">QIB", o, n, 0)),
            "hole zero": lambda s, c, o, n: s.chunk(
                c, w.HOLE, struct.pack(">QI", o, 0)),
            "hole outside": lambda s, c, o, n: s.chunk(
                c, w.HOLE, struct.pack(">QI", o, n + 1)),
            "unknown type": lambda s, c, o, n: s.chunk(c, 3, bytes(8)),
            "status": lambda s, c, o, n: s.chunk(
                c, w.BLOCK_STATUS, struct.pack(">III", 5, n, 0)),
            "none with data": lambda s, c, o, n: s.chunk(c, w.NONE, b"x"),
            "none undone": lambda s, c, o, n: s.chunk(c, w.NONE, b"", 0),
            "error short": lambda s, c, o, n: s.chunk(c, w.CHUNK_ERROR,
                                                      b"\0\0"),
            "error long": lambda s, c, o, n: s.chunk(
                c, w.CHUNK_ERROR, struct.pack(">IH", 5, 999)),
            "closes": lambda s, c, o, n: s.conn.shutdown(socket.SHUT_RDWR),
        }
        for label, lie in lies.items():
            with self.subTest(lie=label):
                self.fails(answer(lie))

    def test_an_error_is_only_this_requests(self):
        data = self.pattern(4096)

        def script(s):
            done = 0
            while True:
                _, kind, cookie, offset, length = s.request()
                if kind == w.STATUS:
                    s.chunk(cookie, w.BLOCK_STATUS,
                            struct.pack(">III", 5, length, 0))
                elif kind == w.READ and done == 0:
                    s.chunk(cookie, 0x80ff, struct.pack(">IH", 0, 0))
                    done = 1
                elif kind == w.FLUSH:
                    s.chunk(cookie, w.NONE, b"")
                elif kind == w.READ:
                    s.chunk(cookie, w.DATA, struct.pack(">Q", offset + 2048)
                            + data[2048:], 0)
                    s.chunk(cookie, w.DATA, struct.pack(">Q", offset)
                            + data[:2048], 0)
                    s.chunk(cookie, w.NONE, b"")
        ours = self.serve_liar(script)
        with w.Wire(ours.sock) as c:
            c.greet()
            c.go()
            self.assertEqual(c.do(w.READ, 0, 4096)[0], w.EINVAL)
            self.assertEqual(c.do(w.READ, 0, 4096), (0, data))

    def test_simple_servers(self):
        def wrong_cookie(s):
            _, _, cookie, _, _ = s.request()
            s.send(struct.pack(">IIQ", w.SIMPLE_MAGIC, 0, cookie + 1))
            s.recv(1)

        def chunk(s):
            _, _, cookie, _, _ = s.request()
            s.chunk(cookie, w.NONE, b"")
            s.recv(1)
        for lie in (wrong_cookie, chunk):
            self.fails(lie, w.WRITE, style="simple")

    def test_silence_does_not_hold_others(self):
        """A server that reads and never answers: ours can still be ended."""
        def script(s):
            while s.conn.recv(65536):
                pass
        ours = self.serve_liar(script)
        c = w.Wire(ours.sock).greet()
        c.go()
        c.request(w.WRITE, 0, 512, data=bytes(512))
        with w.Wire(ours.sock) as other:
            other.greet()
            self.assertEqual(other.go()[-1], (w.ACK, b""))
        c.close()
        ours.process.terminate()
        time.sleep(0.5)
        # It waits for the answer; a second signal ends the wait.
        self.assertTrue(ours.alive())
        ours.process.terminate()
        self.assertEqual(ours.process.wait(10), -15)


if __name__ == "__main__":
    main()
