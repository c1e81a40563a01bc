#!/usr/bin/env python3
"""The linker from outside: shared libraries as input, copies, indirect calls.

linking.py E2K-AS E2K-USER

Files are read here with a small ELF reader of its own; a static program with
indirect functions is also run.
"""
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

AS, USER = sys.argv[1:3]

COPY, ABS, JMP_SLOT, RELATIVE, IRELATIVE = 64, 50, 63, 65, 67
FUNC, OBJECT, IFUNC = 2, 1, 10

LIBRARY = """
        .text
        .global f
        .type   f, @function
f:      return  %ctpr3
        nop 5
        ct      %ctpr3
        .size   f, . - f
        .data
        .align  32
        .global v, w
        .type   v, @object
        .size   v, 12
        .type   w, @object
        .size   w, 12
v:
w:      .word   1, 2, 3
"""

PROGRAM = """
        .text
        .global _start
_start: { setwd wsz = 16, nfx = 1
          addd,0 0, _f64,_lts1 v, %dr0 }
        { addd,0 0, _f64,_lts0 f, %dr1
          disp %ctpr1, f }
        nop 5
        call %ctpr1, wbs = 8
        .data
        .quad f
        .quad w
"""

# Applies the relocations between __rela_iplt_start and _end, calls "chosen"
# directly and through a pointer, exits with the sum of the results.
INDIRECT = """
        .text
        .global _start
_start: { setwd wsz = 24, nfx = 1
          setbn rbs = 16, rsz = 7, rcur = 0
          addd,0 0, _f64,_lts1 __rela_iplt_start, %dr0 }
        addd,0 0, _f64,_lts0 __rela_iplt_end, %dr1
2:      { cmpbdb,0 %dr0, %dr1, %pred0
          disp %ctpr1, 3f }
        { ldd,0 %dr0, 0, %dr2
          ldd,3 %dr0, 16, %dr3
          nop 5 }
        ct %ctpr1 ? ~%pred0
        movtd,0 %dr3, %ctpr1
        nop 6
        call %ctpr1, wbs = 16
        { std,2 %dr2, 0, %db[0]
          addd,0 %dr0, 24, %dr0
          disp %ctpr1, 2b }
        ct %ctpr1
3:      disp %ctpr1, chosen
        nop 5
        call %ctpr1, wbs = 16
        { addd,0 %db[0], 0, %dr4
          addd,1 0, _f64,_lts0 pointer, %dr5 }
        ldd,0 %dr5, 0, %dr5
        nop 5
        movtd,0 %dr5, %ctpr1
        nop 6
        call %ctpr1, wbs = 16
        { addd,0 %db[0], %dr4, %db[1]
          addd,1 0, 1, %db[0]
          sdisp %ctpr1, 3 }
        nop 5
        call %ctpr1, wbs = 16
        .type   chosen, @gnu_indirect_function
        .global chosen
chosen: { setwd wsz = 8, nfx = 1
          return %ctpr3
          addd,0 0, _f64,_lts1 real, %dr0 }
        nop 5
        ct %ctpr3
real:   { setwd wsz = 8, nfx = 1
          return %ctpr3
          addd,0 0, 21, %dr0 }
        nop 5
        ct %ctpr3
        .data
pointer: .quad  chosen
"""


# A 32-bit program: calls f through its address, exits with the result.
NARROW = """
        .text
        .global _start
_start: { setwd wsz = 24, nfx = 1
          setbn rbs = 16, rsz = 7, rcur = 0
          sxt,0 6, pointer, %dr0 }
        { ldw,0 %dr0, 0, %dr1
          nop 4 }
        movtd,0 %dr1, %ctpr1
        nop 6
        call %ctpr1, wbs = 16
        { addd,0 %db[0], 0, %db[1]
          addd,1 0, 1, %db[0]
          sdisp %ctpr1, 1 }
        nop 5
        call %ctpr1, wbs = 16
f:      { setwd wsz = 8, nfx = 1
          return %ctpr3
          addd,0 0, 42, %dr0 }
        nop 5
        ct %ctpr3
        .data
        .byte 1
        .align 4
pointer: .word  f
"""

# A local indirect function called from its own section.
LOCAL_INDIRECT = """
        .text
        .type   pick, @gnu_indirect_function
caller: disp    %ctpr1, pick
pick:   return  %ctpr3
        nop 5
        ct      %ctpr3
        .data
        .quad   pick
"""


