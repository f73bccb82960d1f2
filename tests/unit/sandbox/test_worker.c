/* test_worker.c: a well-behaved plugin in a real worker: lifecycle, verdicts, configuration, drain.
 */
#include "channel_layout.h"
#include "toy_host.h"
#include "worker_handle.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool text_is(struct sluice_text text, const char *wanted)
{
    return text.size == strlen(wanted) && memcmp(text.data, wanted, text.size) == 0;
}

static bool bytes_are(struct sluice_bytes bytes, const char *wanted)
{
    return text_is((struct sluice_text){(const char *)bytes.data, bytes.size}, wanted);
}

Test(worker, reports_its_attachment_and_its_walls)
{
    struct sandbox_event event;
    struct sandbox_spawn spawn;
    struct toy_host host;

    toy_host_init(&host, "well_behaved");
    spawn = toy_host_spawn_defaults(&host, "{}");
    spawn.script_name = sluice_text_of("mask.lua");
    spawn.script = (struct sluice_bytes){(const uint8_t *)"return {}", 9};
    toy_host_spawn(&host, &spawn);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_READY, &event), SANDBOX_EVENT_READY);
    cr_assert(text_is(event.ready.id, "well_behaved"));
    cr_assert(text_is(event.ready.version, "1.2.3"));
    cr_assert(text_is(event.ready.attachment.name, "mask.lua"));
    cr_assert(text_is(event.ready.attachment.input, "orders"));
    cr_assert(text_is(event.ready.attachment.output, "%s.done"));
    cr_assert_eq(event.ready.attachment.on, SLUICE_ON_LOG);
    cr_assert_eq(event.ready.attachment.deadline_ms, 77);
    cr_assert_eq(event.ready.attachment.extra_output_count, 2);
    cr_assert(text_is(event.ready.attachment.extra_outputs[1], "alerts"));
    cr_assert(event.ready.report.capabilities_dropped);
    cr_assert_neq(event.ready.report.uid, 0);
    cr_assert_eq(host.log_count, 1);
    cr_assert_str_eq(host.logs[0], "init");
    toy_host_fini(&host);
}

Test(worker, gives_every_kind_of_verdict)
{
    struct toy_records records = {.size = 0};
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    struct sandbox_event event;
    struct sandbox_task task;
    struct sluice_header header;
    struct toy_host host;
    const uint8_t *cursor;

    toy_host_start(&host, "well_behaved", "{\"greeting\":{\"text\":\"hello\"}}");
    toy_records_add(&records, "k", "pass", NULL);
    toy_records_add(&records, "k", "drop", NULL);
    toy_records_add(&records, "k", "two", NULL);
    toy_records_add(&records, "k", "reserved", NULL);
    toy_records_add(&records, "k", "offset", "name");
    toy_records_add(&records, "k", "reject", NULL);
    toy_records_add(&records, "k", "retry", NULL);
    toy_records_add(&records, "k", "drop", NULL);
    task = toy_task(&records, 99);
    cr_assert_eq(toy_host_run(&host, &task, &event), SANDBOX_EVENT_RESULT);
    cr_assert_eq(event.result.task_id, 99);
    cr_assert_eq(event.result.status, SLUICE_OK);
    cr_assert_eq(event.result.emit_count, 4);
    sandbox_result_reader_init(&reader, &event.result);

    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert(verdict.kind == SANDBOX_VERDICT_PASS && verdict.index == 0 && verdict.count == 1);
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert(verdict.kind == SANDBOX_VERDICT_DROP && verdict.index == 1);
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert(verdict.kind == SANDBOX_VERDICT_EMIT && verdict.index == 2);
    cr_assert(bytes_are(verdict.value, "first") && verdict.topic.size == 0 &&
              verdict.key.data == NULL);
    cr_assert_eq(verdict.header_count, 1);
    cursor = verdict.headers;
    sandbox_header_next(&cursor, &header);
    cr_assert(text_is(header.key, "by") && bytes_are(header.value, "hello"));
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert(verdict.index == 2 && bytes_are(verdict.value, "second") &&
              text_is(verdict.topic, "audit"));
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert(verdict.index == 3 && verdict.value.size == 1000 && verdict.value.data[999] == 'R');
    cr_assert(verdict.partition == 2 && verdict.timestamp == 42 && verdict.key.data != NULL);
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert(verdict.index == 4 && bytes_are(verdict.value, "as expected"));
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert(verdict.kind == SANDBOX_VERDICT_REJECT && text_is(verdict.reason, "not wanted"));
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert(verdict.kind == SANDBOX_VERDICT_RETRY && verdict.index == 6);
    cr_assert_not(sandbox_result_next(&reader, &verdict));
    toy_host_fini(&host);
}

