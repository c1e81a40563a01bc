"""What e2k-nbd answers, byte by byte: the handshake, every command in every
reply style, and every way of getting them wrong."""
import os
import struct
import time

import wire as w
from harness import Case, main

MIB = 1 << 20
BLOCK = w.STATUS


class Handshake(Case):
    @classmethod
    def setUpClass(cls):
        cls.maxDiff = None

    def start(self, *options):
        self.server = self.serve("-f", "raw", "-x", "disk", "-D", "a disk",
                                 *options, self.image())
        return self.server

    def connect(self):
        return w.Wire(self.server.sock)

    def test_unknown_client_flag_closes(self):
        self.start()
        for flags in (4, 0x80000000, 0xffffffff):
            with self.connect() as c:
                c.greet(flags)
                self.assertTrue(c.at_end())

    def test_plain_newstyle_may_only_name_an_export(self):
        self.start()
        with self.connect() as c:
            c.greet(0)
            c.option(w.LIST)
            self.assertTrue(c.at_end())
        with self.connect() as c:
            c.greet(0)
            c.option(w.EXPORT_NAME, b"disk")
            size, flags = struct.unpack(">QH", c.recv(10))
            self.assertEqual((size, flags & 1), (MIB, 1))
            self.assertEqual(c.recv(124), bytes(124))
            self.assertEqual(c.do(w.READ, 0, 512), (0, bytes(512)))

    def test_export_name(self):
        self.start()
        with self.connect() as c:
            c.greet(3)
            c.option(w.EXPORT_NAME, b"disk")
            # no padding, multi-conn, no DF without structured replies
            self.assertEqual(struct.unpack(">QH", c.recv(10)), (MIB, 0xd6d))
            self.assertEqual(c.do(w.READ, MIB - 1, 1), (0, b"\0"))
        for bad in (b"nosuch", b"", b"disk\0", b"x" * 5000):
            with self.connect() as c:
                c.greet(3)
                c.option(w.EXPORT_NAME, bad)
                self.assertTrue(c.at_end(), bad[:10])
        with self.connect() as c:
            c.greet().extended_headers()
            c.option(w.EXPORT_NAME, b"disk")
            self.assertTrue(c.at_end())

    def test_list(self):
        self.start()
        with self.connect() as c:
            c.greet()
            self.assertEqual(c.ask(w.LIST), [
                (w.SERVER, w.name("disk") + b"a disk"), (w.ACK, b"")])
            self.assertEqual(c.ask(w.LIST, b"x")[0][0], w.INVALID)
            self.assertEqual(c.ask(w.ABORT), [(w.ACK, b"")])
            self.assertTrue(c.at_end())

    def test_unknown_options_keep_the_stream_in_step(self):
        self.start()
        with self.connect() as c:
            c.greet()
            for option in (0, w.PEEK, 12, 0xffffffff):
                kind, text = c.ask(option, b"y" * 100000)[0]
                self.assertEqual(kind, w.UNSUP)
                self.assertIn(b"Unsupported option", text)
            self.assertEqual(len(c.ask(w.LIST)), 2)

    def test_wrong_magic_and_length_close(self):
        self.start()
        for head in (struct.pack(">QII", 1, w.LIST, 0),
                     struct.pack(">QII", w.OPTION_MAGIC, w.LIST, 64 * MIB)):
            with self.connect() as c:
                c.greet()
                c.send(head)
                self.assertTrue(c.at_end())

    def test_info_and_go(self):
        self.start()
        with self.connect() as c:
            c.greet()
            got = c.go("disk", (0, 1, 2, 3, 99), option=w.INFO)
            infos = [(struct.unpack(">H", d[:2])[0], d[2:]) for k, d in got
                     if k == w.REP_INFO]
            self.assertEqual(infos, [
                (1, b"disk"), (2, b"a disk"),
                (3, struct.pack(">III", 1, 4096, 32 * MIB)),
                (0, struct.pack(">QH", MIB, 0xd6d))])
            self.assertEqual(got[-1], (w.ACK, b""))
            self.assertEqual(c.go("disk", ())[-1], (w.ACK, b""))
            self.assertEqual(c.do(w.READ, 0, 1), (0, b"\0"))

    def test_malformed_info(self):
        self.start()
        bad = [b"", b"\0\0\0", w.name("disk"), w.name("disk") + b"\0\1",
               w.name("disk") + b"\0\0extra", w.name("di\0sk") + b"\0\0",
               struct.pack(">I", 100) + b"disk\0\0",
               struct.pack(">I", 0xffffffff) + b"disk\0\0",
               w.name("d" * 4097) + b"\0\0"]
        with self.connect() as c:
            c.greet()
            for data in bad:
                for option in (w.INFO, w.GO):
                    got = c.ask(option, data)
                    self.assertEqual(got[-1][0], w.INVALID, data[:20])
            kind, text = c.go("nosuch")[0]
            self.assertEqual((kind, text),
                             (w.UNKNOWN, b"export 'nosuch' not present"))
            kind, text = c.go("n" * 4096)[0]
            self.assertEqual(kind, w.UNKNOWN)
            self.assertLess(len(text), 200)
            self.assertEqual(c.go("disk")[-1], (w.ACK, b""))

    def test_starttls_without_credentials(self):
        self.start()
        with self.connect() as c:
            c.greet()
            self.assertEqual(c.ask(w.STARTTLS),
                             [(w.POLICY, b"TLS not configured")])
            self.assertEqual(c.ask(w.STARTTLS, b"x")[0][0], w.INVALID)

    def test_reply_styles(self):
        self.start()
        with self.connect() as c:
            c.greet().structured_reply()
            self.assertEqual(c.ask(w.STRUCTURED)[0][0], w.INVALID)
            c.extended_headers()
            self.assertEqual(c.ask(w.EXTENDED)[0][0], w.INVALID)
            self.assertEqual(c.ask(w.STRUCTURED)[0][0], w.EXT_HEADER_REQD)

    def test_handshake_clock(self):
        self.start("--handshake-limit", "1")
        silent = self.connect()
        half = self.connect().greet()
        half.send(b"IHAVE")
        slow = self.connect().greet()
        served = self.connect().greet()
        self.assertEqual(served.go("disk")[-1], (w.ACK, b""))
        start = time.monotonic()
        silent.recv(18)
        self.assertTrue(silent.at_end())
        self.assertTrue(half.at_end())
        self.assertTrue(slow.at_end())
        self.assertLess(time.monotonic() - start, 10)
        time.sleep(0.3)
        self.assertEqual(served.do(w.READ, 0, 1), (0, b"\0"))
        for c in (silent, half, slow, served):
            c.close()


