/*
 * -d interp: why the interpreter executed bundles while the translator runs,
 * and which ones most often.
 *
 * One table for the process, under a lock: who asks for it accepts the cost.
 */
#include "target-e2k/jit-count.h"

#include <inttypes.h>
#include <stdlib.h>

#include "target-e2k/disas.h"
#include "util/log.h"

enum { BUNDLES_SHOWN = 20 };

static const char *const reason_names[] = {
    [JIT_NO_REGION] = "first bundle of a region not translated",
    [JIT_NOT_TRANSLATED] = "bundle not translated, or a test in it failed",
    [JIT_ENTRY_TEST] = "tags or loop counters at a region's entry",
    [JIT_FAULT] = "memory fault",
    [JIT_RESUME] = "completion of a late exception",
    [JIT_NO_ROOM] = "no room for a window",
    [JIT_LAST_WISH] = "last wish",
};

typedef struct BundleCount {
    uint64_t ip;
    uint64_t count;
    GString *text;
} BundleCount;

static GMutex lock;
static uint64_t reasons[G_N_ELEMENTS(reason_names)];
static GHashTable *bundles; /* ip -> BundleCount */
static bool reported;

static BundleCount *new_bundle(E2kCpu *cpu)
{
    const DisasOptions options = {.isa = cpu->isa};
    BundleCount *b = g_new0(BundleCount, 1);
    uint8_t bytes[BUNDLE_MAX_BYTES];
    unsigned got = 0;
    Bundle bundle;

    b->ip = cpu->ip;
    b->text = g_string_new(NULL);
    if (cpu->ops->fetch(cpu, cpu->ip, bytes, &got) == EXC_NONE &&
        bundle_decode(&bundle, bytes, got, cpu->isa) == DECODE_OK) {
        bundle_disassemble(b->text, &bundle, cpu->ip, &options);
    }
    g_strdelimit(b->text->str, "\n\t", ' ');
    return b;
}

static void at_exit(void)
{
    jit_count_report();
}

void jit_count(E2kCpu *cpu, JitReason reason)
{
    g_mutex_lock(&lock);
    if (!bundles) {
        bundles = g_hash_table_new(g_int64_hash, g_int64_equal);
        atexit(at_exit);
    }
    reasons[reason]++;
    BundleCount *b = g_hash_table_lookup(bundles, &cpu->ip);
    if (!b) {
        b = new_bundle(cpu);
        g_hash_table_insert(bundles, &b->ip, b);
    }
    b->count++;
    g_mutex_unlock(&lock);
}

static gint by_count(gconstpointer a, gconstpointer b)
{
    const BundleCount *x = *(BundleCount *const *)a;
    const BundleCount *y = *(BundleCount *const *)b;

    return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

void jit_count_fork(bool begin)
{
    if (begin) {
        g_mutex_lock(&lock);
    } else {
        g_mutex_unlock(&lock);
    }
}

void jit_count_report(void)
{
    if (!log_on(LOG_INTERP)) {
        return;
    }
    g_mutex_lock(&lock);
    if (!reported && bundles) {
        g_autoptr(GPtrArray) all = g_ptr_array_new();
        GHashTableIter iter;
        gpointer value;
        FILE *to = log_lock();

        g_hash_table_iter_init(&iter, bundles);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            g_ptr_array_add(all, value);
        }
        reported = true;
        for (unsigned i = 0; i < G_N_ELEMENTS(reason_names); i++) {
            fprintf(to, "interp %12" PRIu64 "  %s\n", reasons[i],
                    reason_names[i]);
        }
        g_ptr_array_sort(all, by_count);
        for (unsigned i = 0; i < MIN(all->len, BUNDLES_SHOWN); i++) {
            const BundleCount *b = all->pdata[i];
            fprintf(to, "interp %12" PRIu64 "  %" PRIx64 " %s\n", b->count,
                    b->ip, b->text->str);
        }
        log_unlock(to);
    }
    g_mutex_unlock(&lock);
}
