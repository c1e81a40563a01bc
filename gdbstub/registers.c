/*
 * Registers as the debugger sees them, and their description.
 *
 *     target's registers | stand-ins, if asked for: x0..x30 sp pc cpsr
 *
 * A gdb that has never heard of the target's architecture refuses its
 * description.  With "as=aarch64" the description names an architecture that
 * every gdb for many targets has, with the registers that it insists on behind
 * the target's own: pc and sp are the target's, the others mirror its first
 * ones.  Registers, memory, points and threads work then; instructions and
 * frames are shown as that architecture's and mean nothing.
 */
#include "gdbstub/stub-int.h"

#include <stdio.h>
#include <string.h>

enum {
    STAND_IN_X = 31,
    STAND_IN_SP = STAND_IN_X,
    STAND_IN_PC,
    STAND_IN_CPSR,
    N_STAND_INS,
    CPSR_BYTES = 4,
};

/* The target's register of a name, or -1. */
static int find_register(const GdbTarget *target, const char *name)
{
    for (unsigned i = 0; i < target->n_registers; i++) {
        if (!strcmp(target->register_name(i), name)) {
            return (int)i;
        }
    }
    return -1;
}

static void stand_in_name(unsigned i, char name[8])
{
    static const char *const others[] = { "sp", "pc", "cpsr" };

    if (i < STAND_IN_X) {
        snprintf(name, 8, "x%u", i);
    } else {
        g_strlcpy(name, others[i - STAND_IN_SP], 8);
    }
}

/* The target's register behind a stand-in, or -1. */
static int behind(const GdbTarget *target, unsigned i)
{
    char name[8];

    switch (i) {
    case STAND_IN_SP:
        return find_register(target, "usd_base");
    case STAND_IN_PC:
        return find_register(target, "ip");
    case STAND_IN_CPSR:
        return -1;
    default:
        snprintf(name, sizeof(name), "r%u", i);
        return find_register(target, name);
    }
}

unsigned gdb_stub_registers(const GdbStub *stub)
{
    return stub->target->n_registers + (stub->stands_in ? N_STAND_INS : 0);
}

unsigned gdb_stub_register_bytes(const GdbStub *stub, unsigned number)
{
    const GdbTarget *target = stub->target;

    if (number < target->n_registers) {
        return target->register_bytes(number);
    }
    return number - target->n_registers == STAND_IN_CPSR ? CPSR_BYTES : 8;
}

bool gdb_stub_read_register(GdbStub *stub, uint64_t thread, unsigned number,
                            uint8_t *bytes)
{
    const GdbTarget *target = stub->target;

    if (number >= target->n_registers) {
        int real = behind(target, number - target->n_registers);

        if (real < 0 || target->register_bytes((unsigned)real) != 8) {
            memset(bytes, 0, gdb_stub_register_bytes(stub, number));
            return true;
        }
        number = (unsigned)real;
    }
    return target->read_register(stub->opaque, thread, number, bytes);
}

bool gdb_stub_write_register(GdbStub *stub, uint64_t thread, unsigned number,
                             const uint8_t *bytes)
{
    const GdbTarget *target = stub->target;

    if (number >= target->n_registers) {
        int real = behind(target, number - target->n_registers);

        if (real < 0 || target->register_bytes((unsigned)real) != 8) {
            return false;
        }
        number = (unsigned)real;
    }
    return target->write_register(stub->opaque, thread, number, bytes);
}

static void describe_stand_ins(const GdbStub *stub, GString *xml)
{
    unsigned first = stub->target->n_registers;

    g_string_append(xml, "<architecture>aarch64</architecture>\n"
                    "<feature name=\"org.gnu.gdb.aarch64.core\">\n");
    for (unsigned i = 0; i < N_STAND_INS; i++) {
        char name[8];

        stand_in_name(i, name);
        g_string_append_printf(
            xml, "<reg name=\"%s\" bitsize=\"%u\" regnum=\"%u\"/>\n", name,
            8 * gdb_stub_register_bytes(stub, first + i), first + i);
    }
    g_string_append(xml, "</feature>\n");
}

char *gdb_stub_describe(const GdbStub *stub)
{
    const GdbTarget *target = stub->target;
    GString *xml = g_string_new(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM "
        "\"gdb-target.dtd\">\n<target version=\"1.0\">\n");

    if (stub->stands_in) {
        describe_stand_ins(stub, xml);
    } else {
        g_string_append_printf(xml, "<architecture>%s</architecture>\n",
                               target->architecture);
    }
    g_string_append_printf(xml, "<feature name=\"org.%s.core\">\n",
                           target->architecture);
    for (unsigned i = 0; i < target->n_registers; i++) {
        const char *type = target->register_type
                               ? target->register_type(i) : NULL;

        g_string_append_printf(xml, "<reg name=\"%s\" bitsize=\"%u\" "
                               "regnum=\"%u\"", target->register_name(i),
                               8 * target->register_bytes(i), i);
        if (type) {
            g_string_append_printf(xml, " type=\"%s\"", type);
        }
        g_string_append(xml, "/>\n");
    }
    g_string_append(xml, "</feature>\n</target>\n");
    return g_string_free(xml, false);
}
