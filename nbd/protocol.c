/*
 * Tables of the wire format: names for messages, error numbers, strings.
 */
#include "nbd/protocol.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <glib.h>

typedef struct NumberName {
    uint32_t number;
    const char *name;
} NumberName;

static const NumberName option_names[] = {
#define X(name, number, word) { number, word },
    NBD_OPTIONS(X)
#undef X
};

static const NumberName reply_errors[] = {
#define X(name, number, word) { 0x80000000u + (number), word },
    NBD_REP_ERRORS(X)
#undef X
};

static const char *const command_names[NBD_CMD_COUNT] = {
#define X(name, number, word, flags, writes, past_end) [number] = (word),
    NBD_COMMANDS(X)
#undef X
};

static const char *const flag_names[] = {
#define X(name, bit, word) [bit] = (word),
    NBD_EXPORT_FLAGS(X)
#undef X
};

/* The only error numbers that may travel; the first match wins. */
static const struct {
    int host;
    uint32_t wire;
} error_numbers[] = {
    { EPERM, 1 },      { EROFS, 1 },       { EIO, 5 },
    { ENOMEM, 12 },    { EINVAL, 22 },     { ENOSPC, 28 },
    { EDQUOT, 28 },    { EFBIG, 28 },      { EOVERFLOW, 75 },
    { ENOTSUP, 95 },   { ESHUTDOWN, 108 },
};

static const char *lookup(const NumberName *table, size_t n, uint32_t number)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].number == number) {
            return table[i].name;
        }
    }
    return "<unknown>";
}

const char *nbd_option_name(uint32_t option)
{
    return lookup(option_names, G_N_ELEMENTS(option_names), option);
}

const char *nbd_reply_error_name(uint32_t type)
{
    return lookup(reply_errors, G_N_ELEMENTS(reply_errors), type);
}

const char *nbd_command_name(uint16_t type)
{
    return type < NBD_CMD_COUNT ? command_names[type] : "<unknown>";
}

const char *nbd_export_flag_name(unsigned bit)
{
    return bit < G_N_ELEMENTS(flag_names) ? flag_names[bit] : NULL;
}

uint32_t nbd_errno_to_wire(int err)
{
    if (err == 0) {
        return 0;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(error_numbers); i++) {
        if (error_numbers[i].host == err) {
            return error_numbers[i].wire;
        }
    }
    return 22;
}

int nbd_errno_from_wire(uint32_t err)
{
    if (err == 0) {
        return 0;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(error_numbers); i++) {
        if (error_numbers[i].wire == err) {
            return error_numbers[i].host;
        }
    }
    return EINVAL;
}

bool nbd_string_ok(const char *bytes, uint64_t length)
{
    return length <= NBD_MAX_STRING && !memchr(bytes, 0, length) &&
           g_utf8_validate(bytes, (gssize)length, NULL);
}
