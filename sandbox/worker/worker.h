/* worker.h: the parts of the worker program. One thread, one plugin, one instance of this struct.
 *
 * The order of main is the sandbox: descriptors, START, confine (rlimits, namespaces, ids,
 * capabilities, no_new_privs), Landlock, stage-1 filter, dlopen and checks, create, init, describe,
 * activate, Landlock deny-all, stage-2 filter, READY, then batches until DRAIN or death. */
#ifndef SANDBOX_WORKER_WORKER_H
#define SANDBOX_WORKER_WORKER_H

#include "../channel_layout.h"
#include "../control_wire.h"
#include "state_map.h"

#include <sandbox/pace.h>
#include <sluice/metrics.h>
#include <sluice/processor.h>
#include <sluice/task.h>
#include <stdarg.h>

/* A JSON text and the strings that were unescaped out of it; views live until config_fini. */
struct config {
    struct sluice_text json;
    char *owned; /* [owned] copy of json, or NULL when it lies in the boot block */
    struct config_string *strings; /* [owned] */
};

struct task_item {
    sluice_task_work *work;
    sluice_task_done *done;
    void *arg;
};
struct worker_tasks {
    struct sluice_task_host host;
    struct task_ring {
        struct task_item items[SLUICE_TASKS_MAX];
        uint32_t first;
        uint32_t count;
    } rings[SLUICE_TASK_PRIORITIES];
    uint32_t count; /* under way */
    bool closed;    /* drained */
    struct pace pace;
};

/* The working copy for one partition of one topic. */
struct state_scope {
    struct state_scope *next;
    struct state_map map;
    uint64_t token;        /* what it holds; 0: it is not whole */
    uint64_t token_before; /* what it holds once the logged changes are taken back */
    uint32_t loaded;       /* deltas so far, while it comes */
    int32_t partition;
    uint32_t topic_size;
    char topic[];
};

/* Its own copy of what it said of its metrics: the plugin can write into the shared one. */
struct worker_metrics {
    struct sluice_metrics table;
    uint32_t count;
    uint32_t histograms;
    uint32_t kinds[SLUICE_METRICS_MAX];
    uint32_t places[SLUICE_METRICS_MAX];
};

struct verdict_writer;
struct state {
    struct sluice_state table;
    bool is_wanted;                       /* the extension was asked for */
    bool is_used;                         /* it was called */
    struct state_scope *scopes;           /* [owned] the one used last in front */
    const struct channel_task_wire *task; /* the running one; NULL: none */
    struct sluice_text topic;             /* of it */
    struct state_scope *scope;            /* its copy; NULL: not here, or not asked for yet */
    struct verdict_writer *writer;        /* its */
    bool missing;                         /* the copy must come first */
};

struct worker {
    const struct boot_wire *boot; /* mapped read-only, as is all it points at */
    const uint8_t *input;
    uint8_t *output;
    uint32_t taken; /* tasks processed, wraps */
    uint32_t control_seen;
    uint32_t rung_turn; /* the host's wait turn for which the eventfd was written */
    bool draining;

    struct sluice_host host;
    struct config config;
    struct sluice_script script;
    struct sluice_limits limits;
    struct sluice_change change; /* while reconfigure runs */
    struct sluice_resource resource_items[SANDBOX_RESOURCES_MAX];
    struct sluice_resources resources;
    struct worker_tasks tasks;
    struct worker_metrics metrics;
    struct config broker_config_text;
    struct sluice_broker_config broker_config;
    struct state state;
    char error[CHANNEL_REASON_SIZE_MAX]; /* set_error of the running call */
    uint32_t error_size;
    int64_t log_ms; /* token bucket */
    int32_t log_tokens;
    uint32_t log_lost;

    const struct sluice_plugin_descriptor *plugin;
    const struct sluice_processor *processor;
    void *self;
    struct control_hello hello;
    bool listener; /* the filters may ask a listener */

    struct threads *threads;   /* [owned] of a rehearsal, or NULL */
    uint32_t rehearsal_digest; /* of what its batches gave */

    struct sluice_record *records; /* [owned] views of the running batch, grown as needed */
    uint32_t record_capacity;
    struct sluice_header *headers; /* [owned] */
    uint32_t header_capacity;
};

/* ---- confine.c: everything up to the filter ---- */
/* spaces.c: namespaces of its own, those that the kernel gives. Again after the ids were dropped,
 * for those that an unprivileged process gets in a user namespace. */
void spaces_leave(struct worker *worker, bool as_user);

/* NULL, or what could not be done (a sentence). */
const char *confine_process(struct worker *worker);
const char *confine_files(struct worker *worker); /* Landlock: libraries only */
const char *confine_threads(void);                /* no more of them, after those of a rehearsal */
void confine_files_all(struct worker *worker);    /* Landlock: nothing */
/* Installs the filter of a stage; *ret_listener is a descriptor or -1. */
const char *confine_calls(struct worker *worker, uint32_t stage, int *ret_listener);

