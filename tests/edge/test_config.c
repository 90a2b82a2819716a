/* What the agent reads from files: its configuration, what it kept in /run, Ceph's keyrings. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config_io.h"
#include "agent/incarnation_io.h"
#include "agent/keyring_io.h"
#include "agent/nearest.h"
#include "proto/values.h"

#define UUID_A "4c4c4544-0042-3510-8052-b4c04f4d3232"

static char folder[] = "/tmp/stead-test-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int load(const char *text, struct config *ret_config, char *ret_text)
{
    write_file("stead.conf", text);
    return config_io_load(path_of("stead.conf"), true, ret_config, ret_text);
}

/* `text` must be refused with an error that names `line` and holds `words`. */
static void refused(const char *text, int line, const char *words)
{
    struct config config = {.memory_mib = 4711};
    char error[CONFIG_TEXT_BYTES] = "";
    char place[160];
    assert_true(load(text, &config, error) < 0);
    snprintf(place, sizeof(place), "%s:%d: ", path_of("stead.conf"), line);
    if (strncmp(error, place, strlen(place)) != 0 || strstr(error, words) == NULL) {
        fail_msg("wanted '%s...%s', got '%s'", place, words, error);
    }
    assert_int_equal(config.memory_mib, 4711); /* left alone */
}

static void defaults(void **state)
{
    struct config config;
    char error[CONFIG_TEXT_BYTES] = "";
    (void)state;
    assert_int_equal(config_io_load("/nonexistent/stead.conf", false, &config, error), 0);
    assert_string_equal(config.name, "");
    assert_int_equal(config.memory_mib, 0);
    assert_string_equal(config.libvirt_uri, "qemu:///system");
    assert_string_equal(config.ceph_conf, "/etc/ceph/ceph.conf");
    assert_string_equal(config.ceph_user, "stead");
    assert_string_equal(config.ceph_pool, "stead");
    assert_string_equal(config.ceph_guest_user, "stead");
    assert_string_equal(config.bmc.address, "");
    assert_int_equal(config.bmc.cipher_suite, 17);
    assert_int_equal(config_io_load("/nonexistent/stead.conf", true, &config, error), -ENOENT);
    assert_non_null(strstr(error, "/nonexistent/stead.conf"));
}

static void everything(void **state)
{
    struct config config;
    struct uuid uuid;
    char error[CONFIG_TEXT_BYTES] = "";
    (void)state;
    assert_int_equal(load("# a comment\n"
                          "[node]\n"
                          "name = alpha\n"
                          "  uuid = " UUID_A " ; indented, commented\n"
                          "memory: 4096\n"
                          "\n"
                          "[libvirt]\nuri=qemu+unix:///system\n"
                          "[ceph]\nconf=/etc/ceph/other.conf\nuser=ha\npool=vms\nguest_user=vm\n"
                          "[bmc]\naddress=10.0.0.1:6230\ncredentials=/etc/stead/bmc\n"
                          "cipher_suite=3\n",
                          &config, error),
                     0);
    assert_string_equal(config.name, "alpha");
    assert_true(uuid_parse(UUID_A, &uuid));
    assert_memory_equal(&config.machine, &uuid, sizeof(uuid));
    assert_int_equal(config.memory_mib, 4096);
    assert_string_equal(config.libvirt_uri, "qemu+unix:///system");
    assert_string_equal(config.ceph_conf, "/etc/ceph/other.conf");
    assert_string_equal(config.ceph_user, "ha");
    assert_string_equal(config.ceph_pool, "vms");
    assert_string_equal(config.ceph_guest_user, "vm");
    assert_string_equal(config.bmc.address, "10.0.0.1:6230");
    assert_string_equal(config.bmc_credentials, "/etc/stead/bmc");
    assert_int_equal(config.bmc.cipher_suite, 3);
}

static void guest_user_follows_user(void **state)
{
    struct config config;
    char error[CONFIG_TEXT_BYTES] = "";
    (void)state;
    assert_int_equal(load("[ceph]\nuser = ha\n", &config, error), 0);
    assert_string_equal(config.ceph_guest_user, "ha");
}

