"""Files and command lines that cannot work: one clear line, a non-zero status.

usage: bad-input.py E2K-USER GOOD-GUEST
"""
import os
import struct
import subprocess
import sys
import tempfile

NOT_FOUND, NOT_EXECUTABLE, USAGE = 127, 126, 1


def patched(image, offset, data):
    return image[:offset] + data + image[offset + len(data):]


def cases(good):
    with open(good, "rb") as f:
        image = f.read()
    phoff = struct.unpack_from("<Q", image, 32)[0]
    yield "missing file", None, [], NOT_FOUND, "No such file"
    yield "empty file", b"", [], NOT_EXECUTABLE, "not an ELF file"
    yield "text file", b"hello\n" * 100, [], NOT_EXECUTABLE, "not an ELF file"
    yield "cut in the header", image[:40], [], NOT_EXECUTABLE, "truncated"
    yield "cut in a segment", image[:200], [], NOT_EXECUTABLE, "truncated"
    yield ("other machine", patched(image, 18, struct.pack("<H", 62)), [],
           NOT_EXECUTABLE, "not an e2k program")
    yield ("object file", patched(image, 16, struct.pack("<H", 1)), [],
           NOT_EXECUTABLE, "not an executable")
    yield ("unknown CPU", patched(image, 51, b"\x63"), [], NOT_EXECUTABLE,
           "unknown CPU")
    yield ("newer ISA than the CPU", patched(image, 51, b"\x06"),
           ["-cpu", "e8c"], NOT_EXECUTABLE, "instruction set version 6")
    yield ("segment outside user space",
           patched(image, phoff + 16, struct.pack("<Q", 1 << 62)), [],
           NOT_EXECUTABLE, "outside user space")
    yield ("segment longer than the file",
           patched(image, phoff + 32, struct.pack("<Q", 1 << 40)), [],
           NOT_EXECUTABLE, "truncated")
    yield ("endless header table",
           patched(image, 56, struct.pack("<H", 65535)), [], NOT_EXECUTABLE,
           "program header table")
    yield "unknown option", image, ["-nonsense"], USAGE, "unknown option"
    yield "unknown CPU model", image, ["-cpu", "z80"], USAGE, "z80"
    yield "unknown log item", image, ["-d", "x"], USAGE, "unknown log item"
    yield "unknown engine", image, ["-accel", "x"], USAGE, "accelerator"
    yield "no program", "none", [], USAGE, "no program"


def main():
    user, good = sys.argv[1:]
    failed = number = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, content, options, status, text in cases(good):
            number += 1
            path = os.path.join(directory, f"case{number}")
            if isinstance(content, bytes):
                with open(path, "wb") as f:
                    f.write(content)
                os.chmod(path, 0o755)
            command = [user, *options]
            if content != "none":
                command.append(path)
            run = subprocess.run(command, capture_output=True, text=True,
                                 timeout=30, check=False)
            lines = run.stderr.strip().splitlines()
            good_run = (run.returncode == status and lines and
                        text in lines[0] and run.stdout == "" and
                        (len(lines) == 1 or "accepted are" in lines[0]))
            print(f"{'ok' if good_run else 'not ok'} {number} - {name}")
            if not good_run:
                failed += 1
                print(f"# status {run.returncode}, wanted {status}")
                for line in lines[:6]:
                    print("# " + line)
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
