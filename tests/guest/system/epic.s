! EPIC exerciser for virt-epic with four CPUs: vectors and priorities, the
! timer, messages to oneself, to one CPU and to all others, STARTUP, an
! interrupt of the IO controller.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"

	.equ	CEPIC, LAPIC
	.equ	CTRL, 0x00
	.equ	ID, 0x10
	.equ	CPR, 0x70
	.equ	EOI, 0xa0
	.equ	CIR, 0xb0
	.equ	PMIRR, 0x100
	.equ	ICR, 0x200
	.equ	ICR2, 0x204
	.equ	LVTT, 0x220
	.equ	INITIAL, 0x230
	.equ	DIVIDER, 0x250
	.equ	VECT, 0x2f0
	.equ	ENABLE, 1 << 10
	.equ	TO_SELF, 1 << 10
	.equ	TO_OTHERS, 2 << 10
	.equ	STARTUP, 6 << 13
	.equ	LOW, 0x125
	.equ	HIGH, 0x321
	.equ	TIMER, 0x242
	.equ	IPI, 0x161
	.equ	LT_VECTOR, 0x31
	.equ	CPUS, 4

	.macro	SET offset, value
	{
		addd 0, CEPIC, %dr14
		addd 0, \value, %dr15
	}
	{
		stw %dr14, \offset, %r15
	}
	.endm
	.macro	GET offset, to
	{
		addd 0, CEPIC, %dr14
	}
	{
		ldw %dr14, \offset, \to
	}
	.endm
	.macro	IRQ value
	{
		addd 0, \value, %dr15
	}
	{
		rwd %dr15, %upsr
	}
	.endm
	.macro	CHECK_COUNT vector, number, text
	{
		addd 0, counts + 8 * \vector, %dr5
	}
	{
		ldd %dr5, 0, %dr5
	}
	CHECK_EQUAL %dr5, \number, "\text"
	.endm
	.macro	AWAIT address, number
	{
		addd 0, \address, %db[0]
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
		addd 0, 0x13, %dr2		! pm, ie, uie
	}
	IRQ 1
	{
		rwd %dr2, %psr
	}
	GET CTRL, %dr5
	CHECK_EQUAL %dr5, 0x100, "CPU 0 is the boot CPU, disabled"
	SET CTRL, ENABLE
	GET ID, %dr5
	CHECK_EQUAL %dr5, 0, "its number"
	SET ICR, TO_SELF | LOW
	SET ICR, TO_SELF | HIGH
	GET CIR, %dr5
	CHECK_EQUAL %dr5, 0x1000 | HIGH, "the higher vector comes first"
	GET PMIRR + 4 * (LOW / 32), %dr5
	CHECK_EQUAL %dr5, 1 << (LOW & 31), "the other one is pending"
	SET CPR, 2 << 8				! lets priority 3 through
	IRQ 0x21
	CHECK_COUNT HIGH, 1, "taken: priority above CPR"
	CHECK_COUNT LOW, 0, "held back: priority below CPR"
	SET CPR, 0
	CHECK_COUNT LOW, 1, "taken when CPR is lowered"
	GET CPR, %dr5
	CHECK_EQUAL %dr5, 0, "EOI has put CPR back"
	GET VECT, %dr5
	CHECK_EQUAL %dr5, 0x3ff, "spurious vector when nothing is pending"

	SET DIVIDER, 0xb			! by 1
	SET LVTT, 0x20000 | TIMER
	SET INITIAL, 100000			! 1 ms
	AWAIT counts + 8 * TIMER, 4
	SET LVTT, 0x10000
	PRINT "ok periodic timer\n"

	! The LT timer through pin 2 of the IO controller, edge, to CPU 0.
	{
		addd 0, IOAPIC, %dr6
		addd 0, 0x14, %dr7
	}
	{
		stw %dr6, 0, %r7
		addd 0, LT_VECTOR, %dr7
	}
	{
		stw %dr6, 0x10, %r7
		addd 0, LT, %dr8
	}
	{
		addd 0, 10000 << 9, %dr9
	}
	{
		stw %dr8, 0, %r9
		addd 0, 7, %dr9
	}
	{
		stw %dr8, 12, %r9
	}
	AWAIT counts + 8 * LT_VECTOR, 2
	{
		addd 0, 0, %dr9
	}
	{
		stw %dr8, 12, %r9
	}
	PRINT "ok interrupt of a pin\n"

	! The others.
	{
		addd 0, secondary, %dr0
		addd 0, CEPIC, %dr1
	}
	{
		shrd %dr0, 12, %dr0
	}
	{
		addd %dr0, STARTUP | TO_OTHERS, %dr0
	}
	{
		stw %dr1, ICR, %r0
	}
	AWAIT started, CPUS - 1
	PRINT "ok STARTUP\n"
	SET ICR2, 2 << 8
	SET ICR, IPI
	AWAIT interrupted, 1
	PRINT "ok message to one CPU\n"
	SET ICR, TO_OTHERS | IPI
	AWAIT interrupted, CPUS
	PRINT "ok message to all others\nepic passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC await				! address, number
1:
	{
		ldd %dr0, 0, %dr2
	}
	{
		cmpbdb %dr2, %dr1, %pred0
	}
	GOTO_IF %pred0, 1b
	RETURN

	PROC atomic_increment			! address
1:
	{
		ldd,0 %dr0, 0, %dr2, mas = 0x7
	}
	{
		addd %dr2, 1, %dr2
	}
	{
		std,2 %dr0, 0, %dr2, mas = 0x2
		ibranch 1b ? %MLOCK
	}
	RETURN

! Takes the vector, counts it, gives CPR back.
	PROC on_irq
	GET VECT, %dr0
	{
		andd %dr0, 0x3ff, %dr1
		addd 0, 0x70000, %dr4
	}
	{
		andd %dr0, %dr4, %dr4		! CPR, where EOI has it
		shld %dr1, 3, %dr2
	}
	{
		addd 0, counts, %dr3
	}
	{
		addd %dr3, %dr2, %db[0]
	}
	CALL atomic_increment
	{
		cmpedb %dr1, IPI, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	{
		addd 0, interrupted, %db[0]
	}
	CALL atomic_increment
1:
	{
		addd 0, CEPIC, %dr14
	}
	{
		stw %dr14, EOI, %r4
	}
	RETURN

	.align	4096
secondary:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
	}
	{
		addd 0, trap_table, %dr4
	}
	{
		rwd %dr4, %oscud.lo
	}
	SET CTRL, ENABLE
	{
		addd 0, started, %db[0]
	}
	CALL atomic_increment
	{
		addd 0, 3, %dr4			! pm, ie
	}
	{
		rwd %dr4, %psr
	}
1:
	{
		wait trap = 1
	}
	GOTO 1b

	.pushsection .bss
	.align	8
counts:
	.skip	8 * 1024
started:
	.skip	8
interrupted:
	.skip	8
	.popsection
