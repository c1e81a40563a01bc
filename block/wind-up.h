/*
 * The end of the program, as those see it who make requests wait.
 *
 * From the beginning of winding up nothing may wait for a person or for a
 * clock: breakpoints and limits let everybody pass, lost servers are not
 * looked for again, and silent ones are given up (nbd_clients_wind_up).
 * What is under way may still succeed, so that images are closed properly.
 */
#ifndef BLOCK_WIND_UP_H
#define BLOCK_WIND_UP_H

#include <stdbool.h>

/* How often those who wait look at block_winding_up(). */
#define BLOCK_WIND_UP_LOOK_US 100000

/* From one thread, without locks; begin more than once is begin. */
void block_wind_up_begin(void);
void block_wind_up_end(void);

/* Any thread. */
bool block_winding_up(void);

#endif