Test(worker, runs_a_part_of_the_records_for_bisection)
{
    struct toy_records records = {.size = 0};
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    struct sandbox_event event;
    struct sandbox_task task;
    struct toy_host host;

    toy_host_start(&host, "well_behaved", "{}");
    for (int i = 0; i < 10; i++) {
        toy_records_add(&records, NULL, "drop", NULL);
    }
    task = toy_task(&records, 1);
    task.first = 4;
    task.limit = 2;
    cr_assert_eq(toy_host_run(&host, &task, &event), SANDBOX_EVENT_RESULT);
    sandbox_result_reader_init(&reader, &event.result);
    cr_assert(sandbox_result_next(&reader, &verdict) && verdict.index == 4);
    cr_assert(sandbox_result_next(&reader, &verdict) && verdict.index == 5);
    cr_assert_not(sandbox_result_next(&reader, &verdict));
    toy_host_fini(&host);
}

static struct sandbox_event run_one(struct toy_host *host, const char *value)
{
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_task task;

    toy_records_add(&records, NULL, value, NULL);
    task = toy_task(&records, 1);
    cr_assert_eq(toy_host_run(host, &task, &event), SANDBOX_EVENT_RESULT);
    return event;
}

Test(worker, says_which_record_it_died_of)
{
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_task task;
    struct toy_host host;

    toy_host_start(&host, "well_behaved", "{}");
    for (int i = 0; i < 10; i++) {
        toy_records_add(&records, NULL, i == 6 ? "die" : "offset", NULL);
    }
    task = toy_task(&records, 1);
    task.first = 2;
    task.limit = 8;
    cr_assert_eq(toy_host_run(&host, &task, &event), SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.progress, 6);
    toy_host_fini(&host);
}

Test(worker, fails_the_batch_but_lives_when_the_plugin_says_so)
{
    struct toy_host host;
    struct sandbox_event event;

    toy_host_start(&host, "well_behaved", "{}");
    event = run_one(&host, "fail");
    cr_assert_eq(event.result.status, SLUICE_E_PLUGIN_ERROR);
    cr_assert(text_is(event.result.error, "asked to fail"));
    cr_assert_eq(event.result.progress, 0);
    cr_assert_eq(run_one(&host, "drop").result.status, SLUICE_OK);
    toy_host_fini(&host);
}

Test(worker, fails_the_batch_when_a_refused_emit_was_ignored)
{
    struct toy_host host;

    toy_host_start(&host, "well_behaved", "{}");
    cr_assert_eq(run_one(&host, "too much").result.status, SLUICE_E_LIMIT);
    toy_host_fini(&host);
}

Test(worker, tells_the_plugin_at_once_that_a_topic_is_not_granted)
{
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    struct sandbox_spawn spawn;
    struct sandbox_event event;
    struct toy_host host;
    const struct sluice_text outputs[] = {{"audit", 5}};

    toy_host_init(&host, "well_behaved");
    spawn = toy_host_spawn_defaults(&host, "{}");
    spawn.outputs_any = false;
    spawn.output_count = 1;
    spawn.outputs = outputs;
    toy_host_spawn(&host, &spawn);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_READY, &event), SANDBOX_EVENT_READY);
    event = run_one(&host, "elsewhere");
    cr_assert_eq(event.result.status, SLUICE_OK);
    sandbox_result_reader_init(&reader, &event.result);
    cr_assert(sandbox_result_next(&reader, &verdict));
    cr_assert_eq(verdict.kind, SANDBOX_VERDICT_REJECT);
    cr_assert_eq(run_one(&host, "two").result.emit_count, 2);
    toy_host_fini(&host);
}

