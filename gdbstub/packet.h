/*
 * Packet layer of the remote protocol: framing, checksums, escapes, hex.
 */
#ifndef GDBSTUB_PACKET_H
#define GDBSTUB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

enum { GDB_PACKET_MOST = 32768 };

/* What the reader found in the stream. */
typedef enum GdbEvent {
    GDB_EVENT_NONE,      /* more bytes are needed */
    GDB_EVENT_PACKET,    /* reader->data holds a whole, good packet */
    GDB_EVENT_BAD,       /* checksum wrong or too long: ask again */
    GDB_EVENT_INTERRUPT, /* the byte 0x03 */
} GdbEvent;

typedef struct GdbReader {
    enum { GDB_IDLE, GDB_BODY, GDB_SUM1, GDB_SUM2 } state;
    bool too_long;
    bool escaped;
    uint8_t sum;
    uint8_t wanted;
    size_t length;
    uint8_t data[GDB_PACKET_MOST + 1]; /* unescaped, NUL-terminated */
} GdbReader;

/* Feeds one byte. */
GdbEvent gdb_reader_put(GdbReader *reader, uint8_t byte);

/* "$body#sum" with escapes; body may hold any bytes. */
GByteArray *gdb_packet_frame(const void *body, size_t size);

/* Value of a hex digit, or -1. */
int gdb_hex_digit(int c);
/* Reads hex digits at *text and moves past them; 0 digits is an error. */
bool gdb_hex_number(const char **text, uint64_t *value);
/* Decodes 2 * size digits. */
bool gdb_hex_bytes(const char *text, uint8_t *bytes, size_t size);
void gdb_hex_append(GString *to, const void *bytes, size_t size);

#endif
