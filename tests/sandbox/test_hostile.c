/* test_hostile.c: files that are no modules, modules that do not fit, and single settings of the
 * sandbox. The attacks themselves are in test_attacks.c. */
#include "toy_host.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An attack of the suite (sandbox/selftest) under settings that the suite does not use. */
static uint32_t attack(const char *name, struct sandbox_limits limits, bool observe,
                       struct toy_host *host, struct sandbox_event *ret_event)
{
    struct toy_records records = {.size = 0};
    struct sandbox_spawn spawn;
    struct sandbox_task task;

    toy_records_add(&records, "k", "v", NULL);
    task = toy_task(&records, 7);
    task.timeout_ms = task.kill_ms = 0;
    toy_host_init(host, "../../lib/sluice/selftest/hostile");
    spawn = toy_host_spawn_defaults(host, "{}");
    spawn.instance = sluice_text_of(name);
    spawn.limits = limits;
    spawn.limits.load_timeout_ms = 25000;
    spawn.observe = observe;
    toy_host_spawn(host, &spawn);
    cr_assert_eq(toy_host_wait(host, SANDBOX_EVENT_READY, ret_event), SANDBOX_EVENT_READY);
    return toy_host_run(host, &task, ret_event);
}

Test(hostile, an_endless_loop_ends_at_the_cpu_limit_when_there_is_no_deadline)
{
    struct sandbox_limits limits = SANDBOX_LIMITS_DEFAULT;
    struct sandbox_event event;
    struct toy_host host;

    limits.cpu_s_max = 1;
    cr_assert_eq(attack("loop for ever", limits, false, &host, &event), SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.kind, SANDBOX_CAUSE_CPU, "%s", event.exit.text);
    toy_host_fini(&host);
}

Test(hostile, the_end_of_a_worker_says_which_task_ran_and_which_call_it_made)
{
    struct sandbox_event event;
    struct toy_host host;

    cr_assert_eq(attack("call socket", SANDBOX_LIMITS_DEFAULT, false, &host, &event),
                 SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.kind, SANDBOX_CAUSE_DENIED);
    cr_assert_eq(event.exit.status, SLUICE_E_PLUGIN_DENIED);
    cr_assert_str_eq(event.exit.syscall, "socket");
    cr_assert_str_eq(event.exit.text, "made the forbidden system call socket");
    cr_assert(event.exit.task_running && event.exit.task_id == 7 && !event.exit.loading);
    toy_host_fini(&host);
}

Test(hostile, observed_a_forbidden_call_fails_and_is_logged_and_the_worker_lives)
{
    struct sandbox_event event;
    struct toy_host host;

    cr_assert_eq(attack("call socket", SANDBOX_LIMITS_DEFAULT, true, &host, &event),
                 SANDBOX_EVENT_RESULT);
    cr_assert_eq(event.result.emit_count, 1);
    cr_assert_eq(sandbox_worker_observed(host.worker), 1);
    cr_assert(sandbox_worker_report(host.worker)->observe);
    cr_assert_str_eq(host.logs[0],
                     "observe: made the forbidden system call socket, answered with EPERM");
    toy_host_fini(&host);
}

/* ---- before READY ---- */

static struct sandbox_cause load(const char *module, bool no_listener)
{
    const struct sandbox_options options = {.worker_path = SLUICE_BINARY_DIR "/bin/sluice-worker",
                                            .no_listener = no_listener};
    char text[SANDBOX_TEXT_SIZE_MAX];
    struct sandbox_event event;
    struct sandbox_spawn spawn;
    struct toy_host host;

    toy_host_init(&host, module);
    host.sandbox = sandbox_close(host.sandbox);
    cr_assert_eq(sandbox_open(&options, &host.sandbox, text, sizeof(text)), SLUICE_OK);
    spawn = toy_host_spawn_defaults(&host, "{}");
    /* Short for the one that never gets there; a busy machine must not decide the others. */
    spawn.limits.load_timeout_ms = strcmp(module, "constructor_loop") == 0 ? 500 : 25000;
    toy_host_spawn(&host, &spawn);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_READY, &event), SANDBOX_EVENT_EXIT,
                 "%s was loaded", module);
    cr_assert(event.exit.loading);
    toy_host_fini(&host);
    return event.exit;
}

struct refusal {
    char module[32];
    uint32_t kind;
    sluice_status status;
    char text[96];
};

