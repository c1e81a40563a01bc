"""Network card and console: frames over a socket, input and output.

usage: net.py E2K-SYSTEM NET-ELF [ENGINE]

The guest says hello, echoes frames with addresses swapped, copies console
input to output, and ends when a frame says "stop".
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

SYSTEM, ELF = sys.argv[1:3]
ENGINE = sys.argv[3] if len(sys.argv) > 3 else "jit"
CARD = bytes.fromhex("525400123456")
PEER = bytes.fromhex("020000000001")
TYPE = b"\x88\xb5"


def check(what, good, details=""):
    if not good:
        raise SystemExit(f"FAILED {what} {details}")
    print("ok " + what, flush=True)


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    deadline = time.monotonic() + 30
    while True:
        try:
            sock.connect(path)
            return sock
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def exactly(sock, n):
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def receive(sock):
    return exactly(sock, struct.unpack(">I", exactly(sock, 4))[0])


def send(sock, frame):
    sock.sendall(struct.pack(">I", len(frame)) + frame)


def flood(wire):
    """More than the guest can take: dropped or echoed, never wrong."""
    last = -1
    for n in range(300):
        send(wire, CARD + PEER + TYPE + b"many" + struct.pack(">I", n))
    wire.settimeout(1)
    try:
        while last < 299:
            number = struct.unpack(">I", receive(wire)[18:22])[0]
            if number <= last:
                raise SystemExit(f"FAILED frame {number} after {last}")
            last = number
    except TimeoutError:
        pass
    wire.settimeout(30)
    check("a flood comes back in order", last >= 200)


def talk(wire, console, machine):
    frame = receive(wire)
    check("hello", frame == b"\xff" * 6 + CARD + TYPE + b"hello", frame)
    for size in (46, 700, 1500):
        payload = os.urandom(size)
        send(wire, CARD + PEER + TYPE + b"echo" + payload)
        check(f"echo of {size} bytes", receive(wire) ==
              PEER + CARD + TYPE + b"echo" + payload)
    console.sendall(b"abc")
    check("console", exactly(console, 3) == b"abc")
    flood(wire)
    deadline = time.monotonic() + 30
    while machine.poll() is None and time.monotonic() < deadline:
        try: # it may be dropped, too
            send(wire, CARD + PEER + TYPE + b"stop" + bytes(42))
        except OSError:
            break
        time.sleep(0.02)


def main():
    with tempfile.TemporaryDirectory() as where:
        wire = os.path.join(where, "wire.sock")
        port = os.path.join(where, "port.sock")
        machine = subprocess.Popen(
            [SYSTEM, "-accel", ENGINE, "-kernel", ELF, "-serial",
             f"file:{where}/out", "-d", "guest_errors", "-S", "-monitor",
             f"unix:{where}/mon,server=on,wait=off", "-netdev",
             f"stream,id=n0,server=on,addr.type=unix,addr.path={wire}",
             "-device", "virtio-net-device,netdev=n0", "-device",
             f"virtio-console-device,path=unix:{port}"],
            stdin=subprocess.DEVNULL)
        try:
            a, b = connect(wire), connect(port)
            time.sleep(0.1)  # they are accepted before the guest starts
            monitor = connect(f"{where}/mon")
            monitor.sendall(b"cont\n")
            talk(a, b, machine)
            status = machine.wait(30)
        finally:
            machine.kill()
            machine.wait()
        with open(os.path.join(where, "out"), encoding="ascii") as file:
            output = file.read()
        check("the guest passed", status == 0 and
              output.endswith("net passed\n"), output)
        check("the address of the card",
              "card 0000000012005452 0000000000005634" in output, output)
        check("no socket is left", not os.path.exists(wire) and
              not os.path.exists(port))
    print("net passed")


if __name__ == "__main__":
    main()
