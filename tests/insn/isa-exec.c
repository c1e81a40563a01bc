/*
 * isa-exec: runs execution vectors and state programs in the engines.
 *
 *   isa-exec [--engine interp|jit|both] [--all-isa] [--tested] [-v] FILE...
 *
 * A FILE that ends in .elf is a program with its expected words in the
 * .expect file beside it; any other file has one operation per line, in one
 * of the two forms that the headers of the published vectors explain (nine or
 * eight fields and the confidence, separated by " | "; in the second form
 * values carry tags).  Every line runs in every legal channel, on the first
 * and the last ISA version it names (--all-isa: on all).
 *
 * --tested prints "tested NAME" for operations of which some line ran in both
 * engines and none failed.
 *
 * Prints each difference and, last, "N passed, N failed".  Exit status 1 when
 * something failed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/insn/elf-run.h"
#include "tests/insn/one-op.h"

enum {
    MAX_SHOWN = 200,
};

typedef struct Number {
    bool present;
    unsigned digits;
    uint64_t lo, hi;
    int tag; /* -1: none given */
} Number;

/* One line of a file. */
typedef struct Vector {
    const char *file;
    unsigned line;
    InsnId insn;
    unsigned imm_plog;   /* truth table of plog_0xNN names */
    unsigned isa_first, isa_last;
    Number s1, s2, s3, before, after;
    bool has_imm;
    unsigned imm;
    bool tagged;         /* second form */
    bool nosm_traps;
    int pred;            /* -1: no predicate; 0, 1 */
    bool pred_invalid;
    int cond;            /* -1: none */
    bool has_pfpfr, has_fpcr;
    uint32_t pfpfr, fpcr;
    int flags;           /* -1: not given */
    bool traps;
    Exception exception;
} Vector;

typedef struct Runner {
    Box *boxes[ISA_MAX + 1];
    bool engines[2];
    bool all_isa;
    bool verbose;
    unsigned passed, failed;
    struct {
        unsigned passed[2], failed; /* by engine */
    } by_insn[INSN_COUNT];
} Runner;

/* ------------------------------------------------------------------------
 * Reading
 */

static bool parse_number(const char *text, Number *n)
{
    const char *colon = strchr(text, ':');
    unsigned digits = colon ? colon - text : strlen(text);

    *n = (Number){.tag = -1};
    if (strcmp(text, "-") == 0) {
        return true;
    }
    if (digits == 0 || digits > 32) {
        return false;
    }
    for (unsigned i = 0; i < digits; i++) {
        int v = g_ascii_xdigit_value(text[i]);
        if (v < 0) {
            return false;
        }
        n->hi = n->hi << 4 | n->lo >> 60;
        n->lo = n->lo << 4 | v;
    }
    n->present = true;
    n->digits = digits;
    n->tag = colon ? (int)strtoul(colon + 1, NULL, 16) : -1;
    return true;
}

/* plog_0xNN and qplog_0xNN stand for 256 names each. */
static InsnId find_insn(const char *name, unsigned *table)
{
    unsigned value;

    if (sscanf(name, "plog_0x%x", &value) == 1) {
        *table = value;
        return INSN_plog_nn;
    }
    if (sscanf(name, "qplog_0x%x", &value) == 1) {
        *table = value;
        return INSN_qplog_nn;
    }
    return insn_by_name(name);
}

static bool parse_isa(const char *text, Vector *v)
{
    int n = sscanf(text, "%u-%u", &v->isa_first, &v->isa_last);

    if (n == 1) {
        v->isa_last = ISA_MAX;
    }
    return n >= 1 && v->isa_first >= ISA_MIN && v->isa_last <= ISA_MAX;
}

static const struct {
    const char *name;
    Exception exception;
} exception_names[] = {
    {"exc_div", EXC_DIV},
    {"exc_fp", EXC_FP},
    {"exc_diag_operand", EXC_DIAG_OPERAND},
    {"exc_illegal_opcode", EXC_ILLEGAL_OPCODE},
    {"exc_illegal_operand", EXC_ILLEGAL_OPERAND},
};

static bool parse_exception(const char *name, Vector *v)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(exception_names); i++) {
        if (strcmp(name, exception_names[i].name) == 0) {
            v->traps = true;
            v->exception = exception_names[i].exception;
            return true;
        }
    }
    return false;
}

static bool parse_state(const char *text, Vector *v)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);

    for (char **w = words; *w; w++) {
        char *equals = strchr(*w, '=');
        if (!equals) {
            if (**w && strcmp(*w, "-") != 0) {
                return false;
            }
            continue;
        }
        const char *value = equals + 1;
        *equals = 0;
        if (strcmp(*w, "pred") == 0) {
            v->pred = atoi(value);
        } else if (strcmp(*w, "cond") == 0) {
            v->cond = atoi(value);
        } else if (strcmp(*w, "pfpfr") == 0) {
            v->has_pfpfr = true;
            v->pfpfr = strtoul(value, NULL, 16);
        } else if (strcmp(*w, "fpcr") == 0) {
            v->has_fpcr = true;
            v->fpcr = strtoul(value, NULL, 16);
        } else if (strcmp(*w, "fl") == 0) {
            v->flags = strtoul(value, NULL, 16);
        } else if (strcmp(*w, "exc") == 0) {
            if (!parse_exception(value, v)) {
                return false;
            }
        } else if (strcmp(*w, "de") != 0) { /* de is a hint only */
            return false;
        }
    }
    return true;
}

