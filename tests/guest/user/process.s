! Processes and threads: fork, wait, vfork, clone, futex, real atomics.

	.include "lib.inc"

	.equ	CLONE_THREAD_FLAGS, 0x3d0f00	! VM FS FILES SIGHAND THREAD
						! SYSVSEM SETTLS both TIDs
	.equ	FUTEX_WAIT, 0
	.equ	FUTEX_WAKE, 1
	.equ	FIONREAD, 0x541b
	.ifndef THREADS			! the build makes a variant with many
	.equ	THREADS, 4
	.equ	ROUNDS, 2000
	.equ	STACK, 65536
	.endif

	.pushsection .bss
	.align	16
status:
	.skip	8
word:
	.skip	8
ends:
	.skip	8
tids:
	.skip	THREADS * 8
counter:
	.skip	8
	.align	16
wide:
	.skip	16
	.align	4096
stacks:
	.skip	THREADS * STACK
	.popsection

! Adds 1 to a 64-bit word at an address, atomically: lock load, store, retry.
	PROC atomic_inc
1:
	{
		ldd,0 %dr0, 0, %dr1, mas = 0x7
	}
	{
		addd %dr1, 1, %dr2
	}
	{
		std,2 %dr0, 0, %dr2, mas = 0x2
		rbranch 1b
	}
	RETURN

! One thread: counts, then ends.  Its number is in %dr20 of the cloner.
	PROC work
	{
		addd 0, ROUNDS, %dr8
	}
1:
	{
		addd 0, counter, %db[0]
	}
	CALL atomic_inc
	{
		subd %dr8, 1, %dr8
	}
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

	PROC start_thread		! index; result: tid
	{
		shld %dr0, 3, %dr8
		addd %dr0, 1, %dr9
	}
	{
		muld %dr9, STACK, %dr9
		addd 0, tids, %dr10
	}
	{
		addd 0, stacks, %dr11
	}
	{
		addd %dr10, %dr8, %dr10
		addd %dr11, %dr9, %dr9
	}
	{
		addd 0, 0, %dr12
	}
	SYSCALL SYS_clone, CLONE_THREAD_FLAGS, %dr9, %dr10, %dr10, 0x5555
	{
		cmpedb %db[0], 0, %pred0
		addd %db[0], 0, %dr0
	}
	GOTO_IF_NOT %pred0, 1f
	! The new thread: its own stack, thread pointer and registers.
	CALL work
	SYSCALL SYS_exit, 0
1:
	RETURN

	PROC join			! index: waits until the kernel clears its tid
	{
		shld %dr0, 3, %dr8
		addd 0, tids, %dr9
	}
	{
		addd %dr9, %dr8, %dr9
	}
1:
	{
		ldw %dr9, 0, %dr10
	}
	{
		cmpedb %dr10, 0, %pred0
	}
	GOTO_IF %pred0, 2f
	SYSCALL SYS_futex, %dr9, FUTEX_WAIT, %dr10, 0
	GOTO 1b
2:
	RETURN

	PROC main
	! fork and wait
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr8
	}
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	SYSCALL SYS_exit_group, 7
1:
	SYSCALL SYS_waitpid, %dr8, status, 0
	{
		subd %db[0], %dr8, %dr0
		addd 0, status, %dr1
	}
	CHECK_EQ %dr0, 0, "waitpid finds the child"
	{
		ldw %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, 0x700, "with its status"

	! vfork: the parent goes on after the child, which writes to a pipe
	SYSCALL SYS_pipe, ends
	SYSCALL SYS_vfork
	{
		addd %db[0], 0, %dr8
		addd 0, ends, %dr9
	}
	{
		cmpedb %dr8, 0, %pred0
		ldw %dr9, 0, %dr10
		ldw %dr9, 4, %dr11
	}
	GOTO_IF_NOT %pred0, 2f
	SYSCALL SYS_write, %dr11, word, 5
	SYSCALL SYS_exit_group, 9
2:
	SYSCALL SYS_ioctl, %dr10, FIONREAD, status
	{
		addd 0, status, %dr1
	}
	{
		ldw %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, 5, "vfork waits for the child"
	SYSCALL SYS_waitpid, %dr8, status, 0
	{
		subd %db[0], %dr8, %dr0
	}
	CHECK_EQ %dr0, 0, "which can then be waited for"

	! a child killed by a signal
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr8
	}
	{
		cmpedb %dr8, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 3f
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr9
	}
	SYSCALL SYS_kill, %dr9, 15
3:
	SYSCALL SYS_waitpid, %dr8, status, 0
	{
		addd 0, status, %dr1
	}
	{
		ldw %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, 15, "a killed child says which signal"

	! threads
	{
		addd 0, 0, %dr20
	}
4:
	{
		addd %dr20, 0, %db[0]
	}
	CALL start_thread
	{
		addd %dr20, 1, %dr20
	}
	{
		cmpedb %dr20, THREADS, %pred0
	}
	GOTO_IF_NOT %pred0, 4b
	{
		addd 0, 0, %dr20
	}
5:
	{
		addd %dr20, 0, %db[0]
	}
	CALL join
	{
		addd %dr20, 1, %dr20
	}
	{
		cmpedb %dr20, THREADS, %pred0
	}
	GOTO_IF_NOT %pred0, 5b
	{
		addd 0, counter, %dr1
	}
	{
		ldd %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, THREADS * ROUNDS, "atomic additions of all threads count"
	SYSCALL SYS_futex, word, FUTEX_WAIT, 1, 0
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, -11, "futex sees a changed word"
	SYSCALL SYS_futex, word, FUTEX_WAKE, 1, 0
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, 0, "and finds nobody to wake"
	DONE
