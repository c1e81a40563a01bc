"""32-bit programs: the guest "narrow", made a 32-bit ELF file here (headers
only: code and data are linked below 4 GiB anyway), fixed and as ET_DYN.

usage: narrow.py E2K-USER NARROW-GUEST ENGINE
"""
import os
import struct
import subprocess
import sys
import tempfile


def narrow_elf(data):
    """The same segments under 32-bit headers, which fit into the room that
    the 64-bit ones take."""
    ident = bytearray(data[:16])
    ident[4] = 1
    (kind, machine, version, entry, phoff, _, flags, _, _, phnum, _, _,
     _) = struct.unpack_from("<HHIQQQIHHHHHH", data, 16)
    header = bytes(ident) + struct.pack("<HHIIIIIHHHHHH", kind, machine,
                                        version, entry, 52, 0, flags, 52, 32,
                                        phnum, 40, 0, 0)
    for i in range(phnum):
        (p_type, p_flags, offset, address, physical, in_file, in_memory,
         align) = struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * i)
        header += struct.pack("<IIIIIIII", p_type, offset, address, physical,
                              in_file, in_memory, p_flags, align)
    assert len(header) <= phoff + 56 * phnum
    return header + data[len(header):]


def main():
    user, guest, engine = sys.argv[1:]
    with open(guest, "rb") as f:
        data = f.read()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "narrow")
        with open(path, "wb") as f:
            f.write(narrow_elf(data))
        os.chmod(path, 0o755)
        run = subprocess.run([user, "-accel", engine, path], check=False,
                             timeout=60)
        sys.exit(run.returncode)


if __name__ == "__main__":
    main()
