/* rehearsal_frontend.c: lives of a frontend on connections that are made up (sandbox_spawn).
 *
 * A life is a random walk by its seed: connections open, their bytes arrive in random pieces, they
 * end at any moment, whoever ends them; calls to the broker end in any order, before or after their
 * connection; tasks, ticks, reconfigurations. Memory and writes may be refused. The input lies
 * before a page that nobody may touch, so that reading beyond it dies. What a frontend may do is
 * judged by <sluice/frontend.h>; the order of calls is that of core/intake. */
#include "rehearsal_frontend.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEPS             2000u
#define TURNS_MAX         20000u /* of conn_input without an end */
#define REQUEST_BYTES_MAX (1u << 20)
#define LIFE_LETTERS      "lmwetk"

extern void *__libc_calloc(size_t count, size_t size);

/* ---- what stages share ---- */

uint32_t stage_draw(struct stage *stage, uint32_t below)
{
    stage->random = stage->random * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (uint32_t)((stage->random >> 33) % below);
}

void stage_doing(struct stage *stage, const char *call)
{
    stage->doing = call;
    if (!stage->quiet) {
        rehearsal_note(stage->worker, "%s, step %u of seed %llu", call, stage->step,
                       (unsigned long long)stage->seed);
    }
}

void stage_fault(struct stage *stage, const char *format, ...)
{
    va_list args;
    size_t used;

    if (stage->fault[0] != '\0') {
        return;
    }
    va_start(args, format);
    vsnprintf(stage->fault, sizeof(stage->fault), format, args);
    va_end(args);
    used = strlen(stage->fault);
    snprintf(stage->fault + used, sizeof(stage->fault) - used, " (in %s, step %u of seed %llu)",
             stage->doing, stage->step, (unsigned long long)stage->seed);
}

bool stage_may(struct stage *stage, const char *what)
{
    if (stage->over) {
        stage_fault(stage, "%s is called after destroy", what);
    }
    return !stage->over;
}

struct peer *stage_peer(struct stage *stage, uint64_t token)
{
    for (uint32_t i = 0; i < STAGE_PEERS_MAX; i++) {
        if (stage->peers[i].token == token && token != 0 && !stage->peers[i].dead) {
            return &stage->peers[i];
        }
    }
    return NULL;
}

/* Before and after each call into the frontend. */
static void enter(struct stage *stage, const char *call)
{
    stage_doing(stage, call);
    if (stage->deny_memory > 0 && stage_draw(stage, stage->deny_memory) == 0) {
        alloc_note_fail(1 + stage_draw(stage, 4));
    }
}

static void leave(struct stage *stage)
{
    if (stage->deny_memory > 0) {
        alloc_note_fail(0);
    }
}

/* ---- the host table ---- */

static struct stage *of_host(const struct sluice_host *host)
{
    return host->data;
}

static const void *get_extension(const struct sluice_host *host, const char *id)
{
    struct stage *stage = of_host(host);
    const struct {
        const char *id;
        const void *table;
    } offers[] = {
        {SLUICE_EXT_BROKER, &stage->broker},      {SLUICE_EXT_FRONTEND, &stage->io},
        {SLUICE_EXT_RECORDS, &stage->records},    {SLUICE_EXT_TASK, &stage->tasks},
        {SLUICE_EXT_FILTER, &stage->filter_host},
    };

    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        if (strcmp(id, offers[i].id) == 0) {
            return offers[i].table;
        }
    }
    return NULL;
}

static void log_line(const struct sluice_host *host, int32_t level, struct sluice_text line)
{
    (void)level;
    (void)line;
    (void)stage_may(of_host(host), "log");
}

static struct sluice_text get_config(const struct sluice_host *host, const char *key,
                                     struct sluice_text fallback)
{
    struct stage *stage = of_host(host);

    return stage_may(stage, "get_config") ? config_get(&stage->config, key, fallback) : fallback;
}

static struct sluice_text get_config_json(const struct sluice_host *host)
{
    (void)stage_may(of_host(host), "get_config_json");
    return of_host(host)->config.json;
}

