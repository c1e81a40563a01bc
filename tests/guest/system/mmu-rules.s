! Rules of address translation, in each format of page tables that the CPU has:
! levels, rights, accessed and dirty bits, pages of 2 MiB and 1 GiB with their
! flushes, speculative loads.  README.md of this folder says which check is for
! which rule.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "mmu.inc"

	PROC main
	CALL each_format
	PRINT "mmu-rules passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC check_format
	CALL check_levels
	CALL check_rights
	CALL check_marks
	CALL check_large
	CALL check_speculation
	RETURN

! Present and VALID count at each level; the level is in the record.
	PROC check_levels
	PTE leaf, 0, 0, %dg16
	LOAD TEST_VA
	CHECK_FAULT PAGE_MISS, 3, "miss at level 1"
	PTE leaf, 0, page_a, 1
	LOAD TEST_VA
	CHECK_FAULT ILLEGAL, 3, "not valid at level 1"
	PTE level2_test, 1, 0, %dg16
	LOAD TEST_2M
	CHECK_FAULT PAGE_MISS, 2, "miss at level 2"
	PTE level2_test, 1, leaf, 1
	LOAD TEST_2M
	CHECK_FAULT ILLEGAL, 2, "not valid at level 2"
	PTE level3, 2, 0, %dg16
	LOAD HUGE_VA
	CHECK_FAULT PAGE_MISS, 1, "miss at level 3"
	PTE level3, 2, level2_test, 1
	LOAD HUGE_VA
	CHECK_FAULT ILLEGAL, 1, "not valid at level 3"
	PTE root, 5, 0, %dg16
	LOAD 5 << 39
	CHECK_FAULT PAGE_MISS, 0, "miss at the root"
	LOAD 6 << 39
	CHECK_FAULT ILLEGAL, 0, "not valid at the root"
	LOAD 1 << 48
	CHECK_TRAP EXC_DATA_PAGE, "beyond 48 bits"
	RETURN

! Rights of the leaf, and of nothing else.
	PROC check_rights
	PTE level2_test, 0, leaf, %dg17, %dg18		! read only, system's
	PTE leaf, 0, page_a, %dg17, 2
	FLUSH_PAGE TEST_VA
	STORE TEST_VA, 0xa
	CHECK_NO_TRAP "rights of a table do not count"
	PTE level2_test, 0, leaf, %dg20
	PTE leaf, 0, page_a, %dg17
	FLUSH_PAGE TEST_VA
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xa, "load of a read-only page"
	STORE TEST_VA, 1
	CHECK_FAULT NWRITE, 3, "store to a read-only page"
	{
		addd 0, TEST_VA, %dr14
	}
	{
		ldd,0 %dr14, 0, %dr5, mas = 7
	}
	CHECK_FAULT NWRITE, 3, "locked load of a read-only page"
	! An access that crosses into a page that is not there: none of it is
	! done, and it can be repeated when the page has come.
	PTE leaf, 0, page_a, %dg20
	PTE leaf, 1, 0, %dg16
	FLUSH_TLB
	STORE TEST_VA + PAGE - 8, 0x1111
	STORE TEST_VA + PAGE - 4, 0x2222
	CHECK_FAULT PAGE_MISS, 3, "store across the end of a page"
	LOAD TEST_VA + PAGE - 8
	CHECK_EQUAL %dr5, 0x1111, "its first part was not done"
	PTE leaf, 1, page_b, %dg20
	STORE TEST_VA + PAGE - 4, 0x222233334444
	CHECK_NO_TRAP "the page has come"
	LOAD page_a + PAGE - 8
	CHECK_EQUAL %dr5, 0x3333444400001111, "first part"
	LOAD page_b
	CHECK_EQUAL %dr5, 0x2222, "second part"
	STORE page_b, 0xb
	RETURN

! Accessed and dirty bits are the MMU's business.
	PROC check_marks
	PTE leaf, 0, page_a, %dg17, 2
	FLUSH_PAGE TEST_VA
	LOAD TEST_VA
	GET_PTE leaf, 0, %dr5
	{
		andd %dr5, MARKS, %dr5
	}
	CHECK_EQUAL %dr5, ACCESSED, "a load marks the page accessed"
	STORE TEST_VA, 0xa
	GET_PTE leaf, 0, %dr5
	{
		andd %dr5, MARKS, %dr5
	}
	CHECK_EQUAL %dr5, MARKS, "a store marks it dirty, after a load too"
	PTE leaf, 0, page_a, %dg17, 2
	FLUSH_PAGE TEST_VA
	STORE TEST_VA, 0xa
	GET_PTE leaf, 0, %dr5
	{
		andd %dr5, MARKS, %dr5
	}
	CHECK_EQUAL %dr5, MARKS, "a store alone marks both"
	PTE leaf, 0, page_a, %dg17
	FLUSH_PAGE TEST_VA
	STORE TEST_VA, 1
	CHECK_FAULT NWRITE, 3, "a store that faults"
	GET_PTE leaf, 0, %dr5
	{
		andd %dr5, DIRTY, %dr5
	}
	CHECK_EQUAL %dr5, 0, "does not mark the page dirty"
	RETURN

