! Disk exerciser: writes and reads blocks of the first virtio disk in random
! order, each checked against what was last written there, until the power
! button is pressed; then verifies all of them once more and ends.
!
! A block says itself what it must hold: with block number B and version V,
!
!     word 0  MAGIC + B      word 1  V      word i  (B << 32 + V) * i + PATTERN
!
! so that a host can check any copy of the disk.  The versions last written
! are kept in memory.  Only the first BLOCKS blocks are used; the size of the
! disk is printed whenever it changes.
!
! Exit status: 0 all was as written; 2 no disk; 4 a request failed; 6 a block
! does not hold what was written.

	.include "lib.inc"
	.include "virtio-blk.inc"

	.equ	MAGIC, 0x4b534944324b3245	! "E2K2DISK"
	.equ	PATTERN, 0x5ca1ab1e0ddba115
	.equ	BLOCK, 4096
	.equ	BLOCKS, 256
	.equ	SEED, 0x9e3779b97f4a7c15

	.text
	PROC main
	CALL disk_open
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF %pred0, 1f
	FAIL "no disk", 2
1:
	{
		addd 0, 0, %dr0			! next block
	}
2:						! every block has a first version
	{
		addd %dr0, 0, %db[0]
	}
	CALL write_block
	{
		addd %dr0, 1, %dr0
	}
	{
		cmpedb %dr0, BLOCKS, %pred0
	}
	GOTO_IF_NOT %pred0, 2b
	PRINT "running\n"
	{
		addd 0, 0, %dr7			! capacity last seen
		addd 0, 0, %dr8			! rounds
	}
3:
	CALL disk_capacity
	{
		addd %db[0], 0, %dr6
	}
	{
		cmpedb %dr6, %dr7, %pred0
		addd %dr6, 0, %dr7
	}
	GOTO_IF %pred0, 4f
	PRINT "capacity: "
	{
		shld %dr7, 9, %db[0]
	}
	CALL putdec
	CALL1 putc, 10
4:
	CALL random_block
	{
		addd %db[0], 0, %dr0
	}
	{
		addd %dr0, 0, %db[0]
	}
	CALL write_block
	CALL random_block
	{
		addd %db[0], 0, %dr0
	}
	{
		addd %dr0, 0, %db[0]
	}
	CALL check_block
	{
		andd %dr8, 63, %dr1		! a flush now and then
		addd %dr8, 1, %dr8
	}
	{
		cmpedb %dr1, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 5f
	CALL flush
5:
	{
		addd 0, POWER, %dr1
	}
	{
		ldw %dr1, 4, %dr1
	}
	{
		cmpedb %dr1, 0, %pred0
	}
	GOTO_IF %pred0, 3b
	CALL flush
	{
		addd 0, 0, %dr0
	}
6:
	{
		addd %dr0, 0, %db[0]
	}
	CALL check_block
	{
		addd %dr0, 1, %dr0
	}
	{
		cmpedb %dr0, BLOCKS, %pred0
	}
	GOTO_IF_NOT %pred0, 6b
	PRINT "rounds: "
	{
		addd %dr8, 0, %db[0]
	}
	CALL putdec
	PRINT "\ndisk passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC random_block
	{
		addd 0, random, %dr1
	}
	{
		ldd %dr1, 0, %dr0
	}
	{
		shld %dr0, 13, %dr2
	}
	{
		xord %dr0, %dr2, %dr0
	}
	{
		shrd %dr0, 7, %dr2
	}
	{
		xord %dr0, %dr2, %dr0
	}
	{
		shld %dr0, 17, %dr2
	}
	{
		xord %dr0, %dr2, %dr0
	}
	{
		std %dr1, 0, %dr0
		shrd %dr0, 20, %dr0
	}
	{
		andd %dr0, BLOCKS - 1, %dr0
	}
	RETURN

	PROC check_io			! status of a request
	{
		cmpedb %dr0, 0, %pred0
	}
	GOTO_IF %pred0, 1f
	FAIL "the disk reports an error", 4
1:
	RETURN

	PROC flush
	{
		addd 0, BLK_FLUSH, %db[0]
		addd 0, 0, %db[1]
		addd 0, 0, %db[2]
		addd 0, 0, %db[3]
	}
	CALL disk_request
	CALL check_io
	RETURN

! Fills the buffer with the next version of a block and writes it.
	PROC write_block		! block
	{
		shld %dr0, 3, %dr1
		addd 0, versions, %dr2
	}
	{
		ldd %dr2, %dr1, %dr3
	}
	{
		addd %dr3, 1, %dr3
		shld %dr0, 32, %dr4
	}
	{
		std %dr2, %dr1, %dr3
		addd %dr4, %dr3, %dr4		! step from word to word
		addd 0, MAGIC, %dr5
	}
	{
		addd 0, buffer, %dr6
		addd %dr5, %dr0, %dr5
	}
	{
		std %dr6, 0, %dr5
		addd 0, PATTERN, %dr5
	}
	{
		std %dr6, 8, %dr3
		addd %dr5, %dr4, %dr5
	}
	{
		addd %dr5, %dr4, %dr5		! word 2
		addd 0, BLOCK / 8 - 2, %dr7
	}
1:
	{
		std %dr6, 16, %dr5
		addd %dr6, 8, %dr6
		addd %dr5, %dr4, %dr5
		subd %dr7, 1, %dr7
	}
	{
		cmpedb %dr7, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd 0, BLK_OUT, %db[0]
		shld %dr0, 3, %db[1]
		addd 0, buffer, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL disk_request
	CALL check_io
	RETURN

! Reads a block and compares it with its version.
	PROC check_block		! block
	{
		addd 0, BLK_IN, %db[0]
		shld %dr0, 3, %db[1]
		addd 0, buffer, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL disk_request
	CALL check_io
	{
		shld %dr0, 3, %dr1
		addd 0, versions, %dr2
		addd 0, buffer, %dr6
	}
	{
		ldd %dr2, %dr1, %dr3
		addd 0, MAGIC, %dr5
	}
	{
		addd %dr5, %dr0, %dr5
		ldd %dr6, 0, %dr8
		shld %dr0, 32, %dr4
	}
	{
		ldd %dr6, 8, %dr9
		cmpedb %dr8, %dr5, %pred1
		addd %dr4, %dr3, %dr4
	}
	{
		cmpedb %dr9, %dr3, %pred2
		addd 0, PATTERN, %dr5
	}
	GOTO_IF_NOT %pred1, 2f
	GOTO_IF_NOT %pred2, 2f
	{
		addd %dr5, %dr4, %dr5
		addd 0, BLOCK / 8 - 2, %dr7
	}
	{
		addd %dr5, %dr4, %dr5
	}
1:
	{
		ldd %dr6, 16, %dr8
		addd %dr6, 8, %dr6
		subd %dr7, 1, %dr7
	}
	{
		cmpedb %dr8, %dr5, %pred0
		addd %dr5, %dr4, %dr5
		cmpedb %dr7, 0, %pred1
	}
	GOTO_IF_NOT %pred0, 2f
	GOTO_IF_NOT %pred1, 1b
	RETURN
2:
	PRINT "block "
	{
		addd %dr0, 0, %db[0]
	}
	CALL putdec
	PRINT ", version "
	{
		addd %dr3, 0, %db[0]
	}
	CALL putdec
	CALL1 putc, 10
	FAIL "a block is not what was written", 6

	.pushsection .data
	.align	8
random:
	.quad	SEED
	.popsection

	.pushsection .bss
	.align	4096
buffer:
	.skip	BLOCK
versions:
	.skip	8 * BLOCKS
	.popsection