static void set_error(const struct sluice_host *host, struct sluice_text reason)
{
    struct stage *stage = of_host(host);

    if (stage_may(stage, "set_error")) {
        snprintf(stage->error, sizeof(stage->error), "%.*s", (int)(reason.size & 0xfff),
                 reason.data != NULL ? reason.data : "");
    }
}

/* ---- connections ---- */

static void peer_die(struct stage *stage, struct peer *peer)
{
    const uint64_t token = peer->token;
    const char *before = stage->doing;

    if (peer->dead) {
        return;
    }
    peer->dead = true;
    if (peer->opened) {
        enter(stage, "conn_closed");
        stage->ops->conn_closed(stage->self, peer->conn);
        leave(stage);
    }
    stage_calls_cancel(stage, token);
    stage->doing = before;
}

static void read_all(const void *data, uint64_t size)
{
    const volatile uint8_t *bytes = data;

    for (uint64_t i = 0; i < size; i++) {
        (void)bytes[i];
    }
}

static sluice_status conn_write(const struct sluice_frontend_host *host, uint64_t token,
                                const struct sluice_piece *pieces, uint32_t count)
{
    struct stage *stage = host->data;
    struct peer *peer = stage_peer(stage, token);

    if (!stage_may(stage, "conn_write")) {
        return SLUICE_E_CANCELLED;
    }
    if (peer == NULL) {
        stage_fault(stage, "conn_write for connection %llu, %s", (unsigned long long)token,
                    token != 0 && token < stage->next_token ? "after its conn_closed"
                                                            : "which never was");
        return SLUICE_E_CANCELLED;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (pieces[i].token != 0 && pieces[i].token != stage->records_token) {
            stage_fault(stage, "conn_write with a token that is not of the running done of fetch");
        }
        read_all(pieces[i].bytes.data, pieces[i].bytes.size);
    }
    stage->writes++;
    if (peer->closing) {
        return SLUICE_E_CANCELLED;
    }
    if (stage->refuse_writes > 0 && peer->opened && stage_draw(stage, stage->refuse_writes) == 0) {
        peer_die(stage, peer);
        return SLUICE_E_NO_MEMORY;
    }
    return SLUICE_OK;
}

static void conn_close(const struct sluice_frontend_host *host, uint64_t token)
{
    struct stage *stage = host->data;
    struct peer *peer = stage_peer(stage, token);

    if (!stage_may(stage, "conn_close") || peer == NULL || peer->closing) {
        return;
    }
    peer->closing = true;
    if (peer->opened && stage_draw(stage, 2) == 0) {
        peer_die(stage, peer); /* nothing was queued */
    }
}

static void conn_pause(const struct sluice_frontend_host *host, uint64_t token)
{
    struct stage *stage = host->data;
    struct peer *peer = stage_peer(stage, token);

    if (stage_may(stage, "conn_pause") && peer != NULL) {
        peer->pauses++;
    }
}

static void conn_resume(const struct sluice_frontend_host *host, uint64_t token)
{
    struct stage *stage = host->data;
    struct peer *peer = stage_peer(stage, token);

    if (!stage_may(stage, "conn_resume") || peer == NULL) {
        return;
    }
    if (peer->pauses == 0) {
        stage_fault(stage, "conn_resume without its conn_pause");
        return;
    }
    peer->pauses--;
    peer->resumed = true;
}

static void set_tick(const struct sluice_frontend_host *host, uint32_t delay_ms)
{
    struct stage *stage = host->data;

    (void)delay_ms;
    stage->tick = stage_may(stage, "set_tick");
}

static int64_t now_ms(const struct sluice_frontend_host *host)
{
    struct stage *stage = host->data;

    (void)stage_may(stage, "now_ms");
    return stage->now_ms;
}

static int64_t wall_ms(const struct sluice_frontend_host *host)
{
    return 1700000000000 + now_ms(host);
}

/* ---- records, tasks ---- */

static uint32_t loop_number(const struct sluice_frontend_host *host)
{
    (void)stage_may(host->data, "loop");
    return 0;
}

