! What user code may do, address spaces, probes, MMU registers, separate tables
! of v6; in each format of page tables that the CPU has.  README.md of this
! folder says which check is for which rule.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "mmu.inc"

	PROC main
	CALL each_format
	CALL check_registers
	{
		cmpbdb %dg21, V6_MODELS, %pred0
	}
	GOTO_IF %pred0, 1f
	CALL check_separate
1:
	PRINT "mmu-access passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC check_format
	CALL check_user
	CALL check_code
	CALL check_spaces
	CALL check_probes
	RETURN

! What user code may do.
	PROC check_user
	PTE leaf, 0, page_a, %dg17, 2
	PTE leaf, 1, page_b, %dg20
	FLUSH_TLB
	AS_USER
	LOAD TEST_VA
	AS_SYSTEM
	CHECK_EQUAL %dr5, 0xa, "user code, user page"
	CHECK_NO_TRAP "no trap"
	AS_USER
	LOAD TEST_VA + PAGE
	AS_SYSTEM
	CHECK_FAULT PRIV_PAGE, 3, "user code, system page: load"
	AS_USER
	STORE TEST_VA + PAGE, 1
	AS_SYSTEM
	CHECK_FAULT PRIV_PAGE, 3, "user code, system page: store"
	LOAD TEST_VA + PAGE
	CHECK_EQUAL %dr5, 0xb, "system code, system page"
	AS_USER
	LOAD TEST_VA + PAGE		! now that the TLB has it for the system
	AS_SYSTEM
	CHECK_FAULT PRIV_PAGE, 3, "user code after system code"
	! By physical address, MMU operations, state registers.
	RESUME_AT 1f
	AS_USER
	{
		ldd,2 %dr14, 0, %dr5, mas = 1
	}
1:
	AS_SYSTEM
	CHECK_TRAP EXC_PRIV_ACTION, "user code, physical address"
	.irp	mas, 0x2f, 0x37, 0x47, 0x4f, 0x57, 0x5f, 0x67, 0x6f
	RESUME_AT 1f
	AS_USER
	{
		ldd,2 %dr14, 0, %dr5, mas = \mas
	}
1:
	AS_SYSTEM
	CHECK_TRAP EXC_PRIV_ACTION, "user code, special load \mas"
	.endr
	.irp	mas, 0x07, 0x27, 0x47, 0x4f
	RESUME_AT 1f
	AS_USER
	{
		std,2 %dr14, 0, %dr5, mas = \mas
	}
1:
	AS_SYSTEM
	CHECK_TRAP EXC_PRIV_ACTION, "user code, special store \mas"
	.endr
	.irp	reg, psr, osem, psp.lo, pcsp.hi, cr0.hi, usd.lo, sbr, oscud.lo, wd
	RESUME_AT 1f
	AS_USER
	{
		rwd %dr5, %\reg
	}
1:
	AS_SYSTEM
	CHECK_TRAP EXC_PRIV_ACTION, "user code writes \reg"
	.endr
	RESUME_AT 1f
	AS_USER
	{
		done
	}
1:
	AS_SYSTEM
	CHECK_TRAP EXC_PRIV_ACTION, "user code, done"
	RETURN

! Rights of code, and which page of a bundle is missing.
	.macro	CALL_TEST_VA
	{
		addd 0, TEST_VA, %dr14
	}
	{
		movtd %dr14, %ctpr1
		nop 4
	}
	{
		ct %ctpr1
	}
	.endm
	PROC check_code
	PTE leaf, 0, page_a, %dg17, 2
	FLUSH_PAGE TEST_VA
	STORE page_a, 0xffffffffffffffff
	RESUME_AT 1f
	CALL_TEST_VA
1:
	CHECK_TRAP EXC_ILLEGAL_OPCODE, "code of a page of user code"
	PTE leaf, 0, page_a, %dg20
	FLUSH_PAGE TEST_VA
	RESUME_AT 1f
	AS_USER
	CALL_TEST_VA
1:
	AS_SYSTEM
	CHECK_TRAP EXC_INSTR_PAGE_PROT, "user code in a system page"
	PTE leaf, 0, page_a, %dg17, %dg19
	FLUSH_PAGE TEST_VA
	RESUME_AT 1f
	CALL_TEST_VA
1:
	CHECK_TRAP EXC_INSTR_PAGE_PROT, "code in a page without execution"
	PTE leaf, 0, 0, %dg16
	FLUSH_PAGE TEST_VA
	RESUME_AT 1f
	CALL_TEST_VA
