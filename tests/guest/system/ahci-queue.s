! Queued commands of a SATA disk on a real machine.  The disk takes LATENCY for
! each request and reads as zeroes: many queued reads at once must take much
! less than one after another; a command that is not queued waits for them; one
! that fails is told by log page 0x10.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "board.inc"
	.include "ahci.inc"

	.equ	READS, 16
	.equ	FLUSH_SLOT, 20
	.equ	BAD_SLOT, 5
	.equ	BLOCK, 4096
	.equ	TABLE_BYTES, 256
	.equ	TICKS, 2000000			! 200 ms in units of 100 ns
	.equ	ATA_READ_LOG_EXT, 0x2f
	.equ	FAR, 0x10000000			! a sector behind the end

	.text
	PROC main
	HUB 3, 0, %dr0
	{
		addd %dr0, 0, %db[0]
		addd 0, MESSAGES, %db[1]
		addd 0, 0x45, %db[2]
	}
	CALL ahci_open
	{
		addd %db[0], 0, %dr1
	}
	CHECK_EQUAL %dr1, 0, "a disk on port 0"
	CALL at_once
	CALL failing
	PRINT "ahci-queue passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! prepare(slot, opcode, lba, sectors): a table with one block of data, which
! is filled with ones.
	PROC prepare
	{
		shld %dr0, 8, %dr4
		shld %dr0, 12, %dr5
		shld %dr0, 5, %dr6
	}
	{
		addd %dr4, tables, %dr4
		addd %dr6, ahci_list, %dr6
	}
	{
		addd %dr5, buffers, %dr5
		shld %dr1, 16, %dr7
		cmpedb %dr1, ATA_READ_FPDMA, %pred0
		cmpedb %dr1, ATA_FLUSH_EXT, %pred1
	}
	{
		addd %dr7, 0x8027, %dr7
		shld %dr3, 24, %dr9
		addd %dr3, 0, %dr8
	}
	{
		ord %dr7, %dr9, %dr7 ? %pred0	! sectors of a queued command
		shld %dr0, 3, %dr8 ? %pred0	! and its tag
		addd 0, 5 | 1 << 16, %dr12	! five words, one region
	}
	{
		stw %dr4, 0, %r7
		addd 0, 0xffffff, %dr7
		addd 0, 5, %dr12 ? %pred1
	}
	{
		andd %dr2, %dr7, %dr10
		addd 0, 0x40000000, %dr7
		shrd %dr2, 24, %dr9
	}
	{
		ord %dr10, %dr7, %dr10
		addd 0, 0, %dr11
	}
	{
		stw %dr4, 4, %r10
	}
	{
		stw %dr4, 8, %r9
	}
	{
		stw %dr4, 12, %r8
	}
	{
		std %dr4, 0x80, %dr5
		addd 0, BLOCK - 1, %dr9
	}
	{
		stw %dr4, 0x88, %r11
	}
	{
		stw %dr4, 0x8c, %r9
		addd 0, -1, %dr9
	}
	{
		std %dr6, 0, %dr12
	}
	{
		std %dr6, 8, %dr4
	}
	{
		std %dr5, 0, %dr9
	}
	{
		std %dr5, BLOCK - 8, %dr9
	}
	RETURN

! start(slots of queued commands, slots): 32-bit masks.
	PROC start
	AHCI_REGS %dr3
	{
		wait st_c = 1
	}
	{
		stw %dr3, 0x134, %r0
	}
	{
		stw %dr3, 0x138, %r1
	}
	RETURN

! finish: until no slot is left, or a command has failed.
	PROC finish
	AHCI_REGS %dr3
1:
	{
		ldw %dr3, 0x134, %dr4
		ldw %dr3, 0x138, %dr5
	}
	{
		ldw %dr3, 0x120, %dr6
		ord %dr4, %dr5, %dr4
	}
	{
		andd %dr6, 1, %dr6
		cmpedb %dr4, 0, %pred0
	}
	{
		cmpedb %dr6, 1, %pred1
	}
	GOTO_IF %pred0, 2f
	GOTO_IF_NOT %pred1, 1b
2:
	RETURN

! The power counter: 100 ns.
	.macro	NOW to
	{
		addd 0, LT, \to
	}
	{
		ldd \to, 0x1c, \to
	}
	.endm

	PROC at_once
	{
		addd 0, 0, %dr0
	}
