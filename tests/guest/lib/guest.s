! The library of guest programs in C: what guest.h declares and lib.inc does not
! have.  Assembled by itself, for 64- or 32-bit pointers, and linked with the
! program's objects.

	.include "lib.inc"

! ---------------------------------------------------------------------------
! System calls

! Argument n of a call with count arguments.  Only those are read: registers
! that the caller did not set may hold values that trap.
	.macro	ARGUMENT n, slot, count
	{
	.ifgt	\count - \n
		addd %dr\n, 0, %db[\slot]
	.else
		addd 0, 0, %db[\slot]
	.endif
	}
	.endm

	.macro	STUB name, nr, count
	PROC \name
	{
		addd 0, \nr, %db[0]
	}
	ARGUMENT 0, 1, \count
	ARGUMENT 1, 2, \count
	ARGUMENT 2, 3, \count
	ARGUMENT 3, 4, \count
	ARGUMENT 4, 5, \count
	ARGUMENT 5, 6, \count
	GOTO enter_system
	.endm

! The end of all stubs, in their window.
	.align	8
enter_system:
	{
		sdisp %ctpr1, ENTRY_CALL
		nop 4
	}
	{
		call %ctpr1, wbs = 12
	}
	{
		addd %db[0], 0, %dr0
	}
	RETURN

	PROC sys_call			! number, six arguments
	{
		addd %dr0, 0, %db[0]
		addd %dr1, 0, %db[1]
	}
	{
		addd %dr2, 0, %db[2]
		addd %dr3, 0, %db[3]
	}
	{
		addd %dr4, 0, %db[4]
		addd %dr5, 0, %db[5]
	}
	{
		addd %dr6, 0, %db[6]
	}
	GOTO enter_system

	STUB sys_exit, SYS_exit_group, 1
	STUB sys_fork, SYS_fork, 0
	STUB sys_read, SYS_read, 3
	STUB sys_write, SYS_write, 3
	STUB sys_open, SYS_open, 3
	STUB sys_close, SYS_close, 1
	STUB sys_waitpid, SYS_waitpid, 3
	STUB sys_execve, SYS_execve, 3
	STUB sys_lseek, SYS_lseek, 3
	STUB sys_getpid, SYS_getpid, 0
	STUB sys_gettid, SYS_gettid, 0
	STUB sys_kill, SYS_kill, 2
	STUB sys_tkill, SYS_tkill, 2
	STUB sys_pipe, SYS_pipe, 1
	STUB sys_brk, SYS_brk, 1
	STUB sys_ioctl, SYS_ioctl, 3
	STUB sys_mmap, SYS_mmap, 6
	STUB sys_munmap, SYS_munmap, 2
	STUB sys_mprotect, SYS_mprotect, 3
	STUB sys_mremap, SYS_mremap, 5
	STUB sys_nanosleep, SYS_nanosleep, 2
	STUB sys_rt_sigaction, SYS_rt_sigaction, 4
	STUB sys_rt_sigprocmask, SYS_rt_sigprocmask, 4
	STUB sys_futex, SYS_futex, 6
	STUB sys_clock_gettime, SYS_clock_gettime, 2

! ---------------------------------------------------------------------------
! Memory and strings, a byte at a time

	PROC memcpy			! to, from, size
	EXTEND_POINTER 0
	EXTEND_POINTER 1
	EXTEND_POINTER 2
	{
		addd 0, 0, %dr3
	}
1:
	IF_EQ %dr3, %dr2, 2f
	{
		ldb %dr1, %dr3, %dr4
	}
	{
		stb %dr0, %dr3, %r4
	}
	{
		addd %dr3, 1, %dr3
	}
	GOTO 1b
2:
	RETURN

	PROC memmove			! to, from, size
	EXTEND_POINTER 0
	EXTEND_POINTER 1
	EXTEND_POINTER 2
	{
		addd %dr0, 0, %db[0]
		addd %dr1, 0, %db[1]
		cmpbdb %dr1, %dr0, %pred0
	}
	{
		addd %dr2, 0, %db[2]
	}
	GOTO_IF %pred0, 1f
	CALL memcpy
	RETURN
1:	! the last byte first
	IF_EQ %dr2, 0, 2f
	{
		subd %dr2, 1, %dr2
	}
	{
		ldb %dr1, %dr2, %dr4
	}
	{
		stb %dr0, %dr2, %r4
	}
	GOTO 1b
2:
	RETURN

	PROC memset			! to, byte, size
	EXTEND_POINTER 0
	EXTEND_POINTER 2
1:
	IF_EQ %dr2, 0, 2f
	{
		subd %dr2, 1, %dr2
	}
	{
		stb %dr0, %dr2, %r1
	}
	GOTO 1b
