/*
 * The monitor on mutated input: every byte stream gives replies or
 * complaints, and the lexer cuts the same texts however the bytes arrive.
 */
#include "monitor/block-commands.h"
#include "monitor/monitor-int.h"

#include <string.h>

static const char *const seeds[] = {
    "{\"execute\":\"query-version\"}",
    "{'execute':'blockdev-add','arguments':{'driver':'raw','node-name':'n',"
    "'file':{'driver':'null-co','size':1048576}}}",
    "{\"execute\":\"block-dirty-bitmap-add\",\"arguments\":{\"node\":\"n\","
    "\"name\":\"b\",\"granularity\":65536}}",
    "{\"execute\":\"block-dirty-bitmap-merge\",\"arguments\":{\"node\":"
    "\"n\",\"target\":\"b\",\"bitmaps\":[\"b\",{\"node\":\"n\",\"name\":"
    "\"b\"}]}}",
    "{\"execute\":\"transaction\",\"arguments\":{\"actions\":[{\"type\":"
    "\"block-dirty-bitmap-clear\",\"data\":{\"node\":\"n\",\"name\":\"b\"}},"
    "{\"type\":\"abort\",\"data\":{}}]}}",
    "{\"execute\":\"blockdev-reopen\",\"arguments\":{\"options\":[{"
    "\"driver\":\"raw\",\"node-name\":\"n\",\"file\":{\"driver\":"
    "\"null-co\"}}]}}",
    "{\"execute\":\"blockdev-del\",\"arguments\":{\"node-name\":\"n\"}}",
    "{\"execute\":\"query-qmp-schema\",\"id\":[1,null,{\"a\":\"\\u00e9\"}]}",
};

static void collect(void *opaque, const char *text, size_t length,
                    const char *error)
{
    g_ptr_array_add(opaque, error ? g_strdup_printf("!%s", error)
                                  : g_strndup(text, length));
}

/* Feeds in pieces of random size, or whole (whole true). */
static GPtrArray *cut(const char *data, size_t size, bool whole)
{
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
    MonitorLexer *lexer = monitor_lexer_new();

    while (size) {
        size_t piece = g_test_rand_int_range(1, 9);
        size_t n = whole ? size : MIN(size, piece);

        monitor_lexer_feed(lexer, data, n, collect, texts);
        data += n;
        size -= n;
    }
    monitor_lexer_free(lexer);
    return texts;
}

static void test_cutting(void)
{
    for (int round = 0; round < 2000; round++) {
        g_autoptr(GString) stream = g_string_new(NULL);
        g_autoptr(GPtrArray) once = NULL;
        g_autoptr(GPtrArray) pieces = NULL;

        for (int i = 0; i < 4; i++) {
            g_string_append(stream, seeds[g_test_rand_int_range(
                                        0, G_N_ELEMENTS(seeds))]);
            if (g_test_rand_int_range(0, 2)) {
                g_string_append_c(stream, '\n');
            }
        }
        for (int i = g_test_rand_int_range(0, 4); i > 0; i--) {
            stream->str[g_test_rand_int_range(0, stream->len)] =
                g_test_rand_int_range(0, 256);
        }
        once = cut(stream->str, stream->len, true);
        pieces = cut(stream->str, stream->len, false);
        g_assert_cmpuint(once->len, ==, pieces->len);
        for (guint i = 0; i < once->len; i++) {
            g_assert_cmpstr(g_ptr_array_index(once, i), ==,
                            g_ptr_array_index(pieces, i));
        }
    }
}

static json_t *random_value(void)
{
    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        return json_integer(g_test_rand_int());
    case 1:
        return json_integer(INT64_MIN);
    case 2:
        return json_string("n");
    case 3:
        return json_object();
    case 4:
        return json_array();
    case 5:
        return json_null();
    case 6:
        return json_true();
    default:
        return json_real(1e300);
    }
}

/* Replaces, removes or adds something somewhere below. */
static void mutate(json_t *value)
{
    if (json_is_object(value) && json_object_size(value)) {
        void *iter = json_object_iter(value);

        for (int i = g_test_rand_int_range(0, json_object_size(value));
             i > 0; i--) {
            iter = json_object_iter_next(value, iter);
        }
        switch (g_test_rand_int_range(0, 6)) {
        case 0:
            json_object_iter_set_new(value, iter, random_value());
            break;
        case 1:
            json_object_del(value, json_object_iter_key(iter));
            break;
        case 2:
            json_object_set_new(value, "extra.key", random_value());
            break;
        default:
            mutate(json_object_iter_value(iter));
            break;
        }
    } else if (json_is_array(value)) {
        if (json_array_size(value) && g_test_rand_int_range(0, 2)) {
            mutate(json_array_get(value, 0));
        } else {
            json_array_append_new(value, random_value());
        }
    }
}

/* Commands run for real, on whatever the mutation left of them. */
static void test_commands(void)
{
    for (int round = 0; round < 4000; round++) {
        const char *seed = seeds[g_test_rand_int_range(0,
                                                       G_N_ELEMENTS(seeds))];
        g_autoptr(GPtrArray) texts = cut(seed, strlen(seed), true);
        json_t *request = json_loads(g_ptr_array_index(texts, 0), 0, NULL);
        json_t *reply;

        g_assert_nonnull(request);
        for (int i = g_test_rand_int_range(0, 3); i > 0; i--) {
            mutate(request);
        }
        reply = monitor_run(request);
        g_assert_true(json_object_get(reply, "return") ||
                      json_object_get(reply, "error"));
        json_decref(reply);
        json_decref(request);
    }
    monitor_block_shutdown();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    monitor_init("test");
    monitor_register_block();
    g_test_add_func("/monitor-input/cutting", test_cutting);
    g_test_add_func("/monitor-input/commands", test_commands);
    return g_test_run();
}
