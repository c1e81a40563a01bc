! virtio network card and console, on the memory bus: sends a frame, echoes
! what comes in until a frame begins with "stop", and copies console input to
! console output.
!
! Frames it sends carry type 0x88b5 (local experiments).  The first has
! "hello"; every other is what came in, addresses swapped.

	.include "lib.inc"

	.equ	VQ_SIZE, 8
	.equ	NET, 1
	.equ	CONSOLE_ID, 3
	.equ	FRAME, 2048

	.macro	REG_SET base, offset, value
	{
		addd 0, \value, %dr15
	}
	{
		stw \base, \offset, %r15
	}
	.endm

! Register of the slot at %dr0 := register + offset.
	.macro	REG_ADD offset, reg, more
	{
		addd \reg, \more, %dr15
	}
	{
		stw %dr0, \offset, %r15
	}
	.endm

! Queue n of the slot at %dr0, rings at \rings: table, available at + 128,
! used at + 256, and a word of the driver's own at + 384.
	.macro	QUEUE n, rings
	REG_SET %dr0, 0x30, \n
	REG_SET %dr0, 0x38, VQ_SIZE
	REG_ADD 0x80, \rings, 0
	REG_SET %dr0, 0x84, 0
	REG_ADD 0x90, \rings, 128
	REG_SET %dr0, 0x94, 0
	REG_ADD 0xa0, \rings, 256
	REG_SET %dr0, 0xa4, 0
	REG_SET %dr0, 0x44, 1
	.endm

	.text
	PROC main
	{
		addd 0, NET, %db[0]
	}
	{
		addd 0, net_in, %db[1]
	}
	{
		addd 0, net_out, %db[2]
	}
	CALL open
	{
		addd %db[0], 0, %dr1		! registers of the card
	}
	{
		addd 0, CONSOLE_ID, %db[0]
	}
	{
		addd 0, con_in, %db[1]
	}
	{
		addd 0, con_out, %db[2]
	}
	CALL open
	{
		addd %db[0], 0, %dr2
	}
	{
		ldw %dr1, 0x100, %dr3
		ldh %dr1, 0x104, %dr4
	}
	PRINT "card "
	{
		addd %dr3, 0, %db[0]
	}
	CALL puthex
	CALL1 putc, 32
	{
		addd %dr4, 0, %db[0]
	}
	CALL puthex
	CALL1 putc, 10
	{
		addd 0, net_in, %db[0]		! one buffer for each input
	}
	{
		addd 0, frame_in, %db[1]
	}
	{
		addd 0, FRAME, %db[2]
	}
	{
		addd 0, 2, %db[3]
	}
	{
		addd %dr1, 0, %db[4]
	}
	{
		addd 0, 0, %db[5]
	}
	CALL offer
	{
		addd 0, con_in, %db[0]
	}
	{
		addd 0, text_in, %db[1]
	}
	{
		addd 0, 64, %db[2]
	}
	{
		addd 0, 2, %db[3]
	}
	{
		addd %dr2, 0, %db[4]
	}
	{
		addd 0, 0, %db[5]
	}
	CALL offer
	{
		addd 0, net_out, %db[0]
	}
	{
		addd 0, hello, %db[1]
	}
	{
		addd 0, hello_end - hello, %db[2]
	}
	{
		addd 0, 0, %db[3]
	}
	{
		addd %dr1, 0, %db[4]
	}
	{
		addd 0, 1, %db[5]
	}
	CALL exchange
1:						! console input?
	{
		addd 0, con_in, %db[0]
	}
	CALL took
	{
		addd %db[0], 0, %dr3
	}
	{
		cmpedb %dr3, 0, %pred0
	}
	GOTO_IF %pred0, 2f
	{
		addd 0, con_out, %db[0]
	}
	{
		addd 0, text_in, %db[1]
	}
	{
		addd %dr3, 0, %db[2]
	}
	{
		addd 0, 0, %db[3]
	}
	{
		addd %dr2, 0, %db[4]
	}
	{
		addd 0, 1, %db[5]
	}
	CALL exchange
	{
		addd 0, con_in, %db[0]
	}
	{
		addd 0, text_in, %db[1]
	}
	{
		addd 0, 64, %db[2]
	}
	{
		addd 0, 2, %db[3]
	}
	{
		addd %dr2, 0, %db[4]
	}
	{
		addd 0, 0, %db[5]
	}
	CALL offer