2:
	RETURN

	PROC memcmp			! two places, size
	EXTEND_POINTER 0
	EXTEND_POINTER 1
	EXTEND_POINTER 2
	{
		addd 0, 0, %dr3
		addd 0, 0, %dr6
	}
1:
	IF_EQ %dr3, %dr2, 2f
	{
		ldb %dr0, %dr3, %dr4
		ldb %dr1, %dr3, %dr5
		addd %dr3, 1, %dr3
	}
	{
		subd %dr4, %dr5, %dr6
	}
	IF_EQ %dr6, 0, 1b
2:
	{
		addd %dr6, 0, %dr0
	}
	RETURN

! ---------------------------------------------------------------------------
! Output

	PROC puts			! text
	{
		addd %dr0, 0, %db[0]
	}
	CALL put_text
	PRINT "\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC putchar			! character
	{
		getsp -16, %dr8
	}
	{
		stb %dr8, 0, %r0
	}
	SYSCALL SYS_write, 1, %dr8, 1
	{
		andd %dr0, 0xff, %dr0
	}
	RETURN

! The state of printf(), on its stack: characters collected, characters
! written, the characters, the digits of a number.
	.equ	COLLECTED, 0
	.equ	WRITTEN, 8
	.equ	CHARACTERS, 16
	.equ	ROOM, 256
	.equ	DIGITS_END, CHARACTERS + ROOM + 32
	.equ	HOME, 64		! of what printf() calls
	.equ	PRINTF_FRAME, 384	! HOME + DIGITS_END, rounded up

	.ifdef	NARROW
	.equ	LONG_LETTERS, 2		! so many "l" make 64 bits
	.else
	.equ	LONG_LETTERS, 1
	.endif

	PROC flush_characters		! state
	{
		ldd %dr0, COLLECTED, %dr8
		ldd %dr0, WRITTEN, %dr9
		addd %dr0, CHARACTERS, %dr10
		addd 0, 0, %dr11
	}
	{
		addd %dr9, %dr8, %dr9
		std %dr0, COLLECTED, %dr11
	}
	{
		std %dr0, WRITTEN, %dr9
	}
	IF_EQ %dr8, 0, 1f
	SYSCALL SYS_write, 1, %dr10, %dr8
1:
	RETURN

	PROC add_character		! state, character
	{
		ldd %dr0, COLLECTED, %dr8
	}
	{
		addd %dr0, %dr8, %dr9
		addd %dr8, 1, %dr8
	}
	{
		stb %dr9, CHARACTERS, %r1
	}
	{
		std %dr0, COLLECTED, %dr8
		addd %dr0, 0, %db[0]
	}
	IF_NE %dr8, ROOM, 1f
	CALL flush_characters
1:
	RETURN

	PROC add_padding		! state, character, count, perhaps negative
1:
	{
		cmpledb %dr2, 0, %pred0
		addd %dr0, 0, %db[0]
		addd %dr1, 0, %db[1]
	}
	GOTO_IF %pred0, 2f
	CALL add_character
	{
		subd %dr2, 1, %dr2
	}
	GOTO 1b
2:
	RETURN

	PROC add_text			! state, text, size
1:
	IF_EQ %dr2, 0, 2f
	{
		ldb %dr1, 0, %db[1]
		addd %dr0, 0, %db[0]
		addd %dr1, 1, %dr1
		subd %dr2, 1, %dr2
	}
	CALL add_character
	GOTO 1b
2:
	RETURN

	.macro	ADD what, a, b=0
	{
		addd %dr10, 0, %db[0]
		addd 0, \a, %db[1]
	}
	{
		addd 0, \b, %db[2]
	}
	CALL \what
	.endm

! The variable arguments are where the caller put them: at its stack pointer,
! 8 bytes each, the format's first.
	PROC printf			! format, ...
	EXTEND_POINTER 0
	{
		getsp 0, %dr9
		addd %dr0, 0, %dr8		! the rest of the format
	}
	{
		getsp -PRINTF_FRAME, %dr10
		addd %dr9, 8, %dr9		! next argument
	}
	{
		addd %dr10, HOME, %dr10		! state
		addd 0, 0, %dr11
	}
	{
		std %dr10, COLLECTED, %dr11
	}
	{
		std %dr10, WRITTEN, %dr11
	}
next_character:
	{
		ldb %dr8, 0, %dr11
		addd %dr8, 1, %dr8
	}
	IF_EQ %dr11, 0, end_of_format
	IF_EQ %dr11, 0x25, specification	! '%'
as_it_is:
	ADD add_character, %dr11
	GOTO next_character

specification:
	{
		addd 0, 0x20, %dr12		! padding
		addd 0, 0, %dr13		! width
		addd 0, 0, %dr14		! letters "l"
		ldb %dr8, 0, %dr11
		addd %dr8, 1, %dr8
	}
	{
		cmpedb %dr11, 0x30, %pred0
	}
	{
		addd 0, 0x30, %dr12 ? %pred0
	}
