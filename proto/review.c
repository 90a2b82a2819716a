/*
 * The table of what may be added.
 *
 * Decides: what becomes of each kind of finding. Refused is what would break the promise of one
 * writer per disk, lose data at a recovery, or make the VM another one elsewhere. What only costs
 * mobility (it can start on fewer nodes, or on one) is the operator's to accept by name. The rest
 * is said. Assumes: texts come from outside. Never: lets a full list hide a refusal.
 */
#include "proto/review.h"

#include "proto/assert.h"
#include "proto/values.h"

static const struct {
    const char *word;
    enum treatment treatment;
} rows[FINDING_KIND_COUNT] = {
    [FINDING_DEFINITION] = {"definition", TREATMENT_REFUSED},
    [FINDING_NO_RBD] = {"no-rbd-disk", TREATMENT_REFUSED},
    [FINDING_LOCAL_DISK] = {"local-disk", TREATMENT_REFUSED},
    [FINDING_BLOCK_DISK] = {"block-disk", TREATMENT_REFUSED},
    [FINDING_KRBD] = {"krbd", TREATMENT_REFUSED},
    [FINDING_NETWORK_DISK] = {"network-disk", TREATMENT_REFUSED},
    [FINDING_RBD_DISK] = {"rbd-disk", TREATMENT_REFUSED},
    [FINDING_CEPH_USER] = {"ceph-user", TREATMENT_REFUSED},
    [FINDING_CACHE] = {"cache", TREATMENT_REFUSED},
    [FINDING_TPM_LOCAL] = {"tpm", TREATMENT_ACCEPTED},
    [FINDING_PASSTHROUGH] = {"passthrough", TREATMENT_ACCEPTED},
    [FINDING_FILESYSTEM] = {"filesystem", TREATMENT_ACCEPTED},
    [FINDING_SHARED_MEMORY] = {"shared-memory", TREATMENT_ACCEPTED},
    [FINDING_LAUNCH_SECURITY] = {"launch-security", TREATMENT_ACCEPTED},
    [FINDING_MEDIA] = {"media", TREATMENT_TOLD},
    [FINDING_NVRAM] = {"nvram", TREATMENT_TOLD},
    [FINDING_HOST_CPU] = {"host-cpu", TREATMENT_TOLD},
    [FINDING_HOST_MEMORY] = {"host-memory", TREATMENT_TOLD},
    [FINDING_HOST_INTERFACE] = {"host-interface", TREATMENT_TOLD},
    [FINDING_HOST_ADDRESS] = {"host-address", TREATMENT_TOLD},
    [FINDING_HOST_FILE] = {"host-file", TREATMENT_TOLD},
    [FINDING_QEMU_ARGUMENTS] = {"qemu-arguments", TREATMENT_TOLD},
    [FINDING_SECRET] = {"secret", TREATMENT_TOLD},
    [FINDING_ERROR_POLICY] = {"error-policy", TREATMENT_TOLD},
    [FINDING_IMAGE] = {"image", TREATMENT_REFUSED},
    [FINDING_IMAGE_OPEN] = {"image-open", TREATMENT_REFUSED},
    [FINDING_IMAGE_USED] = {"image-used", TREATMENT_REFUSED},
    [FINDING_DOMAIN_STATE] = {"domain-state", TREATMENT_REFUSED},
};

_Static_assert(FINDING_KIND_COUNT <= 64, "accepted kinds are one mask");

const char *review_word(enum finding_kind kind)
{
    ASSERT((unsigned)kind < FINDING_KIND_COUNT);
    return rows[kind].word;
}

enum treatment review_treatment(enum finding_kind kind)
{
    ASSERT((unsigned)kind < FINDING_KIND_COUNT);
    return rows[kind].treatment;
}

bool review_refuses(const struct review *review, const struct finding *finding)
{
    enum treatment treatment = review_treatment(finding->kind);
    bool accepted = (review->accepted & (UINT64_C(1) << finding->kind)) != 0;
    return treatment == TREATMENT_REFUSED || (treatment == TREATMENT_ACCEPTED && !accepted);
}

uint32_t review_refusals(const struct review *review)
{
    uint32_t count = 0;
    ASSERT(review->count <= FINDINGS_MAX);
    for (uint32_t i = 0; i < review->count; i++) {
        count += review_refuses(review, &review->list[i]);
    }
    return count;
}

/* Room for one more; where there is none, a refusal takes the last one's place. */
static struct finding *make_room(struct review *review, const struct finding *finding)
{
    struct finding *last = &review->list[FINDINGS_MAX - 1];
    if (review->count < FINDINGS_MAX) {
        return &review->list[review->count++];
    }
    review->cut = true;
    return review_refuses(review, finding) && !review_refuses(review, last) ? last : NULL;
}

void review_add(struct review *review, enum finding_kind kind, const char *text)
{
    ASSERT((unsigned)kind < FINDING_KIND_COUNT);
    ASSERT(review->count <= FINDINGS_MAX);
    struct finding finding = {.kind = kind};
    name_set(finding.text, FINDING_BYTES, text);
    for (char *at = finding.text; *at != '\0'; at++) {
        *at = (unsigned char)*at < ' ' || *at == 0x7f ? ' ' : *at;
    }
    for (uint32_t i = 0; i < review->count; i++) {
        if (review->list[i].kind == kind &&
            memcmp(review->list[i].text, finding.text, FINDING_BYTES) == 0) {
            return;
        }
    }
    struct finding *room = make_room(review, &finding);
    if (room != NULL) {
        *room = finding;
    }
}

/* ---- accepting by name */

const char *review_acceptable(uint32_t index)
{
    for (uint32_t kind = 0; kind < FINDING_KIND_COUNT; kind++) {
        if (rows[kind].treatment == TREATMENT_ACCEPTED && index-- == 0) {
            return rows[kind].word;
        }
    }
    return NULL;
}

static bool find_word(const char *word, size_t length, uint64_t *mask)
{
    for (uint32_t kind = 0; kind < FINDING_KIND_COUNT; kind++) {
        if (rows[kind].treatment == TREATMENT_ACCEPTED &&
            strnlen(rows[kind].word, NAME_BYTES) == length &&
            strncmp(rows[kind].word, word, length) == 0) {
            *mask |= UINT64_C(1) << kind;
            return true;
        }
    }
    return false;
}

bool review_parse_accept(const char *text, uint64_t *ret_mask, char *ret_word)
{
    uint64_t mask = 0;
    while (*text != '\0') {
        size_t length = 0;
        while (text[length] != '\0' && text[length] != ',') {
            length++;
        }
        if (!find_word(text, length, &mask)) {
            size_t kept = length < NAME_BYTES ? length : NAME_BYTES - 1;
            memcpy(ret_word, text, kept);
            ret_word[kept] = '\0';
            return false;
        }
        text += length;
        text += *text == ',';
    }
    *ret_mask = mask;
    return true;
}