/* It may have been taken since: then conn_drained comes. */
static uint64_t conn_queued(const struct sluice_frontend_host *host, uint64_t token)
{
    struct stage *stage = host->data;
    struct peer *peer = stage_peer(stage, token);

    if (!stage_may(stage, "conn_queued") || peer == NULL || stage_draw(stage, 4) != 0) {
        return 0;
    }
    peer->queued = true;
    return 1 + stage_draw(stage, 1u << 20);
}

static sluice_status build(const struct sluice_records_host *host,
                           const struct sluice_record *records, uint32_t count, uint32_t stride,
                           struct sluice_bytes *ret_batch)
{
    static const uint8_t batch[64] = {1};
    struct stage *stage = host->data;
    const char *at = (const char *)records;

    if (!stage_may(stage, "build") || count == 0) {
        return SLUICE_E_INVALID;
    }
    for (uint32_t i = 0; i < count; i++, at += stride) {
        const struct sluice_record *record = (const void *)at;

        read_all(record->key.data, record->key.size);
        read_all(record->value.data, record->value.size);
    }
    if (stage_draw(stage, 16) == 0) {
        return SLUICE_E_LIMIT;
    }
    *ret_batch = (struct sluice_bytes){batch, sizeof(batch)};
    return SLUICE_OK;
}

static sluice_status each(const struct sluice_records_host *host, struct sluice_bytes batches,
                          int64_t offset, sluice_record_each *take, void *arg,
                          int64_t *ret_next_offset)
{
    static const char *const values[] = {"plain", "", "{\"a\":1}", "\xff\n\x01"};
    struct stage *stage = host->data;
    const uint32_t count = batches.size > 0 ? stage_draw(stage, 6) : 0;
    bool goes_on = stage_may(stage, "each");

    for (uint32_t i = 0; i < count && goes_on; i++) {
        const char *value = values[stage_draw(stage, 4)];
        const struct sluice_record record = {.size = sizeof(record),
                                             .offset = offset + i,
                                             .value = {(const uint8_t *)value, strlen(value)}};

        goes_on = take(arg, &record);
        *ret_next_offset = record.offset + 1;
    }
    return stage_draw(stage, 16) == 0 ? SLUICE_E_CORRUPT_BATCH : SLUICE_OK;
}

static sluice_status submit(const struct sluice_task_host *host, uint32_t priority,
                            sluice_task_work *work, sluice_task_done *done, void *arg)
{
    struct stage *stage = host->data;

    if (!stage_may(stage, "submit") || work == NULL || priority >= SLUICE_TASK_PRIORITIES) {
        return SLUICE_E_INVALID;
    }
    if (stage->task_count == STAGE_TASKS_MAX) {
        return SLUICE_E_LIMIT;
    }
    stage->task_items[stage->task_count++] = (struct task_item){work, done, arg};
    return SLUICE_OK;
}

struct piece_of_work {
    struct task_item item;
};

static void run_work(void *arg)
{
    struct piece_of_work *piece = arg;

    piece->item.work(piece->item.arg);
}

/* Its work on a thread of the host's, if one is free, then its done here. */
static void task_run(struct stage *stage)
{
    struct piece_of_work piece = {stage->task_items[0]};

    memmove(stage->task_items, stage->task_items + 1,
            --stage->task_count * sizeof(stage->task_items[0]));
    stage_doing(stage, "the work of a task");
    threads_run(stage->worker, stage->quiet ? 0 : 3, run_work, &piece);
    enter(stage, "the done of a task");
    if (piece.item.done != NULL) {
        piece.item.done(piece.item.arg);
    }
    leave(stage);
}

/* ---- steps ---- */

static struct peer *free_peer(struct stage *stage)
{
    for (uint32_t i = 0; i < STAGE_PEERS_MAX; i++) {
        if (stage->peers[i].token == 0) {
            return &stage->peers[i];
        }
    }
    return NULL;
}

