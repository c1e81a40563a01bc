! The walk of a kernel through a real machine with all of its CPUs: they enter
! at once, meet at a barrier, know which of them is the boot CPU, and send each
! other interrupts ("system/boot-contract.md" B.3, steps 0.3, 1.4 and 5.9).

	.equ	OWN_TRAPS, 1
	.equ	ALL_CPUS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "board.inc"

	.equ	VECTOR, 0x61

	.macro	ADD_ONE counter
	{
		addd 0, \counter, %db[0]
		addd 0, 1, %db[1]
	}
	CALL atomic_add
	.endm
	! Waits until a counter has the value of a register.
	.macro	AWAIT_COUNT counter, value
	{
		addd 0, \counter, %db[0]
		addd \value, 0, %db[1]
	}
	CALL await_count
	.endm

	.text
	PROC main				! 0, boot block
	{
		ldh %dr1, 0x28, %dr7		! CPUs that enter
	}
	ADD_ONE entered
	AWAIT_COUNT entered, %dr7
	LOCAL_GET LOCAL_ID, %dr2
	.ifndef	EPIC
	{
		shrd %dr2, 24, %dr2
	}
	.endif
	{
		addd 0, 1, %dr3
		addd 0, numbers, %db[0]
	}
	{
		shld %dr3, %dr2, %db[1]
	}
	CALL atomic_add				! each number once
	LOCAL_GET LOCAL_BOOT, %dr3
	{
		andd %dr3, 0x100, %dr3
	}
	{
		shrd %dr3, 8, %dr3
		addd 0, boots, %db[0]
	}
	{
		addd %dr3, 0, %db[1]
		cmpedb %dr3, 1, %pred0
	}
	GOTO_IF_NOT %pred0, others
	{
		addd %dr7, 0, %db[0]
	}
	CALL boot_cpu
	PRINT "walk-smp passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! The others take interrupts until the run ends.
others:
	CALL atomic_add
	{
		addd 0, irq_hook, %dr0
		addd 0, on_irq, %dr1
	}
	{
		std %dr0, 0, %dr1
	}
	LOCAL_ON
	{
		addd 0, 0x13, %dr15		! pm, ie, uie
	}
	{
		rwd %dr15, %psr
	}
	IRQ_ON
	ADD_ONE ready
1:
	{
		wait trap = 1
	}
	GOTO 1b

	PROC boot_cpu				! CPUs
	ADD_ONE boots
	{
		subd %dr0, 1, %dr1
		addd 0, 1, %dr2
	}
	{
		shld %dr2, %dr0, %dr2
	}
	{
		subd %dr2, 1, %dr2
	}
	AWAIT_COUNT ready, %dr1
	{
		addd 0, numbers, %dr3
		addd 0, boots, %dr4
	}
	{
		ldd %dr3, 0, %dr3
		ldd %dr4, 0, %dr4
	}
	CHECK_EQUAL %dr3, %dr2, "1.4 all CPUs entered, each with its number"
	CHECK_EQUAL %dr4, 1, "0.3 one of them is the boot CPU"
	LOCAL_ON
	LOCAL_SET LOCAL_COMMAND, TO_OTHERS | VECTOR
	AWAIT_COUNT interrupted, %dr1
	LOCAL_SET LOCAL_COMMAND, TO_OTHERS | VECTOR
	{
		addd %dr1, %dr1, %dr1
	}
	AWAIT_COUNT interrupted, %dr1
	PRINT "ok 5.9 messages between CPUs\n"
	RETURN

	PROC on_irq
	LOCAL_GET LOCAL_VECT, %dr5
	ADD_ONE interrupted
	LOCAL_END %dr5
	RETURN

	PROC atomic_add				! address, value
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

	PROC await_count			! address, number
1:
	{
		ldd %dr0, 0, %dr2
	}
	{
		cmpbdb %dr2, %dr1, %pred0
	}
	GOTO_IF %pred0, 1b
	RETURN

	.pushsection .bss
	.align	8
entered:
	.skip	8
numbers:				! a bit for each
	.skip	8
boots:
	.skip	8
ready:
	.skip	8
interrupted:
	.skip	8
	.popsection