Test(worker, fails_a_task_whose_records_are_noise_and_lives)
{
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_task task;
    struct toy_host host;

    toy_host_start(&host, "well_behaved", "{}");
    toy_records_add(&records, NULL, "drop", NULL);
    records.bytes[0] = 0xff;
    task = toy_task(&records, 1);
    cr_assert_eq(toy_host_run(&host, &task, &event), SANDBOX_EVENT_RESULT);
    cr_assert_eq(event.result.status, SLUICE_E_INVALID_RECORD);
    cr_assert_eq(run_one(&host, "drop").result.status, SLUICE_OK);
    toy_host_fini(&host);
}

Test(worker, answers_tasks_in_flight_in_order)
{
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_task task;
    struct toy_host host;

    toy_host_start(&host, "well_behaved", "{}");
    toy_records_add(&records, NULL, "two", NULL);
    for (uint64_t round = 0; round < 1000; round += 4) {
        for (uint64_t i = 0; i < 4; i++) {
            task = toy_task(&records, round + i);
            cr_assert_eq(sandbox_worker_submit(host.worker, &task, toy_now_ms()), SLUICE_OK);
        }
        cr_assert_eq(sandbox_worker_submit(host.worker, &task, toy_now_ms()), SLUICE_E_BUSY);
        for (uint64_t i = 0; i < 4; i++) {
            cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_RESULT, &event), SANDBOX_EVENT_RESULT);
            cr_assert_eq(event.result.task_id, round + i);
        }
    }
    toy_host_fini(&host);
}

Test(worker, takes_a_new_configuration_or_keeps_the_old)
{
    static const char too_long[] =
        "{\"greeting\":{\"text\":"
        "\"0123456789012345678901234567890123456789012345678901234567890123\"}}";
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    struct sluice_header header;
    struct sandbox_event event;
    struct toy_host host;
    const uint8_t *cursor;

    toy_host_start(&host, "well_behaved", "{\"greeting\":{\"text\":\"one\"}}");
    cr_assert_eq(sandbox_worker_reconfigure(host.worker,
                                            sluice_text_of("{\"greeting\":{\"text\":\"two\"}}"),
                                            toy_now_ms()),
                 SLUICE_OK);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_RECONFIGURED, &event),
                 SANDBOX_EVENT_RECONFIGURED);
    cr_assert_eq(event.reply.status, SLUICE_OK);
    cr_assert_eq(sandbox_worker_reconfigure(host.worker, sluice_text_of(too_long), toy_now_ms()),
                 SLUICE_OK);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_RECONFIGURED, &event),
                 SANDBOX_EVENT_RECONFIGURED);
    cr_assert_eq(event.reply.status, SLUICE_E_PLUGIN_CONFIG);
    cr_assert(text_is(event.reply.error, "greeting.text is too long"));
    event = run_one(&host, "two");
    sandbox_result_reader_init(&reader, &event.result);
    cr_assert(sandbox_result_next(&reader, &verdict));
    cursor = verdict.headers;
    sandbox_header_next(&cursor, &header);
    cr_assert(bytes_are(header.value, "two"));
    toy_host_fini(&host);
}

Test(worker, drains_after_its_tasks_and_stops)
{
    struct toy_records records = {.size = 0};
    struct sandbox_event event;
    struct sandbox_task task;
    struct toy_host host;

    toy_host_start(&host, "well_behaved", "{}");
    toy_records_add(&records, NULL, "drop", NULL);
    task = toy_task(&records, 5);
    cr_assert_eq(sandbox_worker_submit(host.worker, &task, toy_now_ms()), SLUICE_OK);
    cr_assert_eq(sandbox_worker_drain(host.worker, toy_now_ms()), SLUICE_OK);
    cr_assert_eq(sandbox_worker_submit(host.worker, &task, toy_now_ms()), SLUICE_E_PLUGIN_CRASHED);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_RESULT, &event), SANDBOX_EVENT_RESULT);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_DRAINED, &event), SANDBOX_EVENT_DRAINED);
    cr_assert_eq(event.reply.status, SLUICE_OK);
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_EXIT, &event), SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.kind, SANDBOX_CAUSE_STOPPED);
    cr_assert_eq(event.exit.status, SLUICE_OK);
    cr_assert_str_eq(host.logs[1], "destroy");
    toy_host_fini(&host);
}

