! Hardware stacks: what spills leave in memory, in the order of each version,
! limits of PSP and PCSP, faults of spills and fills, traps inside of traps,
! stack registers written while frames are in the file, PSR through calls.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "mmu.inc"

	.equ	PSR_SYSTEM, 1
	.equ	PSR_SGE, 5			! pm, sge
	.equ	NESTED, 700			! more than any array of frames
	.equ	STACK_VA, TEST_2M		! demand paging of a stack
	.equ	S_F, 1 << 19
	.equ	STORE_OP, 1 << 17

	PROC main
	CALL check_layout
	CALL check_switch
	CALL check_limits
	CALL check_nested
	CALL each_format
	PRINT "stacks passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	.macro	RECORD_COND to
	{
		mmurr %trap_point, %dr14
	}
	{
		ldd,2 %dr14, 16, \to, mas = 1
	}
	.endm
! Address of the next spill of the procedure stack.
	.macro	PSP_TOP to
	{
		rrd %psp.lo, %dr14
	}
	{
		rrd %psp.hi, %dr15
	}
	{
		shld %dr14, 16, %dr14
		sxt 6, %r15, %dr15
	}
	{
		shrd %dr14, 16, %dr14
	}
	{
		addd %dr14, %dr15, \to
	}
	.endm
	.macro	PCSP_TOP to
	{
		rrd %pcsp.lo, %dr14
	}
	{
		rrd %pcsp.hi, %dr15
	}
	{
		shld %dr14, 16, %dr14
		sxt 6, %r15, %dr15
	}
	{
		shrd %dr14, 16, %dr14
	}
	{
		addd %dr14, %dr15, \to
	}
	.endm

! Our %dr0, %dr1 when a callee flushes: main parts at +0 and +8 before v5, at
! +0 and +16 from then on.
	PROC check_layout
	{
		rrd %idr, %dr10
		addd 0, 0x1111, %dr0
		addd 0, 0x2222, %dr1
	}
	{
		andd %dr10, 0xff, %dg21
		addd 0, trap_mask, %dr2
	}
	CALL flush_and_top
	{
		cmpbdb %dg21, V5_MODEL, %pred0
		subd %db[0], 256, %dr3		! 8 pairs of 32 bytes
	}
	{
		ldd %dr3, 0, %dr4
		ldd %dr3, 8, %dr5
	}
	{
		ldd %dr3, 16, %dr6
	}
	{
		addd %dr6, 0, %dr5 ? ~%pred0
	}
	CHECK_EQUAL %dr4, 0x1111, "even register of a pair in memory"
	CHECK_EQUAL %dr5, 0x2222, "odd register of a pair in memory"
	! The frame: return address, wbs, PSR, BR, stack size.
	CALL flush_and_frame
3:
	{
		ldd %db[0], 0 - 24, %dr4	! CR0.hi
		ldd %db[0], 0 - 16, %dr5	! CR1.lo
	}
	{
		ldd %db[0], 0 - 8, %dr6		! CR1.hi
		shrd %dr5, 33, %dr7
	}
	{
		andd %dr7, 0x7f, %dr7
		shrd %dr5, 57, %dr8
	}
	CHECK_EQUAL %dr4, 3b, "CR0.hi: where the call returns"
	CHECK_EQUAL %dr7, 8, "CR1.lo: wbs"
	CHECK_EQUAL %dr8, PSR_SYSTEM, "CR1.lo: PSR"
	{
		rrd %usd.hi, %dr7
		andd %dr6, 0xfff, %dr6
	}
	CHECK_EQUAL %dr6, 8 | 7 << 6, "CR1.hi: base and size of the rotating area"
	RETURN

	PROC flush_and_top
	{
		flushr
	}
	PSP_TOP %dr0
	RETURN

! The frame that describes the caller is in CR0 and CR1; one more call, and a
! flush has it in memory.
	PROC flush_and_frame
	CALL flush_frames
	{
		addd %db[0], 0, %dr0
	}
	RETURN

	PROC flush_frames
	{
		flushc
	}
	PCSP_TOP %dr0
	RETURN