# Exits with the low bits of an address that is aligned to 64 KiB, in 8 KiB.
ALIGNED = """
        .text
        .align  65536
        .global _start
_start: { setwd wsz = 24, nfx = 1
          setbn rbs = 16, rsz = 7, rcur = 0
          rrd %ip, %dr0 }
        { addd,0 %dr0, _f32s,_lts0 v - _start, %dr0 }
        { andd,0 %dr0, 0xffff, %dr0 }
        { shrd,0 %dr0, 12, %db[1]
          addd,1 0, 1, %db[0]
          sdisp %ctpr1, ENTRY }
        nop 5
        call %ctpr1, wbs = 16
        .data
        .byte   1
        .align  65536
v:      .byte   2
"""


class Elf:
    """Sections, dynamic symbols, dynamic relocations and entries by name."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = data = f.read()
        shoff, = struct.unpack_from("<Q", data, 40)
        count, names = struct.unpack_from("<HH", data, 60)
        self.headers = [struct.unpack_from("<IIQQQQIIQQ", data,
                                           shoff + 64 * i)
                        for i in range(count)]
        self.sections = {self.text(names, h[0]): h for h in self.headers}

    def text(self, table, offset):
        start = self.headers[table][4] + offset
        return self.data[start:self.data.index(b"\0", start)].decode()

    def rows(self, name, form):
        h = self.sections.get(name)
        return struct.iter_unpack(form, self.data[h[4]:h[4] + h[5]]) if h \
            else iter(())

    def symbols(self):
        link = self.sections[".dynsym"][6]
        return [(self.text(link, n), info & 15, section, value, size)
                for n, info, _, section, value, size
                in self.rows(".dynsym", "<IBBHQQ")]

    def relocs(self):
        symbols = self.symbols() if ".dynsym" in self.sections else []
        return [(info & 0xffffffff,
                 symbols[info >> 32][0] if info >> 32 else "", offset, addend)
                for name in (".rela.dyn", ".rela.plt", ".rela.iplt")
                for offset, info, addend in self.rows(name, "<QQq")]

    def needed(self):
        link = self.sections[".dynamic"][6]
        return [self.text(link, value)
                for tag, value in self.rows(".dynamic", "<QQ") if tag == 1]

    def inside(self, address, name):
        h = self.sections[name]
        return h[3] <= address < h[3] + h[5]


class Linking(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.lib = self.build("libx.so", LIBRARY, "--shared", "--soname",
                              "libx.so.1")

    def tearDown(self):
        shutil.rmtree(self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def source(self, text):
        with open(self.path("a.s"), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path("a.s")

    def run_as(self, *args):
        return subprocess.run([AS, *args], capture_output=True, text=True)

    def build(self, name, text, *options):
        done = self.run_as(*options, "-o", self.path(name), self.source(text))
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.path(name)

    def refuse(self, wanted, text, *options):
        done = self.run_as(*options, "-o", self.path("x"), self.source(text))
        self.assertEqual(done.returncode, 1)
        self.assertIn(wanted, done.stderr)
        self.assertFalse(os.path.exists(self.path("x")))

    def test_program_with_library(self):
        """Objects are copied, functions have their table entry as address."""
        elf = Elf(self.build("p", PROGRAM, "--dynamic-linker=/lib/ld.so",
                             self.lib))
        symbols = {s[0]: s for s in elf.symbols()}
        relocs = elf.relocs()
        copies = [r for r in relocs if r[0] == COPY]
        self.assertEqual(elf.needed(), ["libx.so.1"])
        self.assertEqual(len(copies), 1)
        self.assertEqual(copies[0][1], "v")
        self.assertTrue(elf.inside(copies[0][2], ".dynbss"))
        self.assertEqual(copies[0][2] % 32, 0)
        for name in "vw":
            self.assertEqual(symbols[name][1:],
                             (OBJECT, symbols["v"][2], copies[0][2], 12))
        self.assertEqual(symbols["f"][1:3], (FUNC, 0))
        self.assertTrue(elf.inside(symbols["f"][3], ".plt"))
        self.assertIn(JMP_SLOT, [r[0] for r in relocs if r[1] == "f"])
        # The literals hold the copy's and the entry's address.
        h = elf.sections[".text"]
        code = elf.data[h[4]:h[4] + h[5]]
        for address in (copies[0][2], symbols["f"][3]):
            self.assertIn(struct.pack("<II", address >> 32,
                                      address & 0xffffffff), code)

    def test_position_independent(self):
        """Through the offset table nothing has to be copied."""
        elf = Elf(self.build("p", """
                .text
                .global _start
        _start: rrd %ip, %dr1
                { ldd,0 %dr1, _f32s,_lts0 v@GOT, %dr0 }
                .data
                .quad f
                """, "--pie", self.lib))
        self.assertEqual(sorted(r[:2] for r in elf.relocs()),
                         [(ABS, "f"), (ABS, "v")])

    def test_library_on_library(self):
        elf = Elf(self.build("liby.so", "\t.data\n\t.quad v\n", "--shared",
                             self.lib))
        self.assertEqual(elf.needed(), ["libx.so.1"])
        self.assertEqual([r[:2] for r in elf.relocs()], [(ABS, "v")])

    def test_refused(self):
        self.refuse("a static program cannot use a shared library", PROGRAM,
                    "--static", self.lib)
        for reloc in "_f32s x@TLS_LE", "x@TLS_LE":
            self.refuse("only a program knows", f"""
                    addd %dg13, {reloc}, %dr0
                    .section .tdata, "awT"
            x:      .word 1
            """, "--shared")
        self.refuse("'none' is not defined", "\tdisp %ctpr1, none\n",
                    "--dynamic-linker=/lib/ld.so", self.lib)

    def test_damaged_library(self):
        """Any prefix, and any changed byte of the tables: no crash."""
        with open(self.lib, "rb") as f:
            data = f.read()
        sizes = range(64, len(data), 97)
        for size in sizes:
            with open(self.path("bad.so"), "wb") as f:
                f.write(data[:size])
            done = self.run_as("--pie", "-o", self.path("x"),
                               self.path("bad.so"), self.source("nop\n"))
            self.assertEqual(done.returncode, 1, size)
        for at in range(len(data) - 64 * 12, len(data), 5):
            with open(self.path("bad.so"), "wb") as f:
                f.write(data[:at] + b"\xff" + data[at + 1:])
            done = self.run_as("--pie", "-o", self.path("x"),
                               self.path("bad.so"), self.source("nop\n"))
            self.assertIn(done.returncode, (0, 1), at)

    def test_huge_alignment(self):
        """A small file cannot ask for an output of gigabytes."""
        obj = self.build("a.o", "\t.data\n\t.byte 1\n")
        with open(obj, "rb") as f:
            data = bytearray(f.read())
        elf = Elf(obj)
        number = list(elf.sections).index(".data")
        shoff, = struct.unpack_from("<Q", data, 40)
        struct.pack_into("<Q", data, shoff + 64 * number + 48, 1 << 30)
        with open(self.path("b.o"), "wb") as f:
            f.write(data)

        def run_small(*args):
            return subprocess.run(
                [AS, *args, "-o", self.path("x")], capture_output=True,
                text=True, preexec_fn=lambda: resource.setrlimit(
                    resource.RLIMIT_AS, (256 << 20, 256 << 20)))
        done = run_small("--static", obj, self.path("b.o"))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("larger than 1 GiB", done.stderr)
        done = run_small("-c", self.path("b.o"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(os.path.getsize(self.path("x")), 1 << 20)

    def test_indirect_static(self):
        elf = Elf(self.build("p", INDIRECT, "--static"))
        relocs = elf.relocs()
        self.assertEqual([r[0] for r in relocs], [IRELATIVE])
        self.assertTrue(elf.inside(relocs[0][2], ".got"))
        self.assertTrue(elf.inside(relocs[0][3], ".text"))
        done = subprocess.run([USER, self.path("p")], capture_output=True)
        self.assertEqual(done.returncode, 42, done.stderr)

    def test_local_indirect(self):
        """Also in its own section nothing goes around the entry."""
        for how in "--pie", "--shared":
            elf = Elf(self.build("l", LOCAL_INDIRECT, how))
            kinds = [r[0] for r in elf.relocs()]
            self.assertEqual(kinds, [RELATIVE, IRELATIVE])
            h = elf.sections[".text"]
            displacement, = struct.unpack_from("<I", elf.data, h[4] + 4)
            target = h[3] + 8 * (displacement & 0xfffffff)
            self.assertTrue(elf.inside(target, ".iplt"))
            pointer, resolver = (r[3] for r in elf.relocs())
            self.assertEqual(pointer, target)
            self.assertTrue(elf.inside(resolver, ".text"))

    def test_narrow_static(self):
        """32-bit programs, from source and from an object file."""
        self.build("p", NARROW, "-mptr32", "--static")
        obj = self.build("n.o", NARROW, "-mptr32")
        done = self.run_as("--static", "-o", self.path("q"), obj)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in "pq":
            with open(self.path(name), "rb") as f:
                head = f.read(52)
            self.assertEqual(head[4], 1)
            done = subprocess.run([USER, self.path(name)],
                                  capture_output=True)
            self.assertEqual(done.returncode, 42, done.stderr)
        done = self.run_as("--static", "-o", self.path("x"), obj,
                           self.source("nop\n"))
        self.assertIn("is a 32-bit file", done.stderr)
        self.refuse("in this place of a 32-bit file",
                    "addd 0, f@GOTOFF, %dr0", "-mptr32")
        self.refuse("does not fit a 32-bit file",
                    "\t.data\n\t.dword f + 0x100000000\n", "-mptr32")
        self.refuse("of 'x' does not fit a 32-bit file",
                    "\t.global x\n\t.equ x, 0x123456789\n", "-mptr32")
        self.refuse("ends beyond the last address", NARROW, "-mptr32",
                    "--static", "-Tdata=0xfffffffe")

    def test_machine_numbers(self):
        """Objects of the old number link; their flags are read as its own."""
        obj = self.build("n.o", "\tnop\n\t.global _start\n_start: nop\n",
                         "-march=e2kv3")
        with open(obj, "rb") as f:
            data = f.read()
        cases = ((175, 4 << 24, 0, 4), (175, 19 << 24, 0, 4),
                 (175, 23 << 24, 0, 6), (175, 25 << 24, 0, 7),
                 (49, 3 << 28, 2, 3), (49, 5 << 28 | 0x20, 2, 5),
                 (175, 3 << 24 | 0x20, 0, None), (49, 3 << 28, 5, None),
                 (49, 3 << 28, 6, None))
        for machine, flags, semantic, isa in cases:
            changed = bytearray(data)
            changed[7] = semantic
            struct.pack_into("<H", changed, 18, machine)
            struct.pack_into("<I", changed, 48, flags)
            with open(self.path("m.o"), "wb") as f:
                f.write(changed)
            done = self.run_as("--static", "-o", self.path("m"),
                               self.path("m.o"))
            case = (machine, hex(flags), semantic)
            if not isa:
                self.assertEqual(done.returncode, 1, case)
                self.assertIn("protected", done.stderr)
                continue
            self.assertEqual(done.returncode, 0, (case, done.stderr))
            with open(self.path("m"), "rb") as f:
                out = f.read(64)
            self.assertEqual((struct.unpack_from("<H", out, 18)[0],
                              struct.unpack_from("<I", out, 48)[0]),
                             (175, isa << 24), case)

    def test_alignment(self):
        """What is loaded anywhere is loaded where its sections fit."""
        for narrow in [], ["-mptr32"]:
            path = self.build("p", ALIGNED, "--pie", *narrow,
                              f"--defsym=ENTRY={1 if narrow else 3}")
            done = subprocess.run([USER, path], capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)
        elf = Elf(self.build("p", ALIGNED, "--pie", "--defsym=ENTRY=3"))
        phnum, = struct.unpack_from("<H", elf.data, 56)
        loads = [s for s in (struct.unpack_from("<IIQQQQQQ", elf.data,
                                                64 + 56 * i)
                             for i in range(phnum)) if s[0] == 1]
        for _, _, offset, address, _, _, _, align in loads:
            self.assertEqual(align, 65536)
            self.assertEqual((offset - address) % align, 0)
        self.assertEqual(loads[0][2:4], (0, 0), "the headers are loaded")
        self.refuse("is too large for a file that is loaded anywhere",
                    "\t.data\n\t.align 4194304\n\t.byte 1\n", "--pie")

    def test_indirect_dynamic(self):
        """The loader resolves them, after everything else."""
        text = INDIRECT[INDIRECT.index("        .type   chosen"):]
        text = text.replace("_f64,_lts1 real", "0x0")
        elf = Elf(self.build("p", text, "--pie"))
        self.assertEqual([r[0] for r in elf.relocs()],
                         [RELATIVE, IRELATIVE])
        chosen, = (s for s in elf.symbols() if s[0] == "chosen")
        self.assertEqual(chosen[1], FUNC)
        self.assertTrue(elf.inside(chosen[3], ".iplt"))
        # A library leaves it to whoever uses it.
        elf = Elf(self.build("l", text, "--shared"))
        chosen, = (s for s in elf.symbols() if s[0] == "chosen")
        self.assertEqual(chosen[1], IFUNC)
        self.assertEqual([r[:2] for r in elf.relocs()], [(ABS, "chosen")])


unittest.main(argv=sys.argv[:1], verbosity=2)
