! The walk of a kernel through a real machine, stages 0 to 4: from the entry in
! physical mode to code in virtual memory ("system/boot-contract.md" B.3).
! Each line it prints names the step it stands for.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "board.inc"

	.equ	TABLE, 0x63 | 1 << 40 | 1 << 41	! present, written, valid, priv
	.equ	LARGE, 0x80
	.equ	GLOBAL, 0x100
	.equ	PAGE, 4096
	.equ	LINEAR, 0xd00000000000
	.equ	KERNEL_VA, 0xe20000000000

! Stores a constant at table + 8 * index.
	.macro	ENTRY table, index, value
	{
		addd 0, \table + 8 * (\index), %dr14
	}
	{
		addd 0, \value, %dr15
	}
	{
		std %dr14, 0, %dr15
	}
	.endm

! Writes a register as it is and looks whether it stays so.
	.macro	REWRITE register
	{
		rrd \register, %dr14
	}
	{
		rwd %dr14, \register
	}
	{
		rrd \register, %dr15
	}
	{
		cmpedb %dr14, %dr15, %pred0
	}
	GOTO_IF %pred0, 9993f
	FAIL "\register changes when it is written", 1
9993:
	.endm

! A stack's address in the linear map.
	.macro	TO_LINEAR register
	{
		rrd \register, %dr14
		addd 0, LINEAR, %dr15
	}
	{
		addd %dr14, %dr15, %dr14
	}
	{
		rwd %dr14, \register
	}
	.endm

	.text
	PROC main				! cpu, boot block
	{
		wait all_c = 1			! 0.1
	}
	{
		addd 0, 1, %dr2
	}
	{
		rwd %dr2, %upsr			! 0.2
	}
	{
		rrd %upsr, %dr2
	}
	CHECK_EQUAL %dr2, 1, "0.2 UPSR"
	{
		addd 0, LAPIC, %dr3
	}
	{
		ldw,2 %dr3, LOCAL_BOOT, %dr2, mas = 0x13
	}
	{
		andd %dr2, 0x100, %dr2
	}
	CHECK_EQUAL %dr2, 0x100, "0.3 bootstrap CPU"
	CALL stage_0
	{
		addd %dr1, 0, %db[0]
	}
	CALL stage_1
	{
		addd %dr1, 0, %db[0]
	}
	CALL stage_2
	CALL stage_3
	PRINT "walk-start passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC stage_0
	{
		rrd %oscud.lo, %dr0
		addd 0, trap_table, %dr2
	}
	{
		rrd %osgd.lo, %dr3
	}
	{
		addd 0, 0xffffffffffff, %dr1
	}
	{
		andd %dr0, %dr1, %dr0
		andd %dr3, %dr1, %dr3
	}
	CHECK_EQUAL %dr0, trap_table, "0.4 OSCUD as written"
	{
		addd 0, 0xfff, %dr2
	}
	{
		andd %dr3, %dr2, %dr4
	}
	CHECK_EQUAL %dr4, 0, "0.4 OSGD is a page's address"
	{
		rrd %idr, %dr2
	}
	{
		addd 0, 0xff, %dr3
	}
	{
		andd %dr2, %dr3, %dr2
	}
	CHECK_EQUAL %dr2, BOARD, "0.5 IDR names the machine"
	{
		addd 0, 0, %dg16
		addd 0, 0, %dg17
	}
	RETURN

	PROC stage_1				! boot block
	{
		ldh %dr0, 0, %dr2
		ldb %dr0, 2, %dr3
	}
	CHECK_EQUAL %dr2, 0xe200, "1.1 signature"
	CHECK_EQUAL %dr3, BOARD, "1.1 model of the boot block"
	{
		ldb %dr0, 0x58, %dr2		! the command line
		ldb %dr0, 0x59, %dr3
	}
	CHECK_EQUAL %dr2, 'c', "1.2 command line"
	CHECK_EQUAL %dr3, 'o', "1.2 and on"
	{
		ldd %dr0, 0x510, %dr2		! no pointer to a longer one
		ldh %dr0, 0xffe, %dr3
	}
	CHECK_EQUAL %dr2, 0, "1.2 no command line pointer"
	CHECK_EQUAL %dr3, 0xaa55, "1.2 marker"
	{
		rrd %core_mode, %dr2
	}
	{
		andd %dr2, 1, %dr2
	}
	CHECK_EQUAL %dr2, 0, "1.3 CORE_MODE"
	{
		ldh %dr0, 0x28, %dr2
		addd 0, barrier, %dr3
	}
	CHECK_EQUAL %dr2, 1, "1.4 CPUs that enter"
	{
		ldw,0 %dr3, 0, %r4, mas = 7	! locked: a barrier's increment
	}
	{
		addd %dr4, 1, %dr4
	}
	{
		stw,2 %dr3, 0, %r4, mas = 2
	}
	{
		ldw %dr3, 0, %dr4
	}
	CHECK_EQUAL %dr4, 1, "1.4 barrier"
	LOCAL_GET LOCAL_ID, %dr2
	CHECK_EQUAL %dr2, 0, "1.5 LAPIC id"
	{
		addd %dr0, 0, %db[0]
	}
	CALL escc_init
	{
		addd 0, 0x77, %dr2
	}
	{
		rwd %dr2, %psr			! 1.8
	}
	{
		rrd %psr, %dr2
	}
	CHECK_EQUAL %dr2, 0x77, "1.8 PSR"
	RETURN

	.pushsection .data
	.align	8
