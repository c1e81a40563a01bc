/*
 * Host code as text, for -d out_asm: through capstone when it was there at
 * build time, else as bytes.
 *
 * The library is loaded when it is first wanted: linked in, its relocations
 * would be half of the time and memory that a short guest program takes.
 */
#include <inttypes.h>

#include "tcg/tcg-int.h"
#include "util/log.h"

#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#include <dlfcn.h>

static struct {
    __typeof__(cs_open) *open;
    __typeof__(cs_disasm) *disasm;
    __typeof__(cs_free) *free;
    __typeof__(cs_close) *close;
} capstone;

static bool load_capstone(void)
{
    g_autofree char *name = g_strdup_printf("libcapstone.so.%d", CS_API_MAJOR);
    void *library;

    if (capstone.close) {
        return true;
    }
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        return false;
    }
    capstone.open = dlsym(library, "cs_open");
    capstone.disasm = dlsym(library, "cs_disasm");
    capstone.free = dlsym(library, "cs_free");
    capstone.close = capstone.open && capstone.disasm && capstone.free
                         ? dlsym(library, "cs_close") : NULL;
    return capstone.close;
}

static bool disassemble(FILE *to, const uint8_t *code, size_t bytes)
{
    csh handle;
    cs_insn *insns;
    size_t n;

    if (!load_capstone() ||
        capstone.open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) {
        return false;
    }
    n = capstone.disasm(handle, code, bytes, (uintptr_t)code, 0, &insns);
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "  %p: %-8s %s\n", (void *)insns[i].address,
                insns[i].mnemonic, insns[i].op_str);
    }
    if (n) {
        capstone.free(insns, n);
    }
    capstone.close(&handle);
    return true;
}
#else
static bool disassemble(FILE *to, const uint8_t *code, size_t bytes)
{
    return false;
}
#endif

static void dump_bytes(FILE *to, const uint8_t *code, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        fprintf(to, "%s%02x%s", i % 16 ? "" : "  ", code[i],
                i % 16 == 15 || i + 1 == bytes ? "\n" : " ");
    }
}

void tcg_dump_host(const char *title, const uint8_t *code, size_t bytes)
{
    if (log_on(LOG_OUT_ASM)) {
        FILE *to = log_lock();

        fprintf(to, "host code of %s: %zu bytes\n", title, bytes);
        if (!disassemble(to, code, bytes)) {
            dump_bytes(to, code, bytes);
        }
        log_unlock(to);
    }
}
