/* toy_host.c: see the header. */
#include "toy_host.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 30000 /* a hang of the test, not a measure of speed */

static _Noreturn void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "toy host: %s: %s\n", what, detail);
    abort();
}

int64_t toy_now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

struct toy_file toy_file_read(const char *path)
{
    struct toy_file file = {NULL, 0};
    FILE *stream = fopen(path, "rb");
    long size;

    if (stream == NULL || fseek(stream, 0, SEEK_END) != 0 || (size = ftell(stream)) < 0) {
        give_up("cannot read", path);
    }
    rewind(stream);
    file.size = (uint64_t)size;
    file.data = malloc(file.size + 1);
    if (file.data == NULL || fread(file.data, 1, file.size, stream) != file.size) {
        give_up("cannot read", path);
    }
    fclose(stream);
    return file;
}

void toy_host_init(struct toy_host *host, const char *module)
{
    const struct sandbox_options options = {.worker_path = SLUICE_BINARY_DIR "/bin/sluice-worker"};
    char path[512];
    char text[SANDBOX_TEXT_SIZE_MAX];
    struct toy_file file;

    *host = (struct toy_host){.module = {.fd = -1}};
    if (sandbox_open(&options, &host->sandbox, text, sizeof(text)) != SLUICE_OK) {
        give_up("sandbox_open", text);
    }
    snprintf(path, sizeof(path), SLUICE_BINARY_DIR "/tests/hostile/%s.so", module);
    file = toy_file_read(path);
    if (staged_module_open((struct sluice_bytes){file.data, file.size}, &host->module, text,
                           sizeof(text)) != SLUICE_OK) {
        give_up("staged_module_open", text);
    }
    free(file.data);
}

void toy_host_fini(struct toy_host *host)
{
    sandbox_worker_close(host->worker);
    staged_module_close(&host->module);
    sandbox_close(host->sandbox);
}

struct sandbox_spawn toy_host_spawn_defaults(const struct toy_host *host, const char *config)
{
    struct sandbox_limits limits = SANDBOX_LIMITS_DEFAULT;

    limits.load_timeout_ms = limits.reply_timeout_ms = 25000; /* a busy machine decides no test */
    return (struct sandbox_spawn){.instance = sluice_text_of("toy"),
                                  .module = &host->module,
                                  .config_json = sluice_text_of(config),
                                  .limits = limits,
                                  .geometry = SANDBOX_GEOMETRY_DEFAULT,
                                  .cpu = -1,
                                  .outputs_any = true};
}

void toy_host_spawn(struct toy_host *host, const struct sandbox_spawn *spawn)
{
    char text[SANDBOX_TEXT_SIZE_MAX];

    if (sandbox_worker_spawn(host->sandbox, spawn, toy_now_ms(), &host->worker, text,
                             sizeof(text)) != SLUICE_OK) {
        give_up("sandbox_worker_spawn", text);
    }
}

static void keep_log(struct toy_host *host, const struct sandbox_event *event)
{
    if (event->kind == SANDBOX_EVENT_LOG) {
        snprintf(host->logs[host->log_count % TOY_LOG_COUNT], sizeof(host->logs[0]), "%.*s",
                 (int)event->log.line.size, event->log.line.data);
        host->log_count++;
    }
}

static int pause_ms(const struct sandbox_worker *worker)
{
    const int64_t left = sandbox_worker_deadline(worker) - toy_now_ms();

    return left < 0 ? 0 : left > 1000 ? 1000 : (int)left;
}

uint32_t toy_host_wait(struct toy_host *host, uint32_t kind, struct sandbox_event *ret_event)
{
    const int64_t start_ms = toy_now_ms();

    for (;;) {
        struct pollfd descriptor = {.fd = sandbox_worker_fd(host->worker), .events = POLLIN};

        while (sandbox_worker_poll(host->worker, toy_now_ms(), ret_event)) {
            keep_log(host, ret_event);
            if (ret_event->kind == kind || ret_event->kind == SANDBOX_EVENT_EXIT) {
                return ret_event->kind;
            }
        }
        if (toy_now_ms() - start_ms > PATIENCE_MS) {
            give_up("nothing happened", "for 30 s");
        }
        poll(&descriptor, 1, pause_ms(host->worker));
        (void)sandbox_worker_expire(host->worker, toy_now_ms());
    }
}

void toy_host_start(struct toy_host *host, const char *module, const char *config)
{
    struct sandbox_event event;
    struct sandbox_spawn spawn;

    toy_host_init(host, module);
    spawn = toy_host_spawn_defaults(host, config);
    toy_host_spawn(host, &spawn);
    if (toy_host_wait(host, SANDBOX_EVENT_READY, &event) != SANDBOX_EVENT_READY) {
        give_up("not ready", event.exit.text);
    }
}

/* ---- records ---- */

static uint8_t *put_varint(uint8_t *at, int64_t value)
{
    uint64_t zigzag = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);

    while (zigzag >= 0x80) {
        *at++ = (uint8_t)(zigzag | 0x80);
        zigzag >>= 7;
    }
    *at++ = (uint8_t)zigzag;
    return at;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    if (text == NULL) {
        return put_varint(at, -1);
    }
    at = put_varint(at, (int64_t)strlen(text));
    memcpy(at, text, strlen(text));
    return at + strlen(text);
}

void toy_records_add(struct toy_records *records, const char *key, const char *value,
                     const char *header)
{
    uint8_t body[8192];
    uint8_t *at = body;
    uint8_t *out = records->bytes + records->size;

    *at++ = 0;
    at = put_varint(at, (int64_t)records->count * 10);
    at = put_varint(at, (int64_t)records->count);
    at = put_text(at, key);
    at = put_text(at, value);
    at = put_varint(at, header == NULL ? 0 : 1);
    if (header != NULL) {
        at = put_text(put_text(at, header), "h");
    }
    out = put_varint(out, at - body);
    memcpy(out, body, (size_t)(at - body));
    records->size = (uint32_t)(out - records->bytes) + (uint32_t)(at - body);
    records->count++;
}

struct sandbox_task toy_task(const struct toy_records *records, uint64_t id)
{
    return (struct sandbox_task){.id = id,
                                 .partition = 3,
                                 .timeout_ms = 5000,
                                 .kill_ms = 10000,
                                 .topic = sluice_text_of("orders"),
                                 .principal = sluice_text_of("Plugin:toy"),
                                 .records = {records->bytes, records->size},
                                 .record_count = records->count,
                                 .limit = records->count,
                                 .base_offset = 1000,
                                 .base_timestamp = 1700000000000};
}

uint32_t toy_host_run(struct toy_host *host, const struct sandbox_task *task,
                      struct sandbox_event *ret_event)
{
    if (sandbox_worker_submit(host->worker, task, toy_now_ms()) != SLUICE_OK) {
        give_up("submit", "refused");
    }
    return toy_host_wait(host, SANDBOX_EVENT_RESULT, ret_event);
}
