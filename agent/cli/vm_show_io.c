/* One VM: its record from the state, and what its node tells of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/commands_io.h"
#include "agent/cli/json_io.h"
#include "agent/cli/table_io.h"

static const Control__Vm *find_vm(const struct cli_status *status)
{
    for (size_t page = 0; page < status->page_count; page++) {
        if (status->pages[page]->status->n_vms > 0) {
            return status->pages[page]->status->vms[0];
        }
    }
    return NULL;
}

static enum cli_exit ask_detail(struct cli_client *client, const char *name, bool xml,
                                Control__Reply **ret_reply)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__VmAsk ask = CONTROL__VM_ASK__INIT;
    ask.name = (char *)(uintptr_t)name;
    ask.xml = xml;
    request.ask_case = CONTROL__REQUEST__ASK_VM;
    request.vm = &ask;
    enum cli_exit result = cli_ask(client, &request, ret_reply);
    if (result == CLI_DONE && (*ret_reply)->answer_case != CONTROL__REPLY__ANSWER_OUTCOME) {
        fputs("stead: the agent's reply makes no sense\n", stderr);
        control_free_reply(ret_reply);
        result = CLI_FAILED;
    }
    return result;
}

/* The definition alone, as `vm add --xml` takes it. */
static enum cli_exit print_xml(struct cli_client *client, const char *name)
{
    Control__Reply *reply = NULL;
    enum cli_exit result = ask_detail(client, name, true, &reply);
    if (result == CLI_DONE && reply->outcome->xml[0] != '\0') {
        fputs(reply->outcome->xml, stdout);
    } else if (result == CLI_DONE) {
        fprintf(stderr, "stead: %s\n", reply->outcome->text);
        result = CLI_FAILED;
    }
    control_free_reply(&reply);
    return result;
}

static enum cli_exit print_vm(const struct cli_options *options, struct cli_client *client,
                              const Control__Vm *vm)
{
    Control__Reply *reply = NULL;
    enum cli_exit result = ask_detail(client, vm->name, false, &reply);
    if (result != CLI_DONE) {
        return result;
    }
    if ((options->given & OPTION_JSON) != 0) {
        cli_json_vm(vm, reply->outcome);
    } else {
        cli_print_vm(vm);
        cli_print_vm_detail(reply->outcome);
    }
    control_free_reply(&reply);
    return CLI_DONE;
}

static enum cli_exit show(const struct cli_options *options, struct cli_client *client,
                          const char *name)
{
    struct cli_status status;
    enum cli_exit result = cli_ask_status(client, name, &status);
    if (result != CLI_DONE) {
        return result;
    }
    const Control__Vm *vm = find_vm(&status);
    if (!status.pages[0]->status->loaded) {
        fprintf(stderr, "stead: no cluster is known here: %s\n",
                status.pages[0]->status->situation);
        result = CLI_FAILED;
    } else if (vm == NULL) {
        fprintf(stderr, "stead: no VM is called '%s': see `stead vm list`\n", name);
        result = CLI_FAILED;
    } else {
        result = print_vm(options, client, vm);
    }
    cli_free_status(&status);
    return result;
}

enum cli_exit cli_vm_show(const struct cli_options *options, const char *name)
{
    struct cli_client *client = NULL;
    enum cli_exit result = cli_connect(&client);
    if (result != CLI_DONE) {
        return result;
    }
    result = (options->given & OPTION_DUMPXML) != 0 ? print_xml(client, name)
                                                    : show(options, client, name);
    cli_disconnect(&client);
    return result;
}
