! Streams a virtio disk: the first block says how.
!
!     0 "E2KBENCH"   8 request type (0 read, 1 write)   16 bytes
!    24 bytes of a request, at most 1 MiB   32 requests in flight, at most 21
!    40 offset of the first byte
!
! It sleeps until the device interrupts, with interrupts masked: the wait
! ends when one is pending.  Prints the nanoseconds that it took.

	.include "lib.inc"
	.include "virtio-blk.inc"

	.equ	MAGIC, 0x48434e45424b3245
	.equ	DEPTH_MAX, 21
	.equ	RING, 64
	.equ	SLOT, 4096			! of a request: header, status
	.equ	VECTOR, 0x31
	.equ	BUFFERS, 0x2000000

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
		addd 0, BLK_IN, %db[0]
		addd 0, 0, %db[1]
	}
	{
		addd 0, plan, %db[2]
		addd 0, 512, %db[3]
	}
	CALL disk_request
	{
		addd 0, plan, %dr0
		addd 0, MAGIC, %dr1
	}
	{
		ldd %dr0, 0, %dr2
	}
	{
		cmpedb %dr1, %dr2, %pred0
	}
	GOTO_IF %pred0, 2f
	FAIL "no plan on the disk", 3
2:
	CALL interrupts
	CALL big_ring
	{
		addd 0, RTC, %dr1
	}
	{
		ldd %dr1, 0, %dr2
	}
	CALL stream
	{
		ldd %dr1, 0, %dr3
	}
	{
		subd %dr3, %dr2, %dr3
	}
	PRINT "ns: "
	{
		addd %dr3, 0, %db[0]
	}
	CALL putdec
	PRINT "\nstream passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! The slot's pin goes to CPU 0, level.
	PROC interrupts
	{
		addd 0, blk_base, %dr0
		addd 0, VIRTIO, %dr1
	}
	{
		ldd %dr0, 0, %dr0
	}
	{
		subd %dr0, %dr1, %dr0
		addd 0, IOAPIC, %dr1
	}
	{
		shrd %dr0, 9, %dr0		! number of the slot
		addd 0, VECTOR | 1 << 15, %dr3
	}
	{
		shld %dr0, 1, %dr0
		addd 0, LAPIC, %dr4
	}
	{
		addd %dr0, 0x10 + 16, %dr0
		addd 0, 0x1ff, %dr5
	}
	{
		stw %dr1, 0, %r0
	}
	{
		stw %dr1, 0x10, %r3
	}
	{
		stw %dr4, 0xf0, %r5
		addd 0, 0, %dr5
	}
	{
		stw %dr4, 0x80, %r5
	}
	RETURN

! Queue 0 again, larger than the polled driver's.
	PROC big_ring
	{
		addd 0, blk_base, %dr0
	}
	{
		ldd %dr0, 0, %dr0
	}
	REG_SET %dr0, 0x44, 0
	REG_SET %dr0, 0x38, RING
	REG_SET %dr0, 0x80, ring_desc
	REG_SET %dr0, 0x90, ring_avail
	REG_SET %dr0, 0xa0, ring_used
	REG_SET %dr0, 0x44, 1
	RETURN

! %dg16 next offset, %dg17 end, %dg18 bytes of a request, %dg19 its type,
! %dg20 in flight.
	PROC stream
	{
		addd 0, plan, %dr0
		addd 0, 0, %dg20
	}
	{
		ldd %dr0, 40, %dg16
		ldd %dr0, 16, %dr1
	}
	{
		ldd %dr0, 24, %dg18
		ldd %dr0, 8, %dg19
		addd %dg16, %dr1, %dg17
	}
	{
		ldd %dr0, 32, %dr2
		addd 0, 0, %dr3
		addd 0, 0, %dr7			! used entries seen
	}
1:						! fill the queue
	{
		addd %dr3, 0, %db[0]
	}
	CALL submit
	{
		addd %dr3, 1, %dr3
	}
	{
		cmpbdb %dr3, %dr2, %pred0
	}
	GOTO_IF %pred0, 1b
	CALL ring_bell
2:						! what has been answered
	{
		addd 0, ring_used, %dr4
	}
	{
		ldh %dr4, 2, %dr5
		addd 0, 0, %dr8
	}
