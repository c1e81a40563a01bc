! Predicated minimum, maximum and clamp of a random sequence.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 8, nfx = 1
		addd 0, 1, %r0
		addd 0, 0, %r1
		addd 0, 50000000, %r2
		addd 0, 0x7fffffff, %r3
		addd 0, 0, %r4
	}
	{
		addd 0, 6364136223846793005, %r5
	}
1:
	{
		muld %r0, %r5, %r0
		subd %r2, 1, %r2
	}
	{
		addd %r0, 12345, %r0
	}
	{
		shrd %r0, 33, %r6
		cmpedb %r2, 0, %pred3
	}
	{
		cmpldb %r6, %r3, %pred0
		cmpldb %r4, %r6, %pred1
		cmpldb %r6, 1000000000, %pred2
		nop 2
	}
	{
		addd %r6, 0, %r3 ? %pred0
		addd %r6, 0, %r4 ? %pred1
		addd 0, 1000000000, %r6 ? ~%pred2
	}
	{
		addd %r1, %r6, %r1
		ibranch 1b ? ~%pred3
	}
	{
		return %ctpr3
		xord %r1, %r3, %r1
		nop 5
	}
	{
		xord %r1, %r4, %r0
		ct %ctpr3
	}
