! The trap cellar: what is recorded of each kind of access that faults, in which
! order, what the TIRs say, and how a system re-executes the records.  With
! PACKED_TESTS, accesses of 16 bytes too, which are v5's.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "mmu.inc"

! Fields of the condition word.
	.equ	FMT, 10
	.equ	BYTE, 1
	.equ	HALF, 2
	.equ	WORD, 3
	.equ	DWORD, 4
	.equ	QUAD, 5
	.equ	PACKED, 7
	.equ	STORE_OP, 1 << 17
	.equ	MAS, 20
	.equ	SPEC, 1 << 30
	.equ	PM, 1 << 31
	.equ	CHAN, 32
	.equ	DST, 3 << 8		! vr, vl
	.equ	ALWAYS, 1 << 13 | 1 << 28	! not protected, scalar
	.equ	MISS, PAGE_MISS << 35 | 3 << 48
	.equ	SYSTEM_MISS, ALWAYS | PM | MISS
	.equ	GLOBALS, 224
	.equ	STRD_QUAD, 5 << 40	! recovery access with tags
	.equ	STRD_DWORD, 4 << 40

! One dword of record n into a register.
	.macro	RECORD n, offset, to
	{
		mmurr %trap_point, %dr14
	}
	{
		ldd,2 %dr14, 24 * (\n) + (\offset), \to, mas = 1
	}
	.endm
! The condition word of record n, its register relative to our window.
	.macro	CHECK_COND n, wanted, reg, text
	RECORD \n, 16, %dr5
	{
		addd 0, \wanted, %db[1]
		addd 0, \reg, %db[2]
		addd %dr5, 0, %db[0]
	}
	{
		rrd %wd, %db[3]
	}
	CALL wanted_cond
	{
		addd %db[0], 0, %dr6
	}
	CHECK_EQUAL %dr5, %dr6, "\text"
	.endm
	.macro	CHECK_COUNT n, text
	{
		mmurr %trap_count, %dr5
	}
	CHECK_EQUAL %dr5, 3 * (\n), "\text"
	.endm

	PROC main
	CALL each_format
	.ifdef	PACKED_TESTS
	PRINT "cellar-v5 passed\n"
	.else
	PRINT "cellar passed\n"
	.endif
	{
		addd 0, 0, %dr0
	}
	RETURN