3:
	{
		cmpedb %dr5, %dr7, %pred0
		andd %dr7, RING - 1, %dr6
	}
	GOTO_IF %pred0, 4f
	{
		shld %dr6, 3, %dr6
		addd %dr7, 1, %dr7
		subd %dg20, 1, %dg20
	}
	{
		addd %dr4, %dr6, %dr6
		addd 0, 0xffff, %dr9
	}
	{
		ldw %dr6, 4, %dr6		! head: 3 * request
		andd %dr7, %dr9, %dr7
	}
	{
		udivd %dr6, 3, %dr6
		addd 0, 1, %dr8
		addd 0, slots + 16, %dr9
	}
	{
		shld %dr6, 12, %dr10
		addd %dr6, 0, %db[0]
	}
	{
		ldb %dr9, %dr10, %dr9
	}
	{
		cmpedb %dr9, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 7f
	CALL submit
	GOTO 3b
7:
	FAIL "the disk reports an error", 4
4:
	{
		cmpedb %dr8, 0, %pred0
		cmpedb %dg20, 0, %pred1
	}
	GOTO_IF %pred1, 6f
	GOTO_IF %pred0, 5f
	CALL ring_bell
	GOTO 2b
5:
	CALL sleep
	GOTO 2b
6:
	RETURN

! Until the device interrupts; then everything is acknowledged.
	PROC sleep
	{
		wait trap = 1
	}
	{
		addd 0, LAPIC, %dr0
		addd 0, blk_base, %dr1
	}
	{
		ldw %dr0, 0xff0, %dr2
		ldd %dr1, 0, %dr1
		addd 0, 0xff, %dr4
	}
	{
		andd %dr2, %dr4, %dr2
	}
	{
		cmpedb %dr2, VECTOR, %pred0
		ldw %dr1, 0x60, %dr3
		addd 0, 0, %dr4
	}
	{
		stw %dr1, 0x64, %r3
	}
	{
		stw %dr0, 0xb0, %r4 ? %pred0
	}
	RETURN

	PROC ring_bell
	{
		addd 0, blk_base, %dr0
		addd 0, 0, %dr1
	}
	{
		ldd %dr0, 0, %dr0
	}
	{
		wait st_c = 1
	}
	{
		stw %dr0, 0x50, %r1
	}
	RETURN

! Starts request n at the next offset, if there is more to do.
	PROC submit
	{
		cmpbdb %dg16, %dg17, %pred0
		addd 0, 16 * 3, %dr1
		shld %dr0, 12, %dr2
	}
	GOTO_IF %pred0, 1f
	RETURN
1:
	{
		muld %dr0, %dr1, %dr1
		addd 0, slots, %dr3
	}
	{
		addd %dr3, %dr2, %dr2		! its slot
		addd 0, ring_desc, %dr3
		shld %dr0, 20, %dr4
	}
	{
		addd %dr3, %dr1, %dr1		! its descriptors
		addd 0, BUFFERS, %dr5
		muld %dr0, 3, %dr6
	}
	{
		addd %dr4, %dr5, %dr4		! its buffer
		shrd %dg16, 9, %dr7
		addd 0, 0, %dr8
	}
	{
		stw %dr2, 0, %g19
	}
	{
		stw %dr2, 4, %r8
	}
	{
		std %dr2, 8, %dr7
		addd %dr6, 1, %dr7
	}
	{
		std %dr1, 0, %dr2
		addd 0, 16, %dr9
	}
	{
		stw %dr1, 8, %r9
		shld %dr7, 16, %dr7
	}
	{
		addd %dr7, 1, %dr9		! next
	}
	{
		stw %dr1, 12, %r9
	}
	{
		std %dr1, 16, %dr4
		addd 0, 0x10000, %dr10
	}
	{
		stw %dr1, 24, %g18
		addd %dr7, %dr10, %dr7
		cmpedb %dg19, 0, %pred1
	}
	{
		addd %dr7, 3, %dr9 ? %pred1	! the device writes it
		addd %dr7, 1, %dr9 ? ~%pred1
	}
	{
		stw %dr1, 28, %r9
		addd %dr2, 16, %dr2		! status
		addd 0, 0xff, %dr9
	}
	{
		stb %dr2, 0, %r9
	}
	{
		std %dr1, 32, %dr2
		addd 0, 1, %dr9
	}
	{
		stw %dr1, 40, %r9
		addd 0, 2, %dr9
	}
	{
		stw %dr1, 44, %r9
		addd 0, ring_avail, %dr3
	}
	{
		ldh %dr3, 2, %dr4
	}
	{
		andd %dr4, RING - 1, %dr5
		addd %dr4, 1, %dr4
	}
	{
		shld %dr5, 1, %dr5
	}
	{
		addd %dr3, %dr5, %dr5
	}
	{
		sth %dr5, 4, %r6
	}
	{
		wait st_c = 1
	}
	{
		sth %dr3, 2, %r4
		addd %dg16, %dg18, %dg16
		addd %dg20, 1, %dg20
	}
	RETURN

	.pushsection .bss
	.align	4096
plan:
	.skip	512
	.align	16
ring_desc:
	.skip	16 * RING
ring_avail:
	.skip	4 + 2 * RING + 2
	.align	4
ring_used:
	.skip	4 + 8 * RING + 2
	.align	4096
slots:
	.skip	SLOT * DEPTH_MAX
	.popsection
