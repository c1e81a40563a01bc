/*
 * Which translated code belongs to which address space; see code-space.h.
 *
 * A space is known by its root tables.  Its pages are checked again ("dirty")
 * after a full flush, and when an address-space id (CONT) is used with it for
 * the first time since: a new process may have been given the root page of a
 * dead one, and hardware, whose entries carry the id, needs no flush then.
 *
 * Only the CPU that is in a space can walk its tables; page flushes drop the
 * page's code in all other spaces without looking.
 */
#include "system/code-space.h"

#include "target-e2k/exec.h"

enum {
    MOST_SPACES = 255,
    KNOWN_IDS = 4,
};

#define NOT_MAPPED (~UINT64_C(0))

typedef struct SpaceKey {
    uint64_t root, os_root, os_base, mode;
} SpaceKey;

typedef struct CodePage {
    uint64_t address;  /* virtual */
    uint64_t physical; /* NOT_MAPPED: no code is kept */
    bool user;         /* code was fetched in user mode */
} CodePage;

typedef struct CodeSpace {
    SpaceKey key;
    GHashTable *pages;  /* by &CodePage.address; NULL: space not in use */
    GHashTable *large;  /* large MMU pages that some are of, by large_key() */
    uint64_t last_use;
    unsigned users;     /* CPUs that are in it */
    unsigned ids[KNOWN_IDS]; /* CONT values the pages were checked for */
    unsigned n_ids, next_id;
    bool dirty;
} CodeSpace;

struct CodeSpaces {
    GMutex lock;
    uint64_t clock;
    CodeSpace space[1 + MOST_SPACES]; /* [0]: addresses are physical */
};

CodeSpaces *code_spaces_new(void)
{
    CodeSpaces *spaces = g_new0(CodeSpaces, 1);

    g_mutex_init(&spaces->lock);
    return spaces;
}

static uint64_t tag_of(const CodeSpaces *spaces, const CodeSpace *space)
{
    return (uint64_t)(space - spaces->space) << CODE_SPACE_SHIFT;
}

void code_spaces_free(CodeSpaces *spaces)
{
    if (!spaces) {
        return;
    }
    for (unsigned i = 1; i <= MOST_SPACES; i++) {
        if (spaces->space[i].pages) {
            g_hash_table_unref(spaces->space[i].pages);
            g_hash_table_unref(spaces->space[i].large);
        }
    }
    g_mutex_clear(&spaces->lock);
    g_free(spaces);
}

static void drop_page_locked(CodeSpaces *spaces, CodeSpace *space,
                             CodePage *page)
{
    if (page->physical != NOT_MAPPED) {
        page->physical = NOT_MAPPED;
        engine_invalidate(tag_of(spaces, space) | page->address,
                          PHYS_PAGE_BYTES);
    }
}

/* Does the page still hold what code was made of?  In the CPU's own space. */
static void check_page_locked(SysCpu *sys, CodeSpace *space, CodePage *page)
{
    MmuResult result;

    if (page->physical == NOT_MAPPED) {
        return;
    }
    if (!mmu_translate(sys, page->address, ACCESS_FETCH, !page->user, false,
                       &result) ||
        result.physical != page->physical) {
        drop_page_locked(sys->machine->code_spaces, space, page);
    }
}

static void check_space_locked(SysCpu *sys, CodeSpace *space)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, space->pages);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        check_page_locked(sys, space, value);
    }
}

/* ---- Choosing a space -------------------------------------------------------- */

static SpaceKey key_of(const SysCpu *sys)
{
    bool v6 = sys->cpu->isa >= 6;

    return (SpaceKey){
        .root = sys->mmu[MMU_U_PPTB],
        .os_root = v6 ? sys->mmu[MMU_OS_PPTB] : 0,
        .os_base = v6 ? sys->mmu[MMU_OS_VAB] : 0,
        .mode = v6 ? sys->cpu->state[SR_CORE_MODE] : 0,
    };
}

static bool same_key(const SpaceKey *a, const SpaceKey *b)
{
    return a->root == b->root && a->os_root == b->os_root &&
           a->os_base == b->os_base && a->mode == b->mode;
}

/* A space for the key: the one that has it, a free one, or the oldest. */
static CodeSpace *find_space_locked(CodeSpaces *spaces, const SpaceKey *key)
{
    CodeSpace *best = NULL;

    for (unsigned i = 1; i <= MOST_SPACES; i++) {
        CodeSpace *space = &spaces->space[i];

        if (space->pages && same_key(&space->key, key)) {
            return space;
        }
        if (!space->users &&
            (!best || (best->pages && (!space->pages ||
                                       space->last_use < best->last_use)))) {
            best = space;
        }
    }
    if (best->pages) {
        g_hash_table_unref(best->pages);
        g_hash_table_unref(best->large);
        engine_invalidate(tag_of(spaces, best),
                          UINT64_C(1) << CODE_SPACE_SHIFT);
    }
    *best = (CodeSpace){
        .key = *key,
        .pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL,
                                       g_free),
        .large = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                       NULL),
    };
    return best;
}

