/* sluice_run.c: the start (loops, shards, plugins, frontends) and the stop (listeners, connections,
 * logs, loops). Each step runs in every room, on its loop, and is told to loop 0, which begins the
 * next. */
#include "broker/sluice_state.h"

#include "base/status.h"
#include "os/os_program.h"

#include <stdio.h>

#define BEAT_NS           (500 * 1000000LL)
#define CONNECTIONS_EXTRA 64u       /* for frontends beside Kafka's */
#define STOP_LINGER_MS    500       /* answers that are queued are taken by then */
#define STOP_LOOK_NS      1000000LL /* how often a room that ends looks whether it is quiet */

struct room_step {
    struct sl_task task;
    struct loop_room *room;
    sl_err err;
};

static void in_every_room(struct sluice *sluice, void (*run)(struct sl_task *task))
{
    sluice->rooms_pending = sluice->room_count;
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        struct room_step *step = sl_alloc_zero(1, sizeof(*step));
        SL_ASSERT(step != NULL);
        step->room = &sluice->rooms[i];
        step->task = (struct sl_task){.run = run, .priority = SL_PRIORITY_CONTROL};
        sl_loop_post(step->room->loop, &step->task);
    }
}

/* ---- starting ---- */

static void room_settle(struct loop_room *room);

static void beat(void *arg)
{
    struct loop_room *room = arg;
    struct sluice *sluice = room->sluice;
    intake_tick(&room->intake);
    if (room->ending != NULL) {
        room_settle(room);
        return;
    }
    broker_counters_publish(room);
    sluice_facts_publish_plugins(room);
    __atomic_store_n(&room->beat_ms, sl_loop_now_ns(room->loop) / 1000000, __ATOMIC_RELAXED);
    for (uint32_t i = 0; room->index == 0 && i < sluice->room_count; i++) {
        struct loop_room *other = &sluice->rooms[i];
        uint64_t known = atomic_load_explicit(
            &other->counters.cells[BROKER_METRIC_CONNECTIONS]->value, memory_order_relaxed);
        other->expected_connections = (uint32_t)known;
    }
    if (room->index == 0) {
        sl_logger_tick(sluice->logger);
        storage_watch_beat(&sluice->storage);
        frontend_set_beat(&sluice->frontends);
    }
    sl_timer_start(room->beat, BEAT_NS);
}

static void announce_ready(void *arg)
{
    struct sluice *sluice = arg;
    sluice->started = true;
    sl_log(sluice->logger, SL_LOG_INFO, "sluice", "ready", sl_log_text("version", SLUICE_VERSION),
           sl_log_text("data", sluice->config->data.dir),
           sl_log_text("plugins", sluice->config->plugins.dir),
           sl_log_text("admin", sluice->config->admin.socket),
           sl_log_u64("shards", sluice->shards.count),
           sl_log_duration("took", sl_os_mono_ns(sluice->os) - sluice->started_ns));
    if (!config_has_disk(sluice->config)) {
        sl_log(sluice->logger, SL_LOG_WARN, "sluice",
               "no disk (data.dir: none): topics, records, groups and offsets are in memory, and "
               "NOTHING IS LEFT after the end",
               sl_log_size("memory", (uint64_t)sluice->config->memory.bytes_max));
    }
    if (sluice->events.ready != NULL) {
        sluice->events.ready(sluice->events.arg);
    }
}

/* First-party frontends that the configuration enables; one that is not there is said, not fatal.
 */
static void open_frontends(struct sluice *sluice)
{
    const struct sl_config *config = sluice->config;
    sluice->frontends.settled = announce_ready;
    sluice->frontends.settled_arg = sluice;
    sluice->frontends.opening_count++; /* until all are asked for */
    for (uint32_t i = 0; i < config->plugins.enabled.count; i++) {
        char path[FRONTEND_PATH_BYTES];
        char name[FRONTEND_NAME_BYTES];
        snprintf(path, sizeof(path), "%s/%s.so", config->plugins.system_dir,
                 config->plugins.enabled.items[i]);
        if (frontend_name_of(path, name)) {
            frontend_set_open(&sluice->frontends, name, path);
        }
    }
    if (--sluice->frontends.opening_count == 0) {
        announce_ready(sluice);
    }
}

