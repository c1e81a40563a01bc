! What a newer debugger asks for: seizing, interrupting and listening; new
! threads; the event at the end; registers as a set; another siginfo; waitid;
! children with a signal of their own at their end.  In both modes.

	.include "lib.inc"
	.include "answers.inc"

	.equ	SYS_ptrace, 26
	.equ	SYS_wait4, 114
	.equ	SYS_waitid, 322
	.equ	TRACEME, 0
	.equ	PEEKDATA, 2
	.equ	POKEDATA, 5
	.equ	CONT, 7
	.equ	GETREGS, 12
	.equ	DETACH, 17
	.equ	SETOPTIONS, 0x4200
	.equ	GETEVENTMSG, 0x4201
	.equ	GETSIGINFO, 0x4202
	.equ	SETSIGINFO, 0x4203
	.equ	GETREGSET, 0x4204
	.equ	SETREGSET, 0x4205
	.equ	SEIZE, 0x4206
	.equ	INTERRUPT, 0x4207
	.equ	LISTEN, 0x4208
	.equ	O_CLONE, 8
	.equ	O_EXEC, 0x10
	.equ	O_EXIT, 0x40
	.equ	EVENT_STOP, 128
	.equ	SIGUSR1, 10
	.equ	SIGUSR2, 12
	.equ	SIGTRAP, 5
	.equ	SIGSTOP, 19
	.equ	WALL, 0x40000000
	.equ	WCLONE, 0x80000000
	.equ	WEXITED, 4
	.equ	SIZE, 4784
	.equ	IP, 2680
	.equ	CR0_HI, 408
	.equ	CLONE_FLAGS, 0x10f00
	.ifdef	NARROW
	.equ	INFO_PID, 12
	.equ	INFO_STATUS, 20
	.else
	.equ	INFO_PID, 16
	.equ	INFO_STATUS, 24
	.endif

	.pushsection .data
	.align	8
value:
	.dword	0x2222222211111111
action:
	WORDS	handler, 4, 0, 0		! SA_SIGINFO
	.ifdef	NARROW
	.word	0
	.endif
regset:
	WORDS	regs, SIZE + 16
own_path:
	.asciz	"/proc/self/exe"
	.align	8
arguments:
	WORDS	own_path, own_path, 0
environment:
	WORDS	0
pause_time:
	WORDS	0, 20000000
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
got:
	.skip	8
	.align	16
stack:
	.skip	32768
stack_end:
	.popsection

	PROC handler				! what came with the signal
	{
		ldw %dr1, INFO_PID, %dr8
		ADDR got, %dr9
	}
	{
		stw %dr9, 0, %r8
	}
	RETURN

	.macro	TOLD wanted, text
	SYSCALL SYS_wait4, %dr20, status, WALL, 0
	HOLDS (\wanted), "\text", w, status
	.endm

	.macro	FORK label
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr20
	}
	{
		cmpedb %dr20, 0, %pred0
	}
	GOTO_IF %pred0, \label
	.endm

	PROC runner				! until the value changes
	{
		ADDR value, %dr10
	}
1:
	{
		ldw %dr10, 0, %dr11
	}
	{
		cmpedb %r11, 0x11111111, %pred0
	}
	GOTO_IF %pred0, 1b
	SYSCALL SYS_exit_group, %dr11

