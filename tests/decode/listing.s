! A program for the golden text of e2k-objdump: labels, targets, literals,
! an array-prefetch program, data.
	.text
	.global	_start
	.type	_start, @function
_start:
	{
		setwd wsz = 8, nfx = 1
		setbn rbs = 4, rsz = 3, rcur = 0
		disp %ctpr1, func
		nop 4
	}
	{
		call %ctpr1, wbs = 4
	}
	{
		ldisp %ctpr2, program
		addd 0, table, %dr0
	}
1:
	{
		subd,0 %dr1, 1, %dr1
		cmpedb,1 %dr1, 0, %pred0
	}
	ibranch 1b ? ~%pred0
	.size	_start, . - _start
	.align	16
	.type	func, @function
func:
	{ ldd,0,sm [%dr0 + 0x100], %dr1; std,2 %dr1, [%dr0 + 0x100] ? %pred1 }
	{ return %ctpr3; pass %pred0, @p0; pass %pred1, @p1
	  andp @p0, ~@p1, @p4; pass @p4, %pred2 }
	{ ct %ctpr3 }
	.size	func, . - func
program:
	{
		fapb ct=1, dcd=0, fmt=4, mrng=8, d=0, incr=0, ind=0, asz=4, abs=0, disp=0
		fapb dpl=0, fmt=0
	}
	.data
table:	.quad func, 5
