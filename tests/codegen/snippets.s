! Guest sequences whose host code is counted: see golden.py.  Each begins at a
! global label of its own and returns to main.
	.include "../bench/kernels/rt.inc"

	.macro	RUN name
	{
		disp %ctpr1, \name
		addd 0, buffer, %b[0]
		addd 0, 10, %b[1]
		addd 0, 3, %b[2]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	.endm

	.macro	SNIPPET name
	.global	\name
	.align	8
\name:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
	}
	.endm

	.macro	LEAVE
	{
		return %ctpr3
		nop 5
	}
	{
		ct %ctpr3
	}
	.endm

	.global	main
main:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
	}
	RUN add
	RUN count_loop
	RUN sum_loop
	RUN variables
	RUN copy_loop
	RUN select
	RUN packed
	RUN float_add
	RUN call_return
	RUN two_calls
	RUN call_loop
	{
		return %ctpr3
		addd 0, 0, %r0
		nop 5
	}
	{
		ct %ctpr3
	}

	SNIPPET add
	{
		addd %r1, %r2, %r3
	}
	LEAVE

	SNIPPET count_loop
1:
	{
		subd %r1, 1, %r1
		cmpedb %r1, 1, %pred0
		nop 2
	}
	{
		ibranch 1b ? ~%pred0
	}
	LEAVE

	SNIPPET sum_loop
	{
		addd 0, 0, %r3
		addd 0, 0, %r4
	}
1:
	{
		ldw %r0, %r3, %r5
		addd %r3, 4, %r3
		subd %r1, 1, %r1
	}
	{
		addd %r4, %r5, %r4
		cmpedb %r1, 0, %pred0
		nop 2
	}
	{
		ibranch 1b ? ~%pred0
	}
	LEAVE

	! A counter and a sum, both in memory.
	SNIPPET variables
	{
		stw,2 %r0, 0, %r3
		stw,5 %r0, 4, %r3
	}
1:
	{
		ldw %r0, 0, %r4
		nop 4
	}
	{
		ldw %r0, 4, %r5
		nop 4
	}
	{
		adds %r5, %r4, %r5
	}
	{
		stw %r0, 4, %r5
		adds %r4, 1, %r4
	}
	{
		stw %r0, 0, %r4
	}
	{
		ldw %r0, 0, %r4
		nop 4
	}
	{
		cmplsb %r4, %r1, %pred0
		nop 2
	}
	{
		ibranch 1b ? %pred0
	}
	LEAVE
	SNIPPET copy_loop
1:
	{
		ldd %r0, 0, %r3
		subd %r1, 1, %r1
	}
	{
		std %r0, 512, %r3
		addd %r0, 8, %r0
		cmpedb %r1, 0, %pred0
		nop 2
	}
	{
		ibranch 1b ? ~%pred0
	}
	LEAVE

	SNIPPET select
	{
		cmpldb %r1, %r2, %pred0
		nop 2
	}
	{
		addd %r1, 0, %r3 ? ~%pred0
		addd %r2, 0, %r3 ? %pred0
	}
	LEAVE

	SNIPPET packed
	{
		ldd %r0, 0, %r3
		ldd %r0, 8, %r4
	}
	{
		paddusb %r3, %r4, %r5
		psubusb %r3, %r4, %r6
	}
	{
		pandd %r5, %r6, %r5
	}
	{
		std %r0, 16, %r5
	}
	LEAVE

	SNIPPET float_add
	{
		ldd %r0, 0, %r3
		ldd %r0, 8, %r4
	}
	{
		fmuld %r3, %r4, %r5
	}
	{
		faddd %r5, %r4, %r5
	}
	{
		std %r0, 16, %r5
	}
	LEAVE

	SNIPPET call_return
	{
		disp %ctpr1, add
		addd 0, 1, %b[1]
		addd 0, 2, %b[2]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	LEAVE

	/* From call to call the tag pointer stays where the callee had it. */
	SNIPPET two_calls
	{
		disp %ctpr1, add
		addd 0, 1, %b[1]
		addd 0, 2, %b[2]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		disp %ctpr1, add
		addd %b[1], 0, %r3
		addd 0, 1, %b[1]
		addd 0, 2, %b[2]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	LEAVE

	/* The address is the caller's own: it is checked before the loop. */
	SNIPPET call_loop
	{
		addd 0, 0, %r4
		ldd %r0, 8, %r5
	}
1:
	{
		disp %ctpr1, add
		addd 0, 1, %b[1]
		addd 0, 2, %b[2]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		ldd %r0, 16, %r6
		addd %r4, 1, %r4
		cmpldb %r4, 10, %pred0
		nop 4
	}
	{
		std %r0, 16, %r6
		ibranch 1b ? %pred0
	}
	LEAVE

	.section .bss
	.align	8
buffer:
	.skip	1024
