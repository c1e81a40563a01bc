! Runs a Linux program: the smallest kernel that can.  The program, a static
! executable below 16 MiB with the system calls write and exit, comes as the
! initrd.  It runs in user mode, at its own addresses: translated by 4 KiB
! pages, or physical ones with -append physical.
!
! Link it at 16 MiB; run it with -m 256.

	.include "kernel-lib.inc"

	.equ	BB_RAMDISK, 0x18
	.equ	BB_ARGS, 0x58
	.equ	USER_BYTES, 16 << 20
	.equ	USER_MEMORY, 128 << 20	! where it really is
	.equ	USER_PSR, 6		! ie, sge
	.equ	STACK_TOP, USER_BYTES - 0x10000
	.equ	STACK_SIZE, 1 << 20
	.equ	LETTER_P, 0x70
	.equ	SYS_EXIT, 1
	.equ	SYS_WRITE, 4

	.text
	.align	4096
	.global	trap_table
trap_table:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
	}
	CALL1 puts, trap_text
	{
		rrd %tir.hi, %db[0]
	}
	CALL puthex
	CALL1 puts, trap_at_text
	{
		rrd %tir.lo, %db[0]
	}
	CALL puthex
	CALL1 putc, 10
	EXIT EXIT_TRAP

	.pushsection .rodata
trap_text:
	.asciz	"unexpected trap, tir.hi "
trap_at_text:
	.asciz	" tir.lo "
	.popsection

! System calls: number, then arguments.
	.org	trap_table + 3 * 0x800
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
	}
	{
		cmpedb %dr0, SYS_EXIT, %pred0
		cmpedb %dr0, SYS_WRITE, %pred1
	}
	GOTO_IF_NOT %pred0, 1f
	{
		addd %dr1, 0, %db[0]
	}
	CALL exit
1:
	GOTO_IF %pred1, 2f
	FAIL "unknown system call", 1
2:						! descriptor, bytes, number
	{
		addd 0, UART, %dr4
		addd %dr3, 0, %dr5
	}
3:
	{
		cmpedb %dr5, 0, %pred0
	}
	GOTO_IF %pred0, 4f
	{
		ldb %dr2, 0, %dr6
		subd %dr5, 1, %dr5
	}
	{
		stb %dr4, 0, %r6
		addd %dr2, 1, %dr2
	}
	GOTO 3b
4:
	{
		addd %dr3, 0, %dr0
	}
	RETURN

	PROC main
	{
		ldd %dr1, BB_RAMDISK, %dr3
	}
	{
		ldb %dr1, BB_ARGS, %dr4
		addd 0, USER_MEMORY, %dr5
	}
	{
		cmpedb %dr4, LETTER_P, %pred0
		cmpedb %dr3, 0, %pred1
	}
	{
		addd 0, 0, %dr5 ? %pred0
	}
	GOTO_IF_NOT %pred1, 1f
	FAIL "no program: use -initrd", 1
1:
	GOTO_IF %pred0, 2f
	CALL map_all
2:
	{
		addd %dr3, 0, %db[0]
		addd %dr5, 0, %db[1]
	}
	CALL load_elf
	{
		addd %db[0], 0, %dr6		! entry
		addd 0, 8, %dr1
	}
	{
		rwd %dr1, %osem			! entry 3 is open
	}
	{
		flushr
		flushc
	}
	{
		addd 0, user_psp, %dr1
		addd 0, PSP_BYTES_USER << 32, %dr2
	}
	{
		rwd %dr1, %psp.lo
	}
	{
		rwd %dr2, %psp.hi
	}
	{
		addd 0, user_pcsp, %dr1
		addd 0, (PCSP_BYTES_USER << 32) + 32, %dr2
	}
	{
		rwd %dr1, %pcsp.lo
	}
	{
		rwd %dr2, %pcsp.hi
	}
	{
		addd 0, STACK_TOP, %dr1
		addd 0, STACK_SIZE << 32, %dr2
	}
	{
		rwd %dr1, %sbr
	}
	{
		rwd %dr1, %usd.lo
	}
	{
		rwd %dr2, %usd.hi
	}
	{
		addd 0, 0, %dr1
		addd 0, (STACK_SIZE >> 4) << 36, %dr2
	}
	{
		rwd %dr1, %cr0.lo
	}
	{
		rwd %dr6, %cr0.hi
	}
	{
		addd 0, USER_PSR << 57, %dr1
	}
	{
		rwd %dr1, %cr1.lo
	}
	{
		rwd %dr2, %cr1.hi
	}
	{
		done
	}

! load_elf(image, where its address 0 is): the entry.
	PROC load_elf
	{
		ldd %dr0, 0x20, %dr2		! program headers
	}
	{
		ldh %dr0, 0x38, %dr3		! how many
		addd %dr0, %dr2, %dr2
	}
1:
	{
		cmpedb %dr3, 0, %pred0
	}
	GOTO_IF %pred0, 3f
	{
		ldw %dr2, 0, %r4
		subd %dr3, 1, %dr3
	}
	{
		cmpesb %r4, 1, %pred1		! to be loaded
	}
	GOTO_IF_NOT %pred1, 2f
	{
		ldd %dr2, 8, %dr5
	}
	{
		ldd %dr2, 16, %dr6
	}
	{
		ldd %dr2, 32, %dr7
		addd %dr0, %dr5, %db[0]
	}
	{
		addd %dr1, %dr6, %db[1]
		addd %dr7, 0, %db[2]
	}
	CALL copy
2:
	{
		addd %dr2, 56, %dr2
	}
	GOTO 1b
3:
	{
		ldd %dr0, 0x18, %dr0
	}
	RETURN

	PROC copy				! from, to, bytes
1:
	{
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF %pred0, 2f
	{
		ldb %dr0, 0, %dr3
		addd %dr0, 1, %dr0
		subd %dr2, 1, %dr2
	}
	{
		stb %dr1, 0, %r3
		addd %dr1, 1, %dr1
	}
	GOTO 1b
2:
	RETURN

! The kernel where it is, the program's 16 MiB by small pages.
	PROC map_all
	CALL map_kernel
	ENTRY root1, 0, root1 + PAGE + TABLE
	ENTRY root1 + PAGE, 0, level2 + TABLE
	ENTRY root1 + PAGE, 3, level2_devices + TABLE
	{
		addd 0, user_leaves, %dr0
		addd 0, USER_BYTES / PAGE, %dr2
	}
	{
		addd 0, USER_MEMORY + USER_PAGE, %dr1
	}
1:
	{
		std %dr0, 0, %dr1
		addd %dr1, PAGE, %dr1
		subd %dr2, 1, %dr2
	}
	{
		addd %dr0, 8, %dr0
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd 0, level2, %dr0
		addd 0, USER_BYTES >> 21, %dr2
	}
	{
		addd 0, user_leaves + TABLE, %dr1
	}
2:
	{
		std %dr0, 0, %dr1
		addd %dr1, PAGE, %dr1
		subd %dr2, 1, %dr2
	}
	{
		addd %dr0, 8, %dr0
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2b
	{
		addd 0, root1, %dr1
	}
	{
		mmurw %dr1, %root_ptb
	}
	{
		addd 0, 9, %dr1
	}
	{
		mmurw %dr1, %mmu_cr
	}
	RETURN

	.equ	PSP_BYTES_USER, 0x20000
	.equ	PCSP_BYTES_USER, 0x10000

	.pushsection .bss
	.align	4096
user_leaves:
	.skip	USER_BYTES / PAGE * 8
user_psp:
	.skip	PSP_BYTES_USER
user_pcsp:
	.skip	PCSP_BYTES_USER
	.popsection
