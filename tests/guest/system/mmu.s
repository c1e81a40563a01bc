! Memory and MMU exerciser: page tables, page faults through the trap cellar
! with re-execution, protection, speculation, address spaces, TLB flushes,
! probes, accessed and dirty bits.
!
! Linked at its physical addresses, which are mapped to themselves by 2 MiB
! pages; tests play with the gigabyte from TEST_VA on.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"

	.equ	P, 1
	.equ	W, 2
	.equ	A, 0x20
	.equ	D, 0x40
	.equ	LARGE, 0x80
	.equ	VALID, 1 << 40
	.equ	PRIV, 1 << 41
	.equ	NX, 1 << 43
	.equ	TABLE, P | W | A | D | VALID | PRIV
	.equ	KERNEL, P | W | A | D | VALID | PRIV
	.equ	TEST_VA, 0x40000000
	.equ	TEST_VA2, 0x40001000
	.equ	PAGE, 4096
	.equ	FAULT_SHIFT, 35
	.equ	PAGE_MISS, 1 << 10
	.equ	NWRITE, 1 << 9
	.equ	ILLEGAL, 1 << 8

! Stores value at table + 8 * index.
	.macro	ENTRY table, index, value
	{
		addd 0, \table + 8 * (\index), %dr14
	}
	{
		addd 0, \value, %dr15
	}
	{
		std %dr14, 0, %dr15
	}
	.endm

! Drops the translation of an address from the TLB.
	.macro	FLUSH_PAGE address
	{
		addd 0, 1, %dr14
		addd 0, \address, %dr15
	}
	{
		std,2 %dr14, 0, %dr15, mas = 0x17
	}
	.endm
	.macro	FLUSH_TLB
	{
		addd 0, 1, %dr14
	}
	{
		std,2 %dr14, 0, %dr14, mas = 0x27
	}
	.endm

! The condition word of cellar record 0, its fault type in \to.
	.macro	FAULT_TYPE to
	{
		mmurr %trap_point, %dr14
	}
	{
		ldd,2 %dr14, 16, \to, mas = 1
	}
	{
		shrd \to, FAULT_SHIFT, \to
	}
	{
		andd \to, 0x1fff, \to
	}
	.endm

	.text
	PROC main
	CALL make_tables
	{
		addd 0, root, %dr1
	}
	{
		mmurw %dr1, %root_ptb
	}
	{
		addd 0, 0, %dr1
	}
	{
		mmurw %dr1, %cont
	}
	{
		addd 0, 9, %dr1
	}
	{
		mmurw %dr1, %mmu_cr
	}
	PRINT "ok translation is on\n"

	! A store to a missing page: one record; the handler's guest maps the
	! page and replays the store itself.
	{
		addd 0, TEST_VA + 0x18, %dr1
	}
	{
		addd 0, 0x1122334455667788, %dr2
	}
	{
		addd %dr3, 0, %dr3 ? %pred31
		addd 0, 5, %dr4
	}
	{
		std %dr1, 0, %dr2
		addd %dr4, 1, %dr4	! the rest of the bundle is done
	}
	CHECK_TRAP EXC_DATA_PAGE, "store to a missing page"
	CHECK_EQUAL %dr4, 6, "the rest of the bundle was done"
	FAULT_TYPE %dr5
	CHECK_EQUAL %dr5, PAGE_MISS, "fault type page_miss"
	{
		mmurr %trap_count, %dr5
	}
	CHECK_EQUAL %dr5, 3, "one record in the cellar"
	{
		mmurr %trap_point, %dr6
	}
	{
		ldd,2 %dr6, 0, %dr7, mas = 1
	}
	CHECK_EQUAL %dr7, TEST_VA + 0x18, "the record's address"
	{
		ldd,2 %dr6, 8, %dr8, mas = 1
	}
	ENTRY leaf, 0, page_a + KERNEL - (A | D)
	{
		std %dr7, 0, %dr8	! re-execution
	}
	{
		ldd %dr1, 0, %dr5
	}
	CHECK_EQUAL %dr5, 0x1122334455667788, "replayed store"
	{
		addd 0, page_a, %dr6
	}
	{
		ldd %dr6, 0x18, %dr5
	}
	CHECK_EQUAL %dr5, 0x1122334455667788, "seen through the other mapping"
	{
		addd 0, leaf, %dr6
	}
	{
		ldd %dr6, 0, %dr5
	}
	{
		andd %dr5, A | D, %dr5
	}
	CHECK_EQUAL %dr5, A | D, "accessed and dirty bits"

	! Protection.
	ENTRY leaf, 1, page_b + P + VALID + PRIV
	{
		addd 0, TEST_VA2, %dr1
	}
	{
		ldd %dr1, 0, %dr5
	}
	{
		std %dr1, 0, %dr2
	}
	CHECK_TRAP EXC_DATA_PAGE, "store to a read-only page"
	FAULT_TYPE %dr5
	CHECK_EQUAL %dr5, NWRITE, "fault type nwrite_page"
	RESUME_AT 1f
	{
		movtd %dr1, %ctpr1
		nop 4
	}
	ENTRY leaf, 1, page_b + P + VALID + PRIV + NX
	FLUSH_PAGE TEST_VA2
	{
		ct %ctpr1
	}
