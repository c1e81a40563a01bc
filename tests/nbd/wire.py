"""A small NBD client for tests: says exactly what it is told to say.

Nothing here helps the other side: headers are built by hand so that a test
can get any byte of them wrong.
"""
import socket
import struct

MAGIC = 0x4e42444d41474943
OPTION_MAGIC = 0x49484156454f5054
REPLY_MAGIC = 0x0003e889045565a9
REQUEST_MAGIC = 0x25609513
SIMPLE_MAGIC = 0x67446698
CHUNK_MAGIC = 0x668e33ef
EXT_REQUEST_MAGIC = 0x21e41c71
EXT_REPLY_MAGIC = 0x6e8a278c

(EXPORT_NAME, ABORT, LIST, PEEK, STARTTLS, INFO, GO, STRUCTURED, LIST_META,
 SET_META, EXTENDED) = range(1, 12)
ACK, SERVER, REP_INFO, META = 1, 2, 3, 4
ERR = 0x80000000
UNSUP, POLICY, INVALID, PLATFORM, TLS_REQD, UNKNOWN, SHUTDOWN, \
    BLOCK_SIZE_REQD, TOO_BIG, EXT_HEADER_REQD = range(ERR + 1, ERR + 11)

READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS, RESIZE = range(9)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN = 1, 2, 4, 8, 16, 32
NONE, DATA, HOLE, BLOCK_STATUS, BLOCK_STATUS_EXT = 0, 1, 2, 5, 6
CHUNK_ERROR = 0x8001
EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN = \
    1, 5, 12, 22, 28, 75, 95, 108


class Closed(Exception):
    """The server closed the connection."""


class Wire:
    def __init__(self, path, timeout=20):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.structured = self.extended = False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- Bytes ----

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e

    def recv(self, n):
        data = bytearray()
        while len(data) < n:
            try:
                part = self.sock.recv(n - len(data))
            except ConnectionResetError as e:
                raise Closed from e
            if not part:
                raise Closed
            data += part
        return bytes(data)

    def at_end(self):
        """True when the server has closed and nothing was left to read."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    # ---- Handshake ----

    def greet(self, flags=3):
        magic, option, theirs = struct.unpack(">QQH", self.recv(18))
        assert magic == MAGIC and option == OPTION_MAGIC and theirs == 3
        self.send(struct.pack(">I", flags))
        return self

    def option(self, number, data=b""):
        self.send(struct.pack(">QII", OPTION_MAGIC, number, len(data)) + data)

    def reply(self, number):
        magic, option, kind, length = struct.unpack(">QIII", self.recv(20))
        assert magic == REPLY_MAGIC and option == number, hex(magic)
        return kind, self.recv(length)

    def replies(self, number):
        """All replies up to the final one."""
        got = [self.reply(number)]
        while got[-1][0] in (SERVER, REP_INFO, META):
            got.append(self.reply(number))
        return got

    def ask(self, number, data=b""):
        self.option(number, data)
        return self.replies(number)

    def structured_reply(self):
        assert self.ask(STRUCTURED) == [(ACK, b"")]
        self.structured = True
        return self

    def extended_headers(self):
        assert self.ask(EXTENDED) == [(ACK, b"")]
        self.structured = self.extended = True
        return self

    def meta(self, option, export, *queries):
        data = name(export) + struct.pack(">I", len(queries))
        return self.ask(option, data + b"".join(map(name, queries)))

    def go(self, export="", infos=(3,), option=GO):
        data = name(export) + struct.pack(f">H{len(infos)}H", len(infos),
                                          *infos)
        return self.ask(option, data)

    # ---- Requests ----

    def header(self, kind, offset=0, length=0, flags=0, cookie=7, magic=None):
        if self.extended:
            return struct.pack(">IHHQQQ", magic or EXT_REQUEST_MAGIC, flags,
                               kind, cookie, offset, length)
        return struct.pack(">IHHQQI", magic or REQUEST_MAGIC, flags, kind,
                           cookie, offset, length)

    def request(self, kind, offset=0, length=0, flags=0, cookie=7, data=b"",
                magic=None):
        self.send(self.header(kind, offset, length, flags, cookie, magic) +
                  data)

    def chunk(self):
        """(flags, type, cookie, payload) of a structured chunk."""
        if self.extended:
            magic, flags, kind, cookie, _, length = struct.unpack(
                ">IHHQQQ", self.recv(32))
            assert magic == EXT_REPLY_MAGIC, hex(magic)
        else:
            magic, flags, kind, cookie, length = struct.unpack(
                ">IHHQI", self.recv(20))
            assert magic == CHUNK_MAGIC, hex(magic)
        return flags, kind, cookie, self.recv(length)

    def simple(self, data_length=0):
        """(error, cookie, data) of a simple reply."""
        magic, error, cookie = struct.unpack(">IIQ", self.recv(16))
        assert magic == SIMPLE_MAGIC, hex(magic)
        return error, cookie, b"" if error else self.recv(data_length)

    def result(self, kind, length=0):
        """(error, message or data) of the next reply, whatever its style."""
        if not self.structured:
            error, _, data = self.simple(length if kind == READ else 0)
            return error, data
        if not self.extended and kind not in (READ, STATUS):
            head = self.recv(4)
            if struct.unpack(">I", head)[0] == SIMPLE_MAGIC:
                return struct.unpack(">IQ", self.recv(12))[0], b""
            flags, what, _, size = struct.unpack(">HHQI", self.recv(16))
            return self.finish([(flags, what, self.recv(size))])
        return self.finish([])

    def finish(self, chunks):
        while not chunks or not chunks[-1][0] & 1:
            flags, kind, _, payload = self.chunk()
            chunks.append((flags, kind, payload))
        return summary(chunks)

    def do(self, kind, offset=0, length=0, flags=0, data=b""):
        if kind == WRITE and self.extended:
            flags |= PAYLOAD_LEN
        self.request(kind, offset, length, flags, data=data)
        return self.result(kind, length)


def summary(chunks):
    """(error, message), or (0, pieces): data, holes and extents in order."""
    pieces = []
    for _, kind, payload in chunks:
        if kind & 0x8000:
            error, size = struct.unpack(">IH", payload[:6])
            return error, payload[6:6 + size].decode()
        if kind == DATA:
            pieces.append((struct.unpack(">Q", payload[:8])[0], payload[8:]))
        elif kind == HOLE:
            offset, size = struct.unpack(">QI", payload)
            pieces.append((offset, bytes(size)))
        elif kind == BLOCK_STATUS:
            pieces.append(extents(payload[:4], payload[4:], ">II"))
        elif kind == BLOCK_STATUS_EXT:
            count = struct.unpack(">I", payload[4:8])[0]
            assert len(payload) == 8 + 16 * count
            pieces.append(extents(payload[:4], payload[8:], ">QQ"))
        else:
            assert kind == NONE and not payload
    return 0, pieces


def extents(head, body, layout):
    return struct.unpack(">I", head)[0], list(struct.iter_unpack(layout, body))


def name(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">I", len(data)) + data


def whole(pieces):
    """The bytes of a read, put together."""
    return b"".join(data for _, data in sorted(pieces))
