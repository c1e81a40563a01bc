/*
 * Small devices of virt: power and test control, clock, simulator console.
 */
#ifndef HW_MISC_H
#define HW_MISC_H

#include "hw/serial.h"
#include "system/device.h"
#include "system/irq.h"

/*
 * Ends or resets the machine when the guest says so; "power" of QMP's
 * system_powerdown raises irq until the guest clears it.
 */
Device *power_new(Machine *machine, const char *id, Irq irq);

/* Wall-clock time. */
Device *rtc_new(Machine *machine, const char *id);

/* The I/O port area with the simulator's debug console (LMS). */
Device *lms_ports_new(Machine *machine, const char *id, const CharSink *sink,
                      void *sink_opaque);

#endif
