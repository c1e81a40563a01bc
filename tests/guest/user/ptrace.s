! A debugger in miniature: traces children of its own, from the start, over an
! execve, by attaching to one that runs, and through the processes they make.

	.include "lib.inc"

	.equ	SYS_ptrace, 26
	.equ	TRACEME, 0
	.equ	PEEKDATA, 2
	.equ	POKEDATA, 5
	.equ	CONT, 7
	.equ	SINGLESTEP, 9
	.equ	GETREGS, 12
	.equ	SETREGS, 13
	.equ	ATTACH, 16
	.equ	DETACH, 17
	.equ	SYSCALL_STOPS, 24
	.equ	SETOPTIONS, 0x4200
	.equ	GETEVENTMSG, 0x4201
	.equ	GETSIGINFO, 0x4202
	.equ	SIGUSR1, 10
	.equ	SIGSTOP, 19
	.equ	SIZE, 4784
	.equ	IP, 2680
	.equ	CR0_HI, 408
	.equ	SYS_NUM, 2784

	.pushsection .data
	.align	8
value:
	.dword	0x1111
sigchld:
	.dword	0x10000
arguments:
	.dword	0, again, 0
environment:
	.dword	0
again:
	.asciz	"again"
	.popsection
	.pushsection .bss
	.align	16
regs:
	.skip	SIZE + 16
info:
	.skip	128
status:
	.skip	8
word:
	.skip	8
	.popsection

	.macro	ANSWERS wanted, text, nr, a=0, b=0, c=0, d=0
	SYSCALL \nr, \a, \b, \c, \d
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, \wanted, "\text"
	.endm

! Waits for the child in %dr20: what it is told.
	.macro	TOLD wanted, text
	SYSCALL SYS_waitpid, %dr20, status, 0x40000000
	{
		addd 0, status, %dr9
	}
	{
		ldw %dr9, 0, %dr9
	}
	CHECK_EQ %dr9, \wanted, "\text"
	.endm

	.macro	FORK label			! the child goes to the label
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr20
	}
	{
		cmpedb %dr20, 0, %pred0
	}
	GOTO_IF %pred0, \label
	.endm

	.macro	SELF_SIGNAL number
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr10
	}
	SYSCALL SYS_kill, %dr10, \number
	.endm

	PROC child
	SYSCALL SYS_ptrace, TRACEME
	SELF_SIGNAL SIGSTOP
child_stopped:
	{
		addd 0, 1, %dr11
	}
	{
		addd 0, 2, %dr11
	}
	SYSCALL SYS_getpid
	SELF_SIGNAL SIGUSR1
	SYSCALL SYS_exit_group, 99		! the tracer jumps over this
child_goes_on:
	{
		addd 0, value, %dr10
	}
	{
		ldw %dr10, 0, %dr10
	}
	SYSCALL SYS_exit_group, %dr10
child_end:
	RETURN

	PROC runner				! until somebody changes the value
	{
		addd 0, value, %dr10
	}
1:
	{
		ldw %dr10, 0, %dr11
	}
	{
		cmpedb %dr11, 0x1111, %pred0
	}
	GOTO_IF %pred0, 1b
	SYSCALL SYS_exit_group, %dr11
	RETURN

! A child of the child: ends with a status.
	.macro	MAKE status, nr, a=0
	SYSCALL \nr, \a
	{
		addd %db[0], 0, %dr10
	}
	{
		cmpedb %dr10, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 9998f
	SYSCALL SYS_exit_group, \status
9998:
	SYSCALL SYS_waitpid, %dr10, status, 0
	.endm

	PROC forker
	SYSCALL SYS_rt_sigprocmask, 0, sigchld, 0, 8
	SYSCALL SYS_ptrace, TRACEME
	SELF_SIGNAL SIGSTOP
	MAKE 5, SYS_fork
	MAKE 6, SYS_vfork
	MAKE 7, SYS_clone, 0
	SELF_SIGNAL SIGSTOP
	MAKE 8, SYS_fork			! the tracer does not want it
	{
		addd 0, status, %dr10
	}
	{
		ldw %dr10, 0, %dr10
	}
	{
		shrd %dr10, 8, %dr10
	}
	SYSCALL SYS_exit_group, %dr10
	RETURN

! The tracee has stopped for a process it makes, which is then %dr20, stopped.
	.macro	NEW_PROCESS event, text
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD (\event << 16) + 0x057f, "\text"
	ANSWERS 0, "its message", SYS_ptrace, GETEVENTMSG, %dr20, 0, word
	{
		addd 0, word, %dr9
		addd %dr20, 0, %dr19
	}
	{
		ldd %dr9, 0, %dr20
	}
	TOLD 0x137f, "names a process that has stopped"
	ANSWERS 0, "registers of it", SYS_ptrace, GETREGS, %dr20, 0, regs
	ANSWERS 0, "let it go", SYS_ptrace, CONT, %dr20, 0, 0
	.endm

	.macro	NEW_ENDS status
	TOLD \status << 8, "it ends"
	{
		addd %dr19, 0, %dr20
	}
	.endm

	PROC trace_forks
	FORK 1f
	TOLD 0x137f, "a child that will fork"
	ANSWERS 0, "all events", SYS_ptrace, SETOPTIONS, %dr20, 0, 0x3f
	NEW_PROCESS 1, "fork is an event"
	NEW_ENDS 5
	NEW_PROCESS 2, "vfork is another"
	NEW_ENDS 6
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD 0x5057f, "as is its end"
	NEW_PROCESS 3, "clone without a signal is a third"
	NEW_ENDS 7
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD 0x137f, "to the next stop"
	ANSWERS 0, "clone only", SYS_ptrace, SETOPTIONS, %dr20, 0, 8
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD 8 << 8, "a fork is none, its child runs"
	RETURN
1:
	CALL forker

	PROC main				! argc, argv
	{
		cmpedb %dr0, 2, %pred0
		ldd %dr1, 0, %dr12
		addd 0, arguments, %dr13
	}
	GOTO_IF %pred0, after_exec
	{
		std %dr13, 0, %dr12
	}
	FORK in_child

	TOLD 0x137f, "the child has stopped itself"
	ANSWERS 0, "its memory is read", SYS_ptrace, PEEKDATA, %dr20, value, word
	{
		addd 0, word, %dr9
	}
	{
		ldd %dr9, 0, %dr9
	}
	CHECK_EQ %dr9, 0x1111, "and is what it is"
	ANSWERS 0, "and written", SYS_ptrace, POKEDATA, %dr20, value, 42
	ANSWERS -5, "not where nothing is", SYS_ptrace, POKEDATA, %dr20, 0x100000000000, 1
	ANSWERS 0, "registers", SYS_ptrace, GETREGS, %dr20, 0, regs
	{
		addd 0, child, %dr11
		addd 0, child_end, %dr12
	}
	{
		addd 0, regs, %dr10
	}
	{
		ldd %dr10, 0, %dr9
		ldd %dr10, IP, %dr13
	}
	CHECK_EQ %dr9, SIZE, "say how many they are"
	{
		cmpbdb %dr13, %dr11, %pred0
		cmpbdb %dr13, %dr12, %pred1
		addd 0, 0, %dr9
	}
	{
		addd 0, 1, %dr9 ? ~%pred0
	}
	{
		addd 0, 0, %dr9 ? ~%pred1
	}
	CHECK %dr9, "and where it stands"
	ANSWERS 0, "a step", SYS_ptrace, SINGLESTEP, %dr20, 0, 0
	TOLD 0x057f, "is a trap"
	ANSWERS 0, "registers again", SYS_ptrace, GETREGS, %dr20, 0, regs
	{
		ldd %dr10, IP, %dr14
	}
	{
		subd %dr14, %dr13, %dr14
	}
	CHECK %dr14, "it has moved"
	ANSWERS 0, "options", SYS_ptrace, SETOPTIONS, %dr20, 0, 1
	ANSWERS 0, "to the next call", SYS_ptrace, SYSCALL_STOPS, %dr20, 0, 0
	TOLD 0x857f, "which is told from a trap"
	ANSWERS 0, "registers in the call", SYS_ptrace, GETREGS, %dr20, 0, regs
	{
		ldd %dr10, SYS_NUM, %dr14
	}
	CHECK_EQ %dr14, SYS_getpid, "name it"
	ANSWERS 0, "to its end", SYS_ptrace, SYSCALL_STOPS, %dr20, 0, 0
	TOLD 0x857f, "is another stop"
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD 0x0a7f, "to a signal"
	ANSWERS 0, "siginfo", SYS_ptrace, GETSIGINFO, %dr20, 0, info
	{
		addd 0, info, %dr9
	}
	{
		ldw %dr9, 0, %dr9
	}
	CHECK_EQ %dr9, SIGUSR1, "names it"
	ANSWERS 0, "registers once more", SYS_ptrace, GETREGS, %dr20, 0, regs
	{
		addd 0, child_goes_on, %dr9
	}
	{
		std %dr10, CR0_HI, %dr9
	}
	ANSWERS 0, "changed", SYS_ptrace, SETREGS, %dr20, 0, regs
	ANSWERS 0, "without the signal", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD 42 << 8, "it ends as we said"
	ANSWERS -3, "and is not ours any more", SYS_ptrace, CONT, %dr20, 0, 0

	! over an execve
	FORK in_exec
	TOLD 0x057f, "a trap after execve"
	ANSWERS 0, "registers of the new program", SYS_ptrace, GETREGS, %dr20, 0, regs
	{
		ldd %dr10, IP, %dr9
		addd 0, _start, %dr11
	}
	{
		subd %dr9, %dr11, %dr9
	}
	CHECK_EQ %dr9, 0, "at its first bundle"
	ANSWERS 0, "let it go", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD 7 << 8, "to its end"

	! attaching
	FORK in_runner
	ANSWERS 0, "attach", SYS_ptrace, ATTACH, %dr20, 0, 0
	TOLD 0x137f, "stops it"
	ANSWERS 0, "its memory can be changed", SYS_ptrace, POKEDATA, %dr20, value, 9
	ANSWERS 0, "detach", SYS_ptrace, DETACH, %dr20, 0, 0
	TOLD 9 << 8, "lets it end"
	CALL trace_forks
	ANSWERS -3, "nobody", SYS_ptrace, ATTACH, 0x3fffff, 0, 0
	DONE

in_child:
	CALL child
in_exec:
	SYSCALL SYS_ptrace, TRACEME
	{
		addd 0, arguments, %dr9
	}
	{
		ldd %dr9, 0, %dr9
	}
	SYSCALL SYS_execve, %dr9, arguments, environment
	SYSCALL SYS_exit_group, 98
in_runner:
	CALL runner
after_exec:
	SYSCALL SYS_exit_group, 7
	RETURN
