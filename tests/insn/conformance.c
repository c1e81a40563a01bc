/*
 * Runs the rule files of tests/insn/rules: small programs in assembly with
 * their initial and expected state, in both engines and on every ISA version
 * they name.
 *
 *   conformance [--tested] FILE...
 *
 * --tested prints "tested NAME" for each operation that some case is about:
 * the case passes in both engines and fails when the operation is left out.
 *
 *   # comment: the rule, with its section of the architecture's description
 *   case what this shows
 *   isa 3-6
 *   set r0=5 r1=9:5 p2=1 p3=? lsr=0x2000000003 m20000=0x1122 wsz=8
 *   code
 *       addd,0 %dr0, 1, %dr2 ; addd,1 %dr2, 0, %dr3
 *       hex 0000000000000000
 *   expect r2=6 r3=0
 *
 * Each line of code is one bundle, from address 0x10000 on; @N stands for the
 * address of bundle N.  Names: rN gN (value[:tag]; the tag defaults to 0),
 * xN (extension of rN), pN (0, 1, ? for invalid), mADDRESS (8 bytes), ctprN,
 * and lsr ilcr br bgr pfpfr fpcr fpsr upsr psr usd size wsz psize dbl.  expect
 * also takes exc=NAME@N: the exception, raised in bundle N, with addr= (the
 * address of a data fault) and channels= (which raised it); or exit=syscall;
 * without either the program must run to its end.  Memory is mapped at 0x20000 (one
 * page) and 0x30000 (one page).
 *
 * A line "each NAME..." repeats the case with every name in place of $.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target-e2k/asm.h"
#include "target-e2k/encode.h"
#include "target-e2k/interp.h"
#include "tests/insn/box.h"
#include "util/bytes.h"

enum {
    CODE = 0x10000,
    DATA1 = 0x20000,
    DATA2 = 0x30000,
    PAGE = 4096,
    BUNDLES_MAX = 64,
    CASE_SECONDS = 10,
};

typedef struct Case {
    const char *file;
    unsigned line;
    char *name;
    unsigned isa_first, isa_last;
    GPtrArray *set;
    GPtrArray *code;
    GPtrArray *expect;
    GPtrArray *each;   /* words to put for $, or none */
    const char *word;  /* the one to put now */
} Case;

typedef struct Program {
    uint8_t bytes[BUNDLES_MAX * 64];
    uint64_t address[BUNDLES_MAX + 1];
    unsigned n;
} Program;

static Box *boxes[ISA_MAX + 1];
static unsigned n_passed, n_failed;
static bool print_tested;
static E2kCpu *volatile running; /* for the alarm */
static bool tested[INSN_COUNT];

static void complain(const Case *c, unsigned isa, const char *engine,
                     const char *what)
{
    printf("%s:%u: %s%s%s (v%u, %s): %s\n", c->file, c->line, c->name,
           c->word ? ": " : "", c->word ? c->word : "", isa, engine, what);
}

/* ------------------------------------------------------------------------
 * Code
 */

/* Replaces @N by the address of bundle N. */
static char *with_addresses(const char *text, const Program *p, unsigned n)
{
    GString *out = g_string_new(NULL);

    while (*text) {
        if (text[0] == '@' && g_ascii_isdigit(text[1])) {
            char *end;
            unsigned i = strtoul(text + 1, &end, 10);
            g_string_append_printf(out, "0x%" PRIx64,
                                   i <= n ? p->address[i] : CODE);
            text = end;
        } else {
            g_string_append_c(out, *text++);
        }
    }
    return g_string_free(out, FALSE);
}

static char *with_word(const char *text, const char *word)
{
    g_auto(GStrv) parts = g_strsplit(text, "$", -1);

    return g_strjoinv(word ? word : "$", parts);
}

static unsigned hex_bytes(const char *text, uint8_t bytes[64])
{
    unsigned n = 0;

    while (g_ascii_isxdigit(text[0]) && g_ascii_isxdigit(text[1]) && n < 64) {
        bytes[n++] = g_ascii_xdigit_value(text[0]) * 16 +
                     g_ascii_xdigit_value(text[1]);
        text += 2;
    }
    return n;
}