/* "pred=V valid", "pred=? invalid" or a number. */
static bool parse_tagged_result(const char *text, Vector *v)
{
    if (!g_str_has_prefix(text, "pred=")) {
        return parse_number(text, &v->after);
    }
    v->pred = text[5] == '1';
    v->pred_invalid = strstr(text, "invalid") != NULL;
    return true;
}

static bool parse_tagged(char **f, Vector *v)
{
    v->tagged = true;
    v->nosm_traps = strcmp(f[8], "ok") != 0;
    return parse_tagged_result(f[7], v) &&
           (!v->nosm_traps || strcmp(f[8], "exc_diag_operand") == 0);
}

static bool parse_line(char *line, bool tagged, Vector *v)
{
    g_auto(GStrv) f = g_strsplit(g_strchomp(line), " | ", -1);

    if (g_strv_length(f) != 10) {
        return false;
    }
    v->pred = v->cond = v->flags = -1;
    v->insn = find_insn(f[0], &v->imm_plog);
    v->has_imm = strcmp(f[5], "-") != 0;
    v->imm = v->has_imm ? strtoul(f[5], NULL, 16) : v->imm_plog;
    if (v->insn == INSN_NONE || !parse_isa(f[1], v) ||
        !parse_number(f[2], &v->s1) || !parse_number(f[3], &v->s2) ||
        !parse_number(f[4], &v->s3) || !parse_number(f[6], &v->before)) {
        return false;
    }
    if (tagged) {
        return parse_tagged(f, v);
    }
    return parse_number(f[7], &v->after) && parse_state(f[8], v);
}

/* ------------------------------------------------------------------------
 * One operation
 */

static OneValue register_value(const Number *n, unsigned width)
{
    return (OneValue){
        .present = n->present, .lo = n->lo,
        .ext = width == WIDTH_X || n->digits > 16 ? n->hi : 0,
        .tag = n->tag > 0 ? n->tag : 0,
    };
}

/* Why the state is not as expected, or NULL. */
static char *compare_result(const Vector *v, const OneResult *r,
                            unsigned width)
{
    unsigned flags = (v->has_fpcr ? r->fpsr : r->pfpfr) & 0x3d;

    if (v->pred >= 0) {
        if ((v->tagged && (r->pred >> 1) != v->pred_invalid) ||
            (!v->pred_invalid && (r->pred & 1) != (unsigned)v->pred)) {
            return g_strdup_printf("pred %u%s", r->pred & 1,
                                   r->pred & 2 ? " invalid" : "");
        }
    } else if (v->after.present) {
        uint64_t hi = v->after.digits > 16 ? r->d.ext : 0;

        if (width == WIDTH_X) {
            hi &= 0xffff;
        }
        if (r->d.lo != v->after.lo || hi != v->after.hi) {
            return g_strdup_printf("result %016" PRIx64 "%016" PRIx64, hi,
                                   r->d.lo);
        }
        if ((r->d.tag & 15) != (unsigned)MAX(v->after.tag, 0)) {
            return g_strdup_printf("tag %x", r->d.tag & 15);
        }
    }
    if (v->flags >= 0 && flags != (unsigned)v->flags) {
        return g_strdup_printf("flags %02x", flags);
    }
    return NULL;
}

static char *run_once(Runner *r, const Vector *v, const InsnRow *row,
                      unsigned channel, unsigned isa, bool speculative)
{
    OneOp op = {
        .insn = v->insn, .imm = v->imm, .cond = v->cond,
        .s1 = register_value(&v->s1, row->src1),
        .s2 = register_value(&v->s2, row->src2),
        .s3 = register_value(&v->s3, row->src3),
        .before = register_value(&v->before, row->dst),
        .pfpfr = v->pfpfr, .fpcr = v->fpcr, .speculative = speculative,
    };
    bool traps = v->traps || (v->tagged && !speculative && v->nosm_traps);
    Exception wanted = v->traps ? v->exception : EXC_DIAG_OPERAND;
    OneResult result;

    if (!one_op_run(r->boxes[isa], &op, isa, channel, &result)) {
        return g_strdup("cannot be encoded");
    }
    if (result.exit != CPU_EXIT_EXCEPTION) {
        return g_strdup_printf("exit %d", result.exit);
    }
    if (result.exception != (traps ? wanted : EXC_NONE)) {
        return g_strdup_printf("exception %d", result.exception);
    }
    return traps ? NULL : compare_result(v, &result, row->dst);
}

