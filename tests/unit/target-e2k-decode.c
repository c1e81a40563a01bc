/*
 * The decoder, the encoder and the disassembler against the table and against
 * each other: no two rows overlap, holes are illegal, nothing is read past the
 * bytes given, and random bundles survive text and bytes.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <glib.h>

#include "target-e2k/asm.h"
#include "target-e2k/decode-int.h"
#include "target-e2k/disas.h"
#include "target-e2k/encode.h"
#include "util/bytes.h"

/* One operation in one channel, with an extension half if ales is given. */
static unsigned one_op(uint8_t bytes[16], unsigned channel, uint32_t als,
                       int ales)
{
    uint32_t hs = 1 | 1u << (26 + channel) | 1 << 4;

    memset(bytes, 0, 16);
    stl_le_p(bytes + 4, als);
    if (ales >= 0) {
        hs |= 1 << (20 + channel);
        if (channel == 2 || channel == 5) {
            hs++; /* the shared word */
            stl_le_p(bytes + 8, (uint32_t)ales << 16 | ales);
        } else {
            stl_le_p(bytes + 8, (uint32_t)ales << 16);
        }
    }
    stl_le_p(bytes, hs);
    return 16;
}

static bool rows_overlap(const InsnRow *a, const InsnRow *b)
{
    uint32_t als = a->als_mask & b->als_mask;
    uint16_t ales = a->ales_mask & b->ales_mask;

    return a->has_ales == b->has_ales &&
           !((a->als_value ^ b->als_value) & als) &&
           !((a->ales_value ^ b->ales_value) & ales);
}

/*
 * Rows that share an encoding on purpose: told apart by MAS, aliases, or one
 * is a special case of the other, with more fixed bits.
 */
static bool may_overlap(const InsnRow *a, const InsnRow *b)
{
    uint32_t both = a->flags | b->flags;

    return (both & F_ALIAS) || ((both & F_AAUMAS) && (both & F_ARRAY)) ||
           (a->insn == INSN_aaurw && b->insn == INSN_aaurws) ||
           (b->insn == INSN_aaurw && a->insn == INSN_aaurws) ||
           ((a->als_mask & b->als_mask) == a->als_mask) !=
               ((a->als_mask & b->als_mask) == b->als_mask);
}

static void test_no_overlap(void)
{
    for (unsigned i = 0; i < INSN_ROWS; i++) {
        for (unsigned k = 0; k < i; k++) {
            const InsnRow *a = &insn_rows[i];
            const InsnRow *b = &insn_rows[k];

            for (unsigned isa = 0; isa < ISA_MAX; isa++) {
                if ((a->channels[isa] & b->channels[isa]) &&
                    rows_overlap(a, b) && !may_overlap(a, b)) {
                    g_test_message("%s and %s overlap in version %u",
                                   insn_name(a->insn), insn_name(b->insn),
                                   isa + 1);
                    g_test_fail();
                }
            }
        }
    }
}

/* Whether any row answers to the opcode in the channel. */
static bool table_has(unsigned isa, unsigned channel, uint32_t als, int ales)
{
    for (unsigned i = 0; i < INSN_ROWS; i++) {
        const InsnRow *row = &insn_rows[i];

        if ((row->channels[isa - 1] & (1 << channel)) &&
            row->has_ales == (ales >= 0) &&
            (als & row->als_mask) == row->als_value &&
            (ales < 0 || (ales & row->ales_mask) == row->ales_value)) {
            return true;
        }
    }
    return false;
}

/* Each opcode of each group: decoded exactly where the table has it. */
static void test_holes(void)
{
    for (unsigned isa = ISA_MIN; isa <= ISA_MAX; isa += 2) {
        for (unsigned n = 0; n < 6 * 128 * 26; n++) {
            unsigned channel = n % 6;
            unsigned opcode = n / 6 % 128;
            int ales = n / (6 * 128) ? ((n / (6 * 128) - 1) << 8 | 0xc0) : -1;
            uint32_t als = opcode << 24 | 0x00c08082;
            uint8_t bytes[16];
            Bundle bundle;

            if ((channel == 2 || channel == 5) && isa < 4 && ales >= 0) {
                continue;
            }
            unsigned size = one_op(bytes, channel, als, ales);
            DecodeError error = bundle_decode(&bundle, bytes, size, isa);

            if ((error == DECODE_BAD_OPERATION) ==
                table_has(isa, channel, als, ales)) {
                g_test_message("isa %u channel %u als %08x ales %04x: %s",
                               isa, channel, als, ales & 0xffff,
                               decode_error_text(error));
                g_test_fail();
            }
        }
    }
}

