"""Bad command lines and images: one clear line, exit status 1.

usage: command-line.py E2K-SYSTEM MAIN-JOB-ELF
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile

SYSTEM, GUEST = sys.argv[1:3]


def run(*words):
    return subprocess.run([SYSTEM, *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30,
                          check=False)


def refused(wanted, *words):
    """The command line must be refused with one line that says wanted."""
    done = run(*words)
    lines = done.stderr.splitlines()
    good = (done.returncode == 1 and len(lines) == 1 and not done.stdout and
            lines[0].startswith("e2k-system: ") and wanted in lines[0])
    if not good:
        print(f"{' '.join(words)}: status {done.returncode}, "
              f"wanted '{wanted}', got:\n{done.stdout}{done.stderr}")
    return good


def listed(wanted, *words):
    done = run(*words)
    good = done.returncode == 0 and wanted in done.stdout
    if not good:
        print(f"{' '.join(words)}: no '{wanted}' in:\n{done.stdout}")
    return good


def elf(machine=175, flags=3 << 24, size=None):
    """An ELF file with one segment, as far as the loader looks."""
    header = struct.pack("<16sHHIQQQIHHHHHH",
                         b"\x7fELF\x02\x01\x01" + bytes(9), 2, machine, 1,
                         0x10000, 64, 0, flags, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x10000, 0x10000, 4096, 4096,
                          4096)
    return (header + segment + bytes(4096))[:size or 4096]


def main():
    with tempfile.TemporaryDirectory() as where:
        def put(name, content):
            path = os.path.join(where, name)
            with open(path, "wb") as file:
                file.write(content)
            return path

        busy = os.path.join(where, "busy.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(busy)
        listener.listen(1)
        results = [
            refused("not an ELF file", "-kernel", put("text", b"hello\n")),
            refused("truncated", "-kernel", put("short", elf(size=2000))),
            refused("truncated", "-kernel", put("header", elf(size=40))),
            refused("is empty", "-kernel", put("empty", b"")),
            refused("machine 62", "-kernel", put("x86", elf(machine=62))),
            refused("ISA version 6", "-cpu", "v4", "-kernel",
                    put("v6", elf(flags=6 << 24))),
            refused("unknown ISA version", "-kernel",
                    put("v99", elf(flags=99 << 24))),
            refused("No such file", "-kernel",
                    os.path.join(where, "missing")),
            refused("No such file", "-kernel", GUEST, "-drive",
                    f"file={where}/none.img,format=raw"),
            refused("nbd.sock", "-kernel", GUEST, "-drive",
                    f"file=nbd:unix:{where}/nbd.sock,format=raw"),
            refused("busy.sock", "-kernel", GUEST, "-qmp",
                    f"unix:{busy},server=on,wait=off"),
            refused("unknown option", "-kernel", GUEST, "-frobnicate"),
            refused("needs an argument", "-kernel"),
            refused("there are: virt", "-M", "pc"),
            refused("there are: ", "-cpu", "z80", "-kernel", GUEST),
            refused("there are: virtio-blk", "-kernel", GUEST, "-device",
                    "floppy"),
            refused("there is no drive or node 'd'", "-kernel", GUEST,
                    "-device", "virtio-blk-device,drive=d"),
            refused("unknown option 'color'", "-kernel", GUEST, "-device",
                    "virtio-blk-device,drive=d,color=red"),
            refused("memory size", "-m", "lots", "-kernel", GUEST),
            refused("at least 16 MiB", "-m", "1", "-kernel", GUEST),
            refused("at most", "-smp", "1000", "-kernel", GUEST),
            refused("unknown log item", "-d", "nothing", "-kernel", GUEST),
            refused("no guest"),
            listed("virt", "-M", "help"),
            listed("e8c", "-cpu", "help"),
            listed("virtio-blk", "-M", "none", "-device", "help"),
            listed("guest_errors", "-d", "help"),
            listed("-kernel", "-help"),
            listed("e2k-system", "-version"),
        ]
        listener.close()
        left = sorted(set(os.listdir(where)) -
                      {"text", "short", "header", "empty", "x86", "v6", "v99",
                       "busy.sock"})
        if left:
            print("left behind:", left)
            results.append(False)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
