"""Environment variables that act like options, under the names that users of
qemu know; each with its effect.  A variable of -help without a test fails.

usage: environment.py E2K-USER SHOW-GUEST
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from gdb import Gdb  # noqa: E402

tests = failed = 0
tested = set()


def check(condition, text, detail=""):
    global tests, failed
    tests += 1
    print(f"{'ok' if condition else 'not ok'} {tests} - {text}", flush=True)
    if not condition:
        failed += 1
        print(f"# {detail}")


class Runner:
    def __init__(self, user, guest, directory):
        self.user, self.guest, self.directory = user, guest, directory

    def __call__(self, options=(), **variables):
        tested.update(variables)
        return subprocess.run(
            [self.user, *options, self.guest, "one"], cwd=self.directory,
            env={"PATH": os.environ["PATH"], "MARK": "here", **variables},
            capture_output=True, text=True, timeout=60, check=False)


def debugged(run):
    path = os.path.join(run.directory, "socket")
    tested.add("QEMU_GDB")
    process = subprocess.Popen([run.user, run.guest], stdout=subprocess.PIPE,
                               env={"QEMU_GDB": path}, text=True)
    try:
        with Gdb(path) as gdb:
            gdb.start()
            gdb.cont()
        text = process.communicate(timeout=30)[0]
        check("argument" in text and "QEMU_GDB" not in text,
              "QEMU_GDB waits for a debugger, and is not for children", text)
    finally:
        process.kill()
        process.wait()


def session(run):
    plain = run()
    check(plain.returncode == 0 and "argument one\n" in plain.stdout and
          "variable MARK=here\n" in plain.stdout and not plain.stderr,
          "without any", plain)
    check("version" in run(QEMU_VERSION="1").stdout, "QEMU_VERSION")
    check("unknown CPU model" in run(QEMU_CPU="z80").stderr and
          run(QEMU_CPU="e8c2").returncode == 0, "QEMU_CPU")
    os.makedirs(os.path.join(run.directory, "root/etc"))
    with open(os.path.join(run.directory, "root/etc/motto"), "w",
              encoding="ascii") as f:
        f.write("from the sysroot\n")
    check("from the sysroot\n" in run(QEMU_LD_PREFIX="root").stdout,
          "QEMU_LD_PREFIX")
    answer = run(QEMU_SET_ENV="A=1,B=two")
    check("variable A=1\nvariable B=two\n" in answer.stdout, "QEMU_SET_ENV",
          answer)
    check("MARK=here" not in run(QEMU_UNSET_ENV="MARK").stdout, "QEMU_UNSET_ENV")
    check(run(QEMU_ARGV0="zero").stdout.startswith("argument zero\n"),
          "QEMU_ARGV0")
    check("release 6.1.0-test\n" in run(QEMU_UNAME="6.1.0-test").stdout,
          "QEMU_UNAME")
    answer = run(QEMU_STACK_SIZE="128K")
    size = int(re.search(r"^stack (\d+)$", answer.stdout, re.M)[1])
    check(100 << 10 < size <= 128 << 10, "QEMU_STACK_SIZE", size)
    check(" write(1," in run(QEMU_STRACE="1").stderr, "QEMU_STRACE")
    check(" write(1," in run(QEMU_LOG="strace").stderr, "QEMU_LOG")
    answer = run(QEMU_LOG="strace", QEMU_LOG_FILENAME="log")
    with open(os.path.join(run.directory, "log"), encoding="utf-8") as f:
        check(" write(1," in f.read() and not answer.stderr,
              "QEMU_LOG_FILENAME", answer)
    check("unknown accelerator" in run(E2K_ACCEL="steam").stderr and
          run(E2K_ACCEL="interp").returncode == 0, "E2K_ACCEL",
          run(E2K_ACCEL="steam"))
    process = subprocess.Popen([run.user, run.guest], env={"QEMU_PERFMAP": "1"},
                               stdout=subprocess.DEVNULL)
    tested.add("QEMU_PERFMAP")
    process.wait()
    name = f"/tmp/perf-{process.pid}.map"
    with open(name, encoding="ascii") as f:
        check(re.match(r"[0-9a-f]+ [0-9a-f]+ e2k_", f.read()), "QEMU_PERFMAP")
    os.unlink(name)
    debugged(run)
    check(run(("-0", "option"), QEMU_ARGV0="variable").stdout
          .startswith("argument option\n"), "an option beats its variable")
    answer = run(QEMU_STACK_SIZE="tiny")
    check(answer.returncode == 1 and answer.stderr.count("\n") == 1,
          "a bad value is one line", answer)
    listed = set(re.findall(r"\[(\w+)\]$", subprocess.run(
        [run.user, "-help"], capture_output=True, text=True,
        check=True).stdout, re.M))
    check(listed == tested, "all variables of -help", listed ^ tested)


def main():
    user, guest = map(os.path.realpath, sys.argv[1:])
    with tempfile.TemporaryDirectory() as directory:
        session(Runner(user, guest, directory))
    print(f"1..{tests}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
