! A tiny kernel: two user processes in address spaces of their own, system
! calls, demand paging with re-execution of the faulted access, preemption by
! a timer, and protection of the kernel from its processes.
!
! A process owns its register and chain stacks, which lie in kernel pages.
! The handler runs on them; to switch, it flushes both, saves the state
! registers in the process's block, loads the other's, and ends with done.

	.include "kernel-lib.inc"
	.include "local.inc"

	.equ	USER_CODE, 0x40000000
	.equ	USER_INFO, 0x40008000
	.equ	DEMAND, 0x40010000
	.equ	DEMAND_END, 0x40020000
	.equ	USER_PSR, 6		! ie, sge
	.equ	TICK, 40000		! 400 us
	.equ	SWITCHES, 4		! at least
	.equ	VECTOR, 0x42
	.equ	STACK, 0x8000

	.text
	.align	4096
	.global	trap_table
trap_table:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
		addd 0, 0, %dr0			! exception bits
	}
	{
		rrd %ctpr1, %dr8
	}
	{
		rrd %ctpr2, %dr9
	}
	{
		rrd %ctpr3, %dr10
	}
1:
	{
		rrd %tir.hi, %dr2
	}
	{
		rrd %tir.lo, %dr3
	}
	{
		shrd %dr2, 56, %dr5
		shld %dr2, 20, %dr4
	}
	{
		shrd %dr4, 20, %dr4
		cmpedb %dr5, 0, %pred1
	}
	{
		ord %dr0, %dr4, %dr0
		ibranch 1b ? ~%pred1
	}
	{
		rwd %dr3, %tir.lo
		shrd %dr0, 32, %dr4
	}
	{
		andd %dr4, 1, %dr4
		shrd %dr0, 29, %dr5
	}
	{
		cmpedb %dr4, 1, %pred0
		andd %dr5, 1, %dr5
	}
	{
		cmpedb %dr5, 1, %pred1
	}
	GOTO_IF %pred0, interrupt
	GOTO_IF %pred1, page_fault
	CALL1 puts, trap_text
	{
		addd %dr0, 0, %db[0]
	}
	CALL puthex
	FAIL " unexpected trap", 1

! Back to the interrupted code.
leave:
	{
		rwd %dr8, %ctpr1
	}
	{
		rwd %dr9, %ctpr2
	}
	{
		rwd %dr10, %ctpr3
	}
	{
		done
	}

interrupt:
	LOCAL_GET LOCAL_VECT, %dr2
	LOCAL_END %dr2
	! save the current process
	{
		flushr
		flushc
	}
	{
		addd 0, current, %dr1
	}
	{
		ldd %dr1, 0, %dr1
	}
	SAVE %psp.lo, 0
	SAVE %psp.hi, 8
	SAVE %pcsp.lo, 16
	SAVE %pcsp.hi, 24
	SAVE %usd.lo, 32
	SAVE %usd.hi, 40
	SAVE %sbr, 48
	SAVE %cr0.lo, 56
	SAVE %cr0.hi, 64
	SAVE %cr1.lo, 72
	SAVE %cr1.hi, 80
	{
		std %dr1, 88, %dr8
	}
	{
		std %dr1, 96, %dr9
	}
	{
		std %dr1, 104, %dr10
	}
	{
		ldd %dr1, 144, %dr2		! the other one, if it lives
	}
	{
		ldd %dr2, 128, %dr3
	}
	{
		cmpedb %dr3, 1, %pred0
		addd 0, switches, %dr4
	}
	{
		ldd %dr4, 0, %dr5
		addd %dr2, 0, %dr1 ? %pred0
	}
	{
		addd %dr5, 1, %dr5 ? %pred0
	}
	{
		std %dr4, 0, %dr5
		addd 0, info1, %dr2
	}
	{
		std %dr2, 8, %dr5		! the processes see it, too
		addd 0, info2, %dr2
	}
	{
		std %dr2, 8, %dr5
	}

! Runs the process whose block is at %dr1; nothing is in the register file.
load_context:
	{
		addd 0, current, %dr2
	}
	{
		std %dr2, 0, %dr1
	}
	{
		ldd %dr1, 112, %dr2
	}
	{
		mmurw %dr2, %root_ptb
	}
	{
		ldd %dr1, 120, %dr2
	}
	{
		mmurw %dr2, %cont
	}
	LOAD %psp.lo, 0
	LOAD %psp.hi, 8
	LOAD %pcsp.lo, 16
	LOAD %pcsp.hi, 24
	LOAD %usd.lo, 32
	LOAD %usd.hi, 40
	LOAD %sbr, 48
	LOAD %cr0.lo, 56
	LOAD %cr0.hi, 64
	LOAD %cr1.lo, 72
	LOAD %cr1.hi, 80
	LOAD %ctpr1, 88
	LOAD %ctpr2, 96
	LOAD %ctpr3, 104
	{
		done
	}