static void step_open(struct stage *stage)
{
    struct peer *peer = free_peer(stage);
    struct sluice_connection connection = {.size = sizeof(connection)};
    sluice_status status;

    if (peer == NULL || stage->connections >= stage->connections_max) {
        return;
    }
    memset(peer, 0, offsetof(struct peer, bytes));
    peer->token = stage->next_token++;
    client_make(stage, peer);
    snprintf(stage->open_text, sizeof(stage->open_text), "192.0.2.7 rehearsal");
    connection.token = peer->token;
    connection.context = (struct sluice_context){.size = sizeof(connection.context),
                                                 .principal = {"User:ANONYMOUS", 14},
                                                 .listener = {"rehearsal", 9},
                                                 .client_host = {stage->open_text, 9},
                                                 .connection = peer->token};
    enter(stage, "conn_open");
    status = stage->ops->conn_open(stage->self, &connection, &peer->conn);
    leave(stage);
    memset(stage->open_text, '?', sizeof(stage->open_text));
    peer->opened = status == SLUICE_OK;
    stage->connections++;
    if (status != SLUICE_OK && stage->deny_memory == 0) {
        stage_fault(stage, "conn_open refuses a connection with status %d", status);
    }
    if (!peer->opened || peer->closing) {
        peer_die(stage, peer);
    }
}

/* One call. False: it waits for something. */
static bool feed_once(struct stage *stage, struct peer *peer)
{
    const uint32_t have = peer->end - peer->start;
    uint8_t *input = stage->guarded + STAGE_INPUT_MAX - have;
    uint64_t consumed = 0;
    uint64_t wanted = 0;
    sluice_status status;

    if (have == 0 || have < peer->wanted) {
        return false;
    }
    memcpy(input, peer->bytes + peer->start, have);
    peer->resumed = false;
    stage->pieces++;
    enter(stage, "conn_input");
    status = stage->ops->conn_input(stage->self, peer->conn, (struct sluice_bytes){input, have},
                                    &consumed, &wanted);
    leave(stage);
    memset(input, 0xdd, have);
    if (peer->dead) {
        return false;
    }
    if (status == SLUICE_OK && consumed > have) {
        stage_fault(stage, "conn_input consumes %llu of %u bytes", (unsigned long long)consumed,
                    have);
    }
    if (status != SLUICE_OK || consumed > have || wanted > REQUEST_BYTES_MAX) {
        conn_close(&stage->io, peer->token);
        return false;
    }
    peer->start += (uint32_t)consumed;
    peer->wanted = wanted;
    return consumed > 0 || wanted > have || peer->resumed;
}

static void feed(struct stage *stage, struct peer *peer)
{
    uint32_t turns = 0;

    if (peer->feeding) {
        return;
    }
    peer->feeding = true;
    while (!peer->dead && !peer->closing && peer->pauses == 0 && stage->fault[0] == '\0' &&
           feed_once(stage, peer)) {
        if (++turns == TURNS_MAX) {
            stage_fault(stage, "conn_input wants to be called again without end");
        }
    }
    peer->feeding = false;
}

static struct peer *draw_peer(struct stage *stage)
{
    struct peer *peer = &stage->peers[stage_draw(stage, STAGE_PEERS_MAX)];

    return peer->token != 0 && !peer->dead && peer->opened ? peer : NULL;
}

static void step_arrive(struct stage *stage)
{
    struct peer *peer = draw_peer(stage);
    uint32_t size;

    if (peer == NULL || peer->closing) {
        return;
    }
    size = peer->size - peer->end;
    if (size > 1) {
        const uint32_t how = stage_draw(stage, 3);

        size = how == 0 ? 1 : how == 1 ? 1 + stage_draw(stage, size < 16 ? size : 16) : size;
    }
    peer->end += size;
    feed(stage, peer);
}

static void step_close(struct stage *stage)
{
    struct peer *peer = draw_peer(stage);

    if (peer != NULL) {
        peer_die(stage, peer);
    }
}

static void step_call(struct stage *stage)
{
    if (stage_filter_waits(stage) && stage_draw(stage, 2) == 0) {
        enter(stage, "a filter's answer");
        stage_filter_end(stage);
        leave(stage);
    } else if (stage->call_count > 0) {
        enter(stage, "a done");
        stage_call_end(stage, stage_draw(stage, stage->call_count), false);
        leave(stage);
    }
}

