! Dot product of doubles as a software pipeline of three stages in rotating
! registers, one bundle an iteration: load, multiply, add.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 16, nfx = 1
		addd 0, xs, %dr0
		addd 0, 0, %dr2
	}
	{
		addd 0, ys, %dr1
	}
	{
		addd 0, 0x3ff0000000000000, %dr3
	}
	{
		addd 0, 0x3ff8000000000000, %dr4
	}
1:
	{
		std %dr0, %dr2, %dr3
		faddd %dr3, %dr4, %dr3
		addd %dr2, 8, %dr5
	}
	{
		std %dr1, %dr2, %dr4
		addd %dr5, 0, %dr2
		cmpldb %dr5, 8192, %pred0
		nop 2
	}
	{
		ibranch 1b ? %pred0
	}
	{
		addd 0, 30000, %dr6
		addd 0, 0, %dr7
	}
	{
		addd 0, 0x0000002000000402, %dr8	! vlc, 1026 iterations
	}
2:
	{
		setbn rbs = 8, rsz = 3, rcur = 0
		addd 0, 0, %dr2
		rwd %dr8, %lsr
		disp %ctpr1, 3f
	}
	{
		addd 0, 0, %db[2]
		addd 0, 0, %db[3]
		addd 0, 0, %db[6]
		subd %dr6, 1, %dr6
		nop 5
	}
3:
	{
		loop_mode
		ldd,0 %dr0, %dr2, %db[0]
		ldd,2 %dr1, %dr2, %db[1]
		fmuld,1 %db[2], %db[3], %db[4]
		faddd,4 %dr7, %db[6], %dr7
		addd,5 %dr2, 8, %dr2
		alc alcf = 1, alct = 1
		abn abnf = 1, abnt = 1
		ct %ctpr1 ? %NOT_LOOP_END
	}
	{
		cmpedb %dr6, 0, %pred1
		nop 2
	}
	{
		ibranch 2b ? ~%pred1
	}
	{
		return %ctpr3
		addd %dr7, 0, %dr0
		nop 5
	}
	{
		ct %ctpr3
	}
	.section .bss
	.align	8
xs:
	.skip	8224
ys:
	.skip	8224
