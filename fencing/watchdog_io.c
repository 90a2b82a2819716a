/*
 * Linux's watchdog devices. Which ones there are, sysfs tells without opening (opening arms);
 * drivers that are not of the kernel's watchdog class, ipmi_watchdog among them, are known by
 * WDIOC_GETSUPPORT only, so that is asked in any case.
 */
#include "fencing/watchdog_io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICES_MAX 16
#define LONGEST_MS 1000 /* devices count in whole seconds */

/* The first line of a small file; empty when it cannot be read. */
static void read_line(const char *path, char *ret_line, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, ret_line, size - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    ret_line[length > 0 ? length : 0] = '\0';
    ret_line[strcspn(ret_line, "\n")] = '\0';
}

static void read_attribute(const char *name, const char *attribute, char *ret_line, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/class/watchdog/%s/%s", name, attribute);
    read_line(path, ret_line, size);
}

static void describe_host(struct keeper_device *device)
{
    char vendor[64];
    read_line("/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor));
    device->emulated = strcmp(vendor, "QEMU") == 0;
    device->ipmi_loaded = access("/sys/module/ipmi_watchdog", F_OK) == 0;
}

static int complain(char *ret_trouble, const char *path, const char *what, int error)
{
    snprintf(ret_trouble, TEXT_BYTES, "%s: %s: %s", path, what, strerror(error));
    return -error;
}

/* What the open device says of itself. */
static int ask(int fd, const char *path, struct keeper_device *device, char *ret_trouble)
{
    struct watchdog_info info;
    char nowayout[8] = "";
    memset(&info, 0, sizeof(info));
    if (ioctl(fd, WDIOC_GETSUPPORT, &info) < 0) {
        return complain(ret_trouble, path, "is no watchdog (WDIOC_GETSUPPORT)", errno);
    }
    snprintf(device->identity, sizeof(device->identity), "%.*s", (int)sizeof(info.identity) - 1,
             (const char *)info.identity);
    const char *name = strrchr(path, '/');
    read_attribute(name != NULL ? name + 1 : path, "nowayout", nowayout, sizeof(nowayout));
    device->opened = true;
    device->stays_armed = (info.options & WDIOF_MAGICCLOSE) != 0 || nowayout[0] == '1';
    device->settable = (info.options & WDIOF_SETTIMEOUT) != 0;
    return 0;
}

/* Sets the timeout and reads it back: what the device says counts. */
static int set_timeout(struct watchdog_io *device, const struct keeper_device *facts,
                       uint32_t timeout_ms, char *ret_trouble)
{
    int seconds = (int)((timeout_ms + LONGEST_MS - 1) / LONGEST_MS);
    if (facts->settable && ioctl(device->fd, WDIOC_SETTIMEOUT, &seconds) < 0) {
        return complain(ret_trouble, device->path, "refuses watchdog_ms (WDIOC_SETTIMEOUT)", errno);
    }
    if (ioctl(device->fd, WDIOC_GETTIMEOUT, &seconds) < 0) {
        return complain(ret_trouble, device->path, "does not tell its timeout", errno);
    }
    if (seconds <= 0 || seconds > KEEPER_TIMEOUT_MAX_MS / LONGEST_MS) {
        return complain(ret_trouble, device->path, "tells a timeout that makes no sense", ERANGE);
    }
    device->timeout_ms = (uint32_t)seconds * 1000;
    return watchdog_io_feed(device);
}

/* What is open: is it sound, and does it take the timeout? */
static int take(struct watchdog_io *device, uint32_t timeout_ms, bool softdog, char *ret_trouble)
{
    struct keeper_device facts = {.opened = false};
    describe_host(&facts);
    int r = ask(device->fd, device->path, &facts, ret_trouble);
    if (r == 0 && !keeper_trusts(&facts, softdog, ret_trouble)) {
        r = -ENOTSUP;
    }
    r = r == 0 ? set_timeout(device, &facts, timeout_ms, ret_trouble) : r;
    if (r < 0) {
        (void)watchdog_io_disarm(device);
        return r;
    }
    snprintf(device->identity, sizeof(device->identity), "%s", facts.identity);
    return 0;
}

static int arm_one(struct watchdog_io *device, const char *path, uint32_t timeout_ms, bool softdog,
                   char *ret_trouble)
{
    snprintf(device->path, sizeof(device->path), "%s", path);
    device->fd = open(path, O_WRONLY | O_CLOEXEC);
    if (device->fd < 0) {
        return complain(ret_trouble, path,
                        errno == EBUSY ? "another program holds it (systemd's "
                                         "RuntimeWatchdogSec, watchdog, sbd?): stop that one"
                                       : "cannot be opened",
                        errno);
    }
    return take(device, timeout_ms, softdog, ret_trouble);
}

/* Would it be refused by its name alone? Then it is not even opened. */
static bool worth_a_try(const char *name, bool softdog, char *ret_trouble)
{
    struct keeper_device facts = {.opened = false};
    read_attribute(name, "identity", facts.identity, sizeof(facts.identity));
    describe_host(&facts);
    facts.ipmi_loaded = false; /* one of the others may be it */
    return facts.identity[0] != '\0' && keeper_trusts(&facts, softdog, ret_trouble);
}

int watchdog_io_arm(struct watchdog_io *device, const char *wanted, uint32_t timeout_ms,
                    bool softdog, char *ret_trouble)
{
    char path[ADDRESS_BYTES];
    char name[32];
    int r = -ENODEV;
    bool any = false;
    if (device->fd >= 0) {
        return take(device, timeout_ms, softdog, ret_trouble);
    }
    if (wanted[0] != '\0') {
        return arm_one(device, wanted, timeout_ms, softdog, ret_trouble);
    }
    for (unsigned i = 0; i < DEVICES_MAX && r < 0 && device->fd < 0; i++) {
        snprintf(name, sizeof(name), "watchdog%u", i);
        snprintf(path, sizeof(path), "/dev/%s", name);
        if (access(path, F_OK) < 0) {
            continue;
        }
        any = true;
        if (worth_a_try(name, softdog, ret_trouble)) {
            r = arm_one(device, path, timeout_ms, softdog, ret_trouble);
        }
    }
    if (!any && access("/dev/watchdog", F_OK) == 0) { /* not of the kernel's watchdog class */
        return arm_one(device, "/dev/watchdog", timeout_ms, softdog, ret_trouble);
    }
    if (!any) {
        snprintf(ret_trouble, TEXT_BYTES,
                 "there is no /dev/watchdog: load its driver (lspci, ipmi_watchdog, i6300esb)");
    }
    return r;
}

int watchdog_io_feed(const struct watchdog_io *device)
{
    return ioctl(device->fd, WDIOC_KEEPALIVE, 0) < 0 ? -errno : 0;
}

/* The kernel is asked before it is closed: under nowayout it refuses (EBUSY), while a close would
 * seem to do, and let it fire. Old drivers do not know how to be asked: there the V is all. */
int watchdog_io_disarm(struct watchdog_io *device)
{
    int stop = WDIOS_DISABLECARD;
    if (device->fd >= 0) {
        bool asked = ioctl(device->fd, WDIOC_SETOPTIONS, &stop) == 0;
        if (!asked && errno != ENOTTY && errno != EOPNOTSUPP && errno != EINVAL) {
            return -errno;
        }
        if (write(device->fd, "V", 1) != 1) {
            return -errno;
        }
        close(device->fd); /* whatever it says: the descriptor is gone */
    }
    device->fd = -1;
    device->identity[0] = '\0';
    device->timeout_ms = 0;
    return 0;
}
