/*
 * Host code as text, for -d out_asm: through capstone when it was there at
 * build time, else as bytes.
 */
#include <inttypes.h>

#include "tcg/tcg-int.h"
#include "util/log.h"

#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>

static void disassemble(FILE *to, const uint8_t *code, size_t bytes)
{
    csh handle;
    cs_insn *insns;
    size_t n;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) {
        return;
    }
    n = cs_disasm(handle, code, bytes, (uintptr_t)code, 0, &insns);
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "  %p: %-8s %s\n", (void *)insns[i].address,
                insns[i].mnemonic, insns[i].op_str);
    }
    if (n) {
        cs_free(insns, n);
    }
    cs_close(&handle);
}
#else
static void disassemble(FILE *to, const uint8_t *code, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        fprintf(to, "%s%02x%s", i % 16 ? "" : "  ", code[i],
                i % 16 == 15 || i + 1 == bytes ? "\n" : " ");
    }
}
#endif

void tcg_dump_host(const char *title, const uint8_t *code, size_t bytes)
{
    if (log_on(LOG_OUT_ASM)) {
        FILE *to = log_lock();

        fprintf(to, "host code of %s: %zu bytes\n", title, bytes);
        disassemble(to, code, bytes);
        log_unlock(to);
    }
}
