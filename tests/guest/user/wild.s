! Accesses through a wild pointer: argv[1] is their form ('0' to '9', 'a' to
! 'h'), the pointer comes as 16 hexadecimal digits on standard input.  Says
! "ready" first, and "survived" if the access had no consequences.
!
! From '7' on a register that has been a good address in many passes of a loop
! turns wild ('c': its page is unmapped; 'd', 'f': diagnostic).

	.include "lib.inc"

	.pushsection .bss
	.align	8
digits:
	.skip	16
wild:					! twice
	.skip	16
action:
	.skip	32
offset:
	.skip	8
	.popsection

	.equ	PASSES, 3000
	.equ	UNMAPPED, 0x30000000
	.equ	SIGUSR1, 10
	.equ	HW_PROC_SIZE, 5
	.equ	HW_WRITE_PROC, 8

! Counts %dr12, the last pass is %pred1.
	.macro	COUNT
	{
		addd %dr12, 1, %dr12
		cmpedb %dr12, PASSES, %pred1
	}
	.endm

! Returns its first argument, in the last pass the second.
	PROC choose			! good, wild, pass
	{
		cmpedb %dr2, PASSES, %pred0
	}
	{
		addd %dr1, 0, %dr0 ? %pred0
	}
	RETURN

! The same in %dg20.
	PROC choose_global		! good, wild, pass
	{
		cmpedb %dr2, PASSES, %pred0
	}
	{
		addd %dr0, 0, %dg20 ? ~%pred0
		addd %dr1, 0, %dg20 ? %pred0
	}
	RETURN

! In the last pass its caller's %dr11 becomes the second argument.
	PROC edit_caller		! good, wild, pass
	{
		cmpedb %dr2, PASSES, %pred0
		addd 0, digits, %dr8
	}
	GOTO_IF_NOT %pred0, 1f
	{
		std %dr8, 16, %dr1
	}
	{
		std %dr8, 24, %dr1
	}
	CALL edit
1:
	RETURN

! The wild pointer goes to main's %dr11.
	PROC edit
	SYSCALL SYS_access_hw_stacks, HW_WRITE_PROC, offset, wild, 16, 0
	RETURN

! A diagnostic value in the last pass.
	PROC poison			! good, wild, pass
	{
		cmpedb %dr2, PASSES, %pred0
		addd 0, 0, %dr8
	}
	{
		ldd,0,sm %dr8, 0, %dr0 ? %pred0
	}
	RETURN

	PROC poison_global		! good, wild, pass
	{
		cmpedb %dr2, PASSES, %pred0
		addd 0, 0, %dr8
	}
	{
		addd %dr0, 0, %dg20
	}
	{
		ldd,0,sm %dr8, 0, %dg20 ? %pred0
	}
	RETURN

	.macro	CALL_WITH procedure
	{
		addd 0, digits, %db[0]
		addd %dr10, 0, %db[1]
		addd %dr12, 0, %db[2]
	}
	CALL \procedure
	.endm

! The place of main's %dr11 in the procedure stack, in versions 1 to 4 and in
! later ones 8 bytes further on; the other word extends %dr10 or %dr11, which
! nobody reads.
	.macro	FIND_OFFSET
	SYSCALL SYS_access_hw_stacks, HW_PROC_SIZE, 0, 0, 0, offset
	{
		addd 0, offset, %dr14
	}
	{
		ldd %dr14, 0, %dr13
	}
	{
		addd %dr13, 5 * 32 + 8, %dr13
	}
	{
		std %dr14, 0, %dr13
	}
	.endm

	PROC main			! argc, argv
	{
		ldd %dr1, 8, %dr2
	}
	{
		ldb %dr2, 0, %dr8
	}
	PRINT "ready\n"
	SYSCALL SYS_read, 0, digits, 16
	{
		addd 0, digits, %dr9
		addd 0, 0, %dr10
		addd 0, 16, %dr11
	}
1:
	{
		ldb %dr9, 0, %dr12
		addd %dr9, 1, %dr9
		shld %dr10, 4, %dr10
		subd %dr11, 1, %dr11
	}
	{
		subd %dr12, 0x30, %dr13
		subd %dr12, 0x57, %dr14
		cmpbdb %dr12, 0x3a, %pred0
		cmpedb %dr11, 0, %pred1
	}
	{
		ord %dr10, %dr13, %dr10 ? %pred0
		ord %dr10, %dr14, %dr10 ? ~%pred0
		ibranch 1b ? ~%pred1
	}
	{
		addd 0, digits, %dr11
		addd 0, 0, %dr12
	}
	IF_EQ %dr8, 0x37, in_loop
	IF_EQ %dr8, 0x38, by_global
	IF_EQ %dr8, 0x39, by_result
	IF_EQ %dr8, 0x61, by_callee
	IF_EQ %dr8, 0x62, by_handler
	IF_EQ %dr8, 0x63, by_munmap
	IF_EQ %dr8, 0x64, by_poison
	IF_EQ %dr8, 0x65, after_speculation
	IF_EQ %dr8, 0x66, by_poisoned_global
	IF_EQ %dr8, 0x67, twice
	IF_EQ %dr8, 0x68, by_shared
	{
		cmpedb %dr8, 0x30, %pred0
		cmpedb %dr8, 0x31, %pred1
		cmpedb %dr8, 0x32, %pred2
		cmpedb %dr8, 0x33, %pred3
	}
	GOTO_IF %pred0, 2f
	GOTO_IF %pred1, 3f
	GOTO_IF %pred2, 4f
	GOTO_IF %pred3, 5f
	{
		cmpedb %dr8, 0x35, %pred0
		cmpedb %dr8, 0x36, %pred1
	}
	GOTO_IF %pred0, 6f
	GOTO_IF %pred1, 7f
	{				! a load, then
		ldd %dr10, 0, %dr15
	}
	GOTO 9f
