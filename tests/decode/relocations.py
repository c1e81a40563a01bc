#!/usr/bin/env python3
"""Every relocation type of the architecture has a test that covers it.

relocations.py E2K-AS SOURCE-ROOT

ROWS says which: "loader" are those that a guest's dynamic loader applies
(tests/user/dynamic.py), "linker" those that the static linker settles, which
is checked here against formulas written down a second time, and "refused"
those of protected mode and of loaders, which no object file may have.  A type
that target-e2k/obj.h has and ROWS has not fails.
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

AS, ROOT = sys.argv[1:3]
sys.path[:0] = [os.path.join(ROOT, "tests", "lib"),
                os.path.join(ROOT, "tests", "user")]

import dynamic  # noqa: E402
import elf  # noqa: E402

ROWS = {
    "32_ABS": "linker loader",
    "32_PC": "linker",
    "AP_GOT": "refused",
    "PL_GOT": "refused",
    "32_JMP_SLOT": "loader refused",
    "32_COPY": "loader refused",
    "32_RELATIVE": "loader refused",
    "32_IRELATIVE": "loader refused",
    "32_SIZE": "linker loader",
    "32_DYNOPT": "linker",
    "64_ABS": "linker loader",
    "64_ABS_LIT": "linker loader",
    "64_PC_LIT": "linker",
    "64_JMP_SLOT": "loader refused",
    "64_COPY": "loader refused",
    "64_RELATIVE": "loader refused",
    "64_RELATIVE_LIT": "loader refused",
    "64_IRELATIVE": "loader refused",
    "64_SIZE": "linker loader",
    "64_GOTOFF": "linker",
    "TLS_GDMOD": "linker",
    "TLS_GDREL": "linker",
    "TLS_IE": "linker",
    "32_TLS_LE": "linker",
    "64_TLS_LE": "linker",
    "TLS_32_DTPMOD": "loader refused",
    "TLS_32_DTPREL": "linker loader",
    "TLS_64_DTPMOD": "loader refused",
    "TLS_64_DTPREL": "linker loader",
    "TLS_TPOFF32": "loader refused",
    "TLS_TPOFF64": "loader refused",
    "AP": "refused",
    "PL": "refused",
    "GOT": "linker",
    "GOTOFF": "linker",
    "DISP": "linker",
    "PREF": "linker",
    "NONE": "linker",
    "GOTPLT": "linker",
    "ISLOCAL": "linker",
    "ISLOCAL32": "linker",
    "64_GOTOFF_LIT": "linker",
    "64_DYNOPT": "linker",
}

# Two files, so that symbols are another file's.  Values differ everywhere.
DATA = """
        .data
        .skip   24
        .global value, function, local_sized
        .type   value, @object
        .size   value, 40
value:  .skip   40
        .word   value + 3, value - . , value@SIZE, value@DYNOPT
        .word   value@ISLOCAL, value@ISLOCAL, value
        .weak   missing
        .word   missing@DYNOPT
        .word   thread@TLS_DTPREL, value@GOTOFF
        .text
        nop
function:
        nop 1
        .section .tdata, "awT", @progbits
        .align  32
        .skip   8
        .global thread
thread: .skip   16
"""

CODE = """
        .text
        .global _start
        .skip   520
_start: disp    %ctpr1, function
        disp    %ctpr2, _start
        { nop
          pref  %ipr0, disp = function, ipd = 0 }
here:   { addd,0 %dr0, _f32s,_lts0 _GLOBAL_OFFSET_TABLE_ - here, %dr1 }
        { ldw,0 %dr1, _f32s,_lts0 value@GOT, %dr2
          ldw,3 %dr1, _f32s,_lts1 value@GOTPLT, %dr3 }
        { ldw,0 %dr1, _f32s,_lts0 thread@TLS_GDMOD, %dr2
          ldw,3 %dr1, _f32s,_lts1 thread@TLS_GDREL, %dr3 }
        { ldw,0 %dr1, _f32s,_lts0 thread@TLS_IE, %dr2
          ldw,3 %dg13, _f32s,_lts1 thread@TLS_LE, %dr3 }
        { addd,0 %dr1, _f32s,_lts0 value@GOTOFF, %dr2 }
"""

WIDE = """
        .data
        .quad   value + 5, value@SIZE, value@GOTOFF, value@DYNOPT
        .quad   missing@DYNOPT, thread@TLS_DTPREL
        .weak   missing
        .text
        { addd,0 0, _f64,_lts0 value + 7, %dr1 }
there:  { addd,0 %dr0, _f64,_lts0 _GLOBAL_OFFSET_TABLE_ - there, %dr1 }
        { addd,0 %dr0, _f64,_lts0 value@GOTOFF, %dr1 }
        { addd,0 %dg13, _f64,_lts0 thread@TLS_LE, %dr1 }
