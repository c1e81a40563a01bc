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
    &board_e12c,
    &board_e16c,
    &board_e2c3,
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

/* The names of the buses, for people. */
static char *list_buses(const BoardPci *pci)
{
    GString *text = g_string_new(NULL);

    if (pci->has_slots) {
        g_string_append(text, "pci.0");
    }
    for (unsigned i = 0; i < pci->n_ports; i++) {
        g_string_append_printf(text, "%s%s", text->len ? ", " : "",
                               pci->ports[i]->device.id);
    }
    return g_string_free(text, FALSE);
}

static bool is_slots(const char *bus)
{
    return !bus || !g_strcmp0(bus, "pci.0") || !g_strcmp0(bus, "pcie.0");
}

bool board_pci_place(const BoardPci *pci, const char *bus,
                     BoardPciPlace *place, GError **error)
{
    g_autofree char *known = list_buses(pci);
    bool exists = pci->has_slots && is_slots(bus);
    int slot = exists ? pci_free_slot(pci->host, pci->parent, pci->first_slot)
                      : -1;

    if (slot >= 0) {
        *place = (BoardPciPlace){
            pci->parent, slot, pci->pins[slot % G_N_ELEMENTS(pci->pins)]
        };
        return true;
    }
    for (unsigned i = 0; i < pci->n_ports; i++) {
        bool meant = !bus || !g_strcmp0(bus, pci->ports[i]->device.id);

        exists = exists || meant;
        if (meant && pci_free_slot(pci->host, pci->ports[i], 0) == 0) {
            *place = (BoardPciPlace){ pci->ports[i], 0, pci->pins[0] };
            return true;
        }
    }
    if (exists) {
        g_set_error(error, SYSTEM_ERROR, 0, "PCI bus '%s' has no free slot",
                    bus ? bus : known);
    } else {
        g_set_error(error, SYSTEM_ERROR, 0, "there is no PCI bus '%s'; there "
                    "are: %s", bus, known);
    }
    return false;
}
