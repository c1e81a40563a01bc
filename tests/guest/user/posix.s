! Descriptors of all kinds, sockets, locks, limits, futexes: what a call answers
! here it must answer natively, too: posix-twin.c makes the same checks in the
! same order and words, and tests/user/twin.py compares.

	.include "lib.inc"

	.equ	SYS_creat, 8
	.equ	SYS_dup, 41
	.equ	SYS_setrlimit, 75
	.equ	SYS_flock, 143
	.equ	SYS_poll, 168
	.equ	SYS_prctl, 172
	.equ	SYS_pipe2, 251
	.equ	SYS_epoll_ctl, 303
	.equ	SYS_epoll_wait, 304
	.equ	SYS_signalfd4, 347
	.equ	SYS_eventfd2, 348
	.equ	SYS_timerfd_create, 351
	.equ	SYS_timerfd_settime, 352
	.equ	SYS_inotify_init1, 359
	.equ	SYS_inotify_add_watch, 292
	.equ	SYS_epoll_create1, 360
	.equ	SYS_set_robust_list, 366
	.equ	SYS_socket, 403
	.equ	SYS_connect, 404
	.equ	SYS_accept, 405
	.equ	SYS_sendmsg, 408
	.equ	SYS_recvmsg, 409
	.equ	SYS_bind, 410
	.equ	SYS_listen, 411
	.equ	SYS_socketpair, 414

	.pushsection .data
	.align	8
five_ms:
	.dword	0, 0, 0, 5000000
user_1:
	.dword	0x200			! SIGUSR1
number:
	.dword	7
event:
	.word	1, 0
	.dword	0x1122334455667788
poll_one:
	.word	0
	.half	1, 0
limit:
	.dword	64, 64
address:				! abstract: 0, then the process number
	.half	1
	.byte	0
	.ascii	"twin"
process:
	.word	0
address_2:
	.half	1
	.byte	0
	.ascii	"nobody.."
	.align	8
vector:
	.dword	text, 3
vector_in:
	.dword	buffer, 64
control:
	.dword	20
	.word	1, 1, 0, 0
message:
	.dword	0, 0, vector, 1, control, 24, 0
message_in:
	.dword	0, 0, vector_in, 1, control_in, 64, 0
text:
	.asciz	"abc"
dot:
	.asciz	"."
file:
	.asciz	"posix-file"
name:
	.asciz	"posix"
	.popsection
	.pushsection .bss
	.align	16
buffer:
	.skip	4096
control_in:
	.skip	64
ends:
	.skip	8
word:
	.skip	8
	.popsection

! A call and what it must answer.
	.macro	ANSWERS wanted, text, nr, a=0, b=0, c=0, d=0, e=0, f=0
	SYSCALL \nr, \a, \b, \c, \d, \e, \f
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, \wanted, "\text"
	.endm

! A call whose positive result goes to a register.
	.macro	GIVES reg, text, nr, a=0, b=0, c=0, d=0, e=0, f=0
	SYSCALL \nr, \a, \b, \c, \d, \e, \f
	{
		addd %db[0], 0, \reg
	}
	{
		cmpldb \reg, 0, %pred0
	}
	{
		addd 0, 1, %dr9 ? ~%pred0
		addd 0, 0, %dr9 ? %pred0
	}
	CHECK %dr9, "\text"
	.endm

