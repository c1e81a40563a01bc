#!/usr/bin/env python3
"""Guest programs on e2k-user against the same source compiled natively.

    user-bench.py BUILD_DIR [--runs N] [--tag-runs N] [--accel LIST]
                  [--only NAME,...]
    user-bench.py BUILD_DIR --check

Two groups, each reported with its geometric mean:

  c       programs compiled from C for e2k (../shared/guests, when present),
          against the same C at -O0 and -O2
  kernel  tests/bench/kernels/NAME.s, assembled by e2k-as, against NAME.c

and figures of their own: tags (below), calls (getpid, 100 000 times, against
the same natively; all CPU time, start included) and start (the shortest
program).

One line per program, of KEY=VALUE words; times are CPU seconds, the median
of the runs, taken in turns.  The outputs must agree, or the line says so and
the exit status is 1.

The group "tags" is what register tags cost: each program with them and right
after or before it without (-accel jit,no-tags).  cost_percent is the median of
those ratios, with their quartiles; fastest_percent compares the fastest run
with and the fastest without, which other load on the machine disturbs least.
The last line of a group has the geometric means of both, and the quartiles of
the rounds' geometric means: a wide range says that the machine was not quiet.

--check only runs the kernels and compares their output: a test.
"""
import argparse
import math
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
GUESTS = os.path.join(SOURCE, '..', 'shared', 'guests')
# Kernels that are no measure of translated code.
APART = ('hello', 'getpid')
CALL_BAR = 3
TAGS_BAR = 5 # percent
KERNELS = os.path.join(SOURCE, 'tests', 'bench', 'kernels')