/* Gates stand before the first record can come in. */
static void plugins_started(void *arg)
{
    struct sluice *sluice = arg;
    __atomic_store_n(&sluice->plugins_started, true, __ATOMIC_RELEASE);
    if (!sluice->stopping) {
        open_frontends(sluice);
    }
}

static void start_services(struct sluice *sluice)
{
    sluice->shards.shards[0]->publish_access = access_keeper_publish;
    sluice->shards.shards[0]->publish_access_arg = &sluice->access;
    access_keeper_start(&sluice->access);
    key_keeper_start(&sluice->keys);
    sl_err err = admin_socket_open(&sluice->admin, sluice);
    if (err != SLUICE_OK) {
        sl_log(sluice->logger, SL_LOG_ERROR, "admin",
               "commands that talk to this broker will not work", sl_log_err(err));
    }
    if (sluice->shards.shards[0]->status != SLUICE_OK) {
        sl_log(
            sluice->logger, SL_LOG_ERROR, "sluice",
            "shard 0 holds the catalog and refuses: no listener is opened; repair it and restart",
            sl_log_text("problem", sluice->shards.shards[0]->recovery.problem));
        return;
    }
    sluice->plugins_begun = true;
    err = plugin_manager_start(sluice->plugins, plugins_started, sluice);
    if (err != SLUICE_OK) {
        sl_log(sluice->logger, SL_LOG_ERROR, "plugin", "no plugin can run here", sl_log_err(err));
        open_frontends(sluice);
    }
}

static void room_started(struct sl_task *task)
{
    struct room_step *step = SL_CONTAINER_OF(task, struct room_step, task);
    struct sluice *sluice = step->room->sluice;
    sl_err err = step->err;
    sl_free(step);
    if (err != SLUICE_OK) {
        sl_log(sluice->logger, SL_LOG_ERROR, "sluice", "a loop could not start", sl_log_err(err));
        sluice_stop(sluice);
        return;
    }
    if (--sluice->rooms_pending == 0 && !sluice->stopping) {
        start_services(sluice);
    }
}

static void calls_ended(void *arg)
{
    struct loop_room *room = arg;
    intake_calls_ended(&room->intake);
}

/* For filters in Lua of those who subscribe on this loop. */
static sl_err open_filters(struct loop_room *room)
{
    const struct sl_config *config = room->sluice->config;
    char worker[SL_PROGRAM_PATH_BYTES];
    sl_program_worker(config->executable, worker);
    struct filter_pool_config filters = {
        .os = room->sluice->os,
        .loop = room->loop,
        .logger = room->sluice->logger,
        .system_dir = config->plugins.system_dir,
        .worker_path = worker,
        .limits = {.expressions_max = (uint32_t)config->native.filters.max,
                   .errors_max = (uint32_t)config->native.filters.errors_max,
                   .timeout_ms = (uint32_t)config->native.filters.timeout_ms,
                   .memory_bytes = (uint64_t)config->native.filters.memory_bytes,
                   .cpu_percent = (uint32_t)config->native.filters.cpu_percent},
    };
    room->intake.filters = &room->filters.host;
    return filter_pool_init(&room->filters, &filters);
}

