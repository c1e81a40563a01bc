/*
 * Line-number information: placeholder list, filled with every bundle.
 */
#include "target-e2k/asm-int.h"

void debug_note_line(Asm *as, AsmPlace place)
{
    LineEntry entry = { as->section, as->section->size, place };

    if (as->options->debug_lines) {
        g_array_append_val(as->lines, entry);
    }
}

void debug_finish(Asm *as)
{
}