/* ---- worker_link.c: the control socket ---- */
void link_send(uint32_t kind, const void *body, uint32_t size, int descriptor, bool wait);
void link_note(uint32_t kind, int32_t number, uint32_t note, struct sluice_text text, bool wait);
/* Sends FAILED and exits. cause: SANDBOX_CAUSE_REFUSED or _SETUP. */
_Noreturn void link_fail(uint32_t cause, sluice_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Takes a message into `space`; blocks if `wait`. Returns its size, 0: none. Exits when the host is
 * gone. `descriptors` takes CONTROL_DESCRIPTORS_MAX, -1 where none came, or is NULL. */
uint32_t link_receive(uint8_t *space, uint32_t space_size, int *descriptors, bool wait);

/* ---- host_table.c: the host table ---- */
/* For the reconfigure that follows; data NULL: it is over. */
void host_tell_change(struct worker *worker, struct sluice_text before_json);
void host_init(struct worker *worker);
bool host_offers(const struct worker *worker, const char *extension);
void host_error_clear(struct worker *worker);

/* ---- tasks.c: the extension sluice.task/1 ---- */
void tasks_init(struct worker *worker);
void tasks_clear(struct worker *worker); /* those of an instance that is gone */
void tasks_close(struct worker *worker); /* none runs any more, none is taken */
bool tasks_wait(const struct worker *worker);
uint32_t tasks_rest_ms(struct worker *worker); /* until the next may begin; 0: now */
void tasks_run_one(struct worker *worker);     /* one waits */

/* ---- metrics.c: the extension sluice.metrics/1 ---- */
void metrics_init(struct worker *worker);

/* ---- worker_config.c ---- */
struct sluice_text config_get(struct config *config, const char *key, struct sluice_text fallback);
void config_fini(struct config *config);

/* ---- loader.c ---- */
void loader_load(struct worker *worker); /* dlopen, checks, create, init; fails by link_fail */
void loader_ready(struct worker *worker, int listener); /* describe -> READY */
void loader_activate(struct worker *worker);

/* ---- rehearsal_lives.c ---- */
/* The lives of boot->rehearsal, each to its end; a step that the plugin refuses ends that life. */
void rehearse(struct worker *worker);
/* Says where it is, for when it dies there. */
void rehearsal_note(struct worker *worker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- rehearsal_threads.c ---- */
/* Makes limits.rehearsal_threads threads, which wait; before the first filter. NULL, or a fault. */
const char *threads_start(struct worker *worker);
typedef void thread_run(void *arg);
/* Runs on thread `number` (0, or one that is not there: this one) and waits. */
void threads_run(struct worker *worker, uint32_t number, thread_run *run, void *arg);
/* Runs one on thread 1 and one on thread 2, begun together, and waits for both. */
void threads_run_both(struct worker *worker, thread_run *run, void *first, void *second);
void threads_end(struct worker *worker);

/* ---- rehearsal_frontend.c ---- */
/* The lives of boot->rehearsal for a frontend; ends the process with what came of them. */
_Noreturn void rehearse_frontend(struct worker *worker);

/* ---- record_decode.c ---- */
/* Views of records first .. first + limit - 1; E_INVALID_RECORD: the bytes are not as said. */
sluice_status record_decode(struct worker *worker, const struct channel_task_wire *task,
                            const uint8_t *records) SANDBOX_MUST_CHECK;

/* ---- verdict_writer.c ---- */
struct verdict_writer {
    struct sluice_writer writer;
    const struct boot_wire *boot;
    uint8_t *items;
    uint32_t capacity;
    uint32_t used;
    uint32_t first;
    uint32_t limit;
    uint32_t last_index; /* relative to first */
    uint32_t last_kind;
    uint32_t emits_at; /* in items: where the emits of last_index begin */
    bool any;
    struct channel_progress *progress;
    uint32_t done;         /* records with a verdict one by one; CHANNEL_NULL: there was a gap */
    sluice_status pending; /* a verdict that failed and was not replaced yet … */
    uint32_t pending_index;
    sluice_status failed; /* … and never was: the batch fails, else an unmasked record might pass */
    struct state *state; /* whose changes go with the verdicts, or NULL */
    uint32_t room;       /* capacity without the deltas of the state */
};
void verdict_writer_init(struct verdict_writer *writer, const struct boot_wire *boot,
                         uint8_t *items, uint32_t capacity, const struct channel_task_wire *task,
                         struct channel_progress *progress);
sluice_status verdict_writer_end(struct verdict_writer *writer);

/* ---- state_table.c: sluice.state/1 ---- */
void state_init(struct worker *worker);
/* Before a batch, after the writer was made. False: its state must come first. */
bool state_begin(struct worker *worker, const struct channel_task_wire *task,
                 struct sluice_text topic, struct verdict_writer *writer);
/* After it, with its status. Writes the deltas behind the verdicts and returns how many. */
uint32_t state_end(struct worker *worker, sluice_status status, uint32_t *ret_size);
/* Takes back the changes of a record that is rejected or, and_after, comes again. */
bool state_undo(struct state *state, uint32_t index, bool and_after);
/* A task of deltas. E_NO_MEMORY; E_WOULD_BLOCK: those before it are not here. */
sluice_status state_load(struct worker *worker, const struct channel_task_wire *task,
                         struct sluice_text topic, const uint8_t *deltas);

/* ---- task_loop.c ---- */
_Noreturn void task_loop_run(struct worker *worker);

/* ---- alloc_note.c ---- */
void alloc_note_attach(_Atomic uint32_t *counter);
/* For rehearsals. Counts blocks and their bytes from now on, or no more. */
void alloc_note_count(bool counts);
struct alloc_live {
    int64_t blocks;
    int64_t bytes;
};
struct alloc_live alloc_note_live(void); /* taken and not given back since it counts */
void alloc_note_fail(uint32_t after);    /* refuses the allocation `after` from now; 0: none */

#endif
