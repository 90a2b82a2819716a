/*
 * stead-bmc: one request to one BMC, in a process of its own, so that a library call that never
 * returns can be ended by SIGKILL at the deadline without harm to the agent.
 *
 * The request comes on stdin as lines of "key value" (a password must never stand in an argv), one
 * line of answer goes to stdout: an outcome word and a sentence.
 *
 *     done      the power was read back off (after our command, or found so); or on (op on)
 *     failed    refused; the command did not take effect; or it reads on (op read)
 *     unknown   no certain answer before the deadline
 *     stale     valid_until had passed before the command was sent; it was not
 *     guid 0|1  (op identify) the BMC's GUID could be read; is it this machine's?
 *
 * Nothing is switched off before the BMC has shown the GUID of the machine that is meant; only a
 * BMC that was compared while its host was healthy may now be unable to show it (see `verified`).
 */
#include <errno.h>
#include <freeipmi/freeipmi.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proto/clock_io.h"

#define GUID_BYTES 16
#define REQUEST_BYTES 4096
#define FIELD_BYTES 128
#define MARGIN_MS                                                                                  \
    150                 /* libfreeipmi overruns by up to 100, and the sentence must be out in time \
                         */
#define POLL_MS 50      /* between two readings of the power */
#define SESSION_MS 1000 /* of the first try; each further one waits four times as long */
#define RETRANSMISSIONS 4 /* per session; a slow BMC works off every repeat, and drowns in many */

#define NETFN_APP 0x06
#define COMMAND_GET_SYSTEM_GUID 0x37

struct request {
    char address[FIELD_BYTES];
    char username[FIELD_BYTES];
    char password[FIELD_BYTES];
    uint8_t machine[GUID_BYTES];
    uint8_t cipher_suite;
    enum { OP_OFF, OP_READ, OP_ON, OP_IDENTIFY } op;
    bool verified;
    uint64_t deadline_ms;
    uint64_t valid_until_ms; /* 0: not limited */
};

struct run {
    struct request request;
    ipmi_ctx_t ctx;
    unsigned tries;
    bool matched;              /* the GUID was compared, or need not be */
    bool sent;                 /* a power-off went out */
    bool accepted;             /* and the BMC said yes to it */
    char trouble[FIELD_BYTES]; /* last thing that went wrong, for the sentence at the deadline */
};

/* What one try came to: the answer is printed, or the next try may do better. */
enum verdict { ANSWERED, AGAIN };

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL); /* woken early: one reading more */
}

static uint64_t remaining_ms(const struct run *run)
{
    uint64_t now = clock_io_boot_ms() + MARGIN_MS;
    return now < run->request.deadline_ms ? run->request.deadline_ms - now : 0;
}

__attribute__((format(printf, 1, 2))) static enum verdict answer(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    return ANSWERED;
}

static enum verdict again(struct run *run)
{
    snprintf(run->trouble, sizeof(run->trouble), "%s", ipmi_ctx_errormsg(run->ctx));
    return AGAIN;
}

/* Errors that asking again does not heal. */
static bool refused(int error)
{
    switch (error) {
    case IPMI_ERR_USERNAME_INVALID:
    case IPMI_ERR_PASSWORD_INVALID:
    case IPMI_ERR_K_G_INVALID:
    case IPMI_ERR_PRIVILEGE_LEVEL_INSUFFICIENT:
    case IPMI_ERR_PRIVILEGE_LEVEL_CANNOT_BE_OBTAINED:
    case IPMI_ERR_AUTHENTICATION_TYPE_UNAVAILABLE:
    case IPMI_ERR_CIPHER_SUITE_ID_UNAVAILABLE:
    case IPMI_ERR_IPMI_2_0_UNAVAILABLE:
    case IPMI_ERR_HOSTNAME_INVALID:
    case IPMI_ERR_PARAMETERS:
    case IPMI_ERR_COMMAND_INVALID_OR_UNSUPPORTED:
    case IPMI_ERR_BAD_COMPLETION_CODE:
    case IPMI_ERR_BAD_RMCPPLUS_STATUS_CODE:
        return true;
    default:
        return false;
    }
}