1:
	CHECK_TRAP EXC_INSTR_PAGE_PROT, "code in a page without execution"
	ENTRY leaf, 1, VALID
	FLUSH_PAGE TEST_VA2
	RESUME_AT 1f
	{
		movtd %dr1, %ctpr1
		nop 4
	}
	{
		ct %ctpr1
	}
1:
	CHECK_TRAP EXC_INSTR_PAGE_MISS, "code in a missing page"

	! Addresses that are not valid at all: speculative loads do not trap.
	ENTRY leaf, 1, 0
	FLUSH_PAGE TEST_VA2
	{
		ldd %dr1, 0, %dr5
	}
	CHECK_TRAP EXC_DATA_PAGE, "load of an invalid address"
	FAULT_TYPE %dr5
	CHECK_EQUAL %dr5, ILLEGAL, "fault type illegal_page"
	{
		ldd,sm %dr1, 0, %dr5
	}
	{
		gettagd %dr5, %r6
	}
	{
		sxt 2, %r6, %dr6
	}
	CHECK_EQUAL %dr6, 5, "speculative load gives a diagnostic value"
	ENTRY leaf, 1, VALID
	FLUSH_PAGE TEST_VA2
	{
		ldd,sm %dr1, 0, %dr5
	}
	CHECK_TRAP EXC_DATA_PAGE, "speculative load of a missing page"

	! The TLB: an entry may stay until it is flushed, and is gone then.
	ENTRY leaf, 1, page_a + KERNEL
	FLUSH_PAGE TEST_VA2
	{
		ldd %dr1, 0x18, %dr5
	}
	CHECK_EQUAL %dr5, 0x1122334455667788, "a page mapped twice"
	ENTRY leaf, 1, page_b + KERNEL
	FLUSH_TLB
	{
		ldd %dr1, 0x18, %dr5
	}
	CHECK_EQUAL %dr5, 0, "mapped elsewhere after a flush"

	! Address spaces: space 1 sees another page at the same address.
	ENTRY root2, 0, tables2 + TABLE
	{
		addd 0, root2, %dr1
	}
	{
		mmurw %dr1, %root_ptb
	}
	{
		addd 0, 1, %dr1
	}
	{
		mmurw %dr1, %cont
	}
	{
		addd 0, TEST_VA, %dr1
		addd 0, 0x77, %dr2
	}
	{
		ldd %dr1, 0x18, %dr5
	}
	{
		std %dr1, 0x18, %dr2
	}
	CHECK_EQUAL %dr5, 0, "space 1 has its own page"
	{
		addd 0, root, %dr1
	}
	{
		mmurw %dr1, %root_ptb
	}
	{
		addd 0, 0, %dr1
	}
	{
		mmurw %dr1, %cont
	}
	{
		addd 0, TEST_VA, %dr1
	}
	{
		ldd %dr1, 0x18, %dr5
	}
	CHECK_EQUAL %dr5, 0x1122334455667788, "space 0 has kept its page"

	! Probes.
	{
		addd 0, TEST_VA + 0x18, %dr1
	}
	{
		ldd,2 %dr1, 0, %dr5, mas = 0x2f
	}
	{
		addd 0, page_a + 0x18, %dr6
	}
	{
		subd %dr5, %dr6, %dr5
	}
	CHECK_EQUAL %dr5, 0, "address probe"
	{
		ldd,2 %dr1, 0, %dr5, mas = 0x37
	}
	{
		shrd %dr5, 58, %dr5
	}
	CHECK_EQUAL %dr5, 0, "entry probe finds the page"
	{
		addd 0, TEST_VA + 0x5000, %dr1
	}
	{
		ldd,2 %dr1, 0, %dr5, mas = 0x37
	}
	{
		shrd %dr5, 61, %dr5
	}
	{
		andd %dr5, 3, %dr5
	}
	CHECK_EQUAL %dr5, 2, "entry probe of an invalid address"

	! Off again: addresses are physical.
	{
		addd 0, 6, %dr1
	}
	{
		mmurw %dr1, %mmu_cr
	}
	{
		addd 0, page_a, %dr1
	}
	{
		ldd %dr1, 0x18, %dr5
	}
	CHECK_EQUAL %dr5, 0x1122334455667788, "translation is off"
	PRINT "mmu passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! Tables of both spaces: memory and devices as they are, TEST_VA by 4 KiB
