! Accesses through a wild pointer: argv[1] is their form ('0' to '6'), the
! pointer comes as 16 hexadecimal digits on standard input.  Says
! "ready" first, and "survived" if the access had no consequences.

	.include "lib.inc"

	.pushsection .bss
	.align	8
digits:
	.skip	32
	.popsection

	PROC main			! argc, argv
	{
		ldd %dr1, 8, %dr2
	}
	{
		ldb %dr2, 0, %dr8
	}
	PRINT "ready\n"
	SYSCALL SYS_read, 0, digits, 16
	{
		addd 0, digits, %dr9
		addd 0, 0, %dr10
		addd 0, 16, %dr11
	}
1:
	{
		ldb %dr9, 0, %dr12
		addd %dr9, 1, %dr9
		shld %dr10, 4, %dr10
		subd %dr11, 1, %dr11
	}
	{
		subd %dr12, 0x30, %dr13
		subd %dr12, 0x57, %dr14
		cmpbdb %dr12, 0x3a, %pred0
		cmpedb %dr11, 0, %pred1
	}
	{
		ord %dr10, %dr13, %dr10 ? %pred0
		ord %dr10, %dr14, %dr10 ? ~%pred0
		ibranch 1b ? ~%pred1
	}
	{
		cmpedb %dr8, 0x30, %pred0
		cmpedb %dr8, 0x31, %pred1
		cmpedb %dr8, 0x32, %pred2
		cmpedb %dr8, 0x33, %pred3
	}
	GOTO_IF %pred0, 2f
	GOTO_IF %pred1, 3f
	GOTO_IF %pred2, 4f
	GOTO_IF %pred3, 5f
	{
		cmpedb %dr8, 0x35, %pred0
		cmpedb %dr8, 0x36, %pred1
	}
	GOTO_IF %pred0, 6f
	GOTO_IF %pred1, 7f
	{				! a load, then
		ldd %dr10, 0, %dr15
	}
	GOTO 9f
2:
	{
		std %dr10, 0, %dr10
	}
	GOTO 9f
3:	! displacements of both signs
	{
		subd %dr10, 0x1000, %dr11
	}
	{
		std %dr11, 0x1000, %dr10
	}
	GOTO 9f
4:
	{
		addd %dr10, 0x1000, %dr11
	}
	{
		std %dr11, -0x1000, %dr10
	}
	GOTO 9f
5:	! and an index; the base is a good address
	{
		addd 0, digits, %dr11
	}
	{
		subd %dr10, %dr11, %dr12
	}
	{
		std %dr11, 0, %dr11
	}
	{
		std %dr11, %dr12, %dr10
	}
	GOTO 9f
6:	! a load that begins an atomic bracket
	{
		ldd,0 %dr10, 0, %dr15, mas=0x7
	}
	GOTO 9f
7:	! a store that ends one begun elsewhere
	{
		addd 0, digits, %dr11
	}
	{
		ldd,0 %dr11, 0, %dr15, mas=0x7
	}
	{
		std,2 %dr10, 0, %dr10, mas=0x2
	}
9:
	PRINT "survived\n"
	{
		addd 0, 0, %dr0
	}
	RETURN
