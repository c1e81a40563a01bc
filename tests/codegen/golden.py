#!/usr/bin/env python3
"""Counts the host instructions of guest sequences.

    golden.py BUILD_DIR [--update] [--plain]

Assembles snippets.s, runs it translated with its host code shown, and
compares one line per global label and tier with golden.txt:

    NAME TIER ir OPERATIONS host INSTRUCTIONS cold INSTRUCTIONS

of the region that begins there: operations after the passes, instructions on
the way through, and those of side exits and stubs behind it.  Each is
translated again when it is entered, so that both tiers are seen.  A difference is
a change of the code's quality: look at it, then --update.  The counts are for
a host with AVX and BMI2; elsewhere the test is skipped.  --plain counts the
code for a host without them, on any host, against golden-plain.txt.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))

from elf import addresses  # noqa: E402

# Instructions that only newer hosts have: SSE forms have two operands.
NEWER = re.compile(r'(v[a-z].*|andn|bextr|bls\w+|tzcnt|lzcnt|pdep|pext|rorx|'
                   r'sarx|shlx|shrx|mulx|bzhi)$')


def skip(reason):
    print(f'skipped: {reason}')
    sys.exit(77)


def measure(text, address):
    """Counts of the code that starts at an address, of one tier each."""
    counts = []
    regions = re.split(r'^region ', text, flags=re.M)[1:]
    for region in regions:
        if not region.startswith(f'{address:x}/'):
            continue
        body, _, host = region.partition('host code of region')
        ops = [line for line in body.splitlines()[1:]
               if line.startswith('    ')]
        cold_ops = 0
        cold = False
        for line in body.splitlines()[1:]:
            if re.match(r' L\d+:', line):
                cold = 'cold' in line
            cold_ops += cold and line.startswith('    ')
        code = [line.split(None, 2)[1:] for line in host.splitlines()[1:]
                if line.startswith('  0x')]
        if not code:
            skip('no disassembler for host code')
        # Cold code lies behind the last return or jump of the hot path:
        # the first movabs of a side exit's site marks it well enough.
        hot = next((i + 1 for i, words in enumerate(code)
                    if words[0] == 'ret'), len(code))
        counts.append(f'ir {len(ops) - cold_ops} host {hot} '
                      f'cold {len(code) - hot}')
    return counts


def newer_instructions(text):
    """Names of the instructions that a plain host does not have."""
    names = re.findall(r'^ {2}0x[0-9a-f]+: (\S+)', text, re.M)
    return {name for name in names if NEWER.match(name)}


def main():
    build = sys.argv[1]
    plain = '--plain' in sys.argv
    golden = os.path.join(HERE, 'golden-plain.txt' if plain else 'golden.txt')
    accel = 'jit,tier-threshold=1' + (',no-bmi,no-avx' if plain else '')
    tool = lambda name: os.path.join(build, 'tools', name)
    with open('/proc/cpuinfo') as file:
        flags = set(re.search(r'^flags\s*:(.*)$', file.read(),
                              re.M).group(1).split())
    if not plain and not {'avx', 'bmi1', 'bmi2', 'abm'} <= flags:
        skip('host without AVX, BMI or LZCNT')
    with tempfile.TemporaryDirectory() as where:
        elf = os.path.join(where, 'snippets')
        log = os.path.join(where, 'log')
        subprocess.run([tool('e2k-as'), '--static', '-o', elf,
                        os.path.join(HERE, 'snippets.s')], check=True)
        subprocess.run([tool('e2k-user'), '-accel', accel, '-d',
                        'op_opt,out_asm', '-D', log, elf], check=True,
                       stdout=subprocess.DEVNULL)
        with open(log) as file:
            text = file.read()
        labels = addresses(elf, global_only=True)
    newer = newer_instructions(text)
    if plain and newer:
        print('not for a plain host:', *sorted(newer))
        return 1
    if not plain and not newer:
        print('nothing of what the host can do is used')
        return 1
    lines = []
    for name in sorted(labels):
        if name not in ('_start', 'main'):
            counts = measure(text, labels[name])
            if len(counts) != 2:
                print(f'{name} was translated {len(counts)} times')
                return 1
            lines += [f'{name} {tier} {words}\n'
                      for tier, words in enumerate(counts, 1)]
    if '--update' in sys.argv:
        with open(golden, 'w') as file:
            file.writelines(lines)
        return 0
    with open(golden) as file:
        expected = file.readlines()
    for line in expected:
        if line not in lines:
            print('expected', line, end='')
    for line in lines:
        if line not in expected:
            print('found   ', line, end='')
    return int(lines != expected)


if __name__ == '__main__':
    sys.exit(main())
