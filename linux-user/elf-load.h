/*
 * Loading e2k ELF programs: header checks, mode and CPU model selection,
 * mapping of segments.  Source: shared facts "linux/abi.md" section 1.
 */
#ifndef LINUX_USER_ELF_LOAD_H
#define LINUX_USER_ELF_LOAD_H

#include <elf.h>

#include "linux-user/address-map.h"
#include "target-e2k/cpu.h"

enum {
    EM_E2K = 175,
    EM_E2K_OLD = 49,
};

typedef struct ElfImage {
    Elf64_Ehdr header;
    Elf64_Phdr *phdrs;    /* converted to 64-bit form; owned */
    char *path;           /* owned */
    char *interpreter;    /* PT_INTERP, owned; NULL when static */
    int fd;
    bool is_32bit;
    unsigned mach;        /* CPU field of e_flags */
    uint64_t bias;        /* added to link addresses */
    uint64_t start, end;  /* mapped, after elf_map() */
    uint64_t phdr_address;
    uint64_t brk;         /* end of the last segment */
} ElfImage;

/* Reads and checks the headers.  NULL with the error set if it cannot run. */
ElfImage *elf_open(const char *path, GError **error);
void elf_free(ElfImage *image);

/*
 * Checks the CPU requirement of the file against a model, or picks one when
 * *model is NULL.
 */
bool elf_choose_model(const ElfImage *image, const CpuModel **model,
                      GError **error);

/* Whether the interpreter can run the program: class and CPU. */
bool elf_check_interpreter(const ElfImage *program,
                           const ElfImage *interpreter, const CpuModel *model,
                           GError **error);

/* Maps the segments; relocatable images go to base (a hint). */
bool elf_map(ElfImage *image, AddressMap *map, uint64_t base, GError **error);

#endif
