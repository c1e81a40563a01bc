/* The end of the program; see wind-up.h. */
#include "block/wind-up.h"

#include "nbd/client.h"

static int winding_up; /* atomic */

bool block_winding_up(void)
{
    return __atomic_load_n(&winding_up, __ATOMIC_RELAXED);
}

static void set(bool on)
{
    if (__atomic_exchange_n(&winding_up, on, __ATOMIC_RELAXED) != on) {
        nbd_clients_wind_up(on);
    }
}

void block_wind_up_begin(void)
{
    set(true);
}

void block_wind_up_end(void)
{
    set(false);
}