static void errors_name_their_line(void **state)
{
    char long_line[600];
    (void)state;
    refused("[nodes]\n", 1, "did you mean [node]");
    refused("\n\n[something]\nname = x\n", 3, "unknown section [something]");
    refused("[node]\n\nmemroy = 5000\n", 3, "did you mean 'memory'");
    refused("[node]\nfrobnicate = 1\n", 2, "unknown key 'frobnicate' in [node]");
    refused("[node]\nuri = qemu:///system\n", 2, "but to [libvirt]");
    refused("[notify]\ncommand = notify.sh\n", 2, "absolute path");
    refused("[node]\nproof = power\n", 2, "is a cluster setting");
    refused("fresh_ms = 2s\n", 1, "stead config set fresh_ms VALUE");
    refused("name = x\n", 1, "before any section");
    refused("[node]\nname = a\nmemory = 512\nname = b\n", 4, "already given in line 2");
    refused("[node]\nname = a\n  name = b\n", 3, "already given in line 2");
    refused("[node]\nname\n", 2, "neither a [section] nor");
    refused("[node]\nname =\n", 2, "wants a name");
    refused("[node]\nname = two words\n", 2, "wants a name");
    refused("[node]\nuuid = 1234\n", 2, "wants a UUID");
    refused("[node]\nmemory = 63\n", 2, "number of MiB");
    refused("[node]\nmemory = 4G\n", 2, "number of MiB");
    refused("[node]\nmemory = -1\n", 2, "number of MiB");
    refused("[node]\nmemory = 99999999999999999999\n", 2, "number of MiB");
    refused("[ceph]\nconf = ceph.conf\n", 2, "absolute path");
    refused("[bmc]\ncipher_suite = 18\n", 2, "from 0 to 17");
    /* The first of several. */
    refused("[node]\nnam = a\n[cpeh]\n", 2, "did you mean 'name'");
    memset(long_line, 'x', sizeof(long_line));
    memcpy(long_line, "[ceph]\nconf = /", 15);
    memcpy(long_line + sizeof(long_line) - 2, "\n", 2);
    refused(long_line, 2, "longer than");
}

static void address_needs_credentials(void **state)
{
    struct config config;
    char error[CONFIG_TEXT_BYTES] = "";
    (void)state;
    assert_int_equal(load("[bmc]\naddress = 10.0.0.1\n", &config, error), -EINVAL);
    assert_non_null(strstr(error, "no credentials"));
}

static void words(void **state)
{
    static const char *const list[] = {"status", "history", "vm list"};
    (void)state;
    assert_string_equal(nearest_word("statsu", list, 3), "status");
    assert_string_equal(nearest_word("vm lst", list, 3), "vm list");
    assert_null(nearest_word("frobnicate", list, 3));
    assert_null(nearest_word("", list, 3));
    assert_null(nearest_word("status", list, 0));
}

/* ---- /run/stead/incarnation */

static void incarnation_is_kept(void **state)
{
    struct uuid boot = {{1, 2, 3}};
    struct uuid other = {{4}};
    struct kept kept = {.incarnation = {3, 42}, .nodeid = 7, .name = "alpha"};
    kept.cluster_id.bytes[3] = 9;
    struct kept back = {.nodeid = 0};
    (void)state;
    const char *path = path_of("incarnation");
    assert_int_equal(incarnation_io_load(path, &boot, &back), -ENOENT);
    assert_int_equal(incarnation_io_save(path, &boot, &kept), 0);
    assert_int_equal(incarnation_io_load(path, &other, &back), -ESTALE);
    assert_int_equal(back.nodeid, 0);
    assert_int_equal(incarnation_io_load(path, &boot, &back), 0);
    assert_memory_equal(&back, &kept, sizeof(kept));
    kept.incarnation.number = 43;
    assert_int_equal(incarnation_io_save(path, &boot, &kept), 0);
    assert_int_equal(incarnation_io_load(path, &boot, &back), 0);
    assert_int_equal(back.incarnation.number, 43);
    struct uuid file_boot;
    assert_true(uuid_parse(UUID_A, &file_boot));
    write_file("incarnation", "boot " UUID_A "\nepoch 1\nnumber 2\nnode 3 n3\n"); /* older */
    assert_int_equal(incarnation_io_load(path_of("incarnation"), &file_boot, &back), 0);
    assert_true(uuid_is_zero(&back.cluster_id));
    write_file("incarnation", "boot " UUID_A "\nepoch 1\n");
    assert_int_equal(incarnation_io_load(path_of("incarnation"), &boot, &back), -EBADMSG);
    assert_int_equal(incarnation_io_save("/nonexistent/x", &boot, &kept), -ENOENT);
}

/* ---- fence devices */

static void fence_devices_are_read(void **state)
{
    struct config config;
    char error[CONFIG_TEXT_BYTES] = "";
    (void)state;
    assert_int_equal(load("[bmc]\ncredentials = /etc/c\nlevel = 3\n"
                          "[fence left]\nagent = fence_apc_snmp\ntrusted = yes\n"
                          "ip = 10.0.0.201\nplug = 3\n"
                          "[node]\nname = n1\n"
                          "[fence right]\nlevel = 1\nagent = fence_apc\ntrusted = no\n",
                          &config, error),
                     0);
    assert_int_equal(config.bmc.level, 3);
    assert_string_equal(config.devices[0].name, "left");
    assert_string_equal(config.devices[0].agent, "fence_apc_snmp");
    assert_string_equal(config.devices[0].options, "ip=10.0.0.201\nplug=3");
    assert_int_equal(config.devices[0].level, 2);
    assert_true(config.trusted[0]);
    assert_string_equal(config.devices[1].name, "right");
    assert_string_equal(config.devices[1].options, "");
    assert_int_equal(config.devices[1].level, 1);
    assert_false(config.trusted[1]);
    assert_string_equal(config.devices[2].agent, "");
}

