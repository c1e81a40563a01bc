! A minimal dynamic loader for the tests: loads what DT_NEEDED names from
! /lib64 or /lib32, lays out thread-local storage, applies every dynamic
! relocation of the 64-bit ABI, or of the 32-bit one (NARROW), binds functions
! late or, with LD_BIND_NOW, at once, runs initialisers and calls the program.  Knows nothing of errors beyond saying
! what it could not find: status 127.
!
! Like the real one it is a shared library that first relocates itself.
! Objects are searched in the order: program, loader, libraries.

	.include "lib.inc"
	.include "dynamic/elf.inc"

! An object; its members have 64 bits in both modes.
	.equ	BIAS, 0
	.equ	DYN, 8
	.equ	STRTAB, 16
	.equ	SYMTAB, 24
	.equ	HASH, 32
	.equ	RELA, 40
	.equ	RELASZ, 48
	.equ	JMPREL, 56
	.equ	PLTRELSZ, 64
	.equ	PLTGOT, 72
	.equ	INIT, 80
	.equ	INITSZ, 88
	.equ	TLS_IMAGE, 96
	.equ	TLS_FILESZ, 104
	.equ	TLS_MEMSZ, 112
	.equ	TLS_ALIGN, 120
	.equ	TLS_OFFSET, 128
	.equ	MODULE, 136
	.equ	LAZY, 144
	.equ	PHDR, 152
	.equ	PHNUM, 160
	.equ	NAME, 168
	.equ	OBJECT, 192

	.pushsection .bss
	.align	16
objects:
	.skip	8 * OBJECT
n_objects:
	.skip	8
bind_now:
	.skip	8
found_object:				! by lookup
	.skip	8
found_symbol:
	.skip	8
dtv:
	.skip	128
path:
	.skip	256
header:
	.skip	4096
	.popsection
	.pushsection .rodata
own_name:
	.asciz	"ld-linux.so.2"
	.popsection

! mprotect of the loadable segments: 7, or what the headers say (0).
	PROC protect			! bias, phdr, phnum, protection
	{
		addd %dr0, 0, %dr8
		addd %dr1, 0, %dr9
		addd %dr2, 0, %dr10
		addd %dr3, 0, %dr11
	}
1:
	IF_EQ %dr10, 0, 9f
	{
		ldw %dr9, 0, %dr12
		ldw %dr9, P_FLAGS, %dr13
	}
	{
		LOAD_POINTER %dr9, P_VADDR, %dr14
		LOAD_POINTER %dr9, P_MEMSZ, %dr15
	}
	{
		addd %dr9, P_SIZE, %dr9
		subd %dr10, 1, %dr10
		addd %dr14, %dr8, %dr14
	}
	IF_NE %dr12, PT_LOAD, 1b
	{
		andd %dr14, 0xfff, %dr16
		shrd %dr13, 2, %dr17		! R
		andd %dr13, 2, %dr18		! W
		andd %dr13, 1, %dr19		! X
	}
	{
		addd %dr15, %dr16, %dr15
		subd %dr14, %dr16, %dr14
		andd %dr17, 1, %dr17
		shld %dr19, 2, %dr19
	}
	{
		ord %dr17, %dr18, %dr17
		cmpedb %dr11, 0, %pred0
	}
	{
		ord %dr17, %dr19, %dr17
	}
	{
		addd %dr11, 0, %dr17 ? ~%pred0
	}
	SYSCALL SYS_mprotect, %dr14, %dr15, %dr17
	GOTO 1b
9:
	RETURN

! A 64-bit value into the two literal words of a bundle, high word first.
	PROC put_literal		! place, value
	{
		shrd %dr1, 32, %dr2
	}
	{
		stw %dr0, 0, %r2
	}
	{
		stw %dr0, 4, %r1
	}
	RETURN

! The loader's own relocations; uses nothing that they change.
	PROC relocate_self		! base
	{
		LOAD_POINTER %dr0, E_PHOFF, %dr8
		ldh %dr0, E_PHNUM, %dr9
	}
	{
		addd %dr8, %dr0, %dr8
		addd %dr0, 0, %db[0]
		addd %dr9, 0, %db[2]
	}
	{
		addd %dr8, 0, %db[1]
		addd 0, 7, %db[3]
	}
	CALL protect
	{
		addd %dr8, 0, %dr10
	}
