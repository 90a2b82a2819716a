/*
 * watchdog PID FILE CMD...: a watchdog device in the mount namespace of PID, as FILE there. When it
 * was armed (opened) and nobody has fed it for its timeout, CMD is run: it cuts the node's power.
 *
 * A FUSE mount on one regular file, served from outside the node, so that it lives on while the
 * node is frozen. Like a real one: one opener at a time, closing without a "V" leaves it armed, and
 * feeds it.
 * WATCHDOG_IDENTITY is what it calls itself; with WATCHDOG_STOPS it says that closing stops it,
 * with WATCHDOG_NOWAYOUT nothing stops it.
 */
#define FUSE_USE_VERSION 35 /* an unsigned ioctl command */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_S 10

static bool busy;
static bool armed;
static bool magic;
static bool nowayout;
static int timeout_s = TIMEOUT_S;
static double fed_s;
static struct watchdog_info info = {.options =
                                        WDIOF_SETTIMEOUT | WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING,
                                    .identity = "stead lab watchdog"};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void say(const char *what)
{
    printf("%.6f %s\n", now_s(), what);
    fflush(stdout);
}

static void feed(void)
{
    fed_s = now_s();
}

static void on_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct stat attributes = {.st_ino = inode, .st_mode = S_IFREG | 0600, .st_nlink = 1};
    (void)file;
    fuse_reply_attr(request, &attributes, 1.0);
}

static void on_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *wanted, int which,
                       struct fuse_file_info *file)
{
    (void)wanted;
    (void)which;
    on_getattr(request, inode, file); /* O_TRUNC */
}

static void on_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    (void)inode;
    if (busy) {
        fuse_reply_err(request, EBUSY);
        return;
    }
    busy = true;
    magic = false;
    feed();
    armed = true;
    say("armed");
    file->direct_io = 1;
    file->nonseekable = 1;
    fuse_reply_open(request, file);
}

static void on_write(fuse_req_t request, fuse_ino_t inode, const char *bytes, size_t size,
                     off_t offset, struct fuse_file_info *file)
{
    (void)inode;
    (void)offset;
    (void)file;
    magic = memchr(bytes, 'V', size) != NULL;
    feed();
    fuse_reply_write(request, size);
}

static void on_release(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file)
{
    (void)inode;
    (void)file;
    busy = false;
    armed = armed && (nowayout || !magic);
    feed();
    say(armed ? "closed, still armed" : "disarmed");
    fuse_reply_err(request, 0);
}

static void set_timeout(fuse_req_t request, const void *input)
{
    int wanted = 0;
    memcpy(&wanted, input, sizeof(wanted));
    if (wanted < 1 || wanted > 600) {
        fuse_reply_err(request, EINVAL);
        return;
    }
    timeout_s = wanted;
    feed();
    fuse_reply_ioctl(request, 0, &wanted, sizeof(wanted));
}

static void on_ioctl(fuse_req_t request, fuse_ino_t inode, unsigned command, void *argument,
                     struct fuse_file_info *file, unsigned flags, const void *input,
                     size_t input_size, size_t output_size)
{
    (void)inode;
    (void)argument;
    (void)file;
    (void)flags;
    (void)input_size;
    (void)output_size;
    switch (command) {
    case WDIOC_GETSUPPORT:
        fuse_reply_ioctl(request, 0, &info, sizeof(info));
        return;
    case WDIOC_KEEPALIVE: /* declared as reading, and called without an argument: no data */
        feed();
        fuse_reply_ioctl(request, 0, NULL, 0);
        return;
    case WDIOC_SETOPTIONS: /* declared so as well: to stop it is all that anybody asks */
        armed = armed && nowayout;
        nowayout ? fuse_reply_err(request, EBUSY) : fuse_reply_ioctl(request, 0, NULL, 0);
        return;
    case WDIOC_SETTIMEOUT:
        set_timeout(request, input);
        return;
    case WDIOC_GETTIMEOUT:
        fuse_reply_ioctl(request, 0, &timeout_s, sizeof(timeout_s));
        return;
    default:
        fuse_reply_err(request, ENOTTY);
    }
}

static const struct fuse_lowlevel_ops operations = {
    .getattr = on_getattr,
    .setattr = on_setattr,
    .open = on_open,
    .write = on_write,
    .release = on_release,
    .ioctl = on_ioctl,
};

/* Serves until it expires, or the node's mount is gone. True: it expired. */
static bool serve(struct fuse_session *session)
{
    struct fuse_buf buffer = {0};
    while (!fuse_session_exited(session)) {
        struct pollfd request = {.fd = fuse_session_fd(session), .events = POLLIN};
        double left_s = fed_s + timeout_s - now_s();
        if (armed && left_s <= 0) {
            return true;
        }
        int ready = poll(&request, 1, armed ? (int)(left_s * 1000) + 1 : -1);
        if (ready > 0) {
            int length = fuse_session_receive_buf(session, &buffer);
            if (length <= 0 && length != -EINTR) {
                return false;
            }
            if (length > 0) {
                fuse_session_process_buf(session, &buffer);
            }
        }
    }
    return false;
}

static void describe(void)
{
    const char *identity = getenv("WATCHDOG_IDENTITY");
    if (identity != NULL) {
        snprintf((char *)info.identity, sizeof(info.identity), "%s", identity);
    }
    nowayout = getenv("WATCHDOG_NOWAYOUT") != NULL;
    if (getenv("WATCHDOG_STOPS") != NULL) {
        info.options &= ~(unsigned)WDIOF_MAGICCLOSE;
    }
}

/* In the node's mount namespace; /dev/fuse is this machine's, opened before. */
static int mount_there(const char *pid, const char *file)
{
    char path[64];
    char options[128];
    int fuse = open("/dev/fuse", O_RDWR);
    snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
    int there = open(path, O_RDONLY);
    if (fuse < 0 || there < 0 || setns(there, CLONE_NEWNS) < 0) {
        return -1;
    }
    (void)umount2(file, MNT_DETACH); /* of one that was killed: it stays, and can only be refused */
    int made = open(file, O_CREAT | O_WRONLY, 0600);
    if (made < 0) {
        return -1;
    }
    close(made);
    snprintf(options, sizeof(options), "fd=%d,rootmode=100000,user_id=0,group_id=0,allow_other",
             fuse);
    return mount("stead-lab-watchdog", file, "fuse", MS_NOSUID, options) < 0 ? -1 : fuse;
}

int main(int argc, char **argv)
{
    char mountpoint[32];
    char *arguments[] = {argv[0], NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, arguments);
    if (argc < 4) {
        fputs("usage: watchdog PID FILE CMD...\n", stderr);
        return 2;
    }
    describe();
    int here = open("/proc/self/ns/mnt", O_RDONLY);
    int fuse = mount_there(argv[1], argv[2]);
    if (fuse < 0 || setns(here, CLONE_NEWNS) < 0) {
        perror("watchdog");
        return 1;
    }
    snprintf(mountpoint, sizeof(mountpoint), "/dev/fd/%d", fuse);
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
    if (session == NULL || fuse_session_mount(session, mountpoint) != 0) {
        return 1;
    }
    say("ready");
    if (!serve(session)) {
        say("gone");
        return 0;
    }
    say("expired");
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 1;
}