static unsigned assemble_line(const char *text, uint64_t address, unsigned isa,
                              uint8_t bytes[64], GError **error)
{
    if (g_str_has_prefix(text, "hex ")) {
        return hex_bytes(text + 4, bytes);
    }
    return asm_bundle(bytes, text, address, isa, error);
}

/*
 * Until the addresses stand: the first pass takes them all for the start, and
 * the size of a literal may change once.
 */
static bool assemble(const Case *c, unsigned isa, Program *p, char **why)
{
    memset(p, 0, sizeof(*p));
    for (unsigned i = 0; i <= BUNDLES_MAX; i++) {
        p->address[i] = CODE;
    }
    for (unsigned pass = 0; pass < 3; pass++) {
        uint64_t at = CODE;
        p->n = c->code->len;
        for (unsigned i = 0; i < p->n; i++) {
            g_autoptr(GError) error = NULL;
            g_autofree char *line =
                with_word(g_ptr_array_index(c->code, i), c->word);
            g_autofree char *text = with_addresses(line, p, p->n);
            p->address[i] = at;
            unsigned length = assemble_line(text, at, isa,
                                            p->bytes + (at - CODE), &error);
            if (!length) {
                *why = g_strdup_printf("bundle %u: %s", i,
                                       error ? error->message : "no bytes");
                return false;
            }
            at += length;
        }
        p->address[p->n] = at;
    }
    return true;
}

/* ------------------------------------------------------------------------
 * State
 */

typedef struct Item {
    char kind[16];
    uint64_t index; /* of r, g, x, p, m, ctpr */
    uint64_t value;
    unsigned tag;
    bool invalid;
    char *text;     /* after the equals sign */
} Item;

static bool parse_item(char *word, Item *item)
{
    char *equals = strchr(word, '=');
    unsigned n = 0;

    if (!equals) {
        return false;
    }
    memset(item, 0, sizeof(*item));
    item->text = equals + 1;
    while (g_ascii_isalpha(word[n]) && n < sizeof(item->kind) - 1) {
        item->kind[n] = word[n];
        n++;
    }
    item->index = strtoull(word + n, NULL, strcmp(item->kind, "m") ? 10 : 16);
    item->invalid = *item->text == '?';
    const char *colon = strchr(item->text, ':');
    item->value = strtoull(item->text, NULL, 0);
    item->tag = colon ? strtoul(colon + 1, NULL, 0) : 0;
    return true;
}

/* Plain 64-bit state by name, to set or to look at; NULL: unknown. */
static bool get_named(Box *box, const Item *item, uint64_t *value)
{
    E2kCpu *cpu = box->cpu;
    const char *k = item->kind;

    if (strcmp(k, "lsr") == 0) {
        *value = cpu_get_lsr(cpu);
    } else if (strcmp(k, "ilcr") == 0) {
        *value = cpu_get_ilcr(cpu);
    } else if (strcmp(k, "br") == 0) {
        *value = cpu_get_br(cpu);
    } else if (strcmp(k, "bgr") == 0) {
        *value = cpu->bgr_val | cpu->bgr_cur << 8;
    } else if (strcmp(k, "psr") == 0) {
        *value = cpu->psr;
    } else if (strcmp(k, "psize") == 0) {
        *value = cpu->psize;
    } else if (strcmp(k, "addr") == 0) {
        *value = cpu->fault.address;
    } else if (strcmp(k, "channels") == 0) {
        *value = cpu->exception_channels;
    } else if (strcmp(k, "pfpfr") == 0) {
        *value = cpu->pfpfr;
    } else if (strcmp(k, "fpcr") == 0) {
        *value = cpu->fpcr;
    } else if (strcmp(k, "fpsr") == 0) {
        *value = cpu->fpsr;
    } else if (strcmp(k, "upsr") == 0) {
        *value = cpu->upsr;
    } else if (strcmp(k, "usd") == 0) {
        *value = cpu->usd_base;
    } else if (strcmp(k, "size") == 0) {
        *value = cpu->usd_size;
    } else if (strcmp(k, "wsz") == 0) {
        *value = cpu->wsz;
    } else if (strcmp(k, "dbl") == 0) {
        *value = cpu->wdbl;
    } else if (strcmp(k, "ctpr") == 0) {
        *value = cpu->ctpr[(item->index - 1) % 3];
    } else if (strcmp(k, "x") == 0) {
        *value = cpu->win[item->index & 63].ext;
    } else if (strcmp(k, "m") == 0) {
        memcpy(value, box_at(box, item->index), 8);
    } else {
        return false;
    }
    return true;
}

