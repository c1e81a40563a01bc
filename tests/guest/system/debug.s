! Debug exerciser: breakpoints, watchpoints and steps of the guest's own, and
! last_wish.  What does not match, is not asked to trap or is masked is checked
! as well, by the number of traps.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"

	.equ	EXC_INSTR_DEBUG, 8
	.equ	EXC_LAST_WISH, 24
	.equ	EXC_DATA_DEBUG, 28
	.equ	CR1_SS, 24
	.equ	PSR_LW, 8
	.equ	PSR_OPEN, 0x21			! pm, nmie
	.equ	VALID, 1
	.equ	DIBCR_TRAP, 2
	.equ	DIBSR_SS, 1 << 7
	.equ	SECONDARY, 2
	.equ	ON_WRITE, 4
	.equ	ON_READ, 8
	.equ	BYTES_1, 1 << 4
	.equ	BYTES_4, 3 << 4
	.equ	BYTES_8, 4 << 4
	.equ	BYTES_16, 5 << 4
	.equ	SYNC, 1 << 7
	.equ	SPEC, 1 << 8
	.equ	DDBCR_TRAP, 1 << 12
	.equ	WATCH, VALID | ON_WRITE | BYTES_8 | SYNC | DDBCR_TRAP

! System-call entry 3: leaves its number.
	.org	trap_table + 3 * 0x800
	{
		setwd wsz = 16, nfx = 1
	}
	{
		addd 0, 3, %dr0
	}
	RETURN

	.macro	WRITE value, register
	{
		addd 0, \value, %dr13
	}
	{
		rwd %dr13, \register
	}
	.endm

	.macro	WRITE_DEBUG value, register
	{
		addd 0, \value, %dr13
	}
	{
		mmurw %dr13, \register
	}
	.endm

! A breakpoint's register pair: DIBSR is cleared.
	.macro	BREAK_AT label, register, control
	WRITE \label, \register
	WRITE 0, %dibsr
	WRITE \control, %dibcr
	.endm

	.macro	CHECK_STATUS value, text
	{
		rrd %dibsr, %dr12
	}
	CHECK_EQUAL %dr12, \value, "\text"
	.endm

	.macro	WATCH_AT address, register, control
	WRITE_DEBUG \address, \register
	WRITE_DEBUG 0, %ddbsr
	WRITE_DEBUG \control, %ddbcr
	.endm

	.macro	CHECK_DATA_STATUS value, text
	{
		mmurr %ddbsr, %dr12
	}
	CHECK_EQUAL %dr12, \value, "\text"
	.endm

! The number of traps since the last time.
	.macro	CHECK_TRAPS number, text
	{
		addd 0, trap_count, %dr12
		addd 0, 0, %dr13
	}
	{
		ldd %dr12, 0, %dr11
	}
	{
		std %dr12, 0, %dr13
	}
	CHECK_EQUAL %dr11, \number, "\text"
	.endm

	.macro	CHECK_IP label, text
	{
		addd 0, trap_ip, %dr12
	}
	{
		ldd %dr12, 0, %dr12
	}
	CHECK_EQUAL %dr12, \label, "\text"
	.endm

	PROC main
	WRITE PSR_OPEN, %psr
	WRITE 1, %upsr
	CALL check_breakpoints
	CALL check_masks
	CALL check_hot
	CALL check_steps
	CALL check_step_faults
	CALL check_watchpoints
	CALL check_mismatches
	CALL check_speculation
	CALL check_together
	CALL check_last_wish
	PRINT "debug passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

! instr_debug comes before the bundle.
	PROC check_breakpoints
	CHECK_TRAPS 0, "nothing so far"
	{
		addd 0, 0, %dr4
	}
	BREAK_AT 2f, %dibar0, VALID | DIBCR_TRAP
	RESUME_AT 1f
2:
	{
		addd 0, 1, %dr4
	}
1:
	WRITE 0, %dibcr
	CHECK_TRAP EXC_INSTR_DEBUG, "breakpoint"
	CHECK_IP 2b, "its ip is the bundle's"
	CHECK_EQUAL %dr4, 0, "the bundle is not executed"
	CHECK_STATUS 1, "DIBSR.b0"
	CHECK_TRAPS 1, "one trap"

	BREAK_AT 2f, %dibar3, (VALID | DIBCR_TRAP) << 6
	RESUME_AT 1f
2:
	{
		addd 0, 1, %dr4
	}
1:
	WRITE 0, %dibcr
	CHECK_TRAP EXC_INSTR_DEBUG, "breakpoint 3"
	CHECK_STATUS 8, "DIBSR.b3"
	CHECK_TRAPS 1, "one trap more"

	BREAK_AT 2f, %dibar1, VALID << 2
