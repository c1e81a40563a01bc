! The walk of a kernel through a real machine, stages 6 and 7: PCI, messages,
! console interrupts, power management, and the root block of an AHCI disk
! ("system/boot-contract.md" B.3).  It ends by the power-off of the SPMC,
! where there is one.
!
! The disk's first block is that of make-root.py: its magic and sum are
! checked.  The last block of the disk is written, flushed and read back.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "board.inc"
	.include "ahci.inc"

! The hub's functions, and the sum of their ids.
	.ifdef	EPIC
	.equ	FUNCTIONS, 4 + N_PORTS
	.equ	IDS, I2C_ID + SERIAL_ID + 0x801a1fff + 0x800e1fff + N_PORTS * 0x80101fff
	.elseif	BOARD == E2S
	.equ	FUNCTIONS, 5
	.equ	IDS, I2C_ID + SERIAL_ID + 2 * 0x801a1fff + 0x80001fff
	.else
	.equ	FUNCTIONS, 6 + N_PORTS
	.equ	IDS, I2C_ID + SERIAL_ID + 2 * 0x801a1fff + 0x80001fff + 0x800e1fff + N_PORTS * 0x80101fff
	.endif

	.equ	VECTOR_SERIAL, 0x33
	.equ	VECTOR_MSI, 0x45
	.equ	VECTOR_SATA, 0x54
	.equ	MAGIC, 0x31544f4f524b3245
	.equ	PATTERN, 0x5ca1ab1e0ddba115
	.equ	BLOCK, 4096

	.text
	PROC main
	IRQ_INIT
	CALL nbsr
	CALL scan
	CALL sizing
	CALL serial
	.if	N_PORTS > 0
	CALL root_port
	CALL power_timer
	.endif
	CALL disk
	PRINT "walk-devices passed\n"
	.if	BOARD == E2S
	{
		addd 0, 0, %dr0
	}
	RETURN
	.else
	HUB SPMC_DEVICE, 0, %dr0
	{
		addd 0, 5 << 10 | 1 << 13, %dr1	! S5, sleep
	}
	{
		stw %dr0, 0x4c, %r1
	}
1:
	GOTO 1b
	.endif

	.if	BOARD == E1CP
	PROC nbsr				! 6.3: the host bridge
	{
		addd 0, HOST_BRIDGE, %dr0
	}
	{
		ldw %dr0, 0, %dr1
		ldw %dr0, 0x50, %dr2
	}
	{
		ldw %dr0, 0x54, %dr3
	}
	CHECK_EQUAL %dr1, 0x801d1fff, "6.3 host bridge"
	CHECK_EQUAL %dr2, 0, "6.3 where high memory would begin"
	CHECK_EQUAL %dr3, 4, "6.3 at 16 GiB"
	RETURN
	.else
	PROC nbsr				! 6.1, 6.3
	{
		addd 0, NBSR, %dr0
		addd 0, -1, %dr1
	}
	{
		stw %dr0, 0xc60, %r1		! error registers take anything
	}
	{
		stw %dr0, 0x3b8, %r1
	}
	{
		ldw %dr0, 0x40, %dr1
	}
	{
		shrd %dr1, 11, %dr2
		shrd %dr1, 27, %dr3
	}
	{
		andd %dr2, 0x1f, %dr2
		andd %dr3, 0x1f, %dr3
	}
	CHECK_EQUAL %dr2, 0x10, "6.3 PCI memory begins at 2 GiB"
	CHECK_EQUAL %dr3, 0x1e, "6.3 and ends below 0xf8000000"
	{
		ldw %dr0, 0x90, %dr1
		ldw %dr0, 0x380, %dr2
	}
	CHECK_EQUAL %dr1, 8, "6.3 configuration space at 8 GiB"
	CHECK_EQUAL %dr2, 0, "6.2 no I/O translation"
	RETURN
	.endif

