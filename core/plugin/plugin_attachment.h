/* plugin_attachment.h: where an instance sits in the flow of topics: what it reads and may write.
 *
 * Three sources: the module's manifest, what the module says once it runs, and the configuration;
 * the configuration wins, and outside --dev it must grant. Internal topics are never attached to. A
 * topic graph that could go round for ever is refused, by the shapes of names, so that it holds for
 * topics that do not exist yet. Pure data. [any] */
#ifndef SL_PLUGIN_PLUGIN_ATTACHMENT_H
#define SL_PLUGIN_PLUGIN_ATTACHMENT_H

#include "plugin/plugin_manager.h"
#include "plugin/plugin_version.h"

#define PLUGIN_REASON_BYTES 1024u

struct plugin_attachment {
    int32_t on; /* SLUICE_ON_* */
    char inputs[MANIFEST_TOPICS_MAX][MANIFEST_TOPIC_BYTES];
    uint32_t input_count;
    char output[MANIFEST_TOPIC_BYTES]; /* "%s" stands for the input; empty: none */
    char outputs[MANIFEST_TOPICS_MAX][MANIFEST_TOPIC_BYTES];
    uint32_t output_count;
    bool outputs_any; /* all but internal topics */
    bool from_beginning;
    uint32_t deadline_ms;
    struct error_rule on_error;
    int64_t state_version;
    int64_t state_import[MANIFEST_IMPORTS_MAX];
    uint32_t state_import_count;
};

/* What is known of a module when it is attached. */
struct attachment_sources {
    const char *instance;
    const char *file;                            /* for the sentence that says what to grant */
    const struct manifest *manifest;             /* of the file itself; may be empty */
    const struct sandbox_attachment *described;  /* may be NULL */
    const struct plugin_instance_config *config; /* NULL: none */
    bool dev;
};
/* E_PLUGIN_MANIFEST, E_INVALID_TOPIC, E_PERMISSION with a sentence. */
sl_err plugin_attachment_resolve(const struct attachment_sources *sources,
                                 struct plugin_attachment *ret_attachment,
                                 char ret_reason[PLUGIN_REASON_BYTES]) SL_MUST_CHECK;
bool plugin_attachment_equal(const struct plugin_attachment *a, const struct plugin_attachment *b);
/* Whether the instance reads the topic: never internal ones, never what a pattern made itself. */
bool plugin_attachment_reads(const struct plugin_attachment *attachment, struct sl_bytes topic);
/* "orders, audit*" and "orders.masked", for people. */
void plugin_attachment_inputs_text(const struct plugin_attachment *attachment, char *ret_text,
                                   size_t size);

struct graph_node {
    const char *instance;
    const struct plugin_attachment *attachment;
};
#define GRAPH_NODES_MAX PLUGIN_INSTANCES_MAX
/* E_PLUGIN_CYCLE with the cycle spelled out, when the nodes could feed each other for ever. */
sl_err plugin_graph_check(const struct graph_node *nodes, uint32_t count,
                          char ret_reason[PLUGIN_REASON_BYTES]) SL_MUST_CHECK;

#endif