"""

# Types that no source makes: made of another one in the object file.
REPLACED = {"ISLOCAL": "ISLOCAL32", "NONE": "32_ABS"}


def numbers():
    """Names and numbers from the enumeration in obj.h."""
    with open(os.path.join(ROOT, "target-e2k", "obj.h"),
              encoding="utf-8") as f:
        text = f.read()
    body = text[text.index("typedef enum E2kReloc"):text.index("} E2kReloc;")]
    return {name: int(number)
            for name, number in re.findall(r"R_E2K_(\w+) = (\d+)", body)}


NUMBERS = numbers()
NAMES = {number: name for name, number in NUMBERS.items()}


class Linked:
    """A linked file and the objects it was made of."""

    def __init__(self, path, objects):
        self.elf = elf.Elf(path)
        self.objects = [elf.Elf(o) for o in objects]
        self.bits = self.elf.bits
        self.symbols = {s.name: s for s in self.elf.symbols()}
        got = self.elf.section(".got")
        self.got = got.address if got else 0
        tls = [s for s in self.elf.segments if s.type == elf.PT_TLS]
        self.tls = tls[0] if tls else None
        self.bases = self.place_sections()

    def place_sections(self):
        """Where each object's section went: inputs of one name follow each
        other, aligned."""
        ends, bases = {}, []
        for o in self.objects:
            base = {}
            for i, s in enumerate(o.sections):
                out = self.elf.section(s.name)
                if s.name and s.flags & 2 and s.size and out:
                    at = ends.get(s.name, out.address)
                    at = (at + s.align - 1) // s.align * s.align
                    base[i] = at
                    ends[s.name] = at + s.size
            bases.append(base)
        return bases

    def address(self, n, symbol):
        """S of a symbol of object n; thread-local ones by address, too."""
        if symbol.type == 3:  # a section
            return self.bases[n][symbol.section]
        if symbol.name == "_GLOBAL_OFFSET_TABLE_":
            return self.got
        if symbol.name not in self.symbols:
            return 0
        s = self.symbols[symbol.name]
        return s.value + (self.tls.vaddr if s.type == 6 else 0)

    def tp_offset(self, address):
        head, align = self.bits // 4, self.tls.align
        return address - self.tls.vaddr + (head + align - 1) // align * align

    def word(self, address, size):
        return int.from_bytes(self.elf.bytes_at(address, size), "little")

    def slot(self, place):
        """What the slot holds whose offset stands at a place."""
        return self.word(self.got + self.word(place, 4), self.bits // 8)


def field(name, found, old, place, value):
    """Whether what was found at a place is the value, stored as the type
    says over the old bytes."""
    word, = struct.unpack_from("<I", found)
    before, = struct.unpack_from("<I", old)
    if name == "NONE":
        return found[:4] == old[:4]
    if name == "DISP":
        return word == (before & 0xf0000000) | (value >> 3 & 0xfffffff)
    if name == "PREF":
        inside = before >> 4 & 0xffffff
        lines = ((value & ~127) - ((place - inside) & ~127)) >> 7
        return word == (before & 0xf000000f) | (lines & 0xffffff) << 4
    if name == "ISLOCAL":
        return found[2] == 0xc0 + value and \
            (word ^ before) & 0xff00ffff == 0
    if name.endswith("_LIT") or name == "64_TLS_LE":
        low, = struct.unpack_from("<I", found, 4)
        return word << 32 | low == value & (1 << 64) - 1
    if name.startswith("64_") or name == "TLS_64_DTPREL":
        return int.from_bytes(found[:8], "little") == value & (1 << 64) - 1
    return word == value & 0xffffffff


def is_right(linked, n, name, r, place, old):
    """Whether the linker settled relocation r of object n."""
    symbol = linked.objects[n].symbols()[r.symbol]
    s = linked.address(n, symbol)
    value = s + r.addend
    size = symbol.size or getattr(linked.symbols.get(symbol.name), "size", 0)
    slots = {"GOT": value, "GOTPLT": value, "TLS_GDMOD": 1}
    if linked.tls:
        slots.update(TLS_GDREL=value - linked.tls.vaddr,
                     TLS_IE=linked.tp_offset(value))
    if name in slots:
        return linked.slot(place) == slots[name]
    if name in ("32_PC", "64_PC_LIT", "DISP"):
        value -= place
    elif "GOTOFF" in name:
        value -= linked.got
    elif name.endswith("TLS_LE"):
        value = linked.tp_offset(value)
    elif name.endswith("DTPREL"):
        value -= linked.tls.vaddr
    elif name.endswith("SIZE"):
        value = size + r.addend
    elif name.startswith("ISLOCAL"):
        value = 1
    elif name.endswith("DYNOPT") and not s:
        value = 0
    length = 8 if "64" in name else 4
    return field(name, linked.elf.bytes_at(place, length), old, place, value)


class Relocations(unittest.TestCase):
    seen = set()
    refused = set()

    def setUp(self):
        self.dir = tempfile.mkdtemp()

    def tearDown(self):
        shutil.rmtree(self.dir)

    def run_as(self, *args):
        return subprocess.run([AS, *args], capture_output=True, text=True)

    def assemble(self, name, text, bits):
        path = os.path.join(self.dir, name)
        with open(path + ".s", "w", encoding="utf-8") as f:
            f.write(text)
        done = self.run_as(*(["-mptr32"] if bits == 32 else []), "-o", path,
                           path + ".s")
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def replace(self, path, old, new, count=1):
        """Changes the type of some relocations in an object file."""
        obj = elf.Elf(path)
        data = bytearray(obj.data)
        for s in obj.sections:
            if s.type != elf.SHT_RELA:
                continue
            for r in obj.relocs(s):
                if r.type == old and count:
                    data[r.at] = new & 255
                    if obj.bits == 64:
                        data[r.at + 1] = new >> 8
                    count -= 1
        self.assertEqual(count, 0, "nothing to replace")
        with open(path, "wb") as f:
            f.write(data)

    def link(self, bits):
        texts = [DATA, CODE] + ([WIDE] if bits == 64 else [])
        objects = [self.assemble(f"{i}.o", text, bits)
                   for i, text in enumerate(texts)]
        for new, old in REPLACED.items():
            self.replace(objects[0], NUMBERS[old], NUMBERS[new])
        out = os.path.join(self.dir, "out")
        done = self.run_as("--static", "-o", out, *objects)
        self.assertEqual(done.returncode, 0, done.stderr)
        return Linked(out, objects)

    def check_all(self, bits):
        linked = self.link(bits)
        self.assertEqual(linked.bits, bits)
        for n, obj in enumerate(linked.objects):
            for s in obj.sections:
                if s.type != elf.SHT_RELA:
                    continue
                target = obj.sections[s.info]
                for r in obj.relocs(s):
                    name = NAMES[r.type]
                    old = obj.data[target.offset + r.offset:][:8]
                    place = linked.bases[n][s.info] + r.offset
                    self.assertTrue(is_right(linked, n, name, r, place,
                                             old.ljust(8, b"\0")),
                                    f"{bits} bits: {name} in file {n} at "
                                    f"{target.name}+{r.offset:#x}")
                    self.seen.add(name)

    def test_1_linker_64(self):
        self.check_all(64)

    def test_1_linker_32(self):
        self.check_all(32)

    def test_1_islocal(self):
        """In a library, what another object may define is not local."""
        text = """
                .data
                .global open, closed
                .hidden closed
        open:   .word   open@ISLOCAL, closed@ISLOCAL
        closed: .word   open@ISLOCAL, closed@ISLOCAL
        """
        obj = self.assemble("l.o", text, 64)
        for name in "ISLOCAL32", "ISLOCAL":
            if name == "ISLOCAL":
                self.replace(obj, NUMBERS["ISLOCAL32"], NUMBERS[name], 4)
            out = os.path.join(self.dir, "l.so")
            done = self.run_as("--shared", "-o", out, obj)
            self.assertEqual(done.returncode, 0, done.stderr)
            data = elf.Elf(out).section(".data")
            words = struct.unpack_from("<4I", elf.Elf(out).data, data.offset)
            wanted = (0, 1, 0, 1)
            if name == "ISLOCAL":
                wanted = tuple((0xc0 + w) << 16 for w in wanted)
            self.assertEqual(words, wanted)

    def test_1_refused(self):
        """What is no object file's business is an error that names it."""
        for name, how in ROWS.items():
            if "refused" not in how:
                continue
            obj = self.assemble("r.o", "\t.data\n\t.word other\n", 64)
            self.replace(obj, NUMBERS["32_ABS"], NUMBERS[name])
            done = self.run_as("--shared", "-o", os.path.join(self.dir, "x"),
                               obj)
            self.assertEqual(done.returncode, 1, name)
            self.assertIn(f"R_E2K_{name} ", done.stderr)
            self.refused.add(name)

    def test_2_every_row(self):
        """The rows are the types there are, and each was covered."""
        self.assertEqual(ROWS.keys(), NUMBERS.keys())
        wanted = {NAMES[n] for types in dynamic.WANTED.values()
                  for n in types}
        covered = {"linker": self.seen, "loader": wanted,
                   "refused": self.refused}
        for way, names in covered.items():
            self.assertEqual({name for name, how in ROWS.items()
                              if way in how.split()}, names, way)


unittest.main(argv=sys.argv[:1], verbosity=2)
