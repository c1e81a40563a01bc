! ioctls in both modes.  Without an argument: what every host has, and that
! block-device requests to something else are refused.  With the name of a
! loop device (1 MiB): the requests themselves.

	.include "lib.inc"
	.include "answers.inc"

	.equ	SYS_socket, 403
	.equ	FIONREAD, 0x541b
	.equ	SIOCGIFCONF, 0x8912
	.equ	SIOCGIFFLAGS, 0x8913
	.equ	SIOCGIFINDEX, 0x8933
	.equ	BLKGETSIZE, 0x1260
	.equ	BLKROGET, 0x125e
	.equ	BLKRAGET, 0x1263
	.equ	BLKSSZGET, 0x1268
	.equ	BLKPBSZGET, 0x127b
	.equ	BLKPG, 0x1269
	.equ	HDIO_GETGEO, 0x0301
	.equ	LOOP_GET_STATUS, 0x4c03
	.equ	LOOP_GET_STATUS64, 0x4c05
	.equ	SG_IO, 0x2285
	.ifdef	NARROW
	.equ	BLKBSZGET, 0x80041270
	.equ	BLKGETSIZE64, 0x80041272
	.equ	IFREQ, 32
	.equ	GEO, 8
	.equ	STATUS_NAME, 36
	.else
	.equ	BLKBSZGET, 0x80081270
	.equ	BLKGETSIZE64, 0x80081272
	.equ	IFREQ, 40
	.equ	GEO, 16
	.equ	STATUS_NAME, 48
	.endif

	.pushsection .data
	.align	8
conf:
	WORDS	0, 0				! a length, no pointer
.ifndef NARROW
sg:						! data at where the emulator is
	.word	0x53, -3
	.byte	6, 32
	.half	0
	.word	8
	.dword	0x500000000000, 0x10000, 0x10000
	.word	1000, 0, 0, 0
	.dword	0
	.skip	32
.endif
text:
	.ascii	"abc"
	.align	8
loopback:
	.asciz	"lo"
	.popsection
	.pushsection .bss
	.align	8
ends:
	.skip	8
	.popsection

	.macro	NOT_HERE request
	ANSWERS -25, "\request is not for this", SYS_ioctl, %dr20, \request, buffer
	.endm

	PROC general
	SYSCALL SYS_pipe, ends
	{
		ADDR ends, %dr9
	}
	{
		ldw %dr9, 0, %dr20
		ldw %dr9, 4, %dr21
	}
	SYSCALL SYS_write, %dr21, text, 3
	FILLS 4, "FIONREAD", SYS_ioctl, %dr20, FIONREAD, buffer
	NOT_HERE BLKGETSIZE
	NOT_HERE BLKGETSIZE64
	NOT_HERE BLKSSZGET
	NOT_HERE BLKROGET
	NOT_HERE BLKBSZGET
	NOT_HERE LOOP_GET_STATUS64
	NOT_HERE HDIO_GETGEO
	.ifndef NARROW
	ANSWERS -14, "pointers in SG_IO are checked", SYS_ioctl, %dr20, SG_IO, sg
	.endif
	GIVES %dr20, "a socket", SYS_socket, 2, 2, 0
	CALL fill
	PUT d, buffer, 0, 0x6f6c		! "lo"
	PUT d, buffer, 8, 0
	ANSWERS 0, "SIOCGIFINDEX", SYS_ioctl, %dr20, SIOCGIFINDEX, buffer
	HOLDS 1, "the loopback is the first", w, buffer, 16
	HOLDS CANARY, "the structure has its size", w, buffer, IFREQ
	ANSWERS 0, "SIOCGIFCONF", SYS_ioctl, %dr20, SIOCGIFCONF, conf
	{
		ADDR conf, %dr9
		addd 0, IFREQ, %dr12
	}
	{
		ldw %dr9, 0, %dr10
	}
	{
		udivd %dr10, %dr12, %dr11
	}
	{
		muld %dr11, %dr12, %dr11
	}
	{
		subd %dr11, %dr10, %dr9
	}
	CHECK_EQ %dr9, 0, "has whole structures"
	RETURN

	PROC block				! name of a loop device
	GIVES %dr20, "a loop device", SYS_open, %dr0, 0
	FILLS 8, "BLKGETSIZE64", SYS_ioctl, %dr20, BLKGETSIZE64, buffer
	HOLDS 0x100000, "1 MiB", d, buffer
	FILLS WORD, "BLKGETSIZE", SYS_ioctl, %dr20, BLKGETSIZE, buffer
	HOLDS 2048, "sectors", w, buffer
	FILLS 4, "BLKSSZGET", SYS_ioctl, %dr20, BLKSSZGET, buffer
	HOLDS 512, "bytes each", w, buffer
	FILLS 4, "BLKPBSZGET", SYS_ioctl, %dr20, BLKPBSZGET, buffer
	FILLS 4, "BLKROGET", SYS_ioctl, %dr20, BLKROGET, buffer
	HOLDS 1, "read only", w, buffer
	FILLS 4, "BLKBSZGET", SYS_ioctl, %dr20, BLKBSZGET, buffer
	FILLS WORD, "BLKRAGET", SYS_ioctl, %dr20, BLKRAGET, buffer
	FILLS 232, "LOOP_GET_STATUS64", SYS_ioctl, %dr20, LOOP_GET_STATUS64, buffer
	HOLDS 0x706d742f, "names its file", w, buffer, 56
	ANSWERS 0, "LOOP_GET_STATUS", SYS_ioctl, %dr20, LOOP_GET_STATUS, buffer
	HOLDS 0x706d742f, "names it, too", w, buffer, STATUS_NAME
	RETURN

	PROC main
	{
		cmpedb %dr0, 2, %pred0
		LOAD_POINTER %dr1, WORD, %dr8
	}
	GOTO_IF %pred0, 1f
	CALL general
	DONE
1:
	{
		addd %dr8, 0, %db[0]
	}
	CALL block
	DONE
