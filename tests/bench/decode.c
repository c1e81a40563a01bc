/*
 * Speed of the bundle decoder on code as compilers write it: loops with
 * loads, compares, predicates, calls.  Prints "decode_bundles_per_second N", the
 * best of a few rounds, in processor time of the one thread.
 */
#include <stdio.h>
#include <time.h>

#include <glib.h>

#include "target-e2k/asm.h"

static const char source[] =
    "{ setwd wsz = 16, nfx = 1; setbn rbs = 8, rsz = 7, rcur = 0\n"
    "  sdisp %ctpr1, 3 }\n"
    "{ addd %dr0, 0, %db[0]; addd %dr1, 0, %db[1]; addd %dr2, 16, %db[2] }\n"
    "{ call %ctpr1, wbs = 8 }\n"
    "{ ldd,0 %dr0, 8, %dr4; ldw,3 %dr1, 0, %dr5; disp %ctpr2, 1f }\n"
    "{ subd,0 %dr4, %dr5, %dr6; cmpledb,1 %dr4, 0, %pred0; nop 2 }\n"
    "{ std,2 %dr0, 16, %dr6 ? ~%pred0; shld,1 %dr6, 3, %dr7 }\n"
    "{ ct %ctpr2 ? %pred0; addd,0 %dr7, _f32s,_lts0 0x12345, %dr8 }\n"
    "1: { return %ctpr3; fmuld,0 %dr1, %dr2, %dr3; faddd,1 %dr3, %dr4, %dr5 }\n"
    "{ pass %pred0, @p0; pass %pred1, @p1; andp @p0, ~@p1, @p4\n"
    "  pass @p4, %pred2 }\n"
    "{ ct %ctpr3 }\n";

enum { ROUNDS = 5, TIMES = 200000 };

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Bundles per second, or 0 when one does not decode. */
static double run_round(const GByteArray *text)
{
    double start = seconds();
    guint64 count = 0;
    Bundle bundle;

    for (unsigned n = 0; n < TIMES; n++) {
        for (unsigned at = 0; at < text->len; at += bundle.length, count++) {
            if (bundle_decode(&bundle, text->data + at, text->len - at, 5)) {
                fprintf(stderr, "bundle at %u does not decode\n", at);
                return 0;
            }
        }
    }
    return count / (seconds() - start);
}

int main(void)
{
    AsmOptions options = { .isa = 5 };
    g_autoptr(GString) messages = g_string_new(NULL);
    g_autoptr(ObjFile) file = asm_assemble("bench", source, &options,
                                           messages);

    if (!file) {
        fputs(messages->str, stderr);
        return 1;
    }
    const GByteArray *text = obj_section_find(file, ".text")->data;
    double best = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        best = MAX(best, run_round(text));
    }
    printf("decode_bundles_per_second %.0f\n", best);
    return best == 0;
}