/* Every prefix of random bytes, each in a block of exactly its size. */
static void test_never_past_end(void)
{
    for (unsigned n = 0; n < 20000; n++) {
        unsigned size = g_test_rand_int_range(0, BUNDLE_MAX_BYTES + 1);
        g_autofree uint8_t *bytes = g_malloc(size ? size : 1);
        Bundle bundle;

        for (unsigned i = 0; i < size; i++) {
            bytes[i] = g_test_rand_int();
        }
        unsigned isa = g_test_rand_int_range(ISA_MIN, ISA_MAX + 1);
        DecodeError error = bundle_decode(&bundle, bytes, size, isa);

        g_assert_cmpstr(decode_error_text(error), !=, "unknown error");
        if (error == DECODE_OK || error >= DECODE_SOFT) {
            g_assert_cmpuint(bundle.length, <=, size);
        }
    }
}

static void test_truncated(void)
{
    static const uint8_t bytes[] = {
        0x11, 0, 0, 4, 0x83, 0x82, 0x81, 0x10, 0, 0, 0, 0, 0, 0, 0, 0,
    };
    Bundle bundle;

    for (unsigned size = 0; size < sizeof(bytes); size++) {
        g_autofree uint8_t *copy = g_malloc(size ? size : 1);

        memcpy(copy, bytes, size);

        g_assert_cmpint(bundle_decode(&bundle, copy, size, 5), ==,
                        DECODE_TRUNCATED);
    }
    g_assert_cmpint(bundle_decode(&bundle, bytes, sizeof(bytes), 5), ==,
                    DECODE_OK);
    g_assert_cmpint(bundle_decode(&bundle, bytes, sizeof(bytes), 0), ==,
                    DECODE_BAD_ISA);
    g_assert_cmpint(bundle_decode(&bundle, bytes, sizeof(bytes), 8), ==,
                    DECODE_BAD_ISA);
}

/* Fields of one bundle, by hand: the example of "isa/encoding.md" 1.5. */
static void test_fields(void)
{
    static const uint32_t words[8] = {
        0x24811133, 0xc0002000, 0xb08001e2, 0x3084d885,
        0x04860088, 0x30890000, 0x12345678, 0x04630000,
    };
    uint8_t bytes[32];
    Bundle b;

    for (unsigned i = 0; i < 8; i++) {
        stl_le_p(bytes + 4 * i, words[i]);
    }
    g_assert_cmpint(bundle_decode(&b, bytes, 32, 6), ==, DECODE_OK);
    g_assert_cmpuint(b.length, ==, 32);
    g_assert_cmpuint(b.nop, ==, 2);
    g_assert_cmpuint(b.alc_mask, ==, 0x09);
    g_assert_true(b.alc[0].speculative);
    g_assert_cmpuint(b.alc[0].insn, ==, INSN_fadds);
    g_assert_cmpuint(b.alc[0].src1.kind, ==, OPERAND_WINDOW);
    g_assert_cmpuint(b.alc[0].src2.kind, ==, OPERAND_BASED);
    g_assert_cmpuint(b.alc[0].src2.index, ==, 1);
    g_assert_cmpuint(b.alc[0].n_conds, ==, 1);
    g_assert_cmpuint(b.alc[0].conds[0].index, ==, 3);
    g_assert_cmpuint(b.alc[3].src2.literal, ==, LITERAL_32);
    g_assert_cmphex(b.alc[3].src2.value, ==, 0x12345678);
    g_assert_cmpuint(b.alc[3].src3.index, ==, 6);
    g_assert_true(b.mova[1].present);
    g_assert_cmpuint(b.mova[1].area, ==, 2);
    g_assert_cmpuint(b.mova[1].ind, ==, 4);
    g_assert_cmpuint(b.mova[1].dst.index, ==, 8);
}

