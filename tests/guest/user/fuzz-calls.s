! Random system calls: numbers, pointers and lengths from a pool of what is
! good, nearly good and bad.  Arguments: seed and count.  Ends with 0 unless
! a call ends or damages the program, which is what may happen to it; the
! emulator must only ever answer.  Run by tests/fuzz/user-calls.c, which
! keeps the host out of reach.
!
! %dg8: random state; %dg9: the arena.

	.include "lib.inc"

	.equ	ARENA, 0x200000000000
	.equ	ARENA_BYTES, 0x10000
	.equ	NUMBERS, 440
	.equ	SYS_setitimer, 104
	.equ	SYS_mmap2, 192

	.pushsection .rodata
	.align	8
! Calls that end this process, make others, wait for ever or slow the host.
skipped:
	.byte	1, 0, 2, 0, 11, 0, 29, 0, 36, 0, 72, 0, 104, 0, 120, 0, 190, 0
	.byte	27, 0, 179, 0, 177, 0
	.half	229, 300, 388, 426, 377, 230, 364
	.half	0xffff
path_1:	.asciz	"f1"
path_2:	.asciz	"d/f2"
path_3:	.asciz	"."
path_4:	.asciz	"/proc/self/maps"
path_5:	.asciz	"/proc/self/status"
path_6:	.asciz	"/nowhere/at/all"
	.align	8
paths:
	.dword	path_1, path_2, path_3, path_4, path_5, path_6, path_1, path_2
	.align	8
period:
	.dword	0, 5000, 0, 5000
action:
	.dword	on_alarm, 0, 0, 0
	.popsection

	PROC on_alarm
	RETURN

	PROC random			! result: 64 random bits
	{
		shrd %dg8, 12, %dr1
	}
	{
		xord %dg8, %dr1, %dr0
	}
	{
		shld %dr0, 25, %dr1
	}
	{
		xord %dr0, %dr1, %dr0
	}
	{
		shrd %dr0, 27, %dr1
	}
	{
		xord %dr0, %dr1, %dg8
	}
	{
		muld %dg8, 2685821657736338717, %dr0
	}
	{
		shrd %dr0, 7, %dr1
	}
	{
		xord %dr0, %dr1, %dr0
	}
	RETURN

	PROC atoi			! decimal text; result: number
	{
		addd 0, 0, %dr1
	}
1:
	{
		ldb %dr0, 0, %dr2
		addd %dr0, 1, %dr0
	}
	{
		subd %dr2, 0x30, %dr2
	}
	{
		cmpbdb %dr2, 10, %pred0
		muld %dr1, 10, %dr3
	}
	{
		addd %dr3, %dr2, %dr1 ? %pred0
		ibranch 1b ? %pred0
	}
	{
		addd %dr1, 0, %dr0
	}
	RETURN

! One value of the pool.  A case is 64 bytes of code at most.
	PROC pick
	CALL random
	{
		addd %db[0], 0, %dr8		! which
	}
	CALL random
	{
		addd %db[0], 0, %dr9		! with what
	}
	{
		andd %dr8, 15, %dr10
		andd %dr9, 0xff, %dr11
		addd 0, 0, %dr0
	}
	{
		cmpedb %dr10, 1, %pred1
		cmpedb %dr10, 2, %pred2
		cmpedb %dr10, 3, %pred3
	}
	{
		addd %dr11, 0, %dr0 ? %pred1
		addd 0, -1, %dr0 ? %pred2
		andd %dr9, ARENA_BYTES - 8, %dr12
	}
	{
		addd %dg9, %dr12, %dr13
		andd %dr9, 0xf000, %dr14
	}
	{
		addd %dr13, 0, %dr0 ? %pred3
		cmpedb %dr10, 4, %pred1
		cmpedb %dr10, 5, %pred2
	}
	{
		addd %dg9, %dr14, %dr14
		cmpedb %dr10, 6, %pred3
	}
	{
		subd %dr14, 8, %dr0 ? %pred1
		addd 0, 0x10000000000, %dr0 ? %pred2
		shld %dr9, 12, %dr15
	}
	{
		andd %dr15, 0x3fffffffffff, %dr15
	}
	{
		addd %dr15, 0x400000000000, %dr15
	}
	{
		addd %dr15, 0, %dr0 ? %pred3	! the emulator's half
		cmpedb %dr10, 7, %pred1
		cmpedb %dr10, 8, %pred2
		cmpedb %dr10, 9, %pred3
	}
	{
		addd 0, 0xffff800000001000, %dr0 ? %pred1
		addd %dr9, 0, %dr0 ? %pred2
		andd %dr9, 63, %dr16
	}
	{
		addd 0, 1, %dr17
	}
	{
		shld %dr17, %dr16, %dr17
		cmpedb %dr10, 10, %pred1
		cmpedb %dr10, 11, %pred2
	}
	{
		addd %dr17, 0, %dr0 ? %pred3
		andd %dr9, 0xfff, %dr0 ? %pred1
		addd 0, -100, %dr0 ? %pred2
		andd %dr9, 0x38, %dr18
		cmpedb %dr10, 12, %pred3
	}
	{
		addd 0, paths, %dr19
	}
	{
		ldd %dr19, %dr18, %dr19
		cmplesb %r10, 12, %pred1
	}
	{
		addd %dr19, 0, %dr0 ? %pred3
		addd %dr14, 0, %dr0 ? ~%pred1	! 13 to 15: whole pages
		cmpedb %dr10, 15, %pred2
		andd %dr9, 7, %dr20
	}
	{
		addd %dr20, 0, %dr0 ? %pred2	! a descriptor
	}
	RETURN

