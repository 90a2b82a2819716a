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
    if (count < 0) {
        return -error;
    }
    bytes[length] = '\0';
    return (ssize_t)length;
}

/* Only what is gone is seen not to be a guest; whatever else keeps us from looking says nothing. */
static int unseen(ssize_t error)
{
    return error == -ENOENT || error == -ESRCH ? 0 : (int)error;
}

/* The third field of stat; the second, the name in parentheses, may hold anything. */
static int is_alive(pid_t pid)
{
    char stat[512];
    ssize_t length = file_read(pid, "stat", stat, sizeof(stat));
    if (length < 0) {
        return unseen(length);
    }
    const char *close = strrchr(stat, ')');
    if (!close || close[1] != ' ') {
        return -EBADMSG;
    }
    return close[2] != 'Z' && close[2] != 'X';
}

static int is_qemu(pid_t pid)
{
    char name[64];
    ssize_t length = file_read(pid, "comm", name, sizeof(name));
    if (length < 0) {
        return unseen(length);
    }
    return strstr(name, "qemu") || strstr(name, "kvm");
}

/* A container of this host has its own guests; they show in our /proc but are not ours to judge. */
static int is_of_our_namespace(pid_t pid)
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
            return uuid_parse(next, ret_vm);
        }
    }
    return false;
}

static int has_uuid(pid_t pid, struct uuid *ret_vm)
{
    __attribute__((cleanup(free_bytes))) char *bytes = malloc(CMDLINE_BYTES);
    ssize_t length = bytes ? file_read(pid, "cmdline", bytes, CMDLINE_BYTES) : -ENOMEM;
    return length < 0 ? unseen(length) : arguments_uuid(bytes, (size_t)length, ret_vm);
}

int guest_proc_read(pid_t pid, struct uuid *ret_vm)
{
    int r = is_qemu(pid);
    r = r == 1 ? is_alive(pid) : r;
    r = r == 1 ? is_of_our_namespace(pid) : r;
    return r == 1 ? has_uuid(pid, ret_vm) : r;
}

static int list_add(struct guest_list *list, const struct guest_process *one)
{
    if ((list->count & (list->count - 1)) == 0) { /* full at each power of two */
        size_t room = list->count ? (size_t)list->count * 2 : 1;
        struct guest_process *larger = realloc(list->guests, room * sizeof(*larger));
        if (!larger) {
            return -ENOMEM;
        }
        list->guests = larger;
    }
    list->guests[list->count++] = *one;
    return 0;
}

void guest_proc_scan(struct guest_list *ret_list)
{
    __attribute__((cleanup(close_dir))) DIR *dir = opendir("/proc");
    struct dirent *entry;
    *ret_list = (struct guest_list){.unseen = dir ? 0 : -errno};
    while (dir && (errno = 0, entry = readdir(dir))) {
        struct guest_process one = {0};
        if (isdigit((unsigned char)entry->d_name[0])) {
            one.pid = (pid_t)strtol(entry->d_name, NULL, 10);
            int r = guest_proc_read(one.pid, &one.vm);
            r = r == 1 ? list_add(ret_list, &one) : r;
            ret_list->unseen = r < 0 ? r : ret_list->unseen;
        }
    }
    ret_list->unseen = dir && errno != 0 ? -errno : ret_list->unseen;
}
