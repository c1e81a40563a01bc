/*
 * The qcow2 file format: constants, the header and its extensions.
 *
 * Everything here is pure: bytes in, structures out and back, no I/O and no
 * state, so that it can be tested and fuzzed alone.  All numbers on disk are
 * big endian; every value in the structures below is in host order.
 *
 *   cluster 0:  [ header 72 or >= 104 bytes ][ extensions ][ backing name ]
 *
 * qcow2_header_parse() validates whatever it returns: an offset is aligned
 * and below 2^56, a table size is within the limits below, a string has a
 * bounded length.  Errors are in BLOCK_ERROR with errno codes.  Rules that need more than the header (file length, tables
 * that overlap) are checked by whoever reads those structures.
 */
#ifndef BLOCK_QCOW2_FORMAT_H
#define BLOCK_QCOW2_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#define QCOW2_MAGIC 0x514649fbu

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MIN_EXTL2_CLUSTER_BITS 14
#define QCOW2_MAX_L1_BYTES (32u << 20)
#define QCOW2_MAX_REFTABLE_BYTES (8u << 20)
#define QCOW2_MAX_SNAPSHOTS 65536
#define QCOW2_MAX_SNAPSHOT_TABLE (64u << 20)
#define QCOW2_MAX_SNAPSHOT_EXTRA 1024
#define QCOW2_MAX_BITMAPS 65535
#define QCOW2_MAX_BITMAP_DIR (QCOW2_MAX_BITMAPS * 1024u)
#define QCOW2_MAX_BACKING_NAME 1023
#define QCOW2_MAX_HOST_OFFSET (UINT64_C(1) << 56)

/* Header sizes: version 2, smallest version 3, what is written. */
#define QCOW2_HEADER_V2 72
#define QCOW2_HEADER_V3_MIN 104
#define QCOW2_HEADER_LENGTH 112

/* Incompatible, compatible and autoclear feature bits. */
#define QCOW2_INCOMPAT_DIRTY (UINT64_C(1) << 0)
#define QCOW2_INCOMPAT_CORRUPT (UINT64_C(1) << 1)
#define QCOW2_INCOMPAT_DATA_FILE (UINT64_C(1) << 2)
#define QCOW2_INCOMPAT_COMPRESSION (UINT64_C(1) << 3)
#define QCOW2_INCOMPAT_EXTL2 (UINT64_C(1) << 4)
#define QCOW2_INCOMPAT_MASK UINT64_C(0x1f)
#define QCOW2_COMPAT_LAZY_REFCOUNTS (UINT64_C(1) << 0)
#define QCOW2_AUTOCLEAR_BITMAPS (UINT64_C(1) << 0)
#define QCOW2_AUTOCLEAR_RAW_DATA (UINT64_C(1) << 1)
#define QCOW2_AUTOCLEAR_MASK UINT64_C(3)

/* Entries of the L1, L2 and refcount tables. */
#define QCOW2_ENTRY_COPIED (UINT64_C(1) << 63)
#define QCOW2_ENTRY_COMPRESSED (UINT64_C(1) << 62)
#define QCOW2_ENTRY_ZERO UINT64_C(1)
#define QCOW2_OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define QCOW2_L1_RESERVED UINT64_C(0x7f000000000001ff)
#define QCOW2_L2_RESERVED UINT64_C(0x3f000000000001fe)

/* Sub-cluster bitmap of an extended L2 entry (its second word). */
#define QCOW2_SUBCLUSTERS 32
#define QCOW2_SC_ALLOC_ALL UINT64_C(0xffffffff)
#define QCOW2_SC_ZERO_ALL (UINT64_C(0xffffffff) << 32)

#define QCOW2_COMPRESSION_ZLIB 0
#define QCOW2_COMPRESSION_ZSTD 1

typedef enum Qcow2ExtensionType {
    QCOW2_EXT_END = 0,
    QCOW2_EXT_BACKING_FORMAT = 0xe2792aca,
    QCOW2_EXT_FEATURE_TABLE = 0x6803f857,
    QCOW2_EXT_BITMAPS = 0x23852875,
    QCOW2_EXT_CRYPTO = 0x0537be77,
    QCOW2_EXT_DATA_FILE = 0x44415441,
} Qcow2ExtensionType;

/* An extension this code does not know: kept and written back unchanged. */
typedef struct Qcow2UnknownExt {
    uint32_t type;
    GBytes *data;
} Qcow2UnknownExt;

typedef struct Qcow2Header {
    uint32_t version; /* 2 or 3 */
    uint32_t cluster_bits;
    uint64_t size; /* virtual disk, bytes */
    uint32_t crypt_method;
    uint32_t l1_size; /* entries */
    uint64_t l1_offset;
    uint64_t reftable_offset;
    uint32_t reftable_clusters;
    uint32_t nb_snapshots;
    uint64_t snapshots_offset;
    uint64_t incompatible;
    uint64_t compatible;
    uint64_t autoclear;
    uint32_t refcount_order;  /* refcount width is 1 << order bits */
    uint32_t header_length;   /* bytes; includes unknown_fields */
    uint8_t compression_type; /* QCOW2_COMPRESSION_... */

    /* Fields after QCOW2_HEADER_LENGTH, of a newer program; or NULL. */
    GBytes *unknown_fields;

    char *backing_file;   /* or NULL */
    char *backing_format; /* or NULL */
    char *data_file;      /* or NULL */
    bool has_feature_table;
    bool has_bitmaps; /* the bitmaps extension is there */
    uint32_t nb_bitmaps;
    uint64_t bitmap_dir_size;
    uint64_t bitmap_dir_offset;
    bool has_crypto;
    uint64_t crypto_offset;
    uint64_t crypto_length;
    GArray *unknown_exts; /* of Qcow2UnknownExt; or NULL */
} Qcow2Header;

/* Parsing for check -r, which may repair what an ordinary open refuses. */
#define QCOW2_PARSE_CHECK 1u

bool qcow2_is_magic(const uint8_t *buf, size_t len);

/*
 * Reads a header from the start of an image.  The caller passes as much of
 * cluster 0 as it has: qcow2_header_bytes_wanted() tells how much that should
 * be, from the first 112 bytes.  On failure the structure owns nothing.
 */
bool qcow2_header_parse(Qcow2Header *h, const uint8_t *buf, size_t len,
                        unsigned flags, GError **error);
size_t qcow2_header_bytes_wanted(const uint8_t *buf, size_t len);

/*
 * Formats header, extensions and backing name into one cluster; the rest of
 * the cluster becomes zero.  Fails with ENOSPC semantics (false) when they do
 * not fit.  h->header_length is set to what was written.
 */
bool qcow2_header_format(Qcow2Header *h, uint8_t *buf, size_t cluster_size,
                         GError **error);
void qcow2_header_clear(Qcow2Header *h);

#endif
