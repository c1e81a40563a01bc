! Hardware-stack calls: setjmp and longjmp, backtraces, raw access, coroutines;
! with 64- and 32-bit pointers.

	.include "lib.inc"

	.equ	UC_LINK, WORD
	.equ	UC_STACK, 2 * WORD
	.equ	UC_STACK_SIZE, UC_STACK + 2 * WORD
	.ifdef	NARROW
	.equ	UC_MCONTEXT, 24
	.else
	.equ	UC_MCONTEXT, 40
	.endif
	.equ	UC_SIGMASK, UC_MCONTEXT + 1576
	.equ	UC_EXTRA, UC_SIGMASK + 128
	.equ	EXTRA_FPCR, 12
	.equ	STACK, 65536
	.equ	FAST_getcontext, 4

	.pushsection .bss
	.align	16
jmp:
	.skip	80
trace:
	.skip	64
frame:
	.skip	8
size:
	.skip	8
chain:
	.skip	1024
	.align	16
main_context:
	.skip	2048
co_context:
	.skip	2048
co_args:
	.skip	64
co_steps:
	.skip	8
	.align	4096
co_stack:
	.skip	STACK
	.popsection

! setjmp(buffer): 0 now, longjmp's value later.  The layout is struct jmp_info.
	.global	setjmp
	.align	8
setjmp:
	{
		setwd wsz = 8, nfx = 1
	}
	{
		rrd %cr0.hi, %dr8
		addd 0, 0, %dr15
	}
	{
		rrd %cr1.lo, %dr9
		std %dr0, 0, %dr15
	}
	{
		rrd %cr1.hi, %dr10
		std %dr0, 8, %dr8
	}
	{
		rrd %pcsp.lo, %dr11
		std %dr0, 16, %dr9
	}
	{
		rrd %pcsp.hi, %dr12
		std %dr0, 24, %dr11
	}
	{
		rrd %pcshtp, %dr13
		std %dr0, 32, %dr12
	}
	{
		rrd %usd.lo, %dr14
		stw %dr0, 40, %r13
	}
	{
		rrd %wd, %dr15
		stw %dr0, 44, %r10		! br: low part of cr1.hi
	}
	{
		shrd %dr15, 32, %dr15
		std %dr0, 48, %dr14
	}
	{
		stw %dr0, 60, %r15
	}
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC jump_from_below		! depth
	{
		cmpedb %dr0, 0, %pred0
		subd %dr0, 1, %db[0]
	}
	GOTO_IF %pred0, 1f
	CALL jump_from_below
	RETURN
1:
	SYSCALL SYS_longjmp2, jmp, 42
	PRINT "not reached\n"
	RETURN

	PROC innermost
	SYSCALL SYS_get_backtrace, trace, 8, 0, 0
	{
		addd %db[0], 0, %dr0
	}
	RETURN

	PROC middle
	CALL innermost
middle_return:
	{
		addd %db[0], 0, %dr0
	}
	RETURN

! The coroutine: counts its steps, going back to main after each.
	PROC coroutine			! argument
	{
		addd 0, co_steps, %dr8
		addd %dr0, 0, %dr9
	}
1:
	{
		ldd %dr8, 0, %dr10
	}
	{
		addd %dr10, %dr9, %dr10
	}
	{
		std %dr8, 0, %dr10
	}
	SYSCALL SYS_swapcontext, co_context, main_context, 8
	GOTO 1b

! A coroutine that ends: what follows is uc_link.
	PROC short_coroutine		! two arguments
	{
		addd 0, co_steps, %dr8
		subd %dr0, %dr1, %dr9
	}
	.ifdef	NARROW			! the data segment is the context's, too
	{
		stgdw %r8, 0, %r9
	}
	{
		ldgdw %r8, 0, %dr10
	}
	{
		stw %dr8, 4, %r10
	}
	.else
	{
		std %dr8, 0, %dr9
	}
	.endif
	RETURN

! Sets up co_context: its stack, its argument block of one word.
	PROC set_up_context		! link
	{
		addd 0, co_context, %dr8
		addd 0, co_stack, %dr9
	}
	{
		addd 0, STACK, %dr10
	}
	.ifdef	NARROW
	{
		stw %dr8, UC_STACK, %r9
	}
	{
		stw %dr8, UC_STACK_SIZE, %r10
	}
	{
		stw %dr8, UC_LINK, %r0
	}
	.else
	{
		std %dr8, UC_STACK, %dr9
	}
	{
		std %dr8, UC_STACK_SIZE, %dr10
	}
	{
		std %dr8, UC_LINK, %dr0
	}
	.endif
	RETURN

	PROC main
	! setjmp and longjmp
	{
		addd 0, 0x1234, %dr8
		addd 0, 0, %dr9
	}
	{
		addd 0, jmp, %db[0]
		disp %ctpr1, setjmp
		nop 4
	}
	{
		call %ctpr1, wbs = 12
	}
	{
		addd %db[0], 0, %dr10
		addd %dr9, 1, %dr9
	}
	{
		cmpedb %dr10, 0, %pred0
		addd 0, 5, %db[0]
	}
	GOTO_IF_NOT %pred0, 1f
	CALL jump_from_below
