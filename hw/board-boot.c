/*
 * The common part of building and resetting boards; see board-boot.h.
 */
#include "hw/board-boot.h"

#include <string.h>

#include "system/sys-cpu.h"

enum {
    MIN_RAM_BYTES = 16 << 20,
    RAM_ALIGN = 1 << 20,
    INITRD_ALIGN = 1 << 16,
};

static void map_ram(Machine *machine, BoardBoot *boot)
{
    uint64_t bytes = boot->config.ram_bytes;

    boot->ram_low = MIN(bytes, BOARD_RAM_LOW_MAX);
    physmem_map_ram(machine->mem, 0, boot->ram_low, 0);
    if (bytes > BOARD_RAM_LOW_MAX) {
        /* The low part answers at both addresses. */
        physmem_map_ram(machine->mem, BOARD_RAM_ALIAS, bytes, 0);
    }
}

static bool load_initrd(BoardBoot *boot, GError **error)
{
    if (!boot->config.initrd) {
        return true;
    }
    boot->initrd = load_file(boot->config.initrd, boot->ram_low,
                             &boot->initrd_bytes, error);
    if (!boot->initrd) {
        return false;
    }
    uint64_t image_end = boot->image ? boot->image->end : 0;

    if (boot->initrd_bytes + INITRD_ALIGN > boot->area.base - image_end) {
        g_set_error(error, SYSTEM_ERROR, 0, "initrd '%s' does not fit beside "
                    "the kernel: give the machine more memory with -m",
                    boot->config.initrd);
        return false;
    }
    boot->initrd_base = (boot->area.base - boot->initrd_bytes) &
                        ~(uint64_t)(INITRD_ALIGN - 1);
    return true;
}

bool board_boot_init(BoardBoot *boot, const char *name, Machine *machine,
                     const BoardConfig *config, GError **error)
{
    boot->config = *config;
    if (config->ram_bytes < MIN_RAM_BYTES || config->ram_bytes % RAM_ALIGN) {
        g_set_error(error, SYSTEM_ERROR, 0, "machine '%s' needs at least "
                    "%u MiB of memory, in whole MiB", name,
                    MIN_RAM_BYTES >> 20);
        return false;
    }
    if (config->append && strlen(config->append) > BOOT_ARGS_MAX) {
        g_set_error(error, SYSTEM_ERROR, 0, "-append takes at most %u "
                    "characters", BOOT_ARGS_MAX);
        return false;
    }
    machine->mem = physmem_new(config->ram_bytes, error);
    if (!machine->mem ||
        !machine_add_cpus(machine, config->model, config->n_cpus, error)) {
        return false;
    }
    map_ram(machine, boot);
    boot_area_init(&boot->area, boot->ram_low, config->n_cpus);
    if (config->kernel) {
        boot->image = image_load(config->kernel, config->model->isa,
                                 config->raw_base, boot->area.base, error);
        if (!boot->image) {
            return false;
        }
    }
    return load_initrd(boot, error);
}

void board_boot_clear(BoardBoot *boot)
{
    image_free(boot->image);
    g_free(boot->initrd);
    g_free(boot->fdt);
}

void board_boot_reset(BoardBoot *boot, Machine *machine, BootInfo *info,
                      bool all_enter)
{
    uint64_t entry = 0, code_base = 0;

    info->args = boot->config.append ? boot->config.append : "";
    info->bank_bytes[0] = boot->ram_low;
    info->bank_base[1] = BOARD_RAM_ALIAS + BOARD_RAM_LOW_MAX;
    info->bank_bytes[1] = boot->config.ram_bytes - boot->ram_low;
    info->n_cpus = all_enter ? machine->n_cpus : 1;
    info->fdt = boot->fdt ? boot->area.fdt : 0;
    info->cpu_type = machine->model->mdl;
    info->initrd_base = boot->initrd_base;
    info->initrd_bytes = boot->initrd_bytes;
    if (boot->image) {
        image_place(boot->image, machine->mem);
        entry = boot->image->entry;
        code_base = boot->image->base & ~(uint64_t)(PHYS_PAGE_BYTES - 1);
        info->kernel_base = code_base;
        info->kernel_bytes = boot->image->end - code_base;
    }
    if (boot->initrd) {
        physmem_write(machine->mem, boot->initrd_base, boot->initrd,
                      boot->initrd_bytes);
    }
    if (boot->fdt) {
        physmem_write(machine->mem, boot->area.fdt, boot->fdt,
                      boot->fdt_bytes);
    }
    boot_write_tables(&boot->area, machine->mem, info);
    for (unsigned i = 0; i < machine->n_cpus; i++) {
        boot_set_cpu(&boot->area, machine, i, entry, code_base, info->fdt);
        machine->cpus[i]->waits_for_startup = i > 0 && !all_enter;
    }
}
