"""Every option of e2k-system, and every option of every device, with values
that make no sense: each is refused with one line and exit status 1, or it
means something and the guest ends well.  Nothing else may happen.

usage: option-walk.py E2K-SYSTEM TRAPS-ELF

What a refusal has to say is in command-line.py.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

SYSTEM, GUEST = (os.path.abspath(word) for word in sys.argv[1:3])

VALUES = ["", "=", ",", ",,x", "-1", "99999999999999999999", "0x",
          "x" * 3000, "\u00e9\x01", "/", "id=", "a=b=c", "{", "{}", "[1]",
          "type=,", "%s%n", "unix:", "tcp:", "file:", "fd:x"]
DEVICE_VALUES = ["", "-1", "99999999999999999999", "x", "x" * 3000, "\u00e9"]
# These read what they are given as the text that it is.
TEXTS = {"-append", "-name", "-display", "-vga"}


def run(where, words, kernel=True):
    command = [SYSTEM] + (["-kernel", GUEST] if kernel else []) + words
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, cwd=where,
                              check=False)
    except subprocess.TimeoutExpired:
        return None


def mistake(where, words):
    """What is wrong with how the command line was treated, or None."""
    done = run(where, words, words[0] != "-kernel")
    if done is None:
        return "it does not end"
    lines = done.stderr.decode(errors="replace").splitlines()
    if done.returncode == 0:
        ended = done.stdout.endswith(b"traps passed\n") or b"" == done.stdout
        if lines or not ended:
            return f"status 0, but: {lines} {done.stdout[-200:]}"
        return None
    if done.returncode != 1:
        return f"status {done.returncode}: {lines}"
    if len(lines) != 1 or not lines[0].startswith("e2k-system: "):
        return f"not one line: {lines}"
    if words[0] in TEXTS and len(words[1]) < 1000:
        return f"a text is refused: {lines}"
    return None


def options(where):
    """Those with an argument, from the help."""
    text = run(where, ["-help"]).stdout.decode()
    found = re.findall(r"^(-\S+) \S", text, re.MULTILINE)
    return [name for name in found if name not in ("-h", "-help")]


def device_options(where):
    """Pairs of a device and one of its options, from what they say; of a
    device for several buses, one."""
    text = run(where, ["-device", "help"]).stdout.decode()
    names = re.findall(r'^name "([\w-]+)", bus (?:any|PCI)', text,
                       re.MULTILINE)
    pairs = []
    for name in names:
        if name.endswith("-pci"):
            continue
        said = run(where, ["-device", f"{name},no-such=1"]).stderr.decode()
        known = re.search(r"there are: (.*)", said)
        if "unknown option 'no-such'" in said:
            pairs += [(name, key.strip())
                      for key in known.group(1).split(",")]
    return pairs


def main():
    with tempfile.TemporaryDirectory() as where:
        names, pairs = options(where), device_options(where)
        walks = [[name, value] for name in names for value in VALUES]
        walks += [["-device", f"{device},{key}={value}"]
                  for device, key in pairs for value in DEVICE_VALUES]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda words: mistake(where, words),
                                    walks))
    bad = 0
    for words, what in zip(walks, results):
        if what:
            bad += 1
            print(f"{words[0]} {words[1][:80]!r}: {what[:400]}")
    print(f"{len(names)} options, {len({d for d, _ in pairs})} devices with "
          f"{len(pairs)} options: {len(walks) - bad} passed, {bad} failed")
    sys.exit(0 if not bad and len(names) > 25 and len(pairs) > 35 else 1)


main()
