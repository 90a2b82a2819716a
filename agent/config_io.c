/* stead.conf, by libinih: every key in one table, every error with its line. */
#include "agent/config_io.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/nearest.h"
#include "proto/assert.h"
#include "proto/control_io.h"
#include "proto/settings.h"
#include "proto/values.h"

enum value_kind {
    VALUE_NAME,
    VALUE_TEXT,
    VALUE_PATH,
    VALUE_UUID,
    VALUE_MIB,
    VALUE_CIPHER,
    VALUE_LEVEL,
    VALUE_YES,
    VALUE_SECONDS
};

struct key {
    const char *section;
    const char *name;
    enum value_kind kind;
    size_t offset;
    size_t size;
    const char *fallback; /* its value where none is given; NULL: as `help` says */
    const char *help;
};

#define KEY(section, name, kind, field, fallback, help)                                            \
    {                                                                                              \
        section, name, kind, offsetof(struct config, field), sizeof(((struct config *)0)->field),  \
            fallback, help                                                                         \
    }

static const struct key keys[] = {
    KEY("node", "name", VALUE_NAME, name, NULL,
        "This node's name. Default: the one in Corosync's nodelist, or the host's."),
    KEY("node", "uuid", VALUE_UUID, machine, NULL,
        "The machine's UUID, which its BMC must tell too before it is touched. Default: "
        "/sys/class/dmi/id/product_uuid."),
    KEY("node", "memory", VALUE_MIB, memory_mib, NULL,
        "MiB of memory for guests; no more are placed here. Default: all but 1024."),
    KEY("libvirt", "uri", VALUE_TEXT, libvirt_uri, "qemu:///system", "This host's libvirt."),
    KEY("ceph", "conf", VALUE_PATH, ceph_conf, "/etc/ceph/ceph.conf",
        "Ceph's own configuration, with the monitors' addresses and the keyring of `user`."),
    KEY("ceph", "user", VALUE_NAME, ceph_user, "stead",
        "The agent's Ceph user, without the `client.` before it."),
    KEY("ceph", "pool", VALUE_NAME, ceph_pool, "stead",
        "The pool with the cluster's state, run leases and definitions: the same on all hosts."),
    KEY("ceph", "guest_user", VALUE_NAME, ceph_guest_user, NULL,
        "Whose key guests open their disks with. Default: that of `user`."),
    KEY("bmc", "address", VALUE_TEXT, bmc.address, NULL,
        "This host's BMC: host or host:port. Default: none, then it is never switched off."),
    KEY("bmc", "credentials", VALUE_PATH, bmc_credentials, NULL,
        "The file with the BMCs' user names and passwords, and fence agents' secrets; needed with "
        "`address`."),
    KEY("bmc", "cipher_suite", VALUE_CIPHER, bmc.cipher_suite, "17", "IPMI's, for RMCP+."),
    KEY("bmc", "level", VALUE_LEVEL, bmc.level, NULL,
        "In which order it is tried, before or after fence devices (see below). Default: 1."),
    KEY("watchdog", "device", VALUE_PATH, watchdog_device, NULL,
        "The watchdog that stead-keeper takes, where the cluster accepts the proof `watchdog`. "
        "Default: the first of /dev/watchdog0... that can be trusted."),
    KEY("watchdog", "softdog", VALUE_YES, watchdog_softdog, "no",
        "May it be the kernel's softdog, which does not survive the kernel?"),
    KEY("watchdog", "fires", VALUE_SECONDS, watchdog_fires_s, NULL,
        "So many seconds after its last feed it has surely reset this host, as `stead-keeper "
        "selftest` measured, with a margin. Default: the cluster's watchdog_fires_ms."),
    KEY("notify", "command", VALUE_PATH, notify_command, NULL,
        "A program of root's that is run for each alarm this node tells, without a shell, with "
        "JSON on its standard input, for 10 s at most. Default: none."),
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const char *const sections[] = {"node",     "libvirt", "ceph",      "bmc",
                                       "watchdog", "notify",  "fence NAME"};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

#define FENCE_SECTION "fence "
#define GIVEN_TWICE "to be given once"
#define FENCE_LEVEL_DEFAULT 2 /* after the BMC, all together */

struct reader {
    FILE *file;
    const char *path;
    int line;
    int error_line; /* of the first error; 0: none */
    char *error;
    int seen[KEYS]; /* the line where it was given */
    bool level_seen[FENCE_DEVICES_MAX];
    bool trusted_seen[FENCE_DEVICES_MAX];
    struct config config;
};

__attribute__((format(printf, 2, 3))) static void complain(struct reader *reader,
                                                           const char *format, ...)
{
    if (reader->error_line != 0) {
        return;
    }
    va_list arguments;
    reader->error_line = reader->line;
    int used = snprintf(reader->error, CONFIG_TEXT_BYTES, "%s:%d: ", reader->path, reader->line);
    if (used > 0 && used < CONFIG_TEXT_BYTES) {
        va_start(arguments, format);
        vsnprintf(reader->error + used, CONFIG_TEXT_BYTES - (size_t)used, format, arguments);
        va_end(arguments);
    }
}

/* A fence device's place, found or made; FENCE_DEVICES_MAX: there is none, and that was said. */
static size_t device_find(struct reader *reader, const char *name)
{
    if (!control_is_name(name) || strlen(name) >= DEVICE_NAME_BYTES) {
        complain(reader, "[fence NAME] wants a name of up to %d letters, digits and ._-, not '%s'",
                 DEVICE_NAME_BYTES - 1, name);
        return FENCE_DEVICES_MAX;
    }
    for (size_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        if (reader->config.devices[i].name[0] == '\0') {
            name_set(reader->config.devices[i].name, DEVICE_NAME_BYTES, name);
            reader->config.devices[i].level = FENCE_LEVEL_DEFAULT;
        }
        if (strcmp(reader->config.devices[i].name, name) == 0) {
            return i;
        }
    }
    complain(reader, "more than %d fence devices beside the BMC", FENCE_DEVICES_MAX);
    return FENCE_DEVICES_MAX;
}

/* libinih says nothing about a section without keys, so unknown ones are found here. */
static void check_section(struct reader *reader, const char *line)
{
    char name[64] = "";
    (void)sscanf(line, "[%63[^]]", name);
    if (strncmp(name, FENCE_SECTION, strlen(FENCE_SECTION)) == 0) {
        (void)device_find(reader, name + strlen(FENCE_SECTION));
        return;
    }
    for (size_t i = 0; i < SECTIONS; i++) {
        if (strcmp(name, sections[i]) == 0) {
            return;
        }
    }
    const char *near = nearest_word(name, sections, SECTIONS);
    if (near != NULL) {
        complain(reader, "unknown section [%s]; did you mean [%s]?", name, near);
    } else {
        complain(reader,
                 "unknown section [%s]; there are [node], [libvirt], [ceph], [bmc], [fence NAME], "
                 "[watchdog] and [notify]",
                 name);
    }
}

/* One line for libinih, counted, and without its indent (which libinih takes for a continuation).
 */
static char *next_line(char *line, int size, void *context)
{
    struct reader *reader = context;
    if (fgets(line, size, reader->file) == NULL) {
        return NULL;
    }
    reader->line++;
    if (strchr(line, '\n') == NULL && !feof(reader->file)) {
        complain(reader, "the line is longer than %d characters", size - 2);
        return NULL;
    }
    size_t indent = strspn(line, " \t");
    memmove(line, line + indent, strlen(line + indent) + 1);
    if (line[0] == '[') {
        check_section(reader, line);
    }
    return line;
}

static bool parse_number(const char *text, uint32_t least, uint32_t most, uint32_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || text[0] == '+') {
        return false;
    }
    if (number < least || number > most) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* NULL when `value` was taken, else what would have been right. */
static const char *set_value(const struct key *key, void *field, const char *value)
{
    switch (key->kind) {
    case VALUE_NAME:
        if (!control_is_name(value)) {
            return "a name of up to 63 letters, digits and ._-";
        }
        name_set(field, key->size, value);
        return NULL;
    case VALUE_PATH:
        if (value[0] != '/' || strlen(value) >= key->size) {
            return "an absolute path";
        }
        name_set(field, key->size, value);
        return NULL;
    case VALUE_TEXT:
        if (value[0] == '\0' || strlen(value) >= key->size || strpbrk(value, " \t") != NULL) {
            return "one word";
        }
        name_set(field, key->size, value);
        return NULL;
    case VALUE_UUID:
        return uuid_parse(value, field) ? NULL : "a UUID";
    case VALUE_MIB:
        return parse_number(value, 64, 1u << 30, field) ? NULL : "a number of MiB, 64 or more";
    case VALUE_LEVEL:
        return parse_number(value, 1, FENCE_LEVEL_MAX, field) ? NULL : "a number from 1 to 9";
    case VALUE_CIPHER:
        return parse_number(value, 0, 17, field) ? NULL : "a number from 0 to 17";
    case VALUE_YES:
        *(bool *)field = strcmp(value, "yes") == 0;
        return strcmp(value, "yes") == 0 || strcmp(value, "no") == 0 ? NULL : "yes or no";
    case VALUE_SECONDS:
        return parse_number(value, 1, 600, field) ? NULL : "a number of seconds from 1 to 600";
    }
    return "something else";
}

/* It is known, but not here: the same on all hosts, it lives in the cluster's state. */
static bool is_cluster_setting(struct reader *reader, const char *name)
{
    const struct setting *setting = settings_find(name);
    if (setting != NULL) {
        complain(reader,
                 "'%s' is a cluster setting, the same on all hosts: take it out here and use "
                 "`stead config set %s VALUE`",
                 name, name);
    }
    return setting != NULL;
}

static void complain_of_key(struct reader *reader, const char *section, const char *name)
{
    const char *names[KEYS];
    size_t count = 0;
    if (is_cluster_setting(reader, name)) {
        return;
    }
    if (section[0] == '\0') {
        complain(reader, "'%s' stands before any section", name);
        return;
    }
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].section, section) == 0) {
            names[count++] = keys[i].name;
        } else if (strcmp(keys[i].name, name) == 0) {
            complain(reader, "'%s' does not belong to [%s] but to [%s]", name, section,
                     keys[i].section);
            return;
        }
    }
    const char *near = nearest_word(name, names, count);
    if (near != NULL) {
        complain(reader, "unknown key '%s' in [%s]; did you mean '%s'?", name, section, near);
    } else {
        complain(reader, "unknown key '%s' in [%s]", name, section);
    }
}

