! A SCSI host adapter with two disks, target 0: LUN 0 can be written, LUN 1 not.
! tests/system/scsi.py looks at the disk afterwards.  The adapter is a virtio
! device of the memory bus; its queues are polled.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "virtio-blk.inc"

	.equ	ID_SCSI, 8
	.equ	CONTROL, 0
	.equ	COMMANDS, 2
	.equ	REQUEST_BYTES, 51
	.equ	RESPONSE_BYTES, 108
	.equ	DATA_BYTES, 1024
	.equ	GOOD, 0
	.equ	CHECK_CONDITION, 2
	.equ	BAD_TARGET, 3
	.equ	PATTERN, 0x0123456789abcdef

! A command, then COMMAND or REFUSED: target, LUN, bytes to the disk and from it.
	.macro	CDB
	.pushsection .rodata
	.align	8
9994:
	.endm
	.macro	RUN target, lun, out, in
	.skip	32
	.popsection
	{
		addd 0, 9994b, %db[0]
		addd 0, \target, %db[1]
		addd 0, \lun, %db[2]
	}
	{
		addd 0, \out, %db[3]
		addd 0, \in, %db[4]
	}
	CALL command
	.endm
	.macro	COMMAND target, lun, out, in, text
	RUN \target, \lun, \out, \in
	RESPONSE ldh, 10, %dr5			! status, and the adapter's own
	CHECK_EQUAL %dr5, GOOD, "\text"
	.endm
	.macro	REFUSED target, lun, out, in, key, code, text
	RUN \target, \lun, \out, \in
	RESPONSE ldh, 10, %dr5
	CHECK_EQUAL %dr5, CHECK_CONDITION, "\text"
	RESPONSE ldb, 12 + 2, %dr5
	RESPONSE ldb, 12 + 12, %dr6
	CHECK_EQUAL %dr5, \key, "its sense key"
	CHECK_EQUAL %dr6, \code, "its code"
	.endm
	.macro	RESPONSE load, offset, to
	{
		addd 0, response, \to
	}
	{
		\load \to, \offset, \to
	}
	.endm
	.macro	DATA load, offset, to
	{
		addd 0, data, \to
	}
	{
		\load \to, \offset, \to
	}
	.endm

	.text
	PROC main
	CALL adapter_open
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQUAL %dr0, 0, "a SCSI adapter"
	CALL finding
	CALL working
	CALL failing
	CALL managing
	PRINT "scsi passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC finding
	CDB
	.byte	0x12, 0, 0, 0, 36
	COMMAND 0, 0, 0, 36, "INQUIRY"
	DATA ldb, 0, %dr0
	DATA ldd, 8, %dr1
	CHECK_EQUAL %dr0, 0, "is a disk"
	CHECK_EQUAL %dr1, 0x20554d452d4b3245, "its vendor"
	RESPONSE ldw, 4, %dr0
	CHECK_EQUAL %dr0, 0, "nothing is left over"
	CDB
	.byte	0x12, 1, 0x80, 0, 64
	COMMAND 0, 0, 0, 64, "INQUIRY of the serial number"
	DATA ldb, 3, %dr0
	DATA ldw, 4, %dr1
	CHECK_EQUAL %dr0, 4, "its length"
	CHECK_EQUAL %dr1, 0x34333231, "the number"
	RESPONSE ldw, 4, %dr0
	CHECK_EQUAL %dr0, 56, "what is left over"
	CDB
	.byte	0x12, 0, 0, 0, 36
	COMMAND 0, 5, 0, 36, "INQUIRY of a LUN without a disk"
	DATA ldb, 0, %dr0
	CHECK_EQUAL %dr0, 0x7f, "says that there is none"
	CDB
	.byte	0x12, 0, 0, 0, 36
	RUN 9, 0, 0, 36
	RESPONSE ldb, 11, %dr0
	CHECK_EQUAL %dr0, BAD_TARGET, "a target that is not there"
	CDB
	.byte	0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64
	COMMAND 0, 0, 0, 64, "REPORT LUNS"
	DATA ldw, 0, %dr0
	DATA ldb, 8 + 8 + 1, %dr1
	CHECK_EQUAL %dr0, 16 << 24, "two of them"
	CHECK_EQUAL %dr1, 1, "the second is 1"
	CDB
	.byte	0x25
	COMMAND 0, 0, 0, 8, "READ CAPACITY(10)"
	DATA ldd, 0, %dr0
	CHECK_EQUAL %dr0, 0x00020000ff070000, "2048 blocks of 512 bytes"
	CDB
	.byte	0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32
	COMMAND 0, 0, 0, 32, "READ CAPACITY(16)"
	DATA ldd, 0, %dr0
	CHECK_EQUAL %dr0, 0xff07000000000000, "the same"
	CDB
	.byte	0x1a, 0, 8, 0, 64
	COMMAND 0, 1, 0, 64, "MODE SENSE(6)"
	DATA ldb, 2, %dr0
	CHECK_EQUAL %dr0, 0x90, "LUN 1 is protected"
	CDB
	.byte	0
	COMMAND 0, 0, 0, 0, "TEST UNIT READY"
	RETURN

	PROC working
	{
		addd 0, data, %db[0]
		addd 0, PATTERN, %db[1]
	}
	CALL fill
	CDB
	.byte	0x2a, 0, 0, 0, 0, 3, 0, 0, 2
	COMMAND 0, 0, 1024, 0, "WRITE(10)"
	CDB
	.byte	0x35
	COMMAND 0, 0, 0, 0, "SYNCHRONIZE CACHE"
	{
		addd 0, data, %db[0]
		addd 0, -1, %db[1]
	}
	CALL fill
	CDB
	.byte	0x88, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2
	COMMAND 0, 0, 0, 1024, "READ(16)"
	DATA ldd, 0, %dr0
	DATA ldd, 1016, %dr1
	CHECK_EQUAL %dr0, PATTERN, "the first word"
	CHECK_EQUAL %dr1, PATTERN, "and the last"
	CDB
	.byte	0x08, 0, 0, 4, 1
	COMMAND 0, 0, 0, 512, "READ(6)"
	DATA ldd, 0, %dr0
	CHECK_EQUAL %dr0, PATTERN, "block 4"
	CDB
	.byte	0x28, 0, 0, 0, 0, 2, 0, 0, 1
	COMMAND 0, 0, 0, 512, "READ(10)"
	DATA ldd, 504, %dr0
	CHECK_EQUAL %dr0, 0, "block 2 was not written"
	{
		addd 0, data, %dr0
		addd 0, 0x10001600, %dr1
		addd 0, 0, %dr2
	}
	{
		stw %dr0, 0, %r1		! lengths 22 and 16
		addd 0, 100 << 24, %dr3
	}
	{
		stw %dr0, 4, %r2
	}
	{
		stw %dr0, 8, %r2
	}
	{
		stw %dr0, 12, %r3		! block 100
		addd 0, 8 << 24, %dr3
	}
	{
		stw %dr0, 16, %r3		! 8 of them
	}
	{
		stw %dr0, 20, %r2
	}
	CDB
	.byte	0x42, 0, 0, 0, 0, 0, 0, 0, 24
	COMMAND 0, 0, 24, 0, "UNMAP"
	RETURN

	PROC failing
	CDB
	.byte	0x28, 0, 0, 0, 7, 0xff, 0, 0, 2
	REFUSED 0, 0, 0, 1024, 5, 0x21, "a read past the end"
	CDB
	.byte	0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1
	REFUSED 0, 0, 0, 512, 5, 0x21, "a read from the end of numbers"
	CDB
	.byte	0x28, 0, 0, 0, 0, 0, 0, 0, 8
	REFUSED 0, 0, 0, 512, 5, 0x24, "more blocks than memory"
	CDB
	.byte	0x2a, 0, 0, 0, 0, 0, 0, 0, 1
	REFUSED 0, 1, 512, 0, 7, 0x27, "a write to LUN 1"
	CDB
	.byte	0xff
	REFUSED 0, 0, 0, 0, 5, 0x20, "an unknown command"
	CDB
	.byte	0x12, 1, 0x77, 0, 64
	REFUSED 0, 0, 0, 64, 5, 0x24, "an unknown page"
	CDB
	.byte	0x28
	REFUSED 0, 5, 0, 512, 5, 0x25, "a read of a LUN without a disk"
	CDB
	.byte	0
	COMMAND 0, 0, 0, 0, "the disk works on"
	RETURN