static void start_room(struct sl_task *task)
{
    struct room_step *step = SL_CONTAINER_OF(task, struct room_step, task);
    struct loop_room *room = step->room;
    struct sluice *sluice = room->sluice;
    uint64_t flow_seed = 0;
    sl_os_random(sluice->os, &flow_seed, sizeof(flow_seed));
    flow_book_init(&room->flow, flow_seed);
    flow_book_init(&room->readers, flow_seed);
    broker_link_init(&room->link, room->shards[0], &room->intake, &sluice->facts);
    room->link.flow = &room->flow;
    room->link.readers = &room->readers;
    broker_guard_init(&room->guard, &room->link, policy_ref(sluice->access.policy));
    for (uint32_t i = 0; i < room->shard_count; i++) {
        room->shards[i]->policy = room->guard.policy;
    }
    security_link_init(&room->security, &room->guard, &room->intake, false);
    uint32_t connections = CONNECTIONS_EXTRA;
    for (uint32_t i = 0; i < sluice->listeners[0].count; i++) {
        const struct listener_gate *gate = &sluice->listeners[0].listeners[i]->gate;
        connections += (uint32_t)listener_limit(gate, LISTENER_LIMIT_CONNECTIONS);
    }
    connections += (uint32_t)sluice->config->native.connections_max * sluice->listeners[2].count;
    sl_err err = intake_init(&room->intake, sluice->os, room->loop, sluice->logger, &room->cache,
                             room->guard.policy->enabled ? &room->guard.table : &room->link.table,
                             connections, (size_t)sluice->config->core.decompressed_bytes_max);
    login_desk_limit(&room->intake.logins, (uint32_t)sluice->config->security.logins_at_once,
                     (uint32_t)sluice->config->security.logins_waiting_max);
    room->intake.security = &room->security.table;
    room->intake.loop_number = room->shards[0]->index;
    room->shards[0]->intake = &room->intake;
    quota_link_init(&room->quota, &room->guard, room->shards[0], sluice->os, false);
    room->quota.throttled = broker_counters_throttled;
    room->quota.throttled_arg = room;
    room->intake.quota = &room->quota.table;
    telemetry_link_init(&room->telemetry, &sluice->telemetry, room->shards[0], &room->link.table);
    room->intake.telemetry = telemetry_link_table(&room->telemetry);
    err = err != SLUICE_OK ? err : open_filters(room);
    room->intake.cancel = broker_link_cancel;
    room->intake.cancel_arg = &room->link;
    room->intake.calls_pending = broker_link_calls_pending;
    room->intake.calls_pending_arg = &room->link;
    room->shards[0]->idle = calls_ended;
    room->shards[0]->idle_arg = room;
    for (uint32_t i = 0; i < room->shard_count && err == SLUICE_OK; i++) {
        err = shard_start(room->shards[i]);
    }
    err = err != SLUICE_OK ? err : sl_timer_new(room->loop, beat, room, &room->beat);
    if (err == SLUICE_OK) {
        beat(room);
    }
    step->err = err;
    step->task = (struct sl_task){.run = room_started, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(sluice->rooms[0].loop, &step->task);
}

void sluice_run(struct sluice *sluice)
{
    sluice->has_run = true;
    in_every_room(sluice, start_room);
    for (uint32_t i = 1; i < sluice->room_count; i++) {
        sl_err err = sl_loop_start(sluice->rooms[i].loop);
        SL_ASSERT(err == SLUICE_OK);
    }
    sl_loop_run(sluice->rooms[0].loop);
    for (uint32_t i = 1; i < sluice->room_count; i++) {
        sl_loop_join(sluice->rooms[i].loop);
    }
}

/* ---- stopping: listeners, connections, logs, loops ---- */

static void room_ended(struct sl_task *task)
{
    struct room_step *step = SL_CONTAINER_OF(task, struct room_step, task);
    struct sluice *sluice = step->room->sluice;
    sl_free(step);
    if (--sluice->rooms_pending > 0) {
        return;
    }
    sl_log(sluice->logger, SL_LOG_INFO, "sluice", "stopped");
    if (sluice->events.stopped != NULL) {
        sluice->events.stopped(sluice->events.arg);
    }
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        sl_loop_stop(sluice->rooms[i].loop);
    }
}

/* Nothing is under way that would come back to this loop: no connection, no call to a shard, no
 * memory lent to another loop. */
static bool room_is_quiet(struct loop_room *room)
{
    bool is_quiet = intake_is_empty(&room->intake) && room->cache.used_bytes == 0 &&
                    filter_pool_is_quiet(&room->filters);
    for (uint32_t i = 0; i < room->shard_count; i++) {
        is_quiet = is_quiet && room->shards[i]->requests == 0;
    }
    return is_quiet && (room->index > 0 || frontend_set_is_quiet(&room->sluice->frontends));
}

