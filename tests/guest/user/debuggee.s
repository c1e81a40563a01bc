! What the debugger tests look at: a handler, a loop with rotation, a variable.

	.include "lib.inc"

	.equ	SIGUSR1, 10

	.pushsection .data
	.align	8
	.global	variable
variable:
	.quad	0x1122334455667788
	.global	action
action:
	.quad	handler, 0, 0, 0
	.popsection

	PROC handler
	{
		addd 0, variable, %dr8
	}
	.global	in_handler
in_handler:
	{
		ldd %dr8, 0, %dr9
	}
	{
		addd %dr9, 1, %dr9
	}
	.global	handler_store
handler_store:
	{
		std %dr8, 0, %dr9
	}
	RETURN

! Sums 0..9 with a rotating pair of registers and the hardware loop counter.
	PROC loop
	{
		setbn rbs = 8, rsz = 3, rcur = 0
	}
	{
		addd 0, 0x2000000000 + 10, %dr1	! vlc, lcnt = 10
		addd 0, 0, %dr0
	}
	{
		rwd %dr1, %lsr
		addd 0, 0, %db[0]
		addd 0, 0, %db[2]
		disp %ctpr1, loop_body
		nop 4
	}
	.global	loop_body
loop_body:
	{
		alc alcf=1, alct=1
		abn abnf=1, abnt=1
		addd %dr0, %db[2], %dr0
		addd %db[2], 1, %db[0]
		ct %ctpr1 ? %NOT_LOOP_END
	}
	.global	loop_done
loop_done:
	RETURN

	PROC main
	SYSCALL SYS_rt_sigaction, SIGUSR1, action, 0, 8
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr8
	}
	.global	before_signal
before_signal:
	SYSCALL SYS_kill, %dr8, SIGUSR1
	CALL loop
	.global	after_loop
after_loop:
	{
		addd %db[0], 0, %dr0
	}
	RETURN