! Pages of 2 MiB and, from v5 on, 1 GiB.  A flush of any address of a page is
! one of the page.
	PROC check_large
	PTE level2_test, 1, 0, %dg20, LARGE
	{
		addd 0, page_a, %dr14
		addd 0, TEST_2M, %dr15
	}
	{
		andd %dr14, 0x1fffff, %dr6
	}
	{
		addd %dr6, %dr15, %dr6
	}
	{
		subd %dr14, %dr6, %dr7	! where the page's first byte would be
		addd %dr15, 0, %dr8
	}
	{
		addd %dr7, %dr8, %dr7
	}
	{
		ord %dr7, LARGE, %dr7
	}
	PTE level2_test, 1, 0, %dg20, %dr7
	{
		ldd %dr6, 0, %dr5
	}
	CHECK_EQUAL %dr5, 0xa, "2 MiB page"
	PTE level2_test, 1, 0x600000, %dg20, LARGE
	FLUSH_PAGE TEST_2M
	STORE 0x600000 + 5 * PAGE, 0x600000
	STORE 0x800000 + 5 * PAGE, 0x800000
	LOAD TEST_2M + 5 * PAGE
	CHECK_EQUAL %dr5, 0x600000, "2 MiB page elsewhere"
	LOAD TEST_2M + 9 * PAGE
	PTE level2_test, 1, 0x800000, %dg20, LARGE
	FLUSH_PAGE TEST_2M + 9 * PAGE
	LOAD TEST_2M + 5 * PAGE
	CHECK_EQUAL %dr5, 0x800000, "a flush of one address is of the 2 MiB"
	! The same for code: two addresses in one page.
	CALL check_large_code
	{
		cmpbdb %dg21, V5_MODEL, %pred0
	}
	GOTO_IF %pred0, 1f
	PTE level3, 2, 0, %dg20, LARGE
	FLUSH_TLB
	LOAD HUGE_VA + 0x600000 + 5 * PAGE
	CHECK_EQUAL %dr5, 0x600000, "1 GiB page"
	LOAD HUGE_VA + 0x600000
	PTE level3, 2, 0, %dg16
	FLUSH_PAGE HUGE_VA
	LOAD HUGE_VA + 0x600000 + 5 * PAGE
	CHECK_FAULT PAGE_MISS, 1, "a flush of one address is of the 1 GiB"
1:
	PTE level3, 2, 0, %dg16
	FLUSH_TLB
	RETURN

	.macro	RETURNS number
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
		addd 0, \number, %dr0
	}
	RETURN
	.endm
	.align	64
one:
	RETURNS 1
	.align	64
two:
	RETURNS 2
	.align	64

	PROC copy				! from, to: 64 bytes
	{
		addd 0, 64, %dr2
	}
1:
	{
		ldd %dr0, 0, %dr3
		subd %dr2, 8, %dr2
	}
	{
		std %dr1, 0, %dr3
		addd %dr0, 8, %dr0
		cmpedb %dr2, 0, %pred0
	}
	{
		addd %dr1, 8, %dr1
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

	PROC call_often				! address: sum of 100 results
	{
		addd 0, 100, %dr2
		addd 0, 0, %dr3
	}
1:
	{
		movtd %dr0, %ctpr1
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		addd %dr3, %db[0], %dr3
		subd %dr2, 1, %dr2
	}
	{
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd %dr3, 0, %dr0
	}
	RETURN

	PROC check_large_code
	{
		addd 0, one, %db[0]
		addd 0, 0x600000 + 3 * PAGE, %db[1]
	}
	CALL copy
	{
		addd 0, two, %db[0]
		addd 0, 0x800000 + 3 * PAGE, %db[1]
	}
	CALL copy
	PTE level2_test, 1, 0x600000, %dg20, LARGE
	FLUSH_PAGE TEST_2M
	CALL1 call_often, TEST_2M + 3 * PAGE
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 100, "code in a 2 MiB page"
	PTE level2_test, 1, 0x800000, %dg20, LARGE
	FLUSH_PAGE TEST_2M + 9 * PAGE
	CALL1 call_often, TEST_2M + 3 * PAGE
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 200, "other code after a flush of another address"
	RETURN

! Semi-speculative loads: what is not valid gives a diagnostic value, what is
! missing traps; fully speculative ones never trap.
	PROC check_speculation
	PTE leaf, 0, page_a, %dg20
	PTE leaf, 1, 0, 0
	PTE leaf, 2, 0, %dg16
	FLUSH_TLB
	LOAD_SM TEST_VA
	CHECK_EQUAL %dr6, 0, "speculative load of a page"
	LOAD_SM TEST_VA + PAGE
	CHECK_EQUAL %dr6, 5, "speculative load of an invalid address"
	CHECK_EQUAL %dr5, 0x4afafafa4afafafa, "its value"
	LOAD_SM 1 << 50
	CHECK_EQUAL %dr6, 5, "speculative load beyond 48 bits"
	CHECK_NO_TRAP "no trap"
	LOAD_SM TEST_VA + 2 * PAGE
	CHECK_FAULT PAGE_MISS, 3, "speculative load of a missing page"
	LOAD_SM TEST_VA + 2 * PAGE, 3
	CHECK_EQUAL %dr6, 5, "fully speculative load of a missing page"
	CHECK_NO_TRAP "no trap"
	AS_USER
	LOAD_SM TEST_VA
	AS_SYSTEM
	CHECK_EQUAL %dr6, 5, "speculative load of a system page by user code"
	CHECK_NO_TRAP "no trap"
	RETURN