! Stack registers that are written while frames are in the file: what is in the
! file goes to the new place, and a switch back finds everything.
	PROC check_switch
	{
		addd 0, 0x7777, %dr4
		addd 0, 12, %db[0]
	}
	CALL switch_down
	CHECK_EQUAL %db[0], 12, "twelve calls over a switched stack"
	CHECK_EQUAL %dr4, 0x7777, "and our registers are there"
	RETURN

	PROC switch_down
	{
		cmpedb %dr0, 0, %pred0
		addd %dr0, 100, %dr1
	}
	GOTO_IF %pred0, 1f
	{
		subd %dr0, 1, %db[0]
	}
	CALL switch_down
	{
		subd %dr1, 100, %dr2
	}
	{
		cmpedb %dr2, %dr0, %pred0
		addd %db[0], 1, %dr0
	}
	GOTO_IF_NOT %pred0, 2f
	RETURN
1:
	! Half of the callers go to memory, the rest to another stack.
	{
		flushr
		flushc
	}
	{
		rrd %psp.lo, %dr2
	}
	{
		rrd %psp.hi, %dr3
	}
	{
		rrd %pcsp.lo, %dr4
	}
	{
		rrd %pcsp.hi, %dr5
	}
	{
		addd 0, other_stack, %dr6
		addd 0, 0x1000 << 32, %dr7
	}
	{
		rwd %dr6, %psp.lo
	}
	{
		rwd %dr7, %psp.hi
		addd 0, other_chain, %dr8
	}
	{
		rwd %dr8, %pcsp.lo
	}
	{
		rwd %dr7, %pcsp.hi
	}
	CALL1 on_other_stack, 5
	CHECK_EQUAL %db[0], 15, "calls on the other stack"
	{
		rrd %psp.hi, %dr9
	}
	{
		sxt 6, %r9, %dr9
	}
	CHECK_EQUAL %dr9, 0, "it is empty again"
	{
		rwd %dr2, %psp.lo
	}
	{
		rwd %dr3, %psp.hi
	}
	{
		rwd %dr4, %pcsp.lo
	}
	{
		rwd %dr5, %pcsp.hi
	}
	{
		addd 0, 0, %dr0
	}
	RETURN
2:
	FAIL "a window came back changed", 1

! Sum of 1 to n, each level flushed.
	PROC on_other_stack
	{
		cmpedb %dr0, 0, %pred0
		addd %dr0, 0, %dr1
	}
	GOTO_IF %pred0, 1f
	{
		flushr
		flushc
	}
	{
		subd %dr0, 1, %db[0]
	}
	CALL on_other_stack
	{
		addd %db[0], %dr1, %dr0
	}
1:
	RETURN

! Our stacks end soon: calls into them trap when PSR.sge says so, and go on when
! the handler has made them longer.
	.macro	LEAVE_ROOM reg, bytes		! of a stack that is flushed
	{
		rrd %\reg, %dr2
		addd 0, 0xffffffff, %dr3
	}
	{
		andd %dr2, %dr3, %dr4		! ind
	}
	{
		addd %dr4, \bytes, %dr5
	}
	{
		shld %dr5, 32, %dr5
	}
	{
		ord %dr4, %dr5, %dr5
	}
	{
		rwd %dr5, %\reg
	}
	.endm
	.macro	SEEN to
	{
		addd 0, repair_mask, %dr14
		addd 0, 0, %dr15
	}
	{
		ldd %dr14, 0, \to
	}
	{
		std %dr14, 0, %dr15
	}
	.endm
	.macro	SET_PSR value
	{
		addd 0, \value, %dr15
	}
	{
		rwd %dr15, %psr
	}
	.endm
	PROC check_limits
	{
		addd 0, repair_table, %dr0
	}
	{
		rwd %dr0, %oscud.lo
	}
	{
		rrd %psp.hi, %dr8
	}
	{
		rrd %pcsp.hi, %dr9
	}
	{
		flushr
		flushc
	}
	LEAVE_ROOM psp.hi, 0x2000
	SET_PSR PSR_SGE
	CALL1 down, 100
	SET_PSR PSR_SYSTEM
	{
		addd %db[0], 0, %dr6
	}
	SEEN %dr7
	CHECK_EQUAL %dr6, 5050, "calls beyond PSP.size"
	CHECK_EQUAL %dr7, 1 << EXC_PROC_STACK_BOUNDS, "have trapped"
	{
		flushr
		flushc
	}
	LEAVE_ROOM pcsp.hi, 0x100
	SET_PSR PSR_SGE
	CALL1 down, 100
	SET_PSR PSR_SYSTEM
	{
		addd %db[0], 0, %dr6
	}
	SEEN %dr7
	CHECK_EQUAL %dr6, 5050, "calls beyond PCSP.size"
	CHECK_EQUAL %dr7, 1 << EXC_CHAIN_STACK_BOUNDS, "have trapped"
	{
		flushr
		flushc
	}
	LEAVE_ROOM psp.hi, 0x2000
	CALL1 down, 100
	{
		addd %db[0], 0, %dr6
	}
	SEEN %dr7
	CHECK_EQUAL %dr6, 5050, "without PSR.sge"
	CHECK_EQUAL %dr7, 0, "there is no limit"
	{
		flushr
		flushc
	}
	LEAVE_ROOM psp.hi, 0x100000
	LEAVE_ROOM pcsp.hi, 0x100000
	{
		addd 0, trap_table, %dr0
	}
	{
		rwd %dr0, %oscud.lo
	}
	RETURN

	PROC down				! sum of 1 to n
	{
		cmpedb %dr0, 0, %pred0
		addd %dr0, 0, %dr1
	}
	GOTO_IF %pred0, 1f
	{
		subd %dr0, 1, %db[0]
	}
	CALL down
	{
		addd %db[0], %dr1, %dr0
	}
