/* `stead config`: the cluster's settings. */
#include <stdio.h>
#include <string.h>

#include "agent/cli/commands_io.h"
#include "agent/cli/json_io.h"
#include "agent/cli/table_io.h"

enum cli_exit cli_ask_config(const char *name, Control__Reply **ret_reply)
{
    struct cli_client *client = NULL;
    Control__ConfigAsk config = CONTROL__CONFIG_ASK__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    config.name = (char *)(uintptr_t)name;
    request.ask_case = CONTROL__REQUEST__ASK_CONFIG;
    request.config = &config;
    enum cli_exit result = cli_connect(&client);
    if (result == CLI_DONE) {
        result = cli_ask(client, &request, ret_reply);
        cli_disconnect(&client);
    }
    if (result == CLI_DONE && (*ret_reply)->answer_case != CONTROL__REPLY__ANSWER_CONFIG) {
        result = cli_unexpected(*ret_reply);
        control_free_reply(ret_reply);
    }
    return result;
}

enum cli_exit cli_show_config(const struct cli_options *options,
                              void (*json)(const Control__Config *config),
                              void (*print)(const Control__Config *config))
{
    Control__Reply *reply = NULL;
    enum cli_exit result = cli_ask_config("", &reply);
    if (result != CLI_DONE) {
        return result;
    }
    if ((options->given & OPTION_JSON) != 0) {
        json(reply->config);
    } else {
        print(reply->config);
    }
    control_free_reply(&reply);
    return CLI_DONE;
}

enum cli_exit cli_config_list(const struct cli_options *options, const char *name)
{
    (void)name;
    return cli_show_config(options, cli_json_settings, cli_print_settings);
}

/* The bare value, for scripts. */
enum cli_exit cli_config_get(const struct cli_options *options, const char *name)
{
    Control__Reply *reply = NULL;
    enum cli_exit result = cli_ask_config(name, &reply);
    if (result != CLI_DONE) {
        return result;
    }
    if (reply->config->n_settings != 1) {
        result = CLI_FAILED;
    } else if ((options->given & OPTION_JSON) != 0) {
        cli_json_settings(reply->config);
    } else {
        puts(reply->config->settings[0]->value);
    }
    control_free_reply(&reply);
    return result;
}

static enum cli_exit set(const struct cli_options *options, const char *name, const char *value)
{
    Control__ConfigSet config = CONTROL__CONFIG_SET__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    config.name = (char *)(uintptr_t)name;
    config.value = (char *)(uintptr_t)value;
    config.why = (char *)(uintptr_t)(options->why != NULL ? options->why : "");
    request.ask_case = CONTROL__REQUEST__ASK_CONFIG_SET;
    request.config_set = &config;
    return cli_send_request(options, &request);
}

/* NAME VALUE or NAME=VALUE. */
enum cli_exit cli_config_set(const struct cli_options *options, const char *name)
{
    char key[NAME_BYTES] = "";
    size_t length = strcspn(name, "=");
    bool joined = name[length] == '=';
    const char *value = joined                     ? name + length + 1
                        : options->word_count == 4 ? options->words[3]
                                                   : NULL;
    if (length < sizeof(key)) {
        memcpy(key, name, length);
    }
    if (value == NULL || (joined && options->word_count == 4)) {
        fputs("stead: `stead config set` wants NAME VALUE, as in `stead config set call_ms 8s`; "
              "`default` takes it back\n",
              stderr);
        return CLI_USAGE;
    }
    if (!control_is_name(key)) {
        fprintf(stderr, "stead: '%s' is no name of a setting: see `stead config list`\n", name);
        return CLI_USAGE;
    }
    if (strlen(value) >= NAME_BYTES) {
        fprintf(stderr, "stead: the value of %s has at most %d characters\n", key, NAME_BYTES - 1);
        return CLI_USAGE;
    }
    return set(options, key, value);
}

/* ---- ha: one of the settings, and the one that people set most in a hurry */

enum cli_exit cli_ha_pause(const struct cli_options *options, const char *name)
{
    if (strcmp(name, "freeze") != 0 && strcmp(name, "ignore") != 0) {
        fprintf(stderr,
                "stead: `stead ha pause` wants freeze (nothing is set in motion) or ignore (only "
                "what people ask for), not '%s'\n",
                name);
        return CLI_USAGE;
    }
    return set(options, "ha", name);
}

enum cli_exit cli_ha_resume(const struct cli_options *options, const char *name)
{
    (void)name;
    return set(options, "ha", "on");
}
