#!/usr/bin/env python3
"""Stream and commit with different numbers of requests at a time.

usage: job-bench.py BUILD_DIR [MIB] [ROUNDS]

Each job copies MIB of data between qcow2 images in the page cache (cached),
past it (direct), or from an NBD server that answers after a millisecond
(remote).  One line per job and setting: median wall seconds, and the speed
against one worker with the first chunk.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..', 'lib'))
from qmp import Daemon

build = os.path.abspath(sys.argv[1])
mib = int(sys.argv[2]) if len(sys.argv) > 2 else 256
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
img, io, daemon = (os.path.join(build, 'tools', t)
                   for t in ('e2k-img', 'e2k-io', 'e2k-storage-daemon'))
SETTINGS = [(1, 512), (4, 512), (8, 512), (1, 1024), (4, 1024), (8, 1024),
            (16, 1024), (8, 2048)]


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)


def image(path, backing=None, data=False):
    run(img, 'create', '-q', '-f', 'qcow2',
        *(['-b', backing, '-F', 'qcow2'] if backing else []), path,
        f'{mib}M')
    if data:
        run(io, '-f', 'qcow2', '-c', f'write -P 9 0 {mib}M', path)


def once(work, kind, place, workers, chunk):
    """Seconds of one job over a fresh chain base <- mid <- top."""
    base, mid, top = (f'{work}/{n}' for n in ('base', 'mid', 'top'))
    image(base, data=kind == 'stream' and place != 'remote')
    image(mid, base, data=kind == 'commit')
    image(top, mid)
    node = None
    for name, path in (('base', base), ('mid', mid), ('top', top)):
        node = {'driver': 'qcow2', 'node-name': name,
                **({'backing': node} if node else {}),
                'file': {'driver': 'file', 'filename': path,
                         'cache': {'direct': place == 'direct'}}}
    if place == 'remote':
        node['backing']['backing'] = {
            'driver': 'nbd', 'node-name': 'base',
            'server': {'type': 'unix', 'path': f'{work}/nbd'}}
    with Daemon(daemon, directory=work) as d:
        d.cmd('blockdev-add', **node)
        perf = {'max-workers': workers, 'max-chunk': chunk * 1024}
        start = time.monotonic()
        if kind == 'stream':
            d.cmd('block-stream', job_id='j', device='top', x_perf=perf)
        else:
            d.cmd('block-commit', job_id='j', device='top', top_node='mid',
                  base_node='base', x_perf=perf)
        end = d.qmp.event('BLOCK_JOB_COMPLETED', device='j')['data']
        seconds = time.monotonic() - start
        assert 'error' not in end, end
    return seconds


with tempfile.TemporaryDirectory(dir=build) as work:
    server = shutil.which('nbdkit') and subprocess.Popen(
        ['nbdkit', '-f', '-U', f'{work}/nbd', '--filter=delay', 'pattern',
         f'{mib}M', 'rdelay=1ms'])
    for kind in ('stream', 'commit'):
        for place in ('cached', 'direct') + (
                ('remote',) if server and kind == 'stream' else ()):
            times = {s: [] for s in SETTINGS}
            for _ in range(rounds):
                for s in SETTINGS:
                    times[s].append(once(work, kind, place, *s))
            base = statistics.median(times[SETTINGS[0]])
            for s in SETTINGS:
                t = statistics.median(times[s])
                print(f'{kind} {place} workers='
                      f'{s[0]} chunk={s[1]}K: {t:.3f} s, {base / t:.2f}x',
                      flush=True)
    if server:
        server.terminate()
        server.wait()
