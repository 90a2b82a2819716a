/*
 * Reads the credentials file, after a look at who else could.
 *
 * The owner and mode are taken from the open file, not from the path, so that the file that was
 * judged is the file that is read.
 */
#include "fencing/credentials_io.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_SECTION "fence "

struct reader {
    const char *node;
    const char *device; /* or the section of this one */
    char *lines;        /* "key=value" of [fence DEVICE] */
    size_t length;
    struct credentials fallback; /* [default] */
    struct credentials own;      /* [NODE] */
    const char *complaint;       /* about the first line that is wrong */
};

static void file_close(FILE **file)
{
    if (*file) {
        (void)fclose(*file); /* was only read */
    }
}

static int file_open(const char *path, FILE **ret_file, char *ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        int r = -errno;
        snprintf(ret_text, TEXT_BYTES, "cannot read the BMC credentials %s: %s", path,
                 strerror(-r));
        if (fd >= 0) {
            close(fd);
        }
        return r;
    }
    FILE *file = NULL;
    if (status.st_uid != 0) {
        snprintf(ret_text, TEXT_BYTES, "%s holds passwords but is not owned by root: chown root %s",
                 path, path);
    } else if ((status.st_mode & 07177) != 0) {
        snprintf(ret_text, TEXT_BYTES, "%s holds passwords but has mode %04o: chmod 600 %s", path,
                 status.st_mode & 07777, path);
    } else {
        file = fdopen(fd, "r");
    }
    if (!file) {
        close(fd);
        return -EPERM;
    }
    *ret_file = file;
    return 0;
}

static const char *field_set(char *field, const char *value)
{
    if (strlen(value) >= CREDENTIAL_BYTES) {
        return "this value is longer than any BMC takes";
    }
    memset(field, 0, CREDENTIAL_BYTES);
    memcpy(field, value, strlen(value));
    return NULL;
}

static const char *device_line(struct reader *reader, const char *section, const char *name,
                               const char *value)
{
    if (!reader->device || strcmp(section + strlen(DEVICE_SECTION), reader->device) != 0) {
        return NULL;
    }
    size_t room = SECRETS_BYTES - reader->length;
    int used = snprintf(reader->lines + reader->length, room, "%s=%s\n", name, value);
    if (used < 0 || (size_t)used >= room) {
        return "this section is longer than any fence agent needs";
    }
    reader->length += (size_t)used;
    return NULL;
}

/* inih calls this for each line; 0 marks the line as wrong. */
static int take_line(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;
    struct credentials ignored;
    struct credentials *into = strcmp(section, "default") == 0 ? &reader->fallback : &ignored;
    if (reader->node && strcmp(section, reader->node) == 0) {
        into = &reader->own;
    }
    const char *complaint = NULL;
    if (section[0] == '\0') {
        complaint = "this line stands before any section: write [default] or [NODE] above it";
    } else if (strncmp(section, DEVICE_SECTION, strlen(DEVICE_SECTION)) == 0) {
        complaint = device_line(reader, section, name, value);
    } else if (strcmp(name, "username") == 0) {
        complaint = field_set(into->username, value);
    } else if (strcmp(name, "password") == 0) {
        complaint = field_set(into->password, value);
    } else {
        complaint = "only username= and password= belong here";
    }
    explicit_bzero(&ignored, sizeof(ignored));
    if (complaint && !reader->complaint) {
        reader->complaint = complaint;
    }
    return complaint == NULL;
}

static int reader_result(const struct reader *reader, const char *path,
                         struct credentials *ret_credentials, char *ret_text)
{
    if (!reader->node) {
        return 0;
    }
    const struct credentials *own = &reader->own;
    const struct credentials *fallback = &reader->fallback;
    const char *username = own->username[0] ? own->username : fallback->username;
    const char *password = own->password[0] ? own->password : fallback->password;
    if (username[0] == '\0') {
        snprintf(ret_text, TEXT_BYTES, "%s has no username= in [%s] nor in [default]", path,
                 reader->node);
        return -ENOKEY;
    }
    memcpy(ret_credentials->username, username, CREDENTIAL_BYTES);
    memcpy(ret_credentials->password, password, CREDENTIAL_BYTES);
    return 0;
}

static int file_read(const char *path, struct reader *reader, char *ret_text)
{
    __attribute__((cleanup(file_close))) FILE *file = NULL;
    int r = file_open(path, &file, ret_text);
    if (r < 0) {
        return r;
    }
    int line = ini_parse_file(file, take_line, reader);
    if (line != 0) {
        snprintf(ret_text, TEXT_BYTES, "%s:%d: %s", path, line,
                 reader->complaint ? reader->complaint : "neither [section] nor name=value");
        return -EINVAL;
    }
    return 0;
}

int credentials_read(const char *path, const char *node, struct credentials *ret_credentials,
                     char ret_text[TEXT_BYTES])
{
    struct reader reader = {.node = node};
    int r = file_read(path, &reader, ret_text);
    r = r < 0 ? r : reader_result(&reader, path, ret_credentials, ret_text);
    explicit_bzero(&reader, sizeof(reader));
    return r;
}

int credentials_read_device(const char *path, const char *device, char ret_lines[SECRETS_BYTES],
                            char ret_text[TEXT_BYTES])
{
    struct reader reader = {.device = device, .lines = ret_lines};
    ret_lines[0] = '\0';
    int r = file_read(path, &reader, ret_text);
    if (r < 0) {
        explicit_bzero(ret_lines, SECRETS_BYTES);
    }
    explicit_bzero(&reader, sizeof(reader));
    return r;
}