class Contexts(Case):
    def setUp(self):
        super().setUp()
        self.server = self.serve("-f", "raw", "-A", self.image())

    def connect(self):
        return w.Wire(self.server.sock).greet()

    def names(self, replies):
        self.assertEqual(replies[-1], (w.ACK, b""))
        return [d[4:].decode() for k, d in replies if k == w.META]

    def test_need_structured_replies(self):
        with self.connect() as c:
            for option in (w.LIST_META, w.SET_META):
                self.assertEqual(c.meta(option, "")[-1][0], w.INVALID)

    def test_list(self):
        both = ["base:allocation", "qemu:allocation-depth"]
        with self.connect() as c:
            c.structured_reply()
            for queries, expected in (
                    ((), both), (("base:",), both[:1]), (("qemu:",), both[1:]),
                    (("base:allocation",), both[:1]), (("x:", "y"), []),
                    (("qemu:dirty-bitmap:",), []), (("",), []),
                    (("base:allocation", "base:"), both[:1]),
                    (("b" * 5000, "base:"), both[:1]),
                    (("base:\0", "base:allocatio"), [])):
                self.assertEqual(self.names(c.meta(w.LIST_META, "",
                                                   *queries)), expected)

    def test_set(self):
        with self.connect() as c:
            c.structured_reply()
            for queries, expected in (
                    ((), []), (("base:",), []), (("qemu:",), []),
                    (("base:allocation", "qemu:allocation-depth"),
                     ["base:allocation", "qemu:allocation-depth"])):
                self.assertEqual(self.names(c.meta(w.SET_META, "",
                                                   *queries)), expected)
            self.assertEqual(c.meta(w.SET_META, "nosuch")[0][0], w.UNKNOWN)
            c.go()
            # The failed SET dropped what was selected before.
            self.assertEqual(c.do(BLOCK, 0, 512)[0], w.EINVAL)

    def test_malformed(self):
        bad = [b"", w.name(""), w.name("") + struct.pack(">I", 1),
               w.name("") + struct.pack(">II", 1, 100) + b"base:",
               w.name("") + struct.pack(">I", 2) + w.name("base:"),
               w.name("") + struct.pack(">I", 0) + b"rest",
               w.name("") + struct.pack(">II", 1, 0xffffffff),
               struct.pack(">I", 0x80000000)]
        with self.connect() as c:
            c.structured_reply()
            for data in bad:
                for option in (w.LIST_META, w.SET_META):
                    self.assertEqual(c.ask(option, data)[-1][0], w.INVALID)
            self.assertEqual(len(c.ask(w.LIST)), 2)

    def test_many_queries_are_not_held(self):
        data = w.name("") + struct.pack(">I", 200000) + w.name("a:b") * 200000
        with self.connect() as c:
            c.structured_reply()
            self.assertEqual(c.ask(w.LIST_META, data), [(w.ACK, b"")])


