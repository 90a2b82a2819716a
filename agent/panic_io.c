/* A failed assertion: said once, marked if the core stood on a version, then the process ends. */
#define _GNU_SOURCE /* gettid */
#include "agent/panic_io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "proto/assert.h"
#include "proto/values.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

/* stead_panic() and a signal are given no context. */
static struct {
    const char *path; /* NULL: nobody watches */
    bool stepping;
    struct mark mark; /* as it would be left, but for the reason */
} at;

void panic_io_stepping(const struct header *header)
{
    at.mark.epoch = header->epoch;
    at.mark.version = header->version;
    at.mark.decided = mark_decided(header);
    at.stepping = true;
}

void panic_io_stepped(void)
{
    at.stepping = false;
}

static int read_boot(char ret_boot[UUID_TEXT_BYTES])
{
    int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, ret_boot, UUID_TEXT_BYTES - 1);
    if (fd >= 0) {
        close(fd);
    }
    return size == UUID_TEXT_BYTES - 1 ? 0 : -EIO;
}

int panic_io_save(const char *path, const struct mark *mark)
{
    char boot[UUID_TEXT_BYTES] = "";
    char text[TEXT_BYTES + 128];
    if (read_boot(boot) < 0) {
        return -EIO;
    }
    int length = snprintf(text, sizeof(text), "boot %s\nepoch %u\nversion %llu\ndecided %llu\n%s\n",
                          boot, mark->epoch, (unsigned long long)mark->version,
                          (unsigned long long)mark->decided, mark->reason);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    ssize_t written = write(fd, text, (size_t)length);
    close(fd);
    return written == length ? 0 : -EIO;
}

int panic_io_load(const char *path, const struct uuid *boot, struct mark *ret_mark)
{
    char boot_text[UUID_TEXT_BYTES] = "";
    char reason[TEXT_BYTES] = "";
    unsigned long long decided = 0;
    unsigned long long version = 0;
    struct uuid file_boot;
    struct mark mark = {0};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -errno;
    }
    int fields = fscanf(file, "boot %36s epoch %u version %llu decided %llu ", boot_text,
                        &mark.epoch, &version, &decided);
    bool whole = fields == 4 && fgets(reason, sizeof(reason), file) != NULL;
    fclose(file);
    if (!whole || !uuid_parse(boot_text, &file_boot)) {
        return -EBADMSG;
    }
    if (!uuid_equal(&file_boot, boot)) {
        return -ENOENT;
    }
    reason[strcspn(reason, "\n")] = '\0';
    mark.decided = decided;
    mark.version = version;
    name_set(mark.reason, sizeof(mark.reason), reason);
    *ret_mark = mark;
    return 0;
}

void panic_io_forget(const char *path)
{
    (void)unlink(path);
}

/* Of the step that ran: what a thread of a library does meanwhile says nothing about it. */
__attribute__((format(printf, 1, 2))) static void leave_mark(const char *format, ...)
{
    struct mark mark = at.mark;
    va_list arguments;
    if (at.path == NULL || !at.stepping || gettid() != getpid()) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(mark.reason, sizeof(mark.reason), format, arguments);
    va_end(arguments);
    (void)panic_io_save(at.path, &mark);
}

/* glibc formats numbers and short strings without memory or locks, so it may do so here. */
static void on_fault(int number)
{
    leave_mark("the step ended by signal %d", number);
    (void)raise(number); /* on return, by default: a core dump */
}

void panic_io_watch(const char *path)
{
    const struct sigaction action = {.sa_handler = on_fault, .sa_flags = (int)SA_RESETHAND};
    at.path = path;
    (void)sigaction(SIGSEGV, &action, NULL);
    (void)sigaction(SIGFPE, &action, NULL);
    (void)sigaction(SIGILL, &action, NULL);
}

_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    leave_mark("%s:%d: %s", file, line, condition);
    if (getenv("JOURNAL_STREAM") == NULL) {
        fprintf(stderr, "stead: %s:%d: assertion failed: %s\n", file, line, condition);
    } else {
        sd_journal_send("MESSAGE=assertion failed: %s", condition, "PRIORITY=%i", LOG_CRIT,
                        "CODE_FILE=%s", file, "CODE_LINE=%i", line, NULL);
    }
    abort();
}