1:
	{
		ldw %dr10, 0, %dr11
		LOAD_POINTER %dr10, P_VADDR, %dr12
	}
	{
		addd %dr10, P_SIZE, %dr10
		addd %dr12, %dr0, %dr12		! dynamic section
	}
	IF_NE %dr11, PT_DYNAMIC, 1b
	{
		addd 0, 0, %dr14
		addd 0, 0, %dr15
	}
2:
	{
		LOAD_POINTER %dr12, 0, %dr11
		LOAD_POINTER %dr12, WORD, %dr13
		addd %dr12, 2 * WORD, %dr12
	}
	{
		cmpedb %dr11, 7, %pred0		! DT_RELA
		cmpedb %dr11, 8, %pred1		! DT_RELASZ
	}
	{
		addd %dr13, %dr0, %dr14 ? %pred0
		addd %dr13, 0, %dr15 ? %pred1
	}
	IF_NE %dr11, 0, 2b
	{
		addd %dr14, %dr15, %dr15
	}
3:
	IF_EQ %dr14, %dr15, 9f
	{
		LOAD_POINTER %dr14, 0, %dr16
		LOAD_POINTER %dr14, R_INFO, %dr17
	}
	{
		LOAD_POINTER %dr14, R_ADDEND, %dr18
		addd %dr14, RELA_SIZE, %dr14
		addd %dr16, %dr0, %dr16
	}
	{
		addd %dr18, %dr0, %dr18
		addd %dr16, 0, %db[0]
	}
	{
		addd %dr18, 0, %db[1]
		cmpedb %dr17, R_RELATIVE_LIT, %pred0
		cmpedb %dr17, R_RELATIVE, %pred1
	}
	{
		STORE_POINTER %dr16, 0, 18, ? %pred1
	}
	GOTO_IF_NOT %pred0, 3b
	CALL put_literal
	GOTO 3b
9:
	{
		addd %dr0, 0, %db[0]
		addd %dr9, 0, %db[2]
	}
	{
		addd %dr8, 0, %db[1]
		addd 0, 0, %db[3]
	}
	CALL protect
	RETURN

	PROC copy			! to, from, size
1:
	IF_EQ %dr2, 0, 2f
	{
		ldb %dr1, 0, %dr3
		subd %dr2, 1, %dr2
		addd %dr1, 1, %dr1
	}
	{
		stb %dr0, 0, %r3
	}
	{
		addd %dr0, 1, %dr0
	}
	GOTO 1b
2:
	RETURN

! Fills in an object and adds it.  Result: its address.
	PROC add_object			! bias, phdr, phnum, name
	{
		ADDR n_objects, %dr8
		ADDR objects, %dr9
	}
	{
		ldd %dr8, 0, %dr10
	}
	{
		addd %dr10, 1, %dr11
		muld %dr10, OBJECT, %dr12
	}
	{
		std %dr8, 0, %dr11
		addd %dr9, %dr12, %dr9
	}
	{
		std %dr9, BIAS, %dr0
	}
	{
		std %dr9, PHDR, %dr1
	}
	{
		std %dr9, PHNUM, %dr2
	}
	{
		std %dr9, NAME, %dr3
	}
1:	! program headers
	IF_EQ %dr2, 0, 4f
	{
		ldw %dr1, 0, %dr10
		LOAD_POINTER %dr1, P_VADDR, %dr11
		subd %dr2, 1, %dr2
	}
	{
		addd %dr11, %dr0, %dr11
		LOAD_POINTER %dr1, P_FILESZ, %dr12
		LOAD_POINTER %dr1, P_MEMSZ, %dr13
	}
	{
		LOAD_POINTER %dr1, P_ALIGN, %dr14
		addd %dr1, P_SIZE, %dr1
	}
	{
		cmpedb %dr10, PT_DYNAMIC, %pred0
		cmpedb %dr10, PT_TLS, %pred1
	}
	{
		std %dr9, DYN, %dr11 ? %pred0
	}
	GOTO_IF_NOT %pred1, 1b
	{
		std %dr9, TLS_IMAGE, %dr11
	}
	{
		std %dr9, TLS_FILESZ, %dr12
	}
	{
		std %dr9, TLS_MEMSZ, %dr13
	}
	{
		std %dr9, TLS_ALIGN, %dr14
	}
	GOTO 1b