barrier:
	.quad	0
	.popsection

! Writes a constant to WR \reg of the console.
	.macro	WR reg, value
	{
		addd 0, \reg, %dr14
		addd 0, \value, %dr15
	}
	{
		stb %dr1, 0, %r14
	}
	{
		stb %dr1, 0, %r15
	}
	.endm

! Step 1.6, as the boot console driver does it.
	PROC escc_init				! boot block
	{
		ldd %dr0, 0x38, %dr1
		addd 0, console_base, %dr2
	}
	{
		ldd %dr2, 0, %dr2
	}
	WR 9, 0x80				! reset channel A
	WR 4, 0x44				! x16, one stop bit
	WR 3, 0xc0
	WR 5, 0x60
	WR 9, 0
	WR 10, 0
	WR 11, 0x50				! clocks from the generator
	WR 12, 0
	WR 13, 0
	WR 14, 1
	WR 3, 0xc1				! receiver on
	WR 5, 0x68				! transmitter on
	WR 12, 0x5a
	{
		addd 0, 12, %dr3
	}
	{
		stb %dr1, 0, %r3
	}
	{
		ldb %dr1, 0, %dr3
	}
	CHECK_EQUAL %dr3, 0x5a, "1.6 console: register 12"
	{
		ldb %dr1, 0, %dr3
	}
	{
		andd %dr3, 4, %dr3
	}
	CHECK_EQUAL %dr3, 4, "1.6 console: ready to send"
	{
		addd 0, 1, %dr3
	}
	{
		stb %dr1, 0, %r3
	}
	{
		ldb %dr1, 0, %dr3
	}
	{
		andd %dr3, 1, %dr3
	}
	CHECK_EQUAL %dr3, 1, "1.6 console: all sent"
	RETURN

	PROC stage_2				! boot block
	REWRITE %gd.lo				! 2.1
	REWRITE %gd.hi
	REWRITE %osgd.lo
	REWRITE %osgd.hi
	REWRITE %oscud.lo
	REWRITE %oscud.hi
	REWRITE %cud.lo
	REWRITE %cud.hi
	PRINT "ok 2.1 segments of code and data\n"
	{
		ldd %dr0, 8, %dr1
		ldd %dr0, 0x10, %dr2
	}
	{
		addd 0, _start, %dr3
		addd %dr1, %dr2, %dr2
	}
	{
		cmpbdb %dr3, %dr1, %pred0
		cmpbdb %dr3, %dr2, %pred1
	}
	GOTO_IF_NOT %pred0, 1f
	FAIL "2.2 kernel_base is above the entry", 1
1:
	GOTO_IF %pred1, 2f
	FAIL "2.2 kernel_size ends below the entry", 1
2:
	PRINT "ok 2.2 kernel_base, kernel_size\n"
	.if	BOARD == E1CP
	{
		addd 0, HOST_BRIDGE, %dr3
	}
	{
		ldw,2 %dr3, 0x44, %dr1, mas = 0x13
	}
	{
		ldw,2 %dr3, 0x48, %dr2, mas = 0x13
	}
	CHECK_EQUAL %dr1, 0x20000000, "2.3 top of low memory"
	CHECK_EQUAL %dr2, 0, "2.3 no high memory"
	.else
	{
		addd 0, NBSR, %dr3
	}
	{
		ldw,2 %dr3, 0x10, %dr1, mas = 0x13
	}
	{
		ldw,2 %dr3, 0x14, %dr2, mas = 0x13
	}
	{
		andd %dr1, 0xb, %dr1
		andd %dr2, 1, %dr2
	}
	CHECK_EQUAL %dr1, 0xb, "2.3 node 0 with an I/O link"
	CHECK_EQUAL %dr2, 0, "2.3 no other node"
	.endif
	{
		ldd %dr0, 0xd8, %dr1
		ldd %dr0, 0xe0, %dr2
	}
	{
		ldd %dr0, 0x40, %dr4
	}
	CHECK_EQUAL %dr1, 0, "2.4 bank 0 begins at 0"
	CHECK_EQUAL %dr2, 0x20000000, "2.4 its size"
	CHECK_EQUAL %dr4, 1, "2.4 nodes"
	{
		addd 0, 0, %dr1
	}
	{
		std %dr1, 0, %dr1		! page 0 is written
	}
	{
		ldd %dr1, 0, %dr1
		rrd %psp.lo, %dr2
	}
	CHECK_EQUAL %dr1, 0, "2.5 page 0"
	{
		addd 0, 0xffffffffffff, %dr4
		addd 0, 0xfff, %dr5
	}
	{
		andd %dr2, %dr4, %dr2
	}
	{
		andd %dr2, %dr5, %dr1
		cmpbdb %dr2, %dr5, %pred0
	}
	CHECK_EQUAL %dr1, 0, "2.5 procedure stack is a page's"
	{
		rrd %pcsp.lo, %dr2
	}
	{
		andd %dr2, %dr5, %dr1
	}
	CHECK_EQUAL %dr1, 0, "2.5 chain stack is a page's"
	RETURN