! A word of memory.
	.macro	HOLDS wanted, text, load, where
	{
		addd 0, \where, %dr9
	}
	{
		\load %dr9, 0, %dr9
	}
	CHECK_EQ %dr9, \wanted, "\text"
	.endm

	PROC main
	! eventfd
	GIVES %dr20, "eventfd", SYS_eventfd2, 5, 0
	ANSWERS 8, "adding to it", SYS_write, %dr20, number, 8
	ANSWERS 8, "reading it", SYS_read, %dr20, buffer, 8
	HOLDS 12, "gives the sum", ldd, buffer

	! timerfd
	GIVES %dr21, "timerfd", SYS_timerfd_create, 1, 0
	ANSWERS 0, "is set", SYS_timerfd_settime, %dr21, 0, five_ms, 0
	ANSWERS 8, "expires", SYS_read, %dr21, buffer, 8
	HOLDS 1, "once", ldd, buffer

	! signalfd
	ANSWERS 0, "a signal is blocked", SYS_rt_sigprocmask, 0, user_1, 0, 8
	GIVES %dr22, "signalfd", SYS_signalfd4, -1, user_1, 8, 0
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr10
		addd 0, process, %dr11
	}
	{
		stw %dr11, 0, %r10
	}
	ANSWERS 0, "sent", SYS_kill, %dr10, 10
	ANSWERS 128, "and read", SYS_read, %dr22, buffer, 128
	HOLDS 10, "by number", ldw, buffer

	! epoll
	GIVES %dr21, "epoll", SYS_epoll_create1, 0
	ANSWERS 0, "watches", SYS_epoll_ctl, %dr21, 1, %dr20, event
	ANSWERS 0, "nothing yet", SYS_epoll_wait, %dr21, buffer, 4, 0
	ANSWERS 8, "an event", SYS_write, %dr20, number, 8
	ANSWERS 1, "is seen", SYS_epoll_wait, %dr21, buffer, 4, 100
	HOLDS 1, "as readable", ldw, buffer
	HOLDS 0x1122334455667788, "with its data", ldd, buffer + 8

	! inotify
	GIVES %dr21, "inotify", SYS_inotify_init1, 0
	ANSWERS 1, "watches a directory", SYS_inotify_add_watch, %dr21, dot, 0x100
	GIVES %dr20, "a file appears", SYS_creat, file, 384
	ANSWERS 32, "and is told of", SYS_read, %dr21, buffer, 4096
	HOLDS 0x100, "as created", ldw, buffer + 4
	HOLDS 0x69736f70, "by name", ldw, buffer + 16

	! locks
	ANSWERS 0, "a lock", SYS_flock, %dr20, 6
	GIVES %dr21, "another descriptor", SYS_open, file, 0, 0
	ANSWERS -11, "does not get it", SYS_flock, %dr21, 6
	ANSWERS 0, "until it is given up", SYS_flock, %dr20, 8
	ANSWERS 0, "then it does", SYS_flock, %dr21, 6

	! ioctls on what they are not for
	ANSWERS -25, "a file is no terminal", SYS_ioctl, %dr21, 0x5401, buffer
	ANSWERS -25, "nor a block device", SYS_ioctl, %dr21, 0x80081272, buffer
	ANSWERS -25, "nor a loop device", SYS_ioctl, %dr21, 0x4c05, buffer
	ANSWERS -25, "nor a directory", SYS_ioctl, %dr21, 0x5413, buffer

	! sockets
	ANSWERS 0, "socketpair", SYS_socketpair, 1, 1, 0, ends
	{
		addd 0, ends, %dr10
		addd 0, control, %dr11
	}
	{
		ldw %dr10, 0, %dr21
		ldw %dr10, 4, %dr22
	}
	{
		stw %dr11, 16, %r21
	}
	ANSWERS 3, "sendmsg", SYS_sendmsg, %dr21, message, 0
	ANSWERS 3, "recvmsg", SYS_recvmsg, %dr22, message_in, 0
	HOLDS 0x636261, "brings the bytes", ldw, buffer
	HOLDS 24, "and a control message", ldd, message_in + 40
	HOLDS 20, "of one descriptor", ldd, control_in
	{
		addd 0, control_in, %dr10
	}
	{
		ldw %dr10, 16, %dr10
	}
	ANSWERS 2, "that works", SYS_write, %dr10, text, 2
	ANSWERS 2, "on the same socket", SYS_read, %dr22, buffer, 10
	GIVES %dr20, "a listener", SYS_socket, 1, 1, 0
	ANSWERS 0, "bound", SYS_bind, %dr20, address, 11
	ANSWERS 0, "listening", SYS_listen, %dr20, 1
	GIVES %dr21, "a client", SYS_socket, 1, 1, 0
	ANSWERS 0, "connected", SYS_connect, %dr21, address, 11
	{
		addd 0, poll_one, %dr10
	}
	{
		stw %dr10, 0, %r20
	}
	ANSWERS 1, "poll sees it", SYS_poll, poll_one, 1, 100
	GIVES %dr22, "accepted", SYS_accept, %dr20, 0, 0
	ANSWERS 3, "data goes in", SYS_write, %dr21, text, 3
	ANSWERS 3, "and comes out", SYS_read, %dr22, buffer, 10
	GIVES %dr10, "another client", SYS_socket, 1, 1, 0
	ANSWERS -111, "a name that nobody has", SYS_connect, %dr10, address_2, 11

	! pipes and limits
	ANSWERS 0, "a pipe that does not block", SYS_pipe2, ends, 0x800
	{
		addd 0, ends, %dr10
	}
	{
		ldw %dr10, 0, %dr20
	}
	ANSWERS -11, "is empty", SYS_read, %dr20, buffer, 1
	ANSWERS 0, "a limit of descriptors", SYS_setrlimit, 7, limit
