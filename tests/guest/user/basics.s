! Files, memory and process information: each call does what it says.

	.include "lib.inc"

	.equ	MAP_PRIVATE_ANON, 0x12
	.equ	MAP_FIXED, 0x100
	.equ	EFAULT, -14
	.equ	EINVAL, -22
	.equ	ENOSYS, -38

	.pushsection .bss
	.align	8
buffer:
	.skip	4096
pipe_ends:
	.skip	8
	.popsection

	PROC main			! argc, argv, envp
	{
		addd %dr0, 0, %dr10
		addd %dr1, 0, %dr11
	}
	CHECK_EQ %dr10, 1, "argc"
	{
		ldd %dr11, 0, %dr12
		ldd %dr11, 8, %dr13
	}
	CHECK %dr12, "argv[0] is there"
	CHECK_EQ %dr13, 0, "argv ends"

	! uname: machine is the fifth of six 65-byte fields
	SYSCALL SYS_uname, buffer
	{
		addd %db[0], 0, %dr0
		addd 0, buffer, %dr1
	}
	CHECK_EQ %dr0, 0, "uname"
	{
		ldw %dr1, 260, %dr2
	}
	CHECK_EQ %dr2, 0x006b3265, "machine is e2k"
	SYSCALL SYS_uname, 0x7f0000000000
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, EFAULT, "a bad pointer gives EFAULT"

	! memory
	SYSCALL SYS_mmap, 0, 8192, 3, MAP_PRIVATE_ANON, -1, 0
	{
		addd %db[0], 0, %dr8
	}
	{
		cmpldb %dr8, 0, %pred0
	}
	{
		addd 0, 1, %dr0 ? ~%pred0
		addd 0, 0, %dr0 ? %pred0
	}
	CHECK %dr0, "mmap"
	{
		ldd %dr8, 8184, %dr1
	}
	CHECK_EQ %dr1, 0, "fresh memory is zero"
	{
		addd 0, 0x1122334455667788, %dr2
	}
	{
		std %dr8, 4100, %dr2
	}
	{
		ldw %dr8, 4104, %dr3
	}
	CHECK_EQ %dr3, 0x11223344, "misaligned store"
	SYSCALL SYS_mremap, %dr8, 8192, 65536, 1, 0
	{
		addd %db[0], 0, %dr8
	}
	{
		ldd %dr8, 4100, %dr3
	}
	CHECK_EQ %dr3, 0x1122334455667788, "mremap keeps contents"
	SYSCALL SYS_munmap, %dr8, 65536
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, 0, "munmap"
	SYSCALL SYS_write, 1, %dr8, 1
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, EFAULT, "unmapped memory gives EFAULT"
	SYSCALL SYS_mmap, 1, 4096, 3, MAP_PRIVATE_ANON + MAP_FIXED, -1, 0
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, EINVAL, "a misaligned fixed address is refused"
	SYSCALL SYS_brk, 0
	{
		addd %db[0], 0, %dr8
	}
	{
		addd %dr8, 4096, %dr9
	}
	SYSCALL SYS_brk, %dr9
	{
		subd %db[0], %dr9, %dr0
	}
	CHECK_EQ %dr0, 0, "brk grows"
	{
		std %dr8, 0, %dr9
	}
	{
		ldd %dr8, 0, %dr1
	}
	{
		subd %dr1, %dr9, %dr1
	}
	CHECK_EQ %dr1, 0, "and is memory"

	! files
	SYSCALL SYS_pipe, pipe_ends
	{
		addd 0, pipe_ends, %dr1
	}
	{
		ldw %dr1, 0, %dr8
		ldw %dr1, 4, %dr9
	}
	SYSCALL SYS_write, %dr9, lib_digits, 5
	SYSCALL SYS_read, %dr8, buffer, 100
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, 5, "what goes into a pipe comes out"
	SYSCALL SYS_fstat, %dr8, buffer
	{
		addd 0, buffer, %dr1
	}
	{
		ldw %dr1, 16, %dr2
	}
	{
		andd %dr2, 0xf000, %dr2
	}
	CHECK_EQ %dr2, 0x1000, "fstat says that it is a pipe"
	SYSCALL SYS_close, %dr8
	SYSCALL SYS_close, %dr9
	.pushsection .rodata
exe_name:
	.asciz	"/proc/self/exe"
maps_name:
	.asciz	"/proc/self/maps"
	.popsection
	SYSCALL SYS_readlink, exe_name, buffer, 4096
	{
		addd 0, buffer, %dr1
		addd %db[0], 0, %dr0
	}
	{
		ldb %dr1, 0, %dr2
	}
	CHECK_EQ %dr2, 0x2f, "/proc/self/exe is an absolute name"
	SYSCALL SYS_open, maps_name, 0, 0
	{
		addd %db[0], 0, %dr8
	}
	SYSCALL SYS_read, %dr8, buffer, 4096
	{
		cmpldb %db[0], 64, %pred0
	}
	{
		addd 0, 1, %dr0 ? ~%pred0
		addd 0, 0, %dr0 ? %pred0
	}
	CHECK %dr0, "/proc/self/maps has text"

	! unknown numbers
	SYSCALL 435000
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, ENOSYS, "an unknown call gives ENOSYS"
	SYSCALL 17
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQ %dr0, ENOSYS, "so does an unimplemented one"
	DONE
