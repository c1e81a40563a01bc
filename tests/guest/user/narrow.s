! 32-bit mode: entries 1 and 5, structures with 32-bit members in both
! directions, 32-bit signal frames, the data segment.  Assembled with -mptr32
! and NARROW=1.

	.include "lib.inc"
	.include "answers.inc"

	.equ	SYS_times, 43
	.equ	SYS_fcntl, 55
	.equ	SYS_setrlimit, 75
	.equ	SYS_ugetrlimit, 191
	.equ	SYS_getrusage, 77
	.equ	SYS_gettimeofday, 78
	.equ	SYS_setitimer, 104
	.equ	SYS_getitimer, 105
	.equ	SYS_sysinfo, 116
	.equ	SYS_getdents, 141
	.equ	SYS__newselect, 142
	.equ	SYS_writev, 146
	.equ	SYS_readv, 145
	.equ	SYS_pread, 180
	.equ	SYS_ftruncate64, 194
	.equ	SYS_fstatfs64, 307
	.equ	SYS_memfd_create, 386
	.equ	SYS_socketpair, 414
	.equ	SYS_sendmsg, 408
	.equ	SYS_setsockopt, 415
	.equ	SYS_getsockopt, 416
	.equ	SYS_recvmsg, 409
	.equ	SYS_fstat64, 197

	.pushsection .data
	.align	8
vector:
	.word	text, 3, text + 3, 4
vector_in:
	.word	buffer, 2, buffer + 16, 5
text:
	.ascii	"abcdefg"
	.byte	0
action:
	.word	handler, 4, 0, 0, 0		! SA_SIGINFO
stack_in:
	.word	alternate, 0, 16384
timer:
	.word	0, 0, 0, 20000
short:
	.word	0, 1000000
limit:
	.word	64, 64
option:
	.word	3, 500000
message:
	.word	0, 0, vector, 2, control, 16, 0
control:
	.word	16, 1, 1, 0			! SCM_RIGHTS, one descriptor
message_in:
	.word	0, 0, vector_in, 2, control_in, 64, 0
lock:
	.half	1, 0				! F_WRLCK, SEEK_SET
	.word	10, 20, 0
name:
	.asciz	"narrow"
dot:
	.asciz	"."
auxv:
	.asciz	"/proc/self/auxv"
	.popsection
	.pushsection .bss
	.align	16
control_in:
	.skip	64
ends:
	.skip	8
seen:
	.skip	8
set:
	.skip	8
	.align	16
