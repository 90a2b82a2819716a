/*
 * The lab's guest: init and only program of a VM that proves who wrote its disk, and in which
 * order.
 *
 * The disk is a log of 512-byte slots. Stamp number `pos` (from 1, over all boots) goes to slot
 * (pos - 1) % slots, so a full disk is written over from the start and the last `slots` stamps
 * stay. At boot the whole disk is read; the newest stamp found is reported on the console ("first
 * read") and carried in every stamp of this boot: whatever an older boot adds later shows by
 * comparison. Writes are O_DIRECT and O_DSYNC, one at a time: a stamp counts as acknowledged when
 * write returned.
 *
 * Kernel command line: rate=HZ (0: as fast as it goes).
 * Second serial port: takes a line "poweroff", "reboot" or "panic", and does that after a stamp.
 * Console:  boot B          first read: boot B seq S pos P | none
 *           ack S           at most every 50 ms: all stamps of this boot up to S are on the disk
 *           rate R/s ack S  every second
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOT 512
#define CHUNK (1 << 20)
#define MAGIC "STEADST1"
#define NS 1000000000LL

/* Little-endian, no padding: guest/read_stamps.py has the same layout. */
struct stamp {
    char magic[8];
    char boot[36];       /* this boot's id, as text */
    char first_boot[36]; /* what the first read of this boot found: */
    uint64_t first_seq;  /* ... its number within that boot; 0: the disk was empty */
    uint64_t first_pos;
    uint64_t seq; /* from 1 in each boot */
    uint64_t pos; /* from 1 over all boots */
    uint64_t realtime_ns;
    uint32_t rate;
    uint32_t crc; /* CRC-32 of all bytes before it */
} __attribute__((packed));

_Static_assert(sizeof(struct stamp) <= SLOT, "a stamp is one sector");

static uint32_t crc32(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t crc = ~0U;

    while (size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0xEDB88320U & -(crc & 1));
        }
    }
    return ~crc;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec * NS + t.tv_nsec;
}

static void halt(const char *what)
{
    printf("%s: %s\n", what, strerror(errno));
    sync();
    reboot(RB_POWER_OFF);
    for (;;) {
        pause();
    }
}

static void load_modules(void)
{
    for (int i = 0;; i++) {
        char path[16];
        int fd;

        snprintf(path, sizeof(path), "/%d.ko", i);
        fd = open(path, O_RDONLY);
        if (fd < 0) {
            return;
        }
        if (syscall(SYS_finit_module, fd, "", 0) != 0) {
            printf("%s: %s\n", path, strerror(errno));
        }
        close(fd);
    }
}

static uint32_t wanted_rate(void)
{
    char line[1024];
    FILE *f = fopen("/proc/cmdline", "r");
    const char *word = f && fgets(line, sizeof(line), f) ? strstr(line, "rate=") : NULL;

    return word ? (uint32_t)atoi(word + 5) : 200;
}

static void read_boot_id(char *boot)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);

    if (fd < 0 || read(fd, boot, 36) != 36) {
        halt("boot_id");
    }
    close(fd);
}

static int open_disk(uint64_t *ret_slots)
{
    uint64_t size;
    int fd = -1;

    for (int tries = 0; tries < 200 && fd < 0; tries++) {
        fd = open("/dev/vda", O_RDWR | O_DIRECT | O_DSYNC);
        if (fd < 0) {
            usleep(20000);
        }
    }
    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) != 0) {
        halt("/dev/vda");
    }
    *ret_slots = size / SLOT;
    return fd;
}

static void *aligned(size_t size)
{
    void *p;

    if (posix_memalign(&p, 4096, size) != 0) {
        halt("memory");
    }
    memset(p, 0, size);
    return p;
}

/* The newest stamp on the disk; pos 0 if there is none. */
static struct stamp find_last(int fd)
{
    struct stamp last = {0};
    char *chunk = aligned(CHUNK);
    ssize_t n;

