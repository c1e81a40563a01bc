! I/O translation of a real machine (step 6.2 of the walk, with a kernel that
! does not say iommu=0): the SATA controller's lists and data go through a table.
! The disk begins with the root block of make-root.py.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "board.inc"
	.include "ahci.inc"

	.equ	IOMMU, NBSR + 0x380
	.equ	CONTROL, 0x00
	.equ	BASE_LOW, 0x10
	.equ	BASE_HIGH, 0x14
	.equ	FLUSH, 0x20
	.equ	ERROR, 0x30
	.equ	REQUESTER, 0x34
	.equ	LVT3, 0xf50
	.equ	ERROR_VECTOR, 0x66
	.equ	SATA_DEVFN, 3 << 3
	.equ	ENABLE, 0x21			! and cacheable entries
	.equ	TABLE, 0x8000000		! of the first 4 GiB: 4 MiB
	.equ	HIGH_TABLE, 0x8800000
	.equ	SAME, 32 << 20			! addresses that stay as they are
	.equ	READ_ENTRY, 6			! valid, cacheable
	.equ	WRITE_ENTRY, 7
	.equ	FAR, 0x50000000			! an address of the device
	.equ	MAGIC, 0x31544f4f524b3245
	.equ	BLOCK, 4096
	.equ	VECTOR, 0x45

	.macro	IOMMU_SET offset, value
	{
		addd 0, IOMMU, %dr14
		addd 0, \value, %dr15
	}
	{
		stw %dr14, \offset, %r15
	}
	.endm
! Entry for a page of the device, in a table.
	.macro	ENTRY table, address, page, bits
	{
		addd 0, \table + ((\address) >> 12 << 2), %dr14
		addd 0, \page, %dr15
	}
	{
		shrd %dr15, 8, %dr15
	}
	{
		ord %dr15, \bits, %dr15
	}
	{
		stw %dr14, 0, %r15
	}
	.endm
	.macro	READ_TO address, bytes
	{
		addd 0, ATA_READ_DMA_EXT, %db[0]
		addd 0, 0, %db[1]
		addd 0, \address, %db[2]
		addd 0, \bytes, %db[3]
	}
	CALL ahci_command
	CALL finish
	.endm

	.text
	PROC main
	HUB 3, 0, %dr0
	{
		addd %dr0, 0, %db[0]
		addd 0, MESSAGES, %db[1]
		addd 0, VECTOR, %db[2]
	}
	CALL ahci_open
	{
		addd %db[0], 0, %dr1
	}
	CHECK_EQUAL %dr1, 0, "a disk on port 0"
	CALL identity
	IOMMU_SET BASE_LOW, TABLE >> 8
	IOMMU_SET BASE_HIGH, HIGH_TABLE >> 8
	IOMMU_SET CONTROL, ENABLE
	IOMMU_SET FLUSH, 0
	{
		addd 0, IOMMU, %dr1
	}
	{
		ldw %dr1, CONTROL, %dr2
		ldw %dr1, BASE_LOW, %dr3
	}
	CHECK_EQUAL %dr2, ENABLE, "6.2 I/O translation is on"
	CHECK_EQUAL %dr3, TABLE >> 8, "6.2 its table"
	CALL error_of
	CHECK_EQUAL %db[0], 0, "6.2 no error so far"
	IRQ_INIT
	LOCAL_SET LVT3, ERROR_VECTOR
	! Two pages of the device, in other order in memory.
	ENTRY TABLE, FAR, buffer + BLOCK, WRITE_ENTRY
	ENTRY TABLE, FAR + BLOCK, buffer, WRITE_ENTRY
	READ_TO FAR, BLOCK
	{
		addd 0, buffer, %dr0
	}
	{
		ldd %dr0, BLOCK, %dr1
		ldd %dr0, 0, %dr2
	}
	CHECK_EQUAL %dr1, MAGIC, "6.2 the first page is where its entry says"
	CHECK_EQUAL %dr2, 0, "6.2 and not where it is not"
	READ_TO FAR + BLOCK - 512, BLOCK
	{
		ldd %dr0, 2 * BLOCK - 512, %dr1
		ldd %dr0, 0, %dr2
	}
	{
		ldd %dr0, BLOCK + 512, %dr3	! the disk's second sector
	}
	CHECK_EQUAL %dr1, MAGIC, "6.2 across two pages: the end of the first"
	CHECK_EQUAL %dr2, %dr3, "6.2 and the beginning of the second"
	! Above 4 GiB there is another table.
	ENTRY HIGH_TABLE, 0x3000, buffer, WRITE_ENTRY
	{
		std %dr0, 0, %dr0
	}
	READ_TO 0x1000000003000, BLOCK
	{
		ldd %dr0, 0, %dr1
	}
	CHECK_EQUAL %dr1, MAGIC, "6.2 an address above 4 GiB"
	! What an entry does not allow.
	{
		addd 0, 0, %dr2
	}
	{
		std %dr0, 0, %dr2
	}
	ENTRY TABLE, FAR, buffer, READ_ENTRY
	READ_TO FAR, BLOCK
	CALL causes
	{
		shrd %db[0], 29, %dr1
		addd 0, buffer, %dr0
	}
	{
		andd %dr1, 1, %dr1
		ldd %dr0, 0, %dr2
	}
	CHECK_EQUAL %dr1, 1, "6.2 a page that may not be written: bus error"
	CHECK_EQUAL %dr2, 0, "6.2 it is not written"
	CALL error_of
	{
		addd %db[0], 0, %dr3
		addd %db[1], 0, %dr4
	}
	CHECK_EQUAL %dr3, (FAR >> 8) | 2, "6.2 the error: the page, a write"
	CHECK_EQUAL %dr4, 0, "6.2 of the SATA controller"
	AWAIT ERROR_VECTOR, 1
	PRINT "ok 6.2 its interrupt\n"
	CALL ahci_calm
	CALL ahci_restart
	READ_TO FAR + (1 << 20), BLOCK
	CALL causes
	{
		shrd %db[0], 29, %dr1
	}
	{
		andd %dr1, 1, %dr1
	}
	CHECK_EQUAL %dr1, 1, "6.2 a page without an entry: bus error"
	CALL error_of
	CHECK_EQUAL %db[0], (FAR >> 8) | 2, "6.2 the first error is kept"
	CALL ahci_calm
	CALL ahci_restart
	IOMMU_SET ERROR, 0
	CALL error_of
	CHECK_EQUAL %db[0], 0, "6.2 until it is written"
	READ_TO FAR + (1 << 20), BLOCK
	CALL error_of
	CHECK_EQUAL %db[0], ((FAR + (1 << 20)) >> 8) | 1, "6.2 the error: no entry"
	AWAIT ERROR_VECTOR, 2
	{
		addd 0, counts + 8 * ERROR_VECTOR, %dr1
	}
	{
		ldd %dr1, 0, %dr1
	}
	CHECK_EQUAL %dr1, 2, "6.2 an interrupt for each that is kept"
	CALL ahci_calm
	CALL ahci_restart
	! Masked: the error is there, no interrupt comes.
	LOCAL_SET LVT3, 0x10000 | ERROR_VECTOR
	IOMMU_SET ERROR, 0
	READ_TO FAR + (1 << 20), BLOCK
	CALL error_of
	CHECK_EQUAL %db[0], ((FAR + (1 << 20)) >> 8) | 1, "6.2 the error, masked"
	IRQ_ON
	IRQ_OFF
	{
		addd 0, counts + 8 * ERROR_VECTOR, %dr1
	}
	{
		ldd %dr1, 0, %dr1
	}
	CHECK_EQUAL %dr1, 2, "6.2 no interrupt"
	CALL ahci_calm
	CALL ahci_restart
	IOMMU_SET CONTROL, 0
	READ_TO buffer, BLOCK
	{
		addd 0, buffer, %dr0
	}
	{
		ldd %dr0, 0, %dr1
	}
	CHECK_EQUAL %dr1, MAGIC, "6.2 off: addresses are physical"
	PRINT "walk-iommu passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! Entries of addresses that stay as they are.
	PROC identity
	{
		addd 0, TABLE, %dr0
		addd 0, WRITE_ENTRY, %dr1
		addd 0, SAME >> 12, %dr2
	}