1:	! digits
	{
		subd %dr11, 0x30, %dr15
	}
	{
		cmpbdb %dr15, 10, %pred0
		muld %dr13, 10, %dr16
	}
	GOTO_IF_NOT %pred0, 2f
	{
		addd %dr16, %dr15, %dr13
		ldb %dr8, 0, %dr11
		addd %dr8, 1, %dr8
	}
	GOTO 1b
2:	! 'l', 'z'
	{
		cmpedb %dr11, 0x6c, %pred0
		cmpedb %dr11, 0x7a, %pred1
	}
	GOTO_IF %pred0, 3f
	GOTO_IF_NOT %pred1, 4f
3:
	{
		addd %dr14, 1, %dr14
		ldb %dr8, 0, %dr11
		addd %dr8, 1, %dr8
	}
	GOTO 2b
4:
	IF_EQ %dr11, 0, end_of_format
	IF_EQ %dr11, 0x25, as_it_is
	{
		ldd %dr9, 0, %dr15		! the argument
		addd %dr9, 8, %dr9
		addd 0, 0, %dr16		! size of its sign
		addd 0, 10, %dr17		! base
	}
	IF_EQ %dr11, 0x64, signed		! 'd'
	IF_EQ %dr11, 0x69, signed		! 'i'
	IF_EQ %dr11, 0x75, unsigned		! 'u'
	IF_EQ %dr11, 0x63, character		! 'c'
	IF_EQ %dr11, 0x73, text			! 's'
	{
		addd 0, 16, %dr17
	}
	IF_EQ %dr11, 0x78, unsigned		! 'x'
	IF_NE %dr11, 0x70, as_it_is		! 'p'
	ADD add_character, 0x30
	ADD add_character, 0x78
	{
		addd 0, 1, %dr14
	}
	GOTO unsigned

character:
	{
		subd %dr13, 1, %dr13
		andd %dr15, 0xff, %dr11
	}
	ADD add_padding, 0x20, %dr13
	GOTO as_it_is

text:
	EXTEND_POINTER 15
	{
		cmpedb %dr15, 0, %pred0
		ADDR no_text, %dr16
	}
	{
		addd %dr16, 0, %dr15 ? %pred0
	}
	{
		addd %dr15, 0, %db[0]
	}
	CALL strlen
	{
		addd %db[0], 0, %dr19
		subd %dr13, %db[0], %dr13
	}
	ADD add_padding, 0x20, %dr13
	ADD add_text, %dr15, %dr19
	GOTO next_character

signed:
	{
		cmpldb %dr14, LONG_LETTERS, %pred0
		sxt 2, %r15, %dr18
	}
	{
		addd %dr18, 0, %dr15 ? %pred0
	}
	{
		cmpldb %dr15, 0, %pred0
	}
	{
		subd 0, %dr15, %dr15 ? %pred0
		addd 0, 1, %dr16 ? %pred0
	}
	GOTO number
unsigned:
	{
		cmpldb %dr14, LONG_LETTERS, %pred0
		sxt 6, %r15, %dr18
	}
	{
		addd %dr18, 0, %dr15 ? %pred0
	}
number:	! digits, the last first
	{
		addd %dr10, DIGITS_END, %dr18
		addd %dr10, DIGITS_END, %dr19
	}
1:
	{
		udivd %dr15, %dr17, %dr20
		subd %dr18, 1, %dr18
	}
	{
		muld %dr20, %dr17, %dr21
	}
	{
		subd %dr15, %dr21, %dr21
		addd %dr20, 0, %dr15
	}
	{
		cmpbdb %dr21, 10, %pred0
	}
	{
		addd %dr21, 0x30, %dr21 ? %pred0	! '0'
		addd %dr21, 0x57, %dr21 ? ~%pred0	! 'a' - 10
	}
	{
		stb %dr18, 0, %r21
	}
	IF_NE %dr15, 0, 1b
	{
		subd %dr19, %dr18, %dr19
		subd %dr13, %dr16, %dr13
	}
	{
		subd %dr13, %dr19, %dr13
	}
	IF_EQ %dr12, 0x30, 2f
	ADD add_padding, 0x20, %dr13
2:
	IF_EQ %dr16, 0, 3f
	ADD add_character, 0x2d			! '-'
3:
	IF_NE %dr12, 0x30, 4f
	ADD add_padding, 0x30, %dr13
4:
	ADD add_text, %dr18, %dr19
	GOTO next_character

end_of_format:
	{
		addd %dr10, 0, %db[0]
	}
	CALL flush_characters
	{
		ldd %dr10, WRITTEN, %dr0
	}
	RETURN

	.pushsection .rodata
no_text:
	.asciz	"(null)"
	.popsection
