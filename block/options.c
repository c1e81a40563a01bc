/*
 * Spellings of option trees (text, flat, nested) and typed getters; see
 * options.h.
 */
#include "block/options.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_DEPTH 16 /* nesting of a description: deeper ones are hostile */

GQuark block_error_quark(void)
{
    return g_quark_from_static_string("block-error");
}

int block_error_errno(const GError *error)
{
    return error && error->domain == BLOCK_ERROR && error->code > 0
               ? error->code : EINVAL;
}

void block_error_set_errno(GError **error, int errnum, const char *format,
                           ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    errnum = ABS(errnum);
    g_set_error(error, BLOCK_ERROR, errnum, "%s: %s", text,
                g_strerror(errnum));
}

/* ---- Text --------------------------------------------------------------- */

/* Takes one "k=v" (with ",," for a comma) off *text. */
static char *next_pair(const char **text)
{
    GString *pair = g_string_new(NULL);
    const char *p = *text;

    while (*p) {
        if (*p == ',') {
            if (p[1] != ',') {
                p++;
                break;
            }
            p++;
        }
        g_string_append_c(pair, *p++);
    }
    *text = p;
    return g_string_free(pair, FALSE);
}

static json_t *text_value(const char *text, GError **error)
{
    json_t *value = json_string(text);

    if (!value) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Invalid UTF-8 in option value");
    }
    return value;
}

json_t *block_options_parse(const char *text, const char *implied,
                            GError **error)
{
    json_t *flat = json_object();
    bool first = true;

    while (*text) {
        g_autofree char *pair = next_pair(&text);
        char *equals = strchr(pair, '=');
        const char *key = pair;
        const char *word;
        json_t *value;

        if (equals) {
            *equals = '\0';
            word = equals + 1;
        } else if (first && implied) {
            key = implied;
            word = pair;
        } else if (g_str_has_prefix(pair, "no") && pair[2] &&
                   strcmp(pair, "node-name") != 0) {
            key = pair + 2;
            word = "off";
        } else {
            word = "on";
        }
        first = false;
        if (!*key) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "Invalid parameter ''");
            json_decref(flat);
            return NULL;
        }
        value = text_value(word, error);
        if (!value || json_object_set_new(flat, key, value) < 0) {
            if (value) {
                g_set_error(error, BLOCK_ERROR, EINVAL,
                            "Invalid parameter '%s'", key);
            }
            json_decref(flat);
            return NULL;
        }
    }
    return flat;
}

json_t *block_json_parse(const char *text, json_error_t *where)
{
    g_autoptr(GString) strict = g_string_new(NULL);
    char quote = 0; /* of the string we are in */

    for (const char *p = text; *p; p++) {
        if (!quote) {
            quote = *p == '"' || *p == '\'' ? *p : 0;
            g_string_append_c(strict, quote ? '"' : *p);
        } else if (*p == '\\' && p[1]) {
            if (*++p != '\'') {
                g_string_append_c(strict, '\\');
            }
            g_string_append_c(strict, *p);
        } else if (*p == quote) {
            g_string_append_c(strict, '"');
            quote = 0;
        } else {
            g_string_append(strict, *p == '"' ? "\\\"" : (char[]){ *p, 0 });
        }
    }
    return json_loads(strict->str, JSON_REJECT_DUPLICATES, where);
}

json_t *block_options_parse_any(const char *text, const char *implied,
                                GError **error)
{
    json_error_t where;
    json_t *tree;
    json_t *flat;

    if (*text == '{') {
        tree = block_json_parse(text, &where);
        if (!tree) {
            g_set_error(error, BLOCK_ERROR, EINVAL, "JSON parse error, %s",
                        where.text);
        }
        return tree;
    }
    flat = block_options_parse(text, implied, error);
    if (!flat) {
        return NULL;
    }
    tree = block_options_nest(flat, error);
    json_decref(flat);
    return tree;
}

/* ---- Flat and nested ---------------------------------------------------- */

