! Programs that write code and run it: from version 3 on a store is enough, the
! instruction cache sees it; a flush of the line may follow.

	.include "lib.inc"

	.equ	PASSES, 3000
	.equ	CODE_BYTES, 32
	.equ	CLONE_FLAGS, 0x10f00		! VM FS FILES SIGHAND THREAD
	.equ	CLONE_TIDS, 0x1200000		! parent's and child's is set, cleared

	.pushsection .bss
	.align	8
pipe:
	.skip	8
status:
	.skip	8
! Of the thread: what it runs, what that has given, how often, whether anything
! but 1 and 2; to stop; its number, until it has ended.
thread_page:
	.skip	8
thread_result:
	.skip	8
thread_passes:
	.skip	8
thread_wrong:
	.skip	8
thread_stop:
	.skip	8
thread_id:
	.skip	8
	.align	16
	.skip	32768
thread_stack:
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

! The other thread: runs the page again and again, and writes there too.
	PROC runner
	{
		addd 0, thread_page, %dr8
	}
	{
		ldd %dr8, 0, %dr9
	}
1:
	CALL_REG %dr9
	{
		addd %db[0], 0, %dr10
		addd 0, thread_passes, %dr11
	}
	{
		std %dr9, 2048, %dr10
	}
	{
		std %dr8, thread_result - thread_page, %dr10
		subd %dr10, 1, %dr10
		ldd,3 %dr11, 0, %dr12
	}
	{
		cmpbedb %dr10, 1, %pred1
		addd %dr12, 1, %dr12
	}
	{
		std %dr8, thread_wrong - thread_page, %dr11 ? ~%pred1
		std,5 %dr11, 0, %dr12
	}
	{
		ldd %dr8, thread_stop - thread_page, %dr10
	}
	{
		cmpedb %dr10, 0, %pred0
	}
	GOTO_IF %pred0, 1b
	SYSCALL SYS_exit, 0

! Waits until a word holds at least a number, or (0) is cleared.
	PROC await			! address, number
1:
	{
		ldd %dr0, 0, %dr2
		cmpedb %dr1, 0, %pred0
	}
	{
		cmpbdb %dr2, %dr1, %pred1 	! not yet
		cmpedb %dr2, 0, %pred2
	}
	GOTO_IF %pred0, 2f
	GOTO_IF %pred1, 1b
	RETURN
2:
	GOTO_IF_NOT %pred2, 1b
	RETURN
	.macro	AWAIT address, number
	{
		addd 0, \address, %db[0]
		addd 0, \number, %db[1]
	}
	CALL await
	.endm

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

	! While another thread runs it.  %dr16 is the word of two.
	COPY one
	{
		ldd %dr8, %dr15, %dr17
		addd 0, thread_page, %dr9
	}
	{
		std %dr9, 0, %dr8
	}
	SYSCALL SYS_clone, CLONE_FLAGS + CLONE_TIDS, thread_stack, thread_id, thread_id, 0
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	CALL runner
1:
	AWAIT thread_passes, 10
	{
		addd 0, 0, %dr11
	}
2:
	{
		std %dr8, %dr15, %dr16
		addd %dr11, 1, %dr11
	}
	{
		std %dr8, %dr15, %dr17
		cmpledb %dr11, PASSES, %pred0
	}
	GOTO_IF %pred0, 2b
	{
		std %dr8, %dr15, %dr16
		ldd,3 %dr9, thread_passes - thread_page, %dr10
	}
	{
		addd %dr10, 3, %dr10
	}
	AWAIT thread_passes, %dr10
	{
		ldd %dr9, thread_result - thread_page, %dr10
	}
	{
		ldd %dr9, thread_wrong - thread_page, %dr11
		addd 0, 1, %dr12
	}
	{
		std %dr9, thread_stop - thread_page, %dr12
	}
	CHECK_EQ %dr10, 2, "another thread runs what was written last"
	CHECK_EQ %dr11, 0, "and ran nothing else"
	AWAIT thread_id, 0
	{
		ldd %dr8, 2048, %dr10
	}
	CHECK_EQ %dr10, 2, "both threads wrote to the page"

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