def once(argv):
    """CPU time and output of a command; None when it failed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        return None, f'exit-status-{done.returncode}'
    return (after.ru_utime - before.ru_utime +
            after.ru_stime - before.ru_stime), done.stdout


def measure(commands, runs):
    """Median CPU time and output of each, run in turns: a busy machine is
    busy for all of them."""
    times = [[] for _ in commands]
    outputs = [None] * len(commands)
    for _ in range(runs):
        for i, argv in enumerate(commands):
            spent, outputs[i] = once(argv)
            if spent is None:
                return None, outputs[i]
            times[i].append(spent)
    return [max(statistics.median(t), 1e-4) for t in times], outputs


def compile_native(source, level, where):
    binary = os.path.join(where, os.path.basename(source) + level)
    subprocess.run(shlex.split(os.environ.get('CC', 'cc')) + [
                    level, '-w', '-I',
                    SOURCE, '-o', binary, source, '-lm'], check=True)
    return binary


def compare(group, name, guest, source, args, where):
    """Prints one line; returns (x_O0, x_O2), or None on failure.  guest: the
    command without its -accel."""
    commands = [guest[:1] + ['-accel', args.accel] + guest[1:]]
    commands += [[compile_native(source, level, where)]
                 for level in ('-O0', '-O2')]
    times, outputs = measure(commands, args.runs)
    if times is None or len(set(outputs)) != 1:
        error = outputs if times is None else 'wrong-output'
        print(f'user-bench group={group} program={name} error={error}')
        return None
    spent, slow, fast = times
    ratios = spent / slow, spent / fast
    print(f'user-bench group={group} program={name} e2k_s={spent:.4f} '
          f'native_O0_s={slow:.4f} native_O2_s={fast:.4f} '
          f'x_O0={ratios[0]:.2f} x_O2={ratios[1]:.2f}', flush=True)
    return ratios


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def percent(ratio):
    return f'{100 * (ratio - 1):.1f}'


def quartiles(ratios):
    """Of ratios, as costs in percent."""
    lower, _, upper = statistics.quantiles(ratios, n=4)
    return f'quartiles={percent(lower)}..{percent(upper)}'


def tags(group, programs, user, args):
    """What tags cost each of the programs, and all of them."""
    rounds = [[] for _ in range(args.tag_runs)]
    medians, fastest = [], []
    for name, elf, _ in programs:
        both = [user + ['-accel', accel, elf]
                for accel in (args.accel, args.accel + ',no-tags')]
        # Bundles left to the interpreter do look at tags: without them, some
        # programs do not run.
        if once(both[1])[0] is None:
            print(f'user-bench group=tags program={name} skipped=needs-tags')
            continue
        ratios, spent = [], [math.inf, math.inf]
        for i in range(args.tag_runs):
            times = [0, 0]
            for which in (0, 1) if i % 2 else (1, 0):
                times[which] = max(once(both[which])[0], 1e-4)
                spent[which] = min(spent[which], times[which])
            ratios.append(times[0] / times[1])
            rounds[i].append(ratios[-1])
        medians.append(statistics.median(ratios))
        fastest.append(spent[0] / spent[1])
        print(f'user-bench group=tags program={name} '
              f'cost_percent={percent(medians[-1])} {quartiles(ratios)} '
              f'fastest_percent={percent(fastest[-1])} '
              f'pairs={args.tag_runs}', flush=True)
    if medians:
        print(f'user-bench group=tags all={group} programs={len(medians)} '
              f'geomean_cost_percent={percent(geomean(medians))} '
              f'{quartiles([geomean(r) for r in rounds])} '
              f'geomean_fastest_percent={percent(geomean(fastest))} '
              f'bar={TAGS_BAR if group == "c" else "none"}', flush=True)


def check(user, args, where):
    """Do the kernels print what their C twins do?"""
    failed = False
    for name, elf, source in kernels([], args.build, where):
        if name == 'hello':
            continue
        outputs = [once(argv)[1] for argv in
                   (user + [elf], [compile_native(source, '-O2', where)])]
        good = outputs[0] == outputs[1]
        print(f'{name}: {"ok" if good else outputs}')
        failed |= not good
    return failed


def summary(group, ratios):
    if not ratios:
        print(f'user-bench group={group} skipped=no-programs')
        return
    means = [geomean([r[i] for r in ratios]) for i in (0, 1)]
    worst = max(r[0] for r in ratios)
    print(f'user-bench group={group} programs={len(ratios)} '
          f'geomean_x_O0={means[0]:.2f} geomean_x_O2={means[1]:.2f} '
          f'worst_x_O0={worst:.2f}')


def c_guests(only):
    if not os.path.isdir(GUESTS):
        return
    for entry in sorted(os.listdir(GUESTS)):
        parts = entry.split('.')
        if len(parts) == 3 and parts[2] == 'elf':
            name = f'{parts[0]}.{parts[1]}'
            if not only or parts[0] in only or name in only:
                yield (name, os.path.join(GUESTS, entry),
                       os.path.join(GUESTS, parts[0] + '.c'))


def kernels(only, build, where):
    assembler = os.path.join(build, 'tools', 'e2k-as')
    if not os.path.isdir(KERNELS) or not os.path.exists(assembler):
        return
    for entry in sorted(os.listdir(KERNELS)):
        name, ext = os.path.splitext(entry)
        if ext == '.s' and (not only or name in only):
            elf = os.path.join(where, name + '.elf')
            subprocess.run([assembler, '--static', '-o', elf,
                            os.path.join(KERNELS, entry)], check=True)
            yield name, elf, os.path.join(KERNELS, name + '.c')


def calls(user, args, where):
    """What a system call costs, in native ones; did it go wrong?"""
    for name, elf, source in kernels(['getpid'], args.build, where):
        times, outputs = measure(
            [user + ['-accel', args.accel, elf],
             [compile_native(source, '-O2', where)]], args.runs)
        if times is None or len(set(outputs)) != 1:
            error = outputs if times is None else 'wrong-output'
            print(f'user-bench group=calls program={name} error={error}')
            return True
        print(f'user-bench group=calls program={name} e2k_s={times[0]:.4f} '
              f'native_O2_s={times[1]:.4f} x_O2={times[0] / times[1]:.2f} '
              f'bar={CALL_BAR}', flush=True)
    return False


def start_up(user, where, build, runs):
    """Wall time and resident memory of the shortest program there is."""
    hello = os.path.join(KERNELS, 'hello.s')
    assembler = os.path.join(build, 'tools', 'e2k-as')
    if not os.path.exists(hello) or not os.path.exists(assembler):
        return
    elf = os.path.join(where, 'hello.elf')
    subprocess.run([assembler, '--static', '-o', elf, hello], check=True)
    best = math.inf
    for _ in range(10 * runs):
        began = time.perf_counter()
        subprocess.run(user + [elf], stdout=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - began)
    # Our own size counts as a child's until it has called exec, so that a
    # small program must start it.
    peak = 'unknown'
    if os.path.exists('/usr/bin/time'):
        done = subprocess.run(['/usr/bin/time', '-f', '%M'] + user + [elf],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
        peak = f'{int(done.stderr) / 1024:.1f}'
    print(f'user-bench group=start program=hello wall_ms={best * 1e3:.2f} '
          f'rss_mib={peak}')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--tag-runs', type=int, default=11,
                        help='at least 2; 0: no group "tags"')
    parser.add_argument('--accel', default='jit')
    parser.add_argument('--only', default='')
    parser.add_argument('--check', action='store_true')
    args = parser.parse_args()
    only = [word for word in args.only.split(',') if word]
    user = [os.path.join(args.build, 'tools', 'e2k-user')]
    failed = False
    with tempfile.TemporaryDirectory() as where:
        if args.check:
            return check(user, args, where)
        for group, programs in (('c', c_guests(only)),
                                ('kernel', kernels(only, args.build, where))):
            programs = [p for p in programs if p[0] not in APART]
            ratios = []
            for name, elf, source in programs:
                got = compare(group, name, user + [elf], source, args, where)
                failed |= got is None
                ratios += [got] if got else []
            summary(group, ratios)
            if args.tag_runs:
                tags(group, programs, user, args)
        if not only or 'getpid' in only:
            failed |= calls(user, args, where)
        start_up(user, where, args.build, args.runs)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
