! The program of the dynamic test: every way to refer to a shared library and
! to itself.  Linked at fixed addresses and (--defsym=PIC=1) position
! independent; run by tests/user/dynamic.py.

	.include "lib.inc"
	.include "dynamic/elf.inc"

	.macro	GOTOFF_FROM table, symbol, to
	.ifdef	NARROW
		addd \table, _f32s \symbol@GOTOFF, \to
	.else
		addd \table, \symbol@GOTOFF, \to
	.endif
	.endm
	.macro	TLS_LE_FROM symbol, to
	.ifdef	NARROW
		addd %dg13, _f32s \symbol@TLS_LE, \to
	.else
		addd %dg13, \symbol@TLS_LE, \to
	.endif
	.endm

	.global	program_function, program_word, own_pick

	.type	program_function, #function
	.align	8
program_function:			! called by the library
	{
		setwd wsz = 16, nfx = 1
		addd %dr0, 100, %dr0
	}
	RETURN

	.type	own_pick, #gnu_indirect_function
	.align	8
own_pick:
	{
		setwd wsz = 16, nfx = 1
		ADDR own_picked, %dr0
	}
	RETURN
	.align	8
own_picked:
	{
		setwd wsz = 16, nfx = 1
		addd 0, 55, %dr0
	}
	RETURN

	.type	near_pick, #gnu_indirect_function
	.align	8
near_pick:				! a local one, in the section of its callers
	{
		setwd wsz = 16, nfx = 1
		ADDR near_picked, %dr0
	}
	RETURN
	.align	8
near_picked:
	{
		setwd wsz = 16, nfx = 1
		addd 0, 66, %dr0
	}
	RETURN

	.data
	.align	8
program_word:
	.dword	0x1234
table:
	POINTER	program_word		! 0: RELATIVE, or fixed
	POINTER	lib_value		! 1: ABS, or the copy
	POINTER	lib_twice		! 2: a function of the library
	POINTER	own_pick		! 3: IRELATIVE
	POINTER	nowhere			! 4: weak, undefined
	POINTER	lib_two + 0		! 5
	.ifndef	PIC
	.word	program_word		! 6: 32_ABS
	.word	after - .		! 32_PC
	.endif
after:
	.weak	nowhere
	.align	8
got_offset:
	POINTER	program_word@GOTOFF
	POINTER	program_word@SIZE
	.size	program_word, 8

	.section .tdata, "awT", #progbits
	.align	32
	.type	own_tls, #tls_object
own_tls:
	.dword	0x0717
	.type	own_tls_2, #tls_object
