/*
 * What a loader leaves for a guest; see boot.h.
 */
#include "hw/boot.h"

#include <string.h>

#include "system/sys-cpu.h"
#include "util/bytes.h"

enum {
    PAGE = PHYS_PAGE_BYTES,
    AREA_ALIGN = 0x10000,
    OFFSET_BOOTBLOCK = 0x00000,
    OFFSET_STUB = 0x01000,
    OFFSET_MP_TABLE = 0x02000,
    OFFSET_FDT = 0x10000,
    OFFSET_PER_CPU = OFFSET_FDT + BOOT_FDT_MAX,
    /* Per CPU: cellar, then stacks with a guard page each. */
    CPU_CELLAR = 0,
    CPU_PCSP = CPU_CELLAR + PAGE,
    PCSP_BYTES = 0x4000,
    CPU_PSP = CPU_PCSP + PCSP_BYTES + PAGE,
    PSP_BYTES = 0x10000,
    CPU_STACK = CPU_PSP + PSP_BYTES + PAGE,
    STACK_BYTES = 0x10000,
    CPU_BYTES = CPU_STACK + STACK_BYTES,
    STACK_TOP_GAP = 64,
    ENTRY_WSZ = 8, /* pairs */
};

/* Offsets in the boot block; "system/machine.md" section 9. */
enum {
    BB_SIGNATURE = 0x000,
    BB_TARGET_MDL = 0x002,
    BB_NUM_OF_BANKS = 0x007,
    BB_KERNEL_BASE = 0x008,
    BB_KERNEL_SIZE = 0x010,
    BB_RAMDISK_BASE = 0x018,
    BB_RAMDISK_SIZE = 0x020,
    BB_NUM_OF_CPUS = 0x028,
    BB_MACH_FLAGS = 0x02a,
    BB_NUM_OF_NODES = 0x02e,
    BB_MP_TABLE = 0x030,
    BB_SERIAL_BASE = 0x038,
    BB_NODES_MAP = 0x040,
    BB_ARGS = 0x058,
    BB_ARGS_BYTES = 128,
    BB_BANKS = 0x0d8,
    BB_MB_NAME = 0x520,
    BB_BIOS_VERSION = 0x540,
    BB_CHIPSET = 0x5c1,
    BB_CPU_TYPE = 0x5c2,
    BB_ARGS_EX = 0x5c3,
    BB_ARGS_EX_BYTES = 512,
    BB_DEVTREE = 0xd68,
    BB_VERSION = 0xf5b,
    BB_MARKER = 0xffe,
    SIGNATURE_ROMLOADER = 0xe200,
    MARKER = 0xaa55,
};

/* The simulator's stop instruction with status 0. */
static const uint8_t stub_code[8] = { 0x01, 0x80, 0, 0, 0, 0, 0, 0x60 };

void boot_area_init(BootArea *area, uint64_t ram_end, unsigned n_cpus)
{
    uint64_t bytes = OFFSET_PER_CPU + (uint64_t)n_cpus * CPU_BYTES;

    area->ram_end = area->end = ram_end;
    area->base = (ram_end - bytes) & ~(uint64_t)(AREA_ALIGN - 1);
    area->bootblock = area->base + OFFSET_BOOTBLOCK;
    area->stub = area->base + OFFSET_STUB;
    area->mp_table = area->base + OFFSET_MP_TABLE;
    area->fdt = area->base + OFFSET_FDT;
    area->per_cpu = area->base + OFFSET_PER_CPU;
}

static void put_args(uint8_t *bb, const char *args)
{
    size_t length = strlen(args);

    if (length < BB_ARGS_BYTES) {
        memcpy(bb + BB_ARGS, args, length);
        return;
    }
    strcpy((char *)bb + BB_ARGS, "KERNEL_ARGS_STRING_EX");
    memcpy(bb + BB_ARGS_EX, args, MIN(length, BB_ARGS_EX_BYTES - 1));
}

