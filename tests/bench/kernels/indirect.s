! Calls through a table of four functions.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
		addd 0, 20000000, %r0
		addd 0, 1, %r1
	}
1:
	{
		andd %r1, 3, %r2
		subd %r0, 1, %r0
	}
	{
		shld %r2, 3, %r2
		addd 0, table, %r3
	}
	{
		ldd %r3, %r2, %r4
	}
	{
		movtd %r4, %ctpr1
		addd %r1, 0, %b[0]
		addd %r0, 0, %b[1]
		nop 5
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		addd %b[0], 0, %r1
		cmpedb %r0, 0, %pred0
		nop 2
	}
	{
		ibranch 1b ? ~%pred0
	}
	{
		return %ctpr3
		addd %r1, 0, %r0
		nop 5
	}
	{
		ct %ctpr3
	}
	.macro	FUNCTION name, op
	.align	8
\name:
	{
		return %ctpr3
		\op %r0, %r1, %r0
		nop 5
	}
	{
		addd %r0, 1, %r0
		ct %ctpr3
	}
	.endm
	FUNCTION f0, addd
	FUNCTION f1, xord
	FUNCTION f2, subd
	FUNCTION f3, ord
	.data
	.align	8
table:
	.dword	f0, f1, f2, f3
