#!/usr/bin/env python3
"""A program with more code than the code cache holds.

    code-cache.py BUILD_DIR

Runs the program of cold-bench.py, whose procedures follow each other again
and again, with a large and with the smallest code cache: it must end the same
way, its memory must stay bounded, and recycling must cost no more than
translating again does.
"""
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def cold_bench():
    path = os.path.join(HERE, '..', 'bench', 'cold-bench.py')
    spec = importlib.util.spec_from_file_location('cold_bench', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(user, elf, accel):
    """CPU time, peak memory in MiB (0: not known) and exit status."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Our own size would count as a child's: a small program starts it.
    timed = (['/usr/bin/time', '-f', '%M']
             if os.path.exists('/usr/bin/time') else [])
    done = subprocess.run(timed + [user, '-accel', accel, elf],
                          stderr=subprocess.PIPE, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = int(done.stderr.split()[-1]) / 1024 if timed else 0
    return (after.ru_utime + after.ru_stime - before.ru_utime -
            before.ru_stime, peak, done.returncode)


def main():
    build = sys.argv[1]
    user = os.path.join(build, 'tools', 'e2k-user')
    failed = 0

    def check(good, what):
        nonlocal failed
        failed += not good
        print(f'{"ok" if good else "not ok"} - {what}')

    with tempfile.TemporaryDirectory() as where:
        source, elf = os.path.join(where, 'c.s'), os.path.join(where, 'c.elf')
        # Two rounds over code that does not fit: nothing is found again.
        text, bundles = cold_bench().program(3000, 6000)
        with open(source, 'w', encoding='ascii') as file:
            file.write(text)
        subprocess.run([os.path.join(build, 'tools', 'e2k-as'), '--static',
                        '-o', elf, source], check=True)
        large, small = (run(user, elf, f'jit,tb-size={mib}')
                        for mib in (256, 1))
    print(f'# {bundles} bundles: 256 MiB {large}, smallest {small}')
    check(large[2] == 0 and small[2] == 0, 'the program ends as it should')
    if large[1]:
        check(small[1] < large[1] - 1, 'a small cache takes less memory')
    # Twice the translations; five allows for a busy machine.
    check(small[0] < 5 * large[0] + 0.5, 'recycling does not stall')
    bad = subprocess.run([user, '-accel', 'jit,tb-size=0', elf],
                         stderr=subprocess.PIPE, check=False)
    check(bad.returncode != 0 and b'tb-size' in bad.stderr,
          'a size of nothing is an error')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
