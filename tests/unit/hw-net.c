/*
 * User networking: the host of the private network answers ARP, and what is
 * no forward is refused.
 */
#include <string.h>

#include <glib.h>

#include "hw/net.h"

typedef struct Card {
    GMutex lock;
    GCond came;
    uint8_t frame[2048];
    size_t n;
} Card;

static void receive(void *opaque, const uint8_t *frame, size_t n)
{
    Card *card = opaque;

    g_mutex_lock(&card->lock);
    if (n <= sizeof(card->frame) && n >= 42 && frame[12] == 8 &&
        frame[13] == 6) {
        memcpy(card->frame, frame, n);
        card->n = n;
        g_cond_signal(&card->came);
    }
    g_mutex_unlock(&card->lock);
}

/* "Who has 10.0.2.2?" from 10.0.2.15. */
static const uint8_t who_has[60] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56,
    8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
    0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15,
    0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
};

static void test_arp(void)
{
    g_autoptr(GError) error = NULL;
    NetUserOptions options = { .restricted = true };
    NetBackend *net = net_user_new("n0", &options, &error);
    Card card = { .n = 0 };

    if (!net) {
        g_test_skip(error->message);
        return;
    }
    g_assert_true(net_attach(net, receive, &card));
    g_assert_false(net_attach(net, receive, &card));
    net_send(net, who_has, sizeof(who_has));
    gint64 end = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;

    g_mutex_lock(&card.lock);
    while (!card.n && g_cond_wait_until(&card.came, &card.lock, end)) {
    }
    g_assert_cmpuint(card.n, >=, 42);
    g_assert_cmpint(card.frame[21], ==, 2); /* a reply */
    g_assert_cmpmem(card.frame + 28, 4, "\x0a\x00\x02\x02", 4);
    g_assert_cmpmem(card.frame, 6, who_has + 6, 6);
    g_mutex_unlock(&card.lock);
    net_detach(net);
    net_free(net);
}

static void test_forwards(void)
{
    static const char *const bad[] = { "", "tcp", "tcp::1", "tcp::1-",
                                       "icmp::1-:2", "tcp:nowhere:1-:2" };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        const char *forwards[] = { bad[i], NULL };
        NetUserOptions options = { .forwards = forwards };

        g_assert_null(net_user_new("n0", &options, &error));
        g_assert_nonnull(error);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/net/arp", test_arp);
    g_test_add_func("/hw/net/forwards", test_forwards);
    return g_test_run();
}
