! Interrupt and timer exerciser: LT timer through the IO-APIC, the local
! timer, interrupts to oneself, masking by PSR, UPSR and TPR, and sleep.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"

	.equ	VECTOR_LT, 0x31
	.equ	VECTOR_TIMER, 0x42
	.equ	VECTOR_SELF, 0x53
	.equ	LT_TICKS, 10000		! 1 ms in units of 100 ns
	.equ	PSR_OFF, 1		! pm
	.equ	PSR_ON, 0x13		! pm, ie, uie: UPSR.ie is the mask
	.equ	UPSR_OFF, 1		! fe
	.equ	UPSR_ON, 0x21		! fe, ie

! Writes a constant to a local controller register.
	.macro	LAPIC_SET offset, value
	{
		addd 0, LAPIC, %dr14
		addd 0, \value, %dr15
	}
	{
		stw %dr14, \offset, %r15
	}
	.endm

	.macro	LAPIC_GET offset, to
	{
		addd 0, LAPIC, %dr14
	}
	{
		ldw %dr14, \offset, \to
	}
	.endm

	.macro	IRQ_ON
	{
		addd 0, UPSR_ON, %dr15
	}
	{
		rwd %dr15, %upsr
	}
	.endm
	.macro	IRQ_OFF
	{
		addd 0, UPSR_OFF, %dr15
	}
	{
		rwd %dr15, %upsr
	}
	.endm

! Sleeps until counter of a vector has reached a number.
	.macro	AWAIT vector, number
	{
		addd 0, counts + 8 * \vector, %db[0]
		addd 0, \number, %db[1]
	}
	CALL await
	.endm

	.text
	PROC main
	{
		addd 0, irq_hook, %dr0
	}
	{
		addd 0, on_irq, %dr1
	}
	{
		std %dr0, 0, %dr1
		addd 0, PSR_ON, %dr2
	}
	LAPIC_SET 0xf0, 0x1ff		! enable, spurious vector 0xff
	IRQ_OFF
	{
		rwd %dr2, %psr
	}

	! One to oneself, masked first.
	LAPIC_SET 0x300, 0x40000 | VECTOR_SELF
	CALL get_self
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 0, "masked by UPSR.ie"
	IRQ_ON
	CALL get_self
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 1, "taken when unmasked"
	LAPIC_SET 0x80, 0x60		! TPR above its class
	LAPIC_SET 0x300, 0x40000 | VECTOR_SELF
	CALL get_self
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 1, "held back by TPR"
	LAPIC_SET 0x80, 0
	CALL get_self
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 2, "taken when TPR is lowered"

	! The system timer through pin 2 of the IO-APIC, edge, to CPU 0.
	{
		addd 0, IOAPIC, %dr6
		addd 0, 0x14, %dr7
	}
	{
		stw %dr6, 0, %r7
		addd 0, VECTOR_LT, %dr7
	}
	{
		stw %dr6, 0x10, %r7
		addd 0, LT, %dr8
	}
	{
		addd 0, LT_TICKS << 9, %dr9
	}
	{
		stw %dr8, 0, %r9
		addd 0, 7, %dr9
	}
	{
		stw %dr8, 12, %r9
	}
	AWAIT VECTOR_LT, 5
	PRINT "ok LT timer\n"
	{
		addd 0, 0, %dr9
	}
	{
		stw %dr8, 12, %r9
	}

	! The local timer: periodic, then once.
	LAPIC_SET 0x3e0, 0xb		! divide by 1
	LAPIC_SET 0x320, 0x20000 | VECTOR_TIMER
	LAPIC_SET 0x380, 100000		! 1 ms
	AWAIT VECTOR_TIMER, 4
	PRINT "ok periodic local timer\n"
	LAPIC_SET 0x380, 0
	LAPIC_SET 0x320, VECTOR_TIMER
	{
		addd 0, counts + 8 * VECTOR_TIMER, %dr5
		addd 0, 0, %dr6
	}
	{
		std %dr5, 0, %dr6
	}
	LAPIC_SET 0x380, 50000
	AWAIT VECTOR_TIMER, 1
	! A last periodic interrupt may have been counted: wait for the end of
	! the one shot, which a periodic timer never reaches.
7:
	LAPIC_GET 0x390, %dr5
	{
		cmpedb %dr5, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 7b
	LAPIC_GET 0x390, %dr5
	CHECK_EQUAL %dr5, 0, "one-shot local timer stops"

	! Interrupts left nothing in service.
	LAPIC_GET 0xa0, %dr5
	CHECK_EQUAL %dr5, 0, "all ended"
	PRINT "interrupts passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC get_self
	{
		addd 0, counts + 8 * VECTOR_SELF, %dr0
	}
	{
		ldd %dr0, 0, %dr0
	}
	RETURN

	PROC await			! address of a counter, number
1:
	IRQ_OFF
	{
		ldd %dr0, 0, %dr2
	}
	{
		cmpbdb %dr2, %dr1, %pred0	! below: sleep on
	}
	IRQ_ON
	GOTO_IF_NOT %pred0, 2f
	{
		wait trap = 1
	}
	GOTO 1b
2:
	RETURN

! Takes the vector, counts it, ends it.
	PROC on_irq
	LAPIC_GET 0xff0, %dr0
	{
		shld %dr0, 3, %dr1
		addd 0, counts, %dr2
	}
	{
		ldd %dr2, %dr1, %dr3
	}
	{
		addd %dr3, 1, %dr3
	}
	{
		std %dr2, %dr1, %dr3
	}
	LAPIC_SET 0xb0, 0
	RETURN

	.pushsection .bss
	.align	8
counts:
	.skip	8 * 256
	.popsection