static void step_task(struct stage *stage)
{
    if (stage->task_count > 0) {
        task_run(stage);
    }
}

static void step_tick(struct stage *stage)
{
    stage->now_ms += stage_draw(stage, 5000);
    if (stage->tick && stage->ops->tick != NULL) {
        stage->tick = false;
        enter(stage, "tick");
        stage->ops->tick(stage->self);
        leave(stage);
    }
}

static void step_reconfigure(struct stage *stage)
{
    if (stage->ops->reconfigure != NULL && stage_draw(stage, 8) == 0) {
        enter(stage, "reconfigure");
        (void)stage->ops->reconfigure(stage->self);
        leave(stage);
    }
}

static void drain(struct stage *stage, struct peer *peer)
{
    bool asks = stage->ops->size >= offsetof(struct sluice_frontend, conn_drained) +
                                        sizeof(stage->ops->conn_drained) &&
                stage->ops->conn_drained != NULL;

    if (asks && peer->opened && !peer->closing && stage_draw(stage, 4) == 0) {
        peer->queued = false;
        enter(stage, "conn_drained");
        stage->ops->conn_drained(stage->self, peer->conn);
        leave(stage);
    }
}

/* A note that some connection sent comes to another, or to itself. */
static void tell(struct stage *stage, struct peer *peer)
{
    bool asks = stage->ops->size >=
                    offsetof(struct sluice_frontend, conn_told) + sizeof(stage->ops->conn_told) &&
                stage->ops->conn_told != NULL;

    if (asks && stage->note_size > 0 && peer->opened && !peer->closing &&
        stage_draw(stage, 8) == 0) {
        enter(stage, "conn_told");
        (void)stage->ops->conn_told(stage->self, peer->conn,
                                    (struct sluice_bytes){stage->note, stage->note_size});
        leave(stage);
    }
}

/* What became possible: peers that took all that was queued are told of, those that resumed are
 * fed, those that ended are forgotten. */
static void settle(struct stage *stage)
{
    for (uint32_t i = 0; i < STAGE_PEERS_MAX; i++) {
        struct peer *peer = &stage->peers[i];

        if (peer->token != 0 && !peer->dead && peer->closing && stage_draw(stage, 2) == 0) {
            peer_die(stage, peer); /* all was sent */
        }
        if (peer->token != 0 && !peer->dead && peer->queued) {
            drain(stage, peer);
        }
        if (peer->token != 0 && !peer->dead) {
            tell(stage, peer);
        }
        if (peer->token != 0 && !peer->dead && peer->resumed) {
            feed(stage, peer);
        }
        if (peer->dead) {
            peer->token = 0;
            peer->dead = false;
        }
    }
}

/* ---- a life ---- */

static void end_tasks(struct stage *stage)
{
    for (uint32_t i = 0; stage->task_count > 0 && i < 10000; i++) {
        task_run(stage);
    }
}

static void end_calls(struct stage *stage)
{
    for (uint32_t i = 0; stage->call_count > 0 && i < 10000; i++) {
        enter(stage, "a done");
        stage_call_end(stage, 0, true);
        leave(stage);
    }
}

static void life_end(struct stage *stage)
{
    for (uint32_t i = 0; i < STAGE_PEERS_MAX; i++) {
        if (stage->peers[i].token != 0) {
            peer_die(stage, &stage->peers[i]);
        }
    }
    if (stage_filters_open(stage) > 0) {
        stage_fault(stage, "leaves %u filters open behind its connections",
                    stage_filters_open(stage));
    }
    end_tasks(stage);
    if (!stage->early) {
        end_calls(stage);
        end_tasks(stage);
    }
    stage_doing(stage, "destroy");
    stage->ops->destroy(stage->self);
    stage->over = true;
    end_calls(stage);
}

