/*
 * A paged read under commits.
 *
 * Pages are of different versions when commits get in between. Records carry whole values, so
 * applying every delta since page one, in order, over the mixture gives the state after the last of
 * them: a key some delta touched ends as that delta says, any other key was the same on all pages.
 * The digest over the result decides whether that came out (I3).
 * Never: calls an image good whose digest is not its header's, or that is older than its last page.
 */
#include "storage/reload.h"

#include "proto/assert.h"
#include "storage/state.h"

void reload_begin(struct reload *reload)
{
    reload->count = 0;
}

void reload_keep(struct reload *reload, const struct delta *delta)
{
    ASSERT(reload->count <= DELTAS_KEPT_MAX);
    ASSERT(delta->count <= DELTA_RECORDS_MAX);
    if (reload->count < DELTAS_KEPT_MAX) { /* more get lost: the digest will tell, we read again */
        reload->kept[reload->count++] = *delta;
    }
}

bool reload_finish(const struct reload *reload, struct cluster *image, const struct header *last)
{
    ASSERT(image->vm_end <= VMS_MAX);
    for (uint32_t i = 0; i < reload->count; i++) {
        if (state_follows(image, &reload->kept[i])) {
            (void)state_apply(image,
                              &reload->kept[i]); /* a mixture's running digest means nothing */
        }
    }
    bool whole = image->header.epoch == last->epoch && image->header.version >= last->version;
    return whole && state_digest(image) == image->header.digest;
}