! Fresh pages, filled with values of the pool.
	PROC refill
	SYSCALL SYS_mmap, ARENA, ARENA_BYTES, 3, 0x112, -1, 0
	{
		addd 0, 0, %dr8
	}
1:
	CALL pick
	{
		std %dg9, %dr8, %db[0]
		addd %dr8, 56, %dr8
	}
	{
		cmplsb %r8, ARENA_BYTES - 64, %pred0
	}
	GOTO_IF %pred0, 1b
	RETURN

	PROC is_skipped			! number; result: 1 if it is in the list
	{
		addd 0, skipped, %dr1
		addd 0, 0, %dr4
	}
1:
	{
		ldh %dr1, 0, %dr2
		addd %dr1, 2, %dr1
	}
	{
		cmpedb %dr2, %dr0, %pred0
		cmpedb %dr2, 0xffff, %pred1
	}
	{
		addd 0, 1, %dr4 ? %pred0
	}
	GOTO_IF %pred0, 2f
	GOTO_IF_NOT %pred1, 1b
2:
	{
		addd %dr4, 0, %dr0
	}
	RETURN

	PROC one_call
	CALL random
	{
		shrd %db[0], 20, %dr9
		addd %db[0], 0, %dr8
	}
	{
		andd %dr9, 0xffff, %dr9
		addd 0, NUMBERS, %dr10
	}
	{
		udivd %dr9, %dr10, %dr11
	}
	{
		muld %dr11, %dr10, %dr11
	}
	{
		subd %dr9, %dr11, %dr9
	}
	{
		addd %dr9, 0, %db[0]
	}
	CALL is_skipped
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 9f
	CALL pick
	{
		addd %db[0], 0, %dr11
	}
	CALL pick
	{
		addd %db[0], 0, %dr12
	}
	CALL pick
	{
		addd %db[0], 0, %dr13
	}
	CALL pick
	{
		addd %db[0], 0, %dr14
	}
	CALL pick
	{
		addd %db[0], 0, %dr15
	}
	CALL pick
	{
		addd %db[0], 0, %dr16
	}
	{
		cmpedb %dr9, SYS_mmap, %pred0
		cmpedb %dr9, SYS_mmap2, %pred1
	}
	{
		andd %dr14, 0xffd57fff, %dr14 ? %pred0	! not POPULATE, LOCKED, HUGETLB
		andd %dr14, 0xffd57fff, %dr14 ? %pred1
		andd %dr8, 7, %dr17
	}
	{
		cmpedb %dr9, 219, %pred2	! madvise: not POPULATE_*
		cmpedb %dr17, 0, %pred0
		cmpedb %dr17, 1, %pred1
	}
	{
		andd %dr13, 15, %dr13 ? %pred2
	}
	GOTO_IF %pred0, 3f
	GOTO_IF %pred1, 4f
	SYSCALL %dr9, %dr11, %dr12, %dr13, %dr14, %dr15, %dr16
	GOTO 9f
3:	! the 32-bit entry
	{
		addd 0, %dr9, %db[0]
		addd 0, %dr11, %db[1]
	}
	{
		addd 0, %dr12, %db[2]
		addd 0, %dr13, %db[3]
	}
	{
		addd 0, %dr14, %db[4]
		addd 0, %dr15, %db[5]
	}
	{
		addd 0, %dr16, %db[6]
		sdisp %ctpr1, 1
		nop 4
	}
	{
		call %ctpr1, wbs = 12
	}
	GOTO 9f
4:	! a fast call, not the one that changes where we return to
	{
		andd %dr9, 7, %dr9
	}
	{
		cmpedb %dr9, 5, %pred0
	}
	GOTO_IF %pred0, 9f
	{
		addd 0, %dr9, %db[0]
		addd 0, %dr11, %db[1]
	}
	{
		addd 0, %dr12, %db[2]
		addd 0, %dr13, %db[3]
		sdisp %ctpr1, ENTRY_FAST
		nop 4
	}
	{
		call %ctpr1, wbs = 12
	}
9:
	RETURN

	PROC main			! argc, argv
	{
		ldd %dr1, 8, %db[0]
		addd %dr1, 0, %dr8
	}
	CALL atoi
	{
		shld %db[0], 20, %dr9
	}
	{
		addd %dr9, 88172645463325252, %dg8
		addd 0, ARENA, %dg9
	}
	{
		ldd %dr8, 16, %db[0]
	}
	CALL atoi
	{
		addd %db[0], 0, %dr10
	}
	SYSCALL SYS_rt_sigaction, 14, action, 0, 8
	SYSCALL SYS_setitimer, 0, period, 0
1:
	{
		andd %dr10, 15, %dr11
	}
	{
		cmpedb %dr11, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2f
	CALL refill
2:
	CALL one_call
	{
		subd %dr10, 1, %dr10
	}
	{
		cmpedb %dr10, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	{
		addd 0, 0, %dr0
	}
	RETURN
