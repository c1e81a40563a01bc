#!/usr/bin/env python3
"""Speed of translating code that runs once, from end to end.

    cold-bench.py BUILD_DIR [--runs N] [--procedures N] [--accel LIST]

Assembles a program of many procedures of the kind compilers make (locals in
memory, branches, a loop, calls), each called once, and runs it in e2k-user:
fetching, decoding, finding the region, translating, optimising, emitting,
linking and the execution itself all count.  The same program with one
procedure, called as often, gives the start-up and the execution to subtract.

Prints KEY=VALUE words; bundles_per_s is by CPU time, the best of the runs.
"""
import argparse
import os
import random
import resource
import subprocess
import tempfile

HEAD = '''
	.text
	.global	_start
	.align	8
_start:
	{ setwd wsz = 16, nfx = 1; setbn rbs = 8, rsz = 7, rcur = 0 }
'''

CALL = '''	{{ addd 0, {argument}, %b[0]; disp %ctpr1, f{name} }}
	{{ nop 4 }}
	{{ call %ctpr1, wbs = 8 }}
'''

TAIL = '''	{ sdisp %ctpr1, 3; addd 0, 1, %b[0]; addd 0, 0, %b[1]; nop 4 }
	{ call %ctpr1, wbs = 8 }
'''

OPS = ('adds %r{a}, %r{b}, %r{d}', 'subs %r{a}, {k}, %r{d}',
       'ands %r{a}, %r{b}, %r{d}', 'xors %r{a}, {k}, %r{d}',
       'shls %r{a}, 3, %r{d}', 'muls %r{a}, %r{b}, %r{d}',
       'sxt 2, %r{a}, %dr{d}', 'addd %dr{a}, {k}, %dr{d}',
       'ors %r{a}, %r{b}, %r{d}', 'shrd %dr{a}, 5, %dr{d}')


class Procedure:
    """Text of one procedure and how many bundles it has."""

    def __init__(self, name, rng):
        self.lines = ['	.align 8', f'f{name}:']
        self.bundles = 0
        self.rng = rng
        self.add('getsp -64, %dr23; setwd wsz = 16, nfx = 1, dbl = 1; '
                 'setbn rbs = 12, rsz = 3, rcur = 0')
        self.add(*(f'addd %dr0, {k + 1}, %dr{20 - k}' for k in range(3)))
        self.straight(6)
        self.branch(1)
        self.straight(5)
        self.loop(5)
        self.straight(4)
        self.branch(2)
        self.call()
        self.straight(6)
        self.branch(3)
        self.straight(3)
        self.add('return %ctpr3', 'addd %dr18, 0, %dr0', 'nop 5')
        self.add('ct %ctpr3')

    def add(self, *parts):
        self.lines.append('	{ ' + '; '.join(parts) + ' }')
        self.bundles += 1

    def op(self):
        rng = self.rng
        return rng.choice(OPS).format(a=rng.choice((18, 19, 20)),
                                      b=rng.choice((18, 19, 20)),
                                      d=rng.choice((18, 19, 20, 21)),
                                      k=rng.randrange(1, 1000))

    def straight(self, n):
        """Half the bundles work, half go to memory and back."""
        self.add('adds %r19, %r20, %r21')
        for _ in range(n):
            slot = 4 * self.rng.randrange(12)
            kind = self.rng.randrange(4)
            if kind == 0:
                self.add(f'stw %dr23, {slot}, %r18')
            elif kind == 1:
                self.add(f'ldw %dr23, {slot}, %dr20')
            else:
                self.add(self.op())

    def branch(self, label):
        limit = self.rng.randrange(1000)
        self.add(f'cmplsb %r19, {limit}, %pred0', 'nop 2')
        self.add(f'ibranch {label}f ? ~%pred0')
        self.straight(2)
        self.lines.append(f'{label}:')

    def loop(self, label):
        self.add('addd 0, 2, %dr22')
        self.lines.append(f'{label}:')
        self.add('subs %r22, 1, %r22')
        self.straight(2)
        self.add('cmplsb %r22, 0, %pred0', 'nop 2')
        self.add(f'ibranch {label}b ? ~%pred0')

    def call(self):
        self.add('addd %dr18, 0, %db[0]', 'disp %ctpr1, leaf')
        self.add('nop 4')
        self.add('call %ctpr1, wbs = 12')
        self.add('adds %b[0], 0, %r18')


LEAF = '''	.align 8
leaf:
	{ return %ctpr3; adds %r0, 1, %r0; nop 5 }
	{ ct %ctpr3 }
'''


def program(different, calls):
    rng = random.Random(4)
    procedures = [Procedure(n, rng) for n in range(different)]
    text = [HEAD]
    for n in range(calls):
        text.append(CALL.format(argument=n, name=n % different))
    text += [TAIL] + ['\n'.join(p.lines) + '\n' for p in procedures] + [LEAF]
    return ''.join(text), sum(p.bundles for p in procedures)


def cpu_time(argv):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime -
            before.ru_utime - before.ru_stime)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--procedures', type=int, default=1500)
    parser.add_argument('--accel', default='jit')
    parser.add_argument('--keep', help='directory for the programs')
    args = parser.parse_args()
    user = [os.path.join(args.build, 'tools', 'e2k-user'), '-accel',
            args.accel]
    with tempfile.TemporaryDirectory() as where:
        where = args.keep or where
        elves, bundles = {}, {}
        for different in args.procedures, 1:
            source = os.path.join(where, f'cold{different}.s')
            elves[different] = os.path.join(where, f'cold{different}.elf')
            text, bundles[different] = program(different, args.procedures)
            with open(source, 'w', encoding='ascii') as file:
                file.write(text)
            subprocess.run([os.path.join(args.build, 'tools', 'e2k-as'),
                            '--static', '-o', elves[different], source],
                           check=True)
        times = {d: min(cpu_time(user + [elf]) for _ in range(args.runs))
                 for d, elf in elves.items()}
    spent = times[args.procedures] - times[1]
    new = bundles[args.procedures] - bundles[1]
    print(f'cold-bench bundles={new} cpu_s={spent:.4f} '
          f'base_s={times[1]:.4f} bundles_per_s={new / spent:.0f}')


if __name__ == '__main__':
    main()