static const char *remedy(int error)
{
    switch (error) {
    case IPMI_ERR_USERNAME_INVALID:
    case IPMI_ERR_PASSWORD_INVALID:
        return "correct username and password in the BMC credentials file";
    case IPMI_ERR_PRIVILEGE_LEVEL_INSUFFICIENT:
    case IPMI_ERR_PRIVILEGE_LEVEL_CANNOT_BE_OBTAINED:
        return "give this user the operator privilege over LAN";
    case IPMI_ERR_AUTHENTICATION_TYPE_UNAVAILABLE:
    case IPMI_ERR_CIPHER_SUITE_ID_UNAVAILABLE:
    case IPMI_ERR_BAD_RMCPPLUS_STATUS_CODE:
        return "configure a cipher suite this BMC offers (17 or 3)";
    case IPMI_ERR_IPMI_2_0_UNAVAILABLE:
        return "enable IPMI over LAN, version 2.0, in it";
    case IPMI_ERR_HOSTNAME_INVALID:
        return "correct the node's BMC address";
    default:
        return "check the BMC";
    }
}

static enum verdict fail(struct run *run)
{
    int error = ipmi_ctx_errnum(run->ctx);
    return answer("failed the BMC at %s said no to user %s: %s; %s", run->request.address,
                  run->request.username, ipmi_ctx_errormsg(run->ctx), remedy(error));
}

/* Each try waits longer than the one before: a quick BMC answers within the first, and one that
 * needs seconds for each command would never get through with short sessions only. */
static enum verdict session_open(struct run *run)
{
    const struct request *request = &run->request;
    uint64_t session_ms = (uint64_t)SESSION_MS << (run->tries < 3 ? run->tries * 2 : 6);
    uint64_t room_ms = remaining_ms(run);
    session_ms = session_ms < room_ms ? session_ms : room_ms;
    run->tries++;
    if (session_ms < RETRANSMISSIONS * 2) {
        return AGAIN;
    }
    run->ctx = ipmi_ctx_create();
    if (!run->ctx) {
        return answer("failed no memory for an IPMI session");
    }
    if (ipmi_ctx_open_outofband_2_0(run->ctx, request->address, request->username,
                                    request->password, NULL, 0, IPMI_PRIVILEGE_LEVEL_OPERATOR,
                                    request->cipher_suite, (unsigned)session_ms,
                                    (unsigned)session_ms / RETRANSMISSIONS,
                                    IPMI_WORKAROUND_FLAGS_OUTOFBAND_2_0_OPEN_SESSION_PRIVILEGE,
                                    IPMI_FLAGS_NO_LEGAL_CHECK) == 0) {
        return AGAIN;
    }
    enum verdict verdict = refused(ipmi_ctx_errnum(run->ctx)) ? fail(run) : again(run);
    ipmi_ctx_destroy(run->ctx);
    run->ctx = NULL;
    return verdict;
}

static void session_close(struct run *run)
{
    if (run->ctx) {
        (void)ipmi_ctx_close(run->ctx); /* the session ends at the BMC by itself, too */
        ipmi_ctx_destroy(run->ctx);
        run->ctx = NULL;
    }
}

static void guid_text(const uint8_t *guid, char ret_text[33])
{
    for (unsigned i = 0; i < GUID_BYTES; i++) {
        snprintf(ret_text + (size_t)i * 2, 3, "%02x", guid[i]);
    }
}

/*
 * A BMC may send its GUID in one of four orders: as written (RFC 4122), last byte first (IPMI 2.0,
 * table 20-10), or either with the first three fields little-endian (SMBIOS, and so many a BMC that
 * copies the DMI UUID). The simulator ipmi_sim sends the bytes as its configuration gives them.
 * Two machines that differ by such a reordering only do not exist outside of a mistake.
 */
static bool guid_equal(const uint8_t *shown, const uint8_t *machine)
{
    static const uint8_t smbios[GUID_BYTES] = {3, 2, 1,  0,  5,  4,  7,  6,
                                               8, 9, 10, 11, 12, 13, 14, 15};
    bool same = true;
    bool reversed = true;
    bool mixed = true;
    bool mixed_reversed = true;
    for (unsigned i = 0; i < GUID_BYTES; i++) {
        uint8_t last = shown[GUID_BYTES - 1 - i];
        same = same && shown[i] == machine[i];
        reversed = reversed && last == machine[i];
        mixed = mixed && shown[i] == machine[smbios[i]];
        mixed_reversed = mixed_reversed && last == machine[smbios[i]];
    }
    return same || reversed || mixed || mixed_reversed;
}

