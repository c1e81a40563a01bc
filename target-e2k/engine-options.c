/*
 * The text of the -accel option: engine and switches of optimisations.
 */
#include "target-e2k/exec.h"

#include <string.h>

#include "tcg/opt.h"

bool engine_parse(const char *text, EngineKind *kind, EngineConfig *config,
                  GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);

    if (!words[0] || (strcmp(words[0], "jit") != 0 &&
                      strcmp(words[0], "tcg") != 0 &&
                      strcmp(words[0], "interp") != 0)) {
        g_set_error(error, g_quark_from_static_string("engine-error"), 0,
                    "unknown accelerator '%s' (jit or interp)",
                    words[0] ? words[0] : "");
        return false;
    }
    *kind = words[0][0] == 'i' ? ENGINE_INTERP : ENGINE_JIT;
    for (char **word = words + 1; *word; word++) {
        uint64_t mib;

        if (g_str_has_prefix(*word, "tb-size=") &&
            g_ascii_string_to_unsigned(*word + 8, 10, 1, 1024, &mib, error)) {
            config->code_cache_bytes = mib << 20;
            continue;
        }
        if (g_str_has_prefix(*word, "tb-size=")) {
            g_prefix_error(error, "tb-size, in MiB: ");
            return false;
        }
        unsigned bit = g_str_has_prefix(*word, "no-")
                           ? tcg_opt_by_name(*word + 3) : 0;

        if (!bit) {
            g_set_error(error, g_quark_from_static_string("engine-error"), 0,
                        "unknown accelerator option '%s' (no-NAME switches an "
                        "optimisation off)", *word);
            return false;
        }
        config->disabled |= bit;
    }
    return true;
}
