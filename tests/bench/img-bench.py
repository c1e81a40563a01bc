#!/usr/bin/env python3
"""e2k-img convert against qemu-img convert, side by side in one run.

usage: img-bench.py BUILD_DIR [MIB] [ROUNDS]

Prints one line per direction: medians of both in wall and CPU seconds, and the
ratios reference / ours (above 1: ours is faster).  Images live in a temporary folder
below the build folder, sources are in the page cache.
"""
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

build = sys.argv[1]
mib = int(sys.argv[2]) if len(sys.argv) > 2 else 512
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
ours = os.path.join(build, 'tools', 'e2k-img')

CASES = [
    ('raw-to-qcow2', 'raw', 'qcow2', []),
    ('qcow2-to-raw', 'qcow2', 'raw', []),
    ('qcow2-to-qcow2', 'qcow2', 'qcow2', []),
    ('raw-to-qcow2-m16-W', 'raw', 'qcow2', ['-m', '16', '-W']),
    ('sparse-raw-to-qcow2', 'sparse', 'qcow2', []),
]


def make_sources(work):
    """Data that does not compress; the sparse one has 1 MiB in 16."""
    rng = random.Random(1)
    block = rng.randbytes(1 << 20)
    with open(f'{work}/raw', 'wb') as f:
        for i in range(mib):
            f.write(block[i % 4096:] + block[:i % 4096])
    with open(f'{work}/sparse', 'wb') as f:
        for i in range(0, mib * 4, 16):
            f.seek(i << 20)
            f.write(block)
        f.truncate(mib << 22)
    subprocess.run(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2',
                    f'{work}/raw', f'{work}/qcow2'], check=True)


def once(program, work, source, target, extra):
    out = f'{work}/out'
    if os.path.exists(out):
        os.unlink(out)
    fmt = 'qcow2' if source == 'qcow2' else 'raw'
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, 'convert', '-f', fmt, '-O', target, *extra,
                    f'{work}/{source}', out], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime -
           before.ru_utime - before.ru_stime)
    return time.monotonic() - start, cpu


with tempfile.TemporaryDirectory(dir=build) as work:
    make_sources(work)
    ratios = []
    for name, source, target, extra in CASES:
        times = {ours: [], 'qemu-img': []}
        for i in range(rounds):
            for program in sorted(times, reverse=i % 2):
                times[program].append(once(program, work, source, target,
                                           extra))
        a, a_cpu = map(statistics.median, zip(*times[ours]))
        b, b_cpu = map(statistics.median, zip(*times['qemu-img']))
        ratios.append(b / a)
        print(f'{name}: ours {a:.3f} s ({a_cpu:.3f} CPU), '
              f'qemu-img {b:.3f} s ({b_cpu:.3f} CPU), ratio {b / a:.2f}, '
              f'CPU ratio {b_cpu / max(a_cpu, 0.001):.2f}', flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f'geometric mean of ratios: {mean:.2f}')