/* 0, -ENOTSUP when the BMC answers but has none, -EAGAIN when it did not answer. */
static int guid_read(struct run *run, uint8_t ret_guid[GUID_BYTES])
{
    static const uint8_t zero[GUID_BYTES];
    uint8_t command = COMMAND_GET_SYSTEM_GUID;
    uint8_t reply[2 + GUID_BYTES + 32]; /* command, completion code, GUID */
    int length = ipmi_cmd_raw(run->ctx, 0, NETFN_APP, &command, 1, reply, sizeof(reply));
    if (length < 0) {
        return refused(ipmi_ctx_errnum(run->ctx)) ? -ENOTSUP : -EAGAIN;
    }
    if (length < 2 + GUID_BYTES || reply[1] != 0) {
        return -ENOTSUP;
    }
    if (memcmp(reply + 2, zero, GUID_BYTES) == 0) { /* shipped without one */
        return -ENOTSUP;
    }
    memcpy(ret_guid, reply + 2, GUID_BYTES);
    return 0;
}

static enum verdict identify(struct run *run)
{
    uint8_t guid[GUID_BYTES];
    int r = guid_read(run, guid);
    if (r == -EAGAIN) {
        return again(run);
    }
    if (r < 0) {
        return answer("failed the BMC at %s shows no system GUID", run->request.address);
    }
    return answer("guid %d", guid_equal(guid, run->request.machine));
}

/* AGAIN with run->matched set is a yes. */
static enum verdict match(struct run *run)
{
    uint8_t guid[GUID_BYTES];
    char shown[33];
    char meant[33];
    int r = guid_read(run, guid);
    if (r == -EAGAIN) {
        return again(run);
    }
    if (r < 0 && !run->request.verified) {
        return answer("failed the BMC at %s shows no system GUID and was never compared while its "
                      "host was healthy: nothing was switched off",
                      run->request.address);
    }
    if (r == 0 && !guid_equal(guid, run->request.machine)) {
        guid_text(guid, shown);
        guid_text(run->request.machine, meant);
        return answer("failed the BMC at %s is another machine's (GUID %s, meant was %s): nothing "
                      "was switched off; correct the node's BMC address",
                      run->request.address, shown, meant);
    }
    run->matched = true;
    return AGAIN;
}

/* 1 on, 0 off, -1 no answer. */
static int power_read(struct run *run)
{
    uint64_t value = 0;
    int power = -1;
    fiid_obj_t reply = fiid_obj_create(tmpl_cmd_get_chassis_status_rs);
    if (reply && ipmi_cmd_get_chassis_status(run->ctx, reply) == 0 &&
        fiid_obj_get(reply, "current_power_state.power_is_on", &value) == 1) {
        power = value != 0;
    }
    fiid_obj_destroy(reply);
    return power;
}

static int power_switch(struct run *run)
{
    uint8_t control =
        run->request.op == OP_ON ? IPMI_CHASSIS_CONTROL_POWER_UP : IPMI_CHASSIS_CONTROL_POWER_DOWN;
    fiid_obj_t reply = fiid_obj_create(tmpl_cmd_chassis_control_rs);
    int r = reply ? ipmi_cmd_chassis_control(run->ctx, control, reply) : -1;
    fiid_obj_destroy(reply);
    return r;
}

static const char *word(const struct run *run)
{
    return run->request.op == OP_ON ? "on" : "off";
}

static const char *already(const struct run *run)
{
    return run->request.op == OP_ON ? " (it was on already)" : " (it was off already)";
}

static enum verdict send_order(struct run *run)
{
    const struct request *request = &run->request;
    if (request->valid_until_ms != 0 && clock_io_boot_ms() >= request->valid_until_ms) {
        return run->sent
                   ? answer("unknown the power-%s sent to the BMC at %s was not answered, and "
                            "the right to repeat it has run out",
                            word(run), request->address)
                   : answer("stale the right to switch %s by the BMC at %s ran out before "
                            "the command could be sent",
                            word(run), request->address);
    }
    run->sent = true;
    if (power_switch(run) < 0) {
        return refused(ipmi_ctx_errnum(run->ctx)) ? fail(run) : again(run);
    }
    run->accepted = true;
    return AGAIN;
}

static enum verdict switch_power(struct run *run)
{
    const char *address = run->request.address;
    if (!run->matched && (match(run) == ANSWERED)) {
        return ANSWERED;
    }
    if (!run->matched) {
        return AGAIN;
    }
    while (remaining_ms(run) > 0) {
        int power = power_read(run);
        if (power < 0) {
            return again(run);
        }
        if (power == (run->request.op == OP_ON)) {
            return answer("done the BMC at %s reads the power as %s%s", address, word(run),
                          run->sent || run->request.op == OP_READ ? "" : already(run));
        }
        if (run->request.op == OP_READ) {
            return answer("failed the BMC at %s reads the power as on", address);
        }
        if (run->accepted) {
            sleep_ms(POLL_MS);
        } else if (send_order(run) == ANSWERED) {
            return ANSWERED;
        } else if (!run->accepted) {
            return AGAIN;
        }
    }
    return AGAIN;
}