1:
	CHECK_TRAP EXC_INSTR_PAGE_MISS, "code in a missing page"
	PTE leaf, 0, 0, 0
	FLUSH_PAGE TEST_VA
	RESUME_AT 1f
	CALL_TEST_VA
1:
	CHECK_TRAP EXC_INSTR_PAGE_PROT, "code at an address that is not valid"
	! A bundle of 16 bytes across the end of a page: the trap's ip is its
	! first byte, whichever page is missing.
	PTE leaf, 0, page_a, %dg20
	PTE leaf, 1, 0, %dg16
	FLUSH_TLB
	STORE page_a + PAGE - 8, 0x10	! 16 bytes long
	RESUME_AT 1f
	{
		addd 0, TEST_VA + PAGE - 8, %dr14
	}
	{
		movtd %dr14, %ctpr1
		nop 4
	}
	{
		ct %ctpr1
	}
1:
	{
		addd 0, trap_mask, %dr14
	}
	{
		ldd %dr14, 0, %dr5
		ldd %dr14, 8, %dr6		! trap_ip
	}
	CHECK_TRAP EXC_INSTR_PAGE_MISS, "a bundle whose second half is missing"
	CHECK_EQUAL %dr6, TEST_VA + PAGE - 8, "at its address"
	STORE page_a, 0xa
	RETURN

! Address spaces.  An id of its own sees its own pages; the same tables under
! another id are walked anew.
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
	PROC check_spaces
	PTE leaf, 0, page_a, %dg20
	PTE leaf2, 0, page_b, %dg20
	FLUSH_TLB
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xa, "space 0"
	SPACE root2, 1
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xb, "space 1"
	PTE leaf2, 0, page_a, %dg20
	SPACE root2, 2
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xa, "a new id has nothing of the old one"
	SPACE root2, 0x1001
	{
		mmurr %cont, %dr5
	}
	CHECK_EQUAL %dr5, 1, "ids have 12 bits"
	FLUSH_PAGE TEST_VA			! of another id, but it may go too
	PTE leaf2, 0, page_b, %dg20
	{
		addd 0, 1, %dr14
		addd 0, TEST_VA | 1 << 50, %dr15
	}
	{
		std,2 %dr14, 0, %dr15, mas = 0x17
	}
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xb, "a flush that names the id"
	SPACE root, 0
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xa, "space 0 again"
	{
		addd 0, 3, %dr14		! with the walk's caches
		addd 0, TEST_VA, %dr15
	}
	PTE leaf, 0, page_b, %dg20
	{
		addd 0, 3, %dr14
		addd 0, TEST_VA, %dr15
	}
	{
		std,2 %dr14, 0, %dr15, mas = 0x17
	}
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xb, "flush of a page and the walk's caches"
	RETURN

