/* What this host is and what its clocks say. */
#include "agent/host_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "proto/assert.h"

#define SYSTEMD_US 200000

uint64_t host_io_wall_ms(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t host_io_random(void)
{
    uint64_t number = 0;
    while (number == 0) {
        ssize_t got = getrandom(&number, sizeof(number), 0);
        ASSERT(got == (ssize_t)sizeof(number) || errno == EINTR);
    }
    return number;
}

struct uuid host_io_random_uuid(void)
{
    struct uuid uuid;
    uint64_t halves[2] = {host_io_random(), host_io_random()};
    memcpy(uuid.bytes, halves, sizeof(uuid.bytes));
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

int host_io_read_uuid(const char *path, struct uuid *ret_uuid)
{
    char line[64] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -errno;
    }
    char *got = fgets(line, sizeof(line), file);
    fclose(file);
    if (got == NULL) {
        return -EINVAL;
    }
    line[strcspn(line, " \r\n")] = '\0';
    return uuid_parse(line, ret_uuid) ? 0 : -EINVAL;
}

int host_io_name(char ret_name[NAME_BYTES])
{
    char name[NAME_BYTES] = "";
    if (gethostname(name, sizeof(name) - 1) < 0) {
        return -errno;
    }
    name[strcspn(name, ".")] = '\0';
    memcpy(ret_name, name, sizeof(name));
    return 0;
}

int host_io_guest_memory_mib(uint32_t *ret_mib)
{
    char line[128];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL) {
        return -errno;
    }
    while (kib == 0 && fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "MemTotal: %lu kB", &kib);
    }
    fclose(file);
    unsigned long mib = kib / 1024;
    if (mib == 0 || mib > UINT32_MAX) {
        return -EBADMSG;
    }
    *ret_mib = (uint32_t)(mib < 2048 ? mib / 2 : mib - 1024);
    return 0;
}

bool host_io_shuts_down(void)
{
    sd_bus *bus = NULL;
    char *state = NULL;
    bool stopping = false;
    /* Its private socket: the message bus may have ended by then. */
    if (sd_bus_new(&bus) >= 0 && sd_bus_set_address(bus, "unix:path=/run/systemd/private") >= 0 &&
        sd_bus_set_method_call_timeout(bus, SYSTEMD_US) >= 0 && sd_bus_start(bus) >= 0 &&
        sd_bus_get_property_string(bus, NULL, "/org/freedesktop/systemd1",
                                   "org.freedesktop.systemd1.Manager", "SystemState", NULL,
                                   &state) >= 0) {
        stopping = strcmp(state, "stopping") == 0;
    }
    free(state);
    sd_bus_flush_close_unref(bus);
    return stopping;
}
