! Fill and copy of 64 KiB, two doubles a step.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 8, nfx = 1
		addd 0, from, %r0
	}
	{
		addd 0, to, %r1
	}
	{
		addd 0, 3000, %r6
		addd 0, 0, %r7
	}
1:
	{
		addd 0, 0, %r2
		subd %r6, 1, %r6
	}
2:
	{
		std %r0, %r2, %r6
		addd %r2, 16, %r3
		addd %r2, 8, %r4
	}
	{
		std %r0, %r4, %r2
		addd %r3, 0, %r2
		cmpldb %r3, 65536, %pred0
		nop 2
	}
	{
		ibranch 2b ? %pred0
	}
	{
		addd 0, 0, %r2
	}
3:
	{
		addd %r2, 8, %r4
		ldd %r0, %r2, %r8
		addd %r2, 16, %r3
	}
	{
		ldd %r0, %r4, %r9
		cmpldb %r3, 65536, %pred0
	}
	{
		std %r1, %r2, %r8
		std %r1, %r4, %r9
		addd %r3, 0, %r2
		nop 1
	}
	{
		ibranch 3b ? %pred0
	}
	{
		ldd %r1, 65528, %r8
		ldd %r1, 0, %r9
		cmpedb %r6, 0, %pred1
		nop 2
	}
	{
		addd %r7, %r8, %r7
	}
	{
		xord %r7, %r9, %r7
		ibranch 1b ? ~%pred1
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
from:
	.skip	65536
to:
	.skip	65536
