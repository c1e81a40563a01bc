/*
 * The list of boards, and the one without anything.
 */
#include "hw/board.h"

static bool none_build(Machine *machine, const BoardConfig *config,
                       GError **error)
{
    if (config->kernel) {
        g_set_error(error, SYSTEM_ERROR, 0,
                    "machine 'none' has no CPU to run '%s'", config->kernel);
        return false;
    }
    machine->mem = physmem_new(PHYS_PAGE_BYTES, error);
    return machine->mem != NULL;
}

static bool none_plug(Machine *machine, VirtioDevice *vdev, GError **error)
{
    g_set_error(error, SYSTEM_ERROR, 0,
                "machine 'none' has no bus for device '%s'", vdev->id);
    return false;
}

static bool none_finish(Machine *machine, GError **error)
{
    return true;
}

const BoardClass board_none = {
    .name = "none",
    .help = "empty machine, for block and monitor work",
    .default_cpu = "e8c",
    .max_cpus = 1,
    .default_ram_bytes = PHYS_PAGE_BYTES,
    .drive_interface = "none",
    .build = none_build,
    .plug_virtio = none_plug,
    .finish = none_finish,
};

static const BoardClass *const boards[] = {
    &board_virt,
    &board_virt_epic,
    &board_e8c,
    &board_e8c2,
    &board_e2s,
    &board_e1cp,
    &board_none,
};

const BoardClass *board_nth(unsigned n)
{
    return n < G_N_ELEMENTS(boards) ? boards[n] : NULL;
}

const BoardClass *board_find(const char *name)
{
    const BoardClass *board;

    for (unsigned n = 0; (board = board_nth(n)); n++) {
        if (!g_strcmp0(board->name, name)) {
            return board;
        }
    }
    return NULL;
}

int board_pci_place(const BoardPci *pci, unsigned *pin, GError **error)
{
    int slot = pci_free_slot(pci->host, pci->parent, pci->first_slot);

    if (slot < 0) {
        g_set_error(error, SYSTEM_ERROR, 0, "the PCI bus has no free slot");
        return -1;
    }
    *pin = pci->pins[slot % G_N_ELEMENTS(pci->pins)];
    return slot;
}
