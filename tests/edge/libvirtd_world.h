/* For the tests with a real libvirtd of their own (libvirtd.sh): group and test fixtures. Run them
 * from the top of the repository, as root. */
#ifndef STEAD_TESTS_EDGE_LIBVIRTD_WORLD_H
#define STEAD_TESTS_EDGE_LIBVIRTD_WORLD_H

#include "tests/edge/libvirt_world.h"

#define PATH_BYTES 256

struct real {
    struct world *world;
    char dir[64];
    char uri[PATH_BYTES];
};

static inline int script(const struct real *real, const char *verb)
{
    char command[PATH_BYTES];
    snprintf(command, sizeof(command), "tests/edge/libvirtd.sh %s %s", verb, real->dir);
    return system(command);
}

static inline pid_t libvirtd_pid(const struct real *real)
{
    char path[PATH_BYTES];
    int pid = 0;
    snprintf(path, sizeof(path), "%s/libvirtd.pid", real->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

static inline int start_libvirtd(void **state)
{
    struct real *real = calloc(1, sizeof(*real));
    *state = real;
    if (geteuid() != 0) {
        fprintf(stderr, "a libvirtd of its own needs root: run this test as root\n");
        return -1;
    }
    strcpy(real->dir, "/tmp/stead-test-libvirt.XXXXXX");
    assert_non_null(mkdtemp(real->dir));
    snprintf(real->uri, sizeof(real->uri), "qemu+unix:///system?socket=%s/libvirt-sock", real->dir);
    return script(real, "start");
}

static inline int stop_libvirtd(void **state)
{
    struct real *real = *state;
    char command[PATH_BYTES];
    int r = script(real, "stop");
    snprintf(command, sizeof(command), "rm -rf %s", real->dir);
    r = r ? r : system(command);
    free(real);
    return r;
}

static inline int setup_real(void **state)
{
    struct real *real = *state;
    real->world = calloc(1, sizeof(*real->world));
    world_open(real->world, real->uri);
    world_connect(real->world);
    return 0;
}

static inline int teardown_real(void **state)
{
    struct real *real = *state;
    world_close(real->world);
    real->world = NULL;
    return 0;
}

#endif
