/*
 * See lookup.h.  The thread and the one who waits for it share a Lookup; the
 * last of the two frees it.
 */
#include "nbd/lookup.h"

#include <string.h>

#include <glib.h>

#define LOOK_MS 100 /* how often give_up() is asked */

typedef struct Lookup {
    char *host, *port;
    struct addrinfo hints;
    GMutex lock; /* protects what follows */
    GCond ended;
    bool done, abandoned;
    int ret;
    struct addrinfo *list;
} Lookup;

static void lookup_free(Lookup *l)
{
    if (l->list) {
        freeaddrinfo(l->list);
    }
    g_mutex_clear(&l->lock);
    g_cond_clear(&l->ended);
    g_free(l->host);
    g_free(l->port);
    g_free(l);
}

static gpointer lookup_thread(gpointer opaque)
{
    Lookup *l = opaque;
    struct addrinfo *list = NULL;
    int ret = getaddrinfo(l->host, l->port, &l->hints, &list);
    bool abandoned;

    g_mutex_lock(&l->lock);
    l->done = true;
    l->ret = ret;
    l->list = ret == 0 ? list : NULL;
    abandoned = l->abandoned;
    g_cond_signal(&l->ended);
    g_mutex_unlock(&l->lock);
    if (abandoned) {
        lookup_free(l);
    }
    return NULL;
}

/* Waits for the thread, or leaves the rest to it. */
static int lookup_wait(Lookup *l, bool (*give_up)(void),
                       struct addrinfo **list)
{
    int ret;

    g_mutex_lock(&l->lock);
    while (!l->done && !l->abandoned) {
        gint64 until = g_get_monotonic_time() + LOOK_MS * G_TIME_SPAN_MILLISECOND;

        if (!g_cond_wait_until(&l->ended, &l->lock, until) && !l->done) {
            l->abandoned = give_up();
        }
    }
    if (l->abandoned) {
        g_mutex_unlock(&l->lock);
        return EAI_CANCELED;
    }
    ret = l->ret;
    *list = g_steal_pointer(&l->list);
    g_mutex_unlock(&l->lock);
    lookup_free(l);
    return ret;
}

int nbd_lookup(const char *host, const char *port,
               const struct addrinfo *hints, bool (*give_up)(void),
               struct addrinfo **list)
{
    struct addrinfo numeric = *hints;
    GThread *thread;
    Lookup *l;
    int ret;

    /* Numbers, and services, are found without asking anybody. */
    numeric.ai_flags |= AI_NUMERICHOST;
    ret = getaddrinfo(host, port, &numeric, list);
    if (ret != EAI_NONAME) {
        return ret;
    }
    if (!give_up) {
        return getaddrinfo(host, port, hints, list);
    }
    l = g_new0(Lookup, 1);
    l->host = g_strdup(host);
    l->port = g_strdup(port);
    l->hints = *hints;
    g_mutex_init(&l->lock);
    g_cond_init(&l->ended);
    thread = g_thread_try_new("nbd-lookup", lookup_thread, l, NULL);
    if (!thread) {
        lookup_free(l);
        return EAI_MEMORY;
    }
    g_thread_unref(thread);
    return lookup_wait(l, give_up, list);
}
