/*
 * Packet layer; see packet.h.  Everything that arrives is hostile: a packet
 * longer than the buffer is read to its end and refused.
 */
#include "gdbstub/packet.h"

#include <string.h>

int gdb_hex_digit(int c)
{
    return g_ascii_xdigit_value((gchar)c);
}

GdbEvent gdb_reader_put(GdbReader *reader, uint8_t byte)
{
    switch (reader->state) {
    case GDB_IDLE:
        if (byte == '$') {
            reader->state = GDB_BODY;
            reader->length = 0;
            reader->sum = 0;
            reader->escaped = false;
            reader->too_long = false;
        } else if (byte == 3) {
            return GDB_EVENT_INTERRUPT;
        }
        return GDB_EVENT_NONE;
    case GDB_BODY:
        if (byte == '#') {
            reader->state = GDB_SUM1;
            return GDB_EVENT_NONE;
        }
        reader->sum += byte;
        if (byte == '}' && !reader->escaped) {
            reader->escaped = true;
            return GDB_EVENT_NONE;
        }
        if (reader->length == GDB_PACKET_MOST) {
            reader->too_long = true;
        } else {
            reader->data[reader->length++] =
                reader->escaped ? byte ^ 0x20 : byte;
        }
        reader->escaped = false;
        return GDB_EVENT_NONE;
    case GDB_SUM1:
        reader->wanted = (uint8_t)(gdb_hex_digit(byte) << 4);
        reader->state = GDB_SUM2;
        return GDB_EVENT_NONE;
    default:
        reader->wanted |= gdb_hex_digit(byte) & 15;
        reader->state = GDB_IDLE;
        reader->data[reader->length] = '\0';
        return reader->wanted == reader->sum && !reader->too_long
                   ? GDB_EVENT_PACKET : GDB_EVENT_BAD;
    }
}

GByteArray *gdb_packet_frame(const void *body, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = body;
    GByteArray *out = g_byte_array_sized_new(size + 8);
    uint8_t sum = 0;
    uint8_t tail[3];

    g_byte_array_append(out, (const uint8_t *)"$", 1);
    for (size_t i = 0; i < size; i++) {
        uint8_t pair[2] = { '}', bytes[i] ^ 0x20 };

        if (strchr("$#}*", bytes[i]) && bytes[i]) {
            g_byte_array_append(out, pair, 2);
            sum += pair[0] + pair[1];
        } else {
            g_byte_array_append(out, bytes + i, 1);
            sum += bytes[i];
        }
    }
    tail[0] = '#';
    tail[1] = digits[sum >> 4];
    tail[2] = digits[sum & 15];
    g_byte_array_append(out, tail, 3);
    return out;
}

bool gdb_hex_number(const char **text, uint64_t *value)
{
    const char *at = *text;

    *value = 0;
    while (gdb_hex_digit(*at) >= 0) {
        *value = *value << 4 | (uint64_t)gdb_hex_digit(*at);
        at++;
    }
    if (at == *text) {
        return false;
    }
    *text = at;
    return true;
}

bool gdb_hex_bytes(const char *text, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int high = gdb_hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : gdb_hex_digit(text[2 * i + 1]);

        if (low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void gdb_hex_append(GString *to, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = bytes;

    for (size_t i = 0; i < size; i++) {
        g_string_append_c(to, digits[b[i] >> 4]);
        g_string_append_c(to, digits[b[i] & 15]);
    }
}
