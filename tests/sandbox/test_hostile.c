/* test_hostile.c: what plugins try, and the cause that the host names. After each attack the same
 * host runs a well-behaved worker: it was not harmed. */
#include "toy_host.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A worker of another module in the same process still does its work. */
static void assert_host_is_well(void)
{
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_task task;
    struct toy_host host;

    toy_records_add(&records, NULL, "drop", NULL);
    task = toy_task(&records, 1);
    toy_host_start(&host, "well_behaved", "{}");
    cr_assert_eq(toy_host_run(&host, &task, &event), SANDBOX_EVENT_RESULT);
    cr_assert_eq(event.result.status, SLUICE_OK);
    toy_host_fini(&host);
}

static struct sandbox_cause attack(const char *name, struct sandbox_limits limits,
                                   uint32_t timeout_ms)
{
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_spawn spawn;
    struct sandbox_task task;
    struct toy_host host;
    char config[64];

    toy_records_add(&records, "k", "v", NULL);
    task = toy_task(&records, 7);
    task.timeout_ms = timeout_ms;
    task.kill_ms = 2 * timeout_ms;
    snprintf(config, sizeof(config), "{\"attack\":\"%s\"}", name);
    toy_host_init(&host, "attacker");
    spawn = toy_host_spawn_defaults(&host, config);
    spawn.limits = limits;
    spawn.limits.load_timeout_ms = 25000;
    toy_host_spawn(&host, &spawn);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_READY, &event), SANDBOX_EVENT_READY);
    cr_assert_eq(toy_host_run(&host, &task, &event), SANDBOX_EVENT_EXIT, "%s: not stopped", name);
    cr_assert_not(event.exit.loading);
    toy_host_fini(&host);
    return event.exit;
}

struct denied {
    char attack[16];
    char syscall[16];
};

ParameterizedTestParameters(hostile, a_forbidden_call_kills_and_is_named)
{
    static struct denied cases[] = {
        {"socket", "socket"}, {"execve", "execve"},     {"fork", "clone"},
        {"clone3", "vfork"},  {"open", "openat"},       {"ptrace", "ptrace"},
        {"kill", "kill"},     {"prctl", "prctl"},       {"memfd", "memfd_create"},
        {"mmap", "mmap"},     {"mprotect", "mprotect"},
    };
    return cr_make_param_array(struct denied, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct denied *param, hostile, a_forbidden_call_kills_and_is_named)
{
    const struct sandbox_cause cause = attack(param->attack, SANDBOX_LIMITS_DEFAULT, 10000);

    cr_assert_eq(cause.kind, SANDBOX_CAUSE_DENIED, "%s: %s", param->attack, cause.text);
    cr_assert_eq(cause.status, SLUICE_E_PLUGIN_DENIED);
    cr_assert_str_eq(cause.syscall, param->syscall);
    cr_assert(strstr(cause.text, param->syscall) != NULL);
    cr_assert(cause.task_running && cause.task_id == 7);
    assert_host_is_well();
}

struct lie {
    char attack[16];
};

ParameterizedTestParameters(hostile, a_lie_in_shared_memory_or_on_the_socket_kills)
{
    static struct lie cases[] = {{"scribble"},   {"lie: count"}, {"lie: length"},
                                 {"lie: items"}, {"lie: task"},  {"lie: index"},
                                 {"garbage"},    {"flood log"},  {"close control"}};
    return cr_make_param_array(struct lie, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct lie *param, hostile, a_lie_in_shared_memory_or_on_the_socket_kills)
{
    const struct sandbox_cause cause = attack(param->attack, SANDBOX_LIMITS_DEFAULT, 10000);

    cr_assert_eq(cause.kind, SANDBOX_CAUSE_PROTOCOL, "%s: %s", param->attack, cause.text);
    assert_host_is_well();
}

Test(hostile, a_segfault_is_a_crash_with_its_signal)
{
    const struct sandbox_cause cause = attack("segfault", SANDBOX_LIMITS_DEFAULT, 10000);

    cr_assert_eq(cause.kind, SANDBOX_CAUSE_CRASH);
    cr_assert_str_eq(cause.text, "crashed with SIGSEGV");
    assert_host_is_well();
}

Test(hostile, an_abort_is_a_crash_and_not_a_denied_signal)
{
    const struct sandbox_cause cause = attack("abort", SANDBOX_LIMITS_DEFAULT, 10000);

    cr_assert_eq(cause.kind, SANDBOX_CAUSE_CRASH);
    cr_assert_str_eq(cause.text, "crashed with SIGABRT");
}

Test(hostile, an_exit_is_named_with_its_status)
{
    const struct sandbox_cause cause = attack("exit", SANDBOX_LIMITS_DEFAULT, 10000);

    cr_assert_eq(cause.kind, SANDBOX_CAUSE_EXIT);
    cr_assert_eq(cause.exit_code, 7);
}

Test(hostile, an_endless_loop_ends_at_the_deadline)
{
    const struct sandbox_cause cause = attack("forever", SANDBOX_LIMITS_DEFAULT, 100);

    cr_assert_eq(cause.kind, SANDBOX_CAUSE_DEADLINE);
    cr_assert_eq(cause.status, SLUICE_E_PLUGIN_TIMEOUT);
    cr_assert_str_eq(cause.text, "did not finish a batch and was past its deadline (200 ms)");
    assert_host_is_well();
}

Test(hostile, an_endless_sleep_ends_at_the_deadline)
{
    cr_assert_eq(attack("forever asleep", SANDBOX_LIMITS_DEFAULT, 100).kind,
                 SANDBOX_CAUSE_DEADLINE);
}

Test(hostile, an_endless_loop_ends_at_the_cpu_limit_when_there_is_no_deadline)
{
    struct sandbox_limits limits = SANDBOX_LIMITS_DEFAULT;
    struct sandbox_cause cause;

    limits.cpu_s_max = 1;
    cause = attack("forever", limits, 0);
    cr_assert_eq(cause.kind, SANDBOX_CAUSE_CPU, "%s", cause.text);
}

Test(hostile, allocation_without_end_ends_at_the_memory_limit)
{
    struct sandbox_limits limits = SANDBOX_LIMITS_DEFAULT;
    struct sandbox_cause cause;

    limits.memory_bytes_max = 32u << 20;
    cause = attack("allocate", limits, 20000);
    cr_assert_eq(cause.kind, SANDBOX_CAUSE_MEMORY, "%s", cause.text);
    cr_assert(strstr(cause.text, "limit of 32 MiB") != NULL, "%s", cause.text);
    assert_host_is_well();
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
    assert_host_is_well();
}
