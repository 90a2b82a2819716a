/*
 * The self-test. While it waits it keeps writing down, on the disk, for how long the watchdog has
 * not been fed; the last of these notes, read after the reset, is the firing time to within one
 * note. That, not the timeout, is what a firing bound is made of.
 */
#include "fencing/keeper_selftest_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fencing/watchdog_io.h"
#include "proto/clock_io.h"

#define FOLDER "/var/lib/stead"
#define NOTE_PATH FOLDER "/watchdog-selftest"
#define NOTE_MS 100
#define PATIENCE 4 /* timeouts without a reset: it lies */
#define BOOT_BYTES 37

static void read_boot(char *ret_boot)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, ret_boot, BOOT_BYTES - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    ret_boot[length > 0 ? length : 0] = '\0';
}

/* A person at a terminal types the host's name. */
static bool agreed(void)
{
    char host[128] = "";
    char typed[128] = "";
    (void)gethostname(host, sizeof(host) - 1);
    if (!isatty(STDIN_FILENO)) {
        fputs("stead-keeper: the self-test resets this host: say --yes, or run it in a terminal\n",
              stderr);
        return false;
    }
    printf("This RESETS %s at once, without a shutdown. First move or stop what runs here.\n"
           "Type the host's name to go on: ",
           host);
    fflush(stdout);
    if (fgets(typed, sizeof(typed), stdin) == NULL) {
        return false;
    }
    typed[strcspn(typed, "\n")] = '\0';
    if (strcmp(typed, host) != 0) {
        fputs("stead-keeper: not done\n", stderr);
        return false;
    }
    return true;
}

static int open_note(void)
{
    (void)mkdir(FOLDER, 0755);
    int fd = open(NOTE_PATH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "stead-keeper: " NOTE_PATH ": %s\n", strerror(errno));
    }
    return fd;
}

static void note(int fd, const char *boot, const struct watchdog_io *device, uint64_t unfed_ms,
                 const char *word)
{
    char line[256];
    int length = snprintf(line, sizeof(line), "%s %s %u %llu %s\n", word, boot, device->timeout_ms,
                          (unsigned long long)unfed_ms, device->identity);
    if (pwrite(fd, line, (size_t)length, 0) != length || ftruncate(fd, length) < 0 ||
        fdatasync(fd) < 0) {
        fprintf(stderr, "stead-keeper: " NOTE_PATH ": %s\n", strerror(errno));
    }
}

/* The device was just fed, for the last time. */
static int wait_for_the_end(struct watchdog_io *device, int fd)
{
    char boot[BOOT_BYTES];
    uint64_t fed_ms = clock_io_boot_ms();
    uint64_t unfed_ms = 0;
    read_boot(boot);
    printf("%s '%s' is armed, %u ms, and no longer fed; this host is about to be reset.\n"
           "Afterwards: stead-keeper result\n",
           device->path, device->identity, device->timeout_ms);
    fflush(stdout);
    while (unfed_ms < (uint64_t)device->timeout_ms * PATIENCE) {
        const struct timespec nap = {.tv_nsec = (long)NOTE_MS * 1000000};
        note(fd, boot, device, unfed_ms, "waiting");
        nanosleep(&nap, NULL);
        unfed_ms = clock_io_boot_ms() - fed_ms;
    }
    note(fd, boot, device, unfed_ms, "never");
    fprintf(stderr,
            "stead-keeper: FAILED: '%s' did not fire within %u times its timeout: it must not be "
            "relied on (is it iTCO of a virtual machine? then give that an i6300esb)\n",
            device->identity, PATIENCE);
    int r = watchdog_io_disarm(device);
    if (r < 0) {
        fprintf(stderr, "stead-keeper: and it cannot be disarmed: %s\n", strerror(-r));
    }
    return 1;
}

int keeper_selftest_run(const struct keeper_selftest *test)
{
    struct watchdog_io device = {.fd = -1};
    char trouble[TEXT_BYTES] = "";
    if (!test->yes && !agreed()) {
        return 2;
    }
    int fd = open_note();
    if (fd < 0) {
        return 1;
    }
    sync();
    if (watchdog_io_arm(&device, test->device, test->timeout_ms, test->softdog, trouble) < 0) {
        fprintf(stderr, "stead-keeper: %s%s\n", trouble,
                device.fd < 0 ? "" : "; it cannot be stopped again: THIS HOST IS RESET SOON");
        close(fd);
        return 1;
    }
    int status = wait_for_the_end(&device, fd);
    close(fd);
    return status;
}

int keeper_selftest_result(void)
{
    char word[16] = "";
    char boot[BOOT_BYTES] = "";
    char now_boot[BOOT_BYTES];
    char identity[KEEPER_IDENTITY_BYTES] = "";
    unsigned timeout_ms = 0;
    unsigned long long unfed_ms = 0;
    FILE *file = fopen(NOTE_PATH, "re");
    int fields = file != NULL ? fscanf(file, "%15s %36s %u %llu %31[^\n]", word, boot, &timeout_ms,
                                       &unfed_ms, identity)
                              : 0;
    if (file != NULL) {
        fclose(file);
    }
    read_boot(now_boot);
    if (fields < 4) {
        fputs("stead-keeper: there was no self-test: stead-keeper selftest\n", stderr);
        return 1;
    }
    if (strcmp(word, "never") == 0 || strcmp(boot, now_boot) == 0) {
        printf("'%s' did not reset this host: %llu ms after it was last fed, timeout %u ms\n",
               identity, unfed_ms, timeout_ms);
        return 1;
    }
    printf("'%s' reset this host between %llu and %llu ms after it was last fed; timeout %u ms.\n"
           "In its stead.conf, with a margin:\n\n    [watchdog]\n    fires = %llu\n",
           identity, unfed_ms, unfed_ms + 2 * NOTE_MS, timeout_ms,
           (unfed_ms + 2 * NOTE_MS) * 5 / 4 / 1000 + 1);
    return 0;
}
