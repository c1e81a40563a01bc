/*
 * CPU models of the -cpu option.  Source of ISA versions and IDR.mdl values:
 * shared facts "isa/state.md" section 5.  The mdl values of v1 and v7
 * processors are not documented there; programs do not look at them.
 */
#include "target-e2k/cpu.h"

#include <string.h>

const CpuModel cpu_models[] = {
    {"e3m", "elbrus-3m,elbrus-v1,v1", "Elbrus-3M (ISA v1)", 1, 0x1, 0},
    {"e2c+", "e2cplus,elbrus-2c+,elbrus-v2,v2", "Elbrus-2C+ (ISA v2)", 2, 0x4,
     2},
    {"e2cm", "elbrus-2cm", "Elbrus-2CM (ISA v2)", 2, 0x6, 0},
    {"e2s", "e4c,elbrus-4c,elbrus-v3,v3", "Elbrus-4C (ISA v3)", 3, 0x3, 3},
    {"e8c", "elbrus-8c,elbrus-v4,v4", "Elbrus-8C (ISA v4)", 4, 0x7, 2},
    {"e1c+", "e1cp,e1cplus,elbrus-1c+", "Elbrus-1C+ (ISA v4)", 4, 0x8, 1},
    {"e8c2", "e8cb,e8sv,elbrus-8cb,elbrus-8c2,elbrus-8sv,elbrus-v5,v5",
     "Elbrus-8CB (ISA v5)", 5, 0x9, 1},
    {"e12c", "elbrus-12c", "Elbrus-12C (ISA v6)", 6, 0xa, 0},
    {"e16c", "elbrus-16c,elbrus-v6,v6", "Elbrus-16C (ISA v6)", 6, 0xb, 1},
    {"e2c3", "elbrus-2c3", "Elbrus-2C3 (ISA v6)", 6, 0xc, 0},
    {"e8v7", "elbrus-8v7,elbrus-v7,v7", "Elbrus-8V7 (ISA v7)", 7, 0xe, 0},
    {NULL, NULL, NULL, 0, 0, 0},
};

static bool in_list(const char *list, const char *name)
{
    size_t len = strlen(name);

    while (list) {
        const char *end = strchrnul(list, ',');
        if ((size_t)(end - list) == len &&
            g_ascii_strncasecmp(list, name, len) == 0) {
            return true;
        }
        list = *end ? end + 1 : NULL;
    }
    return false;
}

const CpuModel *cpu_model_find(const char *name)
{
    for (const CpuModel *m = cpu_models; m->name; m++) {
        if (g_ascii_strcasecmp(m->name, name) == 0 ||
            (*name && in_list(m->aliases, name))) {
            return m;
        }
    }
    return NULL;
}
