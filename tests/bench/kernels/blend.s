! Packed pixels: saturated sum minus a saturated difference, in place.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 8, nfx = 1
		addd 0, pixels, %r0
		addd 0, 0, %r1
	}
	{
		addd 0, 0x0123456789abcdef, %r2
	}
1:
	{
		std %r0, %r1, %r2
		addd %r1, 8, %r1
		muld %r2, 5, %r2
	}
	{
		addd %r2, 77, %r2
		cmpldb %r1, 4096, %pred0
		nop 2
	}
	{
		ibranch 1b ? %pred0
	}
	{
		addd 0, 60000, %r6
	}
	{
		addd 0, 0x1020304050607080, %r3
	}
	{
		addd 0, 0x0807060504030201, %r4
	}
2:
	{
		addd 0, 0, %r1
		subd %r6, 1, %r6
	}
3:
	{
		ldd %r0, %r1, %r5
	}
	{
		paddusb %r5, %r3, %r7
		psubusb %r5, %r4, %r8
	}
	{
		psubusb %r7, %r8, %r7
		pandd %r8, %r3, %r8
	}
	{
		paddb %r7, %r8, %r7
	}
	{
		std %r0, %r1, %r7
		addd %r1, 8, %r9
		cmpldb %r1, 4088, %pred0
	}
	{
		addd %r9, 0, %r1
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
		ldd %r0, 0, %r0
		nop 5
	}
	{
		ct %ctpr3
	}
	.section .bss
	.align	8
pixels:
	.skip	4096