! pages.
	PROC make_tables
	ENTRY root, 0, level3 + TABLE
	ENTRY level3, 0, level2 + TABLE
	ENTRY level3, 1, level2_test + TABLE
	ENTRY level3, 3, level2_devices + TABLE
	ENTRY level2_test, 0, leaf + TABLE
	ENTRY leaf, 0, VALID			! to be populated
	ENTRY level2_devices, 0x80, 0xd0000000 + KERNEL + LARGE
	ENTRY level2_devices, 0x1f6, 0xfec00000 + KERNEL + LARGE
	ENTRY level2_devices, 0x1f7, 0xfee00000 + KERNEL + LARGE
	.ifdef	BOARD
	ENTRY level3, 2, level2_console + TABLE
	ENTRY tables2, 2, level2_console + TABLE
	{
		addd 0, level2_console, %db[0]
		addd 0, KERNEL + LARGE, %db[1]
	}
	CALL map_console
	.endif
	ENTRY tables2, 0, level2 + TABLE
	ENTRY tables2, 1, level2_test2 + TABLE
	ENTRY tables2, 3, level2_devices + TABLE
	ENTRY level2_test2, 0, leaf2 + TABLE
	ENTRY leaf2, 0, page_c + KERNEL
	{
		addd 0, level2, %dr0
		addd 0, 128, %dr2		! 256 MiB by 2 MiB pages
	}
	{
		addd 0, KERNEL + LARGE, %dr1
	}
1:
	{
		std %dr0, 0, %dr1
		addd %dr1, 0x200000, %dr1
		subd %dr2, 1, %dr2
	}
	{
		addd %dr0, 8, %dr0
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

	.pushsection .bss
	.align	4096
root:
	.skip	PAGE
root2:
	.skip	PAGE
tables2:
	.skip	PAGE
level3:
	.skip	PAGE
level2:
	.skip	PAGE
level2_test:
	.skip	PAGE
level2_test2:
	.skip	PAGE
level2_devices:
	.skip	PAGE
	.ifdef	BOARD
level2_console:
	.skip	PAGE
	.endif
leaf:
	.skip	PAGE
leaf2:
	.skip	PAGE
page_a:
	.skip	PAGE
page_b:
	.skip	PAGE
page_c:
	.skip	PAGE
	.popsection
