"""e2k-ci: results, written blocks, the untouched base, many at once.

usage: ci.py E2K-CI TOOLS-DIR MAIN-JOB-ELF TRAPS-ELF
"""
import hashlib
import importlib
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "guest", "system"))
make_root = importlib.import_module("make-root")
CI, TOOLS, MAIN_JOB, TRAPS = sys.argv[1:5]
FAILED = 0


def check(what, good, details=""):
    global FAILED
    print(("ok " if good else "FAILED ") + what, "" if good else details)
    FAILED += not good


def run(*words):
    return subprocess.run([sys.executable, CI, "--tools", TOOLS, *words],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=100, check=False)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main():
    with tempfile.TemporaryDirectory() as where:
        base = os.path.join(where, "base.img")
        with open(base, "wb") as image:
            image.truncate(8 << 20)
            image.write(make_root.root_block([(1 << 20, 4), (3 << 20, 1)]))
        before = digest(base)
        report = os.path.join(where, "report.xml")
        done = run("--base", base, "--junit", report, MAIN_JOB, TRAPS,
                   MAIN_JOB)
        lines = done.stdout.splitlines()
        check("all pass", done.returncode == 0 and
              [x for x in lines if x.startswith(("ok", "not"))] ==
              ["ok 1 - main-job", "ok 2 - traps", "ok 3 - main-job"],
              done.stdout + done.stderr)
        check("the written blocks",
              [x for x in lines if x.startswith("# wrote")] ==
              ["# wrote 0x100000 +0x4000", "# wrote 0x300000 +0x1000"] * 2,
              done.stdout)
        check("the base is as it was", digest(base) == before)
        suite = xml.etree.ElementTree.parse(report).getroot()
        check("JUnit", suite.get("tests") == "3" and
              suite.get("failures") == "0" and
              "main job done" in suite[0].find("system-out").text)
        done = run(MAIN_JOB)
        check("a failing test fails", done.returncode == 1 and
              "not ok 1 - main-job\n# exit status 3\n" in done.stdout,
              done.stdout + done.stderr)
        done = run(os.path.join(where, "base.img"))
        check("what is no program fails", done.returncode == 1 and
              "not an ELF file" in done.stdout, done.stdout + done.stderr)
        done = run(os.path.join(where, "missing.elf"))
        check("a missing test is refused", done.returncode == 2 and
              "there is no test" in done.stderr, done.stderr)
        check("nothing is left",
              sorted(os.listdir(where)) == ["base.img", "report.xml"])
    print(f"{FAILED} failed" if FAILED else "ci passed")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