! Task management: a reset is done, an abort is not.
	PROC managing
	{
		addd 0, 5, %db[0]
	}
	CALL task
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQUAL %dr0, 0, "reset of a LUN"
	{
		addd 0, 0, %db[0]
	}
	CALL task
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQUAL %dr0, 11, "an abort is refused"
	RETURN

	PROC fill				! data, word
	{
		addd 0, DATA_BYTES / 8, %dr2
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

! command(CDB, target, LUN, bytes out, bytes in)
	PROC command
	{
		addd 0, request, %dr5
		addd 0, 1, %dr6
		addd 0, 0x40, %dr7
	}
	{
		stb %dr5, 0, %r6
		addd 0, 32, %dr8
	}
	{
		stb %dr5, 1, %r1
	}
	{
		stb %dr5, 2, %r7
	}
	{
		stb %dr5, 3, %r2
		addd %dr5, 19, %dr5
	}
1:
	{
		ldb %dr0, 0, %dr6
		addd %dr0, 1, %dr0
		subd %dr8, 1, %dr8
	}
	{
		stb %dr5, 0, %r6
		addd %dr5, 1, %dr5
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd 0, REQUEST_BYTES, %dr6
		addd 0, RESPONSE_BYTES, %dr7
		cmpedb %dr3, 0, %pred1
		cmpedb %dr4, 0, %pred2
	}
	DESC 0, request, %dr6, 1, 1
	GOTO_IF %pred1, 2f
	DESC 1, data, %dr3, 1, 2
	DESC 2, response, %dr7, 2, 0
	GOTO 4f
2:
	GOTO_IF %pred2, 3f
	DESC 1, response, %dr7, 3, 2
	DESC 2, data, %dr4, 2, 0
	GOTO 4f
3:
	DESC 1, response, %dr7, 2, 0
4:
	{
		addd 0, vq_avail, %db[0]
		addd 0, vq_used, %db[1]
		addd 0, COMMANDS, %db[2]
	}
	CALL ring
	RETURN

! task(kind): the answer of the adapter.
	PROC task
	{
		addd 0, request, %dr1
		addd 0, 0, %dr2
	}
	{
		std %dr1, 8, %dr2
		addd 0, 0x400001, %dr3
	}
	{
		stw %dr1, 0, %r2		! task management
	}
	{
		stw %dr1, 4, %r0
	}
	{
		stw %dr1, 8, %r3		! target 0, LUN 0
		addd 0, 24, %dr4
	}
	{
		std %dr1, 16, %dr2
		addd 0, 1, %dr5
	}
	DESC 0, request, %dr4, 1, 1
	DESC 1, response, %dr5, 2, 0
	{
		addd 0, control_avail, %db[0]
		addd 0, control_used, %db[1]
		addd 0, CONTROL, %db[2]
	}
	CALL ring
	RESPONSE ldb, 0, %dr0
	RETURN

! ring(available, used, queue): publishes descriptor 0 and waits.
	PROC ring
	{
		ldh %dr0, 2, %dr7
		addd 0, 0, %dr9
	}
	{
		andd %dr7, VQ_SIZE - 1, %dr8
		addd %dr7, 1, %dr7
	}
	{
		shld %dr8, 1, %dr8
	}
	{
		addd %dr0, %dr8, %dr8
	}
	{
		sth %dr8, 4, %r9
	}
	{
		wait st_c = 1
	}
	{
		sth %dr0, 2, %r7
		addd 0, blk_base, %dr3
	}
	{
		ldd %dr3, 0, %dr3
	}
	{
		wait st_c = 1
	}
	{
		stw %dr3, 0x50, %r2
	}
1:
	{
		ldh %dr1, 2, %dr6
		addd 0, 0xffff, %dr8
	}
	{
		subd %dr6, %dr7, %dr6
	}
	{
		andd %dr6, %dr8, %dr6
	}
	{
		cmpedb %dr6, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

	.macro	QUEUE number, avail, used
	REG_SET %dr0, 0x30, \number
	REG_SET %dr0, 0x38, VQ_SIZE
	REG_SET %dr0, 0x80, vq_desc
	REG_SET %dr0, 0x84, 0
	REG_SET %dr0, 0x90, \avail
	REG_SET %dr0, 0x94, 0
	REG_SET %dr0, 0xa0, \used
	REG_SET %dr0, 0xa4, 0
	REG_SET %dr0, 0x44, 1
	.endm

! The slot of an adapter; 1 when there is none.
	PROC adapter_open
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
		cmpedb %dr2, ID_SCSI, %pred0
		cmpedb %dr1, 0, %pred1
	}
	GOTO_IF %pred0, 2f
	{
		addd %dr0, VIRTIO_STRIDE, %dr0
	}
	GOTO_IF_NOT %pred1, 1b
	{
		addd 0, 1, %dr0
	}
	RETURN
2:
	{
		addd 0, blk_base, %dr3
	}
	{
		std %dr3, 0, %dr0
	}
	REG_SET %dr0, 0x70, 0
	REG_SET %dr0, 0x70, 1
	REG_SET %dr0, 0x70, 3
	REG_SET %dr0, 0x24, 1
	REG_SET %dr0, 0x20, 1
	REG_SET %dr0, 0x70, 11
	QUEUE CONTROL, control_avail, control_used
	QUEUE COMMANDS, vq_avail, vq_used
	REG_SET %dr0, 0x70, 15
	{
		addd 0, 0, %dr0
	}
	RETURN

	.pushsection .bss
	.align	16
control_avail:
	.skip	4 + 2 * VQ_SIZE + 2
	.align	8
control_used:
	.skip	4 + 8 * VQ_SIZE + 2
	.align	16
request:
	.skip	64
response:
	.skip	128
data:
	.skip	DATA_BYTES
	.popsection
