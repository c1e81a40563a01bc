! Children and parents run new code at the same time after a fork: each needs
! translations of its own.  Eight children, 64 procedures that nobody has run
! before the fork, in opposite orders.

	.include "lib.inc"

	.equ	CHILDREN, 8
	.equ	PROCEDURES, 64
	.equ	SUM, PROCEDURES * (PROCEDURES - 1) / 2 * 3

	n = 0
	.rept	PROCEDURES
	.align	8
	.pushsection .data
	.dword	9000f
	.popsection
9000:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 12, rsz = 3, rcur = 0
		addd %dr0, n * 3, %dr0
	}
	RETURN
	n = n + 1
	.endr
	.pushsection .bss
	.align	8
status:
	.skip	8
	.popsection

	PROC run				! table, step; result: sum
	{
		addd 0, 0, %dr8
		addd 0, PROCEDURES, %dr9
		addd %dr0, 0, %dr10
		addd %dr1, 0, %dr11
	}
1:
	{
		ldd %dr10, 0, %dr12
		addd %dr8, 0, %db[0]
		addd %dr10, %dr11, %dr10
	}
	CALL_REG %dr12
	{
		addd %db[0], 0, %dr8
		subd %dr9, 1, %dr9
	}
	{
		cmpedb %dr9, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd %dr8, 0, %dr0
	}
	RETURN

	PROC main
	{
		addd 0, CHILDREN, %dr8
	}
1:
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr9
		subd %dr8, 1, %dr8
	}
	{
		cmpedb %dr9, 0, %pred0
		cmpedb %dr8, 0, %pred1
	}
	GOTO_IF %pred0, 3f
	GOTO_IF_NOT %pred1, 1b
	{
		addd 0, table, %db[0]
		addd 0, 8, %db[1]
	}
	CALL run
	{
		addd %db[0], 0, %dr9
		addd 0, CHILDREN, %dr8
	}
	CHECK_EQ %dr9, SUM, "the parent's sum"
2:
	SYSCALL SYS_waitpid, -1, status, 0
	{
		addd 0, status, %dr9
		subd %dr8, 1, %dr8
	}
	{
		ldw %dr9, 0, %dr9
	}
	CHECK_EQ %dr9, 0, "a child's"
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2b
	DONE
3:
	{
		addd 0, table + 8 * PROCEDURES - 8, %db[0]
		addd 0, -8, %db[1]
	}
	CALL run
	{
		subd %db[0], SUM, %dr9
	}
	SYSCALL SYS_exit_group, %dr9
	RETURN

	.data
	.equ	table, . - 8 * PROCEDURES
