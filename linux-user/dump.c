/*
 * What a person sees when a program crashes: the reason, registers, the
 * call chain with symbols, and the bundle.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "linux-user/hw-stack.h"
#include "linux-user/symbols.h"
#include "target-e2k/bundle.h"
#include "util/bytes.h"

static void dump_registers(FILE *to, const E2kCpu *cpu)
{
    unsigned count = 2 * cpu->wsz;

    for (unsigned i = 0; i < count; i++) {
        fprintf(to, "%%r%-2u %016" PRIx64 "%c%s", i, cpu->win[i].lo,
                cpu->win_tags[i] & 0xf ? '*' : ' ',
                i % 4 == 3 || i + 1 == count ? "\n" : " ");
    }
    for (unsigned i = 0; i < 32; i++) {
        fprintf(to, "%%g%-2u %016" PRIx64 "%c%s", i, cpu->g[i].lo,
                cpu->g_tags[i] & 0xf ? '*' : ' ', i % 4 == 3 ? "\n" : " ");
    }
    fprintf(to,
            "pf %016" PRIx64 "  ctpr %" PRIx64 " %" PRIx64 " %" PRIx64
            "  lsr %016" PRIx64 "\n"
            "wd %" PRIx64 "  br %" PRIx64 "  usd %" PRIx64 " size %" PRIx64
            "  (* = tagged)\n",
            cpu->pf, cpu->ctpr[0], cpu->ctpr[1], cpu->ctpr[2], cpu_get_lsr(cpu),
            cpu_get_wd(cpu), cpu_get_br(cpu), cpu->usd_base, cpu->usd_size);
}

static void dump_bundle(FILE *to, UserThread *thread)
{
    E2kCpu *cpu = thread->cpu;
    uint8_t bytes[BUNDLE_MAX_BYTES];
    unsigned got = 0;

    if (user_cpu_ops.fetch(cpu, cpu->ip, bytes, &got) != EXC_NONE) {
        fprintf(to, "bundle: cannot be fetched\n");
        return;
    }
    fprintf(to, "bundle:");
    for (unsigned i = 0; i < MIN(got, bundle_length(ldl_le_p(bytes))); i++) {
        fprintf(to, "%s%02x", i % 4 ? "" : " ", bytes[i]);
    }
    fputc('\n', to);
}

static void dump_frames(FILE *to, UserThread *thread)
{
    enum { MOST = 32 };
    const E2kCpu *cpu = thread->cpu;
    g_autofree char *here = symbol_describe(thread->process, cpu->ip);
    int n = 0;

    fprintf(to, "#0  %016" PRIx64 " %s\n", cpu->ip, here);
    for (const ChainFrame *frame = cpu->frame;
         frame > cpu->frames && n < MOST; frame--) {
        uint64_t ip = frame->cr0_hi & CR0_HI_IP;
        g_autofree char *where = symbol_describe(thread->process, ip);

        fprintf(to, "#%-2d %016" PRIx64 " %s\n", ++n, ip, where);
    }
}

void thread_dump(UserThread *thread, const char *why)
{
    fprintf(stderr, "e2k-user: program ended by %s at %#" PRIx64
            " (thread %d)\n", why, thread->cpu->ip, thread->tid);
    dump_frames(stderr, thread);
    dump_bundle(stderr, thread);
    dump_registers(stderr, thread->cpu);
    fflush(stderr);
}