static void walk(struct stage *stage)
{
    static void (*const steps[])(struct stage *) = {
        step_open,   step_arrive, step_arrive, step_arrive,     step_arrive,
        step_arrive, step_arrive, step_call,   step_call,       step_call,
        step_close,  step_task,   step_tick,   step_reconfigure};

    for (stage->step = 1; stage->step <= STEPS && stage->fault[0] == '\0'; stage->step++) {
        steps[stage_draw(stage, sizeof(steps) / sizeof(steps[0]))](stage);
        settle(stage);
    }
}

static void tables_init(struct stage *stage)
{
    stage->host = (struct sluice_host){.size = sizeof(stage->host),
                                       .abi_minor = SLUICE_ABI_MINOR,
                                       .data = stage,
                                       .get_extension = get_extension,
                                       .log = log_line,
                                       .get_config = get_config,
                                       .get_config_json = get_config_json,
                                       .set_error = set_error};
    stage->io = (struct sluice_frontend_host){.size = sizeof(stage->io),
                                              .data = stage,
                                              .conn_write = conn_write,
                                              .conn_close = conn_close,
                                              .conn_pause = conn_pause,
                                              .conn_resume = conn_resume,
                                              .set_tick = set_tick,
                                              .now_ms = now_ms,
                                              .wall_ms = wall_ms,
                                              .conn_queued = conn_queued,
                                              .loop = loop_number};
    stage->records = (struct sluice_records_host){
        .size = sizeof(stage->records), .data = stage, .build = build, .each = each};
    stage->tasks =
        (struct sluice_task_host){.size = sizeof(stage->tasks), .data = stage, .submit = submit};
    stage_broker_init(stage);
}

/* Runs whole lives on whatever thread it is called. */
static void life(void *arg)
{
    struct stage *stage = arg;
    sluice_status status;

    stage->random = stage->seed ^ 0x9e3779b97f4a7c15u;
    stage->next_token = 1;
    stage->over = stage->tick = false;
    stage->step = 0;
    stage->now_ms = 1000;
    stage->call_count = stage->task_count = 0;
    stage_filters_init(stage);
    stage->error[0] = '\0';
    stage->connections = 0;
    memset(stage->peers, 0, sizeof(stage->peers));
    tables_init(stage);
    enter(stage, "create");
    status = stage->ops->create(&stage->host, &stage->self);
    leave(stage);
    if (status != SLUICE_OK) {
        if (stage->deny_memory == 0) {
            stage_fault(stage, "create refuses with status %d: %s", status, stage->error);
        }
        return;
    }
    walk(stage);
    if (stage->fault[0] == '\0') {
        life_end(stage);
    }
    stage->connections_total += stage->connections;
}

static struct alloc_live life_leaves(struct stage *stage)
{
    struct alloc_live live;

    alloc_note_count(true);
    life(stage);
    config_fini(&stage->config);
    live = alloc_note_live();
    alloc_note_count(false);
    return live;
}

/* The same life again and again: what each leaves behind is lost. */
static void life_leaks(struct stage *stage)
{
    const uint64_t connections = stage->connections_max;
    struct alloc_live live;

    stage->connections_max = 0;
    (void)life_leaves(stage);
    live = life_leaves(stage);
    if (live.blocks > 0 && life_leaves(stage).blocks == live.blocks) {
        stage_fault(stage, "create and destroy leave %lld blocks of memory behind (%lld bytes)",
                    (long long)live.blocks, (long long)live.bytes);
    }
    stage->connections_max = connections;
    (void)life_leaves(stage);
    live = life_leaves(stage);
    if (live.blocks > 0 && life_leaves(stage).blocks == live.blocks) {
        stage_fault(
            stage, "%llu connections leave %lld blocks of memory behind (%lld bytes), each time",
            (unsigned long long)stage->connections, (long long)live.blocks, (long long)live.bytes);
    }
}

/* ---- all of them ---- */

