/* Accesses to missing memory return false; everything else is a plain copy. */
#include "tcg/host-access.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include <glib.h>

static uint8_t *page; /* writable, followed by a page without access */

static void on_fault(int signal, siginfo_t *info, void *context)
{
    g_assert_true(host_access_recover(context));
}

static void test_sizes(void)
{
    for (unsigned size = 1; size <= 16; size *= 2) {
        uint8_t in[16];
        uint8_t out[16] = { 0 };

        for (int i = 0; i < 16; i++) {
            in[i] = 0x10 * size + i;
        }
        g_assert_true(host_store((uintptr_t)page + 3, size, in));
        g_assert_true(host_load((uintptr_t)page + 3, size, out));
        g_assert_cmpmem(in, size, out, size);
    }
}

static void test_faults(void)
{
    uint8_t value[16] = { 1, 2, 3 };
    bool swapped = false;

    for (unsigned size = 1; size <= 16; size *= 2) {
        g_assert_false(host_load((uintptr_t)page + 4096, size, value));
        g_assert_false(host_store((uintptr_t)page + 4096, size, value));
        g_assert_false(host_cmpxchg((uintptr_t)page + 4096, size, value, value,
                                    &swapped));
        if (size > 1) {
            g_assert_false(host_load((uintptr_t)page + 4095, size, value));
        }
    }
    g_assert_false(host_load(0x8000000000000000, 8, value));
    g_assert_false(host_copy_from(value, (uintptr_t)page + 4090, 16));
    g_assert_true(host_readable((uintptr_t)page, 4096));
    g_assert_false(host_readable((uintptr_t)page, 4097));
}

static void test_cmpxchg(void)
{
    for (unsigned size = 1; size <= 16; size *= 2) {
        uint8_t old[16];
        uint8_t new[16];
        bool swapped = false;

        memset(old, 0x55, 16);
        memset(new, 0xaa, 16);
        memset(page, 0x55, 32);
        g_assert_true(host_cmpxchg((uintptr_t)page, size, old, new, &swapped));
        g_assert_true(swapped);
        g_assert_cmpmem(page, size, new, size);
        g_assert_cmpint(page[size], ==, 0x55);
        g_assert_true(host_cmpxchg((uintptr_t)page, size, old, new, &swapped));
        g_assert_false(swapped);
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = { .sa_sigaction = on_fault,
                                .sa_flags = SA_SIGINFO | SA_NODEFER };

    g_test_init(&argc, &argv, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(page != MAP_FAILED);
    g_assert_cmpint(mprotect(page + 4096, 4096, PROT_NONE), ==, 0);
    g_test_add_func("/host-access/sizes", test_sizes);
    g_test_add_func("/host-access/faults", test_faults);
    g_test_add_func("/host-access/cmpxchg", test_cmpxchg);
    return g_test_run();
}
