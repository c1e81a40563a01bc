! The virt board's small devices: device tree, clock, random bytes, and a reset
! that it asks for once.  It prints what it finds; tests/system/virt-devices.py
! compares that with the host.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "virtio-blk.inc"

	.equ	ID_RNG, 4
	.equ	BYTES, 64

	.text
	PROC main				! cpu, boot block, device tree
	PRINT "tree "
	{
		addd %dr2, 0, %db[0]
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF %pred0, 1f
	{
		ldd %dr2, 0, %db[0]
	}
1:
	CALL puthex
	PRINT "\nclock "
	{
		addd 0, RTC, %dr3
	}
	{
		ldd %dr3, 0, %dr4
	}
	{
		addd %dr4, 0, %db[0]
	}
	CALL putdec
	PRINT "\n"
2:
	{
		ldd %dr3, 0, %dr5
	}
	{
		cmpbdb %dr4, %dr5, %pred0
	}
	GOTO_IF_NOT %pred0, 2b
	PRINT "ok the clock goes on\n"
	CALL random
	! A reset keeps RAM: a word there tells that this is the second time.
	{
		addd 0, 0x1000, %dr3
		addd 0, 0x7777, %dr4
	}
	{
		ldw %dr3, 0, %dr5
		addd 0, POWER, %dr6
	}
	{
		cmpedb %dr5, %dr4, %pred0
	}
	GOTO_IF %pred0, 3f
	{
		stw %dr3, 0, %r4
	}
	{
		wait st_c = 1
	}
	PRINT "reset\n"
	{
		stw %dr6, 0, %r4
	}
4:
	GOTO 4b
3:
	PRINT "virt-devices passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! Random bytes of the first entropy device; an answer longer than asked for
! would overwrite what follows.
	PROC random
	{
		addd 0, VIRTIO, %dr0
		addd 0, 16, %dr1
	}
1:
	{
		ldw %dr0, 8, %dr2
		subd %dr1, 1, %dr1
	}
	{
		cmpedb %dr2, ID_RNG, %pred0
		cmpedb %dr1, 0, %pred1
	}
	GOTO_IF %pred0, 2f
	{
		addd %dr0, VIRTIO_STRIDE, %dr0
	}
	GOTO_IF_NOT %pred1, 1b
	FAIL "there is no entropy device", 1
2:
	REG_SET %dr0, 0x70, 0
	REG_SET %dr0, 0x70, 1
	REG_SET %dr0, 0x70, 3
	REG_SET %dr0, 0x24, 1
	REG_SET %dr0, 0x20, 1
	REG_SET %dr0, 0x70, 11
	REG_SET %dr0, 0x30, 0
	REG_SET %dr0, 0x38, VQ_SIZE
	REG_SET %dr0, 0x80, vq_desc
	REG_SET %dr0, 0x84, 0
	REG_SET %dr0, 0x90, vq_avail
	REG_SET %dr0, 0x94, 0
	REG_SET %dr0, 0xa0, vq_used
	REG_SET %dr0, 0xa4, 0
	REG_SET %dr0, 0x44, 1
	REG_SET %dr0, 0x70, 15
	{
		addd 0, vq_used, %dr5
		addd 0, 0, %dr6
	}
	{
		stw %dr5, 0, %r6		! the rings are new
		addd 0, BYTES, %dr3
	}
	{
		stw %dr5, 4, %r6
	}
	DESC 0, random_bytes, %dr3, 2, 0
	{
		addd 0, vq_avail, %dr4
		addd 0, 1 << 16, %dr7
	}
	{
		stw %dr4, 4, %r6
	}
	{
		stw %dr4, 0, %r7
	}
	{
		wait st_c = 1
	}
	{
		stw %dr0, 0x50, %r6
	}
3:
	{
		ldh %dr5, 2, %dr6
	}
	{
		cmpedb %dr6, 1, %pred0
	}
	GOTO_IF_NOT %pred0, 3b
	{
		ldw %dr5, 8, %dr6
		addd 0, random_bytes, %dr4
	}
	CHECK_EQUAL %dr6, BYTES, "random bytes"
	{
		ldd %dr4, BYTES, %dr6
	}
	CHECK_EQUAL %dr6, 0, "and no more of them"
	PRINT "random "
4:
	{
		ldd %dr4, 0, %db[0]
		addd %dr4, 8, %dr4
		subd %dr3, 8, %dr3
	}
	CALL puthex
	{
		cmpedb %dr3, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 4b
	PRINT "\n"
	RETURN

	.pushsection .bss
	.align	8
random_bytes:
	.skip	BYTES + 8
	.popsection