! Entered by changed registers only, from wherever the runner has come to: its
! window is made anew.
	PROC escape
	SYSCALL SYS_exit_group, 6

	PROC seizing
	FORK 9f
	ANSWERS -5, "seize: no address", SYS_ptrace, SEIZE, %dr20, 1, 0
	ANSWERS -5, "no unknown option", SYS_ptrace, SEIZE, %dr20, 0, 0x80000000
	ANSWERS 0, "seize", SYS_ptrace, SEIZE, %dr20, 0, O_EXIT
	ANSWERS -3, "does not stop", SYS_ptrace, GETREGS, %dr20, 0, regs
	ANSWERS 0, "interrupt", SYS_ptrace, INTERRUPT, %dr20, 0, 0
	TOLD (EVENT_STOP << 16) + 0x057f, "does"
	ANSWERS 0, "registers", SYS_ptrace, GETREGS, %dr20, 0, regs
	HOLDS SIZE, "are there", w, regs
	ANSWERS 0, "listen", SYS_ptrace, LISTEN, %dr20, 0, 0
	SYSCALL SYS_nanosleep, pause_time, 0
	ANSWERS 0, "nothing happens", SYS_wait4, %dr20, status, WALL + 1, 0
	ANSWERS 0, "interrupt again", SYS_ptrace, INTERRUPT, %dr20, 0, 0
	TOLD (EVENT_STOP << 16) + 0x057f, "is told"
	ANSWERS 0, "a word", SYS_ptrace, PEEKDATA, %dr20, value, word
	HOLDS 0x11111111, "is read", w, word
	ANSWERS 0, "registers as a set", SYS_ptrace, GETREGSET, %dr20, 1, regset
	{
		ADDR regs, %dr10
		ADDR escape, %dr9
	}
	{
		std %dr10, CR0_HI, %dr9
	}
	ANSWERS -22, "not another set", SYS_ptrace, SETREGSET, %dr20, 7, regset
	ANSWERS 0, "changed", SYS_ptrace, SETREGSET, %dr20, 1, regset
	HOLDS SIZE, "all of them", w, regset, WORD
	ANSWERS 0, "a word", SYS_ptrace, POKEDATA, %dr20, value, 8
	.ifdef	NARROW
	ANSWERS 0, "the next one", SYS_ptrace, PEEKDATA, %dr20, value + 4, word
	HOLDS 0x22222222, "stays as it is", w, word
	.endif
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD (6 << 16) + 0x057f, "the end is an event"
	ANSWERS 0, "with a message", SYS_ptrace, GETEVENTMSG, %dr20, 0, word
	HOLDS 6 << 8, "that says how", w, word
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD 6 << 8, "and it ends"
	RETURN
9:
	CALL runner

! A child with a handler: the debugger changes what comes with the signal.
	PROC signalled
	SYSCALL SYS_rt_sigaction, SIGUSR1, action, 0, 8
	SYSCALL SYS_ptrace, TRACEME
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr10
	}
	SYSCALL SYS_kill, %dr10, SIGUSR1
	SYSCALL SYS_kill, %dr10, 20		! SIGTSTP
	{
		ADDR got, %dr11
	}
	{
		ldw %dr11, 0, %dr11
	}
	SYSCALL SYS_exit_group, %dr11

	PROC signals
	FORK 9f
	ANSWERS 0, "waitid", SYS_waitid, 1, %dr20, info, WEXITED + 2, 0
	HOLDS SIGUSR1, "tells of the stop", w, info, INFO_STATUS
	HOLDS 4, "as a trap", w, info, 8
	ANSWERS 0, "siginfo", SYS_ptrace, GETSIGINFO, %dr20, 0, info
	HOLDS SIGUSR1, "of the signal", w, info
	PUT w, info, INFO_PID, 77
	ANSWERS 0, "another one", SYS_ptrace, SETSIGINFO, %dr20, 0, info
	ANSWERS 0, "registers as a set", SYS_ptrace, GETREGSET, %dr20, 1, regset
	HOLDS SIZE, "so many bytes", w, regset, WORD
	HOLDS SIZE, "the same ones", w, regs
	ANSWERS 0, "with the signal", SYS_ptrace, CONT, %dr20, 0, SIGUSR1
	TOLD (20 << 8) + 0x7f, "a stop from the terminal"
	ANSWERS 0, "let through", SYS_ptrace, CONT, %dr20, 0, 20
	TOLD (20 << 8) + 0x7f, "stops the process"
	ANSWERS 0, "which can go on", SYS_ptrace, CONT, %dr20, 0, 0
	ANSWERS 0, "waitid", SYS_waitid, 1, %dr20, info, WEXITED, 0
	HOLDS 77, "what the handler was told", w, info, INFO_STATUS
	HOLDS 1, "an exit", w, info, 8
	RETURN
9:
	CALL signalled

! A child that makes a thread.
	PROC threaded
	SYSCALL SYS_ptrace, TRACEME
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr10
	}
	SYSCALL SYS_kill, %dr10, SIGSTOP
	SYSCALL SYS_clone, CLONE_FLAGS, stack_end, 0, 0, 0
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	SYSCALL SYS_gettid
	{
		addd %db[0], 0, %dr11
	}
	SYSCALL SYS_tkill, %dr11, SIGUSR2
	CALL runner
