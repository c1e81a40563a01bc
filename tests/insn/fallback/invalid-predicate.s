! A predicate that stays invalid, and that nothing looks at.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 16, nfx = 1
		addd 0, 0, %dr0
	}
	{
		addd 0, 20000, %dr1
		addd 0, 0, %dr2
		ldd,3,sm %dr0, 0, %dr4
	}
	{
		cmpedb,0,sm %dr4, 1, %pred7
	}
1:
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
