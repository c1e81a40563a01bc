! fork while other threads are within every part of the emulator that has a
! lock: one maps memory, one makes and runs new code, one changes signal
! actions and starts threads.  Each child does the same work and ends; a lock
! that another thread held would be held there for ever.

	.include "lib.inc"

	.equ	SYS_fork, 2
	.equ	CLONE_FLAGS, 0x10f00		! VM FS FILES SIGHAND THREAD
	.ifndef	FORKS
	.equ	FORKS, 100
	.endif

	.pushsection .data
	.align	8
action:
	.dword	0, 0, 0, 0
	.popsection
	.pushsection .bss
	.align	16
status:
	.skip	8
brief_id:				! lives until the kernel clears it
	.skip	8
	.align	16
stack_1:
	.skip	32768
stack_2:
	.skip	32768
stack_3:
	.skip	32768
stack_4:
	.skip	32768
stack_end:
	.popsection

! Code to be copied: the argument plus 1.
	PROC leaf
	{
		addd %dr0, 1, %dr0
	}
	RETURN
leaf_end:
	.equ	LEAF_BYTES, leaf_end - leaf

	PROC map_work				! result: 0
	SYSCALL SYS_mmap, 0, 16384, 3, 0x12, -1, 0
	{
		addd %db[0], 0, %dr8
	}
	{
		std %dr8, 8192, %dr8
	}
	SYSCALL SYS_mprotect, %dr8, 4096, 1
	SYSCALL SYS_munmap, %dr8, 16384
	{
		addd %db[0], 0, %dr0
	}
	RETURN

	PROC code_work				! result: 0
	SYSCALL SYS_mmap, 0, 4096, 7, 0x12, -1, 0
	{
		addd %db[0], 0, %dr8
		addd 0, 0, %dr12
	}
	{
		addd %dr8, 0, %dr9		! where
		addd 0, 16, %dr13		! how many
	}
1:
	{
		addd 0, leaf, %dr10
		addd 0, LEAF_BYTES, %dr11
	}
2:
	{
		ldd %dr10, 0, %dr14
		subd %dr11, 8, %dr11
	}
	{
		std %dr9, 0, %dr14
		addd %dr9, 8, %dr9
	}
	{
		addd %dr10, 8, %dr10
		cmpedb %dr11, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2b
	{
		subd %dr9, LEAF_BYTES, %dr15
		addd %dr12, 0, %db[0]
	}
	CALL_REG %dr15
	{
		addd %db[0], 0, %dr12
		subd %dr13, 1, %dr13
	}
	{
		cmpedb %dr13, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	SYSCALL SYS_munmap, %dr8, 4096
	{
		subd %dr12, 16, %dr0
	}
	RETURN

	PROC mapper
1:
	CALL map_work
	GOTO 1b

	PROC coder
1:
	CALL code_work
	GOTO 1b

	PROC brief
	SYSCALL SYS_exit, 0

	PROC starter
1:
	SYSCALL SYS_rt_sigaction, 12, action, 0, 8
	SYSCALL SYS_clone, CLONE_FLAGS + 0x1200000, stack_end, 0, brief_id, 0
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2f
	CALL brief
2:
	{
		addd 0, brief_id, %dr9
	}
	{
		ldw %dr9, 0, %dr10
	}
	{
		cmpedb %dr10, 0, %pred0
	}
	GOTO_IF %pred0, 1b
	SYSCALL SYS_futex, brief_id, 0, %dr10, 0
	GOTO 2b

	.macro	START name, stack
	SYSCALL SYS_clone, CLONE_FLAGS, \stack, 0, 0, 0
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 9999f
	CALL \name
9999:
	.endm

	PROC main
	START mapper, stack_2
	START coder, stack_3
	START starter, stack_4
	{
		addd 0, FORKS, %dr20
		addd 0, 0, %dr21
	}
1:
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr22
	}
	{
		cmpedb %dr22, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2f
	! The child: the same work, and a thread of its own.
	CALL map_work
	{
		addd %db[0], 0, %dr10
	}
	CALL code_work
	{
		addd %dr10, %db[0], %dr10
	}
	{
		addd %dr10, 7, %dr10
		addd 0, 1, %dr12
		addd 0, brief_id, %dr11
	}
	{
		stw %dr11, 0, %r12
	}
	SYSCALL SYS_clone, CLONE_FLAGS + 0x1200000, stack_end, 0, brief_id, 0
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 3f
	CALL brief
3:
	{
		ldw %dr11, 0, %dr12
	}
	{
		cmpedb %dr12, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 3b
	SYSCALL SYS_exit_group, %dr10
2:
	SYSCALL SYS_waitpid, %dr22, status, 0
	{
		addd 0, status, %dr9
	}
	{
		ldw %dr9, 0, %dr9
	}
	{
		cmpedb %dr9, 7 << 8, %pred0
	}
	{
		addd %dr21, 1, %dr21 ? ~%pred0
		subd %dr20, 1, %dr20
	}
	{
		cmpedb %dr20, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	CHECK_EQ %dr21, 0, "all children have done their work"
	DONE
