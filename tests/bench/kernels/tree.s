! Deep recursion: tree(n, x) = n ? tree(n - 1, x + 1) + tree(n - 1, x ^ n) : x
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 8, nfx = 1
		setbn rbs = 4, rsz = 3, rcur = 0
		disp %ctpr1, tree
	}
	{
		addd 0, 23, %b[0]
		addd 0, 7, %b[1]
		nop 4
	}
	{
		call %ctpr1, wbs = 4
	}
	{
		return %ctpr3
		addd %b[0], 0, %r0
		nop 5
	}
	{
		ct %ctpr3
	}
	.align	8
tree:
	{
		setwd wsz = 8, nfx = 1
		setbn rbs = 4, rsz = 3, rcur = 0
		disp %ctpr1, tree
		cmpedb %r0, 0, %pred0
		nop 4
	}
	{
		return %ctpr3
		addd %r1, 0, %r0 ? %pred0
		subd %r0, 1, %b[0] ? ~%pred0
		addd %r1, 1, %b[1] ? ~%pred0
		nop 5
	}
	{
		ct %ctpr3 ? %pred0
	}
	{
		call %ctpr1, wbs = 4
	}
	{
		disp %ctpr1, tree
		addd %b[0], 0, %r2
		subd %r0, 1, %b[0]
		xord %r1, %r0, %b[1]
		nop 4
	}
	{
		call %ctpr1, wbs = 4
	}
	{
		return %ctpr3
		addd %b[0], %r2, %r0
		nop 5
	}
	{
		ct %ctpr3
	}
