! EPIC exerciser for virt-epic: vectors and priorities, timers, errors; pins
! of the IO-EPIC, edge and level; messages that PREPIC refuses; messages to
! oneself, to one CPU and to all others, STARTUP.  CPUS, when it is not defined
! outside, is 4.

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
	.equ	UART_VECTOR, 0x132
	.equ	ERROR, 0x3fe
	.equ	PREPIC_ERROR, 0x3f9
	.ifndef	CPUS
	.equ	CPUS, 4
	.endif
	! Number of the last CPU as messages have it: 16 for each node.
	.equ	LAST, ((CPUS - 1) & 15) | (((CPUS - 1) >> 4) << 8)
	.equ	NOBODY, 0x3f			! a destination without a CPU

	.equ	ESR, 0x80
	.equ	ESR2, 0x90
	.equ	PNMIRR, 0x1e0
	.equ	PNMIRR_MASK, 0x2d0
	.equ	NMT_INITIAL, 0x270
	.equ	NMT_DIVIDER, 0x290
	.equ	NM_TIMER, 1 << 16

	.equ	IOEPIC, 0xfed00000
	.equ	PIN_LT, 2
	.equ	PIN_UART, 3
	.equ	CTRL_DELIVERY, 1 << 12
	.equ	CTRL_LEVEL, 1 << 15
	.equ	CTRL_MASKED, 1 << 16
	.equ	WINDOW, 0xfee00000		! where messages go

	.equ	PREPIC, 0x110008000
	.equ	ERR_STAT, 0x40
	.equ	ERR_MSG, 0x50
	.equ	ERR_INT, 0x60

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
	! A register of a pin, or of the controller of the node.
	.macro	PIN_SET pin, offset, value
	{
		addd 0, IOEPIC + 4096 * \pin + \offset, %dr14
		addd 0, \value, %dr15
	}
	{
		stw %dr14, 0, %r15
	}
	.endm
	.macro	PIN_GET pin, offset, to
	{
		addd 0, IOEPIC + 4096 * \pin + \offset, %dr14
	}
	{
		ldw %dr14, 0, \to
	}
	.endm
	.macro	NODE_SET offset, value
	{
		addd 0, PREPIC, %dr14
		addd 0, \value, %dr15
	}
	{
		stw %dr14, \offset, %r15
	}
	.endm
	.macro	NODE_GET offset, to
	{
		addd 0, PREPIC, %dr14
	}
	{
		ldw %dr14, \offset, \to
	}
	.endm
	! Sends a pin to a CPU: control, vector with mode, number.
	.macro	ROUTE pin, control, data, number
	PIN_SET \pin, 0x20, CTRL_MASKED
	PIN_SET \pin, 0x24, \data
	PIN_SET \pin, 0x28, 0
	PIN_SET \pin, 0x2c, WINDOW | \number << 6
	PIN_SET \pin, 0x20, \control
	.endm
	.macro	LT_RUN control
	{
		addd 0, LT, %dr14
		addd 0, \control, %dr15
	}
	{
		stw %dr14, 12, %r15
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

	CALL other_timer
	CALL own_error
	CALL edge_pin
	CALL level_pin
	CALL refused
	.if	CPUS > 1
	CALL others
	.endif
	PRINT "epic passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! The timer of non-maskable interrupts, masked here.
	PROC other_timer
	SET PNMIRR_MASK, NM_TIMER
	SET NMT_DIVIDER, 0xb
	SET NMT_INITIAL, 100
1:
	GET PNMIRR, %dr5
	{
		addd 0, NM_TIMER, %dr6
	}
	{
		andd %dr5, %dr6, %dr5
	}
	{
		cmpedb %dr5, 0, %pred0
	}
	GOTO_IF %pred0, 1b
	SET PNMIRR, NM_TIMER
	GET PNMIRR, %dr5
	CHECK_EQUAL %dr5, 0, "non-maskable timer"
	RETURN

! A command with a mode that there is not, and one for a CPU that there is not.
	PROC own_error
	SET ESR2, ERROR
	SET ICR, 7 << 13 | IPI
	AWAIT counts + 8 * ERROR, 1
	GET ESR, %dr5
	CHECK_EQUAL %dr5, 0, "errors are not shown before"
	SET ESR, 0
	GET ESR, %dr5
	CHECK_EQUAL %dr5, 0x800, "a write shows them"
	SET ICR2, NOBODY << 8
	SET ICR, IPI
	AWAIT counts + 8 * ERROR, 2
	SET ESR, 0
	SET ESR2, 1 << 16
	RETURN

! The LT timer through pin 2: edge.
	PROC edge_pin
	PIN_GET 0, 4, %dr5
	CHECK_EQUAL %dr5, 24 << 16 | 2, "IO-EPIC: version and pins"
	PIN_GET PIN_LT, 0x20, %dr5
	CHECK_EQUAL %dr5, CTRL_MASKED, "pins are masked"
	PIN_SET 0, 0x800 + 4 * PIN_LT, 0x111
	PIN_GET 0, 0x800 + 4 * PIN_LT, %dr5
	CHECK_EQUAL %dr5, 0x111, "requester of a pin"
	{
		addd 0, LT, %dr8
		addd 0, 10000 << 9, %dr9
	}
	{
		stw %dr8, 0, %r9
	}
	LT_RUN 7
	PIN_GET PIN_LT, 0x20, %dr5
	ROUTE PIN_LT, 0, LT_VECTOR, 0
	AWAIT counts + 8 * LT_VECTOR, 2
	LT_RUN 0
	PIN_GET PIN_LT, 0x20, %dr5
	CHECK_EQUAL %dr5, 0, "an edge leaves no state"
	RETURN

! The UART's empty transmitter: a level, which stays.
	PROC level_pin
	ROUTE PIN_UART, CTRL_LEVEL, UART_VECTOR, 0
	{
		addd 0, UART, %dr8
		addd 0, 2, %dr9
	}
	{
		stb %dr8, 1, %r9
	}
	AWAIT counts + 8 * UART_VECTOR, 1
	PIN_GET PIN_UART, 0x20, %dr5
	CHECK_EQUAL %dr5, CTRL_LEVEL | CTRL_DELIVERY, "a level is sent once"
	PIN_SET PIN_UART, 0x20, CTRL_DELIVERY
	AWAIT counts + 8 * UART_VECTOR, 2
	PIN_GET PIN_UART, 0x20, %dr5
	CHECK_EQUAL %dr5, CTRL_LEVEL | CTRL_DELIVERY, "and again after its end"
	PIN_SET PIN_UART, 0x20, CTRL_LEVEL | CTRL_MASKED
	PIN_SET PIN_UART, 0x20, CTRL_DELIVERY
	CHECK_COUNT UART_VECTOR, 2, "not when it is masked"
	PIN_SET PIN_UART, 0x20, CTRL_LEVEL
	AWAIT counts + 8 * UART_VECTOR, 3
	{
		addd 0, 0, %dr9
	}
	{
		stb %dr8, 1, %r9
	}
	PIN_SET PIN_UART, 0x20, CTRL_DELIVERY
	PIN_GET PIN_UART, 0x20, %dr5
	CHECK_EQUAL %dr5, CTRL_LEVEL, "the end of a level that is low"
	CHECK_COUNT UART_VECTOR, 3, "no message of a low level"
	RETURN

! Messages without a taker: PREPIC tells them.
	PROC refused
	NODE_GET 0x10, %dr5
	CHECK_EQUAL %dr5, 0x900, "PREPIC of the boot node, enabled"
	NODE_GET 0x20, %dr5
	CHECK_EQUAL %dr5, 0, "its number"
	NODE_SET 0xc04, 0x3c1 | 3 << 20
	NODE_GET 0xc04, %dr5
	CHECK_EQUAL %dr5, 0x3c1 | 3 << 20, "its own interrupts are routed"
	NODE_SET ERR_INT, PREPIC_ERROR
	ROUTE PIN_UART, CTRL_LEVEL, UART_VECTOR, NOBODY
	{
		addd 0, UART, %dr8
		addd 0, 2, %dr9
	}
	{
		stb %dr8, 1, %r9
	}
	AWAIT counts + 8 * PREPIC_ERROR, 1
	NODE_GET ERR_STAT, %dr5
	CHECK_EQUAL %dr5, 2, "message to a CPU that is not there"
	NODE_GET ERR_MSG, %dr5
	CHECK_EQUAL %dr5, WINDOW | NOBODY << 6, "its address"
	NODE_GET ERR_MSG + 4, %dr5
	CHECK_EQUAL %dr5, UART_VECTOR, "its data"
	NODE_SET ERR_STAT, 2
	ROUTE PIN_UART, CTRL_LEVEL, 7 << 13 | UART_VECTOR, 0
	PIN_SET PIN_UART, 0x20, CTRL_DELIVERY
	AWAIT counts + 8 * PREPIC_ERROR, 2
	NODE_GET ERR_STAT, %dr5
	CHECK_EQUAL %dr5, 1, "message of a mode that is not there"
	NODE_SET ERR_STAT, 1
	NODE_SET 0x10, 0
	ROUTE PIN_UART, CTRL_LEVEL, UART_VECTOR, 0
	PIN_SET PIN_UART, 0x20, CTRL_DELIVERY
	CHECK_COUNT UART_VECTOR, 3, "PREPIC off: nothing passes"
	NODE_SET 0x10, 1 << 11
	{
		addd 0, 0, %dr9
	}
	{
		stb %dr8, 1, %r9
	}
	PIN_SET PIN_UART, 0x20, CTRL_MASKED
	RETURN

	.if	CPUS > 1
	PROC others
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
	SET ICR2, LAST << 8
	SET ICR, IPI
	AWAIT interrupted, 1
	{
		addd 0, taker, %dr5
	}
	{
		ldd %dr5, 0, %dr5
	}
	CHECK_EQUAL %dr5, LAST, "message to one CPU, by its full number"
	SET ICR, TO_OTHERS | IPI
	AWAIT interrupted, CPUS
	PRINT "ok message to all others\n"
	! A pin's message to the last CPU.
	ROUTE PIN_LT, 0, IPI, LAST
	LT_RUN 7
	AWAIT interrupted, CPUS + 2
	LT_RUN 0
	{
		addd 0, taker, %dr5
	}
	{
		ldd %dr5, 0, %dr5
	}
	CHECK_EQUAL %dr5, LAST, "pin to another CPU"
	RETURN
	.endif

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
	GET ID, %dr2
	{
		addd 0, taker, %dr3
		addd 0, interrupted, %db[0]
	}
	{
		std %dr3, 0, %dr2
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
taker:						! the last message's
	.skip	8
	.popsection