1:
	SYSCALL SYS_exit, 0

	PROC threads
	FORK 9f
	TOLD (SIGSTOP << 8) + 0x7f, "a child that will make a thread"
	ANSWERS 0, "clone and exit events", SYS_ptrace, SETOPTIONS, %dr20, 0, O_CLONE + O_EXIT
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD (3 << 16) + 0x057f, "a new thread is an event"
	ANSWERS 0, "its message", SYS_ptrace, GETEVENTMSG, %dr20, 0, word
	{
		ADDR word, %dr9
		addd %dr20, 0, %dr19
	}
	{
		ldw %dr9, 0, %dr20
	}
	TOLD (SIGSTOP << 8) + 0x7f, "names the thread, which has stopped"
	ANSWERS 0, "its registers", SYS_ptrace, GETREGS, %dr20, 0, regs
	HOLDS SIZE, "are there", w, regs
	ANSWERS 0, "let it go", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD (SIGUSR2 << 8) + 0x7f, "its signal is told"
	{
		addd %dr19, 0, %dr21
		addd %dr20, 0, %dr22
	}
	{
		addd %dr21, 0, %dr20
	}
	ANSWERS 0, "the first one goes on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD (6 << 16) + 0x057f, "to its end"
	ANSWERS 0, "and over", SYS_ptrace, CONT, %dr20, 0, 0
	{
		addd %dr22, 0, %dr20
	}
	ANSWERS 0, "the process is told to end", SYS_ptrace, POKEDATA, %dr20, value, 5
	ANSWERS 0, "without the signal", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD (6 << 16) + 0x057f, "the thread ends it"
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	SYSCALL SYS_wait4, %dr22, status, WALL, 0
	{
		addd %dr21, 0, %dr20
	}
	TOLD 5 << 8, "with its status"
	RETURN
9:
	CALL threaded

	.macro	CHILD flags, status
	SYSCALL SYS_clone, \flags, 0, 0, 0, 0
	{
		addd %db[0], 0, %dr20
	}
	{
		cmpedb %dr20, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 9997f
	SYSCALL SYS_exit_group, \status
9997:
	.endm

	PROC exit_signals
	SYSCALL SYS_rt_sigaction, SIGUSR1, action, 0, 8
	PUT w, got, 0, 0
	CHILD SIGUSR1, 3
2:
	SYSCALL SYS_wait4, %dr20, status, 0, 0
	{
		addd %db[0], 0, %dr9
	}
	{
		cmpedb %dr9, -4, %pred0		! EINTR: its signal came just then
	}
	GOTO_IF %pred0, 2b
	CHECK_EQ %dr9, -10, "a child with another signal: not for wait"
1:
	SYSCALL SYS_wait4, %dr20, status, WCLONE, 0
	{
		addd %db[0], 0, %dr9
	}
	{
		cmpedb %dr9, -4, %pred0		! EINTR: its signal
	}
	GOTO_IF %pred0, 1b
	HOLDS 3 << 8, "but with __WCLONE", w, status
	{
		ADDR got, %dr9
	}
	{
		ldw %dr9, 0, %dr9
	}
	{
		subd %dr9, %dr20, %dr9
	}
	CHECK_EQ %dr9, 0, "and its signal came"
	CHILD 0, 4
	TOLD 4 << 8, "one without: with __WALL"
	CHILD 17, 5
	SYSCALL SYS_wait4, %dr20, status, 0, 0
	HOLDS 5 << 8, "and the usual one with nothing", w, status
	RETURN

	PROC executing
	FORK 9f
	TOLD (SIGSTOP << 8) + 0x7f, "a child that will execute another program"
	ANSWERS 0, "exec events", SYS_ptrace, SETOPTIONS, %dr20, 0, O_EXEC
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD (4 << 16) + 0x057f, "an event"
	ANSWERS 0, "its message", SYS_ptrace, GETEVENTMSG, %dr20, 0, word
	{
		ADDR word, %dr9
	}
	{
		ldw %dr9, 0, %dr9
	}
	{
		subd %dr9, %dr20, %dr9
	}
	CHECK_EQ %dr9, 0, "is the thread that it was"
	ANSWERS 0, "go on", SYS_ptrace, CONT, %dr20, 0, 0
	TOLD 9 << 8, "the new program ends"
	RETURN
9:
	SYSCALL SYS_ptrace, TRACEME
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr10
	}
	SYSCALL SYS_kill, %dr10, SIGSTOP
	SYSCALL SYS_execve, own_path, arguments, environment
	SYSCALL SYS_exit_group, 98

	PROC main				! argc
	{
		cmpedb %dr0, 2, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	SYSCALL SYS_exit_group, 9
1:
	CALL executing
	CALL exit_signals
	CALL seizing
	CALL signals
	CALL threads
	DONE