ParameterizedTestParameters(hostile, a_module_that_does_not_fit_is_refused_with_one_sentence)
{
    static struct refusal cases[] = {
        {"constructor_socket", SANDBOX_CAUSE_DENIED, SLUICE_E_PLUGIN_DENIED,
         "made the forbidden system call socket while it was loaded"},
        {"constructor_execve", SANDBOX_CAUSE_DENIED, SLUICE_E_PLUGIN_DENIED,
         "made the forbidden system call execve while it was loaded"},
        {"constructor_fork", SANDBOX_CAUSE_DENIED, SLUICE_E_PLUGIN_DENIED,
         "made the forbidden system call clone while it was loaded"},
        {"constructor_create", SANDBOX_CAUSE_DENIED, SLUICE_E_PLUGIN_DENIED,
         "made the forbidden system call openat while it was loaded"},
        {"constructor_open", SANDBOX_CAUSE_EXIT, SLUICE_E_PLUGIN_CRASHED, /* Landlock said no */
         "called exit with status 3 while it was loaded"},
        {"constructor_loop", SANDBOX_CAUSE_DEADLINE, SLUICE_E_PLUGIN_TIMEOUT,
         "did not get ready within its load timeout (500 ms)"},
        {"abi_major", SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_ABI,
         "was built for ABI 2.0, this host speaks ABI 1.0"},
        {"abi_minor", SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_ABI,
         "was built for ABI 1.9, this host offers only 1.0"},
        {"abi_size", SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_ABI,
         "has a descriptor of 24 bytes, ABI 1.0 needs 48"},
        {"abi_magic", SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_ABI,
         "its symbol sluice_plugin is no plugin descriptor"},
        {"missing_extension", SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_ABI,
         "requires sluice.state/2, which this host does not offer"},
        {"missing_symbol", SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_LOAD,
         "does not export sluice_plugin: it is no Sluice plugin"},
        {"create_fails", SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_CONFIG,
         "mask.lua:12: unexpected symbol"},
    };
    return cr_make_param_array(struct refusal, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct refusal *param, hostile,
                  a_module_that_does_not_fit_is_refused_with_one_sentence)
{
    const struct sandbox_cause cause = load(param->module, false);

    cr_assert_str_eq(cause.text, param->text, "%s: %s", param->module, cause.text);
    cr_assert_eq(cause.kind, param->kind);
    cr_assert_eq(cause.status, param->status);
}

Test(hostile, without_a_listener_the_kernel_kills_and_the_cause_is_still_denied)
{
    const struct sandbox_cause cause = load("constructor_socket", true);

    cr_assert_eq(cause.kind, SANDBOX_CAUSE_DENIED);
    cr_assert_str_eq(cause.text, "made a forbidden system call while it was loaded");
}

/* ---- files that are no modules ---- */

static sluice_status stage(const uint8_t *data, uint64_t size)
{
    char text[SANDBOX_TEXT_SIZE_MAX] = "";
    struct staged_module module = {.fd = -1};
    const sluice_status status =
        staged_module_open((struct sluice_bytes){data, size}, &module, text, sizeof(text));

    cr_assert(status == SLUICE_OK || text[0] != '\0');
    staged_module_close(&module);
    return status;
}

Test(hostile, a_file_cut_anywhere_is_refused_before_any_worker_maps_it)
{
    const struct toy_file file = toy_file_read(SLUICE_BINARY_DIR "/tests/hostile/well_behaved.so");

    cr_assert_eq(stage(file.data, file.size), SLUICE_OK);
    for (uint64_t size = 0; size < file.size; size += 97) {
        cr_assert_eq(stage(file.data, size), SLUICE_E_PLUGIN_LOAD, "cut at %zu", (size_t)size);
    }
    cr_assert_eq(stage(file.data, file.size - 1), SLUICE_E_PLUGIN_LOAD);
    free(file.data);
}

Test(hostile, garbage_is_refused_or_fails_in_the_worker_alone)
{
    struct toy_file file = toy_file_read(SLUICE_BINARY_DIR "/tests/hostile/well_behaved.so");
    struct sandbox_event event;
    struct sandbox_spawn spawn;
    struct toy_host host;
    char text[SANDBOX_TEXT_SIZE_MAX];

    cr_assert_eq(stage((const uint8_t *)"#!/bin/sh\n", 10), SLUICE_E_PLUGIN_LOAD);
    /* Segment table and header whole, all else noise: only the dynamic linker can tell. */
    for (uint64_t i = 1024; i < file.size; i++) {
        file.data[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    toy_host_init(&host, "well_behaved");
    staged_module_close(&host.module);
    cr_assert_eq(staged_module_open((struct sluice_bytes){file.data, file.size}, &host.module, text,
                                    sizeof(text)),
                 SLUICE_OK);
    spawn = toy_host_spawn_defaults(&host, "{}");
    toy_host_spawn(&host, &spawn);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_READY, &event), SANDBOX_EVENT_EXIT);
    cr_assert(event.exit.kind == SANDBOX_CAUSE_CRASH || event.exit.kind == SANDBOX_CAUSE_REFUSED,
              "%s", event.exit.text);
    toy_host_fini(&host);
    free(file.data);
}
