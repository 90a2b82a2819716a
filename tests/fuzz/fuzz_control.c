/*
 * Bytes on the local socket: the frame's head, then a request or a reply as the first byte says.
 * What is let in can be said again.
 */
#include "proto/control_io.h"
#include "tests/fuzz/fuzz.h"

static uint8_t frame[CONTROL_BYTES_MAX + 64];
static uint8_t again[CONTROL_BYTES_MAX * 2];

static void try_request(size_t size)
{
    Control__Request *request = NULL;
    size_t packed = 0;
    if (control_unpack_request(frame, size, &request) == 0) {
        PROMISE(control_pack_request(request, again, sizeof(again), &packed) == 0);
        PROMISE(!control_changes(request) || !control_for_viewers(request));
        control_free_request(&request);
        PROMISE(control_unpack_request(again, packed, &request) == 0);
        control_free_request(&request);
    }
}

static void try_reply(size_t size)
{
    Control__Reply *reply = NULL;
    size_t packed = 0;
    if (control_unpack_reply(frame, size, &reply) == 0) {
        PROMISE(control_pack_reply(reply, again, sizeof(again), &packed) == 0);
        control_free_reply(&reply);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t whole = 0;
    if (size < 1 || size > sizeof(frame) - CONTROL_HEAD_BYTES) {
        return 0;
    }
    const unsigned kind = data[0] % 4;
    data++;
    size--;
    if (kind < 2) { /* with the head as it should be */
        const uint32_t length = (uint32_t)size;
        for (int i = 0; i < CONTROL_HEAD_BYTES; i++) {
            frame[i] = (uint8_t)(length >> (24 - 8 * i));
        }
        memcpy(frame + CONTROL_HEAD_BYTES, data, size);
        size += CONTROL_HEAD_BYTES;
    } else {
        memcpy(frame, data, size);
    }
    if (size >= CONTROL_HEAD_BYTES && control_frame_size(frame, CONTROL_BYTES_MAX, &whole) == 0) {
        PROMISE(whole > CONTROL_HEAD_BYTES && whole <= CONTROL_BYTES_MAX);
    }
    if (kind % 2 == 0) {
        try_request(size);
    } else {
        try_reply(size);
    }
    return 0;
}