/* Objects whose keys are exactly 0..n-1 become arrays, innermost first. */
static json_t *lists_from_numbers(json_t *object)
{
    size_t n = json_object_size(object);
    const char *key;
    void *tmp;
    json_t *value;
    json_t *list;

    json_object_foreach_safe(object, tmp, key, value) {
        if (json_is_object(value)) {
            json_t *better = lists_from_numbers(value);

            if (better != value) {
                json_object_set_new(object, key, better);
            }
        }
    }
    if (!n || !json_object_get(object, "0")) {
        return object;
    }
    list = json_array();
    for (size_t i = 0; i < n; i++) {
        char index[24];

        g_snprintf(index, sizeof(index), "%zu", i);
        value = json_object_get(object, index);
        if (!value) {
            json_decref(list);
            return object;
        }
        json_array_append(list, value);
    }
    return list;
}

static bool nest_one(json_t *top, const char *key, json_t *value,
                     GError **error)
{
    g_auto(GStrv) parts = g_strsplit(key, ".", -1);
    json_t *at = top;
    size_t n = g_strv_length(parts);

    if (n > MAX_DEPTH) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter '%s' is nested too deeply", key);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        json_t *next = json_object_get(at, parts[i]);
        bool last = i + 1 == n;

        if (!*parts[i] || (last && next) ||
            (!last && next && !json_is_object(next))) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        *parts[i] ? "Cannot mix scalar and non-scalar keys "
                                    "at '%s'"
                                  : "Invalid parameter '%s'", key);
            return false;
        }
        if (last) {
            json_object_set(at, parts[i], value);
        } else if (!next) {
            next = json_object();
            json_object_set_new(at, parts[i], next);
        }
        at = next;
    }
    return true;
}

json_t *block_options_nest(json_t *flat, GError **error)
{
    json_t *nested = json_object();
    const char *key;
    json_t *value;
    json_t *whole;

    /* Members that are already nested first, so that "a.b" can join "a". */
    json_object_foreach(flat, key, value) {
        if (!strchr(key, '.')) {
            json_object_set_new(nested, key, json_deep_copy(value));
        }
    }
    json_object_foreach(flat, key, value) {
        if (strchr(key, '.') && !nest_one(nested, key, value, error)) {
            json_decref(nested);
            return NULL;
        }
    }
    whole = lists_from_numbers(nested);
    if (whole != nested) {
        json_decref(nested);
    }
    return whole;
}

static void flatten_into(json_t *flat, const char *prefix, json_t *value)
{
    const char *key;
    json_t *member;
    size_t index;

    if (json_is_object(value) && (json_object_size(value) || !*prefix)) {
        json_object_foreach(value, key, member) {
            g_autofree char *path = *prefix
                ? g_strdup_printf("%s.%s", prefix, key) : g_strdup(key);

            flatten_into(flat, path, member);
        }
    } else if (json_is_array(value) && json_array_size(value)) {
        json_array_foreach(value, index, member) {
            g_autofree char *path = g_strdup_printf("%s.%zu", prefix, index);

            flatten_into(flat, path, member);
        }
    } else {
        json_object_set(flat, prefix, value);
    }
}

json_t *block_options_flatten(json_t *nested)
{
    json_t *flat = json_object();

    flatten_into(flat, "", nested);
    return flat;
}

json_t *block_options_merge(json_t *a, json_t *b)
{
    json_t *merged = a ? json_deep_copy(a) : json_object();
    const char *key;
    json_t *value;

    json_object_foreach(b, key, value) {
        json_t *old = json_object_get(merged, key);

        json_object_set_new(merged, key,
                            json_is_object(old) && json_is_object(value)
                                ? block_options_merge(old, value)
                                : json_deep_copy(value));
    }
    return merged;
}

/* ---- Typed access ------------------------------------------------------- */