2:
	{
		addd 0, 1, %dr4
	}
	CHECK_STATUS 2, "a breakpoint without its trap bit has a status"
	BREAK_AT 2f, %dibar2, DIBCR_TRAP << 4
2:
	{
		addd 0, 1, %dr4
	}
	CHECK_STATUS 0, "one that is not valid has none"
	WRITE 0, %dibcr
	CHECK_TRAPS 0, "and no trap"
	CHECK_EQUAL %dr4, 1, "the bundles are executed"
	RETURN

! The gate of non-maskable interrupts is that of debug traps.
	PROC check_masks
	WRITE 1, %psr				! pm alone
	BREAK_AT 2f, %dibar0, VALID | DIBCR_TRAP
2:
	{
		addd 0, 1, %dr4
	}
	CHECK_STATUS 1, "a masked breakpoint has a status"
	WRITE PSR_OPEN | 0x40, %psr		! UPSR.nmie is asked too
	BREAK_AT 2f, %dibar0, VALID | DIBCR_TRAP
2:
	{
		addd 0, 1, %dr4
	}
	CHECK_TRAPS 0, "masked by PSR and by UPSR"
	WRITE 0x81, %upsr
	BREAK_AT 2f, %dibar0, VALID | DIBCR_TRAP
	RESUME_AT 1f
2:
	{
		addd 0, 1, %dr4
	}
1:
	WRITE 0, %dibcr
	CHECK_TRAP EXC_INSTR_DEBUG, "not masked by either"
	CHECK_TRAPS 1, "one trap"
	WRITE PSR_OPEN, %psr
	WRITE 1, %upsr
	RETURN

! Code that has run before, as an engine may have kept it.
	PROC check_hot
	{
		addd 0, 1000, %dr4
	}
1:
	CALL busy
	{
		cmpedb %dr4, 1, %pred0
		subd %dr4, 1, %dr4
	}
	GOTO_IF_NOT %pred0, 1b
	BREAK_AT busy_loop, %dibar0, VALID | DIBCR_TRAP
	RESUME_AT busy_end
	CALL busy
	WRITE 0, %dibcr
	CHECK_TRAP EXC_INSTR_DEBUG, "breakpoint in old code"
	CHECK_IP busy_loop, "at the loop"
	CHECK_TRAPS 1, "one trap"
	RETURN

	PROC busy
	{
		addd 0, 10, %dr0
	}
busy_loop:
	{
		subd %dr0, 1, %dr0
		cmpedb %dr0, 1, %pred0
	}
	GOTO_IF_NOT %pred0, busy_loop
busy_end:
	RETURN

! arm_step(how): the caller's next bundle is a step; 0: by a return, 1: done.
	PROC arm_step
	{
		rrd %cr1.lo, %dr1
		addd 0, 1 << CR1_SS, %dr2
	}
	{
		ord %dr1, %dr2, %dr1
		cmpedb %dr0, 0, %pred0
	}
	{
		rwd %dr1, %cr1.lo
	}
	GOTO_IF_NOT %pred0, 1f
	RETURN
1:
	{
		done
	}

	PROC check_steps
	WRITE 0, %dibsr
	{
		addd 0, 0, %dr4
	}
	RESUME_AT 1f
	CALL1 arm_step, 0
	{
		addd 0, 1, %dr4
	}
2:
	{
		addd 0, 2, %dr4
	}
1:
	CHECK_TRAP EXC_INSTR_DEBUG, "step after a return"
	CHECK_IP 2b, "its ip is the next bundle's"
	CHECK_EQUAL %dr4, 1, "one bundle is executed"
	CHECK_STATUS DIBSR_SS, "DIBSR.ss"
	CHECK_TRAPS 1, "one trap"
	{
		addd 0, trap_cr1, %dr5
	}
	{
		ldd %dr5, 0, %dr5
	}
	{
		shrd %dr5, CR1_SS, %dr5
	}
	{
		andd %dr5, 1, %dr5
	}
	CHECK_EQUAL %dr5, 0, "the step is over"

	RESUME_AT 1f
	CALL1 arm_step, 1
	{
		addd 0, 3, %dr4
	}
2:
	{
		addd 0, 4, %dr4
	}
1:
	CHECK_TRAP EXC_INSTR_DEBUG, "step after done"
	CHECK_IP 2b, "its ip"
	CHECK_EQUAL %dr4, 3, "one bundle"
	CHECK_TRAPS 1, "one trap"

	WRITE 1, %psr
	WRITE 0, %dibsr
	CALL1 arm_step, 0
	{
		addd 0, 5, %dr4
	}
	{
		addd 0, 6, %dr4
	}
	CHECK_STATUS DIBSR_SS, "a masked step has a status"
	CHECK_TRAPS 0, "and no trap"
	WRITE PSR_OPEN, %psr
	{
		addd 0, 7, %dr4
	}
	CHECK_TRAPS 0, "nor one later"

	! Into the system: the trap is at its entry, which goes on then.
	WRITE 1 << 3, %osem
	CALL arm_system_step
	{
		call %ctpr1, wbs = 8
	}
	CHECK_EQUAL %db[0], 3, "the system call was made"
	CHECK_TRAP EXC_INSTR_DEBUG, "step into the system"
	CHECK_IP trap_table + 3 * 0x800, "at its entry"
	CHECK_TRAPS 1, "one trap"
	RETURN

