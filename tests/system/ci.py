"""e2k-ci: results, written blocks, the untouched base, many at once.

usage: ci.py E2K-CI TOOLS-DIR MAIN-JOB-ELF TRAPS-ELF

Guests of this test are assembled here: one that finds its archive on the
disk, one that hangs, one that crashes, one that floods its console.
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


# Finds the number behind the first "=" of the command line, reads the sector
# there, looks for the mark of a tar archive, writes the first block.
ARCHIVE = """
	.include "lib.inc"
	.include "virtio-blk.inc"
	PROC main
	{
		addd %dr1, 0x58, %dr2
		addd 0, 0, %dr3
	}
1:
	{
		ldb %dr2, 0, %dr4
		addd %dr2, 1, %dr2
	}
	{
		cmpedb %dr4, 0x3d, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
2:
	{
		ldb %dr2, 0, %dr4
		addd %dr2, 1, %dr2
		muld %dr3, 10, %dr5
	}
	{
		subd %dr4, 0x30, %dr4
	}
	{
		cmpbdb %dr4, 10, %pred0
		addd %dr5, %dr4, %dr5
	}
	{
		addd %dr5, 0, %dr3 ? %pred0
	}
	GOTO_IF %pred0, 2b
	CALL disk_open
	{
		addd 0, BLK_IN, %db[0]
		shrd %dr3, 9, %db[1]
		addd 0, buffer, %db[2]
		addd 0, 512, %db[3]
	}
	CALL disk_request
	{
		addd 0, buffer, %dr1
		addd 0, 0x72617473, %dr6
	}
	{
		ldd %dr1, 256, %dr5
		addd 0, 0xffffffff, %dr7
	}
	{
		shrd %dr5, 16, %dr5
	}
	{
		andd %dr5, %dr7, %dr5
		addd 0, 0x72617473, %dr6
	}
	{
		cmpedb %dr5, %dr6, %pred0
	}
	GOTO_IF %pred0, 3f
	FAIL "no archive on the disk", 5
3:
	PRINT "archive found\\n"
	{
		addd 0, BLK_OUT, %db[0]
		addd 0, 0, %db[1]
		addd 0, buffer, %db[2]
		addd 0, 512, %db[3]
	}
	CALL disk_request
	EXIT 0
	.pushsection .bss
	.align	4096
buffer:
	.skip	512
	.popsection
"""
HANG = """
	.include "lib.inc"
	PROC main
	PRINT "about to hang\\n"
1:
	GOTO 1b
"""
CRASH = """
	.include "lib.inc"
	PROC main
	PRINT "about to crash\\n"
	{
		addd 0, 0, %dr2
	}
	{
		rwd %dr2, %oscud.lo
	}
	{
		udivd %dr2, %dr2, %dr3
	}
	EXIT 0
"""
FLOOD = """
	.include "lib.inc"
	PROC main
1:
	PRINT "many words\\n"
	GOTO 1b
"""


def assemble(where, name, text):
    source = os.path.join(where, name + ".s")
    with open(source, "w", encoding="ascii") as file:
        file.write(text.replace("\\\\", "\\"))
    path = os.path.join(where, name + ".elf")
    subprocess.run([os.path.join(TOOLS, "e2k-as"), "--static",
                    "--march=e2kv4", "-I",
                    os.path.join(HERE, "..", "guest", "system"), "-o", path,
                    source], check=True)
    os.unlink(source)
    return path


def directories(where, base, before):
    """Archives on disks of their own and behind a base."""
    folder = os.path.join(where, "folder")
    os.mkdir(folder)
    kernel = assemble(folder, "kernel", ARCHIVE)
    with open(os.path.join(folder, "data"), "wb") as file:
        file.write(bytes(100000))
    done = run(folder)
    check("a directory", done.returncode == 0 and
          "ok 1 - folder\n# | archive found\n# wrote 0x0 +0x1000\n" in
          done.stdout, done.stdout + done.stderr)
    done = run("--base", base, folder, folder)
    check("directories behind a base", done.returncode == 0 and
          done.stdout.count("# | archive found\n# wrote 0x0 +0x1000\n") == 2
          and digest(base) == before, done.stdout + done.stderr)
    done = run("--kernel", kernel, MAIN_JOB)
    check("a program for a kernel is on the disk", done.returncode == 1 and
          "no archive" in done.stdout, done.stdout + done.stderr)


def misbehaving(where):
    """Tests that hang and crash do not disturb others."""
    hang = assemble(where, "hang", HANG)
    crash = assemble(where, "crash", CRASH)
    flood = assemble(where, "flood", FLOOD)
    report = os.path.join(where, "report2.xml")
    done = run("--timeout", "4", "-j", "3", "--junit", report, hang, crash,
               TRAPS, flood)
    lines = [x for x in done.stdout.splitlines() if not x.startswith("# |")]
    check("hanging and crashing tests", done.returncode == 1 and
          lines[2:4] == ["not ok 1 - hang", "# no end after 4.0 s"] and
          lines[4] == "not ok 2 - crash" and lines[5].startswith("# ") and
          "ok 3 - traps" in lines and "not ok 4 - flood" in lines,
          done.stdout[:3000] + done.stderr)
    check("what they had printed", "# | about to hang" in done.stdout and
          "# | about to crash" in done.stdout)
    suite = xml.etree.ElementTree.parse(report).getroot()
    check("JUnit of failures", suite.get("failures") == "3" and
          suite[0].find("failure") is not None and
          suite[2].find("failure") is None)


def many(where, base, before):
    done = run("--base", base, "-j", "6", *[MAIN_JOB] * 16)
    check("sixteen at once from one base", done.returncode == 0 and
          done.stdout.count("# wrote 0x100000 +0x4000") == 16 and
          digest(base) == before, done.stdout[-2000:] + done.stderr)


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
        directories(where, base, before)
        misbehaving(where)
        many(where, base, before)
    print(f"{FAILED} failed" if FAILED else "ci passed")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
