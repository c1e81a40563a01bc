! System V IPC, asynchronous I/O, directories and robust futexes, in both
! modes: the structures of each.

	.include "lib.inc"
	.include "answers.inc"

	.equ	SYS_ustat, 62
	.equ	SYS_readdir, 89
	.equ	SYS_socketcall, 102
	.equ	SYS_ipc, 117
	.equ	SYS_getdents, 141
	.equ	SYS_fstat64, 197
	.equ	SYS_msgget, 270
	.equ	SYS_msgctl, 271
	.equ	SYS_msgrcv, 272
	.equ	SYS_msgsnd, 273
	.equ	SYS_semget, 274
	.equ	SYS_semctl, 275
	.equ	SYS_semtimedop, 276
	.equ	SYS_shmget, 278
	.equ	SYS_shmctl, 279
	.equ	SYS_shmat, 280
	.equ	SYS_shmdt, 281
	.equ	SYS_io_setup, 294
	.equ	SYS_io_destroy, 295
	.equ	SYS_io_getevents, 296
	.equ	SYS_io_submit, 297
	.equ	SYS_io_pgetevents, 285
	.equ	SYS_set_robust_list, 366
	.equ	SYS_get_robust_list, 365
	.equ	SYS_memfd_create, 386
	.equ	CLONE_FLAGS, 0x3d0f00
	.equ	OWNER_DIED, 0x40000000

! Where the fields of the descriptions are, and how long these are.
	.ifdef	NARROW
	.equ	MODE, 22
	.equ	MSG_BYTES, 104
	.equ	MSG_QNUM, 76
	.equ	MSG_QBYTES, 80
	.equ	MSG_LSPID, 84
	.equ	SEM_BYTES, 80
	.equ	SEM_CTIME, 60
	.equ	SHM_BYTES, 96
	.equ	SHM_SEGSZ, 72
	.equ	SHM_CPID, 76
	.equ	SHM_NATTCH, 84
	.equ	INFO_BYTES, 36
	.equ	ROBUST_BYTES, 12
	.equ	USTAT_BYTES, 20
	.else
	.equ	MODE, 20
	.equ	MSG_BYTES, 120
	.equ	MSG_QNUM, 80
	.equ	MSG_QBYTES, 88
	.equ	MSG_LSPID, 96
	.equ	SEM_BYTES, 88
	.equ	SEM_CTIME, 56
	.equ	SHM_BYTES, 112
	.equ	SHM_SEGSZ, 48
	.equ	SHM_CPID, 80
	.equ	SHM_NATTCH, 88
	.equ	INFO_BYTES, 72
	.equ	ROBUST_BYTES, 24
	.equ	USTAT_BYTES, 32
	.endif
	.equ	SEM_NSEMS, 64
	.equ	IPC_64, 0x100

	.pushsection .data
	.align	8
message:
	WORDS	5
	.ascii	"hello"
	.align	8
pair:
	WORDS	received, 5
value_3:
	WORDS	3
timeout:
	WORDS	1, 0
up_down:				! both semaphores: +1, and -1
	.half	1, 1, 0, 1, -1, 0
socket_words:
	WORDS	1, 1, 0, ends
	.ifndef NARROW
bad_words:
	.dword	0, 0x500000000000, 4, 0
	.endif
	.align	8
write_block:
	.dword	0x1234			! data
	.word	0, 0
	.half	1, 0			! PWRITE
write_fd:
	.word	0
	.dword	text, 5, 0, 0
	.word	0, 0
read_block:
	.dword	0x5678
	.word	0, 0
	.half	7, 0			! PREADV
read_fd:
	.word	0
	.dword	vector, 2, 0, 0
	.word	0, 0
bad_block:
	.dword	0
	.word	0, 0
	.half	0, 0			! PREAD to where the emulator is
bad_fd:
	.word	0
	.dword	0x500000000000, 5, 0, 0
	.word	0, 0
	.align	8
blocks:
	WORDS	write_block, read_block
bad_blocks:
	WORDS	bad_block
vector:
	WORDS	part_1, 2, part_2, 3
text:
	.ascii	"asyncronous"
name:
	.asciz	"ipc"
list:
	.asciz	"/proc"
	.align	8
robust_head:
	WORDS	robust_entry, lock - robust_entry, 0
robust_entry:
	WORDS	robust_head
lock:
	.word	0
	.popsection
	.pushsection .bss
	.align	16
received:
	.skip	128
ends:
	.skip	8
aio:
	.skip	8
events:
	.skip	64
part_1:
	.skip	8
part_2:
	.skip	8
thread_id:
	.skip	8
	.align	16
stack:
	.skip	65536
