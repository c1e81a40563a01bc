! A machine that has nothing to do: a hundred ticks of 10 ms, asleep between them.
! What it costs the host is tests/bench/system-bench.py's business.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"

	.equ	VECTOR, 0x42
	.equ	TICKS, 100
	.equ	PERIOD, 1000000		! of 10 ns

	PROC main
	{
		addd 0, irq_hook, %dr0
		addd 0, on_irq, %dr1
	}
	{
		std %dr0, 0, %dr1
		addd 0, LAPIC, %dr2
		addd 0, 0x1ff, %dr3
	}
	{
		stw %dr2, 0xf0, %r3
		addd 0, 0xb, %dr3		! divide by 1
	}
	{
		stw %dr2, 0x3e0, %r3
		addd 0, 0x20000 | VECTOR, %dr3	! periodic
	}
	{
		stw %dr2, 0x320, %r3
		addd 0, PERIOD, %dr3
	}
	{
		stw %dr2, 0x380, %r3
		addd 0, 0x13, %dr4		! PSR: pm, ie, uie
	}
	{
		addd 0, 1, %dr5
		addd 0, 0x21, %dr6
	}
	{
		rwd %dr5, %upsr
	}
	{
		rwd %dr4, %psr
	}
1:						! interrupts off: is it over?
	{
		rwd %dr5, %upsr
		addd 0, ticks, %dr7
	}
	{
		ldd %dr7, 0, %dr7
	}
	{
		cmpbdb %dr7, TICKS, %pred0
	}
	{
		rwd %dr6, %upsr
	}
	GOTO_IF_NOT %pred0, 2f
	{
		wait trap = 1
	}
	GOTO 1b
2:
	PRINT "idle passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC on_irq
	{
		addd 0, LAPIC, %dr0
		addd 0, ticks, %dr2
	}
	{
		ldw %dr0, 0xff0, %dr1
		addd 0, 0, %dr4
	}
	{
		ldd %dr2, 0, %dr3
	}
	{
		addd %dr3, 1, %dr3
	}
	{
		std %dr2, 0, %dr3
	}
	{
		stw %dr0, 0xb0, %r4
	}
	RETURN

	.pushsection .bss
	.align	8
ticks:
	.skip	8
	.popsection