/* ---- [fence NAME] */

/* Of fence agents' options those that hold a secret; what names a file holds none. */
static bool is_secret(const char *name)
{
    static const char *const words[] = {"passw",  "secret",  "community", "token",
                                        "apikey", "api_key", "api-key",   "hexadecimal_kg"};
    const size_t length = strlen(name), end = strlen("_file");
    bool secret = false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        secret = secret || strstr(name, words[i]) != NULL;
    }
    return secret && (length < end || strcmp(name + length - end, "_file") != 0);
}

/* Whatever else stands there is for the fence agent. NULL, or what would have been right. */
static const char *device_option(struct fence_device *device, const char *name, const char *value)
{
    const size_t length = strlen(name);
    for (const char *line = device->options; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == '=') {
            return GIVEN_TWICE;
        }
    }
    size_t used = strlen(device->options);
    size_t room = sizeof(device->options) - used;
    if (strcmp(name, "action") == 0) {
        return "nothing: what it does is stead's to say";
    }
    if (is_secret(name)) {
        return "to stand in the credentials file, in a section of the same name";
    }
    int more = snprintf(device->options + used, room, "%s%s=%s", used > 0 ? "\n" : "", name, value);
    return more > 0 && (size_t)more < room ? NULL
                                           : "less: all options together have 127 characters";
}

