! z = a * x + y, 1024 doubles: x and y come through the array access unit, z
! goes out through a descriptor; a pipeline of four stages in rotating
! registers, one bundle an iteration.
	.include "rt.inc"
	.global	main
main:
	{
		setwd wsz = 24, nfx = 1
		addd 0, xs, %dr0
		addd 0, 0, %dr2
	}
	{
		addd 0, ys, %dr1
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
		addd 0, zs, %dr10
	}
	{
		! vlc, 1028 iterations of which 3 are prologue: the first three and
		! the last store nothing.
		addd 0, 0x0003002000000404, %dr8
		addd 0, 0, %dr9
	}
	{
		addd 0, 0x3ff4000000000000, %dr7
		aaurwd,2 %dr0, %aad0
		aaurwd,5 %dr1, %aad1
	}
	{
		aaurwd,2 %dr10, %aad2
		aaurwd,5 %dr9, %aaind1
	}
2:
	{
		aaurwd,2 %dr9, %aasti1
		rwd %dr8, %lsr
		ldisp %ctpr2, streams
	}
	{
		setbn rbs = 12, rsz = 5, rcur = 0
		disp %ctpr1, 3f
	}
	{
		addd 0, 0, %db[2]
		addd 0, 0, %db[5]
		addd 0, 0, %db[6]
		addd 0, 0, %db[10]
		subd %dr6, 1, %dr6
	}
	{
		addd 0, 0, %db[3]
		bap
		nop 7
	}
3:
	{
		loop_mode
		movad,0 area = 0, ind = 0, am = 1, be = 0, %db[0]
		movad,2 area = 0, ind = 0, am = 1, be = 0, %db[1]
		fmuld,0 %db[2], %dr7, %db[4]
		faddd,1 %db[6], %db[5], %db[8]
		staad,2 %db[10], %aad2 [ %aasti1 ]
		incr,2 %aaincr0
		alc alcf = 1, alct = 1
		abn abnf = 1, abnt = 1
		ct %ctpr1 ? %NOT_LOOP_END
	}
	{
		eap
		cmpedb %dr6, 0, %pred1
		nop 2
	}
	{
		ibranch 2b ? ~%pred1
	}
	{
		! The sum of all elements of z, as bits.
		addd 0, 0, %dr2
		addd 0, 0, %dr7
	}
4:
	{
		ldd %dr10, %dr2, %dr3
		addd %dr2, 8, %dr2
	}
	{
		addd %dr7, %dr3, %dr7
		cmpldb %dr2, 8192, %pred0
		nop 2
	}
	{
		ibranch 4b ? %pred0
	}
	{
		return %ctpr3
		addd %dr7, 0, %dr0
		nop 5
	}
	{
		ct %ctpr3
	}
	.align	16
streams:
	{
		fapb ct = 0, dcd = 0, fmt = 4, mrng = 8, d = 0, incr = 0, ind = 0, asz = 4, abs = 0, disp = 0
		fapb dpl = 0, dcd = 0, fmt = 4, mrng = 8, d = 1, incr = 0, ind = 0, asz = 4, abs = 0, disp = 0
	}
	{
		fapb ct = 1, dcd = 0, fmt = 0, mrng = 8, d = 0, incr = 0, ind = 0, asz = 4, abs = 0, disp = 0
		fapb dpl = 0, dcd = 0, fmt = 0, mrng = 8, d = 0, incr = 0, ind = 0, asz = 4, abs = 0, disp = 0
	}
	.section .bss
	.align	8
xs:
	.skip	8256
ys:
	.skip	8256
zs:
	.skip	8256