static void check_entry(const struct sluice_plugin_descriptor *plugin)
{
    static const char *const offered[] = {SLUICE_EXT_BROKER, SLUICE_EXT_FRONTEND,
                                          SLUICE_EXT_RECORDS, SLUICE_EXT_TASK, SLUICE_EXT_FILTER};
    const struct sluice_frontend *ops = plugin->entry;
    const char *const *required = plugin->required_extensions;

    for (; required != NULL && *required != NULL; required++) {
        bool is_offered = false;

        for (size_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++) {
            is_offered = is_offered || strcmp(*required, offered[i]) == 0;
        }
        if (!is_offered) {
            link_fail(SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_ABI,
                      "requires %s, which a frontend is not offered", *required);
        }
    }
    if (ops->size < sizeof(*ops) || ops->create == NULL || ops->destroy == NULL ||
        ops->conn_open == NULL || ops->conn_input == NULL || ops->conn_closed == NULL) {
        link_fail(SANDBOX_CAUSE_REFUSED, SLUICE_E_PLUGIN_ABI,
                  "leaves out a call that every frontend has");
    }
}

static uint8_t *guarded_new(void)
{
    const size_t page = 4096;
    uint8_t *memory = mmap(NULL, STAGE_INPUT_MAX + page, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED || mprotect(memory + STAGE_INPUT_MAX, page, PROT_NONE) != 0) {
        link_fail(SANDBOX_CAUSE_SETUP, SLUICE_E_NO_MEMORY, "has no memory to be rehearsed");
    }
    return memory;
}

static struct stage *stage_new(struct worker *worker, const struct words *words)
{
    struct stage *stage = __libc_calloc(1, sizeof(*stage));

    if (stage == NULL) {
        link_fail(SANDBOX_CAUSE_SETUP, SLUICE_E_NO_MEMORY, "has no memory to be rehearsed");
    }
    stage->worker = worker;
    stage->words = words;
    stage->ops = worker->plugin->entry;
    stage->doing = "create";
    stage->guarded = guarded_new();
    stage->config.json = worker->config.json;
    return stage;
}

static void run_letter(struct stage *stage, struct stage *other, char letter, uint64_t seed)
{
    struct worker *worker = stage->worker;

    stage->seed = seed;
    stage->connections_max = 1000;
    stage->deny_memory = letter == 'm' ? 3 : 0;
    stage->refuse_writes = letter == 'w' ? 6 : 0;
    stage->early = letter == 'e';
    stage->quiet = letter == 't';
    if (letter == 't') {
        other->seed = seed + 1000003;
        other->connections_max = stage->connections_max;
        other->quiet = true;
        rehearsal_note(worker, "two instances on two threads, seed %llu", (unsigned long long)seed);
        threads_run_both(worker, life, stage, other);
    } else if (letter == 'k') {
        life_leaks(stage);
    } else {
        life(stage);
    }
    if (stage->fault[0] != '\0' || other->fault[0] != '\0') {
        link_fail(SANDBOX_CAUSE_REFUSED, SLUICE_E_INVALID, "%s",
                  stage->fault[0] != '\0' ? stage->fault : other->fault);
    }
}

void rehearse_frontend(struct worker *worker)
{
    static struct words words;
    const struct boot_span span = worker->boot->rehearsal;
    const char *letters = (const char *)worker->boot + span.at;
    struct stage *stages[2];
    uint32_t lives = 0;

    check_entry(worker->plugin);
    words_init(&words);
    stages[0] = stage_new(worker, &words);
    stages[1] = stage_new(worker, &words);
    for (uint32_t i = 0; i < span.size; i++) {
        if (strchr(LIFE_LETTERS, letters[i]) != NULL) {
            run_letter(stages[0], stages[1], letters[i], worker->boot->rehearsal_seed + i);
            lives++;
        }
    }
    threads_end(worker);
    link_fail(SANDBOX_CAUSE_STOPPED, SLUICE_OK,
              "%u lives, %llu connections, %llu inputs, %llu writes, %llu calls to the broker",
              lives,
              (unsigned long long)(stages[0]->connections_total + stages[1]->connections_total),
              (unsigned long long)(stages[0]->pieces + stages[1]->pieces),
              (unsigned long long)(stages[0]->writes + stages[1]->writes),
              (unsigned long long)(stages[0]->asked + stages[1]->asked));
}