static void count(Runner *r, const Vector *v, const char *engine, unsigned isa,
                  unsigned channel, bool speculative, char *difference)
{
    bool jit = strcmp(engine, "jit") == 0;

    if (!difference) {
        r->passed++;
        r->by_insn[v->insn].passed[jit]++;
        return;
    }
    r->by_insn[v->insn].failed++;
    if (r->failed++ < MAX_SHOWN || r->verbose) {
        printf("%s:%u: %s,%u%s (v%u, %s): %s, expected "
               "%016" PRIx64 "%016" PRIx64 " tag %d pred %d fl %d%s\n",
               v->file, v->line, insn_name(v->insn), channel,
               speculative ? ",sm" : "", isa, engine, difference, v->after.hi,
               v->after.lo, v->after.tag, v->pred, v->flags,
               v->traps ? " trap" : "");
    }
    g_free(difference);
}

static void run_isa(Runner *r, const Vector *v, unsigned isa)
{
    static const char *const names[] = {"interp", "jit"};

    for (unsigned channel = 0; channel < 6; channel++) {
        const InsnRow *row = one_op_row(v->insn, isa, channel);
        if (!row) {
            continue;
        }
        for (unsigned sm = v->tagged; sm < 2; sm--) {
            for (unsigned e = 0; e < 2; e++) {
                if (!r->engines[e]) {
                    continue;
                }
                box_use_engine(e ? ENGINE_JIT : ENGINE_INTERP);
                count(r, v, names[e], isa, channel, sm,
                      run_once(r, v, row, channel, isa, sm));
            }
        }
    }
}

static void run_vector(Runner *r, const Vector *v)
{
    unsigned first = v->isa_first;
    unsigned last = v->isa_last;

    while (last > first && !insn_channels(v->insn, last)) {
        last--;
    }
    if (!insn_channels(v->insn, first)) {
        printf("%s:%u: %s is not in ISA v%u\n", v->file, v->line,
               insn_name(v->insn), first);
        r->failed++;
        return;
    }
    for (unsigned isa = first; isa <= last; isa++) {
        if (r->all_isa || isa == first || isa == last) {
            run_isa(r, v, isa);
        }
    }
}

static void run_text(Runner *r, const char *path)
{
    FILE *f = fopen(path, "r");
    char *buffer = NULL;
    size_t size = 0;
    unsigned number = 0;
    bool tagged = false;

    if (!f) {
        perror(path);
        r->failed++;
        return;
    }
    while (getline(&buffer, &size, f) > 0) {
        number++;
        if (buffer[0] == '#') {
            tagged |= strstr(buffer, "| nosm |") != NULL;
            continue;
        }
        if (g_strchomp(buffer)[0] == 0) {
            continue;
        }
        Vector v = {.file = path, .line = number};
        if (!parse_line(buffer, tagged, &v)) {
            printf("%s:%u: not understood\n", path, number);
            r->failed++;
            continue;
        }
        run_vector(r, &v);
    }
    free(buffer);
    fclose(f);
}

/* ------------------------------------------------------------------------
 * Programs
 */

static void run_program(Runner *r, const char *path)
{
    for (unsigned e = 0; e < 2; e++) {
        if (!r->engines[e]) {
            continue;
        }
        box_use_engine(e ? ENGINE_JIT : ENGINE_INTERP);
        ElfRunResult result = elf_run_and_compare(path, r->all_isa,
                                                  e ? "jit" : "interp");
        r->passed += result.passed;
        r->failed += result.failed;
    }
}

static void usage(void)
{
    fprintf(stderr, "usage: isa-exec [--engine interp|jit|both] [--all-isa] "
                    "[--tested] [-v] FILE...\n");
    exit(2);
}

static void select_engines(Runner *r, const char *name)
{
    r->engines[0] = strcmp(name, "jit") != 0;
    r->engines[1] = strcmp(name, "interp") != 0;
    if (strcmp(name, "jit") != 0 && strcmp(name, "interp") != 0 &&
        strcmp(name, "both") != 0) {
        usage();
    }
}

int main(int argc, char **argv)
{
    static Runner r = {.engines = {true, true}};
    bool print_tested = false;
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--engine") == 0 && i + 1 < argc) {
            select_engines(&r, argv[++i]);
        } else if (strcmp(argv[i], "--all-isa") == 0) {
            r.all_isa = true;
        } else if (strcmp(argv[i], "--tested") == 0) {
            print_tested = true;
        } else if (strcmp(argv[i], "-v") == 0) {
            r.verbose = true;
        } else {
            usage();
        }
    }
    if (i == argc) {
        usage();
    }
    box_init();
    for (unsigned isa = ISA_MIN; isa <= ISA_MAX; isa++) {
        r.boxes[isa] = box_new(box_model_of_isa(isa));
        box_map(r.boxes[isa], ONE_OP_CODE, 4096);
    }
    for (; i < argc; i++) {
        if (g_str_has_suffix(argv[i], ".elf")) {
            run_program(&r, argv[i]);
        } else {
            run_text(&r, argv[i]);
        }
    }
    for (unsigned k = 1; print_tested && k < INSN_COUNT; k++) {
        if (r.by_insn[k].passed[0] && r.by_insn[k].passed[1] &&
            !r.by_insn[k].failed) {
            printf("tested %s\n", insn_name(k));
        }
    }
    printf("%u passed, %u failed\n", r.passed, r.failed);
    return r.failed != 0;
}
