#!/usr/bin/env python3
"""qcow2 images of ours and of the reference tools, each read by the other.

usage: qcow2-interop.py E2K_IMG E2K_IO [SEED]

For each way of creating an image, one side creates it and fills it with
random writes, zeroes, discards and snapshots; the other side checks it,
compares it with the expected bytes, changes it, and hands it back.
Exit 77 when qemu-img or qemu-io is missing.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

SIZE = 1 << 20
OPTIONS = [
    '', 'cluster_size=512', 'cluster_size=2M', 'compat=0.10',
    'extended_l2=on', 'extended_l2=on,cluster_size=16k',
    'refcount_bits=1', 'refcount_bits=64,cluster_size=1k',
    'lazy_refcounts=on', 'compression_type=zstd', 'preallocation=metadata',
    'preallocation=falloc,cluster_size=4k',
]


class Side:
    """One implementation: its image tool and its I/O tool."""

    def __init__(self, img, io):
        self.img_path, self.io_path = img, io

    def img(self, *args, ok=True):
        p = subprocess.run([self.img_path, *args], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if ok and p.returncode:
            sys.exit(f'{self.img_path} {" ".join(args)}: '
                     f'exit {p.returncode}\n{p.stdout}')
        return p.stdout

    def io(self, image, commands):
        args = [self.io_path, '-f', 'qcow2', '-d', 'unmap']
        for c in commands:
            args += ['-c', c]
        p = subprocess.run([*args, image], text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        if p.returncode:
            sys.exit(f'{" ".join(args)}: exit {p.returncode}\n{p.stdout}')


def random_commands(rng, model, n, compress):
    """I/O commands, and the same on the model."""
    out = []
    for _ in range(n):
        off = rng.randrange(SIZE // 512) * 512
        length = min(rng.randrange(1, 200) * 512, SIZE - off)
        kind = rng.randrange(10)
        pattern = rng.randrange(1, 256)
        if kind < 6:
            out.append(f'write -q -P {pattern} {off} {length}')
            model[off:off + length] = bytes([pattern]) * length
        elif kind < 8:
            flags = rng.choice(['-z', '-z -u'])
            out.append(f'write -q {flags} {off} {length}')
            model[off:off + length] = bytes(length)
        elif kind < 9 and compress:
            off = off // 65536 * 65536
            length = min(65536, SIZE - off)
            out.append(f'write -q -c -P {pattern} {off} {length}')
            model[off:off + length] = bytes([pattern]) * length
        else:
            out.append('flush')
    return out


def verify(side, image, raw, model):
    with open(raw, 'wb') as f:
        f.write(model)
    side.img('check', '-q', image)
    side.img('compare', '-f', 'qcow2', '-F', 'raw', '-q', image, raw)


def map_of(side, image):
    """The guest-visible part of a map: where data is."""
    entries = json.loads(side.img('map', '--output=json', image))
    return [(e['start'], e['length'], e['zero']) for e in entries
            if not e['zero']]


def one_image(rng, first, second, options, work):
    image = os.path.join(work, 'i.qcow2')
    raw = os.path.join(work, 'i.raw')
    model = bytearray(SIZE)
    # The reference refuses to compress over clusters that are in use.
    ours_first = 'e2k' in os.path.basename(first.img_path)
    can = '2M' not in options and 'refcount_bits=1' != options
    compress, compress_later = can and ours_first, can and not ours_first
    args = ['-o', options] if options else []
    first.img('create', '-q', '-f', 'qcow2', *args, image, str(SIZE))
    first.io(image, random_commands(rng, model, 12, compress))
    verify(second, image, raw, model)
    verify(first, image, raw, model)
    if 'preallocation' not in options:
        assert map_of(first, image) == map_of(second, image), \
            (options, map_of(first, image), map_of(second, image))
    if options != 'refcount_bits=1':
        saved = bytes(model)
        first.img('snapshot', '-c', 's', image)
        second.io(image, random_commands(rng, model, 8, compress_later))
        verify(first, image, raw, model)
        second.img('snapshot', '-a', 's', image)
        model[:] = saved
        verify(first, image, raw, model)
        first.img('snapshot', '-d', 's', image)
        verify(second, image, raw, model)
    second.io(image, random_commands(rng, model, 8, compress_later))
    verify(first, image, raw, model)
    os.unlink(image)


def bitmaps(first, second, work):
    image = os.path.join(work, 'b.qcow2')
    first.img('create', '-q', '-f', 'qcow2', image, str(SIZE))
    first.img('bitmap', '--add', '-g', '4096', image, 'b0')
    second.io(image, ['write -q 8k 8k'])
    first.io(image, ['write -q 64k 1k'])
    second.img('check', '-q', image)
    first.img('check', '-q', image)
    for side in (first, second):
        info = json.loads(side.img('info', '--output=json', image))
        listed = info['format-specific']['data']['bitmaps']
        assert listed == [{'flags': ['auto'], 'name': 'b0',
                           'granularity': 4096}], listed
    second.img('bitmap', '--add', '--disable', image, 'b1')
    first.img('bitmap', '--merge', 'b0', image, 'b1')
    second.img('bitmap', '--remove', image, 'b0')
    first.img('bitmap', '--remove', image, 'b1')
    verify_empty = json.loads(second.img('info', '--output=json', image))
    assert 'bitmaps' not in verify_empty['format-specific']['data']
    second.img('check', '-q', image)


def backing(rng, first, second, work):
    base = os.path.join(work, 'base.raw')
    top = os.path.join(work, 'top.qcow2')
    raw = os.path.join(work, 'i.raw')
    half = SIZE // 2
    model = bytearray(rng.randbytes(half)) + bytearray(half)
    with open(base, 'wb') as f:
        f.write(model[:half])
    first.img('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', top,
              str(SIZE))
    first.io(top, random_commands(rng, model, 10, False))
    verify(second, top, raw, model)
    second.io(top, random_commands(rng, model, 10, False))
    verify(first, top, raw, model)
    second.img('rebase', '-b', '', top)
    verify(first, top, raw, model)


def main():
    if not shutil.which('qemu-img') or not shutil.which('qemu-io'):
        print('qemu-img or qemu-io is not installed')
        sys.exit(77)
    ours = Side(sys.argv[1], sys.argv[2])
    theirs = Side('qemu-img', 'qemu-io')
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else \
        random.randrange(1 << 32)
    print(f'seed {seed}', flush=True)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as work:
        for options in OPTIONS:
            one_image(rng, ours, theirs, options, work)
            one_image(rng, theirs, ours, options, work)
        bitmaps(ours, theirs, work)
        bitmaps(theirs, ours, work)
        backing(rng, ours, theirs, work)
        backing(rng, theirs, ours, work)
    print(f'{2 * len(OPTIONS) + 4} exchanges')


main()