2:
	{
		std %dr10, 0, %dr10
	}
	GOTO 9f
3:	! displacements of both signs
	{
		subd %dr10, 0x1000, %dr11
	}
	{
		std %dr11, 0x1000, %dr10
	}
	GOTO 9f
4:
	{
		addd %dr10, 0x1000, %dr11
	}
	{
		std %dr11, -0x1000, %dr10
	}
	GOTO 9f
5:	! and an index; the base is a good address
	{
		addd 0, digits, %dr11
	}
	{
		subd %dr10, %dr11, %dr12
	}
	{
		std %dr11, 0, %dr11
	}
	{
		std %dr11, %dr12, %dr10
	}
	GOTO 9f
6:	! a load that begins an atomic bracket
	{
		ldd,0 %dr10, 0, %dr15, mas=0x7
	}
	GOTO 9f
7:	! a store that ends one begun elsewhere
	{
		addd 0, digits, %dr11
	}
	{
		ldd,0 %dr11, 0, %dr15, mas=0x7
	}
	{
		std,2 %dr10, 0, %dr10, mas=0x2
	}
9:
	PRINT "survived\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	.macro	UNTIL passes, label	! they are over: without consequences
	{
		cmplsb %r12, \passes, %pred2
	}
	GOTO_IF %pred2, \label
	GOTO 9b
	.endm

in_loop:
	{
		ldd %dr11, 0, %dr15
	}
1:
	{
		ldd %dr11, 0, %dr15
	}
	COUNT
	{
		addd %dr10, 0, %dr11 ? %pred1
	}
	UNTIL PASSES + 2, 1b
by_global:
	{
		addd %dr11, 0, %dg20
	}
1:
	{
		ldd %dg20, 0, %dr15
	}
	COUNT
	CALL_WITH choose_global
	{
		ldd %dg20, 0, %dr15
	}
	UNTIL PASSES, 1b
by_result:
	{
		addd %dr11, 0, %db[0]
	}
1:
	{
		std %db[0], 0, %dr12
	}
	COUNT
	CALL_WITH choose
	{
		std %db[0], 0, %dr12
	}
	UNTIL PASSES, 1b
by_shared:				! checked before, and nothing assigned
	{
		addd 0, wild, %dr14
	}
	{
		std %dr14, 0, %dr11
	}
1:
	COUNT
	{
		ldd %dr14, 0, %db[0]
		addd %dr10, 0, %db[1]
		addd %dr12, 0, %db[2]
	}
	{
		ldd %db[0], 0, %dr15
	}
	CALL choose
	{
		std %db[0], 0, %dr12
	}
	UNTIL PASSES, 1b
by_callee:
	FIND_OFFSET
1:
	{
		ldd %dr11, 0, %dr15
	}
	COUNT
	CALL_WITH edit_caller
	{
		ldd %dr11, 0, %dr15
	}
	UNTIL PASSES, 1b
by_handler:
	FIND_OFFSET
	{
		addd 0, action, %dr14
		addd 0, edit, %dr13
	}
	{
		std %dr14, 0, %dr13
	}
	{
		addd 0, digits, %dr13
	}
	{
		std %dr13, 16, %dr10
	}
	{
		std %dr13, 24, %dr10
	}
	SYSCALL SYS_rt_sigaction, SIGUSR1, action, 0, 8
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr16
	}
1:
	{
		ldd %dr11, 0, %dr15
	}
	COUNT
	GOTO_IF_NOT %pred1, 2f
	SYSCALL SYS_tkill, %dr16, SIGUSR1
2:
	{
		ldd %dr11, 0, %dr15
	}
	UNTIL PASSES + 1, 1b
by_munmap:
	SYSCALL SYS_mmap, UNMAPPED, 4096, 3, 0x32, -1
	{
		addd %db[0], 0, %dr11
	}
1:
	{
		std %dr11, 8, %dr12
	}
	COUNT
	GOTO_IF_NOT %pred1, 2f
	SYSCALL SYS_munmap, UNMAPPED, 4096
2:
	{
		std %dr11, 8, %dr12
	}
	UNTIL PASSES + 1, 1b
by_poison:
1:
	COUNT
	CALL_WITH poison
	{
		ldd %db[0], 0, %dr15
	}
	UNTIL PASSES, 1b
by_poisoned_global:
1:
	COUNT
	CALL_WITH poison_global
	{
		ldd %dg20, 0, %dr15
	}
	UNTIL PASSES, 1b
after_speculation:			! what may fail, then what may not
1:
	COUNT
	{
		addd %dr10, 0, %dr11 ? %pred1
	}
	{
		ldd,0,sm %dr11, 0, %dr15
	}
	{
		std %dr11, 0, %dr12
	}
	UNTIL PASSES + 1, 1b
twice:					! checked on one of two ways only
1:
	COUNT
	{
		addd %dr10, 0, %dr11 ? %pred1
	}
	GOTO_IF %pred1, 2f
	{
		ldd %dr11, 0, %dr15
	}
2:
	{
		std %dr11, 0, %dr12
	}
	UNTIL PASSES + 1, 1b