! 6.3: every function that must be there, and that all others are absent.
	PROC scan
	{
		addd 0, ROOT_BRIDGE, %dr0
	}
	{
		ldw %dr0, 0, %dr1
		ldb %dr0, 14, %dr2
	}
	{
		addd 0, 1 << SLOT_SHIFT, %dr4
	}
	{
		ldw %dr0, %dr4, %dr4
	}
	CHECK_EQUAL %dr1, 0x80171fff, "6.3 virtual bridge"
	CHECK_EQUAL %dr2, 1, "6.3 is a bridge"
	CHECK_EQUAL %dr4, 0xffffffff, "6.3 nothing beside it"
	{
		addd 0, 0, %db[0]
	}
	CALL hub_function
	{
		addd %db[0], 0, %dr0
		addd 0, 0, %dr1			! devfn
		addd 0, 0, %dr2			! functions found
	}
	{
		addd 0, 0xffffffff, %dr5
		addd 0, 0, %dr6			! sum of their ids
	}
1:
	{
		shld %dr1, 12, %dr3
	}
	{
		ldw %dr0, %dr3, %dr3
		addd %dr1, 1, %dr1
	}
	{
		cmpedb %dr3, %dr5, %pred0
	}
	{
		addd %dr2, 1, %dr2 ? ~%pred0
		addd %dr6, %dr3, %dr6 ? ~%pred0
	}
	{
		cmpedb %dr1, 0x100, %pred1
	}
	GOTO_IF_NOT %pred1, 1b
	CHECK_EQUAL %dr2, FUNCTIONS, "6.3 functions of the hub"
	CHECK_EQUAL %dr6, IDS, "6.3 their ids"
	RETURN

! 6.3: a BAR is sized by writing ones to it, and put back.
	PROC sizing
	HUB 3, 0, %dr0
	{
		ldw %dr0, 0x24, %dr1
		addd 0, -1, %dr2
	}
	{
		stw %dr0, 0x24, %r2
	}
	{
		ldw %dr0, 0x24, %dr3
	}
	{
		stw %dr0, 0x24, %r1
	}
	{
		ldw %dr0, 0x24, %dr4
	}
	CHECK_EQUAL %dr3, 0xfffff000, "6.3 size of a BAR"
	CHECK_EQUAL %dr4, %dr1, "6.3 BAR is put back"
	{
		ldh %dr0, 4, %dr3
		ldb %dr0, 0x3c, %dr4
	}
	{
		andd %dr3, 6, %dr3
	}
	CHECK_EQUAL %dr3, 6, "6.3 decoding and mastering are on"
	CHECK_EQUAL %dr4, PIN_SATA, "6.3 interrupt line"
	{
		ldw %dr1, 0x10, %dr3
	}
	CHECK_EQUAL %dr3, 0x10301, "6.6 AHCI version behind the BAR"
	RETURN

! 6.5: a character through the loop-back interrupts on pin 3, level.
	PROC serial
	HUB 2, 2, %dr0
	{
		ldw %dr0, 0, %dr1
		ldw %dr0, 0x14, %dr2
		addd 0, console_base, %dr3
	}
	{
		ldd %dr3, 0, %dr3
	}
	CHECK_EQUAL %dr1, SERIAL_ID, "6.5 serial function"
	CHECK_EQUAL %dr2, %dr3, "6.5 BAR 1 is serial_base"
	{
		addd 0, calm_hook, %dr4
		addd 0, calm_serial, %dr5
	}
	{
		std %dr4, 0, %dr5
	}
	PIN_SET PIN_SERIAL, VECTOR_SERIAL | LEVEL
	{
		addd %dr2, 0, %db[0]
	}
	CALL loop_back
	{
		addd 0, received, %dr4
	}
	{
		ldd %dr4, 0, %dr5
		addd 0, calm_hook, %dr4
		addd 0, 0, %dr6
	}
	{
		std %dr4, 0, %dr6
	}
	CHECK_EQUAL %dr5, 0x41, "6.5 character and interrupt of the console"
	RETURN

	.macro	WR reg, value
	{
		addd 0, \reg, %dr14
		addd 0, \value, %dr15
	}
	{
		stb %dr0, 0, %r14
	}
	{
		stb %dr0, 0, %r15
	}
	.endm

	PROC loop_back				! registers
	WR 14, 0x10				! loop back
	WR 1, 0x10				! interrupt on every character
	WR 9, 8					! master enable
	{
		addd 0, 0x41, %dr1
	}
	{
		stb %dr0, 1, %r1
	}
	AWAIT VECTOR_SERIAL, 1
	WR 9, 0
	WR 1, 0
	WR 14, 0
	RETURN

	PROC calm_serial
	{
		addd 0, console_base, %dr0
		addd 0, received, %dr1
		addd 0, 3, %dr2
	}
	{
		ldd %dr0, 0, %dr0
	}
	{
		stb %dr0, 0, %r2
	}
	{
		ldb %dr0, 0, %dr2		! RR3: channel A received
	}
	{
		andd %dr2, 0x20, %dr2
	}
	{
		cmpedb %dr2, 0, %pred0
	}
	{
		ldb %dr0, 1, %dr2 ? ~%pred0
	}
	{
		std %dr1, 0, %dr2 ? ~%pred0
	}
	RETURN

	.pushsection .bss
	.align	8