! Record 0 of the cellar: %dr1 address, %dr2 data, %dr3 condition word.
page_fault:
	{
		mmurr %trap_point, %dr4
	}
	{
		ldd,2 %dr4, 0, %dr1, mas = 1
	}
	{
		ldd,2 %dr4, 8, %dr2, mas = 1
	}
	{
		ldd,2 %dr4, 16, %dr3, mas = 1
		addd 0, 0, %dr5
		addd 0, 0x60, %dr6
	}
	{
		std,2 %dr6, 0, %dr5, mas = 0x47	! %trap_count
	}
	{
		addd 0, DEMAND, %dr4
		addd 0, DEMAND_END, %dr5
	}
	{
		cmpbdb %dr1, %dr4, %pred0
		cmpbdb %dr1, %dr5, %pred1
		addd 0, violations, %dr6
	}
	GOTO_IF %pred0, 8f
	GOTO_IF_NOT %pred1, 8f
	! a page from the pool into the process's last table
	{
		addd 0, next_page, %dr4
	}
	{
		ldd %dr4, 0, %dr5
	}
	{
		addd %dr5, PAGE, %dr6
	}
	{
		std %dr4, 0, %dr6
		addd 0, current, %dr7
	}
	{
		ldd %dr7, 0, %dr7
		shrd %dr1, 12, %dr4
	}
	{
		ldd %dr7, 136, %dr7
		andd %dr4, 511, %dr4
	}
	{
		addd 0, USER_PAGE, %dr6
		shld %dr4, 3, %dr4
	}
	{
		addd %dr5, %dr6, %dr5
	}
	{
		std %dr7, %dr4, %dr5
	}
	! the access again, in the name of the process
	{
		shrd %dr3, 17, %dr4
	}
	{
		andd %dr4, 1, %dr4
	}
	{
		cmpedb %dr4, 1, %pred0
	}
	{
		std %dr1, 0, %dr2 ? %pred0
		ibranch leave ? %pred0
	}
	! a load: into the spilled copy of its register, which lies as far below
	! our window as WD.base says
	{
		ldd %dr1, 0, %dr2
		flushr
	}
	{
		rrd %wd, %dr4
	}
	{
		andd %dr3, 0xff, %dr3
		andd %dr4, 0x7ff, %dr4
	}
	{
		shrd %dr4, 3, %dr4
	}
	{
		subd %dr4, %dr3, %dr4		! registers below, modulo 224
	}
	{
		cmplesb %r4, 0, %pred0
	}
	{
		addd %dr4, 224, %dr4 ? %pred0
	}
	{
		addd %dr4, 1, %dr5
		andd %dr4, 1, %dr6		! odd register of its pair
	}
	{
		shrd %dr5, 1, %dr5
		rrd %psp.hi, %dr3
	}
	{
		shld %dr5, 5, %dr5
		rrd %psp.lo, %dr4
	}
	{
		sxt 6, %r3, %dr3
		shld %dr4, 16, %dr4
	}
	{
		shrd %dr4, 16, %dr4
		subd %dr3, %dr5, %dr3
	}
	{
		addd %dr3, %dr4, %dr3
		rrd %idr, %dr5
	}
	{
		andd %dr5, 0xff, %dr5
		shld %dr6, 3, %dr6		! 8, or 16 from v5 on
	}
	{
		cmpbdb %dr5, 9, %pred0
	}
	{
		shld %dr6, 1, %dr6 ? ~%pred0
	}
	{
		std %dr3, %dr6, %dr2
	}
	GOTO leave
8:						! not theirs to touch
	{
		ldd %dr6, 0, %dr5
	}
	{
		addd %dr5, 1, %dr5
	}
	{
		std %dr6, 0, %dr5
	}
	GOTO leave

	.pushsection .rodata
trap_text:
	.asciz	"tir.hi "
	.popsection

! System calls: 1 putc(character), 2 exit(status).
	.org	trap_table + 3 * 0x800
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
	}
	{
		cmpedb %dr0, 1, %pred0
	}
	GOTO_IF_NOT %pred0, sys_exit
	{
		addd %dr1, 0, %db[0]
	}
	CALL putc
	RETURN
sys_exit:
	{
		cmpedb %dr1, 0, %pred0
	}
	GOTO_IF %pred0, 1f
	FAIL "a process gave up", 1
