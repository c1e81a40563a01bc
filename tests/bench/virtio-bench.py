#!/usr/bin/env python3
"""Throughput of a guest's disk over NBD, against nbdcopy on the same server.

usage: virtio-bench.py TOOLS STREAM-ELF [--mib N] [--rounds N] [--request N]
                       [--depth N]

One e2k-nbd serves a file; in turns nbdcopy reads (writes) it and a guest does,
through virtio-blk and our NBD client over the same unix socket.  Prints one
line for each direction: MiB/s of both (medians) and their ratio, which is to
be at least 0.6.
"""
import argparse
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

BAR = 0.6


def serve(args, where):
    image = os.path.join(where, "disk.raw")
    sock = os.path.join(where, "nbd.sock")
    chunk = os.urandom(1 << 20)
    with open(image, "wb") as file:
        for _ in range(args.mib + 1):
            file.write(chunk)
    server = subprocess.Popen([os.path.join(args.tools, "e2k-nbd"), "-f",
                               "raw", "-t", "-e", "0", "-k", sock, image])
    while not os.path.exists(sock):
        time.sleep(0.01)
    return server, image, sock


def timed(*command):
    start = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - start


def nbdcopy(write, sock, image):
    uri = f"nbd+unix:///?socket={sock}"
    return timed("nbdcopy", image, uri) if write else \
        timed("nbdcopy", uri, "null:")


def guest(args, write, sock, image):
    with open(image, "r+b") as file:
        file.write(struct.pack("<8s5Q", b"E2KBENCH", int(write),
                               args.mib << 20, args.request << 10,
                               args.depth, 1 << 20))
    options = f",workers={args.workers}" if args.workers else ""
    done = subprocess.run(
        [os.path.join(args.tools, "e2k-system"), "-kernel", args.elf, "-m",
         "64", "-nographic", "-blockdev", "driver=nbd,node-name=d,"
         f"server.type=unix,server.path={sock}" + args.node, "-device",
         "virtio-blk-device,drive=d" + options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    if "stream passed" not in done.stdout:
        sys.exit("the guest failed: " + done.stdout)
    if write: # it writes buffers that nobody has filled
        with open(image, "rb") as file:
            file.seek(1 << 20)
            if any(file.read(args.mib << 20)):
                sys.exit("the guest did not write everything")
    return int(re.search(r"ns: (\d+)", done.stdout)[1]) / 1e9


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tools")
    parser.add_argument("elf")
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--request", type=int, default=512, help="KiB")
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--node", default="", help="more of the NBD node")
    args = parser.parse_args()
    if not shutil.which("nbdcopy"):
        print("nbdcopy is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as where:
        server, image, sock = serve(args, where)
        copy = os.path.join(where, "copy")
        shutil.copyfile(image, copy)
        try:
            for write in (False, True):
                times = [(nbdcopy(write, sock, copy),
                          guest(args, write, sock, image))
                         for _ in range(args.rounds)]
                peer, ours = (args.mib / statistics.median(column)
                              for column in zip(*times))
                print(f"virtio-blk {'write' if write else 'read'}: guest "
                      f"{ours:.0f} MiB/s, nbdcopy {peer:.0f} MiB/s, ratio "
                      f"{ours / peer:.2f} (bar {BAR})", flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
