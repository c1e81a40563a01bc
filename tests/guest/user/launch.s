! Prints its arguments, one a line.  Under the name "launch" (argv[0]) it is
! execve of the others instead; what that answers is the exit status.  For
! tests/user/scripts.py.

	.include "lib.inc"

	.pushsection .rodata
	.align	8
launch:
	.asciz	"launch"
	.align	8
	.popsection

	PROC main			! argc, argv, envp
	{
		ldd %dr1, 0, %dr8
		addd 0, launch, %dr9
		addd %dr1, 0, %dr10
		addd %dr2, 0, %dr11
	}
1:	! is it the name?
	{
		ldb %dr8, 0, %dr12
		ldb %dr9, 0, %dr13
		addd %dr8, 1, %dr8
		addd %dr9, 1, %dr9
	}
	IF_NE %dr12, %dr13, 2f
	IF_NE %dr12, 0, 1b
	{
		ldd %dr10, 8, %dr12
		addd %dr10, 8, %dr13
	}
	SYSCALL SYS_execve, %dr12, %dr13, %dr11
	{
		subd 0, %db[0], %dr0
	}
	RETURN
2:
	{
		ldd %dr10, 0, %dr8
		addd %dr10, 8, %dr10
	}
	IF_EQ %dr8, 0, 3f
	{
		addd %dr8, 0, %db[0]
	}
	CALL put_text
	PRINT "\n"
	GOTO 2b
3:
	{
		addd 0, 0, %dr0
	}
	RETURN