! Adds register %dr2 of the window that WD (%dr3) describes, or a global from
! 224 on, to the wanted word %dr1; 255 and more: no register.
	PROC wanted_cond
	{
		andd %dr3, 0x7ff, %dr3
		cmpbdb %dr2, GLOBALS, %pred0
	}
	{
		shrd %dr3, 3, %dr3
	}
	{
		addd %dr2, %dr3, %dr2 ? %pred0
	}
	{
		cmpbdb %dr2, 224, %pred1
	}
	{
		subd %dr2, 224, %dr3
		cmpbdb %dr2, 1000, %pred2
	}
	{
		addd %dr3, 0, %dr2 ? ~%pred1
		addd %dr2, 0, %dr4
	}
	{
		addd %dr4, 0, %dr2 ? ~%pred0
	}
	{
		ord %dr1, %dr2, %dr0 ? %pred2
		addd %dr1, 0, %dr0 ? ~%pred2
	}
	RETURN

	PROC check_format
	{
		addd 0, TEST_VA + 0x10, %dr1
	}
	PTE leaf, 0, 0, %dg16
	CALL check_loads
	CALL check_stores
	CALL check_bundles
	CALL check_tirs
	CALL check_replay
	.ifdef	PACKED_TESTS
	CALL check_packed
	.endif
	RETURN

	PROC check_loads
	{
		addd 0, TEST_VA + 0x10, %dr1
	}
	.irp	fmt, 1, 2, 3, 4
	{
		.if \fmt == 1
		ldb,0 %dr1, \fmt, %dr7
		.endif
		.if \fmt == 2
		ldh,0 %dr1, \fmt, %dr7
		.endif
		.if \fmt == 3
		ldw,0 %dr1, \fmt, %dr7
		.endif
		.if \fmt == 4
		ldd,0 %dr1, \fmt, %dr7
		.endif
	}
	CHECK_TRAP EXC_DATA_PAGE, "load of format \fmt"
	CHECK_COUNT 1, "one record"
	CHECK_COND 0, SYSTEM_MISS | \fmt << FMT | DST, 7, "its condition word"
	RECORD 0, 0, %dr5
	CHECK_EQUAL %dr5, TEST_VA + 0x10 + \fmt, "its address"
	.endr
	{
		ldd,2 %dr1, 0, %dr7
	}
	CHECK_TRAP EXC_DATA_PAGE, "load in ALC2"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT | DST | 1 << CHAN, 7, "channel 1"
	{
		ldd,3 %dr1, 0, %dr7
	}
	CHECK_TRAP EXC_DATA_PAGE, "load in ALC3"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT | DST | 2 << CHAN, 7, "channel 2"
	{
		ldd,5 %dr1, 0, %dr7
	}
	CHECK_TRAP EXC_DATA_PAGE, "load in ALC5"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT | DST | 3 << CHAN, 7, "channel 3"
	{
		ldd,0 %dr1, 0, %dg23
	}
	CHECK_TRAP EXC_DATA_PAGE, "load to a global register"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT | DST, GLOBALS + 23, "224 and on"
	{
		ldd,0 %dr1, 0, %empty
	}
	CHECK_TRAP EXC_DATA_PAGE, "load to nowhere"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT, 1000, "no destination"
	{
		ldd,0,sm %dr1, 0, %dr7
	}
	CHECK_TRAP EXC_DATA_PAGE, "speculative load"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT | DST | SPEC, 7, "speculative"
	{
		ldd,0 %dr1, 0, %dr7, mas = 7
	}
	CHECK_TRAP EXC_DATA_PAGE, "locked load"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT | DST | 7 << MAS, 7, "its specifier"
	{
		ldw,0 %dr1, 0, %dr7, mas = 8
	}
	CHECK_TRAP EXC_DATA_PAGE, "big-endian load"
	CHECK_COND 0, SYSTEM_MISS | WORD << FMT | DST | 8 << MAS, 7, "its specifier"
	AS_USER
	{
		addd 0, TEST_VA + 0x10, %dr1
	}
	{
		ldd,0 %dr1, 0, %dr7
	}
	AS_SYSTEM
	CHECK_TRAP EXC_DATA_PAGE, "load of user code"
	CHECK_COND 0, ALWAYS | MISS | DWORD << FMT | DST, 7, "not privileged"
	.ifdef	PACKED_TESTS
	! A pair of registers is two records.
	{
		ldq,0 %dr1, 0, %qr6
	}
	CHECK_TRAP EXC_DATA_PAGE, "load of a pair"
	CHECK_COUNT 2, "two records"
	CHECK_COND 0, SYSTEM_MISS | QUAD << FMT | DST, 6, "first half"
	CHECK_COND 1, SYSTEM_MISS | QUAD << FMT | DST | 1 << CHAN, 7, "second half"
	RECORD 1, 0, %dr5
	CHECK_EQUAL %dr5, TEST_VA + 0x18, "its address"
	.endif
	RETURN

! Data of stores: narrow ones stand where memory would have them.
	PROC check_stores
	{
		addd 0, TEST_VA + 0x10, %dr1
		addd 0, 0x1122334455667788, %dr2
	}
	{
		stb,2 %dr1, 3, %r2
	}
	CHECK_TRAP EXC_DATA_PAGE, "store of a byte"
	CHECK_COND 0, SYSTEM_MISS | BYTE << FMT | STORE_OP | 1 << CHAN, 1000, "condition"
	RECORD 0, 8, %dr5
	CHECK_EQUAL %dr5, 0x88 << 24, "at byte 3"
	{
		sth,5 %dr1, 7, %r2
	}
	CHECK_TRAP EXC_DATA_PAGE, "store across a doubleword"
	CHECK_COND 0, SYSTEM_MISS | HALF << FMT | STORE_OP | 3 << CHAN, 1000, "condition"
	RECORD 0, 8, %dr5
	CHECK_EQUAL %dr5, 0x88 << 56 | 0x77, "rotated"
	{
		stw,2 %dr1, 4, %r2
	}
	CHECK_TRAP EXC_DATA_PAGE, "store of a word"
	RECORD 0, 8, %dr5
	CHECK_EQUAL %dr5, 0x55667788 << 32, "in the upper half"
	{
		std,2 %dr1, 0, %dr2
	}
	CHECK_TRAP EXC_DATA_PAGE, "store of a doubleword"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT | STORE_OP | 1 << CHAN, 1000, "condition"
	RECORD 0, 8, %dr5
	CHECK_EQUAL %dr5, 0x1122334455667788, "data"
	.ifdef	PACKED_TESTS
	{
		addd 0, 0x99, %dr3
	}
	{
		stq,2 %dr1, 0, %qr2
	}
	CHECK_TRAP EXC_DATA_PAGE, "store of a pair"
	CHECK_COUNT 2, "two records"
	CHECK_COND 0, SYSTEM_MISS | QUAD << FMT | STORE_OP | 1 << CHAN, 1000, "first half"
	CHECK_COND 1, SYSTEM_MISS | QUAD << FMT | STORE_OP | 3 << CHAN, 1000, "second half"
	RECORD 1, 8, %dr5
	CHECK_EQUAL %dr5, 0x99, "its data"
	.endif
	RETURN

