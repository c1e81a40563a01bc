/*
 * The tables made from insns.def, and look-up by name.
 *
 * Everything is constant except the name index, which is built once on first
 * use and read-only afterwards.
 */
#include "target-e2k/insn.h"

#include <glib.h>

#define ALS(mask, value) mask, value
#define NO_ALES false, 0, 0
#define ALES(mask, value) true, mask, value
#define CH(v1, v2, v3, v4, v5, v6, v7) \
    { 0##v1, 0##v2, 0##v3, 0##v4, 0##v5, 0##v6, 0##v7 }
#define OPS(s1, s2, s3, d) WIDTH_##s1, WIDTH_##s2, WIDTH_##s3, WIDTH_##d

const InsnRow insn_rows[INSN_ROWS] = {
#define INSN(id, name, alt, sem, format, als, ales, channels, operands, \
             print, flags)                                              \
    { INSN_##id, SEM_##sem, format, als, ales, channels, operands, print, \
      flags },
#define ALSO INSN
#include "target-e2k/insns.def"
#undef INSN
#undef ALSO
};

/* Row numbers: ROW_OF_<id> is the first row of an operation. */
enum {
#define INSN(id, ...) ROW_OF_##id,
#define ALSO(id, name, alt, sem, format, als, ales, channels, ...) \
    ROW_SKIPPED_AFTER_LINE(__LINE__),
#define ROW_SKIPPED_AFTER_LINE(line) ROW_SKIPPED_2(line)
#define ROW_SKIPPED_2(line) ROW_SKIPPED_##line
#include "target-e2k/insns.def"
#undef INSN
#undef ALSO
};

const InsnInfo insn_infos[INSN_COUNT] = {
    [INSN_NONE] = { "(none)", NULL, SEM_NONE, 0 },
#define INSN(id, name, alt, sem, ...) \
    [INSN_##id] = { name, alt, SEM_##sem, ROW_OF_##id },
#define ALSO(...)
#include "target-e2k/insns.def"
#undef INSN
#undef ALSO
};

static const char *const sem_names[SEM_COUNT] = {
    [SEM_NONE] = "(none)",
#define SEM(name) [SEM_##name] = #name,
#include "target-e2k/sems.def"
#undef SEM
};

const char *sem_name(SemFamily sem)
{
    return sem < SEM_COUNT ? sem_names[sem] : "(unknown)";
}

static GHashTable *build_name_index(void)
{
    GHashTable *index = g_hash_table_new(g_str_hash, g_str_equal);

    for (unsigned i = 1; i < INSN_COUNT; i++) {
        if (insn_infos[i].alt) {
            g_hash_table_insert(index, (gpointer)insn_infos[i].alt,
                                GUINT_TO_POINTER(i));
        }
    }
    /* Classic names last: they win where the two sets disagree. */
    for (unsigned i = 1; i < INSN_COUNT; i++) {
        g_hash_table_insert(index, (gpointer)insn_infos[i].name,
                            GUINT_TO_POINTER(i));
    }
    return index;
}

InsnId insn_by_name(const char *name)
{
    static GHashTable *index;

    if (g_once_init_enter(&index)) {
        g_once_init_leave(&index, build_name_index());
    }
    return (InsnId)GPOINTER_TO_UINT(g_hash_table_lookup(index, name));
}

unsigned insn_channels(InsnId insn, unsigned isa)
{
    unsigned mask = 0;

    if (isa < ISA_MIN || isa > ISA_MAX) {
        return 0;
    }
    for (unsigned i = insn_infos[insn].row;
         i < INSN_ROWS; i++) {
        if (insn_rows[i].insn == insn) {
            mask |= insn_rows[i].channels[isa - 1];
        }
    }
    return mask;
}
