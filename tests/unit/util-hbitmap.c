/*
 * The hierarchical bitmap against a plain array of booleans, and sets beside
 * resets in several threads.
 */
#include "util/hbitmap.h"

#include <string.h>

static void check_equal(const HBitmap *map, const bool *model, uint64_t bits)
{
    uint64_t count = 0;
    uint64_t at = 0;

    for (uint64_t i = 0; i < bits; i++) {
        g_assert_cmpint(hbitmap_get(map, i), ==, model[i]);
        count += model[i];
    }
    g_assert_cmpuint(hbitmap_count(map), ==, count);
    while (at < bits) {
        uint64_t set = at;
        uint64_t clear;

        while (set < bits && !model[set]) {
            set++;
        }
        g_assert_cmpuint(hbitmap_next_set(map, at, bits), ==, set);
        clear = set;
        while (clear < bits && model[clear]) {
            clear++;
        }
        g_assert_cmpuint(hbitmap_next_clear(map, set, bits), ==, clear);
        at = MAX(clear, at + 1);
    }
}

static void test_random(void)
{
    enum { MAX_BITS = 70000 };
    g_autofree bool *model = g_new0(bool, MAX_BITS);

    for (int round = 0; round < 12; round++) {
        uint64_t bits = g_test_rand_int_range(1, round < 6 ? 300 : MAX_BITS);
        g_autoptr(HBitmap) map = hbitmap_new(bits);

        memset(model, 0, MAX_BITS);
        for (int step = 0; step < 60; step++) {
            uint64_t first = g_test_rand_int_range(0, bits);
            uint64_t count = g_test_rand_int_range(0, bits - first + 1);
            bool set = g_test_rand_int_range(0, 2);

            if (step % 3) {
                count = MIN(count, 5);
            }
            memset(model + first, set, count);
            (set ? hbitmap_set : hbitmap_reset)(map, first, count);
        }
        check_equal(map, model, bits);
    }
}

static void test_copy_merge_resize(void)
{
    g_autoptr(HBitmap) a = hbitmap_new(10000);
    g_autoptr(HBitmap) b = hbitmap_new(10000);
    g_autoptr(HBitmap) copy = NULL;

    hbitmap_set(a, 10, 100);
    hbitmap_set(b, 50, 100);
    hbitmap_set(b, 9999, 1);
    hbitmap_merge(a, b);
    g_assert_cmpuint(hbitmap_count(a), ==, 141);
    copy = hbitmap_copy(a);
    g_assert_true(hbitmap_resize(a, 120));
    g_assert_cmpuint(hbitmap_count(a), ==, 110);
    g_assert_true(hbitmap_resize(a, 20000));
    g_assert_cmpuint(hbitmap_count(a), ==, 110);
    g_assert_cmpuint(hbitmap_next_set(a, 120, 20000), ==, 20000);
    g_assert_cmpuint(hbitmap_count(copy), ==, 141);
}

static void test_bytes(void)
{
    g_autoptr(HBitmap) a = hbitmap_new(1000);
    g_autoptr(HBitmap) b = hbitmap_new(1000);
    uint8_t bytes[125];

    hbitmap_set(a, 3, 2);
    hbitmap_set(a, 190, 700);
    hbitmap_store_bytes(a, bytes, 0, 1000);
    g_assert_cmphex(bytes[0], ==, 0x18);
    hbitmap_load_bytes(b, bytes, 0, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        g_assert_cmpint(hbitmap_get(a, i), ==, hbitmap_get(b, i));
    }
    g_assert_cmpuint(hbitmap_count(b), ==, 702);
}

static void test_huge(void)
{
    /* 16 TiB in granules of 64 KiB: cheap to make, fast to search. */
    g_autoptr(HBitmap) map = hbitmap_new(UINT64_C(1) << 28);

    g_assert_cmpuint(hbitmap_next_set(map, 0, UINT64_MAX), ==, 1 << 28);
    hbitmap_set(map, (1 << 28) - 1, 1);
    g_assert_cmpuint(hbitmap_next_set(map, 0, UINT64_MAX), ==, (1 << 28) - 1);
    hbitmap_reset_all(map);
    g_assert_cmpuint(hbitmap_count(map), ==, 0);
    g_assert_null(hbitmap_new(UINT64_MAX));
}

enum { RACE_BITS = 4096, RACE_ROUNDS = 20000 };

static gpointer race_setter(gpointer data)
{
    HBitmap *map = data;

    for (int i = 0; i < RACE_ROUNDS; i++) {
        hbitmap_set(map, (i * 67) % RACE_BITS, 1);
    }
    hbitmap_set(map, 100, 1);
    return NULL;
}

static gpointer race_resetter(gpointer data)
{
    HBitmap *map = data;

    for (int i = 0; i < RACE_ROUNDS; i++) {
        hbitmap_reset(map, (i * 31) % RACE_BITS, 3);
    }
    return NULL;
}

/* Afterwards every set bit must still be found through the summary. */
static void test_race(void)
{
    g_autoptr(HBitmap) map = hbitmap_new(RACE_BITS);
    GThread *threads[4];
    uint64_t by_get = 0;

    for (int i = 0; i < 4; i++) {
        threads[i] = g_thread_new("race", i % 2 ? race_resetter : race_setter,
                                  map);
    }
    for (int i = 0; i < 4; i++) {
        g_thread_join(threads[i]);
    }
    for (unsigned i = 0; i < RACE_BITS; i++) {
        by_get += hbitmap_get(map, i);
    }
    g_assert_cmpuint(hbitmap_count(map), ==, by_get);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hbitmap/random", test_random);
    g_test_add_func("/hbitmap/copy-merge-resize", test_copy_merge_resize);
    g_test_add_func("/hbitmap/bytes", test_bytes);
    g_test_add_func("/hbitmap/huge", test_huge);
    g_test_add_func("/hbitmap/race", test_race);
    return g_test_run();
}