! Several accesses of one bundle, in the order of their channels: loads go on,
! stores after the first fault wait, with no fault of their own.
	PROC check_bundles
	PTE leaf, 1, page_b, %dg20
	{
		addd 0, TEST_VA + 0x10, %dr1
		addd 0, TEST_VA + PAGE, %dr2
	}
	{
		addd 0, 0xb, %dr3
		addd 0, 0, %dr7
	}
	{
		std %dr2, 0, %dr3
		addd 0, 5, %dr8
	}
	{
		ldd,0 %dr1, 0, %dr9
		ldd,2 %dr2, 0, %dr7
		ldd,3 %dr1, 8, %dr10
		addd,4 %dr8, 1, %dr8
	}
	CHECK_TRAP EXC_DATA_PAGE, "three loads"
	CHECK_COUNT 2, "two of them faulted"
	CHECK_COND 0, SYSTEM_MISS | DWORD << FMT | DST, 9, "the first"
	CHECK_COND 1, SYSTEM_MISS | DWORD << FMT | DST | 2 << CHAN, 10, "the third"
	CHECK_EQUAL %dr7, 0xb, "the second is done"
	CHECK_EQUAL %dr8, 6, "and so is the rest of the bundle"
	{
		addd 0, 0xbb, %dr3
	}
	{
		ldd,0 %dr1, 0, %dr9
		std,2 %dr2, 0, %dr3
	}
	CHECK_TRAP EXC_DATA_PAGE, "a load and a store"
	CHECK_COUNT 2, "both are recorded"
	CHECK_COND 1, ALWAYS | PM | DWORD << FMT | STORE_OP | 1 << CHAN | 3 << 48, 1000, "the store has no fault"
	{
		ldd %dr2, 0, %dr7
	}
	CHECK_EQUAL %dr7, 0xb, "it was not done"
	{
		std,2 %dr2, 0, %dr3
		std,5 %dr1, 0, %dr3
	}
	CHECK_TRAP EXC_DATA_PAGE, "two stores"
	CHECK_COUNT 1, "the first is done"
	{
		ldd %dr2, 0, %dr7
	}
	CHECK_EQUAL %dr7, 0xbb, "and has stored"
	RETURN

! TIR1 has the fault, TIR0 where to go on; CR0.hi goes on after the bundle.
	PROC check_tirs
	{
		addd 0, TEST_VA + 0x10, %dr1
		addd 0, trap_tirs, %dr10
	}
2:
	{
		ldd,0 %dr1, 0, %dr9
		ldd,3 %dr1, 8, %dr7
	}
3:
	{
		ldd %dr10, 0, %dr11
		ldd %dr10, 8, %dr12
	}
	{
		ldd %dr10, 16, %dr8
		ldd %dr10, 24, %dr13
	}
	CHECK_TRAP EXC_DATA_PAGE, "TIRs of a data page"
	CHECK_EQUAL %dr8, 1 << 29 | 9 << 44 | 1 << 56, "TIR1.hi: bit, channels, number"
	CHECK_EQUAL %dr13, 2b, "TIR1.lo: the bundle"
	CHECK_EQUAL %dr11, 0, "TIR0.hi: nothing"
	CHECK_EQUAL %dr12, 3b, "TIR0.lo: the next one"
	{
		addd 0, trap_cr1, %dr10
	}
	{
		ldd %dr10, 16, %dr8
	}
	CHECK_EQUAL %dr8, 3b, "CR0.hi: the next one"
	RETURN

