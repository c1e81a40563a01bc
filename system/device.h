/*
 * What every device is made of.
 *
 *   DeviceClass (const)                 Device (first member of the state)
 *     name, help                          id, machine, lock
 *     registers: table or callbacks       ... the device's own fields
 *     saved fields: table
 *     reset, realize, free
 *
 * A device is one file: its state struct, a table of registers with small
 * read and write functions for those that do something, a table of the
 * fields that snapshots keep, and one const DeviceClass at the end.
 *
 * Threads.  The bus calls read, write and reset with the device's lock held;
 * timer callbacks and worker threads take it themselves.  Interrupt
 * controllers share one lock (device_share_lock).  A device may drive its
 * interrupt lines under its lock.
 */
#ifndef SYSTEM_DEVICE_H
#define SYSTEM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#define SYSTEM_ERROR (system_error_quark())
GQuark system_error_quark(void);

typedef struct Machine Machine;
typedef struct Device Device;
typedef struct DeviceReg DeviceReg;
typedef struct DeviceClass DeviceClass;

/*
 * One register.  Without callbacks it is plain storage in the state struct:
 * a field of size bytes, of which a write changes the writable bits.
 * count > 1 describes an array of registers, stride bytes apart; callbacks
 * get the element's number, counted from index.
 */
struct DeviceReg {
    const char *name;
    uint32_t offset;
    uint8_t size;      /* bytes: 1, 2, 4 or 8 */
    uint16_t count;    /* 0 means 1 */
    uint16_t stride;   /* bytes; 0 means size */
    uint16_t index;    /* what callbacks get for the first element */
    uint32_t field;    /* offset in the state struct, 0: no storage */
    uint64_t writable; /* bits a plain write changes */
    uint64_t (*read)(Device *device, unsigned index);
    void (*write)(Device *device, unsigned index, uint64_t value);
};

/*
 * A field that snapshots keep: count items of size bytes.  With sub the items
 * are structs of size bytes, described by another table.  With pointer the
 * struct member points to the items, and NULL means that there are none; the
 * number may be in an unsigned member (count_at).
 */
typedef struct StateField StateField;
struct StateField {
    const char *name; /* NULL ends a table */
    uint32_t offset;
    uint32_t size;    /* bytes of an item: 1, 2, 4, 8, or of a struct */
    uint32_t count;
    const StateField *sub;
    bool pointer;
    uint32_t count_at; /* offset of the number of items, 0: count */
    bool is_bool;      /* whatever is loaded is made true or false */
};

#define STATE_IS_BOOL(object) _Generic((object), bool: true, default: false)

#define STATE_FIELD(type, member)                                              \
    { .name = #member, .offset = offsetof(type, member),                       \
      .size = sizeof(((type *)0)->member), .count = 1,                         \
      .is_bool = STATE_IS_BOOL(((type *)0)->member) }
#define STATE_ARRAY(type, member)                                              \
    { .name = #member, .offset = offsetof(type, member),                       \
      .size = sizeof(((type *)0)->member[0]),                                  \
      .count = sizeof(((type *)0)->member) /                                   \
               sizeof(((type *)0)->member[0]),                                 \
      .is_bool = STATE_IS_BOOL(((type *)0)->member[0]) }
/* Anything that consists of words of bytes bytes. */
#define STATE_WORDS(type, member, bytes)                                       \
    { .name = #member, .offset = offsetof(type, member), .size = bytes,        \
      .count = sizeof(((type *)0)->member) / (bytes) }
#define STATE_STRUCT_AT(label, at, type, fields)                               \
    { .name = label, .offset = at, .size = sizeof(type), .count = 1,           \
      .sub = fields }
#define STATE_STRUCTS(type, member, fields)                                    \
    { .name = #member, .offset = offsetof(type, member),                       \
      .size = sizeof(((type *)0)->member[0]),                                  \
      .count = sizeof(((type *)0)->member) /                                   \
               sizeof(((type *)0)->member[0]), .sub = fields }
#define STATE_POINTER(type, member, fields)                                    \
    { .name = #member, .offset = offsetof(type, member),                       \
      .size = sizeof(*((type *)0)->member), .count = 1, .sub = fields,         \
      .pointer = true }
#define STATE_POINTER_N(type, member, n_member, fields)                        \
    { .name = #member, .offset = offsetof(type, member),                       \
      .size = sizeof(*((type *)0)->member), .sub = fields, .pointer = true,    \
      .count_at = offsetof(type, n_member) }
#define STATE_END { .name = NULL }

struct DeviceClass {
    const char *name;
    const char *help;
    size_t state_size;    /* of the struct that begins with Device */
    unsigned version;     /* of the saved fields */
    uint64_t mmio_size;   /* bytes, 0: not on the bus */
    const DeviceReg *regs; /* ends with name NULL; or NULL with callbacks: */
    uint64_t (*read)(Device *device, uint64_t offset, unsigned size);
    void (*write)(Device *device, uint64_t offset, unsigned size,
                  uint64_t value);
    void (*reset)(Device *device);
    const StateField *fields; /* may be NULL */
    void (*post_load)(Device *device); /* after the fields are restored */
    /* Before a snapshot and at exit: no request stays in flight. */
    void (*quiesce)(Device *device);
    /* After a snapshot was made or loaded: looks for work again. */
    void (*resume)(Device *device);
    void (*free)(Device *device); /* what the device owns, not itself */
};

struct Device {
    const DeviceClass *class;
    char *id;         /* unique in the machine */
    Machine *machine;
    GMutex own_lock;
    GMutex *lock;     /* own_lock, or one shared with others */
};

/* A zeroed device known to machine, which frees it; not yet on the bus. */
Device *device_new(Machine *machine, const DeviceClass *class, const char *id);
void device_free(Device *device); /* for the machine */

/* Makes device use other's lock. */
void device_share_lock(Device *device, Device *other);

void device_reset(Device *device);

/*
 * Bus access of 1, 2, 4 or 8 bytes at a register offset.  Accesses that fit
 * no register read as zero, are ignored as writes, and are logged as guest
 * errors.
 */
uint64_t device_read(Device *device, uint64_t offset, unsigned size);
void device_write(Device *device, uint64_t offset, unsigned size,
                  uint64_t value);

/* The same on a table of registers, for devices whose window mixes tables
 * with other things; the device's lock is held. */
uint64_t device_regs_read(Device *device, const DeviceReg *regs,
                          uint64_t offset, unsigned size);
void device_regs_write(Device *device, const DeviceReg *regs, uint64_t offset,
                       unsigned size, uint64_t value);

#endif