class Style:
    """How a connection is set up; the tests below run once per style."""

    def __init__(self, label, *steps):
        self.label = label
        self.steps = steps

    def connect(self, server, context=True):
        c = w.Wire(server.sock).greet()
        for step in self.steps:
            getattr(c, step)()
        if context and c.structured:
            c.meta(w.SET_META, "", "base:allocation")
        c.go()
        return c


STYLES = [Style("simple"), Style("structured", "structured_reply"),
          Style("extended", "extended_headers")]


class Commands(Case):
    def setUp(self):
        super().setUp()
        self.data = bytearray(self.pattern(MIB))
        self.file = self.image(data=self.data, size=4 * MIB)
        self.data += bytes(3 * MIB)
        self.server = self.serve("-f", "raw", "--discard", "unmap", self.file)

    def each_style(self):
        for style in STYLES:
            print("style", style.label)
            with style.connect(self.server) as c:
                yield c

    def read(self, c, offset, length, flags=0):
        error, got = c.do(w.READ, offset, length, flags)
        self.assertEqual(error, 0, got)
        return w.whole(got) if c.structured else got

    def content(self):
        with open(self.file, "rb") as f:
            return f.read()

    def test_read(self):
        for c in self.each_style():
            for offset, length in ((0, 1), (511, 2), (MIB - 7, 14),
                                   (0, 4 * MIB), (12345, 300000),
                                   (4 * MIB - 1, 1), (4096, 32768)):
                self.assertEqual(self.read(c, offset, length),
                                 self.data[offset:offset + length])

    def test_read_tells_holes(self):
        for c in self.each_style():
            if c.structured:
                c.request(w.READ, 0, 4 * MIB)
                kinds = []
                while not kinds or not kinds[-1][0] & 1:
                    flags, kind, cookie, _ = c.chunk()
                    self.assertEqual(cookie, 7)
                    kinds.append((flags, kind))
                self.assertIn(w.HOLE, [k for _, k in kinds])
                self.assertIn(w.DATA, [k for _, k in kinds])

    def test_read_df(self):
        for c in self.each_style():
            if not c.structured:
                self.assertEqual(c.do(w.READ, 0, 512, w.DF)[0], w.EINVAL)
                continue
            c.request(w.READ, MIB - 65536, 131072, w.DF)
            flags, kind, _, payload = c.chunk()
            self.assertEqual((flags, kind), (1, w.DATA))
            self.assertEqual(payload[8:], self.data[MIB - 65536:MIB + 65536])

    def test_write(self):
        for i, c in enumerate(self.each_style()):
            for flags in (0, w.FUA):
                for offset, length in ((3, 5), (65536 - 1, 2), (MIB, 4096),
                                       (MIB + 5, 700001), (0, 3 * MIB)):
                    new = self.pattern(length, i + 2 + flags)
                    self.assertEqual(c.do(w.WRITE, offset, length, flags, new)
                                     [0], 0)
                    self.data[offset:offset + length] = new
                    self.assertEqual(self.read(c, offset, length), new)
            self.assertEqual(c.do(w.FLUSH)[0], 0)
            self.assertEqual(self.content(), self.data)

    def test_zero_and_trim(self):
        for c in self.each_style():
            self.assertEqual(c.do(w.WRITE, 0, MIB, 0, self.pattern(MIB))[0],
                             0)
            for flags in (0, w.FUA, w.NO_HOLE, w.FUA | w.NO_HOLE):
                offset = 16384 * (flags + 1) + 17
                self.assertEqual(c.do(w.ZEROES, offset, 5000, flags)[0], 0)
                self.assertEqual(self.read(c, offset, 5000), bytes(5000))
                self.assertNotEqual(self.read(c, offset - 1, 1), b"\0")
            self.assertIn(c.do(w.ZEROES, 65536, 65536, w.FAST_ZERO)[0],
                          (0, w.ENOTSUP))
            for flags in (0, w.FUA):
                self.assertEqual(c.do(w.TRIM, 131072, 65536, flags)[0], 0)
            self.assertEqual(c.do(w.TRIM, 0, 0)[0], 0)
            self.assertEqual(c.do(w.CACHE, 0, MIB)[0], 0)
            self.assertEqual(c.do(w.FLUSH, 0, 0, w.FUA)[0], 0)

    def test_status(self):
        for c in self.each_style():
            if not c.structured:
                self.assertEqual(c.do(BLOCK, 0, 512)[0], w.EINVAL)
                continue
            error, got = c.do(BLOCK, 0, 4 * MIB)
            self.assertEqual(error, 0)
            self.assertEqual(len(got), 1)
            context, extents = got[0]
            self.assertEqual(context, 0)
            self.assertEqual(sum(n for n, _ in extents), 4 * MIB)
            self.assertEqual(extents, [(MIB, 0), (3 * MIB, 3)])
            self.assertEqual(c.do(BLOCK, 512, 4096, w.REQ_ONE),
                             (0, [(0, [(4096, 0)])]))
            self.assertEqual(c.do(BLOCK, MIB - 1, 2, w.REQ_ONE),
                             (0, [(0, [(1, 0)])]))
            self.assertEqual(c.do(BLOCK, 0, 0)[0], w.EINVAL)

    def test_bad_requests_are_answered_and_survived(self):
        size = 4 * MIB
        cases = [
            (w.READ, size, 1, 0, w.EINVAL), (w.READ, size - 1, 2, 0, w.EINVAL),
            (w.READ, 2 ** 64 - 1, 2, 0, w.EINVAL),
            (w.READ, 0, 32 * MIB + 1, 0, w.EINVAL),
            (w.TRIM, size, 1, 0, w.EINVAL),
            (w.CACHE, size, 1, 0, w.EINVAL),
            (w.ZEROES, size, 1, 0, w.ENOSPC),
            (w.ZEROES, size - 1, 2, 0, w.ENOSPC),
            (w.ZEROES, 2 ** 64 - 1, 2, 0, w.EINVAL),
            (w.RESIZE, 0, 0, 0, w.EINVAL), (99, 0, 0, 0, w.EINVAL),
            (w.READ, 0, 1, 0x100, w.EINVAL), (w.READ, 0, 1, 2, w.EINVAL),
            (w.TRIM, 0, 1, w.NO_HOLE, w.EINVAL),
            (w.FLUSH, 0, 0, w.REQ_ONE, w.EINVAL),
            (w.READ, 0, 0, 0, 0), (w.ZEROES, 0, 0, 0, 0),
            (w.READ, size, 0, 0, 0),
        ]
        for c in self.each_style():
            for kind, offset, length, flags, expected in cases:
                self.assertEqual(c.do(kind, offset, length, flags)[0],
                                 expected, (kind, offset, length, flags))
            for offset, length, expected in (
                    (size, 512, w.ENOSPC), (size - 1, 2, w.ENOSPC),
                    (2 ** 64 - 1, 2, w.EINVAL), (0, 0, 0), (size, 0, 0)):
                self.assertEqual(c.do(w.WRITE, offset, length, 0,
                                      bytes(length))[0], expected)
            self.assertEqual(c.do(w.WRITE, 0, 40 * MIB, 0,
                                  bytes(40 * MIB))[0], w.EINVAL)
            self.assertEqual(self.read(c, 0, 100), self.data[:100])

    def test_messages(self):
        with STYLES[1].connect(self.server) as c:
            self.assertEqual(
                c.do(w.READ, 4 * MIB, 512)[1],
                "operation past EOF; From: 4194304, Len: 512, Size: 4194304")
            self.assertEqual(c.do(w.READ, 0, 32 * MIB + 1)[1],
                             "len (33554433 ) is larger than max len "
                             "(33554432)")
            self.assertEqual(c.do(99)[1], "invalid request type (99) received")
            self.assertEqual(c.do(w.READ, 0, 1, 0x200)[1],
                             "unsupported flags for command read (got 0x200)")

    def test_ways_to_lose_the_connection(self):
        for style in STYLES:
            for kind, args in (
                    ("bad magic", {"kind": w.READ, "magic": 0x12345678}),
                    ("huge write", {"kind": w.WRITE, "length": 1 << 30,
                                    "flags": w.PAYLOAD_LEN
                                    if style.label == "extended" else 0})):
                with self.subTest(style=style.label, what=kind), \
                        style.connect(self.server) as c:
                    c.request(**args)
                    self.assertTrue(c.at_end())
        self.assertTrue(self.server.alive())

    def test_replies_arrive_before_the_disconnect(self):
        for style in STYLES:
            with style.connect(self.server) as c:
                for i in range(8):
                    c.request(w.READ, 0, MIB, w.DF if c.structured else 0,
                              cookie=i)
                c.request(w.DISC)
                seen = set()
                for _ in range(8):
                    if c.structured:
                        flags, kind, cookie, payload = c.chunk()
                        self.assertEqual((flags, kind), (1, w.DATA))
                        self.assertEqual(payload[8:], self.data[:MIB])
                    else:
                        error, cookie, payload = c.simple(MIB)
                        self.assertEqual((error, payload),
                                         (0, self.data[:MIB]))
                    seen.add(cookie)
                self.assertEqual(seen, set(range(8)))
                self.assertTrue(c.at_end())

    def test_pipelined_requests(self):
        for c in self.each_style():
            batch = b""
            for i in range(200):
                layout = ">IHHQQQ" if c.extended else ">IHHQQI"
                magic = w.EXT_REQUEST_MAGIC if c.extended else w.REQUEST_MAGIC
                batch += struct.pack(layout, magic,
                                     w.DF if c.structured else 0, w.READ, i,
                                     i * 4096, 4096)
            c.send(batch)
            got = {}
            for _ in range(200):
                if c.structured:
                    _, _, cookie, payload = c.chunk()
                    got[cookie] = payload[8:]
                else:
                    _, cookie, got[cookie] = c.simple(4096)
            for i in range(200):
                self.assertEqual(got[i],
                                 self.data[i * 4096:i * 4096 + 4096])

    def test_half_a_request_then_gone(self):
        for style in STYLES:
            for data in (b"\x25", b"\x25\x60\x95\x13\0\0\0\1" + bytes(8)):
                with style.connect(self.server) as c:
                    c.send(data)
            with style.connect(self.server) as c:
                c.request(w.WRITE, 0, MIB, w.PAYLOAD_LEN if c.extended else 0,
                          data=b"half")
        with STYLES[0].connect(self.server) as c:
            self.assertEqual(len(self.read(c, 0, 512)), 512)


