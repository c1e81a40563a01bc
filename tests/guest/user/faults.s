! Ends by the fault that its first argument's letter names; the test knows
! which signal each one gives.

	.include "lib.inc"

	PROC recurse			! endless recursion
	CALL recurse
	RETURN

	PROC eat_stack			! endless data stack
1:
	{
		getsp -65536, %dr0
	}
	{
		std %dr0, 0, %dr0
	}
	GOTO 1b

	PROC main
	{
		ldd %dr1, 8, %dr2
	}
	{
		ldb %dr2, 0, %dr3
	}
	{
		cmpedb %dr3, 0x72, %pred0	! r: recursion
		cmpedb %dr3, 0x73, %pred1	! s: stack
	}
	{
		cmpedb %dr3, 0x75, %pred2	! u: unmapped
		cmpedb %dr3, 0x7a, %pred3	! z: division by zero
	}
	{
		cmpedb %dr3, 0x64, %pred4	! d: running into data
		cmpedb %dr3, 0x6d, %pred5	! m: misaligned target
	}
	{
		cmpedb %dr3, 0x77, %pred6	! w: window bounds
		cmpedb %dr3, 0x70, %pred7	! p: privileged register
	}
	GOTO_IF_NOT %pred0, 1f
	CALL recurse
1:
	GOTO_IF_NOT %pred1, 1f
	CALL eat_stack
1:
	GOTO_IF_NOT %pred2, 1f
	{
		addd 0, 0x123456789000, %dr4
	}
	{
		std %dr4, 0, %dr4
	}
1:
	GOTO_IF_NOT %pred3, 1f
	{
		addd 0, 0, %dr4
	}
	{
		sdivd %dr4, %dr4, %dr4
	}
1:
	GOTO_IF_NOT %pred4, 1f
	{
		addd 0, lib_digits, %dr4
	}
	CALL_REG %dr4
1:
	GOTO_IF_NOT %pred5, 1f
	{
		addd 0, recurse + 4, %dr4
	}
	CALL_REG %dr4
1:
	GOTO_IF_NOT %pred6, 1f
	{
		addd 0, 0, %dr40
	}
1:
	GOTO_IF_NOT %pred7, 1f
	{
		rwd %dr3, %psr
	}
1:
	PRINT "no fault\n"
	{
		addd 0, 0, %dr0
	}
	RETURN
