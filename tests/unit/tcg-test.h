/*
 * How the tests of the translator begin.
 */
#ifndef TESTS_UNIT_TCG_TEST_H
#define TESTS_UNIT_TCG_TEST_H

#include <glib.h>

#include "tcg/tcg.h"

/*
 * g_test_init(), and a translator with a small cache that validates all code.
 * cpu: a structure with a TcgCpu at tcg_offset and the guest's address, 64
 * bits, at ip_offset.  False, with a TAP plan that says so, on a host that the
 * translator cannot make code for.
 */
static inline bool tcg_test_init(int *argc, char ***argv, void *cpu,
                                 TcgConfig config)
{
    g_autoptr(GError) error = NULL;

    config.cache_bytes = 1 << 21;
    config.validate = true;
    g_test_init(argc, argv, NULL);
    if (!tcg_init(&config, &error)) {
        g_print("1..0 # SKIP %s\n", error->message);
        return false;
    }
    tcg_cpu_init(cpu);
    return true;
}

#endif