Test(worker, names_the_reason_for_which_the_host_killed_it)
{
    struct sandbox_event event;
    struct toy_host host;

    toy_host_start(&host, "well_behaved", "{}");
    sandbox_worker_kill(host.worker, SANDBOX_CAUSE_KILLED, "was replaced by version 2");
    sandbox_worker_kill(host.worker, SANDBOX_CAUSE_KILLED, "another reason");
    cr_assert_eq(toy_host_wait(&host, SANDBOX_EVENT_EXIT, &event), SANDBOX_EVENT_EXIT);
    cr_assert_eq(event.exit.kind, SANDBOX_CAUSE_KILLED);
    cr_assert_str_eq(event.exit.text, "was replaced by version 2");
    toy_host_fini(&host);
}

Test(worker, leaves_no_process_when_closed_early)
{
    struct sandbox_spawn spawn;
    struct toy_host host;
    char path[64];
    FILE *file;

    toy_host_init(&host, "well_behaved");
    spawn = toy_host_spawn_defaults(&host, "{}");
    toy_host_spawn(&host, &spawn);
    snprintf(path, sizeof(path), "/proc/%d/stat", sandbox_worker_pid(host.worker));
    host.worker = sandbox_worker_close(host.worker);
    file = fopen(path, "r");
    cr_assert_null(file);
    toy_host_fini(&host);
}

/* Gone, or a zombie that the init of a container does not reap. */
static bool is_dead(int32_t pid)
{
    char path[64];
    char state = 'Z';
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (file != NULL) {
        (void)!fscanf(file, "%*d (%*[^)]) %c", &state);
        fclose(file);
    }
    return state == 'Z' || state == 'X';
}

/* The parent of the worker is a child of the test, killed as kill -9 would kill the broker. */
Test(worker, dies_with_its_host)
{
    struct toy_host host;
    int32_t worker = 0;
    int link[2];
    pid_t child;

    cr_assert_eq(pipe(link), 0);
    child = fork();
    if (child == 0) {
        toy_host_start(&host, "pass_through", "{}");
        worker = sandbox_worker_pid(host.worker);
        (void)!write(link[1], &worker, sizeof(worker));
        pause();
        _exit(0);
    }
    cr_assert_eq(read(link[0], &worker, sizeof(worker)), sizeof(worker));
    cr_assert_not(is_dead(worker));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (int i = 0; i < 3000 && !is_dead(worker); i++) {
        usleep(10000);
    }
    cr_assert(is_dead(worker));
}

static bool sleeps_within(const struct sandbox_worker *worker, int64_t limit_ms)
{
    struct channel_output_head *head = (void *)worker->output;
    const int64_t end_ms = toy_now_ms() + limit_ms;

    while (atomic_load(&head->sleeping) == 0 && toy_now_ms() < end_ms) {
        usleep(1000);
    }
    return atomic_load(&head->sleeping) != 0;
}

/* The host counts a message after it has sent it: a worker may be faster than the count. */
Test(worker, sleeps_though_a_message_that_it_took_is_not_counted_yet)
{
    struct toy_host host;
    struct channel_input_head *head;

    toy_host_start(&host, "well_behaved", "{}");
    head = (void *)host.worker->input;
    atomic_fetch_sub(&head->control, 1u);
    run_one(&host, "pass"); /* wakes it */
    cr_assert(sleeps_within(host.worker, 20000));
    atomic_fetch_add(&head->control, 1u);
    toy_host_fini(&host);
}