2:						! a frame?
	{
		addd 0, net_in, %db[0]
	}
	CALL took
	{
		addd %db[0], 0, %dr3
		addd 0, frame_in + 12, %dr4
	}
	{
		cmpedb %dr3, 0, %pred0
		ldw %dr4, 14, %dr5
	}
	{
		addd 0, 0x706f7473, %dr6	! "stop"
	}
	GOTO_IF %pred0, 1b
	{
		cmpedb %dr5, %dr6, %pred1
		ldw %dr4, 0, %dr7		! swap the addresses
		ldh %dr4, 4, %dr8
	}
	GOTO_IF %pred1, 3f
	{
		ldw %dr4, 6, %dr9
	}
	{
		ldh %dr4, 10, %dr10
		stw %dr4, 6, %r7
	}
	{
		sth %dr4, 10, %r8
	}
	{
		stw %dr4, 0, %r9
	}
	{
		sth %dr4, 4, %r10
		addd 0, net_out, %db[0]
		addd 0, frame_in, %db[1]
		addd %dr3, 0, %db[2]
		addd 0, 0, %db[3]
	}
	{
		addd %dr1, 0, %db[4]
	}
	{
		addd 0, 1, %db[5]
	}
	CALL exchange
	{
		addd 0, net_in, %db[0]
	}
	{
		addd 0, frame_in, %db[1]
	}
	{
		addd 0, FRAME, %db[2]
	}
	{
		addd 0, 2, %db[3]
	}
	{
		addd %dr1, 0, %db[4]
	}
	{
		addd 0, 0, %db[5]
	}
	CALL offer
	GOTO 1b
3:
	PRINT "net passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! open(device id, rings of queue 0, of queue 1): its registers.
	PROC open
	{
		addd %dr0, 0, %dr3
		addd 0, VIRTIO, %dr0
		addd 0, 16, %dr4
	}
1:
	{
		ldw %dr0, 8, %dr5
		subd %dr4, 1, %dr4
	}
	{
		cmpedb %dr5, %dr3, %pred0
		cmpedb %dr4, 0, %pred1
	}
	GOTO_IF %pred0, 2f
	{
		addd %dr0, VIRTIO_STRIDE, %dr0
	}
	GOTO_IF_NOT %pred1, 1b
	FAIL "no card or console", 2
2:
	REG_SET %dr0, 0x70, 0
	REG_SET %dr0, 0x70, 3
	REG_SET %dr0, 0x24, 1
	REG_SET %dr0, 0x20, 1
	REG_SET %dr0, 0x24, 0
	REG_SET %dr0, 0x20, 0
	REG_SET %dr0, 0x70, 11
	{
		addd %dr1, 0, %dr6
		addd %dr2, 0, %dr7
	}
	QUEUE 0, %dr6
	QUEUE 1, %dr7
	REG_SET %dr0, 0x70, 15
	RETURN

! offer(rings, buffer, bytes, flags, registers, queue): descriptor 0.
	PROC offer
	{
		std %dr0, 0, %dr1
		addd %dr0, 128, %dr6
	}
	{
		stw %dr0, 8, %r2
	}
	{
		stw %dr0, 12, %r3
	}
	{
		ldh %dr6, 2, %dr7
		addd 0, 0, %dr10
	}
	{
		andd %dr7, VQ_SIZE - 1, %dr8
		addd %dr7, 1, %dr7
	}
	{
		shld %dr8, 1, %dr8
	}
	{
		addd %dr6, %dr8, %dr8
	}
	{
		sth %dr8, 4, %r10
	}
	{
		wait st_c = 1
	}
	{
		sth %dr6, 2, %r7
	}
	{
		wait st_c = 1
	}
	{
		stw %dr4, 0x50, %r5
	}
	RETURN

! took(rings): bytes of the request that the device has answered, 0: none.
	PROC took
	{
		addd %dr0, 256, %dr1
		addd 0, 0, %dr6
	}
	{
		ldh %dr1, 2, %dr2
		ldh %dr0, 130, %dr3
	}
	{
		cmpedb %dr2, %dr3, %pred0
		subd %dr2, 1, %dr2
	}
	GOTO_IF %pred0, 1f
	{
		addd 0, 0, %dr0
	}
	RETURN
1:
	{
		ldd %dr0, 384, %dr4		! already reported?
		addd %dr2, 1, %dr5
	}
	{
		cmpedb %dr4, %dr5, %pred1
		std %dr0, 384, %dr5
		andd %dr2, VQ_SIZE - 1, %dr2
	}
	{
		shld %dr2, 3, %dr2
	}
	{
		addd %dr1, %dr2, %dr1
	}
	{
		ldw %dr1, 8, %dr0
	}
	{
		addd 0, 0, %dr0 ? %pred1
	}
	RETURN

! exchange(...): as offer, and waits for the answer.
	PROC exchange
	{
		addd %dr0, 0, %db[0]
	}
	{
		addd %dr1, 0, %db[1]
	}
	{
		addd %dr2, 0, %db[2]
	}
	{
		addd %dr3, 0, %db[3]
	}
	{
		addd %dr4, 0, %db[4]
	}
	{
		addd %dr5, 0, %db[5]
	}
	CALL offer
1:
	{
		ldh %dr0, 258, %dr1
		ldh %dr0, 130, %dr2
	}
	{
		cmpedb %dr1, %dr2, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

	.pushsection .data
	.align	8
hello:						! header, then the frame
	.skip	12
	.byte	0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	.byte	0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x88, 0xb5
	.ascii	"hello"
hello_end:
	.popsection

	.pushsection .bss
	.align	16
net_in:
	.skip	512
net_out:
	.skip	512
con_in:
	.skip	512
con_out:
	.skip	512
frame_in:
	.skip	FRAME
text_in:
	.skip	64
	.popsection