! Records are made good by recovery accesses: signed offset, format, tags.
	.macro	TAG_OF reg, to
	{
		gettagd \reg, %r14
	}
	{
		sxt 2, %r14, \to
	}
	.endm
	PROC check_replay
	PTE leaf, 0, page_a, %dg20
	FLUSH_TLB
	{
		addd 0, TEST_VA + 0x20, %dr1
		addd 0, 0x1234, %dr2
	}
	{
		puttagd %dr2, 5, %dr3
		addd 0, STRD_QUAD, %dr4
	}
	{
		strd,2 %dr1, %dr4, %dr3
	}
	{
		ldrd,0 %dr1, %dr4, %dr5
	}
	TAG_OF %dr5, %dr6
	CHECK_EQUAL %dr6, 5, "strd and ldrd keep the tag"
	{
		ldd %dr1, 0, %dr5
	}
	CHECK_EQUAL %dr5, 0x1234, "a plain load gives the value"
	{
		addd 0, STRD_QUAD | 0xfffffff8, %dr4
		addd %dr1, 8, %dr7
	}
	{
		ldrd,0 %dr7, %dr4, %dr5
	}
	TAG_OF %dr5, %dr6
	CHECK_EQUAL %dr6, 5, "the offset is signed"
	{
		std %dr1, 0, %dr2
		addd 0, STRD_QUAD, %dr4
	}
	{
		ldrd,0 %dr1, %dr4, %dr5
	}
	TAG_OF %dr5, %dr6
	CHECK_EQUAL %dr6, 0, "a plain store takes the tag"
	{
		addd 0, STRD_DWORD, %dr4
		puttagd %dr2, 5, %dr3
	}
	{
		addd 0, 1 << 40 | 3, %dr4
		addd 0, 0xab, %dr3
	}
	{
		strd,2 %dr1, %dr4, %dr3
	}
	{
		ldd %dr1, 0, %dr5
	}
	CHECK_EQUAL %dr5, 0xab001234, "one byte at an offset"
	PTE leaf, 0, 0, %dg16
	FLUSH_TLB
	RETURN

! 16 bytes in a register: one record, the upper half in the extension.
	.ifdef	PACKED_TESTS
	.macro	EXTENSION n, offset, to
	{
		mmurr %trap_point, %dr14
	}
	{
		ldd,2 %dr14, 512 + 24 * (\n) + (\offset), \to, mas = 1
	}
	.endm
	PROC check_packed
	{
		addd 0, TEST_VA + 0x10, %dr1
		addd 0, sixteen, %dr2
	}
	{
		ldqp,0 %dr2, 0, %qpr4
	}
	{
		ldqp,0 %dr1, 0, %qpr7
	}
	CHECK_TRAP EXC_DATA_PAGE, "load of 16 bytes"
	CHECK_COUNT 1, "one record"
	CHECK_COND 0, SYSTEM_MISS | PACKED << FMT | DST, 7, "its condition word"
	{
		stqp,2 %dr1, 0, %qpr4
	}
	CHECK_TRAP EXC_DATA_PAGE, "store of 16 bytes"
	CHECK_COND 0, SYSTEM_MISS | PACKED << FMT | STORE_OP | 1 << CHAN, 1000, "condition"
	RECORD 0, 8, %dr5
	CHECK_EQUAL %dr5, 0x1111222233334444, "lower half"
	EXTENSION 0, 8, %dr5
	CHECK_EQUAL %dr5, 0x5555666677778888, "upper half"
	{
		addd 0, 0x0ff1, %dr3
	}
	{
		stmqp,2 %dr1, %dr3, %qpr4
	}
	CHECK_TRAP EXC_DATA_PAGE, "masked store"
	EXTENSION 0, 16, %dr5
	CHECK_EQUAL %dr5, 0x0ff1, "its mask"
	RETURN

	.pushsection .rodata
	.align	16
sixteen:
	.quad	0x1111222233334444, 0x5555666677778888
	.popsection
	.endif