! Probes by virtual address; the formats differ.
	.macro	PROBE mas, address
	{
		addd 0, \address, %dr14
	}
	{
		ldd,2 %dr14, 0, %dr5, mas = \mas
	}
	.endm
	PROC check_probes
	PTE leaf, 0, page_a, %dg17, 2
	PTE leaf, 1, 0, 0
	PTE leaf, 2, 0, %dg16
	FLUSH_TLB
	{
		addd 0, page_a, %dr8
	}
	PROBE 0x2f, TEST_VA + 0x123
	{
		subd %dr5, %dr8, %dr5
	}
	CHECK_EQUAL %dr5, 0x123, "address probe"
	GET_PTE leaf, 0, %dr5
	{
		andd %dr5, MARKS, %dr5
	}
	CHECK_EQUAL %dr5, 0, "a probe is no access"
	PROBE 0x2f, TEST_VA + 2 * PAGE
	CHECK_EQUAL %dr5, 1 << 61, "address probe of a missing page"
	PROBE 0x2f, TEST_VA + PAGE
	CHECK_EQUAL %dr5, 1 << 62, "address probe of an invalid address"
	{
		cmpedb %dg22, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	PROBE 0x37, TEST_VA
	{
		subd %dr5, %dr8, %dr5
	}
	CHECK_EQUAL %dr5, 1 << 40 | 3, "entry probe: frame, present, W, VALID"
	PROBE 0x37, TEST_VA + 2 * PAGE
	CHECK_EQUAL %dr5, 1 << 61 | 3 << 59, "entry probe of a missing page"
	PROBE 0x37, TEST_VA + PAGE
	CHECK_EQUAL %dr5, 1 << 62 | 3 << 59, "entry probe of an invalid address"
	RETURN
1:
	PROBE 0x37, TEST_VA
	{
		subd %dr5, %dr8, %dr5
	}
	CHECK_EQUAL %dr5, 1 << 7 | 1 << 3 | 2, "entry probe: found, VALID, W"
	PTE leaf, 0, page_a, %dg20, 4 << 60
	FLUSH_PAGE TEST_VA
	PROBE 0x37, TEST_VA
	{
		subd %dr5, %dr8, %dr5
	}
	CHECK_EQUAL %dr5, 4 << 48 | 4 << 8 | 0xce, "entry probe: memory type, PV, D"
	PROBE 0x37, TEST_VA + 2 * PAGE
	CHECK_EQUAL %dr5, 1 << 61 | 1, "entry probe of a missing page"
	PROBE 0x37, TEST_VA + PAGE
	CHECK_EQUAL %dr5, 1 << 62 | 1, "entry probe of an invalid address"
	RETURN

! MMU registers, MMU off.
	PROC check_registers
	PROBE 0x37, page_a
	{
		cmpbdb %dg21, V6_MODELS, %pred0
	}
	CHECK_EQUAL %dr5, 1 << 58, "entry probe with the MMU off"
	PROBE 0x2f, page_a
	CHECK_EQUAL %dr5, 1 << 62, "address probe with the MMU off"
	PROBE 0x4f, 0
	CHECK_EQUAL %dr5, 0, "no DTLB registers to see"
	{
		addd 0, 0x123, %dr0
	}
	{
		mmurw %dr0, %elb_ptb
	}
	{
		mmurw %dr0, %mtrr5
	}
	{
		mmurr %elb_ptb, %dr5
	}
	CHECK_EQUAL %dr5, 0x123, "linear table base"
	{
		mmurr %mtrr5, %dr5
	}
	CHECK_EQUAL %dr5, 0x123, "an MTRR"
	{
		mmurr %trap_point, %dr6
		addd 0, 0x7ff, %dr0
	}
	{
		mmurw %dr0, %trap_point
	}
	{
		mmurr %trap_point, %dr5
		cmpbdb %dg21, V6_MODELS, %pred0
	}
	{
		mmurw %dr6, %trap_point
		addd 0, 0x600, %dr7 ? %pred0
		addd 0, 0x400, %dr7 ? ~%pred0
	}
	CHECK_EQUAL %dr5, %dr7, "alignment of the trap cellar"
	! Register 0x06 by its number: a plain store resets the count.
	{
		addd 0, 0x60, %dr14
		addd 0, 0, %dr15
	}
	{
		std,2 %dr14, 0, %dr15, mas = 0x47
	}
	{
		mmurr %trap_count, %dr5
	}
	CHECK_EQUAL %dr5, 0, "trap count is written"
	RETURN

! v6: tables of its own for the system, above OS_VAB.
	PROC check_separate
	CALL make_tables
	PTE root, 16 * 2, 0, %dg16		! 0x1000_0000_0000 in the user's
	PTE root2, 16 * 2, level3_2, %dg20
	PTE leaf, 0, page_a, %dg20
	PTE leaf2, 0, page_b, %dg20
	CALL mmu_off
	{
		addd 0, root2, %dr0
		addd 0, 1 << 44, %dr1
	}
	! Registers that the assembler does not know in v3.
	{
		addd 0, 0x350, %dr14		! os_pptb
		addd 0, 0x4c0, %dr15		! os_vab
	}
	{
		std,2 %dr14, 0, %dr0, mas = 0x47
		addd 0, CORE_MODE_PT_V6 | CORE_MODE_SEP, %dr2
	}
	{
		std,2 %dr15, 0, %dr1, mas = 0x47
	}
	{
		rwd %dr2, %core_mode
		addd 0, 9, %dr1
	}
	{
		mmurw %dr1, %mmu_cr
	}
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xa, "below OS_VAB: the user's table"
	LOAD 1 << 44 | TEST_VA
	CHECK_EQUAL %dr5, 0xb, "above OS_VAB: the system's table"
	! The user's table changes with the process, the system's stays.
	SPACE root2, 3
	LOAD TEST_VA
	CHECK_EQUAL %dr5, 0xb, "another process"
	LOAD 1 << 44 | TEST_VA
	CHECK_EQUAL %dr5, 0xb, "the same system"
	CALL mmu_off
	{
		addd 0, CORE_MODE_PT_V6, %dr2
	}
	{
		rwd %dr2, %core_mode
	}
	RETURN