1:
	RETURN

! Notes what happened; makes a stack longer, or gives it its page; goes on.
	.align	4096
repair_table:
	{
		setwd wsz = 16, nfx = 1
		addd 0, 0, %dr0
		addd 0, TIR_MASK, %dr6
	}
1:
	{
		rrd %tir.hi, %dr2
	}
	{
		rrd %tir.lo, %dr3
	}
	{
		andd %dr2, %dr6, %dr4
		shrd %dr2, 56, %dr5
	}
	{
		ord %dr0, %dr4, %dr0
		cmpedb %dr5, 0, %pred1
	}
	GOTO_IF_NOT %pred1, 1b
	{
		rwd %dr3, %tir.lo
		addd 0, repair_mask, %dr1
	}
	{
		ldd %dr1, 0, %dr2
		shrd %dr0, EXC_PROC_STACK_BOUNDS, %dr7
	}
	{
		ord %dr2, %dr0, %dr2
		andd %dr7, 3, %dr7
	}
	{
		std %dr1, 0, %dr2
		cmpedb %dr7, 1, %pred0
		cmpedb %dr7, 2, %pred1
	}
	{
		cmpedb %dr7, 0, %pred2
		addd 0, 0x4000 << 32, %dr5
	}
	{
		rrd %psp.hi, %dr2
	}
	{
		addd %dr2, %dr5, %dr2
	}
	{
		rwd %dr2, %psp.hi ? %pred0
	}
	{
		rrd %pcsp.hi, %dr2
	}
	{
		addd %dr2, %dr5, %dr2
	}
	{
		rwd %dr2, %pcsp.hi ? %pred1
	}
	GOTO_IF_NOT %pred2, 2f
	! A page: its record, and the page.
	RECORD_COND %dr2
	{
		ldd %dr1, 8, %dr3
	}
	{
		addd %dr3, 8, %dr4
		addd %dr1, %dr3, %dr3
	}
	{
		std %dr3, 16, %dr2
		std %dr1, 8, %dr4
	}
	PTE leaf2, 1, other_page, %dg20
2:
	{
		done
	}

! Traps in a trap handler, deeper than any file: each is undone by its own done.
	PROC check_nested
	{
		flushr
		flushc
	}
	{
		rrd %psp.lo, %dr8
	}
	{
		rrd %psp.hi, %dr9
	}
	{
		rrd %pcsp.lo, %dr10
	}
	{
		rrd %pcsp.hi, %dr11
	}
	{
		addd 0, big_stack, %dr6
		addd 0, 0x80000 << 32, %dr7
	}
	{
		rwd %dr6, %psp.lo
	}
	{
		rwd %dr7, %psp.hi
		addd 0, big_chain, %dr6
	}
	{
		rwd %dr6, %pcsp.lo
	}
	{
		rwd %dr7, %pcsp.hi
	}
	{
		addd 0, nested_table, %dr0
		addd 0, trap_table, %dr1
	}
	{
		rwd %dr0, %oscud.lo
		addd 0, nested_count, %dr2
		addd 0, 0, %dr3
	}
	{
		std %dr2, 0, %dr3
		std %dr2, 8, %dr3
	}
	{
		setsft
	}
	{
		rwd %dr1, %oscud.lo
	}
	{
		flushr
		flushc
	}
	{
		rwd %dr8, %psp.lo
	}
	{
		rwd %dr9, %psp.hi
	}
	{
		rwd %dr10, %pcsp.lo
	}
	{
		rwd %dr11, %pcsp.hi
	}
	{
		ldd %dr2, 0, %dr3
		ldd %dr2, 8, %dr4
	}
	CHECK_EQUAL %dr3, NESTED, "traps in traps"
	CHECK_EQUAL %dr4, NESTED, "all of them ended"
	RETURN

	.align	4096
