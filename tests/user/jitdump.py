"""-jitdump: the file is one that perf inject can read, record by record.

usage: jitdump.py E2K-USER GUEST
"""
import os
import struct
import subprocess
import sys
import tempfile


def records(data):
    """(time, address, name, code) of each; raises if the file is not whole."""
    at, = struct.unpack_from("<I", data, 8)
    while at < len(data):
        kind, size, time = struct.unpack_from("<IIQ", data, at)
        _, _, _, address, bytes_, index = struct.unpack_from("<IIQQQQ", data,
                                                             at + 16)
        body = data[at + 56:at + size]
        name, _, code = body.partition(b"\0")
        if kind != 0 or at + size > len(data) or len(code) != bytes_:
            raise ValueError(f"record {index} at {at}")
        yield time, address, name.decode(), code
        at += size


def main():
    user, guest = map(os.path.realpath, sys.argv[1:])
    with tempfile.TemporaryDirectory() as directory:
        run = subprocess.run([user, "-jitdump", guest], cwd=directory,
                             capture_output=True, text=True, timeout=60,
                             check=False)
        data = b""
        for name in os.listdir(directory):
            if name.startswith("jit-") and name.endswith(".dump"):
                with open(os.path.join(directory, name), "rb") as f:
                    data = f.read()
    print("1..3")
    good = run.returncode == 0 and data[:8] == b"DTiJ\1\0\0\0"
    print(f"{'ok' if good else 'not ok'} 1 - the program runs, a file is made")
    try:
        found = list(records(data))
    except (ValueError, struct.error) as error:
        found = []
        print(f"# {error}")
    whole = len(found) > 3 and all(code and address
                                   for _, address, _, code in found)
    print(f"{'ok' if whole else 'not ok'} 2 - its records are whole")
    times = [time for time, *_ in found]
    named = times == sorted(times) and any(name.startswith("e2k_")
                                           for _, _, name, _ in found)
    print(f"{'ok' if named else 'not ok'} 3 - in order, and named")
    sys.exit(not (good and whole and named))


if __name__ == "__main__":
    main()