1:
	SYSCALL SYS_dup, 0
	{
		addd %db[0], 0, %dr10
	}
	{
		cmpldb %dr10, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	CHECK_EQ %dr10, -24, "is reached"

	! futexes
	SYSCALL SYS_gettid
	{
		addd %db[0], 0, %dr20
	}
	ANSWERS 0, "a priority-inheriting lock", SYS_futex, word, 6, 0, 0
	{
		addd 0, word, %dr10
	}
	{
		ldw %dr10, 0, %dr10
	}
	{
		subd %dr10, %dr20, %dr10
	}
	CHECK_EQ %dr10, 0, "has its owner's number"
	ANSWERS -35, "is not taken twice", SYS_futex, word, 6, 0, 0
	ANSWERS 0, "is released", SYS_futex, word, 7, 0, 0
	HOLDS 0, "and free", ldw, word
	ANSWERS -1, "others may not release it", SYS_futex, word, 7, 0, 0
	ANSWERS -22, "a robust list of a wrong size", SYS_set_robust_list, word, 8

	! a robust lock of a process that ends
	SYSCALL SYS_mmap, 0, 4096, 3, 0x11, -1, 0
	{
		addd %db[0], 0, %dr21
	}
	SYSCALL SYS_fork
	{
		addd %db[0], 0, %dr22
	}
	{
		cmpedb %dr22, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2f
	SYSCALL SYS_gettid
	{
		addd %dr21, 32, %dr10		! the entry
		addd 0, 8, %dr11		! its lock is there
		addd 0, 0, %dr12
	}
	{
		std %dr21, 0, %dr10
	}
	{
		std %dr21, 8, %dr11
	}
	{
		std %dr21, 16, %dr12
	}
	{
		std %dr10, 0, %dr21
	}
	{
		stw %dr10, 8, %b[0]
	}
	SYSCALL SYS_set_robust_list, %dr21, 24
	SYSCALL SYS_exit_group, 0
2:
	SYSCALL SYS_waitpid, %dr22, buffer, 0
	{
		ldw %dr21, 40, %dr10
	}
	{
		andd %dr10, 0x40000000, %dr10
	}
	CHECK_EQ %dr10, 0x40000000, "is marked: its owner died"

	! names and mappings
	ANSWERS 0, "a thread's name", SYS_prctl, 15, name
	ANSWERS 0, "is read back", SYS_prctl, 16, buffer
	HOLDS 0x69736f70, "unchanged", ldw, buffer
	DONE