static bool set_item(Box *box, const Item *item)
{
    E2kCpu *cpu = box->cpu;
    const char *k = item->kind;
    uint64_t v = item->value;

    if (strcmp(k, "r") == 0) {
        cpu->win[item->index & 63].lo = v;
        cpu->win_tags[item->index & 63] = item->tag;
    } else if (strcmp(k, "g") == 0) {
        cpu->g[item->index & 31].lo = v;
        cpu->g_tags[item->index & 31] = item->tag;
    } else if (strcmp(k, "x") == 0) {
        cpu->win[item->index & 63].ext = v;
    } else if (strcmp(k, "p") == 0) {
        uint64_t bits = item->invalid ? 2 : v & 1;
        cpu->pf |= bits << 2 * (item->index & 31);
    } else if (strcmp(k, "m") == 0) {
        memcpy(box_at(box, item->index), &v, 8);
    } else if (strcmp(k, "lsr") == 0) {
        cpu_set_lsr(cpu, v);
    } else if (strcmp(k, "ilcr") == 0) {
        cpu_set_ilcr(cpu, v);
    } else if (strcmp(k, "br") == 0) {
        cpu_set_br(cpu, v);
    } else if (strcmp(k, "bgr") == 0) {
        cpu->bgr_val = v;
        cpu->bgr_cur = v >> 8 & 7;
    } else if (strcmp(k, "psr") == 0) {
        cpu->psr = v;
    } else if (strcmp(k, "psize") == 0) {
        cpu->psize = v;
    } else if (strcmp(k, "pfpfr") == 0) {
        cpu->pfpfr = v;
    } else if (strcmp(k, "fpcr") == 0) {
        cpu->fpcr = v;
    } else if (strcmp(k, "upsr") == 0) {
        cpu->upsr = v;
    } else if (strcmp(k, "usd") == 0) {
        cpu->usd_base = v;
    } else if (strcmp(k, "size") == 0) {
        cpu->usd_size = v;
    } else if (strcmp(k, "wsz") == 0) {
        cpu->wsz = v;
        cpu->psize = MIN(cpu->psize, v);
    } else if (strcmp(k, "dbl") == 0) {
        cpu->wdbl = v;
    } else if (strcmp(k, "ctpr") == 0) {
        cpu->ctpr[(item->index - 1) % 3] = v;
    } else {
        return false;
    }
    return true;
}

/* What is wrong with one expectation, or NULL. */
static char *check_item(Box *box, const Item *item)
{
    const E2kCpu *cpu = box->cpu;
    uint64_t got;

    if (strcmp(item->kind, "p") == 0) {
        unsigned bits = cpu->pf >> 2 * (item->index & 31) & 3;
        if (item->invalid ? !(bits & 2) : bits != (item->value & 1)) {
            return g_strdup_printf("%%pred%" PRIu64 " is %u%s", item->index,
                                   bits & 1, bits & 2 ? ", invalid" : "");
        }
        return NULL;
    }
    if (strcmp(item->kind, "r") == 0 || strcmp(item->kind, "g") == 0) {
        bool global = item->kind[0] == 'g';
        unsigned i = item->index & (global ? 31 : 63);
        got = global ? cpu->g[i].lo : cpu->win[i].lo;
        unsigned tag = (global ? cpu->g_tags[i] : cpu->win_tags[i]) & 15;
        if (got != item->value || tag != item->tag) {
            return g_strdup_printf("%%%s%u is 0x%" PRIx64 " tag %x",
                                   item->kind, i, got, tag);
        }
        return NULL;
    }
    if (!get_named(box, item, &got)) {
        return g_strdup_printf("nothing is called '%s'", item->kind);
    }
    return got == item->value
               ? NULL
               : g_strdup_printf("%s%.0" PRIu64 " is 0x%" PRIx64, item->kind,
                                 item->index, got);
}

