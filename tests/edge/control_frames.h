/* For edge tests: a bench with room for one frame each way, and the frames most tests send. */
#ifndef STEAD_TESTS_EDGE_CONTROL_FRAMES_H
#define STEAD_TESTS_EDGE_CONTROL_FRAMES_H

#include <sys/types.h>

#include "proto/control_io.h"

#define HEAD CONTROL_HEAD_BYTES

struct fixture {
    pid_t server;
    char path[64];
    uint8_t frame[CONTROL_BYTES_MAX];
    uint8_t reply[CONTROL_BYTES_MAX];
};

static inline size_t pack_command(struct fixture *f, uint32_t version, Control__CommandKind kind,
                                  const char *name)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__Command command = CONTROL__COMMAND__INIT;
    size_t size = 0;
    command.kind = kind;
    command.name = (char *)(uintptr_t)name;
    request.version = version;
    request.ask_case = CONTROL__REQUEST__ASK_COMMAND;
    request.command = &command;
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    return size;
}

#endif