4:	! dynamic section
	{
		ldd %dr9, DYN, %dr8
	}
5:
	{
		LOAD_POINTER %dr8, 0, %dr10
		LOAD_POINTER %dr8, WORD, %dr11
		addd %dr8, 2 * WORD, %dr8
	}
	{
		addd %dr11, %dr0, %dr12
		cmpedb %dr10, 5, %pred0
		cmpedb %dr10, 6, %pred1
		cmpedb %dr10, 4, %pred2
	}
	{
		std %dr9, STRTAB, %dr12 ? %pred0
		cmpedb %dr10, 7, %pred0
	}
	{
		std %dr9, SYMTAB, %dr12 ? %pred1
		cmpedb %dr10, 8, %pred1
	}
	{
		std %dr9, HASH, %dr12 ? %pred2
		cmpedb %dr10, 23, %pred2
	}
	{
		std %dr9, RELA, %dr12 ? %pred0
		cmpedb %dr10, 2, %pred0
	}
	{
		std %dr9, RELASZ, %dr11 ? %pred1
		cmpedb %dr10, 3, %pred1
	}
	{
		std %dr9, JMPREL, %dr12 ? %pred2
		cmpedb %dr10, 25, %pred2
	}
	{
		std %dr9, PLTRELSZ, %dr11 ? %pred0
		cmpedb %dr10, 27, %pred0
	}
	{
		std %dr9, PLTGOT, %dr12 ? %pred1
		cmpedb %dr10, 0x70000003, %pred1
	}
	{
		std %dr9, INIT, %dr12 ? %pred2
	}
	{
		std %dr9, INITSZ, %dr11 ? %pred0
		addd 0, 1, %dr13
	}
	{
		std %dr9, LAZY, %dr13 ? %pred1
	}
	IF_NE %dr10, 0, 5b
	{
		addd %dr9, 0, %dr0
	}
	RETURN

	PROC missing			! text: what is not there
	{
		addd %dr0, 0, %dr8
	}
	PRINT "ld-test: cannot find "
	{
		addd %dr8, 0, %db[0]
	}
	CALL put_text
	PRINT "\n"
	SYSCALL SYS_exit_group, 127
	RETURN

