! A program as a C compiler writes one: linked with the C library of the guests
! (../lib/guest.s), it follows the calling convention to the letter and no
! further.  Upper halves of narrow arguments hold rubbish, registers beyond the
! arguments are not set, the stack has the 64 bytes that a callee may use, and
! variable arguments lie in memory.  tests/user/c-library.py knows what it has
! to print.
!
!	int main(int argc, char **argv)

	.text

! A call as compilers make it: window of 8 quads, arguments from the fourth.
	.macro	INVOKE name
	{
		disp %ctpr1, \name
		nop 4
	}
	{
		call %ctpr1, wbs = 4
	}
	.endm

! Loads an address; in 32-bit mode above a half that is not 0.
	.macro	PLACE symbol, n
	.ifdef	NARROW
	{
		addd 0, 0x5a5a5a5a5a5a5a5a, %dr\n
	}
	{
		adds 0, \symbol, %r\n		! leaves the upper half alone
	}
	.else
	{
		addd 0, \symbol, %dr\n
	}
	.endif
	.endm

! Variable argument: a value at a slot of the caller's argument area.
	.macro	SLOT n, value
	{
		addd 0, \value, %dr3
	}
	{
		std %dr2, 8 * \n, %dr3
	}
	.endm
	.macro	PLACE_SLOT n, symbol
	PLACE \symbol, 3
	{
		std %dr2, 8 * \n, %dr3
	}
	.endm

	.macro	TEXT label, text
	.pushsection .rodata
\label:
	.asciz	"\text"
	.popsection
	.endm

	.global	main
	.type	main, #function
	.align	8
main:
	{
		setwd wsz = 8, nfx = 1
		getsp 0, %dr2
	}
	{	! the arguments go home
		std %dr2, 0, %dr0
	}
	{
		std %dr2, 8, %dr1
	}
	{
		getsp -192, %dr2
	}

	TEXT format, "%d %u %x|%5d|%05d|%-|%s|%c|%%|%8s|%3c|%08x\n"
	SLOT 1, -7 & 0xffffffff | 0x12345678 << 32
	SLOT 2, 0xfffffffe | 0x12345678 << 32
	SLOT 3, 0xdeadbeef | 0x12345678 << 32
	SLOT 4, -42
	SLOT 5, -42
	SLOT 6, 0				! no such specification
	PLACE_SLOT 7, word
	SLOT 8, 0x5a5a5a41			! 'A'
	PLACE_SLOT 9, word
	SLOT 10, 0x42
	SLOT 11, 0xabc
	PLACE format, 8
	INVOKE printf
	{
		addd %dr8, 0, %dr4		! the number of characters
	}

	TEXT counted, "%d, %lld %llx %llu\n"
	{
		std %dr2, 8, %dr4
	}
	SLOT 2, -9223372036854775808
	SLOT 3, 0x123456789abcdef
	SLOT 4, -1
	PLACE counted, 8
	INVOKE printf

	TEXT longs, "%ld %lx %zu %p %s\n"
	SLOT 1, -5
	SLOT 2, 0xfeed
	SLOT 3, 17
	SLOT 4, 0x1230
	SLOT 5, 0
	PLACE longs, 8
	INVOKE printf

	! 3 * 100 characters, more than are collected
	TEXT wide, "%0100d%100s%0100u\n"
	SLOT 1, 1
	PLACE_SLOT 2, word
	SLOT 3, 2
	PLACE wide, 8
	INVOKE printf

	PLACE word, 8
	INVOKE puts
	{
		addd 0, 0x5a5a5a5a5a21, %dr8	! '!'
	}
	INVOKE putchar
	{
		addd 0, 10, %dr8
	}
	INVOKE putchar

	! memory
	PLACE buffer, 8
	PLACE word, 9
	{
		addd 0, 6, %dr10
	}
	INVOKE memcpy
	PLACE buffer + 1, 8
	PLACE buffer, 9
	{
		addd 0, 5, %dr10
	}
	INVOKE memmove				! overlapping, upwards
	PLACE buffer, 8
	INVOKE puts
	PLACE buffer, 8
	PLACE buffer + 1, 9
	{
		addd 0, 6, %dr10
	}
	INVOKE memmove				! and down
	PLACE buffer, 8
	INVOKE puts
	PLACE buffer + 1, 8
	{
		addd 0, 0x5a5a5a2a, %dr9	! '*'
		addd 0, 3, %dr10
	}
	INVOKE memset
	PLACE buffer, 8
	INVOKE puts
	PLACE buffer, 8
	PLACE word, 9
	{
		addd 0, 1, %dr10
	}
	INVOKE memcmp
	{
		addd %dr8, 0, %dr5
	}
	PLACE buffer, 8
	PLACE word, 9
	INVOKE strcmp
	{
		shrd %dr8, 63, %dr6
	}
	PLACE word, 8
	INVOKE strlen
	TEXT compared, "%d %d %d\n"
	{
		std %dr2, 8, %dr5
	}
	{
		std %dr2, 16, %dr6
	}
	{
		std %dr2, 24, %dr8
	}
	PLACE compared, 8
	INVOKE printf

	! system calls
	{
		addd 0, 0x5a5a00000001, %dr8	! an int with rubbish above
		addd 0, 6, %dr10
	}
	PLACE word, 9
	INVOKE sys_write
	{
		addd %dr8, 0, %dr5
	}
	TEXT returned, "\n%d %d %d\n"
	{	! a call with one argument; the second register traps when used
		addd 0, 1000, %dr8
		addd 0, -8, %dr3
	}
	{
		ldd,0,sm %dr3, 0, %dr9
	}
	INVOKE sys_close
	{
		addd %dr8, 0, %dr6
	}
	INVOKE sys_getpid
	{
		cmpledb %dr8, 0, %pred0
		addd 0, 1, %dr7
	}
	{
		addd 0, 0, %dr7 ? %pred0
	}
	{
		std %dr2, 8, %dr5
	}
	{
		std %dr2, 16, %dr6
	}
	{
		std %dr2, 24, %dr7
	}
	PLACE returned, 8
	INVOKE printf
	{
		addd 0, 20, %dr8		! getpid
		addd 0, 0, %dr9
		addd 0, 0, %dr10
		addd 0, 0, %dr11
	}
	{
		addd 0, 0, %dr12
		addd 0, 0, %dr13
		addd 0, 0, %dr14
	}
	INVOKE sys_call
	{
		addd %dr8, 0, %dr5
	}
	INVOKE sys_getpid
	{
		addd %dr8, 0, %dr9
		addd %dr5, 0, %dr8
	}
	TEXT same, "both are the same"
	PLACE same, 10
	INVOKE check_eq
	TEXT passes, "a condition"
	{
		addd 0, 1, %dr8
	}
	PLACE passes, 9
	INVOKE check
	TEXT fails, "that fails"
	{
		addd 0, 0x123456789, %dr8
		addd 0, 0x23456789, %dr9
	}
	PLACE fails, 10
	INVOKE check_eq
	INVOKE plan
	{
		addd %dr8, 0x5a, %dr0
		return %ctpr3
		nop 5
	}
	{
		ct %ctpr3
	}

	.section .rodata
word:
	.asciz	"guest"
	.bss
	.align	8
buffer:
	.skip	16