static void test_literal_signs(void)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {
        { "addd,0 0x0, 0xf, %dr0", 15 },
        { "addd,0 0x0, _f16s,_lts0lo 0x8000, %dr0", 0xffffffffffff8000 },
        { "addd,0 0x0, _f16s,_lts1hi 0x7fff, %dr0", 0x7fff },
        { "addd,0 0x0, _f32s,_lts3 0x80000000, %dr0", 0xffffffff80000000 },
        { "addd,0 0x0, _f64,_lts1 0x8000000000000001, %dr0",
          0x8000000000000001 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t bytes[BUNDLE_MAX_BYTES];
        g_autoptr(GError) error = NULL;
        unsigned n = asm_bundle(bytes, cases[i].text, 0, 5, &error);
        Bundle b;

        g_assert_no_error(error);
        g_assert_cmpint(bundle_decode(&b, bytes, n, 5), ==, DECODE_OK);
        g_assert_cmphex(b.alc[0].src2.value, ==, cases[i].value);
    }
}

/* Random valid bundles: built from rows, so that they are valid often. */

static uint8_t random_register(bool even)
{
    static const uint8_t first[3] = { 0x00, 0x80, 0xe0 };
    static const uint8_t count[3] = { 128, 64, 32 };
    unsigned kind = g_test_rand_int_range(0, 3);
    uint8_t byte = first[kind] + g_test_rand_int_range(0, count[kind]);

    return even ? byte & ~1 : byte;
}

static void random_operands(AlcOp *op, const InsnRow *row)
{
    op->src1.byte = row->src1 == WIDTH_STATE
                        ? 0x83 : random_register(row->src1 == WIDTH_Q);
    op->src2.byte = g_test_rand_int_range(0, 4) || row->src2 == WIDTH_Q
                        ? random_register(row->src2 == WIDTH_Q)
                        : g_test_rand_int_range(0xc0, 0xd0);
    op->src3.byte = random_register(row->src3 == WIDTH_Q);
    op->dst.byte = row->dst == WIDTH_STATE
                       ? 0x83 : random_register(row->dst == WIDTH_Q);
    op->dst.index = op->dst.byte;
    op->imm8 = g_test_rand_int();
    if (row->flags & F_WBS) {
        op->imm8 &= 0x7f;
    }
    op->array.aad = g_test_rand_int_range(0, 32);
    op->array.ind = g_test_rand_int_range(0, 16);
    op->array.incr = g_test_rand_int_range(0, 8);
    op->array.am = g_test_rand_int_range(0, 2);
    op->array.incr = op->array.am ? op->array.incr : 0;
    op->array.reg = 0;
    if (row->flags & F_AAUREG) {
        op->array.ind = 0; /* %aadN has no index field in text */
    }
}

static Cond random_cond(void)
{
    return (Cond){
        .kind = g_test_rand_int_range(0, 2) ? COND_PRED : COND_PCNT,
        .index = g_test_rand_int_range(0, 32),
        .negate = g_test_rand_int_range(0, 2),
    };
}

static void random_channel(Bundle *b, unsigned channel, unsigned isa)
{
    AlcOp *op = &b->alc[channel];
    const InsnRow *row;

    do {
        row = &insn_rows[g_test_rand_int_range(0, INSN_ROWS)];
    } while (!(row->channels[isa - 1] & (1 << channel)) ||
             (row->flags & (F_PAIR | F_ALIAS | F_AAUMAS)) ||
             row->insn == INSN_ibranchd || row->insn == INSN_icalld);
    *op = (AlcOp){
        .present = true, .channel = channel, .row = row - insn_rows,
        .insn = row->insn, .speculative = g_test_rand_int_range(0, 2),
    };
    random_operands(op, row);
    if (g_test_rand_int_range(0, 3) == 0) {
        op->conds[0] = random_cond();
        op->n_conds = 1;
    }
    if (row->flags & F_MRGC) {
        op->merge = random_cond();
        op->has_merge = true;
        op->n_merges = 1;
    }
}