own_tls_2:
	.dword	0x0718
	.text

	PROC main
	{
		ADDR table, %dr8
	}
	{
		LOAD_POINTER %dr8, 0, %dr9
		ADDR program_word, %dr10	! RELATIVE_LIT, or fixed
	}
	{
		subd %dr9, %dr10, %dr9
		ldd %dr10, 0, %dr11
	}
	CHECK_EQ %dr9, 0, "a pointer to own data"
	CHECK_EQ %dr11, 0x1234, "which is there"
	{
		LOAD_POINTER %dr8, WORD, %dr9
	}
	{
		ldd %dr9, 0, %dr10
		ldd %dr9, 8, %dr11
	}
	CHECK_EQ %dr10, 0x1122334455667788, "a pointer to data of the library"
	CHECK_EQ %dr11, 0x99aabbccddeeff00, "all of it"
	{
		ADDR lib_value, %dr10	! ABS_LIT, or the copy
	}
	{
		subd %dr10, %dr9, %dr10
	}
	CHECK_EQ %dr10, 0, "the address in the text is the same"
	CALL lib_own_address
	{
		subd %db[0], %dr9, %dr10
	}
	CHECK_EQ %dr10, 0, "the library uses the same object"
	CALL lib_literal
	{
		subd %db[0], %dr9, %dr10
	}
	CHECK_EQ %dr10, 0, "also in its text"

	! calls
	{
		addd 0, 21, %db[0]
	}
	CALL lib_twice
	{
		addd %db[0], 0, %dr10
	}
	CHECK_EQ %dr10, 42, "a call of the library"
	{
		addd 0, 4, %db[0]
	}
	CALL lib_twice
	{
		addd %db[0], 0, %dr10
	}
	CHECK_EQ %dr10, 8, "and again, bound now"
	{
		addd 0, 7, %db[0]
	}
	CALL lib_call_back
	{
		addd %db[0], 0, %dr10
	}
	CHECK_EQ %dr10, 108, "which calls back"
	{
		LOAD_POINTER %dr8, 2 * WORD, %dr9
		addd 0, 5, %db[0]
	}
	CALL_REG %dr9
	{
		addd %db[0], 0, %dr10
	}
	CHECK_EQ %dr10, 10, "a function pointer"
	{
		ADDR lib_table, %dr11
	}
	{
		LOAD_POINTER %dr11, 2 * WORD, %dr11
	}
	{
		subd %dr11, %dr9, %dr11
	}
	CHECK_EQ %dr11, 0, "is equal in program and library"
	CALL lib_pick
	{
		addd %db[0], 0, %dr10
	}
	CHECK_EQ %dr10, 77, "an indirect function of the library"
	CALL own_pick
	{
		addd %db[0], 0, %dr10
	}
	CHECK_EQ %dr10, 55, "an own indirect function"
	{
		LOAD_POINTER %dr8, 3 * WORD, %dr9
	}
	CALL_REG %dr9
	{
		addd %db[0], 0, %dr10
	}
	CHECK_EQ %dr10, 55, "through a pointer"
	CALL near_pick
	{
		addd %db[0], 0, %dr10
	}
	CHECK_EQ %dr10, 66, "a local indirect function"
	{
		LOAD_POINTER %dr8, 4 * WORD, %dr9
	}
	CHECK_EQ %dr9, 0, "a weak symbol without definition is 0"

	! the library's own tables
	{
		ADDR lib_table, %dr9
		ADDR lib_value, %dr10
	}
	{
		LOAD_POINTER %dr9, 0, %dr11
		LOAD_POINTER %dr9, WORD, %dr12
	}
	{
		subd %dr11, %dr10, %dr11
		ldd %dr12, 0, %dr12
	}
	CHECK_EQ %dr11, 8, "the addend of a pointer"
	CHECK_EQ %dr12, 0x5a5a, "a pointer to private data"
	{
		LOAD_POINTER %dr9, 3 * WORD, %dr11
		LOAD_POINTER %dr9, 4 * WORD, %dr12
	}
	CHECK_EQ %dr11, 0, "a weak symbol in the library"
	CHECK_EQ %dr12, 16, "the size of a symbol"
	{
		LOAD_POINTER %dr9, 5 * WORD, %dr11
	}
	CHECK_EQ %dr11, 8, "an offset in thread-local storage"
	{
		ADDR lib_inits, %dr9
	}
	{
		ldd %dr9, 0, %dr9
	}
	CHECK_EQ %dr9, 1, "the initialiser ran once"
	{
		LOAD_POINTER %dr8, 5 * WORD, %dr9
	}
	{
		ldd %dr9, 0, %dr9
	}
	CHECK_EQ %dr9, 2, "another object of the library"

	! the offset table
	CALL where
	{
		addd %db[0], 0, %dr9
		ADDR lib_value, %dr10
	}
	{
		LOAD_POINTER %dr9, lib_value@GOT, %dr11
	}
	{
		subd %dr11, %dr10, %dr11
	}
	CHECK_EQ %dr11, 0, "a slot of the offset table"
	{
		GOTOFF_FROM %dr9, program_word, %dr11
		ADDR program_word, %dr10
	}
	{
		ADDR got_offset, %dr12
	}
	{
		subd %dr11, %dr10, %dr11
		LOAD_POINTER %dr12, 0, %dr13
		LOAD_POINTER %dr12, WORD, %dr14
	}
	CHECK_EQ %dr11, 0, "data relative to the table"
	{
		addd %dr13, %dr9, %dr13
	}
	{
		subd %dr13, %dr10, %dr13
	}
	.ifdef	NARROW			! a sum modulo 2^32
	{
		sxt 6, %r13, %dr13
	}
	.endif
	CHECK_EQ %dr13, 0, "the same in a word of data"
	CHECK_EQ %dr14, 8, "an own symbol's size"

	! thread-local storage
	CALL lib_tls_address
	{
		addd %db[0], 0, %dr10
	}
	{
		ldd %dr10, 0, %dr11
	}
	CHECK_EQ %dr11, 0x7151, "the general model, in the library"
	{
		LOAD_POINTER %dr9, lib_tls@TLS_IE, %dr11
	}
	{
		addd %dr11, %dg13, %dr11
	}
	{
		subd %dr11, %dr10, %dr11
	}
	CHECK_EQ %dr11, 0, "the initial model, in the program"
	{
		LOAD_POINTER %dr9, lib_tls@TLS_GDMOD, %db[0]
		LOAD_POINTER %dr9, lib_tls@TLS_GDREL, %db[1]
	}
	CALL __tls_get_addr
	{
		subd %db[0], %dr10, %dr11
	}
	CHECK_EQ %dr11, 0, "the general model, in the program"
	{
		LOAD_POINTER %dr9, lib_tls_zero@TLS_IE, %dr11
	}
	{
		ldd %dr11, %dg13, %dr12
	}
	CHECK_EQ %dr12, 0, "storage without initial value is zero"
	{
		TLS_LE_FROM own_tls_2, %dr11
	}
	{
		ldd %dr11, 0, %dr12
		ldd %dr11, -8, %dr13
	}
	CHECK_EQ %dr12, 0x0718, "the local model"
	CHECK_EQ %dr13, 0x0717, "and its neighbour"
	{
		LOAD_POINTER %dr9, own_tls_2@TLS_IE, %dr13
	}
	{
		addd %dr13, %dg13, %dr13
	}
	{
		subd %dr13, %dr11, %dr13
	}
	CHECK_EQ %dr13, 0, "the initial model for an own variable"
	.ifndef	PIC
	{
		ldw %dr8, 6 * WORD, %dr10
		ldw %dr8, 6 * WORD + 4, %dr11
		ADDR program_word, %dr12
	}
	{
		subd %dr10, %dr12, %dr10
	}
	CHECK_EQ %dr10, 0, "a 32-bit address"
	CHECK_EQ %dr11, 4, "a 32-bit distance"
	.endif
	DONE

	.align	8
where:					! the address of the offset table
	{
		setwd wsz = 16, nfx = 1
		rrd %ip, %dr0
	}
	{
		GOT_FROM where, %dr0, %dr0
	}
	RETURN
