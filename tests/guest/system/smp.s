! SMP exerciser: CPU 0 starts the others with STARTUP messages; all add to one
! counter under a lock-wait pair; then an interrupt goes to every other CPU.
!
! Run it with -smp 4.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"

	.equ	CPUS, 4
	.equ	ROUNDS, 5000
	.equ	VECTOR, 0x61

	.macro	LAPIC_SET offset, value
	{
		addd 0, LAPIC, %dr14
		addd 0, \value, %dr15
	}
	{
		stw %dr14, \offset, %r15
	}
	.endm

	.text
	PROC main
	{
		addd 0, secondary, %dr0
	}
	{
		shrd %dr0, 12, %dr0		! page number of the entry
		addd 0, LAPIC, %dr1
	}
	{
		ord %dr0, 0xc0600, %dr0		! STARTUP, all others
	}
	{
		stw %dr1, 0x300, %r0
	}
	CALL count_up
	{
		addd 0, finished, %db[0]
		addd 0, CPUS, %db[1]
	}
	CALL await_count
	{
		addd 0, counter, %dr0
	}
	{
		ldd %dr0, 0, %dr1
	}
	CHECK_EQUAL %dr1, CPUS * ROUNDS, "atomic additions of all CPUs"
	LAPIC_SET 0x300, 0xc0000 | VECTOR	! to all others
	{
		addd 0, interrupted, %db[0]
		addd 0, CPUS - 1, %db[1]
	}
	CALL await_count
	PRINT "ok interrupts between CPUs\nsmp passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC await_count			! address, number
1:
	{
		ldd %dr0, 0, %dr2
	}
	{
		cmpedb %dr2, %dr1, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

! atomic_add(address, n)
	PROC atomic_add
1:
	{
		ldd,0 %dr0, 0, %dr2, mas = 0x7
	}
	{
		addd %dr2, %dr1, %dr2
	}
	{
		std,2 %dr0, 0, %dr2, mas = 0x2
		ibranch 1b ? %MLOCK
	}
	RETURN

	PROC count_up
	{
		addd 0, ROUNDS, %dr0
	}
1:
	{
		addd 0, counter, %db[0]
		addd 0, 1, %db[1]
	}
	CALL atomic_add
	{
		subd %dr0, 1, %dr0
	}
	{
		cmpedb %dr0, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd 0, finished, %db[0]
		addd 0, 1, %db[1]
	}
	CALL atomic_add
	RETURN

	PROC on_irq
	{
		addd 0, LAPIC, %dr0
	}
	{
		ldw %dr0, 0xff0, %dr1
	}
	LAPIC_SET 0xb0, 0
	{
		addd 0, interrupted, %db[0]
		addd 0, 1, %db[1]
	}
	CALL atomic_add
	RETURN

! Entry of the others: a page of its own, in the first mebibyte.
	.align	4096
secondary:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
	}
	{
		addd 0, trap_table, %dr4
	}
	{
		rwd %dr4, %oscud.lo
	}
	{
		addd 0, irq_hook, %dr4
	}
	{
		addd 0, on_irq, %dr5
	}
	{
		std %dr4, 0, %dr5
	}
	LAPIC_SET 0xf0, 0x1ff			! before CPU 0 may send to us
	CALL count_up
	{
		addd 0, 3, %dr4			! pm, ie
	}
	{
		rwd %dr4, %psr
	}
1:
	{
		wait trap = 1
	}
	GOTO 1b

	.pushsection .bss
	.align	8
counter:
	.skip	8
finished:
	.skip	8
interrupted:
	.skip	8
	.popsection