static const char *const exception_names[64] = {
    [EXC_ILLEGAL_OPCODE] = "illegal_opcode",
    [EXC_PRIV_ACTION] = "priv_action",
    [EXC_FP_DISABLED] = "fp_disabled",
    [EXC_DIAG_CT_COND] = "diag_ct_cond",
    [EXC_DIAG_INSTR_ADDR] = "diag_instr_addr",
    [EXC_ILLEGAL_INSTR_ADDR] = "illegal_instr_addr",
    [EXC_WINDOW_BOUNDS] = "window_bounds",
    [EXC_USER_STACK_BOUNDS] = "user_stack_bounds",
    [EXC_PROC_STACK_BOUNDS] = "proc_stack_bounds",
    [EXC_CHAIN_STACK_BOUNDS] = "chain_stack_bounds",
    [EXC_DIAG_COND] = "diag_cond",
    [EXC_DIAG_OPERAND] = "diag_operand",
    [EXC_ILLEGAL_OPERAND] = "illegal_operand",
    [EXC_ARRAY_BOUNDS] = "array_bounds",
    [EXC_ADDR_NOT_ALIGNED] = "addr_not_aligned",
    [EXC_INSTR_PAGE_MISS] = "instr_page_miss",
    [EXC_INSTR_PAGE_PROT] = "instr_page_prot",
    [EXC_AINSTR_PAGE_MISS] = "ainstr_page_miss",
    [EXC_AINSTR_PAGE_PROT] = "ainstr_page_prot",
    [EXC_SOFTWARE_TRAP] = "software_trap",
    [EXC_DATA_PAGE] = "data_page",
    [EXC_DIV] = "div",
    [EXC_FP] = "fp",
};

/* "NAME@N": the exception NAME, with the CPU at bundle N. */
static char *check_exception(Box *box, const Program *p, CpuExit exit,
                             const char *wanted)
{
    const E2kCpu *cpu = box->cpu;
    const char *at = strchr(wanted, '@');
    size_t length = at ? (size_t)(at - wanted) : strlen(wanted);
    const char *name = exit == CPU_EXIT_EXCEPTION
                           ? exception_names[cpu->exception & 63] : NULL;
    unsigned bundle = at ? atoi(at + 1) : 0;

    if (!name || strlen(name) != length || strncmp(name, wanted, length) ||
        (at && (bundle > p->n || cpu->ip != p->address[bundle]))) {
        return g_strdup_printf("exit %d, exception %s (%d) at +0x%" PRIx64,
                               exit, name ? name : "?", cpu->exception,
                               cpu->ip - CODE);
    }
    return NULL;
}

static char *check_end(Box *box, const Program *p, CpuExit exit)
{
    const E2kCpu *cpu = box->cpu;

    if (exit == CPU_EXIT_EXCEPTION && cpu->ip == p->address[p->n]) {
        return NULL;
    }
    return g_strdup_printf("stopped at +0x%" PRIx64 ", exit %d, exception %d",
                           cpu->ip - CODE, exit, cpu->exception);
}

/* ------------------------------------------------------------------------
 * Cases
 */

static char *set_up(Box *box, const Case *c, const Program *p)
{
    box_reset(box, 8);
    box->cpu->usd_base = DATA2 + PAGE;
    box->cpu->usd_size = 256;
    memset(box_at(box, DATA1), 0, PAGE);
    memset(box_at(box, DATA2), 0, PAGE);
    memcpy(box_at(box, CODE), p->bytes, p->address[p->n] - CODE);
    memset(box_at(box, p->address[p->n]), 0xff, 64);
    engine_invalidate(CODE, 2 * PAGE);
    for (unsigned i = 0; i < c->set->len; i++) {
        g_autofree char *word =
            with_addresses(g_ptr_array_index(c->set, i), p, p->n);
        Item item;
        if (!parse_item(word, &item) || !set_item(box, &item)) {
            return g_strdup_printf("cannot set '%s'", word);
        }
    }
    box->cpu->ip = CODE;
    return NULL;
}

/* A program without an end is stopped; the case then fails. */
static void on_alarm(int sig)
{
    if (running) {
        cpu_request_stop(running);
    }
}

