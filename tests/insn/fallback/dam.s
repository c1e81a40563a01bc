! Advanced loads and their checks in a loop.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 16, nfx = 1
		addd 0, buf, %dr0
	}
	{
		addd 0, 20000, %dr1
		addd 0, 0, %dr2
	}
1:
	{
		ldd,0,sm %dr0, 0, %dr3, mas=0x4
	}
	{
		std,2 %dr0, 8, %dr2
	}
	{
		ldd,2 %dr0, 0, %dr3, mas=0x3
		rbranch 2f
	}
2:
	{
		addd 1, %dr2, %dr2
		cmpedb %dr2, %dr1, %pred0
	}
	{
		ibranch 1b ? ~%pred0
	}
	{
		return %ctpr3
	}
	{
		ct %ctpr3
	}
	.data
	.align 16
buf:	.quad 5, 6
