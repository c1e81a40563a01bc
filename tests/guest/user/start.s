! What a program finds when it starts: registers, then the argument block as
! the kernel built it.  One fact a line, "name value" in hexadecimal, judged by
! tests/user/start.py.  Linked with entry "first"; works as a program and as
! the interpreter of one.

	.include "lib.inc"

	.macro	FACT name, reg
	PRINT "\name "
	{
		addd \reg, 0, %db[0]
	}
	CALL puthex
	PRINT "\n"
	.endm

	.macro	STATE name, state
	{
		rrd %\state, %dr8
		nop 5
	}
	FACT \name, %dr8
	.endm

	PROC strings			! vector; prints each and its address
1:					! result: what follows the vector
	{
		LOAD_POINTER %dr0, 0, %dr8
		addd %dr0, WORD, %dr0
	}
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF %pred0, 2f
	FACT string, %dr8
	GOTO 1b
2:
	RETURN

	PROC main			! the stack pointer
	FACT sp, %dr0
	{
		LOAD_POINTER %dr0, 0, %dr9
		addd %dr0, WORD, %dr10
	}
	FACT argc, %dr9
	{
		addd %dr10, 0, %db[0]
	}
	CALL strings
	{
		addd %db[0], 0, %dr10
	}
	PRINT "environment 0\n"
	{
		addd %dr10, 0, %db[0]
	}
	CALL strings
	{
		addd %db[0], 0, %dr10
	}
1:
	{
		LOAD_POINTER %dr10, 0, %dr11
		LOAD_POINTER %dr10, WORD, %dr12
		addd %dr10, 2 * WORD, %dr10
	}
	PRINT "aux "
	{
		addd %dr11, 0, %db[0]
	}
	CALL puthex
	FACT "", %dr12
	{
		cmpedb %dr11, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	FACT last, %dr10
	RETURN

	.macro	TAG n
	{
		gettagd %dg\n, %r14
		puttagd %dg\n, 0, %dr15
	}
	{
		cmpesb %r14, 5, %pred0
		cmpedb %dr15, 0, %pred1
	}
	GOTO_IF_NOT %pred0, 1f
	GOTO_IF_NOT %pred1, 1f
	.endm

	.global	first
	.type	first, #function
	.align	8
first:
	{
		rrd %wd, %dr0		! nothing has changed it yet
		addd %dr0, %dr1, %dr1
	}
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 12, rsz = 3, rcur = 0
		ord %dr1, %dr2, %dr1
		ord %dr3, %dr4, %dr3
	}
	{
		ord %dr5, %dr6, %dr5
		ord %dr7, %dr1, %dr1
	}
	{
		ord %dr1, %dr3, %dr1
		addd %dr0, 0, %dr16
	}
	{
		ord %dr1, %dr5, %dr17
		getsp 0, %dr18
	}
	{
		getsp -4096, %dr8
		addd 0, 0, %dr19		! globals that are 0 and empty
	}
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	TAG \n
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	TAG \n
	.endr
	{
		addd 0, 1, %dr19
	}
1:
	FACT wd, %dr16
	FACT globals, %dr19
	FACT arguments, %dr17
	STATE usd.lo, usd.lo
	STATE usd.hi, usd.hi
	STATE sbr, sbr
	STATE upsr, upsr
	STATE psr, psr
	STATE fpcr, fpcr
	STATE fpsr, fpsr
	STATE pfpfr, pfpfr
	STATE psp.lo, psp.lo
	STATE psp.hi, psp.hi
	STATE pcsp.lo, pcsp.lo
	STATE pcsp.hi, pcsp.hi
	{
		addd %dr18, 0, %db[0]
	}
	CALL main
	SYSCALL SYS_exit_group, 0
