/* probe.h: one worker, driven step by step by a caller who waits for each answer: for tests of
 * plugins and for tools. The process, its walls and its limits are those of a broker's worker; only
 * the event loop is missing. One thread, which lives as long as the probe; everything [blocks].
 *
 *   probe_open -> probe_run*, probe_reconfigure* -> probe_drain -> probe_close
 * A step that finds the worker's end returns the status of the cause; `end` then says what it was.
 */
#ifndef SANDBOX_PROBE_H
#define SANDBOX_PROBE_H

#include <sandbox/sandbox.h>

/* A line that the plugin logged; the text lives for the call. */
typedef void probe_log_fn(void *arg, int32_t level, struct sluice_text line);

struct probe {
    struct sandbox_worker *worker; /* owned; NULL before probe_open and after probe_close */
    struct sandbox_event event; /* of the last step: ready, result, reply; views into the worker */
    struct sandbox_cause end;   /* valid when ended */
    bool ended;
    probe_log_fn *log; /* may be NULL */
    void *log_arg;
};

/* Spawns and waits until the plugin is active; event.ready then says what it is. The probe is
 * zeroed but for log and log_arg. The cause's status (E_PLUGIN_LOAD, E_PLUGIN_CRASHED …), or the
 * spawn's; end.text is a sentence in either case. */
sluice_status probe_open(struct probe *probe, const struct sandbox *sandbox,
                         const struct sandbox_spawn *spawn) SANDBOX_MUST_CHECK;
/* Runs one batch; event.result is valid until the next step. Waits first while the plugin has used
 * up its CPU share. E_LIMIT: the records do not fit a slot. SLUICE_OK says that an answer came: its
 * own status may be a failure of the whole batch. */
sluice_status probe_run(struct probe *probe, const struct sandbox_task *task) SANDBOX_MUST_CHECK;
/* SLUICE_OK: event.reply says whether the plugin took it. */
sluice_status probe_reconfigure(struct probe *probe,
                                struct sluice_text config_json) SANDBOX_MUST_CHECK;
/* Drains, deactivates, destroys. SLUICE_OK: it ended in order. */
sluice_status probe_drain(struct probe *probe) SANDBOX_MUST_CHECK;
void probe_close(struct probe *probe); /* at any time, more than once */

#endif
