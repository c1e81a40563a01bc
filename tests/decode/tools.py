#!/usr/bin/env python3
"""e2k-as and e2k-objdump from outside: files, options, exit status.

tools.py E2K-AS E2K-OBJDUMP SOURCE-DIR [SHARED-DIR]

With SHARED-DIR, the programs there are assembled and compared, section by
section, with the executables another tool chain made from the same sources.
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

AS, OBJDUMP, HERE = sys.argv[1:4]
SHARED = sys.argv[4] if len(sys.argv) > 4 else None


def run(*args, status=0):
    result = subprocess.run(args, capture_output=True, text=True)
    if result.returncode != status:
        raise AssertionError(f"{args}: status {result.returncode}, wanted "
                             f"{status}\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def sections(path):
    """name -> (address, bytes or size) of an ELF file."""
    with open(path, "rb") as f:
        data = f.read()
    shoff, = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, 60)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i)
               for i in range(count)]
    result = {}
    for h in headers:
        start = headers[names][4] + h[0]
        name = data[start:data.index(b"\0", start)].decode()
        result[name] = (h[3], h[5] if h[1] == 8 else data[h[4]:h[4] + h[5]])
    return result


class Tools(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()

    def tearDown(self):
        shutil.rmtree(self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def source(self, text, name="a.s"):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def test_objdump_text(self):
        """The whole output for a small program, as kept in listing.txt."""
        run(AS, "--static", "-march=e2kv5", "-o", self.path("listing"),
            os.path.join(HERE, "listing.s"))
        out = run(OBJDUMP, "-fhtd", self.path("listing"))
        out = out.replace(self.path("listing"), "listing")
        golden = os.path.join(HERE, "listing.txt")
        if os.environ.get("E2K_REGENERATE"):
            with open(golden, "w", encoding="utf-8") as f:
                f.write(out)
        with open(golden, encoding="utf-8") as f:
            self.assertEqual(out, f.read())

    def test_separate_and_joined(self):
        """Objects linked later give the same bytes as sources at once."""
        a = self.source("\t.global _start\n_start: disp %ctpr1, f\n", "a.s")
        b = self.source("\t.global f\nf: nop\n\t.data\n\t.quad f\n", "b.s")
        run(AS, "-o", self.path("a.o"), a)
        run(AS, "-o", self.path("b.o"), b)
        run(AS, "--static", "-o", self.path("x"), a, b)
        run(AS, "--static", "-o", self.path("y"), self.path("a.o"),
            self.path("b.o"))
        for name in (".text", ".data"):
            self.assertEqual(sections(self.path("x"))[name],
                             sections(self.path("y"))[name])
        self.assertTrue(os.access(self.path("x"), os.X_OK))

    def test_readelf(self):
        """Other ELF tools accept objects, executables and libraries."""
        if not shutil.which("readelf"):
            self.skipTest("readelf is not installed")
        for narrow, address in ([], ".quad"), (["-mptr32"], ".word"):
            a = self.source("\t.global _start\n\t.type _start, @function\n"
                            "_start: disp %ctpr1, _start\n\t.data\n"
                            f"\t{address} _start, other\n\t.weak other\n"
                            "\t.section .tdata, \"awT\"\n\t.word 1\n")
            for options in (["-c"], ["--static"], ["--shared"], ["--pie"],
                            ["-g"]):
                run(AS, *narrow, *options, "-o", self.path("f"), a)
                out = run("readelf", "-aW", self.path("f"))
                self.assertIn("Elbrus", out)
                self.assertIn("ELF32" if narrow else "ELF64", out)
                for bad in ("Warning", "Error", "corrupt"):
                    self.assertNotIn(bad, out)
            out = run("readelf", "-wL", self.path("f"))
            self.assertRegex(out, r"a\.s\s+3\s")

    def test_objdump_narrow(self):
        """Files with 32-bit pointers: the same views."""
        a = self.source("_start: sxt,0 6, v, %dr1\n\t.data\n"
                        "v:\t.word v + 4\n")
        run(AS, "-mptr32", "-o", self.path("a.o"), a)
        out = run(OBJDUMP, "-r", self.path("a.o"))
        self.assertRegex(out, r"R_E2K_32_ABS +\.data\+0x0*4")
        out = run(OBJDUMP, "-htrd", self.path("a.o"))
        self.assertIn("file format elf32-e2k", out)
        self.assertIn("R_E2K_32_ABS\t.data", out)
        self.assertIn("sxt,0 0x6, ", out)
        run(AS, "--shared", "-o", self.path("a.so"), self.path("a.o"))
        out = run(OBJDUMP, "-fr", self.path("a.so"))
        self.assertIn("elf32-e2k", out)
        self.assertIn("R_E2K_32_RELATIVE", out)

    def test_flat_image(self):
        a = self.source("nop\n\t.data\n\t.byte 1, 2\n")
        run(AS, "--format=binary", "-Ttext=0x1000", "-Tdata=0x1010", "-o",
            self.path("i"), a)
        with open(self.path("i"), "rb") as f:
            self.assertEqual(f.read(), bytes(16) + b"\1\2")
        out = run(OBJDUMP, "-D", "-b", "binary", "-m", "e2k:5",
                  "--adjust-vma=0x1000", "--stop-address=0x1008",
                  self.path("i"))
        self.assertIn("    1000:\t00 00 00 00 00 00 00 00 \tnop", out)
        self.assertNotIn("1008:", out)

    def test_include_and_defsym(self):
        os.mkdir(self.path("inc"))
        self.source("\t.byte from_include\n", "inc/x.inc")
        a = self.source("\t.data\n\t.include \"x.inc\"\n")
        run(AS, "-I", self.path("inc"), "--defsym", "from_include=7", "-o",
            self.path("o"), a)
        self.assertEqual(sections(self.path("o"))[".data"][1], b"\7")

    def test_errors(self):
        """Each is one clear line and status 1; no output is written."""
        a = self.source("bad\n\tbad2\n")
        out = run(AS, "-o", self.path("o"), a, status=1)
        self.assertIn("a.s:1:1: error: unknown operation 'bad'", out)
        self.assertIn("a.s:2:2: error: unknown operation 'bad2'", out)
        self.assertFalse(os.path.exists(self.path("o")))
        cases = [
            ((AS,), "no input files"),
            ((AS, "-march=e2kv9", a), "unknown instruction set 'e2kv9'"),
            ((AS, "--format=coff", a), "unknown format 'coff'"),
            ((AS, self.path("none.s")), "none.s"),
            ((AS, "--static", "-Ttext=zz", self.source("nop\n")),
             "-Ttext: 'zz' is not an address"),
            ((OBJDUMP,), "no input files"),
            ((OBJDUMP, "-d", a), "not an ELF file"),
            ((OBJDUMP, "-d", self.path("none")), "none"),
            ((OBJDUMP, "-m", "e2k:9", "-b", "binary", a), "unknown machine"),
        ]
        for args, text in cases:
            self.assertIn(text, run(*args, status=1))

    def test_truncated_elf(self):
        run(AS, "-o", self.path("o"), self.source("nop\n"))
        with open(self.path("o"), "rb") as f:
            data = f.read()
        for size in range(0, len(data), 7):
            with open(self.path("t"), "wb") as f:
                f.write(data[:size])
            run(OBJDUMP, "-xd", self.path("t"), status=1)

    @unittest.skipUnless(SHARED, "no shared programs beside the source tree")
    def test_shared_programs(self):
        """Bytes equal those of the other tool chain."""
        count = 0
        for name in sorted(os.listdir(SHARED)):
            if not name.endswith(".s"):
                continue
            elf = os.path.join(SHARED, name[:-2] + ".elf")
            wanted = sections(elf)
            with open(elf, "rb") as f:
                isa = f.read(52)[51]
            places = [f"--section-start={n}={wanted[n][0]:#x}"
                      for n in (".text", ".data", ".bss") if n in wanted]
            run(AS, "--static", f"-march=e2kv{isa}", *places, "-o",
                self.path("p"), os.path.join(SHARED, name))
            found = sections(self.path("p"))
            for n in (".text", ".data", ".bss"):
                if n in wanted:
                    self.assertEqual(found[n], wanted[n], f"{name} {n}")
            count += 1
        self.assertGreater(count, 10)


unittest.main(argv=sys.argv[:1], verbosity=2)
