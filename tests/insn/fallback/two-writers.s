! Two results for one register, under conditions that exclude each other.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 16, nfx = 1
		addd 0, 20000, %dr1
		addd 0, 0, %dr0
	}
	{
		addd 0, 0, %dr2
		addd 0, 0, %dr3
	}
1:
	{
		andd %dr2, 1, %dr4
		addd 1, %dr2, %dr2
	}
	{
		cmpedb %dr4, 0, %pred1
		cmpedb %dr2, %dr1, %pred0
	}
	{
		addd,0 %dr3, 1, %dr3 ? %pred1
		addd,1 %dr3, 2, %dr3 ? ~%pred1
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