! Leaves a system call prepared in %ctpr1, which done keeps.
	PROC arm_system_step
	{
		rrd %cr1.lo, %dr1
		addd 0, 1 << CR1_SS, %dr2
	}
	{
		ord %dr1, %dr2, %dr1
		sdisp %ctpr1, 3
	}
	{
		rwd %dr1, %cr1.lo
	}
	{
		done
	}

! A bundle that faults is not stepped; the step waits in the trap's frame.
	PROC check_step_faults
	{
		addd 0, 0, %dr4
	}
	RESUME_AT 1f
	CALL1 arm_step, 0
	{
		addd 0, 1, %dr40		! out of the window
	}
	FAIL "no window_bounds", 1
1:
	{
		addd 0, 1, %dr4
	}
2:
	{
		addd %dr4, 1, %dr4
	}
	CHECK_TRAP EXC_INSTR_DEBUG, "step after a fault"
	CHECK_IP 2b, "the bundle after the handler's choice"
	CHECK_EQUAL %dr4, 2, "nothing is executed twice"
	CHECK_TRAPS 2, "the fault and the step"
	RETURN

! data_debug comes after the bundle.
	PROC check_watchpoints
	{
		addd 0, datum, %dr4
		addd 0, 0x11, %dr5
	}
	WATCH_AT datum, %ddbar0, WATCH
	RESUME_AT 1f
2:
	{
		std %dr4, 0, %dr5
		addd 0, 0x22, %dr6
	}
3:
	FAIL "no trap after the store", 1
1:
	WRITE_DEBUG 0, %ddbcr
	CHECK_TRAP EXC_DATA_DEBUG, "watchpoint"
	CHECK_IP 2b, "its ip is the bundle's"
	{
		addd 0, trap_tirs, %dr12
	}
	{
		ldd %dr12, 0, %dr10
		ldd %dr12, 8, %dr11
	}
	{
		ldd %dr12, 16, %dr12
	}
	CHECK_EQUAL %dr10, 0, "TIR0 has no bits"
	CHECK_EQUAL %dr11, 3b, "its ip is the next bundle's"
	{
		shrd %dr12, 56, %dr12
	}
	CHECK_EQUAL %dr12, 1, "TIR1 has the bit"
	{
		ldd %dr4, 0, %dr7
	}
	CHECK_EQUAL %dr7, 0x11, "the store is made"
	CHECK_EQUAL %dr6, 0x22, "and the rest of the bundle"
	CHECK_DATA_STATUS 1, "DDBSR: synchronous access to 0"
	CHECK_TRAPS 1, "one trap"

	! A byte in the middle, read, of the last point.
	WATCH_AT datum, %ddbar3, (VALID | ON_READ | BYTES_8 | SYNC | DDBCR_TRAP) << 42
	RESUME_AT 1f
	{
		ldb %dr4, 5, %dr7
	}
1:
	WRITE_DEBUG 0, %ddbcr
	CHECK_TRAP EXC_DATA_DEBUG, "watched byte"
	CHECK_DATA_STATUS 1 << 36, "DDBSR of 3"
	CHECK_TRAPS 1, "one trap"

	! An access that begins before what is watched.
	WATCH_AT datum + 4, %ddbar1, (VALID | ON_WRITE | BYTES_1 | SYNC | DDBCR_TRAP) << 14
	RESUME_AT 1f
	{
		std %dr4, 0, %dr5
	}
1:
	WRITE_DEBUG 0, %ddbcr
	CHECK_TRAP EXC_DATA_DEBUG, "wider access"
	CHECK_DATA_STATUS 1 << 12, "DDBSR of 1"
	CHECK_TRAPS 1, "one trap"
	RETURN