1:
	CHECK_EQ %dr10, 42, "longjmp's value comes out of setjmp"
	CHECK_EQ %dr9, 2, "which returned twice"
	CHECK_EQ %dr8, 0x1234, "registers of the caller are as they were"

	! backtrace: innermost's caller's caller first
	CALL middle
	{
		addd %db[0], 0, %dr8
		addd 0, trace, %dr9
	}
	CHECK_EQ %dr8, 2, "two return addresses above"
	{
		LOAD_POINTER %dr9, 0, %dr10
		addd 0, main, %dr11
	}
	{
		cmpbdb %dr10, %dr11, %pred0
	}
	{
		addd 0, 1, %dr0 ? ~%pred0
		addd 0, 0, %dr0 ? %pred0
	}
	CHECK %dr0, "the first lies in main"

	! raw access
	SYSCALL SYS_access_hw_stacks, 4, frame, 0, 0, size
	{
		addd 0, size, %dr1
	}
	{
		ldd %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, 64, "chain stack: the start's frame and main's"
	SYSCALL SYS_access_hw_stacks, 6, frame, chain, 64, 0
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, 0, "its frames can be read"
	SYSCALL SYS_access_hw_stacks, 6, frame, chain, 96, 0
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, -22, "but not more than there are"
	SYSCALL SYS_access_hw_stacks, 99, frame, chain, 64, 0
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, -22, "an unknown mode is refused"

	! coroutines
	{
		addd 0, 0, %db[0]
		addd 0, co_args, %dr11
	}
	CALL set_up_context
	{
		addd 0, 10, %dr12
	}
	{
		std %dr11, 0, %dr12
	}
	SYSCALL SYS_makecontext, co_context, coroutine, 8, co_args, 8
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, 0, "makecontext"
	{
		addd 0, 0x4321, %dr20
	}
	SYSCALL SYS_swapcontext, main_context, co_context, 8
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, 0, "swapcontext comes back"
	SYSCALL SYS_swapcontext, main_context, co_context, 8
	SYSCALL SYS_swapcontext, main_context, co_context, 8
	{
		addd 0, co_steps, %dr1
	}
	{
		ldd %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, 30, "the coroutine made three steps"
	CHECK_EQ %dr20, 0x4321, "registers of main are as they were"
	{
		addd 0, main_context, %db[0]
	}
	CALL set_up_context
	{
		addd 0, 100, %dr12
		addd 0, 58, %dr13
	}
	{
		std %dr11, 0, %dr12
	}
	{
		std %dr11, 8, %dr13
	}
	SYSCALL SYS_makecontext, co_context, short_coroutine, 16, co_args, 8
	{
		addd %db[0], 0, %dr0
		addd 0, co_context, %dr8
	}
	CHECK_EQ %dr0, 0, "makecontext for the same stack"
	{
		ldw %dr8, UC_EXTRA + EXTRA_FPCR, %dr0
		ldd %dr8, UC_SIGMASK, %dr1
	}
	{
		andnd %dr0, 0x40, %dr0
	}
	CHECK_EQ %dr0, 0x33f, "it fills in the floating-point state"
	CHECK_EQ %dr1, 0, "and the mask"
	SYSCALL SYS_swapcontext, main_context, co_context, 8
	{
		addd %db[0], 0, %dr0
		addd 0, co_steps, %dr8
	}
	CHECK_EQ %dr0, 0, "a coroutine that ends comes back through uc_link"
	{
		ldw %dr8, 0, %dr0
		ldw %dr8, 4, %dr1
	}
	CHECK_EQ %dr0, 42, "both of its arguments had arrived"
	.ifdef	NARROW
	CHECK_EQ %dr1, 42, "it could use the data segment"
	.endif

	! where we are
	{
		addd 0, FAST_getcontext, %db[0]
		addd 0, main_context, %db[1]
		addd 0, 8, %db[2]
		sdisp %ctpr1, ENTRY_FAST
		nop 4
	}
	{
		call %ctpr1, wbs = 12
	}
	{
		addd %db[0], 0, %dr0
		addd 0, main_context, %dr8
		rrd %sbr, %dr9
	}
	CHECK_EQ %dr0, 0, "getcontext"
	{
		ldd %dr8, UC_MCONTEXT + 32, %dr0
	}
	{
		subd %dr0, %dr9, %dr0
	}
	CHECK_EQ %dr0, 0, "the key is the top of the stack"
	SYSCALL SYS_freecontext, main_context
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, -16, "the own context cannot be freed"
	SYSCALL SYS_swapcontext, main_context, co_context, 4
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, -22, "masks have 8 bytes"
	SYSCALL SYS_freecontext, co_context
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, 0, "freecontext"
	SYSCALL SYS_setcontext, co_context, 8
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, -3, "a freed context is unknown"
	DONE
