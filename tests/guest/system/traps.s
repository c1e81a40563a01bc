! Trap exerciser: provokes synchronous exceptions one by one and checks what
! the TIR registers say; system calls; return by done.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"

! System-call entry 3: adds its two arguments.
	.org	trap_table + 3 * 0x800
	{
		setwd wsz = 16, nfx = 1
	}
	{
		addd %dr0, %dr1, %dr0
	}
	RETURN

	PROC main
	RESUME_AT 1f
	{
		setsft
	}
1:
	CHECK_TRAP EXC_SOFTWARE_TRAP, "software trap"

	{
		addd 0, 7, %dr1
		addd 0, 0, %dr2
	}
	RESUME_AT 1f
	{
		udivd %dr1, %dr2, %dr3
	}
1:
	CHECK_TRAP EXC_DIV, "division by zero"

	RESUME_AT 1f
2:
	{
		addd 0, 1, %dr40	! the window has 32 registers
	}
1:
	CHECK_TRAP EXC_WINDOW_BOUNDS, "register outside of the window"
	{
		addd 0, trap_ip, %dr1
	}
	{
		ldd %dr1, 0, %dr1
	}
	CHECK_EQUAL %dr1, 2b, "trap ip is the bundle"

	RESUME_AT 1f
	.quad	0xffffffffffffff80	! no such bundle
1:
	CHECK_TRAP EXC_ILLEGAL_OPCODE, "undefined bundle"

	{
		addd 0, main + 4, %dr1
	}
	{
		movtd %dr1, %ctpr1
		nop 4
	}
	RESUME_AT 1f
	{
		ct %ctpr1
	}
1:
	CHECK_TRAP EXC_ILLEGAL_INSTR_ADDR, "misaligned target"

	! A precise exception leaves nothing of its bundle done.
	{
		addd 0, 5, %dr4
		addd 0, 0, %dr2
	}
	{
		addd 0, 0x50, %dr5
		addd 0, scratch, %dr6
	}
	{
		std %dr6, 0, %dr5
	}
	CALL probe_fresh
	{
		addd 0, scratch, %dr6
	}
	{
		ldd %dr6, 0, %dr7
	}
	CHECK_EQUAL %dr7, 0x50, "the store of the bundle was not done"

	! A closed system-call entry, then an open one.
	{
		addd 0, 0, %dr1
	}
	{
		rwd %dr1, %osem
	}
	RESUME_AT 1f
	{
		sdisp %ctpr1, 3
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
1:
	CHECK_TRAP EXC_ILLEGAL_INSTR_ADDR, "closed system-call entry"
	{
		addd 0, 8, %dr1
	}
	{
		rwd %dr1, %osem
		addd 0, 40, %db[0]
	}
	{
		sdisp %ctpr1, 3
		addd 0, 2, %db[1]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		addd %db[0], 0, %dr1
	}
	CHECK_EQUAL %dr1, 42, "system call"

	! A trap keeps predicates, CTPRs and loop state of the interrupted code.
	{
		addd 0, 0x123, %dr1
	}
	{
		cmpedb %dr1, 0x123, %pred5
		rwd %dr1, %lsr
		disp %ctpr2, 2f
		nop 4
	}
	RESUME_AT 1f
	{
		setsft
	}
1:
	{
		rrd %lsr, %dr1
		addd 0, 1, %dr2 ? %pred5
		addd 0, 0, %dr2 ? ~%pred5
	}
	{
		ct %ctpr2
	}
	FAIL "CTPR was lost", 1
2:
	CHECK_TRAP EXC_SOFTWARE_TRAP, "trap with live state"
	CHECK_EQUAL %dr1, 0x123, "loop register survives"
	CHECK_EQUAL %dr2, 1, "predicate survives"
	CALL check_entry
	PRINT "traps passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! The state that a handler finds, and what its done puts back.
	PROC check_entry
	{
		addd 0, 0x77, %dr1		! pm, ie, sge, uie, nmie, unmie
		addd 0, 0x01, %dr2		! of UPSR: fe
	}
	{
		rwd %dr2, %upsr
	}
	{
		rwd %dr1, %psr
		addd 0, trap_tirs, %dr10
	}
	RESUME_AT 1f
2:
	{
		setsft
	}
1:
	{
		rrd %psr, %dr3
		addd 0, 1, %dr4
	}
	{
		rwd %dr4, %psr
	}
	CHECK_TRAP EXC_SOFTWARE_TRAP, "trap with interrupts on"
	CHECK_EQUAL %dr3, 0x77, "done restores PSR"
	{
		ldd %dr10, 0 - 40, %dr4
		ldd %dr10, 0 - 32, %dr5
	}
	{
		shrd %dr5, 57, %dr6
		shrd %dr5, 33, %dr7
	}
	{
		andd %dr7, 0x7f, %dr7
	}
	CHECK_EQUAL %dr4, 1, "the handler's PSR is pm alone"
	CHECK_EQUAL %dr6, 0x77, "CR1.lo has PSR"
	CHECK_EQUAL %dr7, 16, "CR1.lo.wbs is the whole window"
	{
		ldd %dr10, 0 - 16, %dr4
	}
	CHECK_EQUAL %dr4, 2b, "CR0.hi is the bundle, which would trap again"
	{
		ldd %dr10, 0 - 8, %dr4
		ldd %dr10, 0, %dr5
	}
	{
		shrd %dr4, 32, %dr4
	}
	{
		andd %dr4, 0x7ff, %dr4
		ldd %dr10, 8, %dr6
	}
	CHECK_EQUAL %dr4, 0, "no parameters in the handler's window"
	CHECK_EQUAL %dr5, 1 << 26, "TIR0.hi: one bit, number 0"
	CHECK_EQUAL %dr6, 2b, "TIR0.lo: the bundle"
	{
		rrd %upsr, %dr4
	}
	CHECK_EQUAL %dr4, 1, "UPSR is as it was"
	RETURN

! A fresh window register is diagnostic; using it is a precise exception.
	PROC probe_fresh
	RESUME_AT 1f
	{
		setwd wsz = 24, nfx = 1
		addd 0, scratch, %dr12
	}
	{
		addd 0, 0x99, %dr13
	}
	{
		addd %dr45, 1, %dr4
		std %dr12, 0, %dr13
	}
1:
	CHECK_TRAP EXC_DIAG_OPERAND, "diagnostic operand"
	RETURN

	.pushsection .bss
	.align	8
scratch:
	.skip	8
	.popsection
