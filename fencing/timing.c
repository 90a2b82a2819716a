/*
 * The timing argument: how long each thing may take, and what follows from it.
 *
 * No disk rests on time here: a VM is taken over only behind the barrier (storage/barrier.h), and
 * leases decide who may run. One proof does: that a watchdog must have fired; see below. Time
 * decides how soon things are noticed and how often they are tried. Assumes CLOCK_BOOTTIME
 * throughout, and clocks that differ by no more than DRIFT_PPM. Defaults and ranges are rows of
 * proto/settings.c; why they are what they are is said here.
 */
#include "fencing/timing.h"

#include "fencing/keeper.h"
#include "proto/assert.h"
#include "proto/settings.h"

/*
 * beat_ms 200: each agent's heartbeat; an answer rides in the peer's next one, or comes at once
 * when asked for (a view change does), so freshness returns within a CPG round trip.
 *
 * fresh_ms 1000: a heartbeat *sent* this long ago and answered by a quorum still proves that
 * Corosync's view is real. A thawed host believes its old view for about 1 s (measured); its last
 * answered heartbeat is older than its freeze.
 *
 * able_ms 1500: a RADOS answer younger than this: several polls, so one slow one does not count.
 *
 * actor_ms 3000: longer than a commit behind a slow placement group, far shorter than a person.
 *
 * call_ms 5000: librados gives up waiting; the call's fate is then unknown, not failed.
 *
 * start_ms 30000: QEMU opens its images within this or is destroyed.
 *
 * bmc_ms 15000: some BMCs take 10 s; the barrier does not wait for them.
 *
 * leave_ms 60000: a Corosync that restarts is back in 3 s; one that is upgraded, in some ten. What
 * dies in that time waits for its end.
 *
 * grace_ms 60000: after a power cut, hosts boot within about that of each other; it counts from the
 * first quorum, since nothing can be decided before.
 */

/*
 * When a host loses its quorum, its guests are suspended, then killed if they were not seen to be:
 *
 * lost quorum: Corosync says so token + consensus (detect_ms) after the links went; at once.
 *
 * unanswered, fresh_ms + 2 * detect_ms: where Corosync hangs or its ring livelocks, nobody tells,
 * and only our heartbeats show it. They are stalled for detect_ms whenever any member dies, on the
 * hosts that stay, too; twice, should a second one die before the ring has formed. Only longer than
 * that is it no ring that will be quorate in a moment; no guest is suspended for a blip that
 * Corosync gets over, or for another host's death.
 *
 * rejoin, 2 * detect_ms after the quorum is back: links that come back one by one, each a second or
 * so after the last, and Corosync takes token or consensus to take a member in.
 *
 * bar_ms 15000: in a tie, when the half that holds the term has not written so long, it stands
 * still by its own clock: a lone half that cannot reach the object is unanswered, above, then
 * suspends; 10.4 s by default.
 *
 * SUSPEND_MS: QEMU stops its vCPUs in milliseconds and says so; libvirtd under load, in a second or
 * two. With a disk that is away `stop` itself does not return, but the vCPUs stand.
 */
#define RETRY_DOUBLINGS_MAX 5
#define GUEST_DOUBLINGS_MAX 8 /* a guest that ends again and again: at last every 256 retry_ms */
#define LOSSES_MANY 3         /* twice may be bad luck */
#define OUT_DOUBLINGS_MAX 6   /* at last 64 times flap_ms: by default some five hours */
#define STEADY_MS 600000      /* one that ran this long ended for a new reason */
#define DRIFT_PPM 1000        /* two clocks against each other: twice what NTP would correct */
#define SCHEDULE_MS 500       /* a keeper is told or woken late: real time, yet not alone */
#define SUSPEND_MS 5000       /* from the word to stand still to SIGKILL */
#define LATE_MS 20000         /* one of a guest that no lease names: seen 14.5 s later */
#define TIE_MS 300 /* two hosts notice a cut within a few token rotations of each other */

uint32_t timing_retry_ms(const struct settings *settings, uint32_t tries)
{
    ASSERT(settings->retry_ms > 0);
    uint32_t doublings = tries < RETRY_DOUBLINGS_MAX ? tries : RETRY_DOUBLINGS_MAX;
    return settings->retry_ms << doublings;
}