nested_table:
	{
		setwd wsz = 8, nfx = 1
		addd 0, nested_count, %dr0
	}
	{
		rrd %tir.lo, %dr2
	}
	{
		rwd %dr2, %tir.lo
	}
	{
		ldd %dr0, 0, %dr1
	}
	{
		addd %dr1, 1, %dr1
	}
	{
		std %dr0, 0, %dr1
		cmpedb %dr1, NESTED, %pred0
	}
	GOTO_IF %pred0, 1f
	{
		setsft
	}
1:
	{
		ldd %dr0, 8, %dr1
	}
	{
		addd %dr1, 1, %dr1
	}
	{
		std %dr0, 8, %dr1
		rrd %cr0.hi, %dr2
	}
	{
		addd %dr2, 8, %dr2		! past the setsft
	}
	{
		rwd %dr2, %cr0.hi
	}
	{
		done
	}

! A stack whose next page is missing: the flush that needs it, and the return
! that fills from it, fault with a record of the stack and are repeated when the
! page has come.
	.equ	STACK_FAULT, S_F | 1 << 31 | 4 << 10 | 1 << 13 | PAGE_MISS << 35 | 3 << 48
	PROC check_format
	PTE level2_test, 1, leaf2, %dg20
	PTE leaf2, 1, 0, %dg16
	FLUSH_TLB
	{
		addd 0, repair_table, %dr0
		addd 0, repair_mask, %dr1
	}
	{
		rwd %dr0, %oscud.lo
		addd 0, 0, %dr2
	}
	{
		std %dr1, 0, %dr2
		std %dr1, 8, %dr2
	}
	{
		flushr
		flushc
	}
	{
		rrd %psp.lo, %dr2
	}
	{
		rrd %psp.hi, %dr3
	}
	{
		addd 0, STACK_VA + PAGE, %dr6
		addd 0, 0x1000 << 32, %dr7
	}
	{
		rwd %dr6, %psp.lo
	}
	{
		rwd %dr7, %psp.hi
		addd 0, 0x5151, %dr0
	}
	CALL flush_inside
	{
		addd %dr0, 0, %dr11
	}
	{
		flushr
	}
	{
		rwd %dr2, %psp.lo
	}
	{
		rwd %dr3, %psp.hi
		addd 0, trap_table, %dr4
	}
	{
		rwd %dr4, %oscud.lo
		addd 0, repair_mask, %dr8
	}
	{
		ldd %dr8, 16, %dr9
		ldd %dr8, 24, %dr10
	}
	{
		ldd %dr8, 8, %dr12
	}
	CHECK_EQUAL %dr12, 16, "two faults of the stack"
	CHECK_EQUAL %dr9, STACK_FAULT | STORE_OP, "record of a spill"
	CHECK_EQUAL %dr10, STACK_FAULT, "record of a fill"
	CHECK_EQUAL %dr11, 0x5151, "the register has come back"
	LOAD other_page
	CHECK_EQUAL %dr5, 0x5151, "it was in the page"
	RETURN

	PROC flush_inside
	{
		flushr
	}
	PTE leaf2, 1, 0, %dg16
	FLUSH_PAGE STACK_VA + PAGE
	RETURN

	.pushsection .data
	.align	8
repair_mask:
	.quad	0, 0, 0, 0, 0, 0		! bits; length of the log; the log
nested_count:
	.quad	0, 0
	.popsection
	.pushsection .bss
	.align	4096
other_stack:
	.skip	4096
other_chain:
	.skip	4096
other_page:
	.skip	4096
big_stack:
	.skip	0x80000
big_chain:
	.skip	0x10000
	.popsection
