! Signals: handlers, their arguments, masks, nesting, the alternate stack,
! synchronous faults with their addresses, and return to an edited address.

	.include "lib.inc"

	.equ	SIGUSR1, 10
	.equ	SIGSEGV, 11
	.equ	SIGUSR2, 12
	.equ	SIGALRM, 14
	.equ	SIGFPE, 8
	.equ	SIGILL, 4
	.equ	SA_SIGINFO, 4
	.equ	SA_ONSTACK, 0x08000000
	.equ	SA_RESTART, 0x10000000
	.equ	SA_NODEFER, 0x40000000
	.equ	SA_RESETHAND, 0x80000000
	.equ	SIG_BLOCK, 0
	.equ	SIG_UNBLOCK, 1
	.equ	EINTR, -4
	.equ	UC_CR0_HI, 48			! in the ucontext

	.pushsection .bss
	.align	8
action:
	.skip	32
count:
	.skip	8
seen_signal:
	.skip	8
seen_code:
	.skip	8
seen_address:
	.skip	8
seen_sp:
	.skip	8
depth:
	.skip	8
deepest:
	.skip	8
resume_at:
	.skip	8
mask:
	.skip	8
pending:
	.skip	8
altstack:
	.skip	24
	.align	16
altmem:
	.skip	16384
sleep_time:
	.skip	16
	.popsection

! Installs a handler: signal, handler, flags.
	PROC handle
	{
		addd 0, action, %dr3
	}
	{
		std %dr3, 0, %dr1
	}
	{
		std %dr3, 8, %dr2
	}
	SYSCALL SYS_rt_sigaction, %dr0, action, 0, 8
	RETURN

	.macro	HANDLE signal, handler, flags
	{
		addd 0, \signal, %db[0]
		addd 0, \handler, %db[1]
	}
	{
		addd 0, \flags, %db[2]
	}
	CALL handle
	.endm

	.macro	RAISE signal
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr23
	}
	SYSCALL SYS_tkill, %dr23, \signal
	.endm

	.macro	LOAD name, reg
	{
		addd 0, \name, \reg
	}
	{
		ldd \reg, 0, \reg
	}
	.endm

	.macro	STORE name, reg
	{
		addd 0, \name, %dr22
	}
	{
		std %dr22, 0, \reg
	}
	.endm

! A plain handler: counts, notes its argument.
	PROC note
	STORE seen_signal, %dr0
	LOAD count, %dr1
	{
		addd %dr1, 1, %dr1
	}
	STORE count, %dr1
	{
		addd 0, 0x77, %db[3]		! scribble over its own window
		addd 0, 0x77, %dr5
		cmpedb 0, 0, %pred7
	}
	RETURN

! A handler with siginfo: notes code, address and where it runs.
	PROC note_info
	{
		ldw %dr1, 8, %dr3
		ldd %dr1, 16, %dr4
		getsp 0, %dr5
	}
	STORE seen_signal, %dr0
	STORE seen_code, %dr3
	STORE seen_address, %dr4
	STORE seen_sp, %dr5
	LOAD count, %dr1
	{
		addd %dr1, 1, %dr1
	}
	STORE count, %dr1
	RETURN

! A handler that goes on at resume_at; CR0.hi keeps none of the bits that an
! address does not have.
	PROC skip_fault
	{
		ldw %dr1, 8, %dr3
		ldd %dr1, 16, %dr4
	}
	STORE seen_signal, %dr0
	STORE seen_code, %dr3
	STORE seen_address, %dr4
	LOAD resume_at, %dr5
	{
		addd 0, 0x5a5a000000000007, %dr6
	}
	{
		ord %dr5, %dr6, %dr5
	}
	{
		std %dr2, UC_CR0_HI, %dr5
	}
	RETURN

