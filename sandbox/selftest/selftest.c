/* selftest.c: see sandbox/selftest.h. A host of the smallest kind: one attacker at a time beside
 * the witness. */
#include <sandbox/selftest.h>

#include "selftest_canary.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENT_MS     20000u /* soft deadline of attacks that do not end by it */
#define HANG_MS        60000  /* of the selftest itself: no event at all */
#define TASK_CHANCE_MS 20
#define RETRIES_MAX    40u /* a busy machine gives a script no processor: its batch comes again */
#define FIRST_TASK     7u
#define FILE_BYTES_MAX (64u << 20)

struct selftest {
    char directory[512];
    struct sandbox *sandbox;
    struct staged_module hostile;
    struct staged_module lua;
    struct staged_module ffi;
    struct sandbox_worker *witness;
    struct canary canary;
};

/* How an attack went, before it is judged. */
struct course {
    uint32_t how; /* SELFTEST_KILLED, _REJECTED, _ANSWERED */
    uint32_t cause;
    bool retry;
    bool breach;
    char text[SANDBOX_TEXT_SIZE_MAX];
};

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- files ---- */

static sluice_status read_file(const char *path, struct sluice_bytes *ret_bytes, char *text,
                               size_t text_size)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    uint8_t *data = NULL;

    if (file >= 0 && fstat(file, &stat) == 0 && stat.st_size > 0 &&
        stat.st_size <= (off_t)FILE_BYTES_MAX) {
        data = malloc((size_t)stat.st_size);
    }
    if (data == NULL || read(file, data, (size_t)stat.st_size) != stat.st_size) {
        snprintf(text, text_size, "cannot read %.300s: %s", path, strerror(errno));
        free(data);
        if (file >= 0) {
            close(file);
        }
        return SLUICE_E_IO;
    }
    close(file);
    *ret_bytes = (struct sluice_bytes){data, (uint64_t)stat.st_size};
    return SLUICE_OK;
}

static sluice_status stage(const char *path, struct staged_module *ret_module, char *text,
                           size_t text_size)
{
    struct sluice_bytes bytes;
    sluice_status status = read_file(path, &bytes, text, text_size);

    if (status == SLUICE_OK) {
        status = staged_module_open(bytes, ret_module, text, text_size);
        free((void *)(uintptr_t)bytes.data);
    }
    return status;
}

/* ---- one worker ---- */

/* Waits for an event of `kind`, or EXIT, or 0 when nothing came for HANG_MS. */
static uint32_t wait_event(struct sandbox_worker *worker, uint32_t kind,
                           struct sandbox_event *ret_event)
{
    const int64_t begun_ms = now_ms();

    while (now_ms() - begun_ms < HANG_MS) {
        struct pollfd descriptor = {.fd = sandbox_worker_fd(worker), .events = POLLIN};
        int64_t left_ms;

        while (sandbox_worker_poll(worker, now_ms(), ret_event)) {
            if (ret_event->kind == kind || ret_event->kind == SANDBOX_EVENT_EXIT) {
                return ret_event->kind;
            }
        }
        left_ms = sandbox_worker_deadline(worker) - now_ms();
        poll(&descriptor, 1, left_ms < 0 ? 0 : left_ms > 100 ? 100 : (int)left_ms);
        (void)sandbox_worker_expire(worker, now_ms());
    }
    return 0;
}

/* Two records, "k" = "a" and "k" = "b": length, attributes, deltas, key, value, no headers. */
static const uint8_t records[] = {16, 0, 0, 0, 2, 'k', 2, 'a', 0, 16, 0, 0, 2, 2, 'k', 2, 'b', 0};

static struct sandbox_task make_task(uint64_t id, uint32_t timeout_ms)
{
    return (struct sandbox_task){.id = id,
                                 .timeout_ms = timeout_ms,
                                 .kill_ms = 2 * timeout_ms,
                                 .topic = sluice_text_of("orders"),
                                 .principal = sluice_text_of("Plugin:selftest"),
                                 .records = {records, sizeof(records)},
                                 .record_count = 2,
                                 .limit = 2,
                                 .base_offset = 0};
}

static struct sandbox_spawn make_spawn(const char *name, const struct staged_module *module,
                                       const char *config)
{
    struct sandbox_limits limits = SANDBOX_LIMITS_DEFAULT;

    limits.load_timeout_ms = limits.reply_timeout_ms = PATIENT_MS;
    return (struct sandbox_spawn){.instance = sluice_text_of(name),
                                  .module = module,
                                  .config_json = sluice_text_of(config),
                                  .limits = limits,
                                  .geometry = SANDBOX_GEOMETRY_DEFAULT,
                                  .cpu = -1};
}

