/*
 * The ways to a node's power, as its agent tells them and as the state keeps them.
 *
 * Decides: what is kept of what was seen before. A BMC or device once seen to be the host's stays
 * so while it is configured the same, since its host may be unable to ask it when it matters; only
 * one that was seen to be another's loses that. Assumes: an agent tells of its own devices only.
 * Never: writes a level or a fence device below the feature level that knows them.
 */
#include "agent/devices.h"

#include <string.h>

#include "agent/level.h"
#include "proto/assert.h"
#include "proto/text.h"
#include "proto/values.h"

void devices_on_identity(struct facts *facts, const struct event *event)
{
    uint32_t device = event->bmc_identity.device;
    ASSERT(event->kind == EVENT_BMC_IDENTITY);
    ASSERT(device <= FENCE_DEVICES_MAX);
    if (device == 0) {
        facts->bmc.verified = event->bmc_identity.verified;
    } else {
        facts->devices[device - 1].standing =
            event->bmc_identity.verified ? DEVICE_VERIFIED : DEVICE_DENIED;
    }
}

static bool bmc_follows(struct bmc_address *bmc, struct bmc_address told)
{
    bool same = strncmp(bmc->address, told.address, ADDRESS_BYTES) == 0 &&
                bmc->cipher_suite == told.cipher_suite && bmc->level == told.level;
    told.verified |= same && bmc->verified;
    bool differs = !same || told.verified != bmc->verified;
    *bmc = told;
    return differs;
}

static bool device_follows(struct fence_device *device, struct fence_device told)
{
    bool same = strncmp(device->name, told.name, DEVICE_NAME_BYTES) == 0 &&
                strncmp(device->agent, told.agent, DEVICE_AGENT_BYTES) == 0 &&
                strncmp(device->options, told.options, DEVICE_OPTIONS_BYTES) == 0 &&
                device->level == told.level;
    if (same && told.standing == DEVICE_UNKNOWN) {
        told.standing = device->standing;
    }
    bool differs = !same || told.standing != device->standing;
    *device = told;
    return differs;
}

bool devices_follow(struct node_record *node, const struct beat *beat, uint32_t level)
{
    struct bmc_address bmc = beat->bmc;
    ASSERT(beat->nodeid == node->nodeid);
    ASSERT(beat->bmc.address[ADDRESS_BYTES - 1] == '\0');
    bmc.level = level < LEVEL_FENCE_DEVICES ? 0 : bmc.level;
    bool differs = bmc_follows(&node->bmc, bmc);
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        struct fence_device none = {{0}, {0}, {0}, 0, DEVICE_UNKNOWN};
        differs |= device_follows(&node->devices[i],
                                  level < LEVEL_FENCE_DEVICES ? none : beat->devices[i]);
    }
    return differs;
}

bool devices_find_unverified(const struct bmc_address *bmc, const struct fence_device *devices,
                             struct text *ret_text)
{
    if (bmc->address[0] != '\0' && !bmc->verified) {
        text_add(ret_text, "its BMC does not answer, or its GUID is not this machine's UUID: it "
                           "is not used");
        return true;
    }
    for (uint32_t i = 0; i < FENCE_DEVICES_MAX; i++) {
        if (devices[i].agent[0] != '\0' && devices[i].standing != DEVICE_VERIFIED) {
            text_add(text_add(ret_text, "its fence device "), devices[i].name);
            text_add(ret_text, " was not seen to be this host's: its level is not used");
            return true;
        }
    }
    return false;
}
