/*
 * The parts of nbd/ that are pure functions: request validation, extents,
 * URIs, error numbers, strings.
 */
#include <errno.h>
#include <string.h>

#include "nbd/address.h"
#include "nbd/protocol.h"
#include "nbd/request.h"
#include "nbd/server-int.h"
#include "util/bytes.h"

#define SIZE (UINT64_C(1) << 20)

static NbdRequestRules rules(bool extended)
{
    return (NbdRequestRules){
        .structured = true, .extended = extended, .writable = true,
        .contexts = 2, .size = SIZE, .max_block = NBD_MAX_PAYLOAD,
    };
}

static bool parse(const NbdRequestRules *r, uint16_t flags, uint16_t type,
                  uint64_t offset, uint64_t length, NbdRequest *request)
{
    uint8_t head[NBD_EXT_REQUEST_SIZE];

    stl_be_p(head, r->extended ? NBD_EXT_REQUEST_MAGIC : NBD_REQUEST_MAGIC);
    stw_be_p(head + 4, flags);
    stw_be_p(head + 6, type);
    stq_be_p(head + 8, 42);
    stq_be_p(head + 16, offset);
    if (r->extended) {
        stq_be_p(head + 24, length);
    } else {
        stl_be_p(head + 24, (uint32_t)length);
    }
    return nbd_request_parse(r, head, request);
}

