! Fairness: four CPUs count, each in a line of memory of its own, for a fixed
! time of the guest's clock.  CPU 0 then prints the counts; none may be less
! than an eighth of the mean.  Run it with -smp 4.

	.include "lib.inc"

	.equ	CPUS, 4
	.equ	LINE_SHIFT, 8
	.equ	TIME, 400 * 1000 * 1000		! ns

	.text
	PROC main
	{
		addd 0, secondary, %dr0
	}
	{
		shrd %dr0, 12, %dr0		! page number of the entry
		addd 0, LAPIC, %dr1
	}
	{
		ord %dr0, 0xc0600, %dr0		! STARTUP, all others
	}
	{
		stw %dr1, 0x300, %r0
		addd 0, 0, %dr2
	}
	{
		addd 0, 0, %db[0]
	}
	CALL count
	{
		addd 0, finished, %dr3
	}
1:						! the others count on until then
	{
		ldd %dr3, 0, %dr4
	}
	{
		cmpedb %dr4, CPUS, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd 0, 0, %dr5			! sum
	}
2:
	{
		shld %dr2, LINE_SHIFT, %dr4
		addd 0, counts, %dr6
	}
	{
		ldd %dr6, %dr4, %dr7
	}
	{
		addd %dr5, %dr7, %dr5
	}
	PRINT "count "
	{
		addd %dr7, 0, %db[0]
	}
	CALL putdec
	CALL1 putc, 10
	{
		addd %dr2, 1, %dr2
	}
	{
		cmpedb %dr2, CPUS, %pred0
	}
	GOTO_IF_NOT %pred0, 2b
	{
		shrd %dr5, 5, %dr5		! an eighth of the mean
		addd 0, 0, %dr2
	}
3:
	{
		shld %dr2, LINE_SHIFT, %dr4
		addd 0, counts, %dr6
	}
	{
		ldd %dr6, %dr4, %dr7
	}
	{
		cmpbdb %dr7, %dr5, %pred0
		addd %dr2, 1, %dr2
	}
	GOTO_IF_NOT %pred0, 4f
	FAIL "a CPU was left behind", 1
4:
	{
		cmpedb %dr2, CPUS, %pred0
	}
	GOTO_IF_NOT %pred0, 3b
	PRINT "fair passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC count				! CPU number
	{
		shld %dr0, LINE_SHIFT, %dr1
		addd 0, counts, %dr2
	}
	{
		addd %dr1, %dr2, %dr1
		addd 0, RTC, %dr4
		addd 0, TIME, %dr5
	}
	! All begin and end at the same times.
	{
		addd 0, begun, %db[0]
	}
	CALL atomic_increment
	{
		addd 0, begun, %dr7
	}
1:
	{
		ldd %dr7, 0, %dr6
	}
	{
		cmpedb %dr6, CPUS, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		ldd %dr4, 0, %dr6
	}
	{
		addd %dr6, %dr5, %dr5
	}
2:
	{
		addd 0, 2000, %dr3
	}
3:
	{
		ldd %dr1, 0, %dr6
		subd %dr3, 1, %dr3
	}
	{
		addd %dr6, 1, %dr6
		cmpedb %dr3, 0, %pred0
	}
	{
		std %dr1, 0, %dr6
	}
	GOTO_IF_NOT %pred0, 3b
	{
		ldd %dr4, 0, %dr6
	}
	{
		cmpbdb %dr6, %dr5, %pred0
	}
	GOTO_IF %pred0, 2b
	{
		addd 0, finished, %db[0]
	}
	CALL atomic_increment
	RETURN

	PROC atomic_increment			! address
1:
	{
		ldd,0 %dr0, 0, %dr2, mas = 0x7
	}
	{
		addd %dr2, 1, %dr2
	}
	{
		std,2 %dr0, 0, %dr2, mas = 0x2
		ibranch 1b ? %MLOCK
	}
	RETURN

	.align	4096
secondary:					! CPU number in %dr0
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
	}
	{
		addd %dr0, 0, %db[0]
		addd 0, trap_table, %dr4
	}
	{
		rwd %dr4, %oscud.lo
	}
	CALL count
1:
	{
		wait trap = 1
	}
	GOTO 1b

	.pushsection .bss
	.align	256
counts:
	.skip	CPUS << LINE_SHIFT
begun:
	.skip	8
finished:
	.skip	8
	.popsection