static void check_id_locked(SysCpu *sys, CodeSpace *space)
{
    unsigned id = sys->mmu[MMU_CONT] & 0xfff;

    if (space->dirty) {
        space->n_ids = space->next_id = 0;
        space->dirty = false;
    }
    for (unsigned i = 0; i < space->n_ids; i++) {
        if (space->ids[i] == id) {
            return;
        }
    }
    space->ids[space->next_id] = id;
    space->next_id = (space->next_id + 1) % KNOWN_IDS;
    space->n_ids = MIN(space->n_ids + 1, (unsigned)KNOWN_IDS);
    check_space_locked(sys, space);
}

static void leave_locked(SysCpu *sys)
{
    if (sys->code_space) {
        sys->code_space->users--;
        sys->code_space = NULL;
    }
    sys->cpu->code_space = 0;
}

void code_space_leave(SysCpu *sys)
{
    CodeSpaces *spaces = sys->machine->code_spaces;

    g_mutex_lock(&spaces->lock);
    leave_locked(sys);
    g_mutex_unlock(&spaces->lock);
}

void code_space_select(SysCpu *sys)
{
    CodeSpaces *spaces = sys->machine->code_spaces;
    SpaceKey key = key_of(sys);

    g_mutex_lock(&spaces->lock);
    CodeSpace *space = sys->code_space;

    if (!mmu_is_on(sys)) {
        leave_locked(sys);
    } else {
        if (!space || !same_key(&space->key, &key)) {
            leave_locked(sys);
            space = find_space_locked(spaces, &key);
            space->users++;
            sys->code_space = space;
            sys->cpu->code_space = space - spaces->space;
        }
        space->last_use = ++spaces->clock;
        check_id_locked(sys, space);
    }
    g_mutex_unlock(&spaces->lock);
}

/* ---- Pages --------------------------------------------------------------------- */

/* Sizes of pages above 4 KiB. */
static const uint64_t large_sizes[] = { UINT64_C(1) << 21, UINT64_C(1) << 30 };

static uint64_t large_key(uint64_t address, uint64_t page_bytes)
{
    return (address & ~(page_bytes - 1)) | (page_bytes >> 20);
}

void code_space_note(SysCpu *sys, uint64_t address, uint64_t physical,
                     uint64_t page_bytes)
{
    CodeSpaces *spaces = sys->machine->code_spaces;
    CodeSpace *space = sys->code_space;
    uint64_t mask = ~(uint64_t)(PHYS_PAGE_BYTES - 1);

    if (!space) {
        return;
    }
    address &= mask;
    physical &= mask;
    g_mutex_lock(&spaces->lock);
    CodePage *page = g_hash_table_lookup(space->pages, &address);

    if (!page) {
        page = g_new0(CodePage, 1);
        page->address = address;
        page->physical = NOT_MAPPED;
        g_hash_table_insert(space->pages, &page->address, page);
    }
    if (page->physical != physical) {
        drop_page_locked(spaces, space, page);
        page->physical = physical;
        page->user = false;
    }
    if (page_bytes > PHYS_PAGE_BYTES) {
        uint64_t *key = g_new(uint64_t, 1);

        *key = large_key(address, page_bytes);
        g_hash_table_add(space->large, key);
    }
    page->user |= !(sys->cpu->psr & PSR_PM);
    g_mutex_unlock(&spaces->lock);
}

static void flush_page_locked(SysCpu *sys, CodeSpace *space, CodePage *page)
{
    if (space == sys->code_space) {
        check_page_locked(sys, space, page);
    } else {
        drop_page_locked(sys->machine->code_spaces, space, page);
    }
}

/* All code of the large page at address. */
static void flush_large_locked(SysCpu *sys, CodeSpace *space, uint64_t address,
                               uint64_t page_bytes)
{
    uint64_t key = large_key(address, page_bytes);
    GHashTableIter iter;
    gpointer value;

    if (!g_hash_table_contains(space->large, &key)) {
        return;
    }
    g_hash_table_iter_init(&iter, space->pages);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const CodePage *page = value;

        if (large_key(page->address, page_bytes) == key) {
            flush_page_locked(sys, space, value);
        }
    }
}

void code_space_flush_page(SysCpu *sys, uint64_t address)
{
    CodeSpaces *spaces = sys->machine->code_spaces;

    address &= ~(uint64_t)(PHYS_PAGE_BYTES - 1);
    g_mutex_lock(&spaces->lock);
    for (unsigned i = 1; i <= MOST_SPACES; i++) {
        CodeSpace *space = &spaces->space[i];

        if (!space->pages) {
            continue;
        }
        CodePage *page = g_hash_table_lookup(space->pages, &address);

        if (page) {
            flush_page_locked(sys, space, page);
        }
        for (unsigned k = 0; k < G_N_ELEMENTS(large_sizes); k++) {
            flush_large_locked(sys, space, address, large_sizes[k]);
        }
    }
    g_mutex_unlock(&spaces->lock);
}

void code_space_flush_all(SysCpu *sys)
{
    CodeSpaces *spaces = sys->machine->code_spaces;

    g_mutex_lock(&spaces->lock);
    for (unsigned i = 1; i <= MOST_SPACES; i++) {
        spaces->space[i].dirty = true;
    }
    if (sys->code_space) {
        check_id_locked(sys, sys->code_space);
    }
    g_mutex_unlock(&spaces->lock);
}