static sluice_status start_witness(struct selftest *selftest, char *text, size_t text_size)
{
    const struct sandbox_spawn spawn = make_spawn("witness", &selftest->hostile, "{}");
    struct sandbox_event event;
    sluice_status status = sandbox_worker_spawn(selftest->sandbox, &spawn, now_ms(),
                                                &selftest->witness, text, text_size);

    if (status == SLUICE_OK &&
        wait_event(selftest->witness, SANDBOX_EVENT_READY, &event) != SANDBOX_EVENT_READY) {
        snprintf(text, text_size, "the witness does not run: %s", event.exit.text);
        status = SLUICE_E_PLUGIN_LOAD;
    }
    return status;
}

/* NULL, or what is wrong with it. */
static const char *witness_fault(struct selftest *selftest)
{
    const struct sandbox_task task = make_task(1, PATIENT_MS);
    struct sandbox_event event;

    if (sandbox_worker_submit(selftest->witness, &task, now_ms()) != SLUICE_OK ||
        wait_event(selftest->witness, SANDBOX_EVENT_RESULT, &event) != SANDBOX_EVENT_RESULT) {
        return "another plugin was disturbed";
    }
    return event.result.status == SLUICE_OK && event.result.items_size == 0
               ? NULL
               : "another plugin's answer was changed";
}

/* ---- one attack ---- */

static void take_exit(const struct sandbox_event *event, struct course *course)
{
    course->how = SELFTEST_KILLED;
    course->cause = event->exit.kind;
    snprintf(course->text, sizeof(course->text), "%s", event->exit.text);
}

static void take_result(const struct sandbox_result *result, struct course *course)
{
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;

    *course = (struct course){.how = SELFTEST_ANSWERED};
    if (result->status != SLUICE_OK) {
        course->how = SELFTEST_REJECTED;
        snprintf(course->text, sizeof(course->text), "the batch failed: %.*s",
                 (int)result->error.size, result->error.data != NULL ? result->error.data : "");
    }
    sandbox_result_reader_init(&reader, result);
    while (result->status == SLUICE_OK && sandbox_result_next(&reader, &verdict)) {
        bool refused =
            verdict.kind == SANDBOX_VERDICT_REJECT || verdict.kind == SANDBOX_VERDICT_FAIL;
        if (refused && course->how != SELFTEST_REJECTED) {
            course->how = SELFTEST_REJECTED;
            snprintf(course->text, sizeof(course->text), "%.*s", (int)verdict.reason.size,
                     verdict.reason.data != NULL ? verdict.reason.data : "");
        } else if (verdict.kind == SANDBOX_VERDICT_EMIT && course->text[0] == '\0' &&
                   verdict.value.size < 256) {
            snprintf(course->text, sizeof(course->text), "%.*s", (int)verdict.value.size,
                     (const char *)verdict.value.data);
        }
        course->retry = course->retry || verdict.kind == SANDBOX_VERDICT_RETRY;
    }
    course->breach = strncmp(course->text, "BREACH", 6) == 0;
}

static bool submit(struct sandbox_worker *worker, const struct selftest_attack *attack, uint64_t id)
{
    struct sandbox_task task =
        make_task(id, attack->timeout_ms != 0 ? attack->timeout_ms : PATIENT_MS);

    if (attack->script != NULL && attack->how == SELFTEST_REJECTED) {
        task.kill_ms = 2 * PATIENT_MS; /* the script's own end comes first */
    }
    return sandbox_worker_submit(worker, &task, now_ms()) == SLUICE_OK;
}

/* Batches until the attack had its chance; false: the worker is gone, or it hangs. */
static bool run_batches(struct sandbox_worker *worker, const struct selftest_attack *attack,
                        struct course *course)
{
    const uint32_t tasks = attack->tasks != 0 ? attack->tasks : 1;
    struct sandbox_event event = {.kind = 0};
    char first[SANDBOX_TEXT_SIZE_MAX] = "";
    uint64_t id = FIRST_TASK;
    uint32_t taken = 0;