json_t *block_options_get(json_t *options, const char *key)
{
    json_t *value = json_object_get(options, key);
    const char *dot = strchr(key, '.');

    if (!value && dot) {
        g_autofree char *head = g_strndup(key, dot - key);

        value = json_object_get(options, head);
        return value ? block_options_get(value, dot + 1) : NULL;
    }
    return value;
}

static bool wrong_type(const char *key, const char *wanted, GError **error)
{
    g_set_error(error, BLOCK_ERROR, EINVAL,
                "Invalid parameter type for '%s', expected: %s", key, wanted);
    return false;
}

bool block_options_string(json_t *options, const char *key,
                          const char **value, GError **error)
{
    json_t *json = block_options_get(options, key);

    if (!json) {
        return true;
    }
    if (!json_is_string(json)) {
        return wrong_type(key, "string", error);
    }
    *value = json_string_value(json);
    return true;
}

bool block_options_bool(json_t *options, const char *key, bool *value,
                        GError **error)
{
    static const char *const words[] = { "off", "on", "no", "yes", "false",
                                         "true", "n", "y" };
    json_t *json = block_options_get(options, key);

    if (!json) {
        return true;
    }
    if (json_is_boolean(json)) {
        *value = json_is_true(json);
        return true;
    }
    for (size_t i = 0; json_is_string(json) && i < G_N_ELEMENTS(words); i++) {
        if (!strcmp(json_string_value(json), words[i])) {
            *value = i & 1;
            return true;
        }
    }
    if (json_is_string(json)) {
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter '%s' expects 'on' or 'off'", key);
        return false;
    }
    return wrong_type(key, "boolean", error);
}

bool block_options_int(json_t *options, const char *key, int64_t *value,
                       GError **error)
{
    json_t *json = block_options_get(options, key);
    char *end = NULL;

    if (!json) {
        return true;
    }
    if (json_is_integer(json)) {
        *value = json_integer_value(json);
        return true;
    }
    if (json_is_string(json) && *json_string_value(json)) {
        errno = 0;
        *value = g_ascii_strtoll(json_string_value(json), &end, 0);
        if (!*end && !errno) {
            return true;
        }
        g_set_error(error, BLOCK_ERROR, EINVAL,
                    "Parameter '%s' expects a number", key);
        return false;
    }
    return wrong_type(key, "integer", error);
}

bool block_parse_size(const char *text, uint64_t *value)
{
    static const char suffixes[] = "bkmgtpe";
    char *end;
    uint64_t whole;
    double fraction = 0;
    unsigned shift = 0;

    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    errno = 0;
    whole = g_ascii_strtoull(text, &end, text[0] == '0' && g_ascii_tolower(
                                 text[1]) == 'x' ? 16 : 10);
    if (errno) {
        return false;
    }
    if (*end == '.') {
        char *start = end;

        fraction = g_ascii_strtod(start, &end);
        if (end == start || fraction >= 1) {
            return false;
        }
    }
    if (*end) {
        const char *at = strchr(suffixes, g_ascii_tolower(*end));

        if (!at || end[1]) {
            return false;
        }
        shift = (at - suffixes) * 10;
    }
    if (shift && whole > (UINT64_MAX >> shift)) {
        return false;
    }
    whole <<= shift;
    fraction = ldexp(fraction, shift);
    if ((shift == 0 && fraction != 0) ||
        whole > UINT64_MAX - (uint64_t)fraction) {
        return false;
    }
    *value = whole + (uint64_t)fraction;
    return true;
}

bool block_options_size(json_t *options, const char *key, uint64_t *value,
                        GError **error)
{
    json_t *json = block_options_get(options, key);

    if (!json) {
        return true;
    }
    if (json_is_integer(json) && json_integer_value(json) >= 0) {
        *value = json_integer_value(json);
        return true;
    }
    if (json_is_string(json)) {
        if (block_parse_size(json_string_value(json), value)) {
            return true;
        }
        g_set_error(error, BLOCK_ERROR, EINVAL, "Parameter '%s' expects a "
                    "non-negative number below 2^64\n"
                    "Optional suffix k, M, G, T, P or E means kilo-, mega-, "
                    "giga-, tera-, peta-\nand exabytes, respectively.", key);
        return false;
    }
    return wrong_type(key, json_is_integer(json) ? "size" : "integer", error);
}

