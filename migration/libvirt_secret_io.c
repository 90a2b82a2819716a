/* The Ceph secrets that libvirt must know before a domain can open its disks. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libvirt/virterror.h>

#include "migration/libvirt_inner_io.h"
#include "migration/libvirt_io.h"
#include "migration/libvirt_secret_io.h"

/* The size, or -EINVAL. */
static int base64_decode(const char *text, unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t group = 0;
    unsigned bits = 0;
    size_t count = 0;
    for (; *text && *text != '=' && !isspace((unsigned char)*text); text++) {
        const char *digit = strchr(digits, *text);
        if (!digit || count == size) {
            return -EINVAL;
        }
        group = group << 6 | (uint32_t)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[count++] = (unsigned char)(group >> bits);
        }
    }
    return count > 0 ? (int)count : -EINVAL;
}

/* It goes into XML as it is. */
static bool user_is_plain(const char *user)
{
    for (const char *at = user; *at; at++) {
        if (!isalnum((unsigned char)*at) && !strchr("-_.", *at)) {
            return false;
        }
    }
    return user[0] != '\0' && strlen(user) < NAME_BYTES;
}

int libvirt_secret_put(struct libvirt_shared *shared, const char *uuid, const char *user,
                       const char *key_base64)
{
    struct secret secret = {0};
    struct uuid parsed;
    if (!uuid_parse(uuid, &parsed) || !user_is_plain(user)) {
        return -EINVAL;
    }
    int size = base64_decode(key_base64, secret.value, sizeof(secret.value));
    if (size < 0) {
        explicit_bzero(&secret, sizeof(secret));
        return size;
    }
    secret.size = (size_t)size;
    uuid_format(&parsed, secret.uuid);
    snprintf(secret.user, sizeof(secret.user), "%s", user);
    uint32_t at = 0;
    pthread_mutex_lock(&shared->lock);
    while (at < shared->secret_count && strcmp(shared->secrets[at].uuid, secret.uuid) != 0) {
        at++;
    }
    bool room = at < SECRETS_MAX;
    if (room) {
        shared->secrets[at] = secret;
        shared->secret_count += at == shared->secret_count;
        pthread_cond_broadcast(&shared->watch);
    }
    pthread_mutex_unlock(&shared->lock);
    explicit_bzero(&secret, sizeof(secret));
    return room ? 0 : -ENOBUFS;
}

/* True: libvirt has answered, be it with a no, which is said. */
static bool secret_tell(virConnectPtr connection, const struct secret *secret)
{
    char xml[512];
    char text[TEXT_BYTES];
    int code;
    bool answered = true;
    snprintf(xml, sizeof(xml),
             "<secret ephemeral='no' private='yes'><uuid>%s</uuid>"
             "<description>Ceph key of client.%s, kept by stead</description>"
             "<usage type='ceph'><name>client.%s secret</name></usage></secret>",
             secret->uuid, secret->user, secret->user);
    virSecretPtr defined = virSecretDefineXML(connection, xml, 0);
    if (!defined || virSecretSetValue(defined, secret->value, secret->size, 0) < 0) {
        answered = libvirt_error_take(connection, &code, text);
        if (answered) {
            warn_io_say("cannot set the Ceph secret %s of client.%s: %s", secret->uuid,
                        secret->user, text);
        }
    }
    if (defined) {
        virSecretFree(defined);
    }
    return answered;
}

static bool secret_next(struct libvirt_shared *shared, struct secret *ret_secret)
{
    pthread_mutex_lock(&shared->lock);
    bool any = shared->secret_count > 0;
    if (any) {
        *ret_secret = shared->secrets[0];
    }
    pthread_mutex_unlock(&shared->lock);
    return any;
}

/* Unless it was replaced meanwhile: then the new value is told next. */
static void secret_forget(struct libvirt_shared *shared, const struct secret *told)
{
    pthread_mutex_lock(&shared->lock);
    struct secret *first = &shared->secrets[0];
    if (shared->secret_count > 0 && memcmp(first, told, sizeof(*told)) == 0) {
        shared->secret_count--;
        memmove(first, first + 1, shared->secret_count * sizeof(*first));
        explicit_bzero(&shared->secrets[shared->secret_count], sizeof(*first));
    }
    pthread_mutex_unlock(&shared->lock);
}

void libvirt_secrets_apply(struct libvirt_shared *shared, virConnectPtr connection)
{
    struct secret secret;
    bool answered = true;
    pthread_mutex_lock(&shared->secret_lock);
    while (answered && secret_next(shared, &secret)) {
        answered = secret_tell(connection, &secret);
        if (answered) { /* else told on the next connection */
            secret_forget(shared, &secret);
        }
    }
    explicit_bzero(&secret, sizeof(secret));
    pthread_mutex_unlock(&shared->secret_lock);
}
