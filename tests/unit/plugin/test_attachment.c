/* test_attachment.c: who reads what, who may write what, and graphs that could go round for ever.
 */
#include "base/bytes.h"
#include "plugin/plugin_attachment.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct plugin_attachment stage(const char *input, const char *output)
{
    struct plugin_attachment attachment = {.on = SLUICE_ON_LOG, .input_count = 1};
    snprintf(attachment.inputs[0], sizeof(attachment.inputs[0]), "%s", input);
    snprintf(attachment.output, sizeof(attachment.output), "%s", output);
    return attachment;
}

static bool reads(const struct plugin_attachment *attachment, const char *topic)
{
    return plugin_attachment_reads(attachment, sl_bytes_of_text(topic));
}

Test(attachment, a_pattern_reads_neither_its_own_outputs_nor_internal_topics)
{
    struct plugin_attachment mask = stage("orders*", "%s.masked");
    cr_assert(reads(&mask, "orders"));
    cr_assert(reads(&mask, "orders.eu"));
    cr_assert_not(reads(&mask, "orders.masked"));
    cr_assert_not(reads(&mask, "orders.eu.masked"));
    cr_assert_not(reads(&mask, "bills"));
    struct plugin_attachment all = stage("*", "copy.%s");
    cr_assert(reads(&all, "x"));
    cr_assert_not(reads(&all, "copy.x"));
    cr_assert_not(reads(&all, "__sluice_dlq.mask"));
}

static sl_err check(const char *const (*pairs)[2], uint32_t count, char *ret_reason)
{
    static const char *const names[] = {"i", "j", "k"};
    struct plugin_attachment attachments[3];
    struct graph_node nodes[3];
    for (uint32_t i = 0; i < count; i++) {
        attachments[i] = stage(pairs[i][0], pairs[i][1]);
        nodes[i] = (struct graph_node){names[i], &attachments[i]};
    }
    return plugin_graph_check(nodes, count, ret_reason);
}

Test(attachment, finds_cycles_by_the_shapes_of_names)
{
    static const struct {
        const char *const pairs[3][2];
        uint32_t count;
        bool cycle;
    } cases[] = {
        {{{"a", "b"}}, 1, false},
        {{{"a", "a"}}, 1, true},
        {{{"a", "b"}, {"b", "c"}}, 2, false},
        {{{"a", "b"}, {"b", "a"}}, 2, true},
        {{{"a", "b"}, {"b", "c"}, {"c", "a"}}, 3, true},
        {{{"a*", "%s.out"}}, 1, false},
        {{{"a*", "%s.x"}, {"b*", "%s.y"}}, 2, false},
        {{{"*", "%s.x"}, {"*", "%s.y"}}, 2, true},
        {{{"a", "b%s"}, {"b*", "c"}, {"c", "d"}}, 3, false},
        {{{"a*", "b%s"}, {"b*", "a%s"}}, 2, true},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        char reason[PLUGIN_REASON_BYTES] = "";
        sl_err err = check(cases[i].pairs, cases[i].count, reason);
        cr_expect_eq(err, cases[i].cycle ? SLUICE_E_PLUGIN_CYCLE : SLUICE_OK, "case %zu: %s", i,
                     reason);
    }
}

Test(attachment, a_cycle_is_spelled_out)
{
    static const char *const pairs[3][2] = {{"a", "b"}, {"b", "c"}, {"c", "a"}};
    char reason[PLUGIN_REASON_BYTES] = "";
    cr_assert_eq(check(pairs, 3, reason), SLUICE_E_PLUGIN_CYCLE);
    cr_assert(strstr(reason, "i (a → b) → j (b → c) → k (c → a) → i") != NULL, "%s", reason);
}

static sl_err resolve(bool dev, const struct plugin_instance_config *config,
                      struct plugin_attachment *ret_attachment, char *ret_reason)
{
    static struct manifest manifest;
    manifest =
        (struct manifest){.id = "mask", .input_count = 1, .output = "out", .output_count = 2};
    snprintf(manifest.inputs[0], sizeof(manifest.inputs[0]), "in");
    snprintf(manifest.outputs[0], sizeof(manifest.outputs[0]), "audit");
    snprintf(manifest.outputs[1], sizeof(manifest.outputs[1]), "extra");
    struct attachment_sources sources = {
        .instance = "mask", .file = "mask.so", .manifest = &manifest, .config = config, .dev = dev};
    return plugin_attachment_resolve(&sources, ret_attachment, ret_reason);
}

Test(attachment, in_dev_a_file_gets_all_but_internal_topics)
{
    struct plugin_attachment attachment;
    char reason[PLUGIN_REASON_BYTES] = "";
    cr_assert_eq(resolve(true, NULL, &attachment, reason), SLUICE_OK, "%s", reason);
    cr_assert(attachment.outputs_any);
    cr_assert_eq(attachment.deadline_ms, PLUGIN_STAGE_MS);
}

Test(attachment, outside_dev_it_says_what_to_add_to_the_configuration)
{
    struct plugin_attachment attachment;
    char reason[PLUGIN_REASON_BYTES] = "";
    cr_assert_eq(resolve(false, NULL, &attachment, reason), SLUICE_E_PERMISSION);
    cr_assert(strstr(reason, "plugins.instances.mask: {module: mask.so, input: [in], output: "
                             "\"out\"}") != NULL,
              "%s", reason);
}

Test(attachment, the_stricter_of_module_and_configuration_wins)
{
    static const char *const inputs[] = {"mine"};
    static const char *const outputs[] = {"audit", "secret"};
    struct plugin_instance_config config = {.name = "mask",
                                            .inputs = inputs,
                                            .input_count = 1,
                                            .output = "masked",
                                            .outputs = outputs,
                                            .output_count = 2};
    struct plugin_attachment attachment;
    char reason[PLUGIN_REASON_BYTES] = "";
    cr_assert_eq(resolve(false, &config, &attachment, reason), SLUICE_OK, "%s", reason);
    cr_assert_str_eq(attachment.inputs[0], "mine");
    cr_assert_str_eq(attachment.output, "masked");
    cr_assert_not(attachment.outputs_any);
    cr_assert_eq(attachment.output_count, 1);
    cr_assert_str_eq(attachment.outputs[0], "audit");
}
