#!/usr/bin/env python3
"""Command lines, messages, JSON and exit codes of e2k-img and e2k-io.

usage: img-cli.py E2K_IMG E2K_IO

Needs no other program.  Each case is a command, its exit status and words
its output must contain.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

IMG, IO = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
failures = 0


def run(program, *args):
    p = subprocess.run([program, *args], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60)
    return p.returncode, p.stdout


def case(status, words, program, *args):
    global failures
    got, out = run(program, *args)
    missing = [w for w in words if w not in out]
    if got != status or missing:
        failures += 1
        print(f'{os.path.basename(program)} {" ".join(args)}: exit {got} '
              f'(want {status}), missing {missing}\n{out}')


def img(status, words, *args):
    case(status, words, IMG, *args)


def io(status, words, *args):
    case(status, words, IO, *args)


def usage():
    img(1, ['Not enough arguments', "--help' for more information"])
    img(1, ['Command not found: nothing'], 'nothing')
    img(0, ['Supported formats:', ' qcow2', ' raw', 'convert'], '--help')
    img(0, ['e2k-img version'], '--version')
    for command in ('amend', 'bench', 'bitmap', 'check', 'commit', 'compare',
                    'convert', 'create', 'dd', 'info', 'map', 'measure',
                    'rebase', 'resize', 'snapshot'):
        img(0, [f'usage: e2k-img {command} '], command, '--help')
        img(1, ['unrecognized option'], command, '--no-such-option', 'x',
            'y')
    img(1, ['Expecting image file name'], 'create')
    img(0, ['Supported options:', 'cluster_size=<size>'],
        'create', '-f', 'qcow2', '-o', 'help', 'x')


def creating():
    img(0, ["Formatting 'a.qcow2', fmt=qcow2 cluster_size=65536 "
            'extended_l2=off compression_type=zlib size=1073741824 '
            'lazy_refcounts=off refcount_bits=16\n'],
        'create', '-f', 'qcow2', 'a.qcow2', '1G')
    assert os.path.getsize('a.qcow2') == 196624
    img(0, ["Formatting 'r.raw', fmt=raw size=1048576\n"],
        'create', 'r.raw', '1M')
    img(1, ['x.qcow2: Image creation needs a size parameter'],
        'create', '-f', 'qcow2', 'x.qcow2')
    img(1, ['Invalid image size specified'],
        'create', '-f', 'qcow2', 'x.qcow2', '1x')
    img(1, ["Invalid parameter 'foo'"],
        'create', '-f', 'qcow2', '-o', 'foo=1', 'x.qcow2', '1M')
    img(1, ['Cluster size must be a power of two between 512 and 2048k'],
        'create', '-f', 'qcow2', '-o', 'cluster_size=3k', 'x.qcow2', '1M')
    img(1, ['LUKS'], 'create', '-f', 'qcow2', '-o', 'encrypt.format=luks',
        'x.qcow2', '1M')
    img(1, ['Backing file specified without backing format',
            'Detected format of raw.'],
        'create', '-f', 'qcow2', '-b', 'r.raw', 'x.qcow2')
    assert not os.path.exists('x.qcow2')


def facts():
    img(0, ['image: a.qcow2\nfile format: qcow2\n'
            'virtual size: 1 GiB (1073741824 bytes)', 'cluster_size: 65536',
            '    compat: 1.1\n    compression type: zlib\n'], 'info',
        'a.qcow2')
    status, out = run(IMG, 'info', '--output=json', 'a.qcow2')
    info = json.loads(out)
    assert info['virtual-size'] == 1 << 30 and info['format'] == 'qcow2'
    assert info['dirty-flag'] is False
    assert info['format-specific']['data']['refcount-bits'] == 16
    img(1, ["Could not open 'none'"], 'info', 'none')
    img(0, ['No errors were found', 'Image end offset: 262144'], 'check',
        'a.qcow2')
    img(63, ['This image format does not support checks'], 'check', '-f',
        'raw', 'r.raw')
    img(0, ['required size: 393216\nfully allocated size: 1074135040\n'],
        'measure', '-O', 'qcow2', '--size', '1G')


def contents():
    io(0, ['wrote 65536/65536 bytes at offset 65536',
           'read 65536/65536 bytes at offset 65536'],
       '-c', 'write -P 7 64k 64k', '-c', 'read -P 7 64k 64k', 'a.qcow2')
    io(1, ['Pattern verification failed at offset 65536, 512 bytes'],
       '-c', 'read -P 8 64k 512', 'a.qcow2')
    io(1, ['command "nothing" not found'], '-c', 'nothing', 'a.qcow2')
    io(0, ['64 KiB (0x10000) bytes     allocated at offset 64 KiB (0x10000)',
           'bytes not allocated at offset 0 bytes (0x0)'],
       '-c', 'map', 'a.qcow2')
    img(0, ['[{ "start": 0, "length": 65536, "depth": 0, "present": false, '
            '"zero": true, "data": false},\n{ "start": 65536, '
            '"length": 65536, "depth": 0, "present": true, "zero": false, '
            '"data": true, "offset": 327680},\n'],
        'map', '--output=json', 'a.qcow2')
    img(0, ['0x10000         0x10000         0x50000         a.qcow2'],
        'map', 'a.qcow2')
    img(0, [], 'convert', '-O', 'raw', 'a.qcow2', 'c.raw')
    img(0, ['Images are identical.'], 'compare', 'a.qcow2', 'c.raw')
    img(0, [], 'convert', '-c', '-p', '-O', 'qcow2', 'c.raw', 'd.qcow2')
    img(0, ['Images are identical.'], 'compare', '-f', 'qcow2', 'd.qcow2',
        'c.raw')
    img(1, ['Content mismatch at offset 65536!'], 'compare', '-f', 'raw',
        'c.raw', 'r.raw')
    img(2, ['Could not open'], 'compare', 'a.qcow2', 'none')
    img(1, ['unrecognized operand'], 'dd', 'nothing=1')
    img(0, [], 'dd', '-f', 'raw', 'bs=64k', 'skip=1', 'count=1', 'if=c.raw',
        'of=dd.raw')
    assert open('dd.raw', 'rb').read() == b'\7' * 65536


def changing():
    img(1, ['Use the --shrink option'], 'resize', 'a.qcow2', '512M')
    img(0, ['Image resized.'], 'resize', '--shrink', 'a.qcow2', '512M')
    img(0, ['Image resized.'], 'resize', 'a.qcow2', '+1G')
    img(0, ['virtual size: 1.5 GiB'], 'info', 'a.qcow2')
    img(0, [], 'snapshot', '-c', 'one', 'a.qcow2')
    img(0, ['ID        TAG               VM SIZE', '1         one'],
        'snapshot', '-l', 'a.qcow2')
    img(1, ["Could not delete snapshot 'two': snapshot not found"],
        'snapshot', '-d', 'two', 'a.qcow2')
    img(0, [], 'snapshot', '-d', 'one', 'a.qcow2')
    img(1, ['Need at least one of --add'], 'bitmap', 'a.qcow2', 'b')
    img(0, [], 'bitmap', '--add', '-g', '512', 'a.qcow2', 'b')
    img(1, ['Operation add on bitmap b failed: Bitmap already exists: b'],
        'bitmap', '--add', 'a.qcow2', 'b')
    img(1, ["Dirty bitmap 'c' not found"], 'bitmap', '--clear', 'a.qcow2',
        'c')
    img(0, ['name: b', 'granularity: 512'], 'info', 'a.qcow2')
    img(0, [], 'amend', '-o', 'lazy_refcounts=on', 'a.qcow2')
    img(0, ['lazy refcounts: true'], 'info', 'a.qcow2')
    img(0, [], 'check', '-q', 'a.qcow2')


def chains():
    img(0, [], 'create', '-q', '-f', 'qcow2', '-b', 'c.raw', '-F', 'raw',
        'top.qcow2')
    io(0, [], '-c', 'write -q -P 9 0 4k', 'top.qcow2')
    img(0, ['backing file: c.raw\nbacking file format: raw', 'image: c.raw'],
        'info', '--backing-chain', 'top.qcow2')
    img(0, ['Image committed.'], 'commit', 'top.qcow2')
    io(0, [], '-f', 'raw', '-c', 'read -q -P 9 0 4k', 'c.raw')
    img(0, [], 'rebase', '-b', '', 'top.qcow2')
    io(0, [], '-c', 'read -q -P 9 0 4k', '-c', 'read -q -P 7 64k 4k',
       'top.qcow2')


def names_in_chains():
    """Images are found by what they are called from the image above."""
    os.mkdir('sub')
    img(0, [], 'create', '-q', '-f', 'qcow2', 'sub/low', '1M')
    img(0, [], 'create', '-q', '-f', 'qcow2', '-b', 'low', '-F', 'qcow2',
        'sub/mid')
    img(0, [], 'create', '-q', '-f', 'qcow2', '-b', 'mid', '-F', 'qcow2',
        'sub/top')
    for base in ('low', './low', os.path.abspath('sub/low')):
        img(0, ['Image committed.'], 'commit', '-b', base, 'sub/top')
    img(1, ["Did not find 'sub/low' in the backing chain of 'sub/top'"],
        'commit', '-b', 'sub/low', 'sub/top')
    io(0, ['wrote 4096/4096'], '-c', 'reopen -r', '-c', 'reopen -w', '-c',
       'reopen -o backing.detect-zeroes=on,backing.backing.discard=unmap',
       '-c', 'reopen -c none', '-c', 'write 0 4k', 'sub/top')
    io(1, ["Cannot change the option 'driver'"], '-c',
       'reopen -o backing.driver=raw', 'sub/top')
    # The end of a short image hides what is below, and goes on doing so.
    img(0, [], 'create', '-q', '-f', 'qcow2', 's0', '2M')
    img(0, [], 'create', '-q', '-f', 'qcow2', '-b', 's0', '-F', 'qcow2', 's1',
        '1M')
    img(0, [], 'create', '-q', '-f', 'qcow2', '-b', 's1', '-F', 'qcow2', 's2',
        '2M')
    io(0, [], '-c', 'write -q -P 1 0 2M', 's0')
    img(0, ['"start": 1048576, "length": 1048576, "depth": 0, "present": '
            'false, "zero": true, "data": false'], 'map', '--output=json',
        's2')
    img(0, [], 'commit', '-q', '-b', 's0', 's2')
    io(0, [], '-c', 'read -q -P 1 0 1M', '-c', 'read -q -P 0 1M 1M', 's0')
    # The source of a merge may lie above its target.
    img(0, [], 'bitmap', '--add', 'sub/mid', 'b')
    img(0, [], 'bitmap', '--add', '--merge', 'b', '-b', 'sub/mid', '-F',
        'qcow2', 'sub/low', 'c')
    img(0, ['name: c'], 'info', 'sub/low')


def asynchronous():
    """An image is closed properly after aio_ commands, by the end too."""
    img(0, [], 'create', '-q', '-f', 'qcow2', 'aio.qcow2', '4M')
    io(0, [], '-c', 'aio_write -q -P 5 0 1M', 'aio.qcow2')
    io(0, [], '-c', 'read -q -P 5 0 1M', 'aio.qcow2')
    io(0, [], '-c', 'aio_write -q -P 6 0 1M', '-c', 'close',
       '-c', 'open aio.qcow2', '-c', 'read -q -P 6 0 1M', 'aio.qcow2')
    img(0, ['No errors were found'], 'check', 'aio.qcow2')


def engines():
    """-i reaches the file: native wants direct access, as in the peer."""
    img(0, [], 'create', '-q', '-f', 'raw', 'e.raw', '1M')
    refused = ['it requires cache.direct=on']
    for flags in (['-i', 'native'], ['-k'], ['-i', 'native', '-t', 'unsafe']):
        io(1, refused, *flags, '-f', 'raw', '-c', 'read 0 4k', 'e.raw')
    io(0, [], '-i', 'native', '-i', 'threads', '-f', 'raw', '-c',
       'read -q 0 4k', 'e.raw')
    io(0, [], '-i', 'io_uring', '-f', 'raw', '-c', 'read -q 0 4k', 'e.raw')
    io(1, ['Invalid aio option: x'], '-i', 'x', '-f', 'raw', 'e.raw')
    io(1, refused, '-c', 'open -i native -o driver=raw e.raw')
    img(1, refused, 'bench', '-c', '1', '-n', '-f', 'raw', 'e.raw')
    img(1, ['Invalid aio option: x'], 'bench', '-i', 'x', '-f', 'raw',
        'e.raw')
    img(0, [], 'bench', '-c', '1', '-i', 'io_uring', '-f', 'raw', 'e.raw')


def opening():
    img(0, [], 'create', '-q', '-f', 'qcow2', 'open.qcow2', '1M')
    io(0, ['wrote 512/512'], '-c',
       'open -o driver=qcow2,file.align=512 blkdebug::open.qcow2',
       '-c', 'write 0 512')
    # A format's file name is that of its file; a format may be probed.
    for opts in ('driver=qcow2,filename=open.qcow2',
                 'driver=raw,file.driver=qcow2,file.filename=open.qcow2',
                 'file.filename=open.qcow2,cache.direct=off'):
        io(0, [], '-c', 'read -q -P 0xcd 0 512', '--image-opts', opts)
    io(0, [], '-c', 'open -o driver=copy-on-read,file.driver=qcow2 '
       'open.qcow2', '-c', 'read -q -P 0xcd 0 512')


def texts():
    """What scripts compare, and the exit codes that go with it."""
    img(0, [], 'create', '-q', '-f', 'qcow2', 't.qcow2', '1M')
    img(0, [], 'create', '-q', '-f', 'raw', 't.raw', '1M')
    img(1, ['Invalid image size specified. You may use k, M, G, T, P or E '
            'suffixes for'], 'create', '-f', 'raw', 'x.raw', '1X')
    img(1, ['Use the --shrink option to perform a shrink operation.',
            "warning: Shrinking an image will delete all data beyond the "
            "shrunken image's end."], 'resize', '-f', 'raw', 't.raw', '512k')
    img(1, ['granularity only supported with --add'], 'bitmap', '--remove',
        '-g', '64k', 't.qcow2', 'b')
    img(1, ['-F only supported with -b'], 'bitmap', '--add', '-F', 'qcow2',
        't.qcow2', 'b')
    img(1, ['Merge bitmap source file only supported with --merge'],
        'bitmap', '--add', '-b', 't.qcow2', 't.qcow2', 'b')
    img(1, ['Expecting filename and bitmap name'], 'bitmap', '--add',
        't.qcow2')
    img(1, ['Must specify both input and output files'], 'dd', 'if=t.raw')
    img(1, ['unrecognized operand wrong'], 'dd', 'wrong=1', 'if=t.raw',
        'of=y')
    img(1, ["Could not apply snapshot 'none'"], 'snapshot', '-a', 'none',
        't.qcow2')
    img(1, ["Could not create snapshot 'a'"], 'snapshot', '-c', 'a', '-q',
        't.raw')
    img(0, [], 'bitmap', '--add', 't.qcow2', 'b')
    img(0, ['required size: ', 'fully allocated size: ', 'bitmaps size: '],
        'measure', '-O', 'qcow2', 't.qcow2')
    img(0, ['Sending 4 write requests, 4096 bytes each, 2 in parallel '
            '(starting at offset 0, step size 4096)',
            'Sending flush every 2 requests', 'Run completed in '],
        'bench', '-c', '4', '-d', '2', '-w', '--flush-interval=2', '-f',
        'raw', 't.raw')
    img(0, [], 'create', '-q', '-f', 'raw', 'long.raw', '2M')
    img(0, ['Warning: Image size mismatch!', 'Images are identical.'],
        'compare', '-f', 'qcow2', '-F', 'raw', 't.qcow2', 'long.raw')
    img(1, ['Strict mode: Image size mismatch!'], 'compare', '-s', '-f',
        'qcow2', '-F', 'raw', 't.qcow2', 'long.raw')
    io(0, [], '-f', 'raw', '-c', 'write -q -P 0 0 64k', 't.raw')
    img(1, ['Strict mode: Offset 0 block status mismatch!'], 'compare',
        '-s', '-f', 'qcow2', '-F', 'raw', 't.qcow2', 't.raw')
    img(0, [], 'convert', '-c', '-f', 'raw', '-O', 'qcow2', 't.raw',
        'c.qcow2')
    io(0, [], '-c', 'write -q -c -P 5 0 64k', 'c.qcow2')
    img(1, ['File contains external, encrypted or compressed clusters.'],
        'map', 'c.qcow2')
    io(1, ["can't open device none: Could not open 'none'"], '-f', 'raw',
       '-c', 'read 0 1', 'none')
    io(1, ['length cannot exceed 2147483136, given 2G'], '-f', 'raw', '-c',
       'read 0 2G', 't.raw')
    io(1, ['Parsing error: non-numeric argument, or extraneous/unrecognized '
           'suffix -- x'], '-f', 'raw', '-c', 'read x 1', 't.raw')
    io(0, ['aio_write failed: Input/output error'], '-f', 'raw', '-c',
       'aio_write 8M 512', 't.raw')
    for command in ('read', 'write', 'discard'):
        io(1, [command + ' failed: Input/output error'], '-f', 'raw', '-c',
           command + ' 8M 512', 't.raw')
    io(0, ['WARNING: Image format was not specified for ',
           'Automatically detecting the format is dangerous for raw images, '
           'write operations on block 0 will be restricted.',
           "Specify the 'raw' format explicitly to remove the restrictions."],
       '-c', 'read -q 0 512', 't.raw')


def locks():
    """A second writer, and a reader beside a writer, are told who locks."""
    img(0, [], 'create', '-q', '-f', 'qcow2', 'lock.qcow2', '1M')
    with subprocess.Popen([IO, 'lock.qcow2'], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdin.write('length\n')
        holder.stdin.flush()
        holder.stdout.readline()
        io(1, ['Failed to get "write" lock\n'
               'Is another process using the image [lock.qcow2]?'],
           '-c', 'write 0 1', 'lock.qcow2')
        io(1, ['Failed to get shared "write" lock\n'
               'Is another process using the image [lock.qcow2]?'],
           '-r', '-c', 'read 0 1', 'lock.qcow2')
        io(0, [], '-r', '-U', '-c', 'read -q 0 1', 'lock.qcow2')
        holder.stdin.close()
        holder.wait(30)
    io(0, [], '-c', 'write -q 0 1', 'lock.qcow2')


def copy_on_read():
    """Copies reach the image below a raw node that shows all of it."""
    img(0, [], 'create', '-q', '-f', 'raw', 'cor.raw', '1M')
    io(0, [], '-f', 'raw', '-c', 'write -q -P 3 0 64k', 'cor.raw')
    img(0, [], 'create', '-q', '-f', 'qcow2', '-b', 'cor.raw', '-F', 'raw',
        'cor.qcow2')
    io(0, [], '-c', 'read -q -P 3 0 64k', '--image-opts',
       'driver=copy-on-read,file.driver=raw,file.file.driver=qcow2,'
       'file.file.file.filename=cor.qcow2')
    img(0, [], 'rebase', '-u', '-b', '', 'cor.qcow2')
    io(0, [], '-c', 'read -q -P 3 0 64k', 'cor.qcow2')


def compressing():
    """The filter stores whole clusters compressed, parts of them too."""
    opts = ('driver=compress,file.driver=qcow2,file.file.driver=file,'
            'file.file.filename=')
    img(0, [], 'create', '-q', '-f', 'qcow2', 'comp.qcow2', '2M')
    io(0, [], '-c', 'write -q -P 1 0 192k', '-c', 'write -q -P 2 400000 5',
       '--image-opts', opts + 'comp.qcow2')
    io(0, [], '-c', 'read -q -P 1 0 192k', '-c', 'read -q -P 2 400000 5',
       '-c', 'read -q -P 0 400005 5', 'comp.qcow2')
    img(0, ['"compressed-clusters": 4'], 'check', '--output=json',
        'comp.qcow2')
    img(0, [], 'create', '-q', '-f', 'raw', 'comp.raw', '2M')
    io(1, ['Compression is not supported for this drive'], '-c', 'read 0 1',
       '--image-opts', opts.replace('qcow2', 'raw') + 'comp.raw')


def many_bitmaps():
    """An image may have tens of thousands of bitmaps: opening and closing stay quick."""
    cluster = 65536
    img(0, [], 'create', '-q', '-f', 'qcow2', 'many.qcow2', '1M')
    directory = b''
    for i in range(40000):
        name = b'b%05d' % i
        directory += struct.pack('>QIIBBHI', 8 * cluster, 1, 2, 1, 16,
                                 len(name), 0) + name + bytes(2)
    with open('many.qcow2', 'r+b') as f:
        head = bytearray(f.read(1024))
        f.seek(8 * cluster)
        f.write(bytes(cluster))                 # the table of all of them
        f.seek(16 * cluster)
        f.write(directory)
        f.truncate((16 + 48) * cluster)
        head[112:112] = struct.pack('>IIIIQQ', 0x23852875, 24, 40000, 0,
                                    len(directory), 16 * cluster)
        head[88:96] = struct.pack('>Q', 1)      # autoclear: bitmaps
        f.seek(0)
        f.write(head[:1024])
    img(0, ['b00000', 'b39999'], 'info', 'many.qcow2')
    img(0, ['b00000', 'b39999'], 'info', '--output=json', 'many.qcow2')


def damage():
    img(0, [], 'create', '-q', '-f', 'qcow2', 'bad.qcow2', '1M')
    io(0, [], '-c', 'write -q 0 64k', 'bad.qcow2')
    with open('bad.qcow2', 'r+b') as f:
        f.seek(131072 + 2 * 5)      # the data cluster's count
        f.write(b'\0\0')
        f.seek(131072 + 2 * 9)      # and one that nobody uses
        f.write(b'\0\1')
        f.truncate(10 * 65536)
    img(2, ['ERROR cluster 5 refcount=0 reference=1',
            'Leaked cluster 9 refcount=1 reference=0',
            '1 leaked clusters were found'], 'check', 'bad.qcow2')
    img(0, ['ERROR cluster 5 refcount=0 reference=1',
            'Rebuilding refcount structure',
            'The following inconsistencies were found and repaired:',
            'No errors were found'], 'check', '-r', 'all', 'bad.qcow2')
    img(0, [], 'create', '-q', '-f', 'qcow2', 'leak.qcow2', '1M')
    with open('leak.qcow2', 'r+b') as f:
        f.seek(131072 + 2 * 5)
        f.write(b'\0\1')
        f.truncate(6 * 65536)
    img(0, ['Leaked cluster 5 refcount=1 reference=0\n'
            'Repairing cluster 5 refcount=1 reference=0\n'],
        'check', '-r', 'leaks', 'leak.qcow2')
    img(0, [], 'check', '-q', 'bad.qcow2')
    with open('bad.qcow2', 'r+b') as f:
        f.write(b'nothing')
    img(1, ["Could not open 'bad.qcow2': Image is not in qcow2 format"],
        'info', '-f', 'qcow2', 'bad.qcow2')


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    for part in (usage, creating, facts, contents, changing, chains,
                 names_in_chains, asynchronous, engines, opening, texts,
                 locks, copy_on_read, compressing, many_bitmaps, damage):
        part()
print(f'{failures} failures')
sys.exit(failures != 0)