received:
	.skip	8
	.popsection

	.if	N_PORTS > 0
! 6.3, 6.6: a root port is one, with a bus of its own and nothing on it.
	PROC root_port
	HUB PORT_DEVICE, 0, %dr0
	{
		ldw %dr0, 4, %dr1
		ldb %dr0, 0x34, %dr2
		addd 0, 1 << 20, %dr5
	}
	{
		andd %dr1, %dr5, %dr1
		addd %dr0, %dr2, %dr2
	}
	CHECK_EQUAL %dr1, 1 << 20, "6.6 root port: capabilities"
	{
		ldb %dr2, 0, %dr3
		ldh %dr2, 2, %dr4
	}
	CHECK_EQUAL %dr3, 0x10, "6.6 root port: PCI Express"
	CHECK_EQUAL %dr4, 0x42, "6.6 root port: its type"
	{
		ldb %dr0, 0x19, %dr1
		addd 0, CONFIG, %dr2
	}
	{
		cmpedb %dr1, 0, %pred0
		shld %dr1, BUS_SHIFT, %dr1
	}
	GOTO_IF_NOT %pred0, 1f
	FAIL "6.6 root port: its bus has no number", 1
1:
	{
		ldw %dr2, %dr1, %dr1
	}
	CHECK_EQUAL %dr1, 0xffffffff, "6.6 nothing below the root port"
	RETURN

! 6.7: the power management timer counts.
	PROC power_timer
	HUB SPMC_DEVICE, 0, %dr0
	{
		ldw %dr0, 0x40, %dr1
		addd 0, 100000, %dr3
	}
1:
	{
		ldw %dr0, 0x40, %dr2
		subd %dr3, 1, %dr3
	}
	{
		cmpedb %dr1, %dr2, %pred0
		cmpedb %dr3, 0, %pred1
	}
	GOTO_IF_NOT %pred0, 2f
	GOTO_IF_NOT %pred1, 1b
	FAIL "6.7 the power management timer stands still", 1
2:
	PRINT "ok 6.7 power management timer\n"
	RETURN
	.endif

