/* cli_demo.h: the broker of the demo, and what its steps share. Internal. */
#ifndef SL_CLI_CLI_DEMO_H
#define SL_CLI_CLI_DEMO_H

#include "cli/cli_watch.h"
#include "os/os_child.h"

#define DEMO_WAIT_MS 30000 /* for anything to happen; only a demo that hangs gets there */
#define DEMO_PATH    512

struct demo {
    struct cli *cli;
    struct cli_link link;
    bool is_linked;
    bool is_auto; /* nobody is asked */
    struct sl_child broker;
    char folder[SL_SCRATCH_BYTES]; /* "": not made yet */
    char socket[DEMO_PATH], log[DEMO_PATH];
    uint32_t failed; /* effects that did not show */
};

/* CLI_OK, or a complaint was written. */
int demo_open(struct demo *demo);
/* Kills the broker (kill -9) and starts it on what it left. False: it did not come up. */
bool demo_crash(struct demo *demo);
/* Ends it in order; its exit code. The folder stays until demo_close. */
int demo_stop(struct demo *demo);
/* Ends the broker and removes its folder; also of a demo that was not opened whole. */
void demo_close(struct demo *demo);

/* ---- asking (demo's own broker) ---- */

/* The result, to be deleted by the caller; NULL: a complaint was written. [takes args] */
cJSON *demo_call(struct demo *demo, const char *command, cJSON *args);
/* Where a topic ends, all partitions together; 0 where it is not there. */
int64_t demo_end(struct demo *demo, const char *topic);
/* Records of partition 0 from an offset on; to be deleted by the caller. NULL as above. */
cJSON *demo_records(struct demo *demo, const char *topic, int64_t offset);
bool demo_post(struct demo *demo, const char *topic, const char *key, const char *value);
/* A whole file of the plugins' folder, in one go; a line behind the text makes it differ from the
 * one before. */
bool demo_plugin_write(struct demo *demo, const char *name, const char *text);
/* The instance of `plugin list`; an empty object when it is not there. To be deleted. */
cJSON *demo_plugin(struct demo *demo, const char *name);
/* Polls until it is so. False: interrupted, or it never was. */
typedef bool demo_condition(struct demo *demo, const void *arg);
bool demo_wait(struct demo *demo, demo_condition *condition, const void *arg);

/* ---- telling ---- */

void demo_heading(const struct demo *demo, const char *text);
void demo_say(const struct demo *demo, const char *format, ...) SL_PRINTF(2, 3);
/* Lines of a file, faint and indented. */
void demo_code(const struct demo *demo, const char *text);
/* "topic[0]@3  2026-11-21T11:00:00Z  key=anna  …  source=demo" */
void demo_record(const struct demo *demo, const char *topic, const cJSON *record);
/* One line with ok or FAILED; counts the latter. */
bool demo_expect(struct demo *demo, bool is_so, const char *what);

/* ---- the steps (cli_demo_steps.c) ---- */

typedef void demo_step(struct demo *demo);
demo_step demo_step_post, demo_step_poll, demo_step_topics, demo_step_edit, demo_step_break;

#endif