! What is not to match, and what is not to trap.
	PROC check_mismatches
	{
		addd 0, datum, %dr4
		addd 0, 0x33, %dr5
	}
	WATCH_AT datum, %ddbar0, WATCH
	{
		ldd %dr4, 0, %dr6
	}
	{
		std %dr4, 8, %dr5
	}
	{
		std %dr4, 0 - 8, %dr5
	}
	{
		std,2 %dr4, 0, %dr5, mas = 1	! a physical address
	}
	WATCH_AT datum, %ddbar0, WATCH & ~VALID
	{
		std %dr4, 0, %dr5
	}
	WATCH_AT datum, %ddbar0, WATCH | SECONDARY
	{
		std %dr4, 0, %dr5
	}
	WATCH_AT datum, %ddbar0, WATCH & ~SYNC
	{
		std %dr4, 0, %dr5
	}
	WATCH_AT datum, %ddbar0, WATCH & ~BYTES_8
	{
		std %dr4, 0, %dr5
	}
	WATCH_AT datum + 4, %ddbar0, VALID | ON_WRITE | BYTES_4 | SYNC | DDBCR_TRAP
	{
		stw %dr4, 0, %r5
	}
	CHECK_DATA_STATUS 0, "nothing has matched"
	WATCH_AT datum, %ddbar0, WATCH & ~DDBCR_TRAP
	{
		std %dr4, 0, %dr5
	}
	CHECK_DATA_STATUS 1, "a watchpoint without its trap bit has a status"
	WRITE 1, %psr
	WATCH_AT datum, %ddbar0, WATCH
	{
		std %dr4, 0, %dr5
	}
	CHECK_DATA_STATUS 1, "so has a masked one"
	WRITE_DEBUG 0, %ddbcr
	WRITE PSR_OPEN, %psr
	CHECK_TRAPS 0, "no trap"
	RETURN

	PROC check_speculation
	{
		addd 0, datum, %dr4
	}
	WATCH_AT datum, %ddbar0, VALID | ON_READ | BYTES_16 | SYNC | DDBCR_TRAP
	{
		ldd,0,sm %dr4, 0, %dr5
	}
	CHECK_TRAPS 0, "a speculative load is not synchronous"
	WATCH_AT datum, %ddbar0, VALID | ON_READ | BYTES_16 | SPEC | DDBCR_TRAP
	RESUME_AT 1f
	{
		ldd,0,sm %dr4, 8, %dr5
	}
1:
	WRITE_DEBUG 0, %ddbcr
	CHECK_TRAP EXC_DATA_DEBUG, "speculative load"
	CHECK_DATA_STATUS 2, "DDBSR: speculative access to 0"
	CHECK_TRAPS 1, "one trap"
	RETURN

! A watchpoint in a step's bundle: one trap with both, each in its place.
	PROC check_together
	{
		addd 0, datum, %dr4
		addd 0, 0x44, %dr5
	}
	WATCH_AT datum, %ddbar0, WATCH
	RESUME_AT 1f
	CALL1 arm_step, 0
	{
		std %dr4, 0, %dr5
	}
2:
	FAIL "no trap after the store", 1
1:
	WRITE_DEBUG 0, %ddbcr
	{
		addd 0, trap_mask, %dr12
	}
	{
		ldd %dr12, 0, %dr12
	}
	CHECK_EQUAL %dr12, 1 << EXC_DATA_DEBUG | 1 << EXC_INSTR_DEBUG, "watchpoint and step"
	{
		addd 0, trap_tirs, %dr12
	}
	{
		ldd %dr12, 0, %dr10
		ldd %dr12, 8, %dr11
	}
	CHECK_EQUAL %dr10, 1 << EXC_INSTR_DEBUG, "TIR0 has the step"
	CHECK_EQUAL %dr11, 2b, "and its place"
	CHECK_TRAPS 1, "one trap"
	RETURN

! last_wish: a return while PSR.lw is set.
	PROC check_last_wish
	{
		addd 0, 20, %dr4		! often: an engine may keep the code
	}
1:
	CALL1 wish, PSR_LW | PSR_OPEN
2:
	{
		addd %db[0], 0, %dr5
		addd %db[1], 0, %dr6
	}
	CHECK_TRAP EXC_LAST_WISH, "last_wish"
	CHECK_IP 2b, "its ip is where the return goes"
	CHECK_EQUAL %dr5, PSR_OPEN, "a callee has none"
	CHECK_EQUAL %dr6, PSR_OPEN | PSR_LW, "the wish is there after its return"
	CHECK_TRAPS 1, "one trap"
	{
		rrd %psr, %dr5
	}
	CHECK_EQUAL %dr5, PSR_OPEN, "the caller's PSR is its own"
	CALL1 wish, PSR_OPEN
	CHECK_TRAPS 0, "no wish, no trap"
	{
		cmpedb %dr4, 1, %pred0
		subd %dr4, 1, %dr4
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

! wish(psr): sets PSR, calls; the callee's PSR, its own PSR.
	PROC wish
	{
		rwd %dr0, %psr
	}
	CALL tell_psr
	{
		addd %db[0], 0, %dr0
	}
	{
		rrd %psr, %dr1
	}
	RETURN

	PROC tell_psr
	{
		rrd %psr, %dr0
	}
	RETURN

	.pushsection .bss
	.align	16
	.skip	16
datum:
	.skip	16
	.popsection
