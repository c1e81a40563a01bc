/*
 * What all boards with CPUs do alike: RAM, CPUs, image, initial RAM disk, and
 * the state at entry.
 */
#ifndef HW_BOARD_BOOT_H
#define HW_BOARD_BOOT_H

#include "hw/board.h"
#include "hw/boot.h"

/* Low RAM ends here at most; all RAM answers at the alias as well. */
#define BOARD_RAM_LOW_MAX UINT64_C(0x80000000)
#define BOARD_RAM_ALIAS UINT64_C(0x400000000)

typedef struct BoardBoot {
    BoardConfig config;
    BootArea area;
    Image *image;
    uint8_t *initrd;
    size_t initrd_bytes;
    uint64_t initrd_base;
    uint8_t *fdt;          /* the board's, NULL: none */
    size_t fdt_bytes;
    uint64_t ram_low;
} BoardBoot;

/*
 * Makes memory and CPUs and reads the image; name is the board's.  Whatever
 * it allocated is freed by board_boot_clear(), on failure too.
 */
bool board_boot_init(BoardBoot *boot, const char *name, Machine *machine,
                     const BoardConfig *config, GError **error);
void board_boot_clear(BoardBoot *boot);
/*
 * Puts image, tables and CPUs in place; the machine is stopped.  info has
 * what only the board knows (serial_base, mp_table, mach_flags); all_enter:
 * every CPU starts at the entry.
 */
void board_boot_reset(BoardBoot *boot, Machine *machine, BootInfo *info,
                      bool all_enter);

#endif