static const char *device_agent(struct fence_device *device, const char *value)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    if (device->agent[0] != '\0') {
        return GIVEN_TWICE;
    }
    if (strncmp(value, "fence_", 6) != 0 || strspn(value, letters) != strlen(value) ||
        strlen(value) >= sizeof(device->agent)) {
        return "the name of a fence agent, such as fence_apc_snmp";
    }
    name_set(device->agent, sizeof(device->agent), value);
    return NULL;
}

static int take_device_value(struct reader *reader, const char *section, const char *name,
                             const char *value)
{
    size_t at = device_find(reader, section);
    if (at == FENCE_DEVICES_MAX) {
        return 0;
    }
    struct fence_device *device = &reader->config.devices[at];
    bool yes = strcmp(value, "yes") == 0;
    const char *right = NULL;
    if (strcmp(name, "agent") == 0) {
        right = device_agent(device, value);
    } else if (strcmp(name, "level") == 0) {
        right = reader->level_seen[at]                                    ? GIVEN_TWICE
                : parse_number(value, 1, FENCE_LEVEL_MAX, &device->level) ? NULL
                                                                          : "a number from 1 to 9";
        reader->level_seen[at] = true;
    } else if (strcmp(name, "trusted") == 0) {
        right = reader->trusted_seen[at]          ? GIVEN_TWICE
                : yes || strcmp(value, "no") == 0 ? NULL
                                                  : "yes or no";
        reader->config.trusted[at] = yes;
        reader->trusted_seen[at] = true;
    } else {
        right = device_option(device, name, value);
    }
    if (right != NULL) {
        const bool hide = is_secret(name);
        complain(reader, "'%s' wants %s%s%s%s", name, right, hide ? "" : ", not '",
                 hide ? "" : value, hide ? "" : "'");
    }
    return right == NULL;
}