static char *run_case(Box *box, const Case *c, const Program *p)
{
    char *why = set_up(box, c, p);
    bool ended = false;

    if (why) {
        return why;
    }
    running = box->cpu;
    alarm(CASE_SECONDS);
    CpuExit exit = cpu_run(box->cpu);
    alarm(0);
    for (unsigned i = 0; i < c->expect->len && !why; i++) {
        g_autofree char *word =
            with_addresses(g_ptr_array_index(c->expect, i), p, 0);
        g_autofree char *plain = g_strdup(g_ptr_array_index(c->expect, i));
        Item item;
        if (!parse_item(word, &item)) {
            return g_strdup_printf("cannot read '%s'", word);
        }
        if (strcmp(item.kind, "exc") == 0) {
            ended = true;
            why = check_exception(box, p, exit, plain + strlen("exc="));
        } else if (strcmp(item.kind, "exit") == 0) {
            ended = true;
            why = exit == CPU_EXIT_SYSCALL
                      ? NULL : g_strdup_printf("exit %d", exit);
        } else {
            why = check_item(box, &item);
        }
    }
    return why || ended ? why : check_end(box, p, exit);
}

/* ------------------------------------------------------------------------
 * Which operations a case is about
 */

/* Writes the bundle without the operation, with filler in its place. */
static bool leave_out(uint8_t *at, Bundle *b, unsigned channel, unsigned isa)
{
    uint8_t bytes[BUNDLE_MAX_BYTES];
    unsigned length = b->length;
    unsigned tail = 4 * (b->n_lts + b->n_pls + b->n_cds);

    for (unsigned i = channel; i < BUNDLE_CHANNELS; i++) {
        if (i == channel || (b->alc[i].pair_second &&
                             b->alc[i].insn == b->alc[channel].insn)) {
            b->alc[i].present = false;
            b->alc_mask &= ~(1u << i);
        }
    }
    unsigned shorter = bundle_encode(b, isa, bytes, NULL);

    if (!shorter || shorter > length || tail > shorter) {
        return false;
    }
    memset(at, 0, length);
    memcpy(at, bytes, shorter - tail);
    memcpy(at + length - tail, bytes + shorter - tail, tail);
    stl_le_p(at, (ldl_le_p(at) & ~(7u << 4)) | (length / 8 - 1) << 4);
    return true;
}

/* Whether the case fails without the operation of a channel of bundle i. */
static bool notices(const Case *c, const Program *p, unsigned isa, unsigned i,
                    unsigned channel)
{
    Program changed = *p;
    unsigned offset = p->address[i] - CODE;
    Bundle b;

    bundle_decode(&b, p->bytes + offset, p->address[i + 1] - p->address[i],
                  isa);
    if (!leave_out(changed.bytes + offset, &b, channel, isa)) {
        return false;
    }
    g_autofree char *why = run_case(boxes[isa], c, &changed);

    return why != NULL;
}

static void find_tested(const Case *c, const Program *p, unsigned isa)
{
    box_use_engine(ENGINE_INTERP);
    for (unsigned i = 0; i < p->n; i++) {
        unsigned size = p->address[i + 1] - p->address[i];
        Bundle b;
        DecodeError error = bundle_decode(&b, p->bytes + p->address[i] - CODE,
                                          size, isa);

        for (unsigned k = 0; k < BUNDLE_CHANNELS && !error; k++) {
            const AlcOp *op = &b.alc[k];

            if (op->present && !op->pair_second && !tested[op->insn] &&
                interp_has(op->insn)) {
                tested[op->insn] = notices(c, p, isa, i, k);
            }
        }
    }
}

static void run_versions(const Case *c)
{
    static const char *const names[] = {"interp", "jit"};
    unsigned failed_before = n_failed;
    Program first;

    for (unsigned isa = c->isa_first; isa <= c->isa_last; isa++) {
        Program p;
        char *why = NULL;
        if (!assemble(c, isa, &p, &why)) {
            complain(c, isa, "assembler", why);
            g_free(why);
            n_failed++;
            continue;
        }
        if (isa == c->isa_first) {
            first = p;
        }
        for (unsigned e = 0; e < 2; e++) {
            box_use_engine(e ? ENGINE_JIT : ENGINE_INTERP);
            why = run_case(boxes[isa], c, &p);
            if (why) {
                complain(c, isa, names[e], why);
                g_free(why);
                n_failed++;
            } else {
                n_passed++;
            }
        }
    }
    if (print_tested && n_failed == failed_before) {
        find_tested(c, &first, c->isa_first);
    }
}

static void run_everywhere(Case *c)
{
    for (unsigned i = 0; i < c->each->len; i++) {
        c->word = g_ptr_array_index(c->each, i);
        run_versions(c);
    }
    c->word = NULL;
    if (!c->each->len) {
        run_versions(c);
    }
}

