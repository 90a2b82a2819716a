/* Child processes, by posix_spawn(3): no fork of a process with threads. */
#define _GNU_SOURCE /* posix_spawn_file_actions_addclosefrom_np */
#include "proto/spawn_io.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <unistd.h>

static int set_up(const struct spawn *spawn, posix_spawn_file_actions_t *files,
                  posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigemptyset(&none);
    sigfillset(&all);
    if (spawn->own_group) {
        flags |= POSIX_SPAWN_SETPGROUP; /* 0, the default: a new one */
    }
    int r = posix_spawn_file_actions_adddup2(files, spawn->input, STDIN_FILENO);
    r = r ? r : posix_spawn_file_actions_adddup2(files, spawn->output, STDOUT_FILENO);
    if (spawn->errors_too) {
        r = r ? r : posix_spawn_file_actions_adddup2(files, spawn->output, STDERR_FILENO);
    }
    r = r ? r : posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
    r = r ? r : posix_spawnattr_setsigmask(attributes, &none);
    r = r ? r : posix_spawnattr_setsigdefault(attributes, &all);
    return r ? r : posix_spawnattr_setflags(attributes, flags);
}

int spawn_io_start(const struct spawn *spawn, pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&files) != 0) {
        return -ENOMEM;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return -ENOMEM;
    }
    int r = set_up(spawn, &files, &attributes);
    r = r ? r /* it takes both lists as not const, and changes neither */
          : posix_spawn(ret_pid, spawn->path, &files, &attributes,
                        (char *const *)(uintptr_t)spawn->arguments,
                        (char *const *)(uintptr_t)spawn->environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return -r;
}
