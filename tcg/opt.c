/*
 * Names of the optimisation switches.
 */
#include "tcg/opt.h"

#include <string.h>

static const struct {
    const char *name;
    const char *text;
} opts[OPT_BITS] = {
#define X(id, option, words) {option, words},
    TCG_OPTS(X)
#undef X
};

unsigned tcg_opt_by_name(const char *name)
{
    for (unsigned i = 0; i < OPT_BITS; i++) {
        if (!strcmp(name, opts[i].name)) {
            return 1u << i;
        }
    }
    return 0;
}

const char *tcg_opt_name(unsigned bit)
{
    return opts[bit].name;
}

const char *tcg_opt_text(unsigned bit)
{
    return opts[bit].text;
}
