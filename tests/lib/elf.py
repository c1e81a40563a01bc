"""A small ELF reader of the tests' own, for both classes: headers, sections,
symbols, relocations, segments.  It believes the file."""
import struct
from collections import namedtuple

Section = namedtuple("Section", "name type flags address offset size link "
                     "info align entsize")
Symbol = namedtuple("Symbol", "name bind type section value size")
Reloc = namedtuple("Reloc", "offset type symbol addend at")
Segment = namedtuple("Segment", "type flags offset vaddr filesz memsz align")

SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_DYNSYM = 2, 4, 8, 11
PT_LOAD, PT_TLS = 1, 7
STB_GLOBAL = 1


class Elf:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.bits = 32 * self.data[4]
        wide = self.bits == 64
        word = "Q" if wide else "I"
        (self.type, self.machine, self.version, self.entry, phoff, shoff,
         self.flags, _, _, phnum, _, shnum, names) = struct.unpack_from(
             f"<HHI{word * 3}IHHHHHH", self.data, 16)
        form = f"<II{word * 4}II{word * 2}"
        rows = [struct.unpack_from(form, self.data,
                                   shoff + struct.calcsize(form) * i)
                for i in range(shnum)]
        self.sections = [Section("", *row[1:]) for row in rows]
        self.sections = [Section(self.text(names, row[0]), *row[1:])
                         for row in rows]
        form = "<IIQQQQQQ" if wide else "<IIIIIIII"
        self.segments = []
        for i in range(phnum):
            row = struct.unpack_from(form, self.data,
                                     phoff + struct.calcsize(form) * i)
            if wide:
                kind, flags, offset, vaddr, _, filesz, memsz, align = row
            else:
                kind, offset, vaddr, _, filesz, memsz, flags, align = row
            self.segments.append(Segment(kind, flags, offset, vaddr, filesz,
                                         memsz, align))

    def text(self, table, offset):
        start = self.sections[table].offset + offset
        return self.data[start:self.data.index(b"\0", start)].decode()

    def section(self, name):
        """The section of that name, or None."""
        return next((s for s in self.sections if s.name == name), None)

    def symbols(self, kind=SHT_SYMTAB):
        """All symbols of the table, the null symbol first."""
        form = "<IBBHQQ" if self.bits == 64 else "<IIIBBH"
        for s in self.sections:
            if s.type != kind:
                continue
            rows = struct.iter_unpack(form,
                                      self.data[s.offset:s.offset + s.size])
            if self.bits == 64:
                return [Symbol(self.text(s.link, n), i >> 4, i & 15, section,
                               value, size)
                        for n, i, _, section, value, size in rows]
            return [Symbol(self.text(s.link, n), i >> 4, i & 15, section,
                           value, size)
                    for n, value, size, i, _, section in rows]
        return []

    def relocs(self, section):
        """The relocations of one SHT_RELA section; "at" is the offset of the
        type in the file."""
        form, shift = ("<QQq", 32) if self.bits == 64 else ("<IIi", 8)
        size = struct.calcsize(form)
        for i in range(section.size // size):
            at = section.offset + size * i
            offset, info, addend = struct.unpack_from(form, self.data, at)
            yield Reloc(offset, info & ((1 << shift) - 1), info >> shift,
                        addend, at + struct.calcsize(form[:2]))

    def bytes_at(self, address, size):
        """What a loader would find at an address of the file."""
        for s in self.segments:
            if (s.type == PT_LOAD and s.vaddr <= address and
                    address + size <= s.vaddr + s.filesz):
                start = s.offset + address - s.vaddr
                return self.data[start:start + size]
        raise ValueError(f"no contents at {address:#x}")


def addresses(path, global_only=False):
    """Name to value, of the named symbols of a file."""
    return {s.name: s.value for s in Elf(path).symbols()
            if s.name and (s.bind == STB_GLOBAL or not global_only)}
