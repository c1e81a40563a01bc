! The shared library of the dynamic test: functions, data of every kind of
! relocation, thread-local data, an indirect function, an initialiser.

	.include "lib.inc"
	.include "dynamic/elf.inc"

	.global	lib_twice, lib_value, lib_table, lib_pick, lib_tls, lib_tls_zero
	.global	lib_inits, lib_own_address, lib_tls_address, lib_call_back
	.global	lib_literal, lib_two

	.type	lib_twice, #function
	.align	8
lib_twice:
	{
		setwd wsz = 16, nfx = 1
	}
	{
		addd %dr0, %dr0, %dr0
	}
	RETURN

	.type	lib_call_back, #function
	.align	8
lib_call_back:				! calls a function of the program
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 12, rsz = 3, rcur = 0
	}
	{
		addd %dr0, 0, %db[0]
	}
	CALL program_function
	{
		addd %db[0], 1, %dr0
	}
	RETURN

	.type	lib_own_address, #function
	.align	8
lib_own_address:			! through the offset table
	{
		setwd wsz = 16, nfx = 1
		rrd %ip, %dr1
	}
	{
		GOT_FROM lib_own_address, %dr1, %dr1
	}
	{
		LOAD_POINTER %dr1, lib_value@GOT, %dr0
	}
	RETURN

	.type	lib_literal, #function
	.align	8
lib_literal:				! in the text itself: ABS_LIT
	{
		setwd wsz = 16, nfx = 1
		ADDR lib_value, %dr0
	}
	RETURN

	.type	lib_tls_address, #function
	.align	8
lib_tls_address:			! the general model
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 12, rsz = 3, rcur = 0
		rrd %ip, %dr1
	}
	{
		GOT_FROM lib_tls_address, %dr1, %dr1
	}
	{
		LOAD_POINTER %dr1, lib_tls@TLS_GDMOD, %db[0]
		LOAD_POINTER %dr1, lib_tls@TLS_GDREL, %db[1]
	}
	CALL __tls_get_addr
	{
		addd %db[0], 0, %dr0
	}
	RETURN

	.type	lib_pick, #gnu_indirect_function
	.align	8
lib_pick:
	{
		setwd wsz = 16, nfx = 1
		ADDR picked, %dr0
	}
	RETURN

	.align	8
picked:
	{
		setwd wsz = 16, nfx = 1
		addd 0, 77, %dr0
	}
	RETURN

	.align	8
initialise:
	{
		setwd wsz = 16, nfx = 1
		ADDR lib_inits, %dr0
	}
	{
		ldd %dr0, 0, %dr1
	}
	{
		addd %dr1, 1, %dr1
	}
	{
		std %dr0, 0, %dr1
	}
	RETURN

	.section .init_array, "aw"
	POINTER	initialise

	.data
	.align	8
	.type	lib_value, #object
	.size	lib_value, 16
lib_value:
	.dword	0x1122334455667788, 0x99aabbccddeeff00
	.type	lib_inits, #object
	.size	lib_inits, 8
lib_inits:
	.dword	0
	.type	lib_two, #object
	.size	lib_two, 8
lib_two:
	.dword	2
	.type	lib_table, #object
	.size	lib_table, 6 * WORD
lib_table:
	POINTER	lib_value + 8		! ABS
	POINTER	private			! RELATIVE
	POINTER	lib_twice		! ABS of a function
	POINTER	maybe			! a weak symbol without definition
	POINTER	lib_value@SIZE
	POINTER	lib_tls@TLS_DTPREL
	.align	8
private:
	.dword	0x5a5a
	.weak	maybe

	.section .tdata, "awT", #progbits
	.align	16
	.type	lib_tls_first, #tls_object
lib_tls_first:
	.dword	1
	.type	lib_tls, #tls_object
	.size	lib_tls, 8
lib_tls:
	.dword	0x7151
	.section .tbss, "awT", #nobits
	.type	lib_tls_zero, #tls_object
	.size	lib_tls_zero, 8
lib_tls_zero:
	.skip	8
