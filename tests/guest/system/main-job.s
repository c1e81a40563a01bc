! The main job: a guest that works on its disk.
!
! Reads the root block (the first 4096 bytes of the disk), verifies it, writes
! the runs of blocks that it names, flushes, reports, and powers off.
!
! Root block, little endian:
!     0  "E2KROOT1"
!     8  sum of all other 64-bit words of the block, modulo 2^64
!    16  number of runs, 0..15
!    24  0
!    32  runs: { offset in bytes, multiple of 4096; number of blocks }
!
! A block at byte offset X is filled with the words X + 0, X + 8, ... each
! xored with PATTERN, so that anyone can tell what it should hold.
!
! Exit status: 0 done; 2 no disk; 3 bad root block; 4 read, write or flush
! failed; 5 a run lies outside of the disk.

	.include "lib.inc"
	.include "virtio-blk.inc"

	.equ	MAGIC, 0x31544f4f524b3245
	.equ	PATTERN, 0x5ca1ab1e0ddba115
	.equ	BLOCK, 4096
	.equ	MAX_RUNS, 15
	.equ	SECTOR_SHIFT, 9

	.pushsection .bss
	.align	4096
root:
	.skip	BLOCK
buffer:
	.skip	BLOCK
	.popsection

	.text
	PROC main
	PRINT "e2k-emu main job: hello from the guest\n"
	CALL disk_open
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF %pred0, 1f
	FAIL "no disk", 2
1:
	CALL disk_capacity
	{
		shld %db[0], SECTOR_SHIFT, %dr0	! bytes
	}
	PRINT "disk: "
	{
		addd %dr0, 0, %db[0]
	}
	CALL putdec
	PRINT " bytes\n"
	{
		addd 0, BLK_IN, %db[0]
		addd 0, 0, %db[1]
		addd 0, root, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL disk_request
	CALL check_io
	CALL verify_root
	{
		addd 0, root, %dr1
	}
	{
		ldd %dr1, 16, %dr2		! runs to go
		addd %dr1, 32, %dr1
		addd 0, 0, %dr3			! blocks written
	}
	PRINT "root block: ok, runs: "
	{
		addd %dr2, 0, %db[0]
	}
	CALL putdec
	CALL1 putc, 10
2:
	{
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF %pred0, 3f
	{
		ldd %dr1, 0, %db[0]
		ldd %dr1, 8, %db[1]
		addd %dr0, 0, %db[2]
	}
	{
		ldd %dr1, 8, %dr4
		addd %dr1, 16, %dr1
		subd %dr2, 1, %dr2
	}
	{
		addd %dr3, %dr4, %dr3
	}
	CALL write_run
	GOTO 2b
3:
	{
		addd 0, BLK_FLUSH, %db[0]
		addd 0, 0, %db[1]
		addd 0, 0, %db[2]
		addd 0, 0, %db[3]
	}
	CALL disk_request
	CALL check_io
	PRINT "flushed; blocks written: "
	{
		addd %dr3, 0, %db[0]
	}
	CALL putdec
	PRINT "\nmain job done\n"
	{
		addd 0, 0, %dr0
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

! Ends the run unless the root block is what it should be.
	PROC verify_root
	{
		addd 0, root, %dr0
		addd 0, MAGIC, %dr5
	}
	{
		ldd %dr0, 0, %dr1
		ldd %dr0, 8, %dr2
	}
	{
		cmpedb %dr1, %dr5, %pred0
		ldd %dr0, 16, %dr6
	}
	GOTO_IF_NOT %pred0, 8f
	{
		subd 0, %dr2, %dr3		! the sum leaves itself out
		addd 0, BLOCK / 8, %dr4
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
	{
		cmpedb %dr3, %dr2, %pred0
		cmpbedb %dr6, MAX_RUNS, %pred1
	}
	GOTO_IF_NOT %pred0, 9f
	GOTO_IF_NOT %pred1, 8f
	RETURN
8:
	FAIL "not a root block", 3
9:
	FAIL "wrong checksum of the root block", 3

	PROC write_run			! offset, blocks, bytes of the disk
	PRINT "writing "
	{
		addd %dr1, 0, %db[0]
	}
	CALL putdec
	PRINT " blocks at 0x"
	{
		addd %dr0, 0, %db[0]
	}
	CALL puthex
	CALL1 putc, 10
1:
	{
		cmpedb %dr1, 0, %pred0
		addd %dr0, BLOCK, %dr3
	}
	GOTO_IF %pred0, 3f
	{
		cmpbedb %dr3, %dr2, %pred1	! fits the disk?
		subd %dr1, 1, %dr1
	}
	GOTO_IF_NOT %pred1, 4f
	{
		addd %dr0, 0, %db[0]
	}
	CALL fill_buffer
	{
		addd 0, BLK_OUT, %db[0]
		shrd %dr0, SECTOR_SHIFT, %db[1]
		addd 0, buffer, %db[2]
		addd 0, BLOCK, %db[3]
	}
	CALL disk_request
	CALL check_io
	{
		addd %dr0, BLOCK, %dr0
	}
	GOTO 1b
3:
	RETURN
4:
	FAIL "a run lies outside of the disk", 5

	PROC fill_buffer		! byte offset on the disk
	{
		addd 0, buffer, %dr1
		addd 0, BLOCK / 8, %dr2
	}
	{
		addd 0, PATTERN, %dr3
	}
1:
	{
		xord %dr0, %dr3, %dr4
		subd %dr2, 1, %dr2
	}
	{
		std %dr1, 0, %dr4
		addd %dr1, 8, %dr1
		addd %dr0, 8, %dr0
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN
