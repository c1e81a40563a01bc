/* The human monitor's commands: what its files share. */
#ifndef TOOLS_E2K_SYSTEM_HUMAN_H
#define TOOLS_E2K_SYSTEM_HUMAN_H

#include "tools/e2k-system.h"

typedef struct HumanCommand {
    const char *name;
    const char *arguments;
    const char *help;
    bool (*run)(Machine *machine, char **words, FILE *to, GError **error);
    bool live; /* the machine need not stop for it */
} HumanCommand;

/* A command about disks; *known: is it one?  words may change. */
bool human_block_command(Machine *machine, char **words, FILE *to,
                         bool *known, GError **error);
void human_block_help(FILE *to);
void human_info_block(Machine *machine, FILE *to);
void human_info_block_jobs(Machine *machine, FILE *to);

#endif