! Maps /lib64/NAME and adds it.
	PROC load_library		! name
	{
		addd %dr0, 0, %dr8
		ADDR path, %dr9
		addd 0, LIBRARY_DIRECTORY, %dr10
	}
	{
		std %dr9, 0, %dr10
		addd %dr8, 0, %db[0]
	}
	CALL strlen
	{
		addd %dr9, 7, %db[0]
		addd %dr8, 0, %db[1]
		addd %db[0], 1, %db[2]
	}
	CALL copy
	SYSCALL SYS_open, %dr9, 0, 0
	{
		addd %db[0], 0, %dr10
		addd %dr8, 0, %db[0]
	}
	{
		cmpldb %dr10, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	CALL missing
1:
	{
		ADDR header, %dr11
	}
	SYSCALL SYS_read, %dr10, %dr11, 4096
	{
		LOAD_POINTER %dr11, E_PHOFF, %dr12
		ldh %dr11, E_PHNUM, %dr13
	}
	{
		addd %dr12, %dr11, %dr12	! headers
		addd 0, 0, %dr14		! end of the object
	}
	{
		addd %dr12, 0, %dr15
		addd %dr13, 0, %dr16
	}
2:
	IF_EQ %dr16, 0, 3f
	{
		ldw %dr15, 0, %dr17
		LOAD_POINTER %dr15, P_VADDR, %dr18
		LOAD_POINTER %dr15, P_MEMSZ, %dr19
	}
	{
		addd %dr18, %dr19, %dr18
		addd %dr15, P_SIZE, %dr15
		subd %dr16, 1, %dr16
	}
	{
		cmpedb %dr17, PT_LOAD, %pred0
	}
	{
		addd %dr18, 0, %dr14 ? %pred0	! they ascend
	}
	GOTO 2b
3:
	SYSCALL SYS_mmap, 0, %dr14, 0, 0x12, -1, 0
	{
		addd %db[0], 0, %dr20		! bias
		addd %dr12, 0, %dr15
		addd %dr13, 0, %dr16
	}
4:
	IF_EQ %dr16, 0, 8f
	{
		ldw %dr15, 0, %dr17
		LOAD_POINTER %dr15, P_OFFSET, %dr11
		subd %dr16, 1, %dr16
		addd %dr15, P_SIZE, %dr15
	}
	IF_NE %dr17, PT_LOAD, 4b
	{
		LOAD_POINTER %dr15, P_VADDR - P_SIZE, %dr18
		LOAD_POINTER %dr15, P_FILESZ - P_SIZE, %dr19
	}
	{
		LOAD_POINTER %dr15, P_MEMSZ - P_SIZE, %dr21
		addd %dr18, %dr20, %dr18
	}
	{
		addd %dr18, %dr19, %dr22	! end of the file's part
		addd %dr18, %dr21, %dr21	! end
		andd %dr18, 0xfff, %dr17
	}
	{
		subd %dr18, %dr17, %dr18
		addd %dr19, %dr17, %dr19
		subd %dr11, %dr17, %dr11
	}
	IF_EQ %dr19, %dr17, 5f
	SYSCALL SYS_mmap, %dr18, %dr19, 7, 0x102, %dr10, %dr11
	! zeros up to the end of the page, fresh pages behind
5:
	{
		addd %dr22, 0xfff, %dr23
	}
	{
		andd %dr23, -0x1000, %dr23
	}
6:
	IF_EQ %dr22, %dr23, 7f
	IF_EQ %dr22, %dr21, 4b
	{
		addd 0, 0, %dr17
	}
	{
		stb %dr22, 0, %r17
	}
	{
		addd %dr22, 1, %dr22
	}
	GOTO 6b
7:
	{
		cmplesb %r21, %r22, %pred0
		subd %dr21, %dr22, %dr19
	}
	{
		cmpledb %dr21, %dr22, %pred0
	}
	GOTO_IF %pred0, 4b
	SYSCALL SYS_mmap, %dr22, %dr19, 7, 0x112, -1, 0
	GOTO 4b
8:
	SYSCALL SYS_close, %dr10
	! the headers are in the first page of the object
	{
		LOAD_POINTER %dr20, E_PHOFF, %dr12
	}
	{
		addd %dr20, 0, %db[0]
		addd %dr12, %dr20, %db[1]
		addd %dr13, 0, %db[2]
		addd %dr8, 0, %db[3]
	}
	CALL add_object
	RETURN

! All libraries wanted by the objects, and by those, each once.
	PROC load_all
	{
		ADDR objects, %dr8
	}
1:
	{
		ldd %dr8, DYN, %dr9
	}
	IF_EQ %dr9, 0, 9f
2:
	{
		LOAD_POINTER %dr9, 0, %dr10
		LOAD_POINTER %dr9, WORD, %dr11
		addd %dr9, 2 * WORD, %dr9
	}
	{
		ldd %dr8, STRTAB, %dr12
		cmpedb %dr10, 0, %pred0
		cmpedb %dr10, 1, %pred1
	}
	GOTO_IF %pred0, 8f
	GOTO_IF_NOT %pred1, 2b
	{
		addd %dr12, %dr11, %dr12
		ADDR objects + OBJECT, %dr13
	}
3:
	{
		ldd %dr13, NAME, %dr14
	}
	IF_EQ %dr14, 0, 4f
	{
		addd %dr14, 0, %db[0]
		addd %dr12, 0, %db[1]
	}
	CALL strcmp
	{
		addd %dr13, OBJECT, %dr13
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF %pred0, 2b
	GOTO 3b
4:
	{
		addd %dr12, 0, %db[0]
	}
	CALL load_library
	GOTO 2b
8:
	{
		addd %dr8, OBJECT, %dr8
	}
	GOTO 1b
9:
	RETURN

! Thread-local storage: head of two words, then the blocks of all objects.
	PROC set_up_tls
	SYSCALL SYS_mmap, 0, 0x4000, 3, 0x12, -1, 0
	{
		addd %db[0], 256, %dr8		! thread pointer
		addd 0, 2 * WORD, %dr9		! next offset
		ADDR objects, %dr10
		addd 0, 0, %dr11		! modules
	}
	{
		ADDR dtv, %dr12
	}
	{
		STORE_POINTER %dr8, 0, 12
	}
1:
	{
		ldd %dr10, DYN, %dr13
		ldd %dr10, TLS_MEMSZ, %dr14
	}
	IF_EQ %dr13, 0, 9f
	IF_EQ %dr14, 0, 2f
	{
		ldd %dr10, TLS_ALIGN, %dr15
		ldd %dr10, TLS_IMAGE, %db[1]
		addd %dr11, 1, %dr11
	}
	{
		ldd %dr10, TLS_FILESZ, %db[2]
		addd %dr9, %dr15, %dr9
		subd 0, %dr15, %dr15
	}
	{
		subd %dr9, 1, %dr9
	}
	{
		andd %dr9, %dr15, %dr9
	}
	{
		std %dr10, TLS_OFFSET, %dr9
		addd %dr8, %dr9, %dr16
	}
	{
		std %dr10, MODULE, %dr11
		addd %dr9, %dr14, %dr9
		shld %dr11, 3, %dr17
	}
	{
		std %dr12, %dr17, %dr16
		addd %dr16, 0, %db[0]
	}
	CALL copy
2:
	{
		addd %dr10, OBJECT, %dr10
	}
	GOTO 1b
9:
	{
		addd %dr8, 0, %dg13
	}
	RETURN

! What a module's offset is for the calling thread; programs call it.
	.global	__tls_get_addr
	.type	__tls_get_addr, #function
	.align	8
__tls_get_addr:				! module, offset
	{
		setwd wsz = 16, nfx = 1
		LOAD_POINTER %dg13, 0, %dr2
		shld %dr0, 3, %dr3
	}
	{
		ldd %dr2, %dr3, %dr2
	}
	{
		addd %dr2, %dr1, %dr0
	}
	RETURN

! The definition of a symbol.  skip: an object that does not count (a COPY
! wants the original).  Result: address, or offset for thread-local ones;
! found_object and found_symbol are set, to 0 for a weak one without.
	PROC lookup			! object, symbol index, type, skip
	{
		addd %dr2, 0, %dr8
		addd %dr3, 0, %dr9
		muld %dr1, SYM_SIZE, %dr10
		ldd %dr0, SYMTAB, %dr11
	}
	{
		addd %dr11, %dr10, %dr10
		ldd %dr0, STRTAB, %dr12
	}
	{
		ldw %dr10, 0, %dr13
		ADDR objects, %dr14
	}
	{
		addd %dr12, %dr13, %dr12	! name
	}
1:	! next object
	{
		ldd %dr14, DYN, %dr15
		cmpedb %dr14, %dr9, %pred1
	}
	IF_EQ %dr15, 0, 8f
	GOTO_IF %pred1, 7f
	{
		ldd %dr14, HASH, %dr15
		ldd %dr14, SYMTAB, %dr16
	}
	{
		ldw %dr15, 4, %dr17		! symbols
	}
2:	! next symbol
	{
		subd %dr17, 1, %dr17
		addd %dr16, SYM_SIZE, %dr16
	}
	{
		cmplesb %r17, 0, %pred0
	}
	GOTO_IF %pred0, 7f
	{
		ldb %dr16, ST_INFO, %dr18	! bind, type
		ldh %dr16, ST_SHNDX, %dr19
		LOAD_POINTER %dr16, ST_VALUE, %dr20
		ldw %dr16, 0, %dr21
	}
	{
		cmpbdb %dr18, 16, %pred0	! local
		cmpedb %dr19, 0, %pred1		! undefined
		cmpedb %dr20, 0, %pred2
		ldd %dr14, STRTAB, %dr22
	}
	GOTO_IF %pred0, 2b
	GOTO_IF_NOT %pred1, 3f
	GOTO_IF %pred2, 2b
	IF_EQ %dr8, R_JMP_SLOT, 2b		! a table entry answers all but calls
3:
	{
		addd %dr22, %dr21, %db[0]
		addd %dr12, 0, %db[1]
	}
	CALL strcmp
	IF_NE %db[0], 0, 2b
	{
		ADDR found_object, %dr11
	}
	{
		std %dr11, 0, %dr14
	}
	{
		std %dr11, 8, %dr16
		andd %dr18, 15, %dr18
		ldd %dr14, BIAS, %dr13
	}
	{
		addd %dr20, 0, %dr0
		cmpedb %dr18, 6, %pred0		! thread-local
		cmpedb %dr18, 10, %pred1	! indirect
	}
	{
		addd %dr20, %dr13, %dr0 ? ~%pred0
	}
	GOTO_IF_NOT %pred1, 9f
	CALL_REG %dr0
	{
		addd %db[0], 0, %dr0
	}
	GOTO 9f
7:
	{
		addd %dr14, OBJECT, %dr14
	}
	GOTO 1b
8:
	{
		ldb %dr10, ST_INFO, %dr18
		ADDR found_object, %dr11
		addd 0, 0, %dr0
	}
	{
		shrd %dr18, 4, %dr18
		std %dr11, 0, %dr0
	}
	{
		std %dr11, 8, %dr0
	}
	IF_EQ %dr18, 2, 9f		! weak
	{
		addd %dr12, 0, %db[0]
	}
	CALL missing
9:
	RETURN

! One relocation of an object.
	PROC apply			! object, relocation
	{
		LOAD_POINTER %dr1, 0, %dr8
		LOAD_POINTER %dr1, R_INFO, %dr9
		LOAD_POINTER %dr1, R_ADDEND, %dr10
		ldd %dr0, BIAS, %dr11
	}
	{
		addd %dr8, %dr11, %dr8		! place
		shrd %dr9, SYM_SHIFT, %dr12	! symbol
		shld %dr9, 64 - SYM_SHIFT, %dr9
	}
	{
		shrd %dr9, 64 - SYM_SHIFT, %dr9	! type
		addd 0, 0, %dr13		! its value
		addd %dr0, 0, %dr14		! its object
		addd 0, 0, %dr15
	}
	IF_EQ %dr9, R_NONE, 9f
	IF_EQ %dr12, 0, 1f
	{
		cmpedb %dr9, R_COPY, %pred0
		addd 0, 0, %db[3]
	}
	{
		addd %dr0, 0, %db[0]
		addd %dr12, 0, %db[1]
		addd %dr9, 0, %db[2]
		addd %dr0, 0, %db[3] ? %pred0
	}
	CALL lookup
	{
		addd %db[0], 0, %dr13
		ADDR found_object, %dr15
	}
	{
		ldd %dr15, 0, %dr14
		ldd %dr15, 8, %dr15
	}
1:
	{
		addd %dr13, %dr10, %dr16	! S + A
		addd %dr11, %dr10, %dr17	! B + A
		addd %dr8, 0, %db[0]
	}
	IF_EQ %dr9, R_ABS, 2f
	IF_EQ %dr9, R_JMP_SLOT, 2f
	IF_EQ %dr9, R_DTPREL, 2f
	{
		addd %dr16, 0, %db[1]
	}
	IF_EQ %dr9, R_ABS_LIT, 3f
	{
		addd %dr17, 0, %db[1]
	}
	IF_EQ %dr9, R_RELATIVE_LIT, 3f
	{
		addd %dr17, 0, %dr16
	}
	IF_EQ %dr9, R_RELATIVE, 2f
	IF_EQ %dr9, R_IRELATIVE, 4f
	IF_EQ %dr9, R_COPY, 5f
	{
		ldd %dr14, MODULE, %dr16
	}
	IF_EQ %dr9, R_DTPMOD, 2f
	{
		ldd %dr14, TLS_OFFSET, %dr16
		addd %dr13, %dr10, %dr17
	}
	{
		addd %dr16, %dr17, %dr16
	}
	IF_EQ %dr9, R_TPOFF, 2f
	{
		LOAD_POINTER %dr15, ST_SIZE, %dr16
	}
	{
		addd %dr16, %dr10, %dr16
	}
	IF_EQ %dr9, R_SIZE, 2f
	PRINT "ld-test: relocation "
	{
		addd %dr9, 0, %db[0]
	}
	CALL putdec
	PRINT "\n"
	SYSCALL SYS_exit_group, 127
2:
	{
		STORE_POINTER %dr8, 0, 16
	}
	GOTO 9f
3:
	CALL put_literal
	GOTO 9f
4:
	CALL_REG %dr17
	{
		addd %db[0], 0, %dr16
	}
	GOTO 2b
5:
	{
		LOAD_POINTER %dr15, ST_SIZE, %db[2]
		addd %dr13, 0, %db[1]
	}
	CALL copy
9:
	RETURN

! What a secondary entry of the linkage table asks for.
	PROC resolve			! object, offset; result: the function
	{
		ldd %dr0, JMPREL, %dr8
		addd %dr0, 0, %dr9
	}
	{
		addd %dr8, %dr1, %dr8
	}
	{
		LOAD_POINTER %dr8, R_INFO, %dr10
		LOAD_POINTER %dr8, 0, %dr11
		ldd %dr9, BIAS, %dr12
	}
	{
		shrd %dr10, SYM_SHIFT, %db[1]
		addd %dr9, 0, %db[0]
		addd 0, R_JMP_SLOT, %db[2]
		addd 0, 0, %db[3]
	}
	CALL lookup
	{
		addd %db[0], 0, %dr0
	}
	{
		STORE_POINTER %dr11, %dr12, 0
	}
	RETURN

	PROC relocate			! object
	{
		addd %dr0, 0, %dr8
		addd %dr0, 0, %dr9
	}
	{
		ldd %dr8, BIAS, %db[0]
		ldd %dr8, PHDR, %db[1]
	}
	{
		ldd %dr8, PHNUM, %db[2]
		addd 0, 7, %db[3]
	}
	CALL protect
	{
		ldd %dr8, RELA, %dr10
		ldd %dr8, RELASZ, %dr11
	}
	{
		addd %dr10, %dr11, %dr11
	}
1:
	IF_EQ %dr10, %dr11, 2f
	{
		addd %dr8, 0, %db[0]
		addd %dr10, 0, %db[1]
		addd %dr10, RELA_SIZE, %dr10
	}
	CALL apply
	GOTO 1b
2:
	{
		ldd %dr8, JMPREL, %dr10
		ldd %dr8, PLTRELSZ, %dr11
		ADDR bind_now, %dr12
	}
	{
		ldd %dr12, 0, %dr12
		addd %dr10, %dr11, %dr11
		ldd %dr8, LAZY, %dr13
	}
	{
		andnd %dr13, %dr12, %dr12	! late
	}
	IF_EQ %dr12, 0, 3f
	{
		ldd %dr8, PLTGOT, %dr13
		ADDR resolve, %dr14
	}
	{
		STORE_POINTER %dr13, WORD, 8
	}
	{
		STORE_POINTER %dr13, 2 * WORD, 14
	}
3:
	IF_EQ %dr10, %dr11, 9f
	{
		addd %dr8, 0, %db[0]
		addd %dr10, 0, %db[1]
		LOAD_POINTER %dr10, 0, %dr15
		ldd %dr8, BIAS, %dr16
	}
	{
		ldb %dr10, R_INFO, %dr17
		addd %dr10, RELA_SIZE, %dr10
	}
	IF_NE %dr17, R_JMP_SLOT, 4f	! IRELATIVE may stand here, too
	IF_EQ %dr12, 0, 4f
	{
		LOAD_POINTER %dr15, %dr16, %dr17
	}
	{
		addd %dr17, %dr16, %dr17
	}
	{
		STORE_POINTER %dr15, %dr16, 17
	}
	GOTO 3b
4:
	CALL apply
	GOTO 3b
9:
	{
		ldd %dr8, BIAS, %db[0]
		ldd %dr8, PHDR, %db[1]
	}
	{
		ldd %dr8, PHNUM, %db[2]
		addd 0, 0, %db[3]
	}
	CALL protect
	RETURN

	PROC initialise			! object
	{
		ldd %dr0, INIT, %dr8
		ldd %dr0, INITSZ, %dr9
	}
	{
		addd %dr8, %dr9, %dr9
	}
1:
	IF_EQ %dr8, %dr9, 2f
	{
		LOAD_POINTER %dr8, 0, %dr10
		addd %dr8, WORD, %dr8
	}
	CALL_REG %dr10
	GOTO 1b
2:
	RETURN

	PROC ld_main			! initial stack; result: the program's entry
	{
		LOAD_POINTER %dr0, 0, %dr8
		addd %dr0, 2 * WORD, %dr9
		addd 0, 0, %dr15
	}
	{
		shld %dr8, WORD_SHIFT, %dr8
	}
	{
		addd %dr9, %dr8, %dr9
	}
1:	! environment
	{
		LOAD_POINTER %dr9, 0, %dr10
		addd %dr9, WORD, %dr9
	}
	IF_EQ %dr10, 0, 2f
	{
		ldd %dr10, 0, %dr11
		addd 0, 0x444e49425f444c, %dr12	! "LD_BIND"
	}
	{
		shld %dr11, 8, %dr11
		shld %dr12, 8, %dr12
	}
	{
		cmpedb %dr11, %dr12, %pred0
	}
	{
		addd 0, 1, %dr15 ? %pred0
	}
	GOTO 1b
2:	! auxiliary vector
	{
		LOAD_POINTER %dr9, 0, %dr10
		LOAD_POINTER %dr9, WORD, %dr11
		addd %dr9, 2 * WORD, %dr9
	}
	{
		cmpedb %dr10, 3, %pred0
		cmpedb %dr10, 5, %pred1
		cmpedb %dr10, 7, %pred2
		cmpedb %dr10, 9, %pred3
	}
	{
		addd %dr11, 0, %dr16 ? %pred0	! headers
		addd %dr11, 0, %dr17 ? %pred1	! their number
	}
	{
		addd %dr11, 0, %dr18 ? %pred2	! where we are
		addd %dr11, 0, %dr19 ? %pred3	! entry
	}
	IF_NE %dr10, 0, 2b
	{
		addd %dr18, 0, %db[0]
	}
	CALL relocate_self
	{
		ADDR bind_now, %dr8
	}
	{
		std %dr8, 0, %dr15
		addd %dr16, 0, %dr9
	}
3:	! the first loadable segment has the headers in its first page
	{
		ldw %dr9, 0, %dr10
		LOAD_POINTER %dr9, P_VADDR, %dr11
		addd %dr9, P_SIZE, %dr9
	}
	IF_NE %dr10, PT_LOAD, 3b
	{
		andnd %dr16, 0xfff, %dr12
		andnd %dr11, 0xfff, %dr11
	}
	{
		subd %dr12, %dr11, %db[0]
		addd %dr16, 0, %db[1]
		addd %dr17, 0, %db[2]
		addd 0, 0, %db[3]
	}
	CALL add_object
	{
		LOAD_POINTER %dr18, E_PHOFF, %dr9
		ldh %dr18, E_PHNUM, %dr10
	}
	{
		addd %dr18, 0, %db[0]
		addd %dr18, %dr9, %db[1]
		addd %dr10, 0, %db[2]
		ADDR own_name, %db[3]
	}
	CALL add_object			! ourselves
	CALL load_all
	{
		ADDR n_objects, %dr8
	}
	{
		ldd %dr8, 0, %dr20
	}
	CALL set_up_tls
	{
		addd %dr20, 0, %dr8
	}
4:	! libraries first: a copy wants relocated data
	{
		subd %dr8, 1, %dr8
		ADDR objects, %dr9
	}
	IF_EQ %dr8, 1, 4b
	{
		muld %dr8, OBJECT, %dr10
	}
	{
		addd %dr9, %dr10, %db[0]
	}
	CALL relocate
	IF_NE %dr8, 0, 4b
5:
	{
		subd %dr20, 1, %dr20
		ADDR objects, %dr9
	}
	IF_EQ %dr20, 0, 6f
	{
		muld %dr20, OBJECT, %dr10
	}
	{
		addd %dr9, %dr10, %db[0]
	}
	CALL initialise
	GOTO 5b
6:
	{
		addd %dr19, 0, %dr0
	}
	RETURN

	.global	ld_start
	.type	ld_start, #function
	.align	8
ld_start:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 12, rsz = 3, rcur = 0
	}
	{
		getsp 0, %db[0]
	}
	CALL ld_main
	{
		addd %db[0], 0, %dr8
		addd 0, 0, %db[0]
	}
	CALL_REG %dr8
	SYSCALL SYS_exit_group, 126

! lib.inc's _start wants one; the loader does not begin there.
	PROC main
	RETURN
