/*
 * stead's libvirt hook: refuses to start a VM of the cluster here, unless it is stead that does it.
 *
 * libvirt runs it as HOOK_PATH NAME OPERATION SUB-OPERATION EXTRA, with the domain's XML on
 * standard input, and waits for it with the domain locked: it asks nobody, neither libvirt (that
 * would hang both) nor the agent nor Ceph, and reads files that the agent wrote. Status 1
 * refuses, and libvirt shows what it says on standard error.
 *
 * Decides: of the operations that make a new QEMU, those of a registered VM are refused unless the
 * XML bears the mark of the very start that the agent is making. Whatever else libvirt asks is let
 * pass, above all `reconnect`, at which libvirt would kill a running guest. Foreign domains pass.
 * Never: writes to standard output, which libvirt takes for a new definition.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "migration/hook.h"
#include "proto/clock_io.h"

#define XML_BYTES (1024 * 1024)
#define LINE_BYTES 128
#define UUID_LENGTH 36
#define DEADLINE_US 1800000 /* with the rest of a slow start of this program: within 2 s */

/* A list of VMs, as far as one of them is concerned. */
struct listing {
    bool whole; /* the present one is there, to its end */
    bool has;
    char name[LINE_BYTES];
};

static void too_late(int number)
{
    static const char words[] = "stead: it could not be told within 2 s whether this domain is a "
                                "VM of the cluster; it is not started: try again\n";
    (void)number;
    ssize_t written = write(STDERR_FILENO, words, sizeof(words) - 1);
    _exit(written < 0 ? 2 : 1);
}

static void set_deadline(void)
{
    const struct itimerval once = {.it_value = {DEADLINE_US / 1000000, DEADLINE_US % 1000000}};
    signal(SIGALRM, too_late);
    setitimer(ITIMER_REAL, &once, NULL);
}

/* Does it make a new QEMU? */
static bool begins(const char *operation)
{
    return strcmp(operation, "prepare") == 0 || strcmp(operation, "migrate") == 0 ||
           strcmp(operation, "restore") == 0;
}

/* All of it is taken from the pipe; what matters stands near the top. */
static void read_xml(char xml[XML_BYTES])
{
    char rest[4096];
    size_t used = 0;
    ssize_t got = 1;
    while (got > 0 || (got < 0 && errno == EINTR)) {
        bool room = used < XML_BYTES - 1;
        got = read(STDIN_FILENO, room ? xml + used : rest,
                   room ? XML_BYTES - 1 - used : sizeof(rest));
        used += room && got > 0 ? (size_t)got : 0;
    }
    xml[used] = '\0';
}

/* The first <uuid> is the domain's: libvirt writes it before all that others may put in. */
static bool read_uuid(const char *xml, char ret_uuid[UUID_LENGTH + 1])
{
    const char *at = strstr(xml, "<uuid>");
    if (at == NULL || strspn(at + strlen("<uuid>"), "0123456789abcdef-") != UUID_LENGTH) {
        return false;
    }
    memcpy(ret_uuid, at + strlen("<uuid>"), UUID_LENGTH);
    ret_uuid[UUID_LENGTH] = '\0';
    return true;
}

static struct listing look_up(const char *path, const char *uuid)
{
    struct listing listing = {.whole = false};
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        listing.whole = strcmp(line, "end\n") == 0;
        if (strncmp(line, uuid, UUID_LENGTH) == 0 && line[UUID_LENGTH] == ' ') {
            line[strcspn(line, "\n")] = '\0';
            strcpy(listing.name, line + UUID_LENGTH + 1);
            listing.has = true;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return listing;
}

/* ---- the start that the agent makes */

/* The start mark in the XML, as libvirt writes it: <stead:vm xmlns:stead="…" term="7" counter="3"
 * starting="yes"/>. Any other one is that of a domain that was started long ago. */
static bool read_mark(const char *xml, uint64_t *ret_term, uint64_t *ret_counter)
{
    const char *mark = strstr(xml, "<stead:vm ");
    const char *end = mark != NULL ? strchr(mark, '>') : NULL;
    if (end == NULL) {
        return false;
    }
    const char *term = strstr(mark, " term=\"");
    const char *counter = strstr(mark, " counter=\"");
    const char *starting = strstr(mark, " starting=\"yes\"");
    if (term == NULL || counter == NULL || starting == NULL || term > end || counter > end ||
        starting > end) {
        return false;
    }
    *ret_term = strtoull(term + strlen(" term=\""), NULL, 10);
    *ret_counter = strtoull(counter + strlen(" counter=\""), NULL, 10);
    return true;
}

static bool is_permitted(const char *operation, const char *uuid, const char *xml)
{
    char path[sizeof(HOOK_PERMITS) + UUID_LENGTH + 2];
    uint64_t term = 0;
    uint64_t counter = 0;
    uint64_t its_term = 0;
    uint64_t its_counter = 0;
    uint64_t deadline_ms = 0;
    snprintf(path, sizeof(path), HOOK_PERMITS "/%s", uuid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    int fields = fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64, &term, &counter, &deadline_ms);
    fclose(file);
    bool fits = fields == 3 && strcmp(operation, "prepare") == 0 &&
                read_mark(xml, &its_term, &its_counter) && its_term == term &&
                its_counter == counter && clock_io_boot_ms() < deadline_ms;
    return fits && unlink(path) == 0;
}

/* ---- whose it is */

/* As the agent has written it down in this boot; where that is missing or cut short, also as it was
 * written in an earlier one, or as the XML itself says. */
static struct listing find(const char *uuid, const char *name, const char *xml)
{
    struct listing found = look_up(HOOK_VMS, uuid);
    if (found.has || found.whole) {
        return found;
    }
    found = look_up(HOOK_KEPT, uuid);
    if (!found.has && strstr(xml, "<stead:vm ") != NULL) {
        found.has = true;
        snprintf(found.name, sizeof(found.name), "%s", name);
    }
    found.whole = false;
    return found;
}

static int refuse(const struct listing *vm)
{
    fprintf(stderr,
            "stead: %s is a VM of the cluster, and it is the cluster that starts it, once, where "
            "there is room: 'stead vm start %s'; 'stead vm remove %s' gives it back to libvirt%s\n",
            vm->name, vm->name, vm->name,
            vm->whole ? ""
                      : " (since this host booted, stead-agent has not read which VMs are "
                        "the cluster's: systemctl status stead-agent)");
    return 1;
}

int main(int argc, char **argv)
{
    static char xml[XML_BYTES];
    char uuid[UUID_LENGTH + 1];
    if (argc < 3 || !begins(argv[2])) {
        return 0;
    }
    set_deadline();
    read_xml(xml);
    if (!read_uuid(xml, uuid)) {
        return 0; /* no domain of libvirt's */
    }
    if (is_permitted(argv[2], uuid, xml)) {
        return 0;
    }
    struct listing vm = find(uuid, argv[1], xml);
    return vm.has ? refuse(&vm) : 0;
}
