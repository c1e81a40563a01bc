! execve: an e2k program comes back into the emulator, with its arguments and
! environment; errors of execve are errors of the call.

	.include "lib.inc"

	.equ	ENOENT, -2
	.equ	EACCES, -13

	.pushsection .data
	.align	8
child_argv:
	.quad	path, word, 0
child_envp:
	.quad	variable, 0
	.popsection
	.pushsection .rodata
exe:
	.asciz	"/proc/self/exe"
missing:
	.asciz	"/nonexistent/program"
directory:
	.asciz	"/"
word:
	.asciz	"again"
variable:
	.asciz	"GUEST=1"
	.popsection
	.pushsection .bss
	.align	8
path:
	.skip	4096
status:
	.skip	8
	.popsection

	PROC main			! argc, argv, envp
	{
		cmpedb %dr0, 2, %pred0
		addd %dr1, 0, %dr8
		addd %dr2, 0, %dr9
	}
	GOTO_IF_NOT %pred0, 1f
	! The second time: the result is the first letter of the environment
	! if the argument is there.
	{
		ldd %dr8, 8, %dr10
		ldd %dr9, 0, %dr11
	}
	{
		ldb %dr10, 0, %dr12
		ldb %dr11, 0, %dr0
	}
	{
		cmpedb %dr12, 0x61, %pred1
	}
	{
		addd 0, 1, %dr0 ? ~%pred1
	}
	RETURN
1:
	SYSCALL SYS_readlink, exe, path, 4096
	SYSCALL SYS_execve, missing, child_argv, child_envp
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, ENOENT, "a missing program"
	SYSCALL SYS_execve, directory, child_argv, child_envp
	{
		addd %db[0], 0, %dr0
		addd 0, 0, %dr1
	}
	{
		cmpldb %dr0, 0, %pred0
	}
	{
		addd 0, 1, %dr1 ? %pred0
	}
	CHECK %dr1, "a directory is no program"
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr8
	}
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2f
	SYSCALL SYS_execve, path, child_argv, child_envp
	SYSCALL SYS_exit_group, 99
2:
	SYSCALL SYS_waitpid, %dr8, status, 0
	{
		addd 0, status, %dr1
	}
	{
		ldw %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, 0x4700, "the program runs itself, arguments and all"
	DONE
