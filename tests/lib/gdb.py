"""A client of GDB's remote protocol, for tests.  Standard library only.

    with Gdb(path) as gdb:
        gdb.start()                 # qSupported, no-ack mode
        gdb.stop_reply("?")         # {"signal": 5, "thread": "...", ...}
        gdb.register("ip")          # by name, from the target description
"""
import re
import socket
import time

TIMEOUT = 30


class Gdb:
    def __init__(self, path):
        deadline = time.monotonic() + TIMEOUT
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        while True:
            try:
                self.sock.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.buffer = b""
        self.acks = True
        self.registers = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def byte(self):
        if not self.buffer:
            self.buffer = self.sock.recv(65536)
            if not self.buffer:
                raise EOFError("the stub closed the connection")
        first, self.buffer = self.buffer[:1], self.buffer[1:]
        return first

    def send(self, text):
        body = text if isinstance(text, bytes) else text.encode()
        self.sock.sendall(b"$" + body + b"#%02x" % (sum(body) & 255))
        if self.acks:
            while self.byte() != b"+":
                pass

    def receive(self):
        while self.byte() != b"$":
            pass
        body = b""
        while (c := self.byte()) != b"#":
            body += bytes([self.byte()[0] ^ 0x20]) if c == b"}" else c
        wanted = int(self.byte() + self.byte(), 16)
        if self.acks:
            self.sock.sendall(b"+")
        if not any(c in body for c in b"}") and wanted != sum(body) & 255:
            # Escapes change the sum; plain packets must match.
            raise ValueError(f"checksum of {body!r}")
        return body.decode("latin-1")

    def ask(self, text):
        self.send(text)
        return self.receive()

    def start(self):
        features = self.ask("qSupported:multiprocess+;swbreak+")
        if "QStartNoAckMode+" in features:
            if self.ask("QStartNoAckMode") != "OK":
                raise ValueError("no-ack mode refused")
            self.acks = False
        xml = self.xfer("features", "target.xml")
        for match in re.finditer(r'<reg name="([^"]+)" bitsize="(\d+)" '
                                 r'regnum="(\d+)"', xml):
            name, bits, number = match.groups()
            self.registers[name] = (int(number), int(bits) // 8)
        return features

    def xfer(self, what, annex):
        text = ""
        while True:
            part = self.ask(f"qXfer:{what}:read:{annex}:{len(text):x},800")
            if part[:1] not in "ml":
                raise ValueError(f"qXfer:{what}: {part!r}")
            text += part[1:]
            if part[0] == "l":
                return text

    @staticmethod
    def parse_stop(text):
        if text[0] in "WX":
            return {"exited" if text[0] == "W" else "killed":
                    int(text[1:3], 16)}
        stop = {"signal": int(text[1:3], 16)}
        for item in text[3:].split(";"):
            if ":" in item:
                key, value = item.split(":", 1)
                stop[key] = value
        return stop

    def stop_reply(self, command):
        return self.parse_stop(self.ask(command))

    def cont(self, signal=0):
        return self.stop_reply(f"vCont;C{signal:02x}" if signal
                               else "vCont;c")

    def step(self):
        thread = self.ask("qC")[2:]
        return self.stop_reply(f"vCont;s:{thread}")

    def register(self, name):
        number, size = self.registers[name]
        text = self.ask(f"p{number:x}")
        if "x" in text or text.startswith("E"):
            return None
        return int.from_bytes(bytes.fromhex(text)[:size], "little")

    def set_register(self, name, value):
        number, size = self.registers[name]
        return self.ask(f"P{number:x}=" + value.to_bytes(size, "little").hex())

    def memory(self, address, size):
        text = self.ask(f"m{address:x},{size:x}")
        return None if text.startswith("E") else bytes.fromhex(text)

    def set_memory(self, address, data):
        return self.ask(f"M{address:x},{len(data):x}:{data.hex()}")
