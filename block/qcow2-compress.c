/*
 * Compressed clusters: codecs, reading, writing.
 *
 * zlib clusters are raw deflate streams with a 4 KiB window; zstd clusters
 * are standard frames.  Compressed data is packed byte by byte, a host
 * cluster counts one reference for each compressed cluster that touches it.
 * The length on disk is known only in 512-byte sectors, so decoders stop when
 * the guest cluster is full and ignore what follows.
 */
#include "block/qcow2-int.h"

#include <errno.h>
#include <string.h>

#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#define ZLIB_WINDOW (-12)
#define ZLIB_MEM_LEVEL 9

static int64_t zlib_compress(void *dst, size_t dst_size, const void *src,
                             size_t src_size)
{
    z_stream z = { .next_in = (Bytef *)src,
                   .avail_in = src_size,
                   .next_out = dst,
                   .avail_out = dst_size };
    int64_t ret;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, ZLIB_WINDOW,
                     ZLIB_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return -EIO;
    }
    ret = deflate(&z, Z_FINISH) == Z_STREAM_END
              ? (int64_t)(dst_size - z.avail_out)
              : -ENOMEM;
    deflateEnd(&z);
    return ret;
}

static int zlib_decompress(void *dst, size_t dst_size, const void *src,
                           size_t src_size)
{
    z_stream z = { .next_in = (Bytef *)src,
                   .avail_in = src_size,
                   .next_out = dst,
                   .avail_out = dst_size };
    int ret;

    if (inflateInit2(&z, ZLIB_WINDOW) != Z_OK) {
        return -EIO;
    }
    ret = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if ((ret == Z_STREAM_END || ret == Z_BUF_ERROR) && z.avail_out == 0) {
        return 0;
    }
    return -EIO;
}

#ifdef HAVE_ZSTD
static int64_t zstd_compress(void *dst, size_t dst_size, const void *src,
                             size_t src_size)
{
    size_t ret = ZSTD_compress(dst, dst_size, src, src_size, 0);

    return ZSTD_isError(ret) ? -ENOMEM : (int64_t)ret;
}

static int zstd_decompress(void *dst, size_t dst_size, const void *src,
                           size_t src_size)
{
    ZSTD_inBuffer in = { src, src_size, 0 };
    ZSTD_outBuffer out = { dst, dst_size, 0 };
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    int ret = 0;

    if (!ctx) {
        return -EIO;
    }
    while (out.pos < out.size && ret == 0) {
        size_t in_before = in.pos;
        size_t out_before = out.pos;
        size_t left = ZSTD_decompressStream(ctx, &out, &in);

        if (ZSTD_isError(left) ||
            (in.pos == in_before && out.pos == out_before)) {
            ret = -EIO;
        }
    }
    ZSTD_freeDCtx(ctx);
    return ret;
}
#endif

typedef struct Codec {
    int64_t (*compress)(void *dst, size_t dst_size, const void *src,
                        size_t src_size);
    int (*decompress)(void *dst, size_t dst_size, const void *src,
                      size_t src_size);
} Codec;

static const Codec codecs[] = {
    [QCOW2_COMPRESSION_ZLIB] = { zlib_compress, zlib_decompress },
#ifdef HAVE_ZSTD
    [QCOW2_COMPRESSION_ZSTD] = { zstd_compress, zstd_decompress },
#endif
};

bool qcow2_compression_available(unsigned type)
{
    return type < G_N_ELEMENTS(codecs) && codecs[type].compress;
}

int64_t qcow2_compress(unsigned type, void *dst, size_t dst_size,
                       const void *src, size_t src_size)
{
    return qcow2_compression_available(type)
               ? codecs[type].compress(dst, dst_size, src, src_size)
               : -ENOTSUP;
}

int qcow2_decompress(unsigned type, void *dst, size_t dst_size,
                     const void *src, size_t src_size)
{
    return qcow2_compression_available(type)
               ? codecs[type].decompress(dst, dst_size, src, src_size)
               : -ENOTSUP;
}

/* ---- Reading -------------------------------------------------------------- */

