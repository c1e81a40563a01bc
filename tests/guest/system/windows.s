! Register windows under stress: deep recursion that spills and fills through
! memory while a timer interrupts, stack registers that agree with what was
! spilled, flushes, and the bounds of the procedure stack.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "local.inc"

	.equ	DEPTH, 150
	.equ	ROUNDS, 60
	.equ	VECTOR, 0x42

	.text
	PROC main
	{
		addd 0, irq_hook, %dr0
	}
	{
		addd 0, on_irq, %dr1
	}
	{
		std %dr0, 0, %dr1
	}
	LOCAL_ON
	LOCAL_TIMER VECTOR, 20000		! every 200 us
	{
		addd 0, 3, %dr3			! pm, ie
	}
	{
		rwd %dr3, %psr
	}

	! Until the timer has struck often enough, and some rounds at least.
	{
		addd 0, ROUNDS, %dr1
	}
1:
	{
		addd 0, DEPTH, %db[0]
		addd %dr1, 0, %db[1]
	}
	CALL descend
	{
		addd %db[0], 0, %dr2
	}
	{
		addd 0, DEPTH, %dr4
	}
	{
		muld %dr4, %dr1, %dr3
	}
	{
		cmpedb %dr2, %dr3, %pred0	! DEPTH * round
	}
	GOTO_IF %pred0, 2f
	FAIL "a register was lost in the recursion", 1
2:
	{
		addd 0, ticks, %dr5
		subd %dr1, 1, %dr6
	}
	{
		ldd %dr5, 0, %dr5
		cmpedb %dr6, 0, %pred0
	}
	{
		cmpbdb %dr5, 20, %pred1		! too few ticks: the round again
		addd %dr6, 0, %dr1 ? ~%pred0
	}
	GOTO_IF_NOT %pred0, 1b
	GOTO_IF %pred1, 1b
	{
		addd 0, 1, %dr3
	}
	{
		rwd %dr3, %psr
	}
	PRINT "ok deep recursion under interrupts\n"

	! flushr empties the file; PSP.ind and PSHTP say so.
	{
		flushr
		flushc
	}
	{
		rrd %pshtp, %dr5
	}
	{
		andd %dr5, 0xfff, %dr5
	}
	CHECK_EQUAL %dr5, 0, "nothing is in the file after flushr"
	{
		addd 0, 12, %db[0]
	}
	CALL depth_of_memory
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 1, "one window in memory holds 16 bytes a register"

	! The chain stack's newest flushed frame is our caller's.
	{
		flushc
	}
	{
		rrd %pcsp.lo, %dr5
	}
	{
		rrd %pcsp.hi, %dr6
	}
	{
		addd 0, 0xffffffffffff, %dr7
	}
	{
		andd %dr5, %dr7, %dr5
		sxt 6, %r6, %dr6
	}
	{
		addd %dr5, %dr6, %dr5
	}
	{
		ldd %dr5, 0 - 32 + 16, %dr5	! its CR1.lo
	}
	{
		shrd %dr5, 57, %dr5
	}
	{
		andd %dr5, 1, %dr5
	}
	CHECK_EQUAL %dr5, 1, "flushed frame is privileged"
	PRINT "windows passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! depth, n: n added once a level, kept in registers all the way down.
	PROC descend
	{
		cmpedb %dr0, 0, %pred0
		addd %dr0, %dr1, %dr2
		xord %dr0, %dr1, %dr3
	}
	GOTO_IF %pred0, 1f
	{
		subd %dr0, 1, %db[0]
		addd %dr1, 0, %db[1]
	}
	CALL descend
	{
		addd %dr0, %dr1, %dr4		! did our registers survive?
		xord %dr0, %dr1, %dr5
	}
	{
		cmpedb %dr4, %dr2, %pred0
		cmpedb %dr5, %dr3, %pred1
	}
	GOTO_IF_NOT %pred0, 2f
	GOTO_IF_NOT %pred1, 2f
	{
		addd %db[0], %dr1, %dr0
	}
	RETURN
1:
	{
		addd 0, 0, %dr0
	}
	RETURN
2:
	FAIL "a window came back changed", 1

! 1 when a call and a flush move PSP.ind by 32 bytes for each register pair
! of the caller's window below the callee's.
	PROC depth_of_memory
	{
		flushr
	}
	{
		rrd %psp.hi, %dr1
	}
	CALL flush_inside
	{
		subd %db[0], %dr1, %dr2		! wbs = 8 pairs of 32 bytes
	}
	{
		cmpedb %dr2, 256, %pred0
	}
	{
		addd 0, 1, %dr0 ? %pred0
		addd %dr2, 0, %dr0 ? ~%pred0
	}
	RETURN

	PROC flush_inside
	{
		flushr
	}
	{
		rrd %psp.hi, %dr0
	}
	RETURN

	PROC on_irq
	LOCAL_GET LOCAL_VECT, %dr1
	{
		addd 0, ticks, %dr2
	}
	{
		ldd %dr2, 0, %dr3
	}
	{
		addd %dr3, 1, %dr3
	}
	{
		std %dr2, 0, %dr3
	}
	LOCAL_END %dr1
	RETURN

	.pushsection .bss
	.align	8
ticks:
	.skip	8
	.popsection