static void random_predicates(Bundle *b)
{
    b->n_pls = 1;
    b->elp[0].byte = 0x60 | g_test_rand_int_range(0, 32);
    b->elp[1].byte = g_test_rand_int_range(1, 32);
    b->clp[0] = (Clp){
        .opc = (uint8_t[]){ 0, 1, 3 }[g_test_rand_int_range(0, 3)],
        .neg0 = g_test_rand_int_range(0, 2), .p0 = 0, .p1 = 1, .write = true,
        .pdst = g_test_rand_int_range(0, 32),
    };
}

static void random_short_ops(Bundle *b)
{
    b->has_ss = true;
    b->ipd = g_test_rand_int_range(0, 4);
    b->ct_type = g_test_rand_int_range(1, 8);
    b->ct_psrc = b->ct_type == 1 || b->ct_type == 4 || b->ct_type == 5
                     ? 0 : g_test_rand_int_range(0, 32);
    b->ctop = g_test_rand_int_range(1, 4);
    b->alcf = g_test_rand_int_range(0, 2);
    b->abnt = g_test_rand_int_range(0, 2);
    b->abpf = g_test_rand_int_range(0, 2);
    b->abgd = g_test_rand_int_range(0, 2);
    b->eap = g_test_rand_int_range(0, 2);
}

/* Returns the length of a random bundle, 0 when it came out too long. */
static unsigned random_bundle(uint8_t *bytes, unsigned isa)
{
    Bundle b = { .nop = g_test_rand_int_range(0, 8),
                 .loop_mode = g_test_rand_int_range(0, 2) };
    bool cs0 = g_test_rand_int_range(0, 4) == 0;
    bool cs1 = g_test_rand_int_range(0, 4) == 0;

    for (unsigned c = 0; c < BUNDLE_CHANNELS; c++) {
        if (g_test_rand_int_range(0, 3)) {
            random_channel(&b, c, isa);
        }
    }
    if (g_test_rand_int_range(0, 2)) {
        random_short_ops(&b);
    }
    if (g_test_rand_int_range(0, 2)) {
        random_predicates(&b);
    }
    b.cs0 = 0x40000000u * g_test_rand_int_range(1, 4) |
            g_test_rand_int_range(0, 1 << 28);
    b.cs1 = 0x20000000 | g_test_rand_int_range(0, 256);
    return bundle_pack(&b, cs0, cs1) ? bundle_encode(&b, isa, bytes, NULL)
                                     : 0;
}

static void check_round_trip(const uint8_t *bytes, unsigned length,
                             unsigned isa)
{
    DisasOptions options = { .isa = isa };
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    uint8_t again[BUNDLE_MAX_BYTES];
    Bundle a, b;

    g_assert_cmpint(bundle_decode(&a, bytes, length, isa), !=,
                    DECODE_BAD_OPERATION);
    bundle_disassemble(text, &a, 0x1000, &options);

    unsigned n = asm_bundle(again, text->str, 0x1000, isa, &error);

    if (n != length || memcmp(again, bytes, n) != 0) {
        g_test_message("isa %u: %s: %s", isa, text->str,
                       error ? error->message : "other bytes");
        g_test_fail();
        return;
    }
    bundle_decode(&b, again, n, isa);
    g_assert_cmpmem(&a, sizeof(a), &b, sizeof(b));
}

static void test_round_trip(void)
{
    unsigned checked = 0;

    for (unsigned n = 0; n < 20000; n++) {
        unsigned isa = g_test_rand_int_range(ISA_MIN, ISA_MAX + 1);
        uint8_t bytes[BUNDLE_MAX_BYTES];
        unsigned length = random_bundle(bytes, isa);
        Bundle b;

        if (!length) {
            continue;
        }
        DecodeError error = bundle_decode(&b, bytes, length, isa);

        if (error && error < DECODE_SOFT) {
            g_test_message("%s", decode_error_text(error));
            g_test_fail();
            continue;
        }
        check_round_trip(bytes, length, isa);
        checked++;
    }
    g_assert_cmpuint(checked, >, 10000);
}

