"""Each stage that -d shows (in_asm, op, op_opt, out_asm) says what is true.

usage: stages.py BUILD-DIR

Guest code is compared with the disassembler's listing; intermediate code with
what snippets.s does, before and after optimisation; host code with what
another disassembler makes of the bytes in the -jitdump file, where the host
has one.  Skips where host code cannot be shown.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "user"))
from jitdump import records  # noqa: E402

# Names that the two disassemblers give to one instruction.
SAME = {"jnae": "jb", "jc": "jb", "jnb": "jae", "jnc": "jae", "jz": "je",
        "jnz": "jne", "jna": "jbe", "jnbe": "ja", "jnge": "jl", "jnl": "jge",
        "jng": "jle", "jnle": "jg", "retq": "ret", "callq": "call",
        "jmpq": "jmp", "setz": "sete", "setnz": "setne", "setc": "setb",
        "nopw": "nop", "nopl": "nop", "data16": "nop", "cs": "nop",
        "xchg   ax,ax": "nop"}


class Checks:
    def __init__(self):
        self.number = self.failed = 0

    def check(self, good, text, detail=""):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {text}")
        if not good:
            for line in str(detail).splitlines()[:12]:
                print("# " + line)


def regions(log):
    """For each region: its address, guest code, both forms of intermediate
    code and host code, as lists of lines."""
    found = []
    for line in log.splitlines():
        begins = re.match(r"region ([0-9a-f]+)/[0-9a-f]+( tier \d)?(:?)$", line)
        if begins and begins[3]:
            found.append({"ip": int(begins[1], 16), "guest": [], "ir": [],
                          "host": [], "bytes": 0})
        elif begins:
            found[-1]["ir"].append([])
        elif "host code of region: " in line:
            found[-1]["bytes"] = int(re.search(r"(\d+) bytes", line)[1])
        elif line.startswith("  0x"):
            found[-1]["host"].append(line)
        elif found and found[-1]["ir"]:
            found[-1]["ir"][-1].append(line)
        elif found:
            found[-1]["guest"].append(line)
    return found


def listing(objdump, elf):
    """Address of each bundle to its operations, one text."""
    text = subprocess.run([objdump, "-d", elf], check=True, text=True,
                          capture_output=True).stdout
    bundles, at, closed = {}, None, True
    for line in text.splitlines():
        m = re.match(r"\s*([0-9a-f]*):?\t([0-9a-f ]*)\t(.*)", line)
        if not m or not m[3].strip():
            continue
        words = m[3].strip()
        if m[1] and (words.startswith("{") or closed):
            at, closed = int(m[1], 16), False
            bundles[at] = []
            closed = not words.startswith("{")
        closed = closed or words.endswith("}")
        bundles[at].append(words.strip("{} "))
    return bundles


def check_guest(c, region, bundles):
    """in_asm: each bundle of the region as the disassembler has it."""
    wrong = []
    for line in region["guest"]:
        m = re.match(r"  ([0-9a-f]+)(?: \(interpreted\))? (.*)", line)
        at = m and int(m[1], 16)
        wanted = sorted(re.sub(r"\s*<[^>]*>", "", o) for o in
                        bundles.get(at, []) if o)
        if not m or sorted(m[2].split(" ; ")) != wanted:
            wrong.append(f"{line}\n  {wanted}")
    c.check(region["guest"] and not wrong, "in_asm: as in the listing",
            "\n".join(wrong))


def hot(lines):
    """Operations on the way through, without labels and cold code."""
    found, cold = [], False
    for line in lines:
        if line.startswith(" L"):
            cold = "cold" in line
        elif not cold:
            found.append(line.strip())
    return found


def check_ir(c, by_name):
    before, after = map(hot, by_name["add"]["ir"])
    c.check("add8 %r3, %r1, %r2" in before, "op: an addition", before)
    c.check("add8 %r3, %r1, %r2" in after, "op_opt: it is still there", after)
    c.check(len(after) < len(before), "op_opt: less is left",
            (len(before), len(after)))
    c.check(any(line.startswith("mov8") for line in before) and
            not any(re.match(r"mov8 t\d+, \$", line) for line in after),
            "op_opt: no constant is moved for nobody", after)
    before, after = map(hot, by_name["count_loop"]["ir"])
    c.check(any(re.match(r"mov8 %pred0, t\d+", line) for line in before) and
            any(re.match(r"setcond8\.eq t\d+, %r1, \$1", line)
                for line in before),
            "op: a compare's result is moved to a predicate", before)
    c.check("setcond8.eq %pred0, %r1, $1" in after,
            "op_opt: it goes there at once", after)
    for name, region in by_name.items():
        labels = [set(re.findall(r"^ (L\d+):", "\n".join(ir), re.M))
                  for ir in region["ir"]]
        used = [set(re.findall(r"-> (L\d+)", "\n".join(ir)))
                for ir in region["ir"]]
        c.check(len(labels) == 2 and used[0] <= labels[0] and
                used[1] <= labels[1], f"op, op_opt: {name}: labels", used)


def host_lines(region):
    """(address, mnemonic) of each."""
    return [(int(at, 16), words.split()[0]) for at, words in
            (line.strip().split(": ", 1) for line in region["host"])]


def other_listing(objdump, code, address, where):
    path = os.path.join(where, "code")
    with open(path, "wb") as file:
        file.write(code)
    text = subprocess.run(
        [objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel",
         f"--adjust-vma={address:#x}", path], check=True, text=True,
        capture_output=True).stdout
    return [(int(m[1], 16), m[2]) for m in
            re.finditer(r"^\s*([0-9a-f]+):\t[0-9a-f ]+\t(xchg +ax,ax|\S+)",
                        text, re.M)]


def plain(mnemonic):
    return SAME.get(mnemonic, mnemonic)


def check_host(c, found, codes, where):
    objdump = shutil.which("objdump")
    for region in found:
        lines = host_lines(region)
        first, last = lines[0][0], lines[-1][0]
        c.check(all(a[0] < b[0] for a, b in zip(lines, lines[1:])) and
                first <= last < first + region["bytes"],
                f"out_asm: {region['ip']:x}: as long as it says it is",
                region["bytes"])
        code = codes.get(region["ip"])
        if not objdump or code is None:
            continue
        other = other_listing(objdump, code, first, where)
        differ = [(a, b) for a, b in zip(lines, other)
                  if a[0] != b[0] or plain(a[1]) != plain(b[1])]
        c.check(len(code) == region["bytes"] and not differ,
                f"out_asm: {region['ip']:x}: as another disassembler has it",
                differ[:4])


def main():
    build = os.path.realpath(sys.argv[1])
    tool = lambda name: os.path.join(build, "tools", name)
    c = Checks()
    with tempfile.TemporaryDirectory() as where:
        elf = os.path.join(where, "snippets")
        log = os.path.join(where, "log")
        subprocess.run([tool("e2k-as"), "--static", "-o", elf,
                        os.path.join(HERE, "snippets.s")], check=True)
        subprocess.run([tool("e2k-user"), "-accel", "jit", "-jitdump", "-d",
                        "in_asm,op,op_opt,out_asm", "-D", log, elf],
                       check=True, stdout=subprocess.DEVNULL, cwd=where)
        with open(log, encoding="utf-8") as file:
            found = regions(file.read())
        dump = next(name for name in os.listdir(where)
                    if name.startswith("jit-"))
        with open(os.path.join(where, dump), "rb") as file:
            records_found = list(records(file.read()))
        if not any(region["host"] for region in found):
            print("1..0 # SKIP no disassembler for host code")
            return 0
        bundles = listing(tool("e2k-objdump"), elf)
        text = subprocess.run([tool("e2k-objdump"), "-d", elf], check=True,
                              text=True, capture_output=True).stdout
        names = {int(m[1], 16): m[2] for m in
                 re.finditer(r"^([0-9a-f]+) <(\w+)>:", text, re.M)}
        found = [r for r in found if r["host"] and len(r["ir"]) == 2]
        by_name = {names[r["ip"]]: r for r in found if r["ip"] in names}
        c.check({"add", "count_loop", "copy_loop"} <= set(by_name),
                "regions of the snippets are shown", sorted(by_name))
        for region in found:
            check_guest(c, region, bundles)
        check_ir(c, by_name)
        codes = {}
        for region in found:
            at = host_lines(region)[0][0]
            for _, address, _, code in records_found:
                if address == at:
                    codes[region["ip"]] = code
        c.check(len(codes) == len({r["ip"] for r in found}),
                "each region is in the dump", len(codes))
        check_host(c, found, codes, where)
    print(f"1..{c.number}")
    return 1 if c.failed else 0


if __name__ == "__main__":
    sys.exit(main())