stack_end:
	.popsection

	PROC messages
	GIVES %dr20, "msgget", SYS_msgget, 0, 0x1b6
	ANSWERS 0, "msgsnd", SYS_msgsnd, %dr20, message, 5, 0
	FILLS MSG_BYTES, "msgctl", SYS_msgctl, %dr20, IPC_64 + 2, buffer
	HOLDS 0x1b6, "its mode", h, buffer, MODE
	HOLDS 1, "one message", w, buffer, MSG_QNUM
	SYSCALL SYS_getpid
	{
		addd 0, buffer, %dr9
		addd %db[0], 0, %dr10
	}
	{
		ldw %dr9, MSG_LSPID, %dr9
	}
	{
		subd %dr9, %dr10, %dr9
	}
	CHECK_EQ %dr9, 0, "which is ours"
	ANSWERS 5, "msgrcv", SYS_msgrcv, %dr20, received, 100, -5, 0
	HOLDS 5, "its type", w, received
	HOLDS 0x6c6c6568, "its text", w, received, WORD
	ANSWERS -42, "none is left", SYS_msgrcv, %dr20, received, 100, 0, 0x800
	PUT w, buffer, MSG_QBYTES, 512
	PUT h, buffer, MODE, 0x180
	ANSWERS 0, "a smaller queue", SYS_msgctl, %dr20, IPC_64 + 1, buffer
	ANSWERS 0, "asked again", SYS_msgctl, %dr20, IPC_64 + 2, buffer
	HOLDS 512, "is smaller", w, buffer, MSG_QBYTES
	HOLDS 0x180, "with another mode", h, buffer, MODE
	ANSWERS 0, "through ipc: msgsnd", SYS_ipc, 11, %dr20, 5, 0, message
	ANSWERS 5, "msgrcv of old programs", SYS_ipc, 12, %dr20, 100, 0, pair
	ANSWERS 0, "msgsnd again", SYS_ipc, 11, %dr20, 5, 0, message
	ANSWERS 5, "msgrcv of newer ones", SYS_ipc, 0x1000c, %dr20, 100, 0, received, 5
	ANSWERS 0, "and the end", SYS_ipc, 14, %dr20, IPC_64, 0, 0
	ANSWERS -22, "it is gone", SYS_msgsnd, %dr20, message, 5, 0
	RETURN

	PROC semaphores
	GIVES %dr20, "semget", SYS_semget, 0, 2, 0x180
	FILLS SEM_BYTES, "semctl", SYS_semctl, %dr20, 0, IPC_64 + 2, buffer
	HOLDS 2, "two of them", w, buffer, SEM_NSEMS
	{
		addd 0, buffer, %dr9
	}
	{
		ldw %dr9, SEM_CTIME, %dr9
	}
	CHECK %dr9, "made some time"
	ANSWERS 0, "through ipc: SETVAL", SYS_ipc, 3, %dr20, 1, 16, value_3
	ANSWERS 3, "GETVAL", SYS_semctl, %dr20, 1, 12, 0
	ANSWERS 0, "semtimedop", SYS_semtimedop, %dr20, up_down, 2, timeout
	ANSWERS 3, "up and down", SYS_semctl, %dr20, 1, 12, 0
	ANSWERS 0, "and the end", SYS_semctl, %dr20, 0, 0, 0
	RETURN

	PROC segments
	GIVES %dr20, "shmget", SYS_shmget, 0, 8192, 0x180
	GIVES %dr21, "shmat", SYS_shmat, %dr20, 0, 0
	{
		stw %dr21, 4096, %r20
	}
	FILLS SHM_BYTES, "shmctl", SYS_shmctl, %dr20, IPC_64 + 2, buffer
	HOLDS 8192, "its size", w, buffer, SHM_SEGSZ
	HOLDS 1, "attached once", w, buffer, SHM_NATTCH
	PUT h, buffer, MODE, 0x100
	ANSWERS 0, "its mode can be set", SYS_shmctl, %dr20, IPC_64 + 1, buffer
	ANSWERS 0, "asked again", SYS_shmctl, %dr20, IPC_64 + 2, buffer
	HOLDS 0x100, "it is so", h, buffer, MODE
	FILLS INFO_BYTES, "limits", SYS_shmctl, 0, IPC_64 + 3, buffer
	ANSWERS 0, "shmdt", SYS_shmdt, %dr21
	ANSWERS 0, "through ipc: shmat", SYS_ipc, 21, %dr20, 0, received, 0
	{
		addd 0, received, %dr9
	}
	{
		LOAD_POINTER %dr9, 0, %dr21
	}
	{
		ldw %dr21, 4096, %dr9
	}
	{
		subd %dr9, %dr20, %dr9
	}
	CHECK_EQ %dr9, 0, "what was written is there"
	ANSWERS 0, "shmdt", SYS_ipc, 22, 0, 0, 0, %dr21
	ANSWERS 0, "and the end", SYS_shmctl, %dr20, 0, 0
	RETURN

	PROC sockets
	ANSWERS 0, "through socketcall: socketpair", SYS_socketcall, 8, socket_words
	{
		addd 0, ends, %dr9
	}
	{
		ldw %dr9, 0, %dr20
		ldw %dr9, 4, %dr21
	}
	ANSWERS 3, "which is connected", SYS_write, %dr20, text, 3
	.ifndef NARROW
	{
		addd 0, bad_words, %dr9
	}
	{
		std %dr9, 0, %dr21
	}
	ANSWERS -14, "recv into the emulator", SYS_socketcall, 10, bad_words
	.endif
	ANSWERS 3, "all is there", SYS_read, %dr21, buffer, 100
	RETURN

	PROC asynchronous
	GIVES %dr20, "a file", SYS_memfd_create, name, 0
	{
		addd 0, write_fd, %dr9
		addd 0, read_fd, %dr10
	}
	{
		addd 0, bad_fd, %dr11
	}
	{
		stw %dr9, 0, %r20
	}
	{
		stw %dr10, 0, %r20
	}
	{
		stw %dr11, 0, %r20
	}
	ANSWERS 0, "io_setup", SYS_io_setup, 8, aio
	ANSWERS -22, "not twice", SYS_io_setup, 8, aio
	{
		addd 0, aio, %dr9
	}
	{
		LOAD_POINTER %dr9, 0, %dr21
	}
	ANSWERS 1, "io_submit: a write", SYS_io_submit, %dr21, 1, blocks
	ANSWERS 1, "io_getevents", SYS_io_getevents, %dr21, 1, 1, events, timeout
	HOLDS 0x1234, "its data", d, events
	{
		addd 0, events, %dr9
		addd 0, write_block, %dr10
	}
	{
		ldd %dr9, 8, %dr9
	}
	{
		subd %dr9, %dr10, %dr9
	}
	CHECK_EQ %dr9, 0, "its block"
	HOLDS 5, "its result", d, events, 16
	ANSWERS 2, "two, one of them a vector", SYS_io_submit, %dr21, 2, blocks
	ANSWERS 2, "both come", SYS_io_pgetevents, %dr21, 2, 2, events, timeout, 0
	HOLDS 5, "five bytes", d, events, 48
	HOLDS 0x7361, "in two", h, part_1
	HOLDS 0x6e79, "parts", h, part_2
	ANSWERS 0, "no more", SYS_io_getevents, %dr21, 0, 1, events, 0
	.ifndef NARROW
	ANSWERS -14, "a read into the emulator", SYS_io_submit, %dr21, 1, bad_blocks
	.endif
	ANSWERS 0, "io_destroy", SYS_io_destroy, %dr21
	ANSWERS -22, "once", SYS_io_destroy, %dr21
	RETURN

	PROC directories
	GIVES %dr20, "a directory", SYS_open, list, 0x10000
	ANSWERS 1, "readdir", SYS_readdir, %dr20, buffer, 1
	HOLDS 0x2e, "its first entry", h, buffer, 2 * WORD + 2
	HOLDS 1, "and the length of that", h, buffer, 2 * WORD
	GIVES %dr21, "getdents", SYS_getdents, %dr20, buffer, 1024
	HOLDS 0x2e2e, "the second entry", h, buffer, 2 * WORD + 2
	ANSWERS 0, "fstat64", SYS_fstat64, %dr20, buffer
	{
		addd 0, buffer, %dr9
	}
	{
		ldw %dr9, 0, %dr21
	}
	FILLS USTAT_BYTES, "ustat", SYS_ustat, %dr21, buffer
	RETURN

	PROC dies_locked
	SYSCALL SYS_set_robust_list, robust_head, ROBUST_BYTES
	SYSCALL SYS_gettid
	{
		addd 0, lock, %dr9
		addd %db[0], 0, %dr10
	}
	{
		stw %dr9, 0, %r10
	}
	SYSCALL SYS_exit, 0
	RETURN

	PROC robust
	ANSWERS -22, "set_robust_list wants its size", SYS_set_robust_list, robust_head, ROBUST_BYTES + 1
	ANSWERS 0, "set_robust_list", SYS_set_robust_list, robust_head, ROBUST_BYTES
	ANSWERS 0, "get_robust_list", SYS_get_robust_list, 0, received, received + 8
	HOLDS ROBUST_BYTES, "its size", w, received, 8
	{
		addd 0, received, %dr9
		addd 0, robust_head, %dr10
	}
	{
		LOAD_POINTER %dr9, 0, %dr9
	}
	{
		subd %dr9, %dr10, %dr9
	}
	CHECK_EQ %dr9, 0, "its head"
	SYSCALL SYS_clone, CLONE_FLAGS, stack_end, thread_id, thread_id, 0
	{
		cmpedb %db[0], 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1f
	CALL dies_locked
1:
	{
		addd 0, thread_id, %dr9
	}
	{
		ldw %dr9, 0, %dr10
	}
	{
		cmpedb %dr10, 0, %pred0
	}
	GOTO_IF %pred0, 2f
	SYSCALL SYS_futex, thread_id, 0, %dr10, 0
	GOTO 1b
2:
	HOLDS OWNER_DIED, "a lock of a thread that has died", w, lock
	RETURN

	PROC main
	CALL messages
	CALL semaphores
	CALL segments
	CALL sockets
	CALL asynchronous
	CALL directories
	CALL robust
	DONE
