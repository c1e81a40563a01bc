! Programs that write code and run it: from version 3 on a store is enough, the
! instruction cache sees it; a flush of the line may follow.

	.include "lib.inc"

	.equ	PASSES, 3000
	.equ	CODE_BYTES, 32

	.pushsection .bss
	.align	8
pipe:
	.skip	8
status:
	.skip	8
	.popsection

	.macro	GIVES_NUMBER name, number
	.align	CODE_BYTES
\name:
	{
		return %ctpr3
		addd 0, \number, %dr0
		nop 5
	}
	{
		ct %ctpr3
	}
	.endm

	.pushsection .text
	GIVES_NUMBER one, 1
	GIVES_NUMBER two, 2
	.align	CODE_BYTES
! Writes %dr1 to [%dr0], which is in the bundle that comes then.
ahead:
	{
		std %dr0, 0, %dr1
	}
ahead_changed:
	{
		return %ctpr3
		addd 0, 1, %dr0
		nop 5
	}
	{
		ct %ctpr3
	}
	.popsection

	PROC copy			! to, from
	{
		addd 0, 0, %dr2
	}
1:
	{
		ldd %dr1, %dr2, %dr3
		cmpedb %dr2, CODE_BYTES - 8, %pred0
	}
	{
		std %dr0, %dr2, %dr3
		addd %dr2, 8, %dr2
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

! main: %dr8 is the page.
	.macro	COPY from
	{
		addd %dr8, 0, %db[0]
		addd 0, \from, %db[1]
	}
	CALL copy
	.endm
	.macro	RUN number, text
	CALL_REG %dr8
	CHECK_EQ %db[0], \number, "\text"
	.endm
	.macro	NEW_PAGE
	SYSCALL SYS_mmap, 0, 4096, 7, 0x12, -1
	{
		addd %db[0], 0, %dr8
	}
	.endm
! %dr10 = 1 or 2 in turn, %dr11 counts: a template is copied and run.
	.macro	IN_TURNS flush, text
	{
		addd 0, 0, %dr9
		addd 0, 0, %dr11
	}
1:
	{
		andd %dr11, 1, %dr10
	}
	{
		shld %dr10, 5, %dr10
	}
	{
		addd %dr8, 0, %db[0]
		addd %dr10, one, %db[1]
	}
	CALL copy
	.if	\flush
	{
		wait st_c = 1
	}
	{
		std,2 0, %dr8, %dr9, mas=0x17
	}
	{
		wait st_c = 1
	}
	.endif
	CALL_REG %dr8
	{
		addd %dr9, %db[0], %dr9
		addd %dr11, 1, %dr11
	}
	{
		cmpledb %dr11, PASSES - 1, %pred0
	}
	GOTO_IF %pred0, 1b
	CHECK_EQ %dr9, PASSES * 3 / 2, "\text"
	.endm

	PROC main
	NEW_PAGE
	COPY one
	RUN 1, "code that was written"
	COPY two
	RUN 2, "and written over"
	IN_TURNS 0, "many times"
	IN_TURNS 1, "many times, with a flush"

	! The bundle that follows the store.
	{
		addd %dr8, 0, %db[0]
		addd 0, ahead, %db[1]
	}
	CALL copy
	{
		addd %dr8, 16, %db[0]
		addd 0, ahead + 16, %db[1]
	}
	CALL copy
	{
		addd 0, two, %dr10
	}
	{
		ldd %dr10, 0, %dr12
		ldd,3 %dr10, 8, %dr13
	}
	{
		addd 0, one, %dr10
	}
	{
		ldd %dr10, 0, %dr14
	}
	{
		cmpedb %dr12, %dr14, %pred0
		addd 0, ahead_changed - ahead, %dr15
	}
	{
		addd %dr12, 0, %dr16 ? ~%pred0
		addd %dr13, 0, %dr16 ? %pred0
		addd %dr15, 8, %dr15 ? %pred0
	}
	{
		addd %dr8, %dr15, %db[0]
		addd %dr16, 0, %db[1]
	}
	CALL_REG %dr8
	CHECK_EQ %db[0], 2, "a store into the next bundle"

	! By the system.
	COPY one
	RUN 1, "before a read"
	SYSCALL SYS_pipe, pipe
	{
		addd 0, pipe, %dr10
	}
	{
		ldw %dr10, 0, %dr11
		ldw,3 %dr10, 4, %dr12
	}
	SYSCALL SYS_write, %dr12, two, CODE_BYTES
	SYSCALL SYS_read, %dr11, %dr8, CODE_BYTES
	CHECK_EQ %db[0], CODE_BYTES, "a system call reads into code"
	RUN 2, "and the new code runs"

	! By an atomic bracket: the first word, which differs in one or the other.
	COPY one
	RUN 1, "before a bracket"
	{
		subd %dr15, ahead_changed - ahead, %dr15
	}
1:
	{
		ldd,0 %dr8, %dr15, %dr10, mas=0x7
	}
	{
		std,2 %dr8, %dr15, %dr16, mas=0x2
		rbranch 2f
	}
	GOTO 3f
2:
	GOTO 1b
3:
	RUN 2, "a bracket writes code"

	! The child's copy is its own.
	COPY one
	RUN 1, "before a fork"
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr10
	}
	IF_NE %dr10, 0, 1f
	COPY two
	CALL_REG %dr8
	{
		addd %db[0], 0, %dr10
	}
	SYSCALL SYS_exit_group, %dr10
1:
	SYSCALL SYS_waitpid, %dr10, status, 0
	{
		addd 0, status, %dr10
	}
	{
		ldw %dr10, 0, %dr10
	}
	CHECK_EQ %dr10, 0x200, "a child writes its code"
	RUN 1, "which the parent does not see"

	! Elsewhere, and gone.
	SYSCALL SYS_mremap, %dr8, 4096, 0x100000, 1
	{
		addd %db[0], 0, %dr8
	}
	RUN 1, "code that has moved"
	COPY two
	RUN 2, "is written there"
	SYSCALL SYS_munmap, %dr8, 0x100000
	SYSCALL SYS_mmap, %dr8, 4096, 7, 0x112, -1
	COPY one
	RUN 1, "a new page in its place"
	SYSCALL SYS_mprotect, %dr8, 4096, 3
	COPY two
	SYSCALL SYS_mprotect, %dr8, 4096, 7
	RUN 2, "written while it was no code"
	COPY one
	RUN 1, "and when it was again"
	DONE