class Extended(Case):
    def setUp(self):
        super().setUp()
        self.big = 5 << 40
        self.server = self.serve(
            "--image-opts", f"driver=null-co,size={self.big},read-zeroes=on")

    def connect(self):
        c = w.Wire(self.server.sock).greet().extended_headers()
        c.meta(w.SET_META, "", "base:allocation")
        got = c.go()
        flags = [struct.unpack(">HQH", d)[2] for k, d in got
                 if k == w.REP_INFO and d[:2] == b"\0\0"]
        self.assertTrue(flags[0] & 0x1000)
        return c

    def test_lengths_over_4_gib(self):
        with self.connect() as c:
            self.assertEqual(c.do(w.ZEROES, 4096, 3 << 40)[0], 0)
            self.assertEqual(c.do(w.TRIM, 0, self.big)[0], 0)
            self.assertEqual(c.do(BLOCK, 0, self.big),
                             (0, [(0, [(self.big, 3)])]))

    def test_reply_repeats_the_offset(self):
        with self.connect() as c:
            c.request(w.READ, 12345, 10, cookie=99)
            head = c.recv(32)
            self.assertEqual(struct.unpack(">IHHQQQ", head)[3:5], (99, 12345))

    def test_status_with_a_list_of_contexts(self):
        with self.connect() as c:
            for ids, expected in (([0], 0), ([0, 0], w.EINVAL),
                                  ([5], w.EINVAL), ([], 0)):
                data = struct.pack(f">Q{len(ids)}I", 1 << 40, *ids)
                c.request(BLOCK, 0, len(data), w.PAYLOAD_LEN, data=data)
                error, got = c.result(BLOCK)
                self.assertEqual(error, expected)
                if ids == [0]:
                    self.assertEqual(got, [(0, [(1 << 40, 3)])])
            for bad in (b"", b"1234567", bytes(9)):
                c.request(BLOCK, 0, len(bad), w.PAYLOAD_LEN, data=bad)
                self.assertEqual(c.result(BLOCK)[0], w.EINVAL)
            self.assertEqual(c.do(w.READ, 0, 1)[0], 0)

    def test_payload_where_it_does_not_belong(self):
        with self.connect() as c:
            for kind in (w.READ, w.FLUSH, w.TRIM, w.CACHE, w.ZEROES, 77):
                c.request(kind, 0, 3, w.PAYLOAD_LEN, data=b"abc")
                self.assertEqual(c.result(kind)[0], w.EINVAL)
            c.request(w.WRITE, 0, 512)  # no PAYLOAD_LEN: no payload
            self.assertEqual(c.result(w.WRITE)[0], w.EINVAL)
            self.assertEqual(c.do(w.READ, 0, 1)[0], 0)


class ReadOnly(Case):
    def test_changes_are_refused(self):
        file = self.image(data=self.pattern(MIB))
        server = self.serve("-r", "-f", "raw", file)
        before = os.stat(file).st_mtime_ns
        for style in STYLES:
            with style.connect(server) as c:
                self.assertEqual(c.do(w.WRITE, 0, 512, 0, bytes(512))[0],
                                 w.EPERM)
                self.assertEqual(c.do(w.ZEROES, 0, 512)[0], w.EPERM)
                self.assertEqual(c.do(w.TRIM, 0, 512)[0], w.EPERM)
                self.assertEqual(c.do(w.FLUSH)[0], 0)
        self.assertEqual(os.stat(file).st_mtime_ns, before)


if __name__ == "__main__":
    main()