! Page tables: the first 512 MiB at LINEAR and, as the code is linked there,
! at 0; devices at 2 GiB to 4 GiB at their own addresses.  A second view of
! the code's first 2 MiB stands for the kernel's own mapping.
	PROC stage_3
	ENTRY root, 0, level3 + TABLE
	ENTRY root, (LINEAR >> 39) & 511, level3_linear + TABLE
	ENTRY root, 511, root + TABLE		! 3.2 self-map
	ENTRY root, (KERNEL_VA >> 39) & 511, level3_kernel + TABLE
	ENTRY level3, 0, level2 + TABLE
	ENTRY level3, 2, level2_low_devices + TABLE
	ENTRY level3, 3, level2_devices + TABLE
	ENTRY level3_linear, (LINEAR >> 30) & 511, level2 + TABLE
	ENTRY level3_kernel, (KERNEL_VA >> 30) & 511, level2 + TABLE
	ENTRY level2_devices, 0x1f6, 0xfec00000 + TABLE + LARGE
	ENTRY level2_devices, 0x1f7, 0xfee00000 + TABLE + LARGE
	{
		addd 0, level2, %db[0]
		addd 0, TABLE + LARGE + GLOBAL, %db[1]
	}
	CALL map_large
	{
		addd 0, level2_low_devices, %db[0]
		addd 0, 0x80000000 + TABLE + LARGE, %db[1]
	}
	CALL map_large
	{
		addd 0, root, %dr1
	}
	{
		mmurw %dr1, %root_ptb		! 3.6
	}
	{
		addd 0, 0, %dr1
	}
	{
		mmurw %dr1, %cont
	}
	{
		mmurr %root_ptb, %dr2
	}
	CHECK_EQUAL %dr2, root, "3.6 root table"
	.ifdef	EPIC				! v6
	{
		mmurw %dr1, %u_vptb
	}
	{
		mmurr %u_vptb, %dr3
	}
	CHECK_EQUAL %dr3, 0, "3.6 virtual root table"
	REWRITE %oscutd
	REWRITE %oscuir
	.endif
	! 3.7: all that is in register files goes to memory; the stacks go on
	! there, by other addresses.
	{
		flushr
	}
	{
		flushc
	}
	TO_LINEAR %psp.lo
	TO_LINEAR %pcsp.lo
	TO_LINEAR %usd.lo
	TO_LINEAR %sbr
	{
		addd 0, 0x809, %dr1
	}
	{
		mmurw %dr1, %mmu_cr		! 3.8
	}
	PRINT "ok 3.8 translation is on\n"
	{
		addd 0, in_kernel_view, %dr1
		addd 0, KERNEL_VA, %dr2
	}
	{
		addd %dr1, %dr2, %dr1
	}
	{
		movtd %dr1, %ctpr1
		nop 4
	}
	{
		call %ctpr1, wbs = 8		! 3.8 the call to virtual memory
	}
	{
		addd %db[0], 0, %dr3
	}
	{
		shrd %dr3, 32, %dr3
	}
	CHECK_EQUAL %dr3, KERNEL_VA >> 32, "3.8 code at its virtual address"
	{
		addd 0, LINEAR, %dr1
		addd 0, barrier, %dr2
	}
	{
		ldw %dr1, %dr2, %dr3
	}
	CHECK_EQUAL %dr3, 1, "3.4 linear map"
	ENTRY root, (KERNEL_VA >> 39) & 511, 0	! 4 unmapping takes effect
	{
		addd 0, 1, %dr14
	}
	{
		std,2 %dr14, 0, %dr14, mas = 0x27
	}
	{
		addd 0, KERNEL_VA, %dr1
		addd 0, barrier, %dr2
	}
	{
		addd %dr3, 0, %dr3 ? %pred31
	}
	{
		ldw %dr1, %dr2, %dr3
	}
	CHECK_TRAP EXC_DATA_PAGE, "4 no equal map any more"
	RETURN

! Where this procedure runs.
	PROC in_kernel_view
	{
		rrd %ip, %dr0
	}
	RETURN

	PROC map_large				! table, first entry
	{
		addd 0, 256, %dr2
	}
1:
	{
		std %dr0, 0, %dr1
		addd %dr1, 0x200000, %dr1
		subd %dr2, 1, %dr2
	}
	{
		addd %dr0, 8, %dr0
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

	.pushsection .bss
	.align	4096
root:
	.skip	PAGE
level3:
	.skip	PAGE
level3_linear:
	.skip	PAGE
level3_kernel:
	.skip	PAGE
level2:
	.skip	PAGE
level2_low_devices:
	.skip	PAGE
level2_devices:
	.skip	PAGE
	.popsection