void boot_write_tables(const BootArea *area, PhysMem *mem,
                       const BootInfo *info)
{
    uint8_t bb[PAGE] = { 0 };
    unsigned banks = 0;

    stw_le_p(bb + BB_SIGNATURE, SIGNATURE_ROMLOADER);
    bb[BB_TARGET_MDL] = info->cpu_type;
    stq_le_p(bb + BB_KERNEL_BASE, info->kernel_base);
    stq_le_p(bb + BB_KERNEL_SIZE, info->kernel_bytes);
    stq_le_p(bb + BB_RAMDISK_BASE, info->initrd_base);
    stq_le_p(bb + BB_RAMDISK_SIZE, info->initrd_bytes);
    stw_le_p(bb + BB_NUM_OF_CPUS, info->n_cpus);
    stw_le_p(bb + BB_MACH_FLAGS, info->mach_flags);
    stw_le_p(bb + BB_NUM_OF_NODES, 1);
    stq_le_p(bb + BB_MP_TABLE, info->mp_table);
    stq_le_p(bb + BB_SERIAL_BASE, info->serial_base);
    stq_le_p(bb + BB_NODES_MAP, 1);
    put_args(bb, info->args);
    for (unsigned i = 0; i < G_N_ELEMENTS(info->bank_bytes); i++) {
        if (info->bank_bytes[i]) {
            stq_le_p(bb + BB_BANKS + 16 * banks, info->bank_base[i]);
            stq_le_p(bb + BB_BANKS + 16 * banks + 8, info->bank_bytes[i]);
            banks++;
        }
    }
    bb[BB_NUM_OF_BANKS] = banks;
    strcpy((char *)bb + BB_MB_NAME, "e2k-emu");
    strcpy((char *)bb + BB_BIOS_VERSION, "e2k-emu " E2K_VERSION);
    bb[BB_CHIPSET] = 2;
    bb[BB_CPU_TYPE] = info->cpu_type;
    stq_le_p(bb + BB_DEVTREE, info->fdt);
    bb[BB_VERSION] = 1;
    stw_le_p(bb + BB_MARKER, MARKER);
    physmem_write(mem, area->bootblock, bb, sizeof(bb));
    physmem_write(mem, area->stub, stub_code, sizeof(stub_code));
}

static void set_descriptor(E2kCpu *cpu, unsigned hi, unsigned lo,
                           uint64_t base, uint64_t size)
{
    cpu->state[lo] = base;
    cpu->state[hi] = size << 32;
}

static void set_stacks(const BootArea *area, E2kCpu *cpu, unsigned n)
{
    uint64_t own = area->per_cpu + (uint64_t)n * CPU_BYTES;
    SysCpu *sys = cpu->opaque;

    cpu->pcsp_base = own + CPU_PCSP;
    cpu->pcsp_size = PCSP_BYTES;
    cpu->psp_base = own + CPU_PSP;
    cpu->psp_size = PSP_BYTES;
    cpu->pcsp_ind_bottom = cpu->psp_ind_bottom = 0;
    cpu->sbr = own + CPU_STACK + STACK_BYTES;
    cpu->usd_base = cpu->sbr - STACK_TOP_GAP;
    cpu->usd_size = STACK_BYTES - STACK_TOP_GAP;
    sys->mmu[MMU_TRAP_POINT] = own + CPU_CELLAR;
    stacks_update_limits(cpu);
}

void boot_set_cpu(const BootArea *area, Machine *machine, unsigned n,
                  uint64_t entry, uint64_t code_base, uint64_t fdt)
{
    E2kCpu *cpu = machine->cpus[n]->cpu;
    uint64_t args[] = { n, area->bootblock, fdt };
    uint64_t code_bytes = area->ram_end - code_base;

    set_stacks(area, cpu, n);
    set_descriptor(cpu, SR_OSCUD_HI, SR_OSCUD_LO, code_base, code_bytes);
    set_descriptor(cpu, SR_CUD_HI, SR_CUD_LO, code_base, code_bytes);
    set_descriptor(cpu, SR_OSGD_HI, SR_OSGD_LO, code_base, code_bytes);
    set_descriptor(cpu, SR_GD_HI, SR_GD_LO, code_base, code_bytes);
    cpu->psr = PSR_PM;
    stacks_push_frame(cpu, area->stub, 0);
    cpu->wsz = cpu->psize = ENTRY_WSZ;
    for (unsigned i = 0; i < 2 * ENTRY_WSZ; i++) {
        cpu->win[i].lo = i < G_N_ELEMENTS(args) ? args[i] : 0;
        cpu->win[i].ext = 0;
        cpu->win_tags[i] = 0;
    }
    cpu->ip = entry;
}
