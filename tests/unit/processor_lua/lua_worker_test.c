/* Lua scripts where they really run: in a worker that the kernel confines. */
#include "toy_host.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MODULE "../../lib/sluice/plugins/processor_lua" /* from tests/hostile */

TestSuite(lua_worker, .timeout = 60);

static uint64_t memory_bytes_max; /* of the worker; 0: the default */

static uint32_t start(struct toy_host *host, const char *source, const char *config,
                      struct sandbox_event *ret_event)
{
    toy_host_init(host, MODULE);
    struct sandbox_spawn spawn = toy_host_spawn_defaults(host, config);
    static const struct sluice_text outputs[] = {{"side", 4}};
    spawn.script_name = sluice_text_of("test.lua");
    spawn.script = (struct sluice_bytes){(const uint8_t *)source, strlen(source)};
    spawn.outputs_any = false;
    spawn.outputs = outputs;
    spawn.output_count = 1;
    if (memory_bytes_max > 0) {
        spawn.limits.memory_bytes_max = memory_bytes_max;
    }
    toy_host_spawn(host, &spawn);
    return toy_host_wait(host, SANDBOX_EVENT_READY, ret_event);
}

/* Runs the values through the script; what became of them as one line, or the name of the cause of
 * death. */
static const char *run(const char *body, uint32_t timeout_ms, uint32_t kill_ms,
                       const char *const *values)
{
    static char outcome[1024];
    char source[1024];
    struct toy_host host;
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    snprintf(source, sizeof(source), "return { process = function(record) %s end }", body);
    cr_assert_eq(start(&host, source, "{}", &event), SANDBOX_EVENT_READY, "%s", event.exit.text);
    for (uint32_t i = 0; values[i] != NULL; i++) {
        toy_records_add(&records, NULL, values[i], NULL);
    }
    struct sandbox_task task = toy_task(&records, 1);
    task.timeout_ms = timeout_ms;
    task.kill_ms = kill_ms;
    outcome[0] = '\0';
    if (toy_host_run(&host, &task, &event) == SANDBOX_EVENT_EXIT) {
        snprintf(outcome, sizeof(outcome), "%s", sandbox_cause_name(event.exit.kind));
        toy_host_fini(&host);
        return outcome;
    }
    cr_assert_eq(event.result.status, SLUICE_OK);
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    size_t used = 0;
    sandbox_result_reader_init(&reader, &event.result);
    while (sandbox_result_next(&reader, &verdict)) {
        static const char *const names[] = {"pass", "drop", "emit", "reject", "retry", "fail"};
        struct sluice_bytes text = verdict.value;
        if (verdict.kind != SANDBOX_VERDICT_EMIT) {
            text = (struct sluice_bytes){(const uint8_t *)verdict.reason.data, verdict.reason.size};
        }
        used += (size_t)snprintf(outcome + used, sizeof(outcome) - used, "%s %u %.*s;",
                                 names[verdict.kind], verdict.index, (int)text.size,
                                 text.data != NULL ? (const char *)text.data : "");
    }
    toy_host_fini(&host);
    return outcome;
}

static const char *const attack[] = {"a", NULL};

Test(lua_worker, edits_json_and_keeps_the_64_bit_id)
{
    const char *const values[] = {"{\"card\":\"4111\",\"id\":9007199254740993}", NULL};
    cr_expect_str_eq(run("return record:json_set('card', '*')", 10000, 20000, values),
                     "emit 0 {\"card\":\"*\",\"id\":9007199254740993};");
}

Test(lua_worker, a_loop_costs_its_record_and_the_worker_lives)
{
    const char *outcome = "retry";
    for (int i = 0; i < 20 && strncmp(outcome, "retry", 5) == 0;
         i++) { /* a busy machine may spare it */
        outcome = run("while true do pcall(error) end", 20, 60000, attack);
    }
    cr_expect_str_eq(outcome, "fail 0 test.lua:1: the deadline passed, the script was stopped;");
}

Test(lua_worker, a_pattern_that_no_hook_stops_is_killed_by_its_deadline)
{
    cr_expect_str_eq(run("return ('a'):rep(3000):find(('.-'):rep(40) .. 'b')", 300, 600, attack),
                     "deadline");
}

Test(lua_worker, memory_ends_at_the_cap_and_the_worker_lives)
{
    cr_expect_str_eq(run("local t = {} for i = 1, 1e9 do t[i] = {} end", 30000, 60000, attack),
                     "fail 0 test.lua: not enough memory;");
}

Test(lua_worker, three_quarters_of_the_memory_of_its_process_are_the_scripts)
{
    static const char body[] = "record.value = #string.rep('x', 90 << 20)";
    cr_expect_str_eq(run(body, 30000, 60000, attack), "fail 0 test.lua: not enough memory;");
    memory_bytes_max = 400u << 20;
    cr_expect_str_eq(run("return #string.rep('x', 90 << 20) > 0 and record", 30000, 60000, attack),
                     "pass 0 ;");
    memory_bytes_max = 0;
}

Test(lua_worker, an_emit_that_is_refused_takes_the_others_of_its_record_back)
{
    const char *const values[] = {"a", "b", NULL};
    cr_expect_str_eq(
        run("emit('side', record) if record.value == 'b' then emit('other', record) end", 10000,
            20000, values),
        "emit 0 a;fail 1 it emits to a topic that is not granted: name it in 'outputs';");
}

Test(lua_worker, a_broken_script_is_refused_with_file_and_line)
{
    struct toy_host host;
    struct sandbox_event event;
    cr_assert_eq(start(&host, "return {\n process = function(record) retrun end }", "{}", &event),
                 SANDBOX_EVENT_EXIT);
    cr_expect_eq(event.exit.kind, SANDBOX_CAUSE_REFUSED);
    cr_expect_not_null(strstr(event.exit.text, "test.lua:2: syntax error near 'end'"), "%s",
                       event.exit.text);
    toy_host_fini(&host);
}
