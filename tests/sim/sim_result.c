/* Results for people and for programs. */
#include "tests/sim/sim_result.h"

#include <jansson.h>
#include <stdlib.h>

#include "proto/assert.h"
#include "storage/state.h"
#include "tests/sim/sim_expect.h"

void sim_result_trace(const struct sim *sim, FILE *out)
{
    if (sim->trace.bytes != NULL) {
        (void)fwrite(sim->trace.bytes, 1, sim->trace.count, out);
    }
}

static const struct scenario_expect *first_failed(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->story->expect_count; i++) {
        if (sim->failed_expect[i]) {
            return &sim->story->expects[i];
        }
    }
    return NULL;
}

void sim_result_line(const struct sim *sim, FILE *out)
{
    const struct scenario_expect *expect = first_failed(sim);
    if (sim->violated) {
        (void)fprintf(out, "FAILED %s: at %.3f s: %s\n", sim->story->file,
                      (double)sim->now_us / (double)SECOND, sim->violation);
    } else if (expect != NULL) {
        (void)fprintf(out, "FAILED %s:%u: %s\n", sim->story->file, expect->line, expect->words);
    } else {
        (void)fprintf(out, "ok     %s: %s\n", sim->story->file, sim->story->title);
    }
}

static json_t *json_vms(const struct sim *sim)
{
    json_t *vms = json_object();
    for (uint32_t v = 0; v < sim->vm_count; v++) {
        uint32_t node = SIM_NO_HOST;
        const char *word = sim_vm_text(sim, v, &node);
        if (state_find_vm_uuid(sim->rados.state, &sim->vms[v].uuid) == VMS_MAX) {
            continue; /* not added yet, or removed */
        }
        word = sim_vm_suspended(sim, v, &node) ? "suspended" : word;
        json_t *vm = json_object();
        json_object_set_new(vm, "node",
                            node == SIM_NO_HOST ? json_null()
                                                : json_string(sim->story->nodes[node].name));
        json_object_set_new(vm, "state", json_string(word));
        json_object_set_new(vms, sim->story->vms[v].name, vm);
    }
    return vms;
}

static json_t *json_nodes(const struct sim *sim)
{
    json_t *nodes = json_object();
    for (uint32_t n = 0; n < sim->node_count; n++) {
        json_object_set_new(nodes, sim->story->nodes[n].name,
                            json_string(sim_node_text(sim_node_word(sim, n))));
    }
    return nodes;
}

static json_t *json_fenced(const struct sim *sim)
{
    json_t *fenced = json_array();
    for (uint32_t n = 0; n < sim->node_count; n++) {
        if ((sim->fenced >> n & 1) != 0) {
            json_array_append_new(fenced, json_string(sim->story->nodes[n].name));
        }
    }
    return fenced;
}

static json_t *json_failures(const struct sim *sim)
{
    json_t *failed = json_array();
    for (uint32_t i = 0; i < sim->story->expect_count; i++) {
        if (sim->failed_expect[i]) {
            json_array_append_new(failed, json_string(sim->story->expects[i].words));
        }
    }
    return failed;
}

void sim_result_json(const struct sim *sim, FILE *out)
{
    json_t *violations = json_array();
    json_t *root = json_object();
    if (sim->violated) {
        json_array_append_new(violations, json_string(sim->violation));
    }
    json_object_set_new(root, "scenario", json_string(sim->story->file));
    json_object_set_new(root, "seed", json_integer((json_int_t)sim->story->seed));
    json_object_set_new(root, "ok", json_boolean(sim_ok(sim)));
    json_object_set_new(root, "time_s", json_real((double)(sim->now_us / MS) / 1000.0));
    json_object_set_new(root, "vms", json_vms(sim));
    json_object_set_new(root, "nodes", json_nodes(sim));
    json_object_set_new(root, "fenced", json_fenced(sim));
    json_object_set_new(root, "violations", violations);
    json_object_set_new(root, "failed_expectations", json_failures(sim));
    char *text = json_dumps(root, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
    ASSERT(text != NULL);
    (void)fprintf(out, "%s\n", text);
    free(text);
    json_decref(root);
}

void sim_result_of(const char *text, struct coverage *coverage, char ret_why[SIM_LINE_BYTES])
{
    struct scenario *story = malloc(sizeof(*story));
    ASSERT(story != NULL);
    ret_why[0] = '\0';
    if (scenario_parse("text", text, NULL, story) == 0) {
        struct sim *sim = sim_run(story, NULL, coverage);
        if (sim->violated) {
            (void)snprintf(ret_why, SIM_LINE_BYTES, "%s", sim->violation);
        } else if (sim->expects_failed > 0) {
            (void)snprintf(ret_why, SIM_LINE_BYTES, "expect: %u failed", sim->expects_failed);
        }
        sim_free(sim);
    } else {
        (void)snprintf(ret_why, SIM_LINE_BYTES, "not a scenario");
    }
    free(story);
}