int qcow2_read_compressed(Qcow2 *s, uint64_t word, uint64_t in_cluster,
                          uint64_t bytes, const struct iovec *iov, int niov)
{
    g_autofree uint8_t *packed = NULL;
    g_autofree uint8_t *cluster = NULL;
    uint64_t offset, size;
    int ret;

    qcow2_compressed_range(s, word, &offset, &size);
    packed = g_try_malloc(size);
    cluster = g_try_malloc(s->cluster_size);
    if (!packed || !cluster) {
        return -ENOMEM;
    }
    block_debug_event(qcow2_file(s), "read_compressed");
    ret = block_pread(qcow2_file(s), offset, size, packed, 0);
    if (ret == 0) {
        ret = qcow2_decompress(s->header.compression_type, cluster,
                               s->cluster_size, packed, size);
    }
    if (ret == 0) {
        block_iov_from_buf(iov, niov, 0, cluster + in_cluster, bytes);
    }
    return ret;
}

/* ---- Writing -------------------------------------------------------------- */

/* Enters a compressed cluster; its data is on disk already.  Lock. */
static int link_compressed(Qcow2 *s, uint64_t guest, uint64_t host,
                           uint64_t size)
{
    uint64_t sectors = ((host + size - 1) >> 9) - (host >> 9);
    Qcow2Slot *slot;
    unsigned index;
    uint64_t old;
    int ret = qcow2_l2_get_writable(s, guest, &slot, &index);

    if (ret < 0) {
        return ret;
    }
    old = slot->words[index * s->entry_words];
    qcow2_l2_set(s, slot, index,
                 host | QCOW2_ENTRY_COMPRESSED | sectors << s->csize_shift,
                 0);
    qcow2_free_entry(s, old, s->pass_discard_other);
    return 0;
}

static int store_compressed(Qcow2 *s, uint64_t guest, const void *data,
                            uint64_t size)
{
    Qcow2InFlight f;
    Qcow2Slot *slot;
    unsigned index;
    uint64_t host;
    int ret;

    g_mutex_lock(&s->lock);
    qcow2_in_flight_wait(s, guest, guest + s->cluster_size);
    /* The L2 table goes first, as in other programs' layouts. */
    ret = qcow2_l2_get_writable(s, guest, &slot, &index);
    if (ret == 0) {
        ret = qcow2_alloc_bytes(s, size, &host);
    }
    if (ret < 0) {
        g_mutex_unlock(&s->lock);
        return ret;
    }
    qcow2_in_flight_begin(s, &f, guest, guest + s->cluster_size);
    g_mutex_unlock(&s->lock);

    block_debug_event(qcow2_file(s), "write_compressed");
    ret = block_pwrite(qcow2_file(s), host, size, data, 0);

    g_mutex_lock(&s->lock);
    if (ret == 0) {
        ret = link_compressed(s, guest, host, size);
    }
    if (ret < 0) {
        qcow2_free_later(s, host, size, false);
    }
    qcow2_in_flight_end(s, &f);
    qcow2_trim_frees(s);
    g_mutex_unlock(&s->lock);
    return ret;
}

static int write_one(Qcow2 *s, uint64_t offset, uint64_t bytes,
                     const struct iovec *iov, int niov, uint64_t skip,
                     uint8_t *cluster, uint8_t *packed)
{
    int64_t size;

    memset(cluster + bytes, 0, s->cluster_size - bytes);
    block_iov_to_buf(iov, niov, skip, cluster, bytes);
    size = qcow2_compress(s->header.compression_type, packed,
                          s->cluster_size - 1, cluster, s->cluster_size);
    if (size == -ENOMEM) { /* does not get smaller */
        struct iovec plain = { cluster, bytes };

        return qcow2_write_range(s, offset, bytes, &plain, 1);
    }
    return size < 0 ? (int)size
                    : store_compressed(s, offset, packed, size);
}

int qcow2_write_compressed(Qcow2 *s, uint64_t offset, uint64_t bytes,
                           const struct iovec *iov, int niov)
{
    g_autofree uint8_t *cluster = NULL;
    g_autofree uint8_t *packed = NULL;
    uint64_t done = 0;
    int ret = 0;

    if (s->data_edge) {
        return -ENOTSUP;
    }
    if (offset & (s->cluster_size - 1)) {
        return -EINVAL;
    }
    cluster = g_try_malloc(s->cluster_size);
    packed = g_try_malloc(s->cluster_size);
    if (!cluster || !packed) {
        return -ENOMEM;
    }
    while (done < bytes && ret == 0) {
        uint64_t n = MIN(bytes - done, s->cluster_size);

        if (n < s->cluster_size &&
            offset + bytes != (uint64_t)s->node->length) {
            return -EINVAL;
        }
        ret = write_one(s, offset + done, n, iov, niov, done, cluster,
                        packed);
        done += n;
    }
    return ret;
}
