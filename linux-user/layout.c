/*
 * Structures in both widths; see syscall-narrow.h.
 */
#include "linux-user/syscall-narrow.h"

#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

typedef struct Member {
    char kind;
    unsigned narrow_at, wide_at;
} Member;

typedef struct Walk {
    const char *text;
    unsigned left;        /* repetitions of the current letter */
    char kind;
    unsigned narrow_end, wide_end;
    unsigned narrow_align, wide_align;
} Walk;

static unsigned member_size(char kind, bool narrow)
{
    switch (kind) {
    case 'h':
        return 2;
    case 'D':
        return narrow ? 2 : 8;
    case 'x':
        return narrow ? 0 : 8;
    case 'i':
        return 4;
    case 'q':
        return 8;
    default:
        return narrow ? 4 : 8;
    }
}

static unsigned place(unsigned *end, unsigned *align, unsigned size)
{
    unsigned at = size ? (*end + size - 1) & ~(size - 1) : *end;

    *end = at + size;
    *align = MAX(*align, size);
    return at;
}

static bool next_member(Walk *walk, Member *member)
{
    if (!walk->left) {
        char *end;

        if (!*walk->text) {
            return false;
        }
        walk->kind = *walk->text++;
        walk->left = (unsigned)strtoul(walk->text, &end, 10);
        walk->left = end == walk->text ? 1 : walk->left;
        walk->text = end;
    }
    walk->left--;
    member->kind = walk->kind;
    member->narrow_at = place(&walk->narrow_end, &walk->narrow_align,
                              member_size(walk->kind, true));
    member->wide_at = place(&walk->wide_end, &walk->wide_align,
                            member_size(walk->kind, false));
    return true;
}

unsigned layout_size(const char *layout, bool narrow)
{
    Walk walk = { .text = layout, .narrow_align = 1, .wide_align = 1 };
    unsigned align;
    unsigned end;
    Member member;

    while (next_member(&walk, &member)) {
    }
    align = narrow ? walk.narrow_align : walk.wide_align;
    end = narrow ? walk.narrow_end : walk.wide_end;
    return (end + align - 1) & ~(align - 1);
}

void layout_widen(const char *layout, const uint8_t *narrow, uint8_t *wide)
{
    Walk walk = { .text = layout, .narrow_align = 1, .wide_align = 1 };
    Member m;

    memset(wide, 0, layout_size(layout, false));
    while (next_member(&walk, &m)) {
        if (m.kind == 'l') {
            stq_le_p(wide + m.wide_at,
                     (int64_t)(int32_t)ldl_le_p(narrow + m.narrow_at));
        } else {
            memcpy(wide + m.wide_at, narrow + m.narrow_at,
                   member_size(m.kind, true));
        }
    }
}

/* Values that do not fit become the largest that does. */
void layout_narrow(const char *layout, const uint8_t *wide, uint8_t *narrow)
{
    Walk walk = { .text = layout, .narrow_align = 1, .wide_align = 1 };
    Member m;

    memset(narrow, 0, layout_size(layout, true));
    while (next_member(&walk, &m)) {
        uint64_t value;

        if (m.kind != 'l' && m.kind != 'L') {
            memcpy(narrow + m.narrow_at, wide + m.wide_at,
                   member_size(m.kind, true));
            continue;
        }
        value = ldq_le_p(wide + m.wide_at);
        if (m.kind == 'L') {
            value = MIN(value, UINT32_MAX);
        } else if ((int64_t)value > INT32_MAX) {
            value = INT32_MAX;
        }
        stl_le_p(narrow + m.narrow_at, (uint32_t)value);
    }
}

bool layout_pointers_below(const char *layout, const uint8_t *wide,
                           uint64_t limit)
{
    Walk walk = { .text = layout, .narrow_align = 1, .wide_align = 1 };
    Member m;

    while (next_member(&walk, &m)) {
        if (m.kind == 'p' && ldq_le_p(wide + m.wide_at) >= limit) {
            return false;
        }
    }
    return true;
}
