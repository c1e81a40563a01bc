! A crash with threads: one runs, one waits in a call, the first one dies.

	.include "lib.inc"

	.equ	CLONE_FLAGS, 0x10f00		! VM FS FILES SIGHAND THREAD
	.equ	NOWHERE, 0x1234000

	.pushsection .bss
	.align	16
started:
	.skip	8
word:
	.skip	8
	.align	16
stack_1:
	.skip	16384
stack_2:
	.skip	16384
stack_end:
	.popsection

	PROC spinner
	{
		addd 0, 1, %dr9
		ADDR started, %dr8
	}
	{
		stw %dr8, 0, %r9
	}
1:
	{
		addd %dr9, 1, %dr9
	}
	GOTO 1b

	PROC sleeper
	{
		addd 0, 1, %dr9
		ADDR started, %dr8
	}
	{
		stw %dr8, 4, %r9
	}
	SYSCALL SYS_futex, word, 0, 0, 0
	RETURN

	PROC dies
	{
		addd 0, NOWHERE, %dr8
	}
	{
		ldw %dr8, 0, %dr9
	}
	RETURN

	PROC main
	SYSCALL SYS_clone, CLONE_FLAGS, stack_2, 0, 0, 0
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	CALL spinner
1:
	SYSCALL SYS_clone, CLONE_FLAGS, stack_end, 0, 0, 0
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2f
	CALL sleeper
2:
	{
		ADDR started, %dr8
	}
	{
		ldw %dr8, 0, %dr9
		ldw %dr8, 4, %dr10
	}
	{
		cmpedb %dr9, 0, %pred0
		cmpedb %dr10, 0, %pred1
	}
	GOTO_IF %pred0, 2b
	GOTO_IF %pred1, 2b
	CALL dies
	RETURN
