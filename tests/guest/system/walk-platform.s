! The walk of a kernel through a real machine, stage 5: machine description,
! interrupt controllers, timers ("system/boot-contract.md" B.3).

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "board.inc"
	.ifdef	EPIC
	.equ	VECTOR_TIMER, 0x3e4
	.equ	KIND_PINS, 11			! of the MP table's entries
	.equ	KINDS, 0x8ab
	.equ	VECTOR_SPURIOUS, 0x3ff
	.equ	PREPIC, NBSR + 0x8000
	.else
	.equ	VECTOR_TIMER, 0xef
	.equ	KIND_PINS, 2
	.equ	KINDS, 0xaf
	.endif

	.equ	VECTOR_LT, 0x31
	.equ	LT_TICKS, 10000			! 1 ms in units of 100 ns

	.text
	PROC main				! cpu, boot block
	{
		ldd %dr1, 0x30, %db[0]		! MP table
		ldd %dr1, 0xd68, %dr2
	}
	CALL mp_table
	CHECK_EQUAL %dr2, 0, "5.1 no device tree: the kernel has its own"
	CALL code_patching
	CALL trap_setup
	CALL discover_pins
	CALL setup_local
	CALL timers
	PRINT "walk-platform passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! sum8(bytes, n): their sum modulo 256.
	PROC sum8
	{
		addd 0, 0, %dr2
		addd 0, 0xff, %dr4
	}
1:
	{
		ldb %dr0, 0, %dr3
		addd %dr0, 1, %dr0
		subd %dr1, 1, %dr1
	}
	{
		addd %dr2, %dr3, %dr2
		cmpedb %dr1, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		andd %dr2, %dr4, %dr0
	}
	RETURN

! 5.7: finds processor, IO-APIC or IO-EPIC, timer and IO link; entries are packed.
	PROC mp_table				! floating structure
	{
		ldw %dr0, 0, %dr1
		addd %dr0, 0, %db[0]
		addd 0, 24, %db[1]
	}
	CHECK_EQUAL %dr1, 0x5f504d5f, "5.7 _MP_"
	{
		addd %dr0, 0, %db[0]
		addd 0, 24, %db[1]
	}
	CALL sum8
	{
		addd %db[0], 0, %dr1
	}
	CHECK_EQUAL %dr1, 0, "5.7 checksum"
	{
		ldd %dr0, 8, %dr2
	}
	{
		ldw %dr2, 0, %dr1
		ldh %dr2, 4, %dr4
	}
	CHECK_EQUAL %dr1, 0x504d4350, "5.7 PCMP"
	{
		addd %dr2, 0, %db[0]
		addd %dr4, 0, %db[1]
	}
	CALL sum8
	{
		addd %db[0], 0, %dr1
	}
	CHECK_EQUAL %dr1, 0, "5.7 checksum of the table"
	{
		ldh %dr2, 34, %dr3		! entries to go
		addd %dr2, 44, %dr2
		addd 0, 0, %dr6			! kinds seen
	}
1:
	{
		ldb %dr2, 0, %dr4
		addd 0, mp_sizes, %dr5
	}
	{
		ldb %dr5, %dr4, %dr5		! its size
		addd 0, 1, %dr7
		cmpedb %dr4, KIND_PINS, %pred0
		cmpedb %dr4, 5, %pred1
	}
	{
		shld %dr7, %dr4, %dr7
		cmpedb %dr5, 0, %pred2
	}
	{
		ord %dr6, %dr7, %dr6
	}
	GOTO_IF_NOT %pred2, 2f
	FAIL "5.7 an entry of unknown kind", 1
2:
	{
		ldd %dr2, 8, %dr8 ? %pred0	! the last one
		ldd %dr2, 8, %dr9 ? %pred1	! timer
	}
	{
		addd %dr2, %dr5, %dr2
		subd %dr3, 1, %dr3
	}
	{
		cmpedb %dr3, 0, %pred3
	}
	GOTO_IF_NOT %pred3, 1b
	CHECK_EQUAL %dr6, KINDS, "5.7 all kinds of entries"
	.ifdef	EPIC
	HUB 2, 1, %dr4
	{
		ldw %dr4, 0x1c, %dr4
	}
	CHECK_EQUAL %dr8, %dr4, "5.7 IO-EPIC"
	.elseif	BOARD == E1CP
	CHECK_EQUAL %dr8, IOAPIC2, "5.7 the second IO-APIC"
	.else
	CHECK_EQUAL %dr8, IOAPIC, "5.7 IO-APIC"
	.endif
	CHECK_EQUAL %dr9, LT, "5.7 timer"
	RETURN

	.pushsection .rodata
