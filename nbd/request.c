/*
 * Validation of requests: the only place where a client's numbers are
 * believed or not.
 */
#include "nbd/request.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <glib.h>

#include "util/bytes.h"

typedef struct CommandRules {
    uint16_t flags;  /* besides FUA */
    bool writes;     /* needs a writable export */
    bool has_range;  /* offset and length mean something */
    int past_end;    /* errno when the range leaves the export */
} CommandRules;

static const CommandRules command_rules[NBD_CMD_COUNT] = {
#define X(name, number, word, allowed, needs_write, past)                      \
    [number] = { .flags = (allowed), .writes = (needs_write),                  \
                 .has_range = (past) != 0, .past_end = (past) },
    NBD_COMMANDS(X)
#undef X
};

static void G_GNUC_PRINTF(3, 4)
refuse(NbdRequest *r, int err, const char *format, ...)
{
    va_list ap;

    r->error = err;
    va_start(ap, format);
    g_vsnprintf(r->message, sizeof(r->message), format, ap);
    va_end(ap);
}

static bool flags_ok(const NbdRequestRules *rules, const NbdRequest *r)
{
    uint16_t allowed = command_rules[r->type].flags | NBD_CMD_FLAG_FUA;

    if (!rules->structured) {
        allowed &= ~NBD_CMD_FLAG_DF;
    }
    if (!rules->extended ||
        (r->type == NBD_CMD_BLOCK_STATUS && !rules->status_payload)) {
        allowed &= ~NBD_CMD_FLAG_PAYLOAD_LEN;
    }
    if (rules->extended && r->type == NBD_CMD_WRITE &&
        !(r->flags & NBD_CMD_FLAG_PAYLOAD_LEN)) {
        return false;
    }
    return !(r->flags & ~allowed);
}

static void check_range(const NbdRequestRules *rules, NbdRequest *r)
{
    if (r->offset <= rules->size && r->length <= rules->size - r->offset) {
        return;
    }
    refuse(r,
           r->length > UINT64_MAX - r->offset
               ? EINVAL : command_rules[r->type].past_end,
           "operation past EOF; From: %" PRIu64 ", Len: %" PRIu64
           ", Size: %" PRIu64, r->offset, r->length, rules->size);
}

static void check_length(const NbdRequestRules *rules, NbdRequest *r)
{
    bool limited = r->type == NBD_CMD_READ || r->type == NBD_CMD_WRITE ||
                   r->type == NBD_CMD_CACHE;

    if (limited && r->length > rules->max_block) {
        refuse(r, EINVAL, "len (%" PRIu64 " ) is larger than max len (%u)",
               r->length, rules->max_block);
    } else if (r->type == NBD_CMD_BLOCK_STATUS && rules->contexts == 0) {
        refuse(r, EINVAL, "CMD_BLOCK_STATUS not negotiated");
    } else if (r->type == NBD_CMD_BLOCK_STATUS && r->length == 0) {
        refuse(r, EINVAL, "need non-zero length");
    }
}

static void check_command(const NbdRequestRules *rules, NbdRequest *r)
{
    const CommandRules *command;

    if (r->type >= NBD_CMD_COUNT) {
        refuse(r, EINVAL, "invalid request type (%u) received", r->type);
        return;
    }
    command = &command_rules[r->type];
    if (!flags_ok(rules, r)) {
        refuse(r, EINVAL, "unsupported flags for command %s (got 0x%x)",
               nbd_command_name(r->type), r->flags);
        return;
    }
    if (command->writes && !rules->writable) {
        refuse(r, EPERM, "Export is read-only");
        return;
    }
    if (!command->has_range) {
        return;
    }
    /* A status request with a payload has its length in there. */
    if (r->type == NBD_CMD_BLOCK_STATUS && r->payload) {
        return;
    }
    check_length(rules, r);
    if (!r->error) {
        check_range(rules, r);
    }
}

bool nbd_request_parse(const NbdRequestRules *rules, const uint8_t *header,
                       NbdRequest *r)
{
    uint64_t payload;

    r->flags = ldw_be_p(header + 4);
    r->type = ldw_be_p(header + 6);
    r->cookie = ldq_be_p(header + 8);
    r->offset = ldq_be_p(header + 16);
    r->error = 0;
    r->message[0] = 0;
    if (rules->extended) {
        if (ldl_be_p(header) != NBD_EXT_REQUEST_MAGIC) {
            return false;
        }
        r->length = ldq_be_p(header + 24);
        payload = r->flags & NBD_CMD_FLAG_PAYLOAD_LEN ? r->length : 0;
    } else {
        if (ldl_be_p(header) != NBD_REQUEST_MAGIC) {
            return false;
        }
        r->length = ldl_be_p(header + 24);
        payload = r->type == NBD_CMD_WRITE ? r->length : 0;
    }
    if (payload > NBD_MAX_DRAIN) {
        return false;
    }
    r->payload = (uint32_t)payload;
    check_command(rules, r);
    return true;
}

void nbd_request_parse_status(const NbdRequestRules *rules,
                              const uint8_t *payload, const uint32_t *ids,
                              bool *wanted, NbdRequest *r)
{
    uint32_t count = (r->payload - 8) / 4;

    memset(wanted, 0, rules->contexts * sizeof(*wanted));
    if (r->payload < 8 || r->payload % 4 || count > rules->contexts) {
        refuse(r, EINVAL, "bad payload of %u bytes for block status",
               r->payload);
        return;
    }
    r->length = ldq_be_p(payload);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = ldl_be_p(payload + 8 + 4 * i);
        unsigned j = 0;
        while (j < rules->contexts && ids[j] != id) {
            j++;
        }
        if (j == rules->contexts || wanted[j]) {
            refuse(r, EINVAL, "context id %u is %s", id,
                   j == rules->contexts ? "not selected" : "named twice");
            return;
        }
        wanted[j] = true;
    }
    r->payload = 0;
    check_length(rules, r);
    if (!r->error) {
        check_range(rules, r);
    }
}
