/* `stead class`, `stead vm class`: which proof releases which VMs. */
#include <stdio.h>
#include <string.h>

#include "agent/cli/commands_io.h"
#include "agent/cli/json_io.h"
#include "agent/cli/table_io.h"

#define NONE "none"

enum cli_exit cli_class_list(const struct cli_options *options, const char *name)
{
    (void)name;
    return cli_show_config(options, cli_json_classes, cli_print_classes);
}

/* Is this one name, as of a VM or a class? If not, a sentence on stderr. */
static bool is_name(const char *name, const char *what)
{
    if (control_is_name(name)) {
        return true;
    }
    fprintf(stderr, "stead: '%s' is no name of %s: letters, digits and ._-, at most %d\n", name,
            what, NAME_BYTES - 1);
    return false;
}

/* NAME proof=PROOFS */
enum cli_exit cli_class_set(const struct cli_options *options, const char *name)
{
    const char *word = options->word_count == 4 ? options->words[3] : "";
    if (strncmp(word, "proof=", 6) != 0) {
        fputs("stead: `stead class set` wants NAME proof=PROOFS, as in `stead class set gold "
              "proof=power`\n",
              stderr);
        return CLI_USAGE;
    }
    if (!is_name(name, "a class")) {
        return CLI_USAGE;
    }
    if (strlen(word + 6) >= NAME_BYTES) {
        fputs("stead: proof is storage, power or watchdog, or some of them with commas between\n",
              stderr);
        return CLI_USAGE;
    }
    return cli_send_value(options, CONTROL__COMMAND_KIND__COMMAND_CLASS_SET, name, word + 6);
}

enum cli_exit cli_class_remove(const struct cli_options *options, const char *name)
{
    return cli_send_value(options, CONTROL__COMMAND_KIND__COMMAND_CLASS_REMOVE, name, "");
}

/* VM CLASS, or VM none */
enum cli_exit cli_vm_class(const struct cli_options *options, const char *name)
{
    const char *class = options->word_count == 4 ? options->words[3] : NULL;
    if (class == NULL) {
        fputs("stead: `stead vm class` wants a VM and a class, as in `stead vm class web gold`; "
              "`none` takes it out of any\n",
              stderr);
        return CLI_USAGE;
    }
    if (!is_name(name, "a VM") || !is_name(class, "a class")) {
        return CLI_USAGE;
    }
    return cli_send_value(options, CONTROL__COMMAND_KIND__COMMAND_VM_CLASS, name,
                          strcmp(class, NONE) == 0 ? "" : class);
}
