! execve: an e2k program comes back into the emulator, with its arguments and
! environment; errors of execve are errors of the call; the other threads end
! with a thread's execve, which keeps the process's number.

	.include "lib.inc"

	.equ	SYS_dup2, 63
	.equ	MAP_SHARED_ANON, 0x11
	.equ	CLONE_THREAD_FLAGS, 0x50f00	! VM FS FILES SIGHAND THREAD SYSVSEM
	.equ	FUTEX_WAIT, 0
	.equ	FUTEX_WAKE, 1
	.equ	ESRCH, -3
	.equ	AT_SECURE, 23
	.equ	TELL, 60			! a descriptor over execve
	.equ	ENOENT, -2
	.equ	EACCES, -13
	.equ	ENOEXEC, -8
	.equ	ELIBBAD, -80
	.equ	SYS_memfd_create, 386

	.pushsection .data
	.align	8
child_argv:
	.quad	path, word, 0
thread_argv:
	.quad	path, thread_word, 0
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
thread_word:
	.asciz	"thread"
variable:
	.asciz	"GUEST=1"
	.popsection
	.pushsection .data
	.align	8
damaged:				! an ELF header of this machine, no more
	.byte	0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0
	.skip	8
	.half	2, 175
	.word	1
	.skip	40
damaged_end:
	.macro	WITH_INTERPRETER label, name
	.align	8
\label:
	.byte	0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0
	.skip	8
	.half	2, 175
	.word	1
	.dword	0x10000, 64, 0
	.word	3 << 24
	.half	64, 56, 2, 64, 0, 0
	.word	1, 5				! PT_LOAD
	.dword	0, 0x10000, 0x10000, 192, 192, 4096
	.word	3, 4				! PT_INTERP
	.dword	176, 0x100b0, 0x100b0, 16, 16, 1
	.ascii	"\name"
	.byte	0
	.endm
	WITH_INTERPRETER no_interpreter, "/nonexistent/ld"
	WITH_INTERPRETER bad_interpreter, "/proc//self/exe"
memory:
	.asciz	"/proc/self/fd/50"
	.popsection
	.pushsection .bss
	.align	8
path:
	.skip	4096
status:
	.skip	8
ends:
	.skip	8
told:
	.skip	8
	.align	16
stacks:
	.skip	2 * 65536
	.popsection

! The value of an entry of the auxiliary vector, or -1.
	PROC auxiliary			! envp, type
1:
	{
		ldd %dr0, 0, %dr2
		addd %dr0, 8, %dr0
	}
	{
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
2:
	{
		ldd %dr0, 0, %dr2
		ldd %dr0, 8, %dr3
		addd %dr0, 16, %dr0
	}
	{
		cmpedb %dr2, %dr1, %pred0
		cmpedb %dr2, 0, %pred1
	}
	GOTO_IF %pred0, 3f
	GOTO_IF_NOT %pred1, 2b
	{
		subd 0, 1, %dr3
	}
3:
	{
		addd %dr3, 0, %dr0
	}
	RETURN

! A process of three threads, of which the third makes the execve.
	PROC threaded			! a shared page
	SYSCALL SYS_clone, CLONE_THREAD_FLAGS, stacks + 65536, 0, 0, 0
	{
		addd %db[0], 0, %dr8
	}
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	SYSCALL SYS_gettid
	{
		addd %db[0], 0, %dr9
	}
	{
		std %dr0, 0, %dr9		! "I am here", for all
	}
	SYSCALL SYS_futex, %dr0, FUTEX_WAKE, 1
	GOTO sleep
1:
	SYSCALL SYS_futex, %dr0, FUTEX_WAIT, 0, 0
	{
		ldw %dr0, 0, %dr9
	}
	{
		cmpedb %dr9, 0, %pred0
	}
	GOTO_IF %pred0, 1b
	SYSCALL SYS_clone, CLONE_THREAD_FLAGS, stacks + 131072, 0, 0, 0
	{
		addd %db[0], 0, %dr8
	}
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF_NOT %pred0, sleep
	SYSCALL SYS_execve, path, thread_argv, child_envp
	SYSCALL SYS_exit_group, 99
sleep:
	SYSCALL SYS_futex, status, FUTEX_WAIT, 0, 0
	GOTO sleep

! What it runs: tells whether it is the first thread, and waits to be ended.
	PROC after_thread
	SYSCALL SYS_alarm, 20
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr8
		addd 0, told, %dr10
	}
	SYSCALL SYS_gettid
	{
		cmpedb %db[0], %dr8, %pred0
	}
	{
		addd 0, 0, %dr8 ? ~%pred0
	}
	{
		std %dr10, 0, %dr8
	}
	SYSCALL SYS_write, TELL, told, 8
