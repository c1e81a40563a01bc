/*
 * The text of the -accel option: engine and switches of optimisations.
 */
#include "target-e2k/exec.h"

#include <string.h>

#include "tcg/opt.h"

typedef enum NumberOption {
    NUMBER_NOT, /* something else */
    NUMBER_BAD,
    NUMBER_TB_SIZE,
    NUMBER_THRESHOLD,
} NumberOption;

static const struct {
    const char *prefix;
    const char *what;
    uint64_t max;
} numbers[] = {
    [NUMBER_TB_SIZE] = { "tb-size=", "tb-size, in MiB: ", 1024 },
    [NUMBER_THRESHOLD] = { "tier-threshold=", "tier-threshold: ", 1u << 30 },
};

void engine_help(FILE *to)
{
    fprintf(to, "interp  the reference interpreter\n"
                "jit     the translator (default), with any of these, after commas:\n"
                "  tb-size=MIB           memory for translated code\n"
                "  tier-threshold=COUNT  runs of a piece of code until it is "
                "translated again,\n"
                "                        with all optimisations\n");
    for (unsigned i = 0; i < OPT_BITS; i++) {
        g_autofree char *name = g_strconcat("no-", tcg_opt_name(i), NULL);
        fprintf(to, "  %-20s  without: %s\n", name, tcg_opt_text(i));
    }
}

/* NAME=NUMBER, from 1 to the option's maximum. */
static NumberOption parse_number(const char *word, uint64_t *value,
                                 GError **error)
{
    for (unsigned i = NUMBER_TB_SIZE; i < G_N_ELEMENTS(numbers); i++) {
        if (!g_str_has_prefix(word, numbers[i].prefix)) {
            continue;
        }
        if (!g_ascii_string_to_unsigned(word + strlen(numbers[i].prefix), 10,
                                        1, numbers[i].max, value, error)) {
            g_prefix_error(error, "%s", numbers[i].what);
            return NUMBER_BAD;
        }
        return i;
    }
    return NUMBER_NOT;
}

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
        uint64_t value;
        NumberOption number = parse_number(*word, &value, error);

        if (number == NUMBER_BAD) {
            return false;
        }
        if (number == NUMBER_TB_SIZE) {
            config->code_cache_bytes = value << 20;
        } else if (number == NUMBER_THRESHOLD) {
            config->tier_threshold = value;
        }
        if (number != NUMBER_NOT) {
            continue;
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