static enum verdict give_up(const struct run *run)
{
    const char *trouble = run->trouble[0] ? run->trouble : "it was too slow";
    const char *address = run->request.address;
    if (run->accepted) {
        return answer("unknown the BMC at %s accepted the power-%s but did not read as %s before "
                      "the deadline",
                      address, word(run), word(run));
    }
    if (run->sent) {
        return answer("unknown the power-%s was sent to the BMC at %s but not answered before the "
                      "deadline (%s)",
                      word(run), address, trouble);
    }
    return answer("unknown no answer from the BMC at %s before the deadline (%s): check its "
                  "address, network and power",
                  address, trouble);
}

static void run_request(struct run *run)
{
    while (remaining_ms(run) > 0) {
        enum verdict verdict = session_open(run);
        if (verdict == AGAIN && run->ctx) {
            verdict = run->request.op == OP_IDENTIFY ? identify(run) : switch_power(run);
        }
        session_close(run); /* after an answer too: a BMC has few sessions to give */
        if (verdict == ANSWERED) {
            return;
        }
        sleep_ms(POLL_MS);
    }
    (void)give_up(run);
}

static bool hex_read(const char *text, uint8_t *ret_bytes)
{
    if (strlen(text) != GUID_BYTES * 2) {
        return false;
    }
    for (unsigned i = 0; i < GUID_BYTES; i++) {
        unsigned byte;
        if (sscanf(text + (size_t)i * 2, "%2x", &byte) != 1) {
            return false;
        }
        ret_bytes[i] = (uint8_t)byte;
    }
    return true;
}

static bool op_take(struct request *request, const char *value)
{
    static const char *const words[] = {
        [OP_OFF] = "off", [OP_READ] = "read", [OP_ON] = "on", [OP_IDENTIFY] = "identify"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value, words[i]) == 0) {
            request->op = i;
            return true;
        }
    }
    return false;
}

static bool field_take(struct request *request, const char *key, const char *value)
{
    const struct {
        const char *key;
        char *field;
    } texts[] = {{"address", request->address},
                 {"username", request->username},
                 {"password", request->password}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(key, texts[i].key) == 0) {
            return snprintf(texts[i].field, FIELD_BYTES, "%s", value) < FIELD_BYTES;
        }
    }
    if (strcmp(key, "machine") == 0) {
        return hex_read(value, request->machine);
    }
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(key, "cipher") == 0) {
        request->cipher_suite = (uint8_t)number;
        return number <= UINT8_MAX;
    }
    if (strcmp(key, "deadline") == 0) {
        request->deadline_ms = number;
    } else if (strcmp(key, "valid") == 0) {
        request->valid_until_ms = number;
    } else if (strcmp(key, "verified") == 0) {
        request->verified = number == 1;
    } else if (strcmp(key, "op") == 0) {
        return op_take(request, value);
    } else {
        return false;
    }
    return true;
}

static bool request_read(struct request *request)
{
    char bytes[REQUEST_BYTES] = {0};
    size_t length = fread(bytes, 1, sizeof(bytes) - 1, stdin);
    bool good = length > 0 && length < sizeof(bytes) - 1;
    char *rest = NULL;
    for (char *line = strtok_r(bytes, "\n", &rest); good && line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *space = strchr(line, ' ');
        if (space) {
            *space = '\0';
        }
        good = space && field_take(request, line, space + 1);
    }
    explicit_bzero(bytes, sizeof(bytes));
    return good && request->address[0] != '\0' && request->deadline_ms != 0;
}

int main(void)
{
    struct run run = {0};
    struct rlimit none = {0};
    /* The password is in this process's memory: no core file, no ptrace. And no life without the
     * agent, whose deadline is what bounds this process. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    setvbuf(stdin, NULL, _IONBF, 0);
    if (!request_read(&run.request)) {
        (void)answer("failed stead-bmc was asked in a way it does not understand: agent and helper "
                     "are of different versions");
        return EXIT_FAILURE;
    }
    run_request(&run);
    explicit_bzero(&run, sizeof(run));
    return EXIT_SUCCESS;
}