1:
	{
		addd %dr0, 0, %db[0]
		addd 0, ATA_READ_FPDMA, %db[1]
		shld %dr0, 3, %db[2]
		addd 0, 8, %db[3]
	}
	CALL prepare
	{
		addd %dr0, 1, %dr0
	}
	{
		cmpedb %dr0, READS, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd 0, FLUSH_SLOT, %db[0]
		addd 0, ATA_FLUSH_EXT, %db[1]
		addd 0, 0, %db[2]
		addd 0, 0, %db[3]
	}
	CALL prepare
	NOW %dr1
	{
		addd 0, (1 << READS) - 1, %db[0]
		addd 0, ((1 << READS) - 1) | (1 << FLUSH_SLOT), %db[1]
	}
	CALL start
	CALL finish
	NOW %dr2
	{
		subd %dr2, %dr1, %dr1
		addd 0, READS / 2 * TICKS, %dr3
	}
	{
		cmpbdb %dr1, %dr3, %pred0
	}
	GOTO_IF %pred0, 2f
	FAIL "queued reads run one after another", 1
2:
	PRINT "ok queued reads run at once, in units of 100 ns: "
	{
		addd %dr1, 0, %db[0]
	}
	CALL putdec
	PRINT "\n"
	{
		addd 0, buffers, %dr0
		addd 0, READS, %dr1
		addd 0, 0, %dr3
	}
3:
	{
		ldd %dr0, 0, %dr4
		ldd %dr0, BLOCK - 8, %dr5
	}
	{
		ord %dr4, %dr5, %dr4
		addd %dr0, BLOCK, %dr0
		subd %dr1, 1, %dr1
	}
	{
		ord %dr3, %dr4, %dr3
		cmpedb %dr1, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 3b
	CHECK_EQUAL %dr3, 0, "all blocks were read"
	CALL ahci_status
	{
		andd %db[0], 1, %dr3
	}
	CHECK_EQUAL %dr3, 0, "no error"
	RETURN

! Queued reads of which one is behind the end of the disk.
	PROC failing
	{
		addd 0, 0, %dr0
	}
1:
	{
		cmpedb %dr0, BAD_SLOT, %pred0
		addd %dr0, 0, %db[0]
		addd 0, ATA_READ_FPDMA, %db[1]
	}
	{
		shld %dr0, 3, %db[2]
		addd 0, 8, %db[3]
		addd 0, FAR, %dr1
	}
	{
		addd %dr1, 0, %db[2] ? %pred0
	}
	CALL prepare
	{
		addd %dr0, 1, %dr0
	}
	{
		cmpedb %dr0, READS, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd 0, (1 << READS) - 1, %db[0]
		addd 0, (1 << READS) - 1, %db[1]
	}
	CALL start
	CALL finish
	CALL ahci_status
	{
		andd %db[0], 1, %dr3
	}
	CHECK_EQUAL %dr3, 1, "one fails"
	AHCI_REGS %dr3
	{
		ldw %dr3, 0x134, %dr4
	}
	{
		shrd %dr4, BAD_SLOT, %dr4
	}
	{
		andd %dr4, 1, %dr4
	}
	CHECK_EQUAL %dr4, 1, "it stays active"
	CALL ahci_restart
	{
		addd 0, 0, %db[0]
		addd 0, ATA_READ_LOG_EXT, %db[1]
		addd 0, 0x10, %db[2]
		addd 0, 1, %db[3]
	}
	CALL prepare
	{
		addd 0, 0, %db[0]
		addd 0, 1, %db[1]
	}
	CALL start
	CALL finish
	{
		addd 0, buffers, %dr0
	}
	{
		ldb %dr0, 0, %dr1
		ldb %dr0, 2, %dr2
	}
	{
		ldb %dr0, 3, %dr3
		ldb %dr0, 8, %dr4
		andd %dr2, 1, %dr2
	}
	CHECK_EQUAL %dr1, BAD_SLOT, "log page 0x10: which"
	CHECK_EQUAL %dr2, 1, "log page 0x10: status"
	CHECK_EQUAL %dr3, 0x10, "log page 0x10: error"
	CHECK_EQUAL %dr4, FAR >> 24, "log page 0x10: where"
	{
		addd 0, 512, %dr1
		addd 0, 0, %dr2
		addd 0, 0xff, %dr5
	}
2:
	{
		ldb %dr0, 0, %dr3
		addd %dr0, 1, %dr0
		subd %dr1, 1, %dr1
	}
	{
		addd %dr2, %dr3, %dr2
		cmpedb %dr1, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2b
	{
		andd %dr2, %dr5, %dr2
	}
	CHECK_EQUAL %dr2, 0, "log page 0x10: sum"
	! What was lost is given again.
	{
		addd 0, 0, %db[0]
		addd 0, ATA_READ_FPDMA, %db[1]
		addd 0, 0, %db[2]
		addd 0, 8, %db[3]
	}
	CALL prepare
	{
		addd 0, 1, %db[0]
		addd 0, 1, %db[1]
	}
	CALL start
	CALL finish
	{
		addd 0, buffers, %dr0
	}
	{
		ldd %dr0, 0, %dr1
	}
	CHECK_EQUAL %dr1, 0, "the port works on"
	RETURN

	.pushsection .bss
	.align	4096
buffers:
	.skip	BLOCK * 32
tables:
	.skip	TABLE_BYTES * 32
	.popsection
