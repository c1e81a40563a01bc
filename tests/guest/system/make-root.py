"""Writes the root block of main-job.s into a disk image.

usage: make-root.py IMAGE BYTES OFFSET:BLOCKS...

Creates IMAGE with BYTES bytes, all zero behind the root block.
"""
import struct
import sys

MAGIC = 0x31544F4F524B3245
PATTERN = 0x5CA1AB1E0DDBA115
BLOCK = 4096
WORDS = (1 << 64) - 1


def root_block(runs):
    """The 4096 bytes that main-job.s verifies."""
    words = [0] * (BLOCK // 8)
    words[0] = MAGIC
    words[2] = len(runs)
    for i, (offset, blocks) in enumerate(runs):
        words[4 + 2 * i] = offset
        words[5 + 2 * i] = blocks
    words[1] = sum(words) & WORDS
    return struct.pack("<512Q", *words)


def expected_block(offset):
    """What the guest writes at a byte offset of the disk."""
    return struct.pack("<512Q", *((offset + 8 * i) ^ PATTERN
                                  for i in range(BLOCK // 8)))


def main():
    path, size = sys.argv[1], int(sys.argv[2], 0)
    runs = [tuple(int(n, 0) for n in run.split(":")) for run in sys.argv[3:]]
    if not 0 <= len(runs) <= 15:
        sys.exit("at most 15 runs")
    with open(path, "wb") as image:
        image.truncate(size)
        image.write(root_block(runs))


if __name__ == "__main__":
    main()