1:
	SYSCALL SYS_futex, status, FUTEX_WAIT, 0, 0
	GOTO 1b

	PROC exec_from_thread
	SYSCALL SYS_mmap, 0, 4096, 3, MAP_SHARED_ANON, -1, 0
	{
		addd %db[0], 0, %dr8
	}
	SYSCALL SYS_pipe, ends
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr9
		addd 0, ends, %dr10
	}
	{
		cmpedb %dr9, 0, %pred0
		ldw %dr10, 0, %dr11
		ldw %dr10, 4, %dr12
	}
	GOTO_IF_NOT %pred0, 1f
	SYSCALL SYS_alarm, 20
	SYSCALL SYS_dup2, %dr12, TELL
	{
		addd %dr8, 0, %db[0]
	}
	CALL threaded
1:
	SYSCALL SYS_close, %dr12
	SYSCALL SYS_read, %dr11, told, 8
	{
		addd %db[0], 0, %dr0
		addd 0, told, %dr10
	}
	CHECK_EQ %dr0, 8, "a thread's program runs"
	{
		ldd %dr10, 0, %dr0
	}
	CHECK_EQ %dr0, %dr9, "as the first thread of the same process"
	{
		ldw %dr8, 0, %dr13
	}
	{
		subd %dr13, %dr9, %dr0
	}
	CHECK %dr0, "another thread was there"
	SYSCALL SYS_tkill, %dr13, 0
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, ESRCH, "and has ended"
	SYSCALL SYS_kill, %dr9, 15
	SYSCALL SYS_waitpid, %dr9, status, 0
	{
		addd %db[0], 0, %dr0
		addd 0, status, %dr1
	}
	CHECK_EQ %dr0, %dr9, "the process can be waited for"
	{
		ldw %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, 15, "once, by its number"
	RETURN

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
		cmpedb %dr12, 0x74, %pred0
	}
	GOTO_IF_NOT %pred0, 3f
	CALL after_thread
3:
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
	SYSCALL SYS_memfd_create, word, 0
	SYSCALL SYS_dup2, %db[0], 50
	SYSCALL SYS_write, 50, damaged, damaged_end - damaged
	SYSCALL SYS_execve, memory, child_argv, child_envp
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, ENOEXEC, "an e2k program that cannot run"
	SYSCALL SYS_lseek, 50, 0, 0
	SYSCALL SYS_write, 50, no_interpreter, 192
	SYSCALL SYS_execve, memory, child_argv, child_envp
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, ENOENT, "one whose interpreter is missing"
	SYSCALL SYS_lseek, 50, 0, 0
	SYSCALL SYS_write, 50, bad_interpreter, 192
	SYSCALL SYS_execve, memory, child_argv, child_envp
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, ELIBBAD, "one whose interpreter is no e2k file"
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
	CALL exec_from_thread
	{
		addd %dr9, 0, %db[0]
		addd 0, AT_SECURE, %db[1]
	}
	CALL auxiliary
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, 0, "an ordinary program has AT_SECURE, and it is 0"
	DONE