static int take_value(void *context, const char *section, const char *name, const char *value)
{
    struct reader *reader = context;
    if (strncmp(section, FENCE_SECTION, strlen(FENCE_SECTION)) == 0) {
        return take_device_value(reader, section + strlen(FENCE_SECTION), name, value);
    }
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0) {
            continue;
        }
        if (reader->seen[i] != 0) {
            complain(reader, "'%s' was already given in line %d", name, reader->seen[i]);
            return 0;
        }
        reader->seen[i] = reader->line;
        const char *right = set_value(&keys[i], (char *)&reader->config + keys[i].offset, value);
        if (right != NULL) {
            complain(reader, "'%s' wants %s, not '%s'", name, right, value);
        }
        return right == NULL;
    }
    complain_of_key(reader, section, name);
    return 0;
}

static void set_defaults(struct config *config)
{
    *config = (struct config){.memory_mib = 0};
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].fallback != NULL) {
            const char *wrong =
                set_value(&keys[i], (char *)config + keys[i].offset, keys[i].fallback);
            ASSERT(wrong == NULL);
        }
    }
}

bool config_io_describe(size_t index, struct config_key *ret_key)
{
    static const char *const wants[] = {
        [VALUE_NAME] = "NAME",    [VALUE_TEXT] = "TEXT",  [VALUE_PATH] = "PATH",
        [VALUE_UUID] = "UUID",    [VALUE_MIB] = "MIB",    [VALUE_CIPHER] = "NUMBER",
        [VALUE_LEVEL] = "NUMBER", [VALUE_YES] = "yes|no", [VALUE_SECONDS] = "SECONDS",
    };
    if (index >= KEYS) {
        return false;
    }
    const struct key *key = &keys[index];
    *ret_key =
        (struct config_key){key->section, key->name, wants[key->kind], key->fallback, key->help};
    return true;
}

/* What only holds between keys. */
static int check_whole(struct reader *reader)
{
    struct config *config = &reader->config;
    if (config->ceph_guest_user[0] == '\0') {
        name_set(config->ceph_guest_user, sizeof(config->ceph_guest_user), config->ceph_user);
    }
    for (size_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        if (config->devices[i].name[0] != '\0' && config->devices[i].agent[0] == '\0') {
            snprintf(reader->error, CONFIG_TEXT_BYTES,
                     "%s: [fence %s] names no fence agent: add 'agent = fence_…' (fence-agents "
                     "has them)",
                     reader->path, config->devices[i].name);
            return -EINVAL;
        }
    }
    if (config->bmc.address[0] != '\0' && config->bmc_credentials[0] == '\0') {
        snprintf(reader->error, CONFIG_TEXT_BYTES,
                 "%s: [bmc] has an address but no credentials: add 'credentials = FILE'",
                 reader->path);
        return -EINVAL;
    }
    return 0;
}

int config_io_load(const char *path, bool must_exist, struct config *ret_config, char *ret_text)
{
    struct reader reader = {.path = path, .error = ret_text};
    set_defaults(&reader.config);
    reader.file = fopen(path, "re");
    if (reader.file == NULL && (must_exist || errno != ENOENT)) {
        int error = errno;
        snprintf(ret_text, CONFIG_TEXT_BYTES, "%s: %s", path, strerror(error));
        return -error;
    }
    if (reader.file != NULL) {
        int bad_line = ini_parse_stream(next_line, &reader, take_value, &reader);
        fclose(reader.file);
        if (bad_line > 0 && (reader.error_line == 0 || bad_line < reader.error_line)) {
            reader.error_line = 0;
            reader.line = bad_line;
            complain(&reader, "neither a [section] nor 'name = value'");
        }
    }
    int r = reader.error_line != 0 ? -EINVAL : check_whole(&reader);
    if (r == 0) {
        *ret_config = reader.config;
    }
    return r;
}