! 6.4, 6.6, 7: the disk by message-signalled interrupts, then by its pin.
	PROC disk
	HUB 3, 0, %dr0
	{
		addd %dr0, 0, %db[0]
		addd 0, MESSAGES, %db[1]
		addd 0, VECTOR_MSI, %db[2]
	}
	CALL ahci_open
	{
		addd %db[0], 0, %dr1
		addd 0, calm_hook, %dr2
		addd 0, ahci_calm, %dr3
	}
	{
		std %dr2, 0, %dr3
	}
	CHECK_EQUAL %dr1, 0, "6.6 a disk on port 0"
	{
		addd 0, ATA_IDENTIFY, %db[0]
		addd 0, 0, %db[1]
		addd 0, buffer, %db[2]
		addd 0, 512, %db[3]
	}
	CALL ahci_command
	AWAIT VECTOR_MSI, 1
	PRINT "ok 6.4 message of the SATA controller\n"
	{
		addd 0, buffer, %dr4
	}
	{
		ldd %dr4, 200, %dr5		! sectors
		ldh %dr4, 166, %dr6
	}
	{
		andd %dr6, 1 << 10, %dr6
	}
	CHECK_EQUAL %dr6, 1 << 10, "6.6 48-bit addresses"
	{
		addd 0, ATA_READ_DMA_EXT, %db[0]
		addd 0, 0, %db[1]
		addd 0, buffer, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL ahci_command
	AWAIT VECTOR_MSI, 2
	CALL check_root
	{
		subd %dr5, 8, %dr5		! the last block
		addd 0, buffer, %db[0]
		addd 0, PATTERN, %db[1]
	}
	CALL fill
	{
		addd 0, ATA_WRITE_DMA_EXT, %db[0]
		addd %dr5, 0, %db[1]
		addd 0, buffer, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL ahci_command
	AWAIT VECTOR_MSI, 3
	{
		addd 0, ATA_FLUSH_EXT, %db[0]
		addd 0, 0, %db[1]
		addd 0, buffer, %db[2]
		addd 0, 0, %db[3]
	}
	CALL ahci_command
	AWAIT VECTOR_MSI, 4
	PRINT "ok 7 written and flushed\n"
	! The same by its pin, level, and a queued read.
	CALL ahci_no_msi
	PIN_SET PIN_SATA, VECTOR_SATA | LEVEL
	{
		addd 0, buffer, %db[0]
		addd 0, 0, %db[1]
	}
	CALL fill
	{
		addd 0, ATA_READ_FPDMA, %db[0]
		addd %dr5, 0, %db[1]
		addd 0, buffer, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL ahci_command
	AWAIT VECTOR_SATA, 1
	{
		addd 0, buffer, %dr4
	}
	{
		ldd %dr4, BLOCK - 8, %dr6
	}
	CHECK_EQUAL %dr6, PATTERN, "6.6 queued read, interrupt by pin"
	! A read past the end is an error, and the port works on after it.
	{
		addd 0, ATA_READ_DMA_EXT, %db[0]
		addd %dr5, 8, %db[1]
		addd 0, buffer, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL ahci_command
	AWAIT VECTOR_SATA, 2
	CALL ahci_status
	{
		andd %db[0], 1, %dr6
	}
	CHECK_EQUAL %dr6, 1, "6.6 error of a read past the end"
	CALL ahci_restart
	{
		addd 0, ATA_READ_DMA_EXT, %db[0]
		addd 0, 0, %db[1]
		addd 0, buffer, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL ahci_command
	AWAIT VECTOR_SATA, 3
	CALL ahci_status
	{
		andd %db[0], 1, %dr6
	}
	CHECK_EQUAL %dr6, 0, "6.6 recovery"
	CALL check_root
	RETURN

	PROC fill				! buffer, word
	{
		addd 0, BLOCK / 8, %dr2
	}
1:
	{
		std %dr0, 0, %dr1
		addd %dr0, 8, %dr0
		subd %dr2, 1, %dr2
	}
	{
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

! 7: the root block's sum leaves itself out.
	PROC check_root
	{
		addd 0, buffer, %dr0
		addd 0, BLOCK / 8, %dr4
	}
	{
		ldd %dr0, 0, %dr1
		ldd %dr0, 8, %dr2
	}
	CHECK_EQUAL %dr1, MAGIC, "7 root block: magic"
	{
		subd 0, %dr2, %dr3
	}
1:
	{
		ldd %dr0, 0, %dr1
		addd %dr0, 8, %dr0
		subd %dr4, 1, %dr4
	}
	{
		addd %dr3, %dr1, %dr3
		cmpedb %dr4, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	CHECK_EQUAL %dr3, %dr2, "7 root block: sum"
	RETURN

	.pushsection .bss
	.align	4096
buffer:
	.skip	BLOCK
	.popsection
