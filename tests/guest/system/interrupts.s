! Interrupt and timer exerciser: LT timer through its pin, the local
! timer, interrupts to oneself, masking by PSR, UPSR and priority, sleep, and
! a non-maskable interrupt, which PSR.nmie alone holds back.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.ifdef	BOARD
	.include "board.inc"
	.else
	.include "local.inc"
	.endif

	.equ	VECTOR_LT, 0x31
	.equ	VECTOR_TIMER, 0x42
	.ifdef	EPIC
	.equ	VECTOR_SELF, 0x153
	.else
	.equ	VECTOR_SELF, 0x53
	.endif
	.equ	LT_TICKS, 10000		! 1 ms in units of 100 ns
	.equ	PSR_OFF, 1		! pm
	.equ	PSR_ON, 0x13		! pm, ie, uie: UPSR.ie is the mask
	.equ	PSR_NMI, 0x20		! nmie
	.equ	NM_NMI, 1 << 10
	.equ	EXC_NM_INTERRUPT, 33

! Sends a pin to CPU 0 as a vector: edge.
	.ifndef	BOARD
	.macro	PIN_SET pin, vector
	{
		addd 0, IOAPIC, %dr14
		addd 0, 0x10 + 2 * \pin, %dr15
	}
	{
		stw %dr14, 0, %r15
		addd 0, \vector, %dr15
	}
	{
		stw %dr14, 0x10, %r15
	}
	.endm
	.endif

! Nothing of the vector to oneself is let through, or all.
	.macro	HOLD_BACK
	.ifdef	EPIC
	LOCAL_SET 0x70, 2 << 8			! CPR: its priority
	.else
	LOCAL_SET 0x80, 0x60			! TPR above its class
	.endif
	.endm
	.macro	LET_THROUGH
	.ifdef	EPIC
	LOCAL_SET 0x70, 0
	.else
	LOCAL_SET 0x80, 0
	.endif
	.endm

! Sleeps until counter of a vector has reached a number.
	.macro	SLEEP_UNTIL vector, number
	{
		addd 0, taken + 8 * \vector, %db[0]
		addd 0, \number, %db[1]
	}
	CALL sleep_until
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
	LOCAL_ON
	IRQ_OFF
	{
		rwd %dr2, %psr
	}

	! One to oneself, masked first.
	LOCAL_SET LOCAL_COMMAND, TO_SELF | VECTOR_SELF
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
	HOLD_BACK
	LOCAL_SET LOCAL_COMMAND, TO_SELF | VECTOR_SELF
	CALL get_self
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 1, "held back by its priority"
	LET_THROUGH
	CALL get_self
	{
		addd %db[0], 0, %dr5
	}
	CHECK_EQUAL %dr5, 2, "taken when it is let through"

	! The system timer through its pin, edge, to CPU 0.
	PIN_SET 2, VECTOR_LT
	{
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
	SLEEP_UNTIL VECTOR_LT, 5
	PRINT "ok LT timer\n"
	{
		addd 0, 0, %dr9
	}
	{
		stw %dr8, 12, %r9
	}

	! The local timer: periodic, then once.
	LOCAL_TIMER VECTOR_TIMER, 100000	! 1 ms
	SLEEP_UNTIL VECTOR_TIMER, 4
	PRINT "ok periodic local timer\n"
	LOCAL_SET LOCAL_TIMER_INITIAL, 0
	LOCAL_SET LOCAL_TIMER_LVT, VECTOR_TIMER
	{
		addd 0, taken + 8 * VECTOR_TIMER, %dr5
		addd 0, 0, %dr6
	}
	{
		std %dr5, 0, %dr6
	}
	LOCAL_SET LOCAL_TIMER_INITIAL, 50000
	SLEEP_UNTIL VECTOR_TIMER, 1
	! A last periodic interrupt may have been counted: wait for the end of
	! the one shot, which a periodic timer never reaches.
7:
	LOCAL_GET LOCAL_TIMER_CURRENT, %dr5
	{
		cmpedb %dr5, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 7b
	LOCAL_GET LOCAL_TIMER_CURRENT, %dr5
	CHECK_EQUAL %dr5, 0, "one-shot local timer stops"

	! Not maskable but by PSR.nmie: neither UPSR.ie nor the priority counts.
	IRQ_OFF
	HOLD_BACK
	LOCAL_SET LOCAL_COMMAND, TO_SELF | NMI
	LOCAL_GET LOCAL_NM, %dr5
	CHECK_EQUAL %dr5, NM_NMI, "a non-maskable interrupt waits for PSR.nmie"
	CALL get_nm
	{
		addd %db[0], 0, %dr5
		addd 0, PSR_ON | PSR_NMI, %dr6
	}
	CHECK_EQUAL %dr5, 0, "and is not taken"
	{
		rwd %dr6, %psr
	}
	CALL get_nm
	{
		addd %db[0], 0, %dr5
		addd 0, PSR_ON, %dr6
	}
	CHECK_EQUAL %dr5, 1, "taken once when that is on"
	{
		rwd %dr6, %psr
	}
	LET_THROUGH
	IRQ_ON

	! Interrupts left nothing in service.
	.ifdef	EPIC
	LOCAL_GET 0x70, %dr5			! CPR
	.else
	LOCAL_GET 0xa0, %dr5			! PPR
	.endif
	CHECK_EQUAL %dr5, 0, "all ended"
	PRINT "interrupts passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC get_self
	{
		addd 0, taken + 8 * VECTOR_SELF, %dr0
	}
	{
		ldd %dr0, 0, %dr0
	}
	RETURN

	PROC get_nm
	{
		addd 0, nm_taken, %dr0
	}
	{
		ldd %dr0, 0, %dr0
	}
	RETURN

	PROC sleep_until			! address of a counter, number
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

! Counts the trap, and takes its cause away.
	PROC on_nm
	{
		addd 0, nm_taken, %dr2
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
	LOCAL_SET LOCAL_NM, NM_NMI
	RETURN

! Takes the vector, taken it, ends it.
	PROC on_irq			! bits of the trap
	{
		shrd %dr0, EXC_NM_INTERRUPT, %dr1
	}
	{
		andd %dr1, 1, %dr1
	}
	{
		cmpedb %dr1, 0, %pred0
	}
	GOTO_IF %pred0, 1f
	CALL on_nm
	RETURN
1:
	LOCAL_GET LOCAL_VECT, %dr0
	{
		addd 0, VECTOR_MASK, %dr1
	}
	{
		andd %dr0, %dr1, %dr1
	}
	{
		shld %dr1, 3, %dr1
		addd 0, taken, %dr2
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
	LOCAL_END %dr0
	RETURN

	.pushsection .bss
	.align	8
taken:
	.skip	8 * VECTORS
nm_taken:
	.skip	8
	.popsection