alternate:
	.skip	16384
	.popsection

	PROC handler			! signal, siginfo, ucontext
	{
		addd 0, seen, %dr3
	}
	{
		ldw %dr3, 0, %dr4
		ldw %dr1, 12, %dr6		! si_pid or si_timerid
		ldw %dr1, 0, %dr7		! si_signo
	}
	{
		addd %dr4, 1, %dr4
		ldw %dr2, 8, %dr5		! uc_stack.ss_sp
	}
	{
		stw %dr3, 0, %r4
		subd %dr7, %dr0, %dr7
	}
	{
		stw %dr3, 4, %r6
		addd 0, buffer, %dr9
	}
	{
		stw %dr9, 0, %r5
	}
	{
		stw %dr9, 4, %r7
	}
	RETURN

	PROC main			! argc, argv
	CHECK_EQ %dr0, 1, "argc"
	{
		ldw %dr1, 4, %dr9
		ldw %dr1, 0, %dr8
	}
	CHECK_EQ %dr9, 0, "argv ends"
	{
		shrd %dr1, 32, %dr9
	}
	CHECK_EQ %dr9, 0, "the stack is below 4 GiB"
	SYSCALL SYS_mmap, 0, 8192, 3, 0x12, -1, 0
	{
		shrd %db[0], 32, %dr9
		addd %db[0], 0, %dr8
	}
	CHECK_EQ %dr9, 0, "so are new mappings"

	! the data segment
	{
		addd 0, 0x1234567, %dr9
		addd %dr8, 0, %dr10
	}
	{
		stgdw %r8, 8, %r9
	}
	{
		ldgdw %r8, 8, %dr10
		ldw %dr8, 8, %dr11
	}
	CHECK_EQ %dr10, 0x1234567, "loads and stores through the segment"
	CHECK_EQ %dr11, 0x1234567, "reach the same memory"

	! arguments lose their upper halves
	{
		addd 0, 0x7700000000, %dr9
	}
	{
		addd %dr9, buffer, %dr9
	}
	SYSCALL SYS_uname, %dr9
	{
		addd %db[0], 0, %dr9
		addd 0, buffer, %dr10
	}
	CHECK_EQ %dr9, 0, "upper halves of arguments are ignored"
	{
		ldw %dr10, 260, %dr9
	}
	CHECK_EQ %dr9, 0x006b3265, "uname"

	! structures that are filled
	FILLS 8, "clock_gettime", SYS_clock_gettime, 1, buffer
	FILLS 8, "gettimeofday", SYS_gettimeofday, buffer, 0
	FILLS 72, "getrusage", SYS_getrusage, 0, buffer
	FILLS 8, "getrlimit", SYS_ugetrlimit, 7, buffer
	FILLS 16, "times", SYS_times, buffer

	! I/O vectors
	SYSCALL SYS_pipe, ends
	{
		addd 0, ends, %dr10
	}
	{
		ldw %dr10, 0, %dr20
		ldw %dr10, 4, %dr21
	}
	SYSCALL SYS_writev, %dr21, vector, 2
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 7, "writev"
	SYSCALL SYS_readv, %dr20, vector_in, 2
	{
		addd %db[0], 0, %dr9
		addd 0, buffer, %dr10
	}
	CHECK_EQ %dr9, 7, "readv"
	{
		ldh %dr10, 0, %dr9
		ldw %dr10, 16, %dr11
	}
	CHECK_EQ %dr9, 0x6261, "the first part"
	CHECK_EQ %dr11, 0x66656463, "the second part"

	! select: the pipe has something to read
	SYSCALL SYS_write, %dr21, text, 1
	{
		addd 0, 1, %dr9
		addd 0, set, %dr10
		addd 0, CANARY, %dr12
	}
	{
		shld %dr9, %dr20, %dr9
		addd %dr20, 1, %dr11
	}
	{
		stw %dr10, 0, %r9
	}
	{
		stw %dr10, 4, %r12
		addd %dr9, 0, %dr13
	}
	SYSCALL SYS__newselect, %dr11, set, 0, 0, short
	{
		addd %db[0], 0, %dr9
		ldw %dr10, 0, %dr11
		ldw %dr10, 4, %dr12
	}
	CHECK_EQ %dr9, 1, "select"
	{
		subd %dr11, %dr13, %dr11
	}
	CHECK_EQ %dr11, 0, "names the descriptor"
	CHECK_EQ %dr12, CANARY, "and writes 32-bit words"

	! files: sizes in two halves, stat in two layouts, locks
	SYSCALL SYS_memfd_create, name, 0
	{
		addd %db[0], 0, %dr20
	}
	SYSCALL SYS_ftruncate64, %dr20, 0x1000, 1
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 0, "ftruncate64 beyond 4 GiB"
	FILLS 88, "fstat64", SYS_fstat64, %dr20, buffer
	{
		addd 0, buffer, %dr10
	}
	{
		ldd %dr10, 40, %dr9
	}
	CHECK_EQ %dr9, 0x100001000, "its size"
	SYSCALL SYS_fstat, %dr20, buffer
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, -75, "fstat cannot say it: EOVERFLOW"
	SYSCALL SYS_ftruncate64, %dr20, 100, 0
	SYSCALL SYS_fstat, %dr20, buffer
	{
		addd 0, buffer, %dr10
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 0, "fstat"
	{
		ldw %dr10, 20, %dr9
		ldh %dr10, 8, %dr11
	}
	CHECK_EQ %dr9, 100, "size in the small layout"
	{
		andd %dr11, 0xf000, %dr11
	}
	CHECK_EQ %dr11, 0x8000, "and type"
	SYSCALL SYS_pread, %dr20, buffer, 100, 96, 0
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 4, "pread with an offset in halves"
	SYSCALL SYS_pread, %dr20, buffer, 100, 0, 1
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 0, "the upper half counts"
	SYSCALL SYS_lseek, %dr20, -10, 2
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 90, "lseek: a negative 32-bit offset"
	SYSCALL SYS_fcntl, %dr20, 6, lock
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 0, "a lock"
	FILLS 88, "fstatfs64", SYS_fstatfs64, %dr20, 88, buffer
	SYSCALL SYS_open, dot, 0x10000
	{
		addd %db[0], 0, %dr20
	}
	CALL fill
	SYSCALL SYS_getdents, %dr20, buffer, 1024
	{
		addd %db[0], 0, %dr9
		addd 0, buffer, %dr10
	}
	{
		ldh %dr10, 8, %dr11
		cmplsb %r9, 24, %pred0
		ldb %dr10, 10, %dr12
	}
	{
		addd 0, 1, %dr9 ? ~%pred0
		addd 0, 0, %dr9 ? %pred0
		andd %dr11, 3, %dr11
	}
	CHECK %dr9, "getdents"
	CHECK_EQ %dr11, 0, "entries are aligned to 4 bytes"
	CHECK %dr12, "and have names"

	! a message with a descriptor in it
	SYSCALL SYS_socketpair, 1, 1, 0, ends
	{
		addd 0, ends, %dr10
		addd 0, control, %dr11
	}
	{
		ldw %dr10, 0, %dr20
		ldw %dr10, 4, %dr21
	}
	{
		stw %dr11, 12, %r20
	}
	SYSCALL SYS_sendmsg, %dr20, message, 0
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 7, "sendmsg"
	SYSCALL SYS_recvmsg, %dr21, message_in, 0
	{
		addd %db[0], 0, %dr9
		addd 0, message_in, %dr10
		addd 0, control_in, %dr11
	}
	CHECK_EQ %dr9, 7, "recvmsg"
	{
		ldw %dr10, 20, %dr9
		ldw %dr11, 0, %dr12
		ldw %dr11, 12, %dr13
	}
	CHECK_EQ %dr9, 16, "the length of its control part"
	CHECK_EQ %dr12, 16, "and of the message in it"
	{
		subd %dr13, %dr21, %dr13
	}
	CHECK %dr13, "a new descriptor came along"

	! options of sockets
	ANSWERS 0, "a time to wait", SYS_setsockopt, %dr20, 1, 20, option, 8
	PUT w, ends, 0, 100
	ANSWERS 0, "asked for", SYS_getsockopt, %dr20, 1, 20, buffer, ends
	HOLDS 8, "has 8 bytes", w, ends
	HOLDS 3, "seconds", w, buffer
	HOLDS 500000, "and microseconds", w, buffer, 4

	! signals
	SYSCALL SYS_rt_sigaction, 14, action, 0, 8
	{
		addd %db[0], 0, %dr9
	}
	CHECK_EQ %dr9, 0, "sigaction"
	FILLS 20, "reading it back", SYS_rt_sigaction, 14, 0, buffer, 8
	{
		addd 0, buffer, %dr10
		addd 0, handler, %dr11
	}
	{
		ldw %dr10, 0, %dr9
	}
	{
		subd %dr9, %dr11, %dr9
	}
	CHECK_EQ %dr9, 0, "gives the handler"
	SYSCALL SYS_sigaltstack, stack_in, 0
	FILLS 12, "sigaltstack", SYS_sigaltstack, 0, buffer
	SYSCALL SYS_getpid
	{
		addd %db[0], 0, %dr20
	}
	SYSCALL SYS_kill, %dr20, 14
	{
		addd 0, seen, %dr10
		addd 0, buffer, %dr11
	}
	{
		ldw %dr10, 0, %dr9
		ldw %dr10, 4, %dr12
		ldw %dr11, 0, %dr13
		ldw %dr11, 4, %dr14
	}
	CHECK_EQ %dr9, 1, "the handler ran"
	{
		subd %dr12, %dr20, %dr12
		addd 0, alternate, %dr15
	}
	CHECK_EQ %dr12, 0, "siginfo names the sender"
	{
		subd %dr13, %dr15, %dr13
	}
	CHECK_EQ %dr13, 0, "the context has the alternate stack"
	CHECK_EQ %dr14, 0, "and the number"
	SYSCALL SYS_setitimer, 0, timer, 0
1:
	{
		ldw %dr10, 0, %dr9
	}
	{
		cmplsb %r9, 2, %pred0
	}
	GOTO_IF %pred0, 1b
	CHECK_EQ %dr9, 2, "a timer"

	! the auxiliary vector
	GIVES %dr20, "the auxiliary vector's file", SYS_open, auxv, 0
	GIVES %dr21, "can be read", SYS_read, %dr20, buffer, 4096
	HOLDS 6, "and has words of 32 bits", w, buffer, 8
	HOLDS 4096, "with the page size", w, buffer, 12

	! a fast call
	CALL fill
	{
		addd 0, 1, %db[0]
		addd 0, 0, %db[1]
		addd 0, buffer, %db[2]
		sdisp %ctpr1, ENTRY_FAST
		nop 4
	}
	{
		call %ctpr1, wbs = 12
	}
	{
		addd %db[0], 0, %dr9
		addd 0, buffer, %dr10
	}
	{
		ldw %dr10, 8, %dr11
		ldw %dr10, 0, %dr12
	}
	CHECK_EQ %dr9, 0, "a fast call"
	CHECK_EQ %dr11, CANARY, "has 8 bytes, too"
	DONE
