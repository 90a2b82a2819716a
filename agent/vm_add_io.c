/* A domain XML becomes a definition. */
#include "agent/vm_add_io.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/host_io.h"
#include "proto/digest.h"
#include "proto/values.h"

/* The lease is named by the UUID, so it may not be left to libvirt to make one up at each start. */
static char *with_uuid(const char *xml, const struct uuid *uuid)
{
    char text[UUID_TEXT_BYTES];
    char *copy = NULL;
    xmlChar *dumped = NULL;
    int length = 0;
    xmlDoc *document = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
    xmlNode *root = document != NULL ? xmlDocGetRootElement(document) : NULL;
    host_io_format_uuid(uuid, text);
    if (root != NULL && xmlNewTextChild(root, NULL, BAD_CAST "uuid", BAD_CAST text) != NULL) {
        xmlDocDumpMemory(document, &dumped, &length);
    }
    if (dumped != NULL) {
        copy = strdup((const char *)dumped);
        xmlFree(dumped);
    }
    xmlFreeDoc(document);
    return copy;
}

static int check(const Control__VmAdd *add, const struct domain_facts *facts, char *ret_text)
{
    if (strcmp(add->name, facts->name) != 0) {
        snprintf(ret_text, TEXT_BYTES,
                 "the XML's <name> is '%s', not the name given: make them the same", facts->name);
        return -EINVAL;
    }
    if (add->memory_mib != 0 && add->memory_mib < facts->memory_mib) {
        snprintf(ret_text, TEXT_BYTES,
                 "the XML gives it %u MiB, more than the --memory of %u MiB to plan with",
                 facts->memory_mib, add->memory_mib);
        return -EINVAL;
    }
    return 0;
}

int vm_add_io_read(const Control__VmAdd *add, struct vm_to_add *ret_vm, char *ret_text)
{
    /* A version no earlier add of this UUID had: what removes that one cannot touch this one. */
    struct vm_to_add vm = {.definition = {.version = (uint32_t)time(NULL)}};
    int r = domain_xml_facts(add->xml, &vm.facts, ret_text);
    if (r == 0) {
        r = check(add, &vm.facts, ret_text);
    }
    if (r < 0) {
        return r;
    }
    if (!vm.facts.has_uuid) {
        vm.facts.uuid = host_io_random_uuid();
        vm.definition.xml = with_uuid(add->xml, &vm.facts.uuid);
    } else {
        vm.definition.xml = strdup(add->xml);
    }
    if (vm.definition.xml == NULL) {
        snprintf(ret_text, TEXT_BYTES, "the agent is out of memory");
        return -ENOMEM;
    }
    vm.definition.vm = vm.facts.uuid;
    vm.definition.digest = digest_bytes(DIGEST_SEED, vm.definition.xml, strlen(vm.definition.xml));
    vm.definition.image_count = vm.facts.image_count;
    for (uint32_t i = 0; i < vm.facts.image_count; i++) {
        name_set(vm.definition.images[i].pool, sizeof(vm.definition.images[i].pool),
                 vm.facts.images[i].pool);
        name_set(vm.definition.images[i].name, sizeof(vm.definition.images[i].name),
                 vm.facts.images[i].image);
    }
    *ret_vm = vm;
    return 0;
}

void vm_add_io_free(struct vm_to_add *vm)
{
    free(vm->definition.xml);
    vm->definition.xml = NULL;
}