uint32_t timing_guest_retry_ms(const struct settings *settings, uint32_t ends)
{
    ASSERT(ends > 0);
    ASSERT(settings->retry_ms > 0);
    uint32_t doublings = ends - 1 < GUEST_DOUBLINGS_MAX ? ends - 1 : GUEST_DOUBLINGS_MAX;
    return settings->retry_ms << doublings;
}

uint32_t timing_out_ms(const struct settings *settings, uint32_t losses)
{
    ASSERT(settings->flap_ms <= UINT32_MAX >> OUT_DOUBLINGS_MAX);
    if (losses < LOSSES_MANY) {
        return 0;
    }
    uint32_t more = losses - LOSSES_MANY;
    return settings->flap_ms << (more < OUT_DOUBLINGS_MAX ? more : OUT_DOUBLINGS_MAX);
}

uint32_t timing_steady_ms(void)
{
    return STEADY_MS;
}

uint32_t timing_silent_ms(const struct settings *settings)
{
    ASSERT(settings->beat_ms > 0);
    return settings->able_ms;
}

uint32_t timing_unanswered_ms(const struct settings *settings, uint32_t detect_ms)
{
    ASSERT(settings->fresh_ms > 0);
    return settings->fresh_ms + 2 * detect_ms;
}

uint32_t timing_rejoin_ms(uint32_t detect_ms)
{
    ASSERT(detect_ms < UINT32_MAX / 2);
    return 2 * detect_ms;
}

uint32_t timing_suspend_ms(void)
{
    return SUSPEND_MS;
}

uint32_t timing_late_ms(void)
{
    return LATE_MS;
}

uint32_t timing_tie_ms(void)
{
    return TIE_MS;
}

uint32_t timing_lease_check_ms(const struct settings *settings)
{
    return 4 * settings->poll_ms;
}

/*
 * When has the watchdog of a lost node X surely fired? By the clock of the acting node A:
 *
 * base: A knows that as many nodes as a quorum takes, X not counted, have read that X is lost:
 * their heartbeats carry a version at least that of the loss. Each of them has stopped answering
 * X's heartbeats when it read that (agent/watchdog.c), and any quorum of X's has one of them in it.
 * So whatever heartbeat of X's was the last that a quorum ever answered, X *sent* it before the
 * base. No view of Corosync's is asked: those may be out of date.
 *
 * vouch: X's agent vouches, by X's own clock, for fresh_ms from that sending; or, where no guest
 * was alive on X and it was not fresh, for fresh_ms from then. A guest can start on X only while X
 * is fresh, so such a vouch was given before the end of some freshness: it ends 2 * fresh_ms after
 * the sending.
 *
 * feed: the keeper looks at the clock before each feed, so none is begun after the vouch; one that
 * was begun may be carried out late, and a keeper that is later than one feed says so.
 *
 * fires: the device resets X at the latest so long after it was last fed: measured on that host
 * (stead-keeper selftest) or set, committed in its record, never taken to be the timeout.
 *
 * drift: X's clock and A's, and the device's own, over all of that.
 *
 * schedule: the steps in between, A's answer from its clock, X's keeper from its CPU.
 *
 * Assumes: CLOCK_BOOTTIME on both, and a device that counts on while the host stands still; one
 * that a hypervisor emulates does not while the hypervisor pauses the machine. A person's word
 * (removed, vouched dead) changes who counts; X's quorum is then that of the copy it last read.
 */
uint32_t timing_vouch_ms(const struct settings *settings)
{
    ASSERT(settings->fresh_ms > 0);
    return 2 * settings->fresh_ms;
}

uint32_t timing_vouch_least_ms(void)
{
    const struct setting *fresh = settings_find("fresh_ms");
    ASSERT(fresh != NULL);
    ASSERT(fresh->least > 0);
    return 2 * fresh->least;
}

uint32_t timing_feed_ms(void)
{
    return keeper_feed_ms(KEEPER_TIMEOUT_MAX_MS);
}

uint32_t timing_drift_ms(uint32_t span_ms)
{
    return (uint32_t)((uint64_t)span_ms * DRIFT_PPM / 1000000) + 1;
}

uint32_t timing_schedule_ms(void)
{
    return SCHEDULE_MS;
}

uint32_t timing_watchdog_ms(uint32_t vouch_ms, uint32_t fires_ms)
{
    uint32_t span_ms = vouch_ms + timing_feed_ms() + fires_ms;
    ASSERT(vouch_ms > 0);
    ASSERT(fires_ms > 0);
    return span_ms + timing_drift_ms(span_ms) + timing_schedule_ms();
}
