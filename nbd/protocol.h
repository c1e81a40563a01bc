/*
 * The NBD wire format: every number of the protocol, once.
 *
 * Lists that need more than a value (names for messages, the text of the
 * export listing) are X-macros; protocol.c turns them into tables.  All
 * integers on the wire are big endian; nothing here is a C struct on purpose:
 * headers are read and written with the accessors of util/bytes.h at the
 * offsets given below.
 *
 *   request   0 magic  4 flags  6 type  8 cookie  16 offset  24 length (28)
 *   extended  the same with a 64-bit length                            (32)
 *   simple    0 magic  4 error  8 cookie                               (16)
 *   chunk     0 magic  4 flags  6 type  8 cookie  16 length            (20)
 *   extended  0 magic  4 flags  6 type  8 cookie  16 offset  24 length (32)
 *   option    0 magic  8 option  12 length                             (16)
 *   reply     0 magic  8 option  12 type  16 length                    (20)
 *
 * References are to the section numbers of the protocol document's headings.
 */
#ifndef NBD_PROTOCOL_H
#define NBD_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#define NBD_MAGIC                UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC         UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_OLDSTYLE_MAGIC       UINT64_C(0x0000420281861253)
#define NBD_OPTION_REPLY_MAGIC   UINT64_C(0x0003e889045565a9)
#define NBD_REQUEST_MAGIC        UINT32_C(0x25609513)
#define NBD_SIMPLE_REPLY_MAGIC   UINT32_C(0x67446698)
#define NBD_CHUNK_MAGIC          UINT32_C(0x668e33ef)
#define NBD_EXT_REQUEST_MAGIC    UINT32_C(0x21e41c71)
#define NBD_EXT_REPLY_MAGIC      UINT32_C(0x6e8a278c)

#define NBD_DEFAULT_PORT         10809

/* Header sizes in bytes. */
#define NBD_REQUEST_SIZE         28
#define NBD_EXT_REQUEST_SIZE     32
#define NBD_SIMPLE_REPLY_SIZE    16
#define NBD_CHUNK_SIZE           20
#define NBD_EXT_CHUNK_SIZE       32
#define NBD_OPTION_SIZE          16
#define NBD_OPTION_REPLY_SIZE    20
#define NBD_EXPORT_NAME_PAD      124 /* zero bytes after EXPORT_NAME */

/* Limits that both ends keep. */
#define NBD_MAX_STRING           4096u
#define NBD_MAX_PAYLOAD          (32u << 20) /* of READ and WRITE */
#define NBD_MAX_DRAIN            (64u << 20) /* refused but still skipped */
#define NBD_MAX_OPTION           (32u << 20)
#define NBD_MAX_EXTENTS          131072u /* of one block status chunk */
#define NBD_MAX_CONTEXTS         4096u   /* selected on one connection */

/* Handshake flags; the client's answer uses the same bits. */
#define NBD_FLAG_FIXED_NEWSTYLE  0x0001u
#define NBD_FLAG_NO_ZEROES       0x0002u

/* Transmission flags: bit and the word of export listings. */
#define NBD_EXPORT_FLAGS(X)                                                    \
    X(HAS_FLAGS, 0, NULL)                                                      \
    X(READ_ONLY, 1, "readonly")                                                \
    X(SEND_FLUSH, 2, "flush")                                                  \
    X(SEND_FUA, 3, "fua")                                                      \
    X(ROTATIONAL, 4, "rotational")                                             \
    X(SEND_TRIM, 5, "trim")                                                    \
    X(SEND_WRITE_ZEROES, 6, "zeroes")                                          \
    X(SEND_DF, 7, "df")                                                        \
    X(CAN_MULTI_CONN, 8, "multi")                                              \
    X(SEND_RESIZE, 9, "resize")                                                \
    X(SEND_CACHE, 10, "cache")                                                 \
    X(SEND_FAST_ZERO, 11, "fast-zero")                                         \
    X(BLOCK_STATUS_PAYLOAD, 12, "block-status-payload")

enum {
#define X(name, bit, word) NBD_FLAG_##name = 1 << (bit),
    NBD_EXPORT_FLAGS(X)
#undef X
};

/* Options: number and the word of error messages. */
#define NBD_OPTIONS(X)                                                         \
    X(EXPORT_NAME, 1, "export name")                                           \
    X(ABORT, 2, "abort")                                                       \
    X(LIST, 3, "list")                                                         \
    X(PEEK_EXPORT, 4, "peek export")                                           \
    X(STARTTLS, 5, "starttls")                                                 \
    X(INFO, 6, "info")                                                         \
    X(GO, 7, "go")                                                             \
    X(STRUCTURED_REPLY, 8, "structured reply")                                 \
    X(LIST_META_CONTEXT, 9, "list meta context")                               \
    X(SET_META_CONTEXT, 10, "set meta context")                                \
    X(EXTENDED_HEADERS, 11, "extended headers")

