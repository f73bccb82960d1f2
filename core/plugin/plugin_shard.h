/* plugin_shard.h: what a shard does for plugins: tasks and gates of each instance on its
 * partitions.
 *
 * Commands come from the manager by shard_call and are answered when done. All of it on the shard's
 * loop, but where said otherwise. */
#ifndef SL_PLUGIN_PLUGIN_SHARD_H
#define SL_PLUGIN_PLUGIN_SHARD_H

#include "plugin/plugin_attachment.h"
#include "plugin/worker_host.h"
#include "stage/gate.h"
#include "stage/stage_task.h"

struct plugin_shard;
struct redrive_run;
struct part_call;   /* plugin_agree.c */
struct config_call; /* plugin_config.c */

/* An attachment that shards share, immutable and counted. [any] */
struct shared_attachment {
    _Atomic uint32_t refs;
    struct plugin_attachment is;
    const char *grants[MANIFEST_TOPICS_MAX]; /* into is.outputs */
};
struct shared_attachment *shared_attachment_new(const struct plugin_attachment *attachment);
struct shared_attachment *shared_attachment_ref(struct shared_attachment *attachment);
struct shared_attachment *shared_attachment_unref(struct shared_attachment *attachment);

/* One instance on one shard. */
struct instance_part {
    struct sl_link link; /* in the shard's list, once attached */
    struct plugin_shard *owner;
    char name[MANIFEST_ID_BYTES];
    char principal[MANIFEST_ID_BYTES + 8u]; /* "Plugin:" and the name */
    char version_text[MANIFEST_VERSION_BYTES];
    struct worker_host *host;
    struct shared_attachment *attachment; /* referenced; NULL: not attached */
    struct shared_attachment *coming;     /* in force when the tasks of the old one have ended */
    bool coming_from_start;
    bool held; /* by an operator: no task is open */
    void (*hold_done)(void *arg);
    void *hold_arg;
    struct stage_config config;
    struct gate gate;
    bool gate_open;
    struct sl_list tasks;
    uint32_t closing_tasks;
    struct redrive_run *redrive; /* of its dead letters, under way; or NULL */
    struct stage_watch watch;    /* its brake is the instance's */
    struct sl_task note;         /* tells the manager that a worker died, or what is … */
    _Atomic bool note_posted;
    _Atomic bool brake_pulled;   /* here, and not told yet */
    void (*detached)(void *arg); /* when nothing of it is left here */
    void *detached_arg;
    struct part_call *asked;     /* waits for a version to get ready here; or NULL */
    struct config_call *telling; /* waits for what the plugin says of a configuration; or NULL */
    struct part_call *switching; /* … to take over here; or NULL */
    struct sl_task lost;         /* tells the manager that a version is ready no more */
    struct plugin_version *lost_version; /* which; referenced */
    char lost_text[PLUGIN_REASON_BYTES];
    _Atomic bool lost_posted;
    bool leaving;
    bool host_closed;
    struct worker_meter *meter; /* the instance's, of this shard */
    /* Read by any thread: */
    struct stage_counts counts;
    _Atomic uint64_t causes[SANDBOX_CAUSE_COUNT];
    uint64_t records_before; /* RECORDS_IN when the version that runs took over */
    _Atomic uint64_t losses; /* of the worker that ran, not of one that did not load */
};

/* A worker that ran died. Deaths of a search for a poison record are not counted one by one: its
 * conviction is, unless this version has not done a single record yet. [the part's loop] */
void instance_part_lost(struct instance_part *part);

struct plugin_shard {
    struct shard *shard;
    struct sl_list parts;  /* attached ones */
    struct sl_list stores; /* states of stages that tasks have open */
    struct header_room headers;
};

/* plugin_redrive.c: the part's tasks end; so does this. */
void redrive_run_stop(struct redrive_run *run);

void plugin_shard_init(struct plugin_shard *self, struct shard *shard); /* [any] before use */
void plugin_shard_fini(struct plugin_shard *self);
void instance_part_init(struct instance_part *part, struct plugin_shard *owner, const char *name);

/* Opens tasks or a gate on all partitions of this shard that it reads; replaces an earlier
 * attachment at a batch boundary. part->host is set. */
void instance_part_attach(struct instance_part *part, struct shared_attachment *attachment,
                          const char *version_text);
/* Ends tasks, gate and workers; detached follows, perhaps inside. */
void instance_part_detach(struct instance_part *part, void (*detached)(void *arg), void *arg);
/* Ends the tasks of a stage between two batches, or opens them again where they stopped; done
 * follows, perhaps inside. One at a time. */
void instance_part_hold(struct instance_part *part, bool held, void (*done)(void *arg), void *arg);
/* Paused tasks try again: there is new code. */
void instance_part_wake(struct instance_part *part);
/* Another gate that stands before a topic which this attachment reads; NULL: none. */
const char *plugin_shard_gate_conflict(const struct plugin_shard *self,
                                       const struct instance_part *part,
                                       const struct plugin_attachment *attachment);
/* An output of the attachment whose partitions do not lie with the input's, or a topic of a stage
 * that is not as durable as its position: a sentence. */
bool plugin_shard_misplaced(const struct plugin_shard *self,
                            const struct plugin_attachment *attachment,
                            char ret_reason[PLUGIN_REASON_BYTES]);

void plugin_shard_topic_created(struct plugin_shard *self, struct topic *topic);
/* New partitions from `first` on, which are read from their beginning. */
void plugin_shard_topic_grown(struct plugin_shard *self, struct topic *topic, uint32_t first);
void plugin_shard_topic_deleted(struct plugin_shard *self, struct topic *topic);

#endif
