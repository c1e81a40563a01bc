! Branches and calls by a register, and calls of a place, in a loop.
	.include "rt.inc"
	.global	main
twice:
	{
		setwd wsz = 8, nfx = 1
		return %ctpr3
	}
	{
		addd %dr0, %dr0, %dr0
	}
	{
		ct %ctpr3
	}
main:
	{
		setwd wsz = 16, nfx = 1
		addd 0, 20000, %dr1
		addd 0, 0, %dr2
	}
	{
		addd 0, 2f, %dr3
		addd 0, twice, %dr4
	}
1:
	{
		addd %dr2, 0, %dr16
		ibranchd,0 %dr3, %empty
	}
	{
		addd 0, 1, %dr2			! jumped over
	}
2:
	{
		icalld,0 wbs = 8, %dr4, %empty
	}
3:
	{
		icall ((twice - 3b) / 8) & 0xfffffff, wbs = 8
	}
	{
		addd 1, %dr2, %dr2
		cmpedb %dr2, %dr1, %pred0
	}
	{
		ibranch 1b ? ~%pred0
	}
	{
		cmpedb %dr16, 80000, %pred0	! four times the last one
		return %ctpr3
	}
	{
		addd 0, 0, %dr0 ? %pred0
		addd 0, 1, %dr0 ? ~%pred0
	}
	{
		ct %ctpr3
	}