1:
	{
		stw %dr0, 0, %r1
		addd %dr0, 4, %dr0
		addd %dr1, 16, %dr1
		subd %dr2, 1, %dr2
	}
	{
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

! Until the command has ended, or the port tells of a bus error.
	PROC finish
	AHCI_REGS %dr3
1:
	{
		ldw %dr3, 0x138, %dr4
		ldw %dr3, 0x110, %dr5
	}
	{
		shrd %dr5, 29, %dr5
		cmpedb %dr4, 0, %pred0
	}
	{
		andd %dr5, 1, %dr5
	}
	{
		cmpedb %dr5, 1, %pred1
	}
	GOTO_IF %pred0, 2f
	GOTO_IF_NOT %pred1, 1b
2:
	RETURN

! The error register, and 0 when it is the SATA controller's.
	PROC error_of
	{
		addd 0, IOMMU, %dr2
		addd 0, ROOT_BRIDGE, %dr3
	}
	{
		ldw %dr2, ERROR, %dr0
		ldw %dr2, REQUESTER, %dr1
	}
	{
		ldb %dr3, 0x19, %dr3
	}
	{
		shld %dr3, 8, %dr3
	}
	{
		addd %dr3, SATA_DEVFN, %dr3
	}
	{
		subd %dr1, %dr3, %dr1
	}
	RETURN

	PROC causes				! of the port's interrupts
	AHCI_REGS %dr3
	{
		ldw %dr3, 0x110, %dr0
	}
	RETURN

	.pushsection .bss
	.align	4096
buffer:
	.skip	2 * BLOCK
	.popsection
