! Code and address translation: the same address names other code after a
! flush, in another address space, and after it was written.  Each procedure is
! called often enough to be kept by whatever caches code.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"

	.equ	VALID, 1 << 40
	.equ	PRIV, 1 << 41
	.equ	KERNEL, 0x63 | VALID | PRIV	! present, writable, A, D
	.equ	LARGE, 0x80
	.equ	PAGE, 4096
	.equ	TEST_VA, 0x40000000
	.equ	CALLS, 200
	.equ	CODE_BYTES, 64

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
	.macro	FLUSH_ICACHE
	{
		addd 0, 0, %dr14
	}
	{
		std,2 %dr14, 0, %dr14, mas = 0x27
	}
	.endm
	.macro	SPACE table, id
	{
		addd 0, \table, %dr14
	}
	{
		mmurw %dr14, %root_ptb
	}
	{
		addd 0, \id, %dr14
	}
	{
		mmurw %dr14, %cont
	}
	.endm
	.macro	COPY from, to
	{
		addd 0, \from, %db[0]
		addd 0, \to, %db[1]
	}
	CALL copy
	.endm
	.macro	CHECK_CODE number, text
	CALL1 call_often, TEST_VA
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, CALLS * \number, "\text"
	.endm

	.text
	PROC main
	COPY one, page_a
	COPY two, page_b
	COPY three, page_c
	ENTRY root, 0, level3 + KERNEL
	ENTRY level3, 0, level2 + KERNEL
	ENTRY level3, 1, level2_test + KERNEL
	ENTRY level3, 3, level2_devices + KERNEL
	ENTRY level2_test, 0, leaf + KERNEL
	ENTRY root2, 0, level3_2 + KERNEL
	ENTRY level3_2, 0, level2 + KERNEL
	ENTRY level3_2, 1, level2_test2 + KERNEL
	ENTRY level3_2, 3, level2_devices + KERNEL
	ENTRY level2_test2, 0, leaf2 + KERNEL
	ENTRY level2_devices, 0x80, 0xd0000000 + KERNEL + LARGE
	ENTRY leaf, 0, page_a + KERNEL
	ENTRY leaf2, 0, page_c + KERNEL
	CALL map_ram
	SPACE root, 0
	{
		addd 0, 9, %dr1
	}
	{
		mmurw %dr1, %mmu_cr
	}
	CHECK_CODE 1, "code at an address"
	ENTRY leaf, 0, page_b + KERNEL
	FLUSH_PAGE TEST_VA
	CHECK_CODE 2, "other code there after a flush of the page"
	ENTRY leaf, 0, page_a + KERNEL
	FLUSH_TLB
	CHECK_CODE 1, "the first again after a flush of all"
	SPACE root2, 1
	CHECK_CODE 3, "a third one in another address space"
	SPACE root, 0
	CHECK_CODE 1, "back in the first space"
	SPACE root2, 1
	ENTRY leaf2, 0, page_b + KERNEL
	FLUSH_PAGE TEST_VA
	CHECK_CODE 2, "changed in the second space"
	SPACE root, 0
	CHECK_CODE 1, "the first space has its own"
	! A new space whose tables lie where the second's were.
	ENTRY leaf2, 0, page_c + KERNEL
	SPACE root2, 2
	CHECK_CODE 3, "tables used again under another id"
	SPACE root, 0
	COPY three, page_a			! through its physical address
	FLUSH_ICACHE
	CHECK_CODE 3, "code was written"
	COPY one, TEST_VA			! through its own address
	FLUSH_ICACHE
	CHECK_CODE 1, "code was written where it runs"
	{
		addd 0, 6, %dr1
	}
	{
		mmurw %dr1, %mmu_cr
	}
	CALL1 call_often, page_b
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, CALLS * 2, "code at a physical address"
	COPY three, page_b
	FLUSH_ICACHE
	CALL1 call_often, page_b
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, CALLS * 3, "and written there"
	PRINT "code passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC map_ram				! 256 MiB, as it is
	{
		addd 0, level2, %dr0
		addd 0, 128, %dr2
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

	PROC copy				! from, to: CODE_BYTES
	{
		addd 0, CODE_BYTES, %dr2
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

	PROC call_often				! address: sum of what it returns
	{
		addd 0, CALLS, %dr2
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
three:
	RETURNS 3
	.align	64

	.pushsection .bss
	.align	4096
root:
	.skip	PAGE
root2:
	.skip	PAGE
level3:
	.skip	PAGE
level3_2:
	.skip	PAGE
level2:
	.skip	PAGE
level2_test:
	.skip	PAGE
level2_test2:
	.skip	PAGE
level2_devices:
	.skip	PAGE
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
