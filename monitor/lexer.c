/*
 * Cuts a byte stream into JSON texts without parsing them: brackets are
 * counted, strings skipped.  Strings in single quotes, which QMP also takes,
 * are rewritten with double quotes on the way.
 */
#include "monitor/monitor-int.h"

#include <string.h>

#define MAX_TEXT (64 * 1024 * 1024)
#define MAX_NESTING 1024

struct MonitorLexer {
    GString *text;
    unsigned depth;
    char quote; /* inside a string that ends with this; 0: outside */
    bool escaped;
    bool skipping; /* after an error: until the end of the line */
};

MonitorLexer *monitor_lexer_new(void)
{
    MonitorLexer *lexer = g_new0(MonitorLexer, 1);

    lexer->text = g_string_new(NULL);
    return lexer;
}

void monitor_lexer_free(MonitorLexer *lexer)
{
    if (lexer) {
        g_string_free(lexer->text, TRUE);
        g_free(lexer);
    }
}

static void reset(MonitorLexer *lexer)
{
    g_string_set_size(lexer->text, 0);
    lexer->depth = 0;
    lexer->quote = 0;
    lexer->escaped = false;
}

/* A character inside a string. */
static void string_char(MonitorLexer *lexer, char c)
{
    if (lexer->escaped) {
        lexer->escaped = false;
        if (c == '\'') {
            /* \' is no JSON escape: drop the backslash. */
            g_string_truncate(lexer->text, lexer->text->len - 1);
        }
        g_string_append_c(lexer->text, c);
        return;
    }
    if (c == '\\') {
        lexer->escaped = true;
        g_string_append_c(lexer->text, c);
    } else if (c == lexer->quote) {
        lexer->quote = 0;
        g_string_append_c(lexer->text, '"');
    } else if (c == '"') {
        g_string_append(lexer->text, "\\\"");
    } else {
        g_string_append_c(lexer->text, c);
    }
}

/* Outside of strings; returns a complaint or NULL.  *done: text complete. */
static const char *plain_char(MonitorLexer *lexer, char c, bool *done)
{
    switch (c) {
    case '"':
    case '\'':
        lexer->quote = c;
        g_string_append_c(lexer->text, '"');
        break;
    case '{':
    case '[':
        if (++lexer->depth > MAX_NESTING) {
            return "JSON nesting depth limit exceeded";
        }
        g_string_append_c(lexer->text, c);
        break;
    case '}':
    case ']':
        if (!lexer->depth) {
            return "JSON parse error, expecting value";
        }
        g_string_append_c(lexer->text, c);
        *done = --lexer->depth == 0;
        break;
    default:
        if ((unsigned char)c < 0x20 && !strchr("\t\n\r", c)) {
            return "JSON parse error, stray control character";
        }
        g_string_append_c(lexer->text, c);
        break;
    }
    return NULL;
}

/* A text outside of any bracket ends at a line end: it is no object. */
static const char *top_level(MonitorLexer *lexer, char c)
{
    if (lexer->depth || lexer->quote || !lexer->text->len || c != '\n') {
        return NULL;
    }
    return "JSON parse error, expecting value";
}

void monitor_lexer_feed(MonitorLexer *lexer, const char *data, size_t size,
                        MonitorTextFn *fn, void *opaque)
{
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        const char *error = NULL;
        bool done = false;

        if (lexer->skipping) {
            lexer->skipping = c != '\n';
            continue;
        }
        if (!lexer->text->len && strchr(" \t\r\n", c) && c) {
            continue;
        }
        if (lexer->quote) {
            string_char(lexer, c);
        } else {
            error = top_level(lexer, c);
            if (!error) {
                error = plain_char(lexer, c, &done);
            }
        }
        if (!error && lexer->text->len > MAX_TEXT) {
            error = "JSON token size limit exceeded";
        }
        if (error) {
            fn(opaque, NULL, 0, error);
            lexer->skipping = c != '\n';
            reset(lexer);
        } else if (done) {
            fn(opaque, lexer->text->str, lexer->text->len, NULL);
            reset(lexer);
        }
    }
}