static void room_settle(struct loop_room *room)
{
    struct room_step *step = room->ending;
    int64_t waited_ms = sl_loop_now_ns(room->loop) / 1000000 - room->ending_since_ms;
    if (waited_ms > STOP_LINGER_MS) {
        intake_abort(&room->intake); /* who does not read by then gets no more */
    }
    if (room->beat != NULL && !room_is_quiet(room)) {
        sl_timer_start(room->beat, STOP_LOOK_NS);
        return;
    }
    room->ending = NULL;
    room->beat = sl_timer_free(room->beat);
    step->task = (struct sl_task){.run = room_ended, .priority = SL_PRIORITY_BACKGROUND};
    sl_loop_post(room->sluice->rooms[0].loop, &step->task);
}

static void end_room(struct sl_task *task)
{
    struct room_step *step = SL_CONTAINER_OF(task, struct room_step, task);
    step->room->ending = step;
    step->room->ending_since_ms = sl_loop_now_ns(step->room->loop) / 1000000;
    room_settle(step->room);
}

static void shard_closed_home(struct sl_task *task)
{
    struct room_step *step = SL_CONTAINER_OF(task, struct room_step, task);
    struct sluice *sluice = step->room->sluice;
    sl_free(step);
    if (--sluice->shards_pending == 0) {
        in_every_room(sluice, end_room);
    }
}

static void shard_closed(void *arg)
{
    struct room_step *step = arg;
    step->task = (struct sl_task){.run = shard_closed_home, .priority = SL_PRIORITY_BACKGROUND};
    sl_loop_post(step->room->sluice->rooms[0].loop, &step->task);
}

static void stop_room(struct sl_task *task)
{
    struct room_step *step = SL_CONTAINER_OF(task, struct room_step, task);
    struct loop_room *room = step->room;
    sl_free(step);
    for (uint32_t i = 0; i < room->shard_count; i++) {
        struct room_step *closing = sl_alloc_zero(1, sizeof(*closing));
        SL_ASSERT(closing != NULL);
        closing->room = room;
        shard_stop(room->shards[i], shard_closed, closing);
    }
}

static void plugins_stopped(void *arg)
{
    struct sluice *sluice = arg;
    sluice->shards_pending = sluice->shards.count;
    in_every_room(sluice, stop_room);
}

void sluice_stop(struct sluice *sluice)
{
    if (sluice->stopping) {
        return;
    }
    __atomic_store_n(&sluice->stopping, true, __ATOMIC_RELAXED);
    sl_log(sluice->logger, SL_LOG_INFO, "sluice", "stopping");
    if (sluice->events.stopping != NULL) {
        sluice->events.stopping(sluice->events.arg);
    }
    frontend_set_close_all(&sluice->frontends);
    access_keeper_stop(&sluice->access);
    key_keeper_stop(&sluice->keys);
    admin_socket_close(&sluice->admin);
    if (sluice->plugins_begun) {
        plugin_manager_stop(sluice->plugins, plugins_stopped, sluice);
    } else {
        plugins_stopped(sluice);
    }
}

/* ---- the end of one that never ran ---- */

struct unrun {
    struct sl_task task;
    struct loop_room *room;
    uint32_t pending;
};

static void unrun_closed(void *arg)
{
    struct unrun *unrun = arg;
    if (--unrun->pending == 0) {
        sl_loop_stop(unrun->room->loop);
    }
}

static void unrun_close(struct sl_task *task)
{
    struct unrun *unrun = SL_CONTAINER_OF(task, struct unrun, task);
    for (uint32_t i = 0; i < unrun->room->shard_count; i++) {
        shard_stop(unrun->room->shards[i], unrun_closed, unrun);
    }
}

/* Room by room, each loop on this thread: nothing crosses loops before they run. A room has fewer
 * shards, or none, where one could not be opened. */
void sluice_close_shards(struct sluice *sluice)
{
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        struct loop_room *room = &sluice->rooms[i];
        struct unrun unrun = {.task = {.run = unrun_close, .priority = SL_PRIORITY_CONTROL},
                              .room = room,
                              .pending = room->shard_count};
        if (unrun.pending > 0) {
            sl_loop_post(room->loop, &unrun.task);
            sl_loop_run(room->loop);
        }
    }
}