    for (uint32_t i = 0; i < tasks; i++) {
        (void)submit(worker, attack, id++);
    }
    /* One more batch behind the last: what lingers must not outlive its deadline. */
    for (uint32_t round = 0; round < RETRIES_MAX; round++) {
        const uint32_t kind = wait_event(worker, SANDBOX_EVENT_RESULT, &event);

        if (kind != SANDBOX_EVENT_RESULT) {
            if (kind == SANDBOX_EVENT_EXIT) {
                take_exit(&event, course);
            } else {
                course->breach = true;
                snprintf(course->text, sizeof(course->text), "it was not stopped");
            }
            return false;
        }
        take_result(&event.result, course);
        if (taken == 0) {
            memcpy(first, course->text, sizeof(first));
        } else if (!course->breach && course->how == SELFTEST_ANSWERED) {
            memcpy(course->text, first, sizeof(first)); /* later batches find all used up */
        }
        if (course->breach ||
            (!course->retry && (course->how == SELFTEST_REJECTED || ++taken > tasks) &&
             attack->cause != SANDBOX_CAUSE_TASK)) {
            return true;
        }
        if (attack->cause == SANDBOX_CAUSE_TASK) {
            (void)poll(NULL, 0, TASK_CHANCE_MS); /* it begins while no batch waits */
        }
        if (round + 1 < RETRIES_MAX && sandbox_worker_in_flight(worker) == 0) {
            (void)submit(worker, attack, id++);
        }
    }
    return true;
}

static void say_config(const struct selftest *selftest, char *text, size_t size)
{
    snprintf(text, size, "{\"secret\":\"%s\",\"host_pid\":%ld,\"witness_pid\":%d}",
             selftest->canary.file, (long)getpid(), sandbox_worker_pid(selftest->witness));
}

/* Of an attack by a function of a library. */
struct call_plan {
    char library[640];
    char config[2048]; /* of processor_ffi */
    struct sandbox_resource granted;
};

static void plan_call(const struct selftest *selftest, const struct selftest_attack *attack,
                      struct call_plan *ret_plan)
{
    const char *named = attack->library != NULL ? attack->library : "library_plain.so";
    const bool is_ours = strncmp(named, "library_", 8) == 0;
    const bool wants_number = strstr(attack->function, "(i") != NULL;

    snprintf(ret_plan->library, sizeof(ret_plan->library), "%s%s%s",
             is_ours ? selftest->directory : "", is_ours ? "/" : "", named);
    snprintf(ret_plan->config, sizeof(ret_plan->config),
             "{\"library\":\"%s\",\"signature\":\"%s\",\"arguments\":[%s],\"result\":\"%s\"}",
             ret_plan->library, attack->function, wants_number ? "{\"constant\":12345}" : "",
             strncmp(attack->function, "void", 4) == 0 ? "none" : "value");
    ret_plan->granted =
        (struct sandbox_resource){SANDBOX_RESOURCE_LIBRARY, sluice_text_of(ret_plan->library)};
}

static sluice_status spawn_attack(struct selftest *selftest, const struct selftest_attack *attack,
                                  struct sandbox_worker **ret_worker, char *text, size_t text_size)
{
    const bool is_script = attack->script != NULL;
    struct call_plan plan;
    struct sluice_bytes script = {NULL, 0};
    struct sandbox_spawn spawn;
    sluice_status status = SLUICE_OK;
    char config[2048];
    char path[640];

    say_config(selftest, config, sizeof(config));
    spawn = make_spawn(attack->name, is_script ? &selftest->lua : &selftest->hostile,
                       is_script ? "{}" : config);
    if (is_script) {
        snprintf(path, sizeof(path), "%s/lua/%s", selftest->directory, attack->script);
        status = read_file(path, &script, text, text_size);
        if (status != SLUICE_OK) {
            return status;
        }
        if (attack->bytecode) {
            ((uint8_t *)(uintptr_t)script.data)[0] = 0x1b; /* LUA_SIGNATURE begins so */
        }
        spawn.script = script;
        spawn.script_name = sluice_text_of(attack->script);
    }
    if (attack->function != NULL) {
        plan_call(selftest, attack, &plan);
        spawn.module = &selftest->ffi;
        spawn.config_json = sluice_text_of(plan.config);
        spawn.resources = &plan.granted;
        spawn.resource_count = plan.library[0] == '/' ? 1 : 0;
    }
    if (attack->memory_mib != 0) {
        spawn.limits.memory_bytes_max = (uint64_t)attack->memory_mib << 20;
    }
    if (attack->timeout_ms != 0) {
        spawn.limits.reply_timeout_ms = 2 * attack->timeout_ms;
        if (strstr(attack->name, " loop") != NULL) { /* of loading: nothing else ends it */
            spawn.limits.load_timeout_ms = is_script ? PATIENT_MS : 4 * attack->timeout_ms;
        }
    }
    status = sandbox_worker_spawn(selftest->sandbox, &spawn, now_ms(), ret_worker, text, text_size);
    free((void *)(uintptr_t)script.data);
    return status;
}

/* From spawn to the end. A worker that lives through its batches is drained: the last moments of a
 * plugin are its own too. */
static void run_course(struct selftest *selftest, const struct selftest_attack *attack,
                       struct course *course)
{
    struct sandbox_worker *worker = NULL;
    struct sandbox_event event;
    const sluice_status status =
        spawn_attack(selftest, attack, &worker, course->text, sizeof(course->text));

