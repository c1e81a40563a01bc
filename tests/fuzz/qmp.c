/*
 * Fuzz target: bytes from a QMP client, cut into texts and run as commands on
 * nodes in memory.  What would touch the host (files, sockets, secrets) is
 * left out, and so is what takes long by design.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "monitor/block-commands.h"
#include "monitor/monitor-int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const left_out[] = {
    "filename", "drive-", "snapshot-sync", "nbd", "server", "blkdebug",
    "secret", "authz", "tls-creds", "json:", "latency", "sha256", "\\u",
    "host_device",
};

static void run_text(void *opaque, const char *text, size_t length,
                     const char *error)
{
    json_t *request;

    if (error) {
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(left_out); i++) {
        if (g_strstr_len(text, length, left_out[i])) {
            return;
        }
    }
    request = json_loadb(text, length, JSON_ALLOW_NUL, NULL);
    if (request) {
        json_t *reply = monitor_run(request);

        /* Exactly one of the two, whatever was asked. */
        g_assert(!json_object_get(reply, "return") !=
                 !json_object_get(reply, "error"));
        json_decref(reply);
        json_decref(request);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    MonitorLexer *lexer = monitor_lexer_new();

    if (!ready) {
        monitor_init("fuzz");
        monitor_register_block();
        ready = true;
    }
    monitor_lexer_feed(lexer, (const char *)data, size, run_text, NULL);
    monitor_lexer_free(lexer);
    monitor_block_shutdown();
    return 0;
}
