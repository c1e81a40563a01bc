! Frames of the data stack all over a page: each level of a recursion keeps
! its variables in 80 bytes, so that some frames lie on two pages, and finds
! them again after the calls it made.
! Needs nothing but write and exit of its system, see system/run-elf.s.

	.macro	SYSTEM_CALL number, a, b, c
	{
		sdisp %ctpr1, 3
		addd 0, \number, %db[0]
		addd 0, \a, %db[1]
		addd 0, \b, %db[2]
		addd 0, \c, %db[3]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	.endm

	.equ	DEPTH, 120
	.equ	FRAME, 80
	.equ	PASSES, 40

	.global	_start
_start:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
		addd 0, PASSES, %dr1
	}
1:
	{
		disp %ctpr1, walk
		addd 0, DEPTH, %db[0]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		cmpedb %db[0], DEPTH * (DEPTH + 1) * 3 / 2, %pred0
		subd %dr1, 1, %dr1
		nop 2
	}
	{
		ibranch 2f ? ~%pred0
	}
	{
		cmpedb %dr1, 0, %pred1
		nop 2
	}
	{
		ibranch 1b ? ~%pred1
	}
	SYSTEM_CALL 4, 1, passed, passed_end - passed
	SYSTEM_CALL 1, 0, 0, 0
2:
	SYSTEM_CALL 1, 1, 0, 0

! walk(n): 3n + walk(n - 1), n kept three times in memory.
walk:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
		getsp -FRAME, %dr8
	}
	{
		std %dr8, 0, %dr0
		addd %dr0, %dr0, %dr2
	}
	{
		std %dr8, FRAME - 8, %dr2
		stb %dr8, 17, %r0
	}
	{
		ldd %dr8, 0, %dr3
	}
	{
		subd %dr3, 1, %db[0]
		cmpedb %dr3, 0, %pred0
		nop 2
	}
	{
		disp %ctpr1, walk
		addd 0, 0, %db[0] ? %pred0
		nop 4
	}
	{
		call %ctpr1, wbs = 8 ? ~%pred0
	}
	{
		ldb %dr8, 17, %dr4		! n again, as a byte
	}
	{
		ldd %dr8, FRAME - 8, %dr5	! 2n
	}
	{
		ldd %dr8, 0, %dr6
		addd %dr4, %dr5, %dr5
	}
	{
		cmpedb %dr4, %dr6, %pred0
		return %ctpr3
		addd %dr5, %db[0], %dr0
		nop 5
	}
	{
		addd 0, 0, %dr0 ? ~%pred0
	}
	{
		ct %ctpr3
	}

	.data
passed:
	.ascii	"frames passed\n"
passed_end:
