/*
 * CPU exceptions as signals: which signal, which si_code, which address.
 * Source: shared facts "linux/abi.md" section 6.3.
 */
#include "linux-user/signal.h"

#include "util/log.h"

enum {
    CODE_ILLOPC = 1, CODE_ILLOPN = 2, CODE_ILLADR = 3, CODE_PRVOPC = 5,
    CODE_COPROC = 7, CODE_MAPERR = 1, CODE_ACCERR = 2, CODE_BNDERR = 3,
    CODE_ADRALN = 1, CODE_ADRERR = 2, CODE_OBJERR = 3, CODE_INTDIV = 1,
    CODE_FLTINV = 7, CODE_BRKPT = 1, CODE_HWBKPT = 4,
};

static const struct {
    uint8_t signal;
    uint8_t code;
    const char *name;
} exception_signals[] = {
    [EXC_ILLEGAL_OPCODE] = { SIGILL, CODE_ILLOPC, "illegal_opcode" },
    [EXC_PRIV_ACTION] = { SIGILL, CODE_PRVOPC, "priv_action" },
    [EXC_FP_DISABLED] = { SIGILL, CODE_COPROC, "fp_disabled" },
    [EXC_FP_STACK_U] = { SIGFPE, CODE_FLTINV, "fp_stack_u" },
    [EXC_D_INTERRUPT] = { SIGBUS, CODE_OBJERR, "d_interrupt" },
    [EXC_DIAG_CT_COND] = { SIGILL, CODE_ILLOPN, "diag_ct_cond" },
    [EXC_DIAG_INSTR_ADDR] = { SIGILL, CODE_ILLADR, "diag_instr_addr" },
    [EXC_ILLEGAL_INSTR_ADDR] = { SIGILL, CODE_ILLOPC, "illegal_instr_addr" },
    [EXC_INSTR_DEBUG] = { SIGTRAP, CODE_HWBKPT, "instr_debug" },
    [EXC_WINDOW_BOUNDS] = { SIGSEGV, CODE_BNDERR, "window_bounds" },
    [EXC_USER_STACK_BOUNDS] = { SIGSEGV, CODE_BNDERR, "user_stack_bounds" },
    [EXC_PROC_STACK_BOUNDS] = { SIGSEGV, 0x80, "proc_stack_bounds" },
    [EXC_CHAIN_STACK_BOUNDS] = { SIGSEGV, 0x80, "chain_stack_bounds" },
    [EXC_FP_STACK_O] = { SIGFPE, CODE_FLTINV, "fp_stack_o" },
    [EXC_DIAG_COND] = { SIGILL, CODE_ILLOPN, "diag_cond" },
    [EXC_DIAG_OPERAND] = { SIGILL, CODE_ILLOPN, "diag_operand" },
    [EXC_ILLEGAL_OPERAND] = { SIGILL, CODE_ILLOPN, "illegal_operand" },
    [EXC_ARRAY_BOUNDS] = { SIGSEGV, CODE_BNDERR, "array_bounds" },
    [EXC_ACCESS_RIGHTS] = { SIGSEGV, CODE_ACCERR, "access_rights" },
    [EXC_ADDR_NOT_ALIGNED] = { SIGBUS, CODE_ADRALN, "addr_not_aligned" },
    [EXC_INSTR_PAGE_MISS] = { SIGSEGV, CODE_MAPERR, "instr_page_miss" },
    [EXC_INSTR_PAGE_PROT] = { SIGSEGV, CODE_ACCERR, "instr_page_prot" },
    [EXC_AINSTR_PAGE_MISS] = { SIGSEGV, CODE_MAPERR, "ainstr_page_miss" },
    [EXC_AINSTR_PAGE_PROT] = { SIGSEGV, CODE_ACCERR, "ainstr_page_prot" },
    [EXC_LAST_WISH] = { SIGBUS, CODE_OBJERR, "last_wish" },
    [EXC_BASE_NOT_ALIGNED] = { SIGBUS, CODE_ADRALN, "base_not_aligned" },
    [EXC_SOFTWARE_TRAP] = { SIGTRAP, CODE_BRKPT, "software_trap" },
    [EXC_DATA_DEBUG] = { SIGTRAP, CODE_HWBKPT, "data_debug" },
    [EXC_DATA_PAGE] = { SIGSEGV, CODE_MAPERR, "data_page" },
    [EXC_MACP] = { SIGSEGV, CODE_ACCERR, "macp" },
    [EXC_RECOVERY_POINT] = { SIGBUS, CODE_OBJERR, "recovery_point" },
    [EXC_DIV] = { SIGFPE, CODE_INTDIV, "div" },
    [EXC_FP] = { SIGFPE, CODE_FLTINV, "fp" },
    [EXC_MEM_LOCK] = { SIGBUS, CODE_OBJERR, "mem_lock" },
    [EXC_MEM_LOCK_AS] = { SIGBUS, CODE_OBJERR, "mem_lock_as" },
};

/* FPE_ codes in the kernel's order of precedence. */
static int fp_code(const E2kCpu *cpu)
{
    enum { INV = 7, DIV = 3, OVF = 4, UND = 5, RES = 6 };
    static const struct { uint8_t bit, code; } from_fpsr[] = {
        { 5, RES }, { 4, UND }, { 3, OVF }, { 2, DIV }, { 1, UND }, { 0, INV },
    }, from_pfpfr[] = {
        { 5, RES }, { 1, UND }, { 3, OVF }, { 0, INV }, { 2, DIV }, { 4, UND },
    };
    uint32_t unmasked = cpu->pfpfr & ~(cpu->pfpfr >> 7) & 0x3f;

    if (cpu->fpsr & 0x80) {
        uint32_t flags = cpu->fpsr & ~cpu->fpcr & 0x3f;

        for (int i = 0; i < 6; i++) {
            if (flags & (1u << from_fpsr[i].bit)) {
                return from_fpsr[i].code;
            }
        }
    }
    for (int i = 0; i < 6; i++) {
        if (unmasked & (1u << from_pfpfr[i].bit)) {
            return from_pfpfr[i].code;
        }
    }
    return INV;
}

void signal_raise_exception(UserThread *thread)
{
    E2kCpu *cpu = thread->cpu;
    Exception exception = cpu->exception;
    int number = SIGILL;
    int code = CODE_ILLOPC;
    uint64_t address = cpu->ip;
    siginfo_t info = { 0 };
    const char *name = "exception";
    g_autofree char *what = NULL;

    if (exception < G_N_ELEMENTS(exception_signals) &&
        exception_signals[exception].signal) {
        number = exception_signals[exception].signal;
        code = exception_signals[exception].code;
        name = exception_signals[exception].name;
    }
    switch (exception) {
    case EXC_DATA_PAGE: {
        int prot = address_map_prot(thread->process->map, cpu->fault.address);
        bool store = cpu->fault.kind == ACCESS_STORE;

        address = cpu->fault.address;
        if (prot >= 0 && (prot & (store ? 2 : 1))) {
            number = SIGBUS; /* mapped, but behind the end of its file */
            code = CODE_ADRERR;
        } else if (prot >= 0) {
            code = CODE_ACCERR;
        }
        break;
    }
    case EXC_INSTR_PAGE_MISS:
    case EXC_INSTR_PAGE_PROT:
    case EXC_AINSTR_PAGE_MISS:
    case EXC_AINSTR_PAGE_PROT:
    case EXC_ADDR_NOT_ALIGNED:
        address = cpu->fault.address;
        break;
    case EXC_FP:
        code = fp_code(cpu);
        break;
    default:
        break;
    }
    log_printf(LOG_INT, "exception %s at %#" G_GINT64_MODIFIER
               "x, address %#" G_GINT64_MODIFIER "x\n", name, cpu->ip, address);
    info.si_signo = number;
    info.si_code = code;
    info.si_errno = exception == EXC_FP ? 0 : exception;
    info.si_addr = (void *)address;
    if (address != cpu->ip) {
        what = g_strdup_printf("%s of address 0x%" G_GINT64_MODIFIER "x", name,
                               address);
    }
    signal_deliver(thread, &info, true, what ? what : name);
    signal_set_mask(thread, thread->blocked);
}