bool block_options_enum(json_t *options, const char *key, const char *words,
                        int *value, GError **error)
{
    json_t *json = block_options_get(options, key);
    g_auto(GStrv) list = g_strsplit(words, "/", -1);

    if (!json) {
        return true;
    }
    if (!json_is_string(json)) {
        return wrong_type(key, "string", error);
    }
    for (int i = 0; list[i]; i++) {
        if (!strcmp(list[i], json_string_value(json))) {
            *value = i;
            return true;
        }
    }
    g_set_error(error, BLOCK_ERROR, EINVAL,
                "Parameter '%s' does not accept value '%s'", key,
                json_string_value(json));
    return false;
}

static bool check_value(json_t *options, const BlockOption *option,
                        GError **error)
{
    json_t *json = block_options_get(options, option->name);
    const char *string;
    bool boolean;
    int64_t integer;
    uint64_t size;
    int word;

    switch (option->type) {
    case BLOCK_OPT_STRING:
        return block_options_string(options, option->name, &string, error);
    case BLOCK_OPT_BOOL:
        return block_options_bool(options, option->name, &boolean, error);
    case BLOCK_OPT_INT:
        return block_options_int(options, option->name, &integer, error);
    case BLOCK_OPT_SIZE:
        return block_options_size(options, option->name, &size, error);
    case BLOCK_OPT_ENUM:
        return block_options_enum(options, option->name, option->words,
                                  &word, error);
    case BLOCK_OPT_NODE:
    case BLOCK_OPT_NODE_OR_NULL:
        return json_is_object(json) || json_is_string(json) ||
               (option->type == BLOCK_OPT_NODE_OR_NULL &&
                json_is_null(json)) ||
               wrong_type(option->name, "BlockdevRef", error);
    case BLOCK_OPT_OBJECT:
        return json_is_object(json) ||
               wrong_type(option->name, "object", error);
    case BLOCK_OPT_STRING_OR_OBJECT:
        return json_is_object(json) || json_is_string(json) ||
               wrong_type(option->name, "string", error);
    case BLOCK_OPT_LIST:
        return json_is_array(json) || wrong_type(option->name, "array",
                                                 error);
    }
    g_assert_not_reached();
}

/* Is path (dotted) named by the table, or the way to something named? */
static bool check_known(json_t *object, const char *prefix,
                        const BlockOption *table, GError **error)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) {
        g_autofree char *path = g_strconcat(prefix, key, NULL);
        g_autofree char *below = g_strconcat(path, ".", NULL);
        bool exact = false;
        bool deeper = false;

        for (const BlockOption *o = table; o && o->name; o++) {
            exact |= !strcmp(o->name, path);
            deeper |= g_str_has_prefix(o->name, below);
        }
        if (exact) {
            continue;
        }
        if (!deeper) {
            g_set_error(error, BLOCK_ERROR, EINVAL,
                        "Parameter '%s' is unexpected", path);
            return false;
        }
        if (!json_is_object(value)) {
            return wrong_type(path, "object", error);
        }
        if (!check_known(value, below, table, error)) {
            return false;
        }
    }
    return true;
}

bool block_options_check(json_t *options, const BlockOption *table,
                         GError **error)
{
    if (!check_known(options, "", table, error)) {
        return false;
    }
    for (const BlockOption *o = table; o && o->name; o++) {
        if (!block_options_get(options, o->name)) {
            if (o->required) {
                g_set_error(error, BLOCK_ERROR, EINVAL,
                            "Parameter '%s' is missing", o->name);
                return false;
            }
        } else if (!check_value(options, o, error)) {
            return false;
        }
    }
    return true;
}