static void test_request_ranges(void)
{
    static const struct {
        uint16_t type;
        uint64_t offset, length;
        int error;
    } cases[] = {
        { NBD_CMD_READ, 0, SIZE, 0 },
        { NBD_CMD_READ, SIZE, 0, 0 },
        { NBD_CMD_READ, SIZE, 1, EINVAL },
        { NBD_CMD_READ, SIZE + 1, 0, EINVAL },
        { NBD_CMD_READ, UINT64_MAX, 1, EINVAL },
        { NBD_CMD_READ, 0, NBD_MAX_PAYLOAD + 1, EINVAL },
        { NBD_CMD_WRITE_ZEROES, SIZE - 1, 2, ENOSPC },
        { NBD_CMD_WRITE_ZEROES, UINT64_MAX - 1, 2, EINVAL },
        { NBD_CMD_WRITE_ZEROES, UINT64_MAX - 2, 2, ENOSPC },
        { NBD_CMD_TRIM, SIZE - 1, 2, EINVAL },
        { NBD_CMD_BLOCK_STATUS, 0, 0, EINVAL },
        { NBD_CMD_BLOCK_STATUS, SIZE - 1, 1, 0 },
        { NBD_CMD_FLUSH, UINT64_MAX, 1234, 0 },
        { NBD_CMD_COUNT, 0, 0, EINVAL },
        { 65535, 0, 0, EINVAL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        NbdRequestRules r = rules(false);
        NbdRequest request;
        g_assert_true(parse(&r, 0, cases[i].type, cases[i].offset,
                            cases[i].length, &request));
        g_assert_cmpint(request.error, ==, cases[i].error);
        g_assert_cmpuint(request.cookie, ==, 42);
    }
}

static void test_request_flags(void)
{
    NbdRequestRules r = rules(false);
    NbdRequest request;

    for (unsigned type = 0; type < NBD_CMD_COUNT; type++) {
        g_assert_true(parse(&r, NBD_CMD_FLAG_FUA, type, 0, 512, &request));
        g_assert_cmpint(request.error, ==, 0);
        g_assert_true(parse(&r, 0x40, type, 0, 512, &request));
        g_assert_cmpint(request.error, ==, EINVAL);
    }
    r.structured = false;
    parse(&r, NBD_CMD_FLAG_DF, NBD_CMD_READ, 0, 512, &request);
    g_assert_cmpint(request.error, ==, EINVAL);
    r.writable = false;
    parse(&r, 0, NBD_CMD_WRITE, 0, 512, &request);
    g_assert_cmpint(request.error, ==, EPERM);
    g_assert_cmpuint(request.payload, ==, 512);
}

static void test_request_payloads(void)
{
    NbdRequestRules r = rules(true);
    NbdRequest request;
    uint8_t payload[8 + 8];
    uint32_t ids[2] = { 3, 4 };
    bool wanted[2];

    g_assert_false(parse(&r, NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_WRITE, 0,
                         UINT64_MAX, &request));
    g_assert_false(parse(&r, NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_FLUSH, 0,
                         NBD_MAX_DRAIN + 1, &request));
    g_assert_true(parse(&r, 0, NBD_CMD_WRITE, 0, 512, &request));
    g_assert_cmpint(request.error, ==, EINVAL);
    g_assert_cmpuint(request.payload, ==, 0);

    r.status_payload = true;
    g_assert_true(parse(&r, NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_BLOCK_STATUS, 0,
                        sizeof(payload), &request));
    g_assert_cmpint(request.error, ==, 0);
    stq_be_p(payload, SIZE);
    stl_be_p(payload + 8, 4);
    stl_be_p(payload + 12, 3);
    nbd_request_parse_status(&r, payload, ids, wanted, &request);
    g_assert_cmpint(request.error, ==, 0);
    g_assert_cmpuint(request.length, ==, SIZE);
    g_assert_true(wanted[0] && wanted[1]);
    request.payload = sizeof(payload);
    stl_be_p(payload + 12, 4);
    nbd_request_parse_status(&r, payload, ids, wanted, &request);
    g_assert_cmpint(request.error, ==, EINVAL);
}

static void test_extents(void)
{
    NbdExtents x;

    nbd_extents_init(&x, 1000, false, 2);
    g_assert_true(nbd_extents_add(&x, 100, 1));
    g_assert_true(nbd_extents_add(&x, 100, 1));
    g_assert_true(nbd_extents_add(&x, 100, 2));
    g_assert_false(nbd_extents_add(&x, 100, 1)); /* no third */
    g_assert_false(nbd_extents_add(&x, 100, 2)); /* and none after it */
    g_assert_cmpuint(x.count, ==, 2);
    g_assert_cmpuint(g_array_index(x.array, NbdExtent, 0).bytes, ==, 200);
    nbd_extents_clear(&x);

    nbd_extents_init(&x, 1000, false, 1);
    g_assert_false(nbd_extents_add(&x, UINT64_MAX, 0)); /* clipped, full */
    g_assert_cmpuint(g_array_index(x.array, NbdExtent, 0).bytes, ==, 1000);
    nbd_extents_clear(&x);
}

static void test_uris(void)
{
    static const struct {
        const char *text;
        const char *place; /* NULL: refused */
        const char *export;
        bool tls;
    } cases[] = {
        { "nbd://host", "host:10809", "", false },
        { "nbd://host:5/a%20b", "host:5", "a b", false },
        { "nbd://[::1]:7//disk", "[::1]:7", "/disk", false },
        { "nbds://alice@host/", "host:10809", "", true },
        { "nbd+unix:///?socket=/tmp/s", "/tmp/s", "", false },
        { "nbd+unix:///e/f?socket=/tmp/%41", "/tmp/A", "e/f", false },
        { "nbd+unix:///?socket=%00name", "@name", "", false },
        { "nbd+vsock://3:9/x", "3:9", "x", false },
        { "nbd+unix:///x", NULL, NULL, false },
        { "nbd+unix://host/?socket=/s", NULL, NULL, false },
        { "nbd+unix:///?socket=/s&socket=/t", NULL, NULL, false },
        { "nbd://h/?nosuch=1", NULL, NULL, false },
        { "nbd://h/%zz", NULL, NULL, false },
        { "nbd://h/%00", NULL, NULL, false },
        { "nbd://[::1", NULL, NULL, false },
        { "nbd://h:0/", NULL, NULL, false },
        { "http://h/", NULL, NULL, false },
        { "nbd:h", NULL, NULL, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(NbdUri) uri = nbd_uri_parse(cases[i].text, &error);
        g_autofree char *place = NULL;

        g_test_message("%s", cases[i].text);
        g_assert_true(!uri == !cases[i].place);
        g_assert_true(!uri == !!error);
        if (uri) {
            place = nbd_address_text(uri->address);
            g_assert_cmpstr(place, ==, cases[i].place);
            g_assert_cmpstr(uri->export, ==, cases[i].export);
            g_assert_cmpint(uri->tls, ==, cases[i].tls);
        }
    }
}

static void test_error_numbers(void)
{
    static const int travel[] = { EPERM, EIO, ENOMEM, EINVAL, ENOSPC,
                                  EOVERFLOW, ENOTSUP, ESHUTDOWN };

    for (size_t i = 0; i < G_N_ELEMENTS(travel); i++) {
        g_assert_cmpint(nbd_errno_from_wire(nbd_errno_to_wire(travel[i])), ==,
                        travel[i]);
    }
    g_assert_cmpuint(nbd_errno_to_wire(0), ==, 0);
    g_assert_cmpuint(nbd_errno_to_wire(EROFS), ==, 1);
    g_assert_cmpuint(nbd_errno_to_wire(EFBIG), ==, 28);
    g_assert_cmpuint(nbd_errno_to_wire(EBUSY), ==, 22);
    g_assert_cmpint(nbd_errno_from_wire(12345), ==, EINVAL);
}

static void test_strings(void)
{
    char big[NBD_MAX_STRING + 1];

    memset(big, 'x', sizeof(big));
    g_assert_true(nbd_string_ok("", 0));
    g_assert_true(nbd_string_ok(big, NBD_MAX_STRING));
    g_assert_false(nbd_string_ok(big, NBD_MAX_STRING + 1));
    g_assert_false(nbd_string_ok("a\0b", 3));
    g_assert_false(nbd_string_ok("\xff", 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nbd/request/ranges", test_request_ranges);
    g_test_add_func("/nbd/request/flags", test_request_flags);
    g_test_add_func("/nbd/request/payloads", test_request_payloads);
    g_test_add_func("/nbd/extents", test_extents);
    g_test_add_func("/nbd/uris", test_uris);
    g_test_add_func("/nbd/error-numbers", test_error_numbers);
    g_test_add_func("/nbd/strings", test_strings);
    return g_test_run();
}