    for (off_t at = 0; (n = pread(fd, chunk, CHUNK, at)) > 0; at += n) {
        for (ssize_t i = 0; i + SLOT <= n; i += SLOT) {
            const struct stamp *s = (const struct stamp *)(chunk + i);

            if (memcmp(s->magic, MAGIC, 8) == 0 && s->pos > last.pos &&
                s->crc == crc32(s, offsetof(struct stamp, crc))) {
                last = *s;
            }
        }
    }
    if (n < 0) {
        halt("first read");
    }
    free(chunk);
    return last;
}

static void sleep_until(int64_t at_ns)
{
    struct timespec t = {.tv_sec = at_ns / NS, .tv_nsec = at_ns % NS};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Never gives a stamp up: the next one may only follow it. */
static void write_stamp(int fd, struct stamp *s, uint64_t slots)
{
    s->realtime_ns = (uint64_t)now_ns(CLOCK_REALTIME);
    s->crc = crc32(s, offsetof(struct stamp, crc));
    while (pwrite(fd, s, SLOT, (off_t)((s->pos - 1) % slots * SLOT)) != SLOT) {
        printf("write failed seq %llu: %s\n", (unsigned long long)s->seq, strerror(errno));
        usleep(200000);
    }
}

static void report(const struct stamp *s)
{
    static int64_t last_ack_ns, last_rate_ns;
    static uint64_t last_seq;
    int64_t now = now_ns(CLOCK_MONOTONIC);

    if (now - last_rate_ns >= NS) {
        double seconds = (double)(now - last_rate_ns) / 1e9;
        printf("rate %.0f/s ack %llu\n", last_rate_ns ? (double)(s->seq - last_seq) / seconds : 0.0,
               (unsigned long long)s->seq);
        last_rate_ns = last_ack_ns = now;
        last_seq = s->seq;
    } else if (now - last_ack_ns >= NS / 20) {
        printf("ack %llu\n", (unsigned long long)s->seq);
        last_ack_ns = now;
    }
}

/* What it is told to do of its own accord. */
static void obey(int port)
{
    char line[16];
    ssize_t n = port < 0 ? -1 : read(port, line, sizeof(line) - 1);

    if (n <= 0) {
        return;
    }
    line[n] = '\0';
    printf("told: %s", line);
    if (strcmp(line, "poweroff\n") == 0) {
        reboot(RB_POWER_OFF);
    } else if (strcmp(line, "reboot\n") == 0) {
        reboot(RB_AUTOBOOT);
    } else if (strcmp(line, "panic\n") == 0) {
        int fd = open("/proc/sysrq-trigger", O_WRONLY);

        printf("panic: %s\n", write(fd, "c", 1) == 1 ? "survived" : strerror(errno));
    }
}

int main(void)
{
    struct stamp *s = aligned(SLOT);
    struct stamp last;
    uint64_t slots;
    int64_t next_ns;
    int port;
    int fd;

    setvbuf(stdout, NULL, _IOLBF, 0);
    mount("proc", "/proc", "proc", 0, "");
    mount("dev", "/dev", "devtmpfs", 0, "");
    load_modules();
    memcpy(s->magic, MAGIC, 8);
    read_boot_id(s->boot);
    s->rate = wanted_rate();
    printf("boot %.36s\n", s->boot);

    port = open("/dev/ttyS1", O_RDONLY | O_NOCTTY | O_NONBLOCK);
    fd = open_disk(&slots);
    last = find_last(fd);
    if (last.pos) {
        printf("first read: boot %.36s seq %llu pos %llu\n", last.boot,
               (unsigned long long)last.seq, (unsigned long long)last.pos);
        memcpy(s->first_boot, last.boot, 36);
    } else {
        printf("first read: none\n");
    }
    s->first_seq = last.seq;
    s->first_pos = last.pos;

    next_ns = now_ns(CLOCK_MONOTONIC);
    for (s->seq = 1, s->pos = last.pos + 1;; s->seq++, s->pos++) {
        write_stamp(fd, s, slots);
        report(s);
        obey(port);
        if (s->rate) {
            int64_t now = now_ns(CLOCK_MONOTONIC);

            next_ns += NS / s->rate;
            if (next_ns < now - NS / 10) {
                next_ns = now; /* after a stall go on at the rate, don't make up for it */
            }
            sleep_until(next_ns);
        }
    }
}