static void wrong_fence_devices_are_refused(void **state)
{
    struct config config;
    char error[CONFIG_TEXT_BYTES] = "";
    (void)state;
    refused("[fence left]\nagent = apc\n", 2, "the name of a fence agent");
    refused("[fence left]\nagent = fence_../../bin/sh\n", 2, "the name of a fence agent");
    refused("[fence left]\nagent = fence_apc\nagent = fence_wti\n", 3, "given once");
    refused("[fence left]\nip = 1\nplug = 1\nip = 2\n", 4, "given once");
    refused("[fence left]\nipport = 1\nport = 1\nport = 2\n", 4, "given once");
    refused("[fence left]\nlevel = 1\nip = 1\nlevel = 2\n", 4, "given once");
    refused("[fence left]\ntrusted = no\n[fence right]\nip = 1\n[fence left]\ntrusted = yes\n", 6,
            "given once");
    refused("[fence left]\nlevel = 10\n", 2, "from 1 to 9");
    refused("[fence left]\ntrusted = maybe\n", 2, "yes or no");
    refused("[fence left]\naction = off\n", 2, "stead's to say");
    refused("[fence le ft]\nip = 1\n", 1, "[fence NAME] wants a name");
    refused("[fence a]\n[fence b]\n[fence c]\n[fence d]\n", 4, "more than 3 fence devices");
    assert_int_equal(load("[fence left]\nip = 10.0.0.1\n", &config, error), -EINVAL);
    assert_non_null(strstr(error, "[fence left] names no fence agent"));
}

/* A secret would go into the committed record, and what is refused is logged. */
static void secrets_have_their_own_file(void **state)
{
    static const char *const secrets[] = {"password",  "passwd",     "snmp_priv_passwd",
                                          "community", "secret_key", "token",
                                          "apikey",    "api_token",  "hexadecimal_kg"};
    struct config config;
    (void)state;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        char text[128], error[CONFIG_TEXT_BYTES] = "";
        snprintf(text, sizeof(text), "[fence left]\nagent = fence_apc\n%s = geheim\n", secrets[i]);
        refused(text, 3, "credentials file, in a section of the same");
        assert_true(load(text, &config, error) < 0);
        assert_null(strstr(error, "geheim"));
    }
    assert_int_equal(load("[fence left]\nagent = fence_mpath\nkey = 1\nkey_file = /etc/k\n"
                          "token_file = /etc/t\nsnmp_priv_prot = AES\n",
                          &config, (char[CONFIG_TEXT_BYTES]){""}),
                     0);
}

/* ---- keyrings */

static void key_is_found(void **state)
{
    char key[KEYRING_KEY_BYTES];
    char conf[256];
    (void)state;
    snprintf(conf, sizeof(conf),
             "[global]\nkeyring = /nonexistent\n[client.vm]\nkeyring = %s/$cluster.$name.keyring\n",
             folder);
    write_file("ceph.conf", conf);
    write_file("ceph.client.vm.keyring", "[client.other]\n\tkey = AQother==\n"
                                         "[client.vm]\n\tkey = AQvm==\n"
                                         "\tcaps mon = \"profile rbd\"\n");
    char conf_path[128];
    snprintf(conf_path, sizeof(conf_path), "%s", path_of("ceph.conf"));
    assert_int_equal(keyring_io_read_key(conf_path, "vm", key), 0);
    assert_string_equal(key, "AQvm==");
    assert_int_equal(keyring_io_read_key(conf_path, "nobody", key), -ENOKEY);
    assert_string_equal(key, "");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"stead.conf", "incarnation", "ceph.conf",
                                        "ceph.client.vm.keyring"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(everything),
        cmocka_unit_test(guest_user_follows_user),
        cmocka_unit_test(errors_name_their_line),
        cmocka_unit_test(address_needs_credentials),
        cmocka_unit_test(words),
        cmocka_unit_test(incarnation_is_kept),
        cmocka_unit_test(fence_devices_are_read),
        cmocka_unit_test(wrong_fence_devices_are_refused),
        cmocka_unit_test(secrets_have_their_own_file),
        cmocka_unit_test(key_is_found),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
