/* The -d and -D options: item parsing, errors, and what reaches the log. */
#include "util/log.h"

#include <string.h>

#include <glib/gstdio.h>

static void test_items(void)
{
    g_autoptr(GError) error = NULL;

    log_mask = 0;
    g_assert_true(log_set_items("in_asm,int", &error));
    g_assert_no_error(error);
    g_assert_cmpuint(log_mask, ==, LOG_IN_ASM | LOG_INT);
}

static void test_unknown_item(void)
{
    g_autoptr(GError) error = NULL;

    log_mask = 0;
    g_assert_false(log_set_items("int,nonsense", &error));
    g_assert_nonnull(strstr(error->message, "nonsense"));
    g_assert_cmpuint(log_mask, ==, 0);
}

static void test_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("e2k-log-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "log", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    log_mask = LOG_INT;
    g_assert_true(log_set_file(path, &error));
    log_printf(LOG_INT, "seen %d\n", 1);
    log_printf(LOG_MMU, "not seen\n");
    g_assert_true(g_file_get_contents(path, &text, NULL, &error));
    g_assert_cmpstr(text, ==, "seen 1\n");
    g_unlink(path);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/items", test_items);
    g_test_add_func("/log/unknown-item", test_unknown_item);
    g_test_add_func("/log/file", test_file);
    return g_test_run();
}
