! Dot product of doubles, loads one iteration ahead.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 16, nfx = 1
		addd 0, xs, %r0
	}
	{
		addd 0, ys, %r1
		addd 0, 0, %r2
	}
	{
		addd 0, 0x3ff0000000000000, %r3
	}
	{
		addd 0, 0x3ff8000000000000, %r4
	}
1:
	{
		std %r0, %r2, %r3
		addd %r2, 8, %r5
		faddd %r3, %r4, %r3
	}
	{
		std %r1, %r2, %r4
		addd %r5, 0, %r2
		cmpldb %r5, 8192, %pred0
		nop 2
	}
	{
		ibranch 1b ? %pred0
	}
	{
		addd 0, 30000, %r6
		addd 0, 0, %r7
	}
2:
	{
		addd 0, 0, %r2
		ldd %r0, 0, %r8
		ldd %r1, 0, %r9
		subd %r6, 1, %r6
	}
3:
	{
		fmuld %r8, %r9, %r10
		addd %r2, 8, %r2
	}
	{
		ldd %r0, %r2, %r8
		ldd %r1, %r2, %r9
		faddd %r7, %r10, %r7
		cmpldb %r2, 8192, %pred0
		nop 2
	}
	{
		ibranch 3b ? %pred0
	}
	{
		cmpedb %r6, 0, %pred1
		nop 2
	}
	{
		ibranch 2b ? ~%pred1
	}
	{
		return %ctpr3
		addd %r7, 0, %r0
		nop 5
	}
	{
		ct %ctpr3
	}
	.section .bss
	.align	8
xs:
	.skip	8200
ys:
	.skip	8200