! Raises itself again until it is three deep.
	PROC nest
	LOAD depth, %dr8
	{
		addd %dr8, 1, %dr8
	}
	STORE depth, %dr8
	LOAD deepest, %dr9
	{
		cmpldb %dr9, %dr8, %pred0
	}
	{
		addd %dr8, 0, %dr9 ? %pred0
	}
	STORE deepest, %dr9
	{
		cmpldb %dr8, 3, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	RAISE SIGUSR2
1:
	LOAD depth, %dr8
	{
		subd %dr8, 1, %dr8
	}
	STORE depth, %dr8
	RETURN

	.macro	RESUME_AT label
	{
		addd 0, \label, %dr21
	}
	STORE resume_at, %dr21
	.endm

	PROC main
	! A handler runs, and nothing of the interrupted state changes.
	HANDLE SIGUSR1, note, 0
	{
		addd 0, 0x1111, %dr8
		addd 0, 0x2222, %dg20
		cmpedb 0, 1, %pred7
	}
	RAISE SIGUSR1
	{
		addd %dg20, 0, %dr9
		addd 0, 0, %dr10
	}
	{
		addd 0, 1, %dr10 ? ~%pred7
	}
	CHECK_EQ %dr8, 0x1111, "a register survives a handler"
	CHECK_EQ %dr9, 0x2222, "so does a scratch global"
	CHECK %dr10, "and a predicate"
	LOAD count, %dr0
	CHECK_EQ %dr0, 1, "the handler ran once"
	LOAD seen_signal, %dr0
	CHECK_EQ %dr0, SIGUSR1, "with the signal's number"

	! Blocked signals wait.
	{
		addd 0, 0x200, %dr8		! SIGUSR1
	}
	STORE mask, %dr8
	SYSCALL SYS_rt_sigprocmask, SIG_BLOCK, mask, 0, 8
	RAISE SIGUSR1
	LOAD count, %dr0
	CHECK_EQ %dr0, 1, "a blocked signal does not run its handler"
	SYSCALL SYS_rt_sigpending, pending, 8
	LOAD pending, %dr0
	CHECK_EQ %dr0, 0x200, "but is pending"
	SYSCALL SYS_rt_sigprocmask, SIG_UNBLOCK, mask, 0, 8
	LOAD count, %dr0
	CHECK_EQ %dr0, 2, "and runs when it is let in"

	! Nesting
	HANDLE SIGUSR2, nest, SA_NODEFER
	RAISE SIGUSR2
	LOAD deepest, %dr0
	CHECK_EQ %dr0, 3, "handlers nest"

	! siginfo and the alternate stack
	{
		addd 0, altstack, %dr8
		addd 0, altmem, %dr9
	}
	{
		std %dr8, 0, %dr9
		addd 0, 16384, %dr10
	}
	{
		std %dr8, 16, %dr10
	}
	SYSCALL SYS_sigaltstack, altstack, 0
	HANDLE SIGUSR1, note_info, SA_SIGINFO + SA_ONSTACK
	RAISE SIGUSR1
	LOAD seen_sp, %dr0
	{
		addd 0, altmem, %dr1
	}
	{
		subd %dr0, %dr1, %dr0
	}
	{
		cmpbdb %dr0, 16384, %pred0
	}
	{
		addd 0, 1, %dr0 ? %pred0
		addd 0, 0, %dr0 ? ~%pred0
	}
	CHECK %dr0, "SA_ONSTACK uses the alternate stack"
	LOAD seen_code, %dr0
	{
		sxt 2, %r0, %dr0
	}
	CHECK_EQ %dr0, -6, "si_code of tkill"

	! Interrupted calls
	{
		addd 0, sleep_time, %dr8
		addd 0, 0, %dr9
	}
	{
		std %dr8, 0, %dr9
		addd 0, 300000000, %dr9
	}
	HANDLE SIGALRM, note, 0
	SYSCALL SYS_alarm, 1
	{
		addd 0, sleep_time, %dr8
		addd 0, 5, %dr9
	}
	{
		std %dr8, 0, %dr9
	}
	SYSCALL SYS_nanosleep, sleep_time, 0
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, EINTR, "a handler interrupts nanosleep"

	! Faults
	HANDLE SIGSEGV, skip_fault, SA_SIGINFO
	RESUME_AT 1f
	{
		addd 0, 0x100000000000, %dr8
	}
	{
		ldd %dr8, 0x123, %dr9
	}
	PRINT "not reached\n"
1:
	LOAD seen_signal, %dr0
	CHECK_EQ %dr0, SIGSEGV, "a load from nowhere raises SIGSEGV"
	LOAD seen_address, %dr0
	CHECK_EQ %dr0, 0x100000000123, "with its address"
	LOAD seen_code, %dr0
	CHECK_EQ %dr0, 1, "and SEGV_MAPERR"
	RESUME_AT 2f
	{
		addd 0, main, %dr8
	}
	{
		std %dr8, 0, %dr8
	}
	PRINT "not reached\n"
2:
	LOAD seen_code, %dr0
	CHECK_EQ %dr0, 2, "a store to text gives SEGV_ACCERR"
	HANDLE SIGFPE, skip_fault, SA_SIGINFO
	RESUME_AT 3f
	{
		addd 0, 5, %dr8
		addd 0, 0, %dr9
	}
	{
		udivd %dr8, %dr9, %dr10
	}
	PRINT "not reached\n"
3:
	LOAD seen_signal, %dr0
	CHECK_EQ %dr0, SIGFPE, "division by zero raises SIGFPE"
	LOAD seen_code, %dr0
	CHECK_EQ %dr0, 1, "with FPE_INTDIV"
	HANDLE SIGILL, skip_fault, SA_SIGINFO
	RESUME_AT 4f
	{
		movtd 0, %ctpr1
		puttagd 7, 5, %dr8
		nop 4
	}
	{
		addd %dr8, 1, %dr9
	}
	PRINT "not reached\n"
4:
	LOAD seen_signal, %dr0
	CHECK_EQ %dr0, SIGILL, "an invalid operand raises SIGILL"
	LOAD seen_code, %dr0
	CHECK_EQ %dr0, 2, "with ILL_ILLOPN"
	LOAD count, %dr0
	CHECK_EQ %dr0, 4, "no handler ran unasked"
	DONE
