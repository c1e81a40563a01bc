! Prints what a program is given: its arguments, environment, kernel release,
! room on the data stack and the motto of its root file system.

	.include "lib.inc"

	.pushsection .rodata
motto:
	.asciz	"/etc/motto"
	.popsection
	.pushsection .bss
	.align	8
buffer:
	.skip	512
	.popsection

	PROC show				! heading, strings until NULL
	{
		ldd %dr1, 0, %dr8
		addd %dr0, 0, %db[0]
	}
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF %pred0, 1f
	CALL put_text
	{
		addd %dr8, 0, %db[0]
	}
	CALL put_text
	PRINT "\n"
	{
		addd %dr0, 0, %db[0]
		addd %dr1, 8, %db[1]
	}
	CALL show
1:
	RETURN

	.pushsection .rodata
argument:
	.asciz	"argument "
variable:
	.asciz	"variable "
	.popsection

	PROC main				! argc, argv, envp
	{
		addd 0, argument, %db[0]
		addd %dr1, 0, %db[1]
	}
	CALL show
	{
		addd 0, variable, %db[0]
		addd %dr2, 0, %db[1]
	}
	CALL show
	SYSCALL SYS_uname, buffer
	PRINT "release "
	{
		addd 0, buffer + 130, %db[0]
	}
	CALL put_text
	PRINT "\nstack "
	{
		rrd %usd.hi, %dr8
	}
	{
		shrd %dr8, 32, %db[0]
	}
	CALL putdec
	PRINT "\n"
	SYSCALL SYS_open, motto, 0, 0
	{
		addd %db[0], 0, %dr9
	}
	{
		cmplsb %r9, 0, %pred0
	}
	GOTO_IF %pred0, 1f
	SYSCALL SYS_read, %dr9, buffer, 511
	{
		addd %db[0], 0, %dr10
	}
	SYSCALL SYS_write, 1, buffer, %dr10
1:
	{
		addd 0, 0, %dr0
	}
	RETURN
