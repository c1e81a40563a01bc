/*
 * What a loader leaves for a guest: stacks, tables, CPU state at entry.
 *
 * A reserved area at the end of the first RAM bank holds
 *
 *     boot block | stub | MP table | device tree | per CPU: trap cellar,
 *                                                  PCSP, PSP, data stack
 *
 * "system/boot-contract.md" A.4 and B.1.
 */
#ifndef HW_BOOT_H
#define HW_BOOT_H

#include "hw/loader.h"
#include "system/machine.h"

typedef struct BootArea {
    uint64_t base;      /* physical, 64 KiB aligned */
    uint64_t end;
    uint64_t ram_end;   /* of the first bank */
    uint64_t bootblock, stub, mp_table, fdt, per_cpu;
} BootArea;

enum {
    BOOT_FDT_MAX = 0x10000,
    BOOT_ARGS_MAX = 511,
};

/* Places the area below ram_end. */
void boot_area_init(BootArea *area, uint64_t ram_end, unsigned n_cpus);

/* Everything the boot block tells. */
typedef struct BootInfo {
    const char *args;
    uint64_t kernel_base, kernel_bytes;
    uint64_t initrd_base, initrd_bytes;
    uint64_t bank_base[2], bank_bytes[2]; /* size 0: none */
    unsigned n_cpus;
    uint16_t mach_flags;
    uint64_t serial_base, mp_table, fdt;
    uint8_t cpu_type;
} BootInfo;

/* Fills the boot block and the stub that ends the run. */
void boot_write_tables(const BootArea *area, PhysMem *mem,
                       const BootInfo *info);

/*
 * CPU state at entry: physical mode, OSCUD from code_base to the end of the
 * bank, stacks in the area, a frame that returns to the stub.
 */
void boot_set_cpu(const BootArea *area, Machine *machine, unsigned cpu,
                  uint64_t entry, uint64_t code_base, uint64_t fdt);

#endif
