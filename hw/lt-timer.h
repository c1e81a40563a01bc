/*
 * The Elbrus system timer; irq gets an edge at each limit.
 */
#ifndef HW_LT_TIMER_H
#define HW_LT_TIMER_H

#include "system/device.h"
#include "system/irq.h"

Device *lt_timer_new(Machine *machine, const char *id, Irq irq);

#endif
