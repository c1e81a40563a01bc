"""The text of -strace, against a golden file.

usage: strace.py E2K-USER BASICS-GUEST GOLDEN ENGINE [--update]

Process numbers, addresses and the program's name, which differ from run to
run, are replaced by words.
"""
import os
import re
import subprocess
import sys
import tempfile


def normalise(text):
    text = re.sub(r"^\d+ ", "PID ", text, flags=re.M)
    text = re.sub(r"0x[0-9a-f]{5,}", "ADDRESS", text)
    return text


def main():
    user, guest, golden, engine, *update = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        subprocess.run([user, "-accel", engine, "-strace", "-D", log, guest],
                       check=True, capture_output=True)
        with open(log, encoding="utf-8") as f:
            lines = f.read()
    # Lengths of the program's name and of its maps.
    lines = re.sub(r'(readlink\("/proc/self/exe".*\)) = \d+', r"\1 = SIZE",
                   lines)
    lines = re.sub(r"(read\(\d+,0x\w+,4096\)) = \d+", r"\1 = SIZE", lines)
    found = normalise(lines)
    if update:
        with open(golden, "w", encoding="utf-8") as f:
            f.write(found)
        return
    with open(golden, encoding="utf-8") as f:
        wanted = f.read()
    print("1..1")
    print(f"{'ok' if found == wanted else 'not ok'} 1 - -strace is golden")
    if found != wanted:
        for a, b in zip(wanted.splitlines() + [""],
                        found.splitlines() + [""]):
            if a != b:
                print(f"# wanted {a}\n# found  {b}")
                break
    sys.exit(found != wanted)


if __name__ == "__main__":
    main()
