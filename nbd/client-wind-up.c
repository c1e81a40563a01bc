/*
 * All clients, for the end of the program: a thread that lives only then
 * looks once a second which connections are silent.
 */
#include "nbd/client-int.h"

static GMutex lock;
static GCond stop;
static GPtrArray *clients; /* lock; NULL: none yet */
static GThread *thread;    /* of the one who winds up */
static int winding_up;     /* atomic; set with the lock held */

bool nbd_clients_winding_up(void)
{
    return __atomic_load_n(&winding_up, __ATOMIC_ACQUIRE);
}

void nbd_client_register(NbdClient *client)
{
    g_mutex_lock(&lock);
    if (!clients) {
        clients = g_ptr_array_new();
    }
    g_ptr_array_add(clients, client);
    g_mutex_unlock(&lock);
}

void nbd_client_unregister(NbdClient *client)
{
    g_mutex_lock(&lock);
    if (clients) {
        g_ptr_array_remove_fast(clients, client);
    }
    g_mutex_unlock(&lock);
}

static gpointer watch(gpointer unused)
{
    g_mutex_lock(&lock);
    while (winding_up) {
        for (guint i = 0; i < clients->len; i++) {
            nbd_client_look(g_ptr_array_index(clients, i));
        }
        g_cond_wait_until(&stop, &lock,
                          g_get_monotonic_time() + G_TIME_SPAN_SECOND);
    }
    g_mutex_unlock(&lock);
    return NULL;
}

void nbd_clients_wind_up(bool on)
{
    bool any;

    g_mutex_lock(&lock);
    any = clients && clients->len;
    __atomic_store_n(&winding_up, on, __ATOMIC_RELEASE);
    g_cond_broadcast(&stop);
    g_mutex_unlock(&lock);
    if (on && any && !thread) {
        thread = g_thread_new("nbd-wind-up", watch, NULL);
    } else if (!on && thread) {
        g_thread_join(g_steal_pointer(&thread));
    }
}