enum {
#define X(name, number, word) NBD_OPT_##name = (number),
    NBD_OPTIONS(X)
#undef X
};

#define NBD_REP_ERR_BIT          0x80000000u
#define NBD_REP_ACK              1u
#define NBD_REP_SERVER           2u
#define NBD_REP_INFO             3u
#define NBD_REP_META_CONTEXT     4u

/* Error replies to options: number and what a person reads. */
#define NBD_REP_ERRORS(X)                                                      \
    X(UNSUP, 1, "unsupported")                                                 \
    X(POLICY, 2, "denied by server")                                           \
    X(INVALID, 3, "invalid")                                                   \
    X(PLATFORM, 4, "platform lacks support")                                   \
    X(TLS_REQD, 5, "TLS required")                                             \
    X(UNKNOWN, 6, "export unknown")                                            \
    X(SHUTDOWN, 7, "server shutting down")                                     \
    X(BLOCK_SIZE_REQD, 8, "block size required")                               \
    X(TOO_BIG, 9, "too big")                                                   \
    X(EXT_HEADER_REQD, 10, "extended headers required")

enum {
#define X(name, number, word) NBD_REP_ERR_##name = 0x80000000u + (number),
    NBD_REP_ERRORS(X)
#undef X
};

#define NBD_INFO_EXPORT          0u
#define NBD_INFO_NAME            1u
#define NBD_INFO_DESCRIPTION     2u
#define NBD_INFO_BLOCK_SIZE      3u

/* Command flags. */
#define NBD_CMD_FLAG_FUA         0x01u
#define NBD_CMD_FLAG_NO_HOLE     0x02u
#define NBD_CMD_FLAG_DF          0x04u
#define NBD_CMD_FLAG_REQ_ONE     0x08u
#define NBD_CMD_FLAG_FAST_ZERO   0x10u
#define NBD_CMD_FLAG_PAYLOAD_LEN 0x20u

/*
 * Commands: number, word, flags a client may set (FUA is tolerated on all),
 * needs a writable export, error when the range leaves the export.
 */
#define NBD_COMMANDS(X)                                                        \
    X(READ, 0, "read", NBD_CMD_FLAG_DF, false, EINVAL)                         \
    X(WRITE, 1, "write", NBD_CMD_FLAG_PAYLOAD_LEN, true, ENOSPC)               \
    X(DISC, 2, "disconnect", 0, false, 0)                                      \
    X(FLUSH, 3, "flush", 0, false, 0)                                          \
    X(TRIM, 4, "discard", 0, true, EINVAL)                                     \
    X(CACHE, 5, "cache", 0, false, EINVAL)                                     \
    X(WRITE_ZEROES, 6, "write zeroes",                                         \
      NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO, true, ENOSPC)             \
    X(BLOCK_STATUS, 7, "block status",                                         \
      NBD_CMD_FLAG_REQ_ONE | NBD_CMD_FLAG_PAYLOAD_LEN, false, EINVAL)

enum {
#define X(name, number, word, flags, writes, past_end) NBD_CMD_##name = (number),
    NBD_COMMANDS(X)
#undef X
    NBD_CMD_COUNT
};

#define NBD_CHUNK_FLAG_DONE         0x0001u
#define NBD_CHUNK_NONE              0u
#define NBD_CHUNK_OFFSET_DATA       1u
#define NBD_CHUNK_OFFSET_HOLE       2u
#define NBD_CHUNK_BLOCK_STATUS      5u
#define NBD_CHUNK_BLOCK_STATUS_EXT  6u
#define NBD_CHUNK_ERR_BIT           0x8000u
#define NBD_CHUNK_ERROR             0x8001u
#define NBD_CHUNK_ERROR_OFFSET      0x8002u

/* Status bits of the contexts we know. */
#define NBD_STATE_HOLE              0x1u /* base:allocation */
#define NBD_STATE_ZERO              0x2u
#define NBD_STATE_DIRTY             0x1u /* qemu:dirty-bitmap:NAME */

#define NBD_CONTEXT_ALLOCATION      "base:allocation"
#define NBD_CONTEXT_DEPTH           "qemu:allocation-depth"
#define NBD_CONTEXT_BITMAP          "qemu:dirty-bitmap:"

/* The word for an option, a command or an option error; never NULL. */
const char *nbd_option_name(uint32_t option);
const char *nbd_command_name(uint16_t type);
const char *nbd_reply_error_name(uint32_t type);

/* The word of one transmission flag bit, NULL for those without one. */
const char *nbd_export_flag_name(unsigned bit);

/*
 * Error numbers of the wire and of the host.  The wire has eight; whatever
 * else the host reports becomes EINVAL there, and an unknown number from the
 * wire becomes EINVAL here.  Host errors are positive in both directions.
 */
uint32_t nbd_errno_to_wire(int err);
int nbd_errno_from_wire(uint32_t err);

/* True for a string the protocol allows: at most 4096 bytes, UTF-8, no NUL. */
bool nbd_string_ok(const char *bytes, uint64_t length);

#endif
