/*
 * Finds QEMU processes in /proc by what the kernel says of them: name, state, namespace, arguments.
 *
 * The arguments are read last and of QEMU only: reading another process's memory can block on it.
 */
#define _GNU_SOURCE /* readlink and friends */
#include "migration/guest_proc_io.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migration/domain_xml_io.h"

#define CMDLINE_BYTES (128 * 1024)
#define PATH_BYTES 64

static void close_dir(DIR **dir)
{
    if (*dir) {
        closedir(*dir);
    }
}

static void free_bytes(char **bytes)
{
    free(*bytes);
}

/* Reads at most size - 1 bytes of /proc/PID/NAME and ends them with NUL; the count, or -errno. */
static ssize_t file_read(pid_t pid, const char *name, char *bytes, size_t size)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    size_t length = 0;
    ssize_t count;
    do {
        count = read(fd, bytes + length, size - 1 - length);
        length += count > 0 ? (size_t)count : 0;
    } while (count > 0 && length < size - 1);
    int error = errno;
    close(fd);
    if (count < 0 && length == 0) {
        return -error;
    }
    bytes[length] = '\0';
    return (ssize_t)length;
}

/* The third field of stat; the second, the name in parentheses, may hold anything. */
static bool is_dead(pid_t pid)
{
    char stat[512];
    if (file_read(pid, "stat", stat, sizeof(stat)) < 0) {
        return true;
    }
    const char *close = strrchr(stat, ')');
    return !close || close[1] != ' ' || close[2] == 'Z' || close[2] == 'X';
}

static bool is_qemu(pid_t pid)
{
    char name[64];
    if (file_read(pid, "comm", name, sizeof(name)) < 0) {
        return false;
    }
    return strstr(name, "qemu") || strstr(name, "kvm");
}

/* A container of this host has its own guests; they show in our /proc but are not ours to judge. */
static bool is_of_our_namespace(pid_t pid)
{
    char path[PATH_BYTES];
    char its[PATH_BYTES] = {0};
    char own[PATH_BYTES] = {0};
    snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
    if (readlink(path, its, sizeof(its) - 1) < 0) {
        return errno != ENOENT && errno != ESRCH; /* may not be told: then it counts */
    }
    return readlink("/proc/self/ns/pid", own, sizeof(own) - 1) < 0 || strcmp(its, own) == 0;
}

static bool arguments_uuid(const char *bytes, size_t length, struct uuid *ret_vm)
{
    const char *end = bytes + length;
    for (const char *word = bytes; word < end; word += strlen(word) + 1) {
        const char *next = word + strlen(word) + 1;
        if (next < end && (strcmp(word, "-uuid") == 0 || strcmp(word, "--uuid") == 0)) {
            return domain_xml_uuid(next, ret_vm) == 0;
        }
    }
    return false;
}

bool guest_proc_read(pid_t pid, struct uuid *ret_vm)
{
    if (!is_qemu(pid) || is_dead(pid) || !is_of_our_namespace(pid)) {
        return false;
    }
    __attribute__((cleanup(free_bytes))) char *bytes = malloc(CMDLINE_BYTES);
    ssize_t length = bytes ? file_read(pid, "cmdline", bytes, CMDLINE_BYTES) : -ENOMEM;
    return length > 0 && arguments_uuid(bytes, (size_t)length, ret_vm);
}

static int list_add(struct guest_process **list, uint32_t *count, const struct guest_process *one)
{
    if ((*count & (*count - 1)) == 0) { /* full at each power of two */
        size_t room = *count ? (size_t)*count * 2 : 1;
        struct guest_process *larger = realloc(*list, room * sizeof(*larger));
        if (!larger) {
            return -ENOMEM;
        }
        *list = larger;
    }
    (*list)[(*count)++] = *one;
    return 0;
}

int guest_proc_scan(struct guest_process **ret_list, uint32_t *ret_count)
{
    __attribute__((cleanup(close_dir))) DIR *dir = opendir("/proc");
    struct guest_process *list = NULL;
    uint32_t count = 0;
    int r = dir ? 0 : -errno;
    struct dirent *entry;
    while (r == 0 && (errno = 0, entry = readdir(dir))) {
        struct guest_process one = {0};
        if (isdigit((unsigned char)entry->d_name[0])) {
            one.pid = (pid_t)strtol(entry->d_name, NULL, 10);
            r = guest_proc_read(one.pid, &one.vm) ? list_add(&list, &count, &one) : 0;
        }
    }
    r = r == 0 && errno != 0 ? -errno : r;
    if (r < 0) {
        free(list);
        return r;
    }
    *ret_list = list;
    *ret_count = count;
    return 0;
}
