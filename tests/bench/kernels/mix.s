! Six operations in every bundle, all operands crosswise.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 8, nfx = 1
		addd 0, 1, %r0
		addd 0, 2, %r1
		addd 0, 3, %r2
		addd 0, 4, %r3
	}
	{
		addd 0, 5, %r4
		addd 0, 6, %r5
		addd 0, 100000000, %r6
	}
1:
	{
		addd %r0, %r1, %r0
		xord %r1, %r2, %r1
		subd %r2, %r3, %r2
		addd %r3, %r4, %r3
		xord %r4, %r5, %r4
		addd %r5, %r0, %r5
	}
	{
		subd %r6, 1, %r6
		cmpedb %r6, 1, %pred0
		xord %r0, %r5, %r1
		addd %r2, %r4, %r3
		nop 2
	}
	{
		ibranch 1b ? ~%pred0
	}
	{
		return %ctpr3
		xord %r0, %r1, %r0
		xord %r2, %r3, %r2
		nop 4
	}
	{
		xord %r4, %r5, %r4
		xord %r0, %r2, %r0
	}
	{
		xord %r0, %r4, %r0
		ct %ctpr3
	}