1:
	{
		flushr
		flushc
	}
	{
		addd 0, current, %dr1
		addd 0, 0, %dr3
	}
	{
		ldd %dr1, 0, %dr1
	}
	{
		std %dr1, 128, %dr3
	}
	{
		ldd %dr1, 144, %dr1
	}
	{
		ldd %dr1, 128, %dr2
	}
	{
		cmpedb %dr2, 1, %pred0
	}
	GOTO_IF %pred0, load_context
	! both are done
	CALL1 putc, 10
	{
		addd 0, violations, %dr1
	}
	{
		ldd %dr1, 0, %dr1
	}
	CHECK_EQUAL %dr1, 2, "each was kept out of the kernel once"
	{
		addd 0, switches, %dr1
	}
	{
		ldd %dr1, 0, %dr1
	}
	{
		cmpbdb %dr1, SWITCHES, %pred0
	}
	GOTO_IF_NOT %pred0, 2f
	FAIL "too few switches", 1
2:
	PRINT "ok preemption\nkernel passed\n"
	EXIT 0

	PROC main
	CALL map_kernel
	PROCESS 1, pcb1, pcb2, root1, info1, leaf1, stacks1
	PROCESS 2, pcb2, pcb1, root2, info2, leaf2, stacks2
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
	{
		addd 0, 8, %dr1			! entry 3 is open
	}
	{
		rwd %dr1, %osem
	}
	PRINT "ok kernel is mapped\n"
	LOCAL_ON
	LOCAL_TIMER VECTOR, TICK
	{
		flushr
		flushc
	}
	{
		addd 0, pcb1, %dr1
	}
	GOTO load_context

! ---------------------------------------------------------------------------
! The program of both processes; it runs at USER_CODE, so nothing in it names
! an address of the kernel's.

	.equ	ROUNDS, 12
	.equ	FIB_OF, 13
	.equ	FIB_IS, 233
	.equ	MOST_WAITS, 1 << 30

	.align	4096
user_code:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
		addd 0, USER_INFO, %dr0
	}
	{
		ldd %dr0, 0, %dr1		! 1 or 2
		addd 0, ROUNDS, %dr2
	}
	{
		addd 0, DEMAND, %dr3
		addd 0, PAGE, %dr0
	}
	{
		ldd %dr0, 0, %dr5		! the kernel's: a violation
	}
1:
	{
		addd %dr1, 0x60, %db[1]		! a or b
		addd 0, 1, %db[0]
	}
	{
		sdisp %ctpr1, 3
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		addd 0, FIB_OF, %db[0]
	}
	CALL user_fib
	{
		cmpedb %db[0], FIB_IS, %pred0
		addd %dr1, %dr2, %dr4
	}
	GOTO_IF_NOT %pred0, 9f
	{
		std %dr3, 8, %dr4		! a new page each round
	}
	{
		ldd %dr3, 8, %dr5
	}
	{
		cmpedb %dr4, %dr5, %pred0
		subd %dr2, 1, %dr2
		addd 0, 99, %dr6
	}
	GOTO_IF_NOT %pred0, 9f
	{
		ldd %dr3, PAGE, %dr6		! a load may be the first, too
	}
	{
		cmpedb %dr6, 0, %pred0
		addd %dr3, PAGE, %dr3
	}
	GOTO_IF_NOT %pred0, 9f
	{
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	! A fast host may be here before the timer struck: both processes stay
	! until they have been switched often enough.
	{
		addd 0, USER_INFO, %dr0
		addd 0, MOST_WAITS, %dr2
	}
3:
	{
		ldd %dr0, 8, %dr4
		subd %dr2, 1, %dr2
	}
	{
		cmpbdb %dr4, SWITCHES, %pred0
		cmpedb %dr2, 0, %pred1
	}
	GOTO_IF %pred1, 9f
	GOTO_IF %pred0, 3b
	{
		addd 0, 0, %db[1]
	}
2:
	{
		sdisp %ctpr1, 3
		addd 0, 2, %db[0]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
9:
	{
		addd 0, 1, %db[1]
	}
	GOTO 2b

	PROC user_fib
	{
		cmpbdb %dr0, 2, %pred0
	}
	{
		subd %dr0, 1, %db[0]
		ibranch 1f ? %pred0
	}
	CALL user_fib
	{
		addd %db[0], 0, %dr1
		subd %dr0, 2, %db[0]
	}
	CALL user_fib
	{
		addd %dr1, %db[0], %dr0
	}
1:
	RETURN
