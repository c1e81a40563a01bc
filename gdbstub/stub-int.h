/*
 * State of one stub, shared by the files of this folder.
 *
 * Locking: `lock` covers everything below it.  Target callbacks are made
 * without the lock, from the stub's thread.
 */
#ifndef GDBSTUB_STUB_INT_H
#define GDBSTUB_STUB_INT_H

#include "gdbstub/gdbstub.h"
#include "gdbstub/packet.h"

struct GdbStub {
    const GdbTarget *target;
    void *opaque;
    int listener;
    int wake[2];       /* pipe: something for the stub's thread */
    char *unix_path;   /* to unlink */
    bool stands_in;    /* as aarch64; see registers.c */
    GThread *thread;

    /* The stub's thread only. */
    int client;
    bool no_ack;
    bool multiprocess;
    uint64_t reg_thread;  /* Hg */
    uint64_t run_thread;  /* Hc; 0: any, as -1 */
    GByteArray *last;     /* last packet, for retransmission */
    GdbReader reader;

    GMutex lock;
    GCond changed;
    bool quit;
    bool connected;
    bool running;         /* the target runs */
    bool stop_ready;      /* a stop is to be reported */
    GdbStopReason reason;
    uint64_t stop_thread;
    int number;
    uint64_t address;
    GString *console;
};

/* Answers the command packet in stub->reader; sends its own reply. */
void gdb_stub_command(GdbStub *stub);
void gdb_stub_send(GdbStub *stub, const void *body, size_t size);
void gdb_stub_send_text(GdbStub *stub, const char *text);
/* The stop reply of the last stop. */
void gdb_stub_send_stop(GdbStub *stub);

/* Registers as the debugger sees them (registers.c): as of a GdbTarget. */
unsigned gdb_stub_registers(const GdbStub *stub);
unsigned gdb_stub_register_bytes(const GdbStub *stub, unsigned number);
bool gdb_stub_read_register(GdbStub *stub, uint64_t thread, unsigned number,
                            uint8_t *bytes);
bool gdb_stub_write_register(GdbStub *stub, uint64_t thread, unsigned number,
                             const uint8_t *bytes);
/* The target description; owned by the caller. */
char *gdb_stub_describe(const GdbStub *stub);

/* vFile packets; text is what follows "vFile:". */
void gdb_stub_vfile(GdbStub *stub, const char *text, size_t size);

#endif
