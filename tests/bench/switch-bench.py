#!/usr/bin/env python3
"""What each optimisation is worth: a table of -accel jit,no-NAME.

    switch-bench.py BUILD_DIR [--runs N] [--only NAME,...] [--markdown]

Runs the C guests (../shared/guests, when present) and the kernels of
tests/bench/kernels with everything on and with one switch off, in turns, and
prints one line per switch: by which factor the slowest program and the
geometric mean of each group get slower without it.  Times are CPU seconds,
the shortest of the runs.  Switches are read from tcg/opt.h; "bases" does
nothing in user mode, and "guard" and "tags" are not optimisations but checks:
their lines say what they cost (below 1).
"""
import argparse
import math
import os
import re
import resource
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
GUESTS = os.path.join(SOURCE, '..', 'shared', 'guests')
KERNELS = os.path.join(SOURCE, 'tests', 'bench', 'kernels')
APART = ('hello', 'getpid')


def switches():
    """Names and texts of TCG_OPTS."""
    with open(os.path.join(SOURCE, 'tcg', 'opt.h'), encoding='ascii') as file:
        text = file.read()
    found = re.findall(r'X\(\w+, "(\w+)", ((?:"[^"]*"[\s\\]*)+)\)', text)
    return [(name, ''.join(re.findall(r'"([^"]*)"', words)))
            for name, words in found]


def programs(build, where):
    """(group, name, ELF file) of each."""
    if os.path.isdir(GUESTS):
        for entry in sorted(os.listdir(GUESTS)):
            if entry.endswith('.v5.elf'):
                yield 'c', entry.split('.')[0], os.path.join(GUESTS, entry)
    for entry in sorted(os.listdir(KERNELS)):
        name, ext = os.path.splitext(entry)
        if ext == '.s' and name not in APART:
            elf = os.path.join(where, name + '.elf')
            subprocess.run([os.path.join(build, 'tools', 'e2k-as'),
                            '--static', '-o', elf,
                            os.path.join(KERNELS, entry)], check=True)
            yield 'kernel', name, elf


def cpu_time(argv):
    """CPU seconds of a command; None when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return None
    return (after.ru_utime + after.ru_stime -
            before.ru_utime - before.ru_stime)


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--only', default='')
    parser.add_argument('--markdown', action='store_true')
    args = parser.parse_args()
    wanted = [word for word in args.only.split(',') if word]
    user = os.path.join(args.build, 'tools', 'e2k-user')
    if args.markdown:
        print('| switch | what it does | C guests | kernels | most |\n'
              '|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as where:
        guests = list(programs(args.build, where))
        for name, text in switches():
            if wanted and name not in wanted:
                continue
            ratios = {'c': [], 'kernel': []}
            worst = (0, 'nothing')
            for group, program, elf in guests:
                times = {'jit': [], f'jit,no-{name}': []}
                for _ in range(args.runs):
                    for accel, spent in times.items():
                        spent.append(cpu_time([user, '-accel', accel, elf]))
                if None in times['jit'] + times[f'jit,no-{name}']:
                    continue # without tags some programs go wrong
                ratio = min(times[f'jit,no-{name}']) / min(times['jit'])
                ratios[group].append(ratio)
                worst = max(worst, (ratio, program))
            means = [f'{geomean(r):.2f}' if r else 'none'
                     for r in ratios.values()]
            if args.markdown:
                print(f'| `{name}` | {text} | {means[0]} | {means[1]} | '
                      f'{worst[1]} {worst[0]:.2f} |', flush=True)
            else:
                print(f'switch-bench switch={name} c={means[0]} '
                      f'kernel={means[1]} most={worst[1]} '
                      f'most_ratio={worst[0]:.2f}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