    if (status != SLUICE_OK) {
        course->breach = true;
        return;
    }
    if (wait_event(worker, SANDBOX_EVENT_READY, &event) != SANDBOX_EVENT_READY) {
        take_exit(&event, course);
    } else if (run_batches(worker, attack, course) && !course->breach &&
               sandbox_worker_drain(worker, now_ms()) == SLUICE_OK &&
               wait_event(worker, SANDBOX_EVENT_EXIT, &event) == SANDBOX_EVENT_EXIT &&
               event.exit.kind != SANDBOX_CAUSE_STOPPED) {
        take_exit(&event, course);
    }
    sandbox_worker_close(worker);
}

static bool is_as_expected(const struct selftest *selftest, const struct selftest_attack *attack,
                           const struct course *course)
{
    if (course->breach) {
        return false;
    }
    if (attack->how == SELFTEST_ANY) {
        return true;
    }
    if (course->how != attack->how ||
        (course->how == SELFTEST_KILLED && course->cause != attack->cause)) {
        return false;
    }
    if (course->how == SELFTEST_KILLED && course->cause == SANDBOX_CAUSE_DENIED &&
        !selftest_report(selftest)->listener) {
        return true; /* the kernel kills and names nothing */
    }
    return strstr(course->text, attack->text) != NULL;
}

void selftest_run(struct selftest *selftest, uint32_t index, struct selftest_result *ret_result)
{
    static const char *const ways[] = {"", "rejected", "answered"};
    const struct selftest_attack *attack = selftest_attack(index);
    struct course course = {.how = SELFTEST_ANSWERED};
    const int64_t begun_ms = now_ms();
    const char *fault;

    run_course(selftest, attack, &course);
    *ret_result = (struct selftest_result){.attack = attack};
    ret_result->held = is_as_expected(selftest, attack, &course);
    snprintf(ret_result->ended, sizeof(ret_result->ended), "%s",
             course.how == SELFTEST_KILLED ? sandbox_cause_name(course.cause) : ways[course.how]);
    snprintf(ret_result->text, sizeof(ret_result->text), "%s", course.text);
    fault = witness_fault(selftest);
    fault = fault != NULL ? fault : canary_fault(&selftest->canary);
    if (fault != NULL) {
        ret_result->held = false;
        snprintf(ret_result->text, sizeof(ret_result->text), "%s; the plugin: %.300s", fault,
                 course.text);
    }
    ret_result->elapsed_ms = (uint32_t)(now_ms() - begun_ms);
}

/* ---- the suite ---- */

sluice_status selftest_open(const struct selftest_options *options, struct selftest **ret_selftest,
                            char *text, size_t text_size)
{
    const struct sandbox_options sandbox = {.worker_path = options->worker_path,
                                            .no_listener = options->no_listener};
    struct selftest *selftest = calloc(1, sizeof(*selftest));
    sluice_status status;
    char path[640];

    if (selftest == NULL) {
        snprintf(text, text_size, "out of memory");
        return SLUICE_E_NO_MEMORY;
    }
    selftest->hostile.fd = selftest->lua.fd = selftest->ffi.fd = selftest->canary.listener = -1;
    snprintf(selftest->directory, sizeof(selftest->directory), "%s", options->directory);
    snprintf(path, sizeof(path), "%s/hostile.so", options->directory);
    status = sandbox_open(&sandbox, &selftest->sandbox, text, text_size);
    status = status != SLUICE_OK ? status : stage(path, &selftest->hostile, text, text_size);
    status =
        status != SLUICE_OK ? status : stage(options->lua_path, &selftest->lua, text, text_size);
    status =
        status != SLUICE_OK ? status : stage(options->ffi_path, &selftest->ffi, text, text_size);
    status = status != SLUICE_OK ? status : canary_open(&selftest->canary, text, text_size);
    status = status != SLUICE_OK ? status : start_witness(selftest, text, text_size);
    if (status != SLUICE_OK) {
        selftest_close(selftest);
        return status;
    }
    *ret_selftest = selftest;
    return SLUICE_OK;
}

struct selftest *selftest_close(struct selftest *selftest)
{
    if (selftest == NULL) {
        return NULL;
    }
    sandbox_worker_close(selftest->witness);
    canary_close(&selftest->canary);
    staged_module_close(&selftest->hostile);
    staged_module_close(&selftest->lua);
    staged_module_close(&selftest->ffi);
    sandbox_close(selftest->sandbox);
    free(selftest);
    return NULL;
}

const struct sandbox_report *selftest_report(const struct selftest *selftest)
{
    return sandbox_worker_report(selftest->witness);
}
