#!/usr/bin/env python3
"""The full-system emulator against user mode, and how it starts and shares.

    system-bench.py BUILD_DIR [--runs N] [--only NAME,...]

One line per measurement, of KEY=VALUE words:

  program  a program on the guest run-elf, with the MMU on and off, against
           the same file on e2k-user.  CPU seconds, the median of interleaved
           runs; the outputs must agree, or the exit status is 1.
  boot     wall milliseconds from the start of e2k-system to the guest's first
           line, the median, and as a multiple of what starting and ending an
           empty program (true) takes here and now
  idle     CPU time that a machine needs which sleeps but for 100 ticks a
           second, as a part of the time that it runs
  smp      four guest CPUs that count for themselves: the least and the most
           that one got done, as parts of the mean
  disk     throughput of a guest's virtio-blk disk through our NBD client, as a
           multiple of nbdcopy's with the same server in the same run
           (virtio-bench.py), each way
"""
import argparse
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
GUESTS = os.path.join(SOURCE, '..', 'shared', 'guests')


def spent(argv):
    """CPU time of a command, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime -
            before.ru_stime), (done.stdout, done.returncode)


def programs(only):
    if not os.path.isdir(GUESTS):
        return
    for entry in sorted(os.listdir(GUESTS)):
        parts = entry.split('.')
        if len(parts) == 3 and parts[2] == 'elf':
            name = f'{parts[0]}.{parts[1]}'
            if not only or parts[0] in only or name in only:
                yield name, parts[1], os.path.join(GUESTS, entry)


def bench_programs(build, runs, only):
    ratios = {'mmu': [], 'physical': []}
    failed = False
    for name, cpu, path in programs(only):
        machine = [os.path.join(build, 'tools', 'e2k-system'), '-M', 'virt',
                   '-cpu', cpu, '-m', '256', '-nographic', '-kernel',
                   os.path.join(build, 'tests', 'guest', 'run-elf.elf'),
                   '-initrd', path]
        ways = {'user': [os.path.join(build, 'tools', 'e2k-user'), path],
                'mmu': machine,
                'physical': machine + ['-append', 'physical']}
        times = {way: [] for way in ways}
        results = set()
        for _ in range(runs):
            for way, argv in ways.items():
                seconds, result = spent(argv)
                times[way].append(seconds)
                results.add(result)
        if len(results) != 1:
            print(f'system-bench program={name} error=outputs-differ')
            failed = True
            continue
        median = {way: statistics.median(t) for way, t in times.items()}
        for way, list_of in ratios.items():
            list_of.append(median[way] / max(median['user'], 1e-4))
        print(f'system-bench program={name} user_s={median["user"]:.3f} '
              f'mmu_s={median["mmu"]:.3f} physical_s={median["physical"]:.3f} '
              f'x_mmu={ratios["mmu"][-1]:.2f} '
              f'x_physical={ratios["physical"][-1]:.2f}', flush=True)
    if not ratios['mmu']:
        print('system-bench programs=0 skipped=no-programs')
        return failed
    words = []
    for way, list_of in ratios.items():
        mean = math.exp(sum(map(math.log, list_of)) / len(list_of))
        words.append(f'geomean_x_{way}={mean:.2f} '
                     f'worst_x_{way}={max(list_of):.2f}')
    print(f'system-bench programs={len(ratios["mmu"])} {" ".join(words)}')
    return failed


def first_line_ms(argv):
    """Wall time to a program's first line of output, or to its end."""
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL) as guest:
        guest.stdout.readline()
        took = time.perf_counter() - began
        guest.stdout.read()
    return 1e3 * took


def bench_boot(build, runs):
    argv = [os.path.join(build, 'tools', 'e2k-system'), '-M', 'virt',
            '-nographic', '-kernel',
            os.path.join(build, 'tests', 'guest', 'mmu.elf')]
    boots, empty = [], []
    for _ in range(5 * runs):
        boots.append(first_line_ms(argv))
        empty.append(first_line_ms(['true']))
    print(f'system-bench boot_ms={statistics.median(boots):.1f} '
          f'best_ms={min(boots):.1f} true_ms={statistics.median(empty):.1f} '
          f'x_true={statistics.median(boots) / statistics.median(empty):.1f}')


def bench_idle(build):
    began = time.perf_counter()
    seconds, result = spent([os.path.join(build, 'tools', 'e2k-system'), '-M',
                             'virt', '-nographic', '-kernel',
                             os.path.join(build, 'tests', 'guest',
                                          'idle.elf')])
    took = time.perf_counter() - began
    if result != (b'idle passed\n', 0):
        print(f'system-bench idle error={result}')
        return True
    print(f'system-bench idle cpu_s={seconds:.3f} wall_s={took:.2f} '
          f'part={seconds / took:.3f}')
    return False


def bench_smp(build):
    argv = [os.path.join(build, 'tools', 'e2k-system'), '-M', 'virt', '-smp',
            '4', '-nographic', '-kernel',
            os.path.join(build, 'tests', 'guest', 'fair.elf')]
    done = subprocess.run(argv, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, check=False)
    counts = [int(line.split()[1]) for line in done.stdout.decode().split('\n')
              if line.startswith('count ')]
    if len(counts) != 4 or done.returncode:
        print(f'system-bench smp error={done.stdout[-200:]}')
        return True
    mean = sum(counts) / 4
    print(f'system-bench smp=4 least={min(counts) / mean:.2f} '
          f'most={max(counts) / mean:.2f}')
    return False


def bench_disk(build, runs):
    argv = [sys.executable, os.path.join(SOURCE, 'tests', 'bench',
                                         'virtio-bench.py'),
            os.path.join(build, 'tools'),
            os.path.join(build, 'tests', 'guest', 'stream.elf'),
            '--rounds', str(runs)]
    done = subprocess.run(argv, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, check=False)
    text = done.stdout.decode()
    if done.returncode == 77:
        print('system-bench disk=nbd skipped=no-nbdcopy')
        return False
    found = dict(re.findall(r'virtio-blk (read|write): .* ratio ([\d.]+)',
                            text))
    if done.returncode or len(found) != 2:
        print(f'system-bench disk=nbd error={text[-200:]!r}')
        return True
    print(f'system-bench disk=nbd x_read={found["read"]} '
          f'x_write={found["write"]}')
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--only', default='')
    args = parser.parse_args()
    only = [word for word in args.only.split(',') if word]
    failed = bench_programs(args.build, args.runs, only)
    if not only:
        bench_boot(args.build, args.runs)
        failed |= bench_idle(args.build)
        failed |= bench_smp(args.build)
        failed |= bench_disk(args.build, args.runs)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