static void add_words(GPtrArray *to, const char *text)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \t", -1);

    for (char **w = words; *w; w++) {
        if (**w) {
            g_ptr_array_add(to, g_strdup(*w));
        }
    }
}

static void start_case(Case *c, const char *name, unsigned line)
{
    c->line = line;
    g_free(c->name);
    c->name = g_strdup(name);
    g_ptr_array_set_size(c->set, 0);
    g_ptr_array_set_size(c->code, 0);
    g_ptr_array_set_size(c->expect, 0);
    g_ptr_array_set_size(c->each, 0);
}

/* One line; false when it cannot be understood. */
static bool take_line(Case *c, const char *text, unsigned line, bool *in_code)
{
    bool keyword = !g_ascii_isspace(text[0]);
    const char *rest = strchr(text, ' ');

    rest = rest ? rest + 1 : "";
    if (!keyword) {
        g_autofree char *bundle = g_strstrip(g_strdup(text));
        if (!*in_code || c->code->len == BUNDLES_MAX) {
            return false;
        }
        g_ptr_array_add(c->code, g_steal_pointer(&bundle));
        return true;
    }
    *in_code = g_str_has_prefix(text, "code");
    if (g_str_has_prefix(text, "case ")) {
        if (c->name) {
            run_everywhere(c);
        }
        start_case(c, rest, line);
    } else if (g_str_has_prefix(text, "isa ")) {
        int n = sscanf(rest, "%u-%u", &c->isa_first, &c->isa_last);
        c->isa_last = n == 1 ? c->isa_first : c->isa_last;
        return n >= 1 && c->isa_first >= 1 && c->isa_last <= ISA_MAX;
    } else if (g_str_has_prefix(text, "set ")) {
        add_words(c->set, rest);
    } else if (g_str_has_prefix(text, "each ")) {
        add_words(c->each, rest);
    } else if (g_str_has_prefix(text, "expect")) {
        add_words(c->expect, rest);
    } else {
        return *in_code;
    }
    return true;
}

static void run_file(const char *path)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    bool in_code = false;
    Case c = {.file = path, .isa_first = 2, .isa_last = 6,
              .set = g_ptr_array_new_with_free_func(g_free),
              .code = g_ptr_array_new_with_free_func(g_free),
              .expect = g_ptr_array_new_with_free_func(g_free),
              .each = g_ptr_array_new_with_free_func(g_free)};

    if (!g_file_get_contents(path, &text, NULL, &error)) {
        printf("%s\n", error->message);
        n_failed++;
        return;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        if (lines[i][0] == '#' || *g_strchomp(lines[i]) == 0) {
            continue;
        }
        if (!take_line(&c, lines[i], i + 1, &in_code)) {
            printf("%s:%u: not understood: %s\n", path, i + 1, lines[i]);
            n_failed++;
        }
    }
    if (c.name) {
        run_everywhere(&c);
    }
    g_free(c.name);
    g_ptr_array_unref(c.set);
    g_ptr_array_unref(c.code);
    g_ptr_array_unref(c.expect);
    g_ptr_array_unref(c.each);
}

int main(int argc, char **argv)
{
    int start = 1;

    if (argc > 1 && strcmp(argv[1], "--tested") == 0) {
        print_tested = true;
        start = 2;
    }
    if (start >= argc) {
        fprintf(stderr, "usage: conformance [--tested] FILE...\n");
        return 2;
    }
    signal(SIGALRM, on_alarm);
    box_init();
    for (unsigned isa = ISA_MIN; isa <= ISA_MAX; isa++) {
        boxes[isa] = box_new(box_model_of_isa(isa));
        box_map(boxes[isa], CODE, 2 * PAGE);
        box_map(boxes[isa], DATA1, PAGE);
        box_map(boxes[isa], DATA2, PAGE);
    }
    for (int i = start; i < argc; i++) {
        run_file(argv[i]);
    }
    for (unsigned i = 1; i < INSN_COUNT; i++) {
        if (tested[i]) {
            printf("tested %s\n", insn_name(i));
        }
    }
    printf("%u passed, %u failed\n", n_passed, n_failed);
    return n_failed != 0 || n_passed == 0;
}
