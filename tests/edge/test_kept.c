/* What an agent leaves in /run/stead for the next one: the mark of a failed assertion, its starts.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/host_io.h"
#include "agent/panic_io.h"
#include "agent/starts_io.h"
#include "proto/assert.h"
#include "proto/values.h"

#define TEST(name) static void name(void **unused __attribute__((unused)))
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

static char *file_path(void)
{
    char *path = strdup("/tmp/stead-kept-XXXXXX");
    assert_non_null(path);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static struct uuid this_boot(void)
{
    struct uuid boot;
    assert_int_equal(host_io_read_uuid(BOOT_ID_PATH, &boot), 0);
    return boot;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A mark comes back as it was left, in this boot. */
TEST(a_mark_is_kept)
{
    char *path = file_path();
    struct mark mark = {.epoch = 3, .version = 1234567890123, .decided = 77};
    struct mark found;
    struct uuid boot = this_boot();
    name_set(mark.reason, sizeof(mark.reason), "agent/x.c:12: a < b && \"c\"");
    assert_int_equal(panic_io_save(path, &mark), 0);
    assert_int_equal(panic_io_load(path, &boot, &found), 0);
    assert_memory_equal(&found, &mark, sizeof(mark));
    panic_io_forget(path);
    assert_int_equal(panic_io_load(path, &boot, &found), -ENOENT);
    free(path);
}

/* Another boot's mark is none. */
TEST(another_boots_mark_is_none)
{
    char *path = file_path();
    struct mark mark = {.epoch = 1, .version = 2, .decided = 3, .reason = "x"};
    struct mark found;
    struct uuid other = {{0x77}};
    assert_int_equal(panic_io_save(path, &mark), 0);
    assert_int_equal(panic_io_load(path, &other, &found), -ENOENT);
    panic_io_forget(path);
    free(path);
}

/* What is no mark is said to be none, and never read past. */
TEST(garbage_is_no_mark)
{
    static const char *const texts[] = {"", "boot", "boot x epoch 1 version 2 decided 3\nwhy\n",
                                        "boot 01234567-89ab-cdef-0123-456789abcdef epoch 1\n"};
    struct uuid boot = this_boot();
    struct mark found;
    char *path = file_path();
    for (unsigned i = 0; i < 4; i++) {
        write_file(path, texts[i]);
        assert_int_equal(panic_io_load(path, &boot, &found), -EBADMSG);
    }
    panic_io_forget(path);
    free(path);
}

/* An assertion that fails ends the process by SIGABRT; outside a step it leaves no mark. */
TEST(a_failed_assertion_aborts)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(1);
        }
        unsetenv("JOURNAL_STREAM");
        stead_panic("agent/x.c", 1, "so");
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void *fault(void *unused)
{
    (void)raise(SIGSEGV); /* a sanitizer would catch a real one before the kernel does */
    return unused;
}

/* A child that steps, or not, and dies of a wrong access in its first thread or another. */
static bool fault_leaves_mark(bool stepping, bool other_thread)
{
    char *path = file_path();
    const struct header header = {.epoch = 2, .version = 9};
    struct uuid boot = this_boot();
    struct mark found;
    int status = 0;
    panic_io_forget(path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pthread_t thread;
        panic_io_watch(path);
        if (stepping) {
            panic_io_stepping(&header);
        }
        if (other_thread && pthread_create(&thread, NULL, fault, NULL) == 0) {
            sleep(5);
        }
        fault(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    const bool marked = panic_io_load(path, &boot, &found) == 0;
    if (marked) {
        assert_int_equal(found.version, 9);
        assert_string_equal(found.reason, "the step ended by signal 11");
    }
    panic_io_forget(path);
    free(path);
    return marked;
}

/* A fault in a step is the core's; elsewhere it is a plain crash. */
TEST(a_fault_in_a_step_leaves_a_mark)
{
    assert_true(fault_leaves_mark(true, false));
    assert_false(fault_leaves_mark(false, false));
    assert_false(fault_leaves_mark(true, true));
}

/* Starts add up over processes, and an end in order forgets them. */
TEST(starts_add_up)
{
    char *path = file_path();
    struct starts starts;
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(starts_io_note(path, i * 1000, &starts), 0);
        assert_int_equal(starts.count, i);
    }
    assert_true(starts_steady_ms(&starts) != 0);
    starts_io_forget(path);
    assert_int_equal(starts_io_note(path, 9000, &starts), 0);
    assert_int_equal(starts.count, 1);
    write_file(path, "no number at all\n");
    assert_int_equal(starts_io_note(path, 9000, &starts), 0);
    assert_int_equal(starts.count, 1);
    starts_io_forget(path);
    assert_int_equal(starts_io_note("/nonexistent/starts", 9000, &starts), -ENOENT);
    assert_int_equal(starts.count, 1);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_is_kept),
        cmocka_unit_test(another_boots_mark_is_none),
        cmocka_unit_test(garbage_is_no_mark),
        cmocka_unit_test(a_failed_assertion_aborts),
        cmocka_unit_test(a_fault_in_a_step_leaves_a_mark),
        cmocka_unit_test(starts_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
