/*
 * Is the state object what it must be?
 *
 * Decides: whether a header read may follow what is known. A commit raises the version by one, a
 * restore or a person's force raises the epoch; so nothing lawful makes an object that is older
 * than a copy somebody holds, or that differs from it at the same version. Such an object is left
 * alone by everybody who knows better: nothing is decided, until a person says which one is right.
 * Neither is one that belongs to another cluster, as a wrong pool in stead.conf would show: its
 * node ids may be ours, and what runs there is not ours to end.
 * Assumes: what is known was known before the read began. Never: takes "not there" for "empty".
 */
#include "storage/health.h"

#include "proto/assert.h"
#include "proto/values.h"

static bool earlier(const struct known *a, uint32_t epoch, uint64_t version)
{
    return a->epoch < epoch || (a->epoch == epoch && a->version < version);
}

void health_know(struct known *known, uint32_t epoch, uint64_t version)
{
    if (earlier(known, epoch, version)) {
        *known = (struct known){.epoch = epoch, .version = version};
    }
}

enum state_trouble health_of_belonging(const struct header *read, const struct belonging *ours)
{
    ASSERT(read->version != 0);
    if (!uuid_is_zero(&ours->cluster_id) && !uuid_equal(&read->cluster_id, &ours->cluster_id)) {
        return STATE_FOREIGN;
    }
    bool named = read->corosync[0] != '\0' && ours->corosync[0] != '\0';
    return named && !name_equal(read->corosync, ours->corosync) ? STATE_ELSEWHERE : STATE_WELL;
}

enum state_trouble health_of_header(const struct header *read, const struct header *copy,
                                    const struct known *known)
{
    ASSERT(read->version != 0);
    ASSERT(copy->version == 0 || uuid_equal(&read->cluster_id, &copy->cluster_id));
    struct known got = {.epoch = read->epoch, .version = read->version};
    bool other = read->epoch == copy->epoch && read->version == copy->version &&
                 read->digest != copy->digest;
    return other || earlier(&got, known->epoch, known->version) ? STATE_OLDER : STATE_WELL;
}

bool health_may_commit(enum state_trouble trouble)
{
    ASSERT(trouble < STATE_TROUBLE_COUNT);
    return trouble == STATE_WELL || trouble == STATE_GARBLED || trouble == STATE_DAMAGED;
}
