/*
 * Loading guest images: ELF, raw binaries, e2k boot images.
 *
 * An image is parsed and checked once, when the machine is built, so that
 * every error is reported before anything runs; placing it in guest memory is
 * a copy that a reset repeats.
 */
#ifndef HW_LOADER_H
#define HW_LOADER_H

#include "system/physmem.h"

typedef enum ImageKind {
    IMAGE_ELF,
    IMAGE_RAW,
    IMAGE_BOOT, /* e2k boot image: bootblock template and kernel */
} ImageKind;

typedef struct ImagePart {
    uint64_t address;    /* physical */
    uint64_t file_bytes;
    uint64_t size;       /* with zeroes after the file's bytes */
    const uint8_t *data;
} ImagePart;

typedef struct Image {
    ImageKind kind;
    char *path;
    uint8_t *file;
    size_t file_bytes;
    GArray *parts;       /* ImagePart */
    uint64_t base, end;  /* of what is loaded */
    uint64_t entry;      /* physical */
    unsigned isa;        /* lowest version it needs, 0: does not say */
} Image;

#define IMAGE_NO_RAW UINT64_MAX

/*
 * Reads an image and decides where it goes.  raw_base is the address of raw
 * binaries, boot images and images linked outside of RAM; with IMAGE_NO_RAW
 * the first are refused and the others go to 32 MiB.  Fails with a sentence when the file cannot be
 * read, is damaged, is for another machine or needs a later ISA version than
 * isa, or does not fit [0, ram_end).
 */
Image *image_load(const char *path, unsigned isa, uint64_t raw_base,
                  uint64_t ram_end, GError **error);
void image_free(Image *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Image, image_free)

/* Copies it to guest memory. */
void image_place(const Image *image, PhysMem *mem);

/* A whole file; NULL with an error. */
uint8_t *load_file(const char *path, size_t max_bytes, size_t *size,
                   GError **error);

#endif
