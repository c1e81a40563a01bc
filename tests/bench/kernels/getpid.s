! The shortest system call, 100 000 times: how many gave the first's answer.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
		addd 0, 100000, %r0
		addd 0, 0, %r1
	}
	{
		sdisp %ctpr1, 3
		addd 0, 20, %b[0]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		addd %b[0], 0, %r2
	}
1:
	{
		sdisp %ctpr1, 3
		addd 0, 20, %b[0]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		cmpedb %b[0], %r2, %pred0
		subd %r0, 1, %r0
		cmpedb %r0, 1, %pred1
		nop 2
	}
	{
		addd %r1, 1, %r1 ? %pred0
		ibranch 1b ? ~%pred1
	}
	{
		return %ctpr3
		addd %r1, 0, %r0
		nop 4
	}
	{
		ct %ctpr3
	}