mp_sizes:				! by type
	.byte	20, 8, 16, 8, 8, 16, 24, 40, 0, 0, 0, 16
	.align	8
	.popsection

! 5.2: code that was run is changed and run again.
	PROC code_patching
	CALL patched
	{
		addd %db[0], 0, %dr1
		addd 0, patched, %dr2
		addd 0, replacement, %dr3
	}
	CHECK_EQUAL %dr1, 1, "5.2 before patching"
	{
		addd 0, patched_end - patched, %dr4
	}
1:
	{
		ldd %dr3, 0, %dr5
		addd %dr3, 8, %dr3
		subd %dr4, 8, %dr4
	}
	{
		std %dr2, 0, %dr5
		addd %dr2, 8, %dr2
		cmpedb %dr4, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	CALL patched
	{
		addd %db[0], 0, %dr1
	}
	CHECK_EQUAL %dr1, 2, "5.2 after patching"
	RETURN

	PROC patched
	{
		addd 0, 1, %dr0
	}
	RETURN
patched_end:

	PROC replacement
	{
		addd 0, 2, %dr0
	}
	RETURN

! 5.3, 5.5, 5.6, 5.11: trap registers, stacks, line probing, cycle counter.
	PROC trap_setup
	{
		addd 0, cellar, %dr1
	}
	{
		mmurw %dr1, %trap_point
	}
	{
		mmurr %trap_point, %dr2
	}
	CHECK_EQUAL %dr2, cellar, "5.3 TRAP_POINT"
	{
		addd 0, 0, %dr1
	}
	{
		rwd %dr1, %osem
	}
	{
		rwd %dr1, %dibcr
	}
	{
		mmurw %dr1, %ddbcr
	}
	{
		mmurr %trap_count, %dr2
	}
	CHECK_EQUAL %dr2, 0, "5.3 TRAP_COUNT"
	{
		flushc
	}
	{
		rrd %pcshtp, %dr2
	}
	{
		addd 0, 0x4000, %dr3
	}
	{
		cmpbdb %dr2, %dr3, %pred0
	}
	GOTO_IF %pred0, 1f
	FAIL "5.5 PCSHTP is out of range", 1
1:
	PRINT "ok 5.5 PCSHTP\n"
	{
		rrd %clkr, %dr2
		addd 0, 1000000, %dr4
	}
3:
	{
		rrd %clkr, %dr3
		subd %dr4, 1, %dr4
	}
	{
		cmpbdb %dr2, %dr3, %pred0
		cmpedb %dr4, 0, %pred1
	}
	GOTO_IF %pred0, 2f
	GOTO_IF_NOT %pred1, 3b
	FAIL "5.11 CLKR does not count", 1
2:
	PRINT "ok 5.11 CLKR counts\n"
	{
		rrd %sclkm1, %dr2
	}
	CHECK_EQUAL %dr2, 0, "5.11 no stable clock is offered"
	RETURN

	.pushsection .bss
	.align	4096
cellar:
	.skip	4096
	.popsection

	.ifdef	EPIC
! 5.8: through the root bridge's bus number to the IO-EPIC's BAR; pins are
! reset as a kernel does it.
	PROC discover_pins
	{
		addd 0, ROOT_BRIDGE, %dr1
	}
	{
		ldb %dr1, 8, %dr1
	}
	{
		shrd %dr1, 4, %dr1
	}
	CHECK_EQUAL %dr1, 1, "5.8 the bridge is that of an EIOHub"
	HUB 2, 1, %dr0
	{
		ldw %dr0, 0, %dr1
		ldw %dr0, 0x1c, %dr2
	}
	{
		ldw %dr0, 0x58, %dr4
	}
	CHECK_EQUAL %dr1, I2C_ID, "5.8 function 2.1"
	CHECK_EQUAL %dr4, LT, "5.8 timer base"
	{
		ldw %dr2, 4, %dr1
		ldw %dr2, 0, %dr3
	}
	CHECK_EQUAL %dr1, 40 << 16 | 2, "5.8 40 pins, version 2"
	CHECK_EQUAL %dr3, 1, "5.8 id: the first that is not a CPU's"
	{
		addd 0, 40, %dr3
		addd 0, 1 << 16, %dr4
		addd 0, 0, %dr6
	}
	{
		addd 0, 1 << 16 | 3 << 12, %dr5
	}
1:
	{
		stw %dr2, 0x20, %r4
	}
	{
		stw %dr2, 0x20, %r5
	}
	{
		stw %dr2, 0x24, %r6
	}
	{
		stw %dr2, 0x28, %r6
	}
	{
		stw %dr2, 0x2c, %r6
	}
	{
		ldw %dr2, 0x20, %dr7
		addd %dr2, 4096, %dr2
		subd %dr3, 1, %dr3
	}
	{
		cmpedb %dr7, %dr4, %pred1
		cmpedb %dr3, 0, %pred0
	}
	GOTO_IF %pred1, 2f
	FAIL "5.8 a pin is not masked", 1
2:
	GOTO_IF_NOT %pred0, 1b
	RETURN

! 5.9: CEPIC on; PREPIC's interrupts go to it.
	PROC setup_local
	LOCAL_SET 0x00, 1 << 10
	LOCAL_SET 0x2a0, VECTOR_SPURIOUS
	LOCAL_SET 0x90, 0x3fe
	LOCAL_GET 0x00, %dr1
	CHECK_EQUAL %dr1, 0x500, "5.9 CEPIC of the boot CPU is on"
	LOCAL_SET 0x80, 0
	LOCAL_GET 0x80, %dr1
	CHECK_EQUAL %dr1, 0, "5.9 no errors"
	LOCAL_GET LOCAL_VECT, %dr1
	CHECK_EQUAL %dr1, VECTOR_SPURIOUS, "5.9 VECT_INTA shows the spurious vector"
	{
		addd 0, PREPIC, %dr2
		addd 0, 0x3f9, %dr3
	}
	{
		stw %dr2, 0x60, %r3
		addd 0, 0x3c0, %dr3
		addd 0, 0xc00, %dr4
	}
1:
	{
		stw %dr2, %dr4, %r3
	}
	{
		ldw %dr2, %dr4, %dr5
	}
	CHECK_EQUAL %dr5, %dr3, "5.9 route of an interrupt of the node"
	{
		addd %dr3, 1, %dr3
		addd %dr4, 4, %dr4
		cmpedb %dr3, 0x3c5, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		ldw %dr2, 0x40, %dr5
	}
	CHECK_EQUAL %dr5, 0, "5.9 no errors of the node"
	{
		addd 0, NBSR, %dr2
	}
	{
		ldw %dr2, 0xb0, %dr5
	}
	CHECK_EQUAL %dr5, MESSAGES, "5.9 RT_MSI"
	RETURN

	.else
! 5.8: through the root bridge's bus number to the IO-APIC's address.
	PROC discover_pins
	HUB 2, 1, %dr0
	{
		ldw %dr0, 0, %dr1
		ldw %dr0, 0x40, %dr2
	}
	{
		ldw %dr0, 0x44, %dr3
		ldw %dr0, 0x58, %dr4
	}
	CHECK_EQUAL %dr1, I2C_ID, "5.8 function 2.1"
	CHECK_EQUAL %dr2, IOAPIC, "5.8 IO-APIC base"
	CHECK_EQUAL %dr3, 0, "5.8 its high half"
	CHECK_EQUAL %dr4, LT, "5.8 timer base"
	{
		addd 0, IOAPIC, %dr1
		addd 0, 1, %dr2
	}
	{
		stw %dr1, 0, %r2
	}
	{
		ldw %dr1, 0x10, %dr3
	}
	{
		shrd %dr3, 16, %dr3
	}
	CHECK_EQUAL %dr3, 23, "5.8 24 pins"
	{
		addd 0, 0x10, %dr2		! every pin masked
		addd 0, 1 << 16, %dr3
	}
1:
	{
		stw %dr1, 0, %r2
	}
	{
		stw %dr1, 0x10, %r3
		addd %dr2, 2, %dr2
	}
	{
		cmpedb %dr2, 0x40, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	.if	BOARD == E1CP
	{
		addd 0, HOST_BRIDGE, %dr1
	}
	{
		ldw %dr1, 0x58, %dr1
	}
	CHECK_EQUAL %dr1, IOAPIC2, "5.8 base of the second IO-APIC"
	{
		addd 0, 1, %dr2
		addd 0, IOAPIC, %dr4
	}
	{
		stw %dr1, 0, %r2
		addd 0, 0, %dr5
	}
	{
		ldw %dr1, 0x10, %dr3
	}
	{
		shrd %dr3, 16, %dr3
		stw %dr1, 0, %r5
	}
	CHECK_EQUAL %dr3, 23, "5.8 24 pins"
	{
		ldw %dr1, 0x10, %dr3
		stw %dr4, 0, %r5
	}
	{
		ldw %dr4, 0x10, %dr2
	}
	{
		shrd %dr3, 24, %dr3
		shrd %dr2, 24, %dr2
	}
	CHECK_EQUAL %dr2, 1, "5.8 id of the first"
	CHECK_EQUAL %dr3, 2, "5.8 id of the second"
	.endif
	RETURN

	PROC setup_local			! 5.9
	LOCAL_SET 0xf0, 0x1ff
	LOCAL_SET 0x350, 0x10700
	LOCAL_SET 0x360, 0x10400
	LOCAL_SET 0x370, 0xfe
	LOCAL_SET 0xe0, -1
	LOCAL_SET 0xd0, 0x01000000
	LOCAL_SET 0x80, 0
	LOCAL_SET 0x280, 0
	LOCAL_GET 0x280, %dr1
	CHECK_EQUAL %dr1, 0, "5.9 no errors"
	LOCAL_GET 0xff0, %dr1
	{
		addd 0, 0xff, %dr2
	}
	{
		andd %dr1, %dr2, %dr1
	}
	CHECK_EQUAL %dr1, 0xff, "5.9 VECT shows the spurious vector"
	! The timer of non-maskable interrupts, which PSR holds back here.
	LOCAL_SET 0xf30, 0xb
	LOCAL_SET 0xf10, 100
1:
	LOCAL_GET 0xfe0, %dr1
	{
		shrd %dr1, 16, %dr1
	}
	{
		andd %dr1, 1, %dr1
	}
	{
		cmpedb %dr1, 0, %pred0
	}
	GOTO_IF %pred0, 1b
	LOCAL_SET 0xfe0, 1 << 16
	LOCAL_GET 0xfe0, %dr1
	CHECK_EQUAL %dr1, 0, "5.9 non-maskable timer, its cause is cleared"
	RETURN
	.endif

! 5.10: the first clock event, and the local timer measured against it.
	PROC timers
	IRQ_INIT
	PIN_SET 2, VECTOR_LT
	{
		addd 0, LT, %dr1
		addd 0, LT_TICKS << 9, %dr2
	}
	{
		stw %dr1, 0, %r2
		addd 0, 7, %dr2
	}
	{
		stw %dr1, 12, %r2
	}
	LOCAL_SET LOCAL_TIMER_DIVIDER, 0xb			! divide by 1
	AWAIT VECTOR_LT, 1
	PRINT "ok 5.10 LT through pin 2, VECT and EOI\n"
	LOCAL_SET LOCAL_TIMER_LVT, 0x10000 | VECTOR_TIMER
	LOCAL_SET LOCAL_TIMER_INITIAL, 0x7fffffff
	AWAIT VECTOR_LT, 11
	LOCAL_GET LOCAL_TIMER_CURRENT, %dr3
	{
		addd 0, 0x7fffffff, %dr4
		addd 0, 700000, %dr5		! 100 MHz for about 10 ms
	}
	{
		subd %dr4, %dr3, %dr4
	}
	{
		cmpbdb %dr4, %dr5, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	FAIL "5.10 the local timer is too slow against LT", 1
1:
	PRINT "ok 5.10 local timer calibrated\n"
	LOCAL_SET LOCAL_TIMER_LVT, 0x20000 | VECTOR_TIMER
	LOCAL_SET LOCAL_TIMER_INITIAL, 100000
	AWAIT VECTOR_TIMER, 3
	PRINT "ok 5.10 periodic local timer\n"
	LOCAL_SET LOCAL_TIMER_INITIAL, 0
	{
		addd 0, 0, %dr2
	}
	{
		stw %dr1, 12, %r2
	}
	{
		ldd %dr1, 0x1c, %dr3		! power counter, 64 bits
	}
	{
		ldd %dr1, 0x1c, %dr4
	}
	{
		cmpbdb %dr4, %dr3, %pred0
	}
	GOTO_IF_NOT %pred0, 2f
	FAIL "5.11 the power counter runs back", 1
2:
	PRINT "ok 5.11 power counter\n"
	RETURN