/*
 * The bytes end where a page that cannot be read begins: an access past them
 * would end the test.  Random headers, and valid bundles cut short.
 */
static void test_guard_page(void)
{
    size_t page = sysconf(_SC_PAGESIZE);
    uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned decoded = 0;

    g_assert_true(pages != MAP_FAILED);
    g_assert_cmpint(mprotect(pages + page, page, PROT_NONE), ==, 0);
    for (unsigned n = 0; n < 100000; n++) {
        unsigned isa = g_test_rand_int_range(ISA_MIN, ISA_MAX + 1);
        uint8_t bytes[BUNDLE_MAX_BYTES];
        unsigned length = n % 2 ? random_bundle(bytes, isa) : 0;
        Bundle bundle;
        ApbInsn apb;

        if (!length) {
            for (length = 0; length < BUNDLE_MAX_BYTES; length++) {
                bytes[length] = g_test_rand_int();
            }
        }
        unsigned size = g_test_rand_int_range(0, 2)
                            ? length : g_test_rand_int_range(0, length + 1);
        uint8_t *at = pages + page - size;

        memcpy(at, bytes, size);
        decoded += bundle_decode(&bundle, at, size, isa) == DECODE_OK;
        apb_decode(&apb, at, size);
    }
    g_assert_cmpuint(decoded, >, 1000);
    munmap(pages, 2 * page);
}

/* Random array-prefetch instructions. */
static void test_apb_round_trip(void)
{
    for (unsigned n = 0; n < 2000; n++) {
        uint8_t bytes[APB_BYTES];
        uint8_t again[APB_BYTES];
        ApbInsn insn;

        for (unsigned i = 0; i < APB_BYTES; i++) {
            bytes[i] = g_test_rand_int();
        }
        g_assert_false(apb_decode(&insn, bytes, APB_BYTES - 1));
        g_assert_true(apb_decode(&insn, bytes, APB_BYTES));
        if (insn.half[0].secondary || insn.half[1].secondary) {
            continue; /* has no use for bit 15 */
        }
        apb_encode(&insn, again);
        g_assert_cmpmem(bytes, APB_BYTES, again, APB_BYTES);
    }
}

static void test_names(void)
{
    g_assert_cmpint(insn_by_name("addd"), ==, INSN_addd);
    g_assert_cmpint(insn_by_name("addw"), ==, INSN_adds);
    g_assert_cmpint(insn_by_name("no_such_op"), ==, INSN_NONE);
    for (unsigned i = 1; i < INSN_COUNT; i++) {
        g_assert_cmpint(insn_by_name(insn_name(i)), ==, i);
        g_assert_cmpint(insn_rows[insn_infos[i].row].insn, ==, i);
        g_assert_cmpint(insn_sem(i), <, SEM_COUNT);
    }
    g_assert_cmpuint(insn_channels(INSN_addd, 1), ==, 0x3f);
    g_assert_cmpuint(insn_channels(INSN_fmas, 5), ==, 0);
    g_assert_cmpuint(insn_channels(INSN_addd, 0), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/target-e2k/decode/no-overlap", test_no_overlap);
    g_test_add_func("/target-e2k/decode/holes", test_holes);
    g_test_add_func("/target-e2k/decode/past-end", test_never_past_end);
    g_test_add_func("/target-e2k/decode/guard-page", test_guard_page);
    g_test_add_func("/target-e2k/decode/truncated", test_truncated);
    g_test_add_func("/target-e2k/decode/fields", test_fields);
    g_test_add_func("/target-e2k/decode/literals", test_literal_signs);
    g_test_add_func("/target-e2k/decode/round-trip", test_round_trip);
    g_test_add_func("/target-e2k/decode/apb", test_apb_round_trip);
    g_test_add_func("/target-e2k/decode/names", test_names);
    return g_test_run();
}
