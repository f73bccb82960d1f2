/* sluice.c: see sluice.h. The wiring, top to bottom: data directory, loops, shards, frontends,
 * admin socket. */
#include "broker/sluice.h"

#include "base/status.h"
#include "broker/sluice_state.h"
#include "os/os_processors.h"

#include <stdio.h>
#include <string.h>

#define BEAT_NS           (500 * 1000000LL)
#define LIVE_AFTER_MS     5000 /* a loop that is silent for longer is not alive */
#define CONNECTIONS_EXTRA 64u  /* for frontends beside Kafka's */
#define WALS_PER_DISK_MAX 4u
#define SPARE_SEGMENTS    2u
#define IDLE_MARK_MS      50u
#define STOP_LINGER_MS    500       /* answers that are queued are taken by then */
#define STOP_LOOK_NS      1000000LL /* how often a room that ends looks whether it is quiet */

/* ---- configuration to rooms ---- */

static uint32_t default_shards(void)
{
    uint32_t processors = sl_processor_count();
    return processors <= 3 ? 1 : SL_MIN(processors / 2, WALS_PER_DISK_MAX);
}

static void take_settings(struct broker_settings *settings, const struct sl_config *config)
{
    broker_settings_init(settings);
    settings->node_id = (int32_t)config->node.id;
    settings->partition_count = (int32_t)config->core.topics_partitions;
    settings->auto_create_topics = config->core.topics_auto_create;
    settings->request_bytes_max = (int32_t)config->kafka.request_bytes_max;
    settings->connections_max = (int32_t)config->kafka.connections_max;
    settings->group_session_min_ms = (int32_t)config->groups.session_timeout_min_ms;
    settings->group_session_max_ms = (int32_t)config->groups.session_timeout_max_ms;
    settings->group_initial_delay_ms = (int32_t)config->groups.initial_rebalance_delay_ms;
    settings->retention_ms = config->retention.ms;
    settings->retention_bytes = config->retention.bytes;
    settings->retention_check_interval_ms = config->retention.check_interval_ms;
    snprintf(settings->listeners, sizeof(settings->listeners), "PLAINTEXT://%s",
             config->kafka.listen);
    snprintf(settings->log_dir, sizeof(settings->log_dir), "%s", config->data.dir);
}

static struct wal_limits wal_limits_of(const struct sl_config *config)
{
    return (struct wal_limits){.segment_bytes = (uint64_t)config->wal.segment_bytes,
                               .bytes_max = (uint64_t)config->wal.bytes_max,
                               .group_bytes_max = (uint32_t)config->wal.group_bytes_max,
                               .frame_bytes_max = (uint32_t)config->wal.frame_bytes_max,
                               .spare_segments = SPARE_SEGMENTS,
                               .idle_mark_ms = IDLE_MARK_MS};
}

static struct seal_limits seal_limits_of(const struct sl_config *config)
{
    return (struct seal_limits){.seal_bytes = (uint64_t)config->wal.seal_bytes,
                                .age_max_ms = config->wal.age_max_ms};
}

/* ---- facts for the frontends ---- */

static struct loop_room *current_room(struct sluice *sluice)
{
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        if (sl_loop_is_current(sluice->rooms[i].loop)) {
            return &sluice->rooms[i];
        }
    }
    return NULL;
}

static void publish_plugins(struct sluice *sluice)
{
    if (sluice->plugins_started && !sluice->stopping) {
        sluice->plugin_meter.writer = sluice->rooms[0].counters.writer;
        plugin_meter_publish(&sluice->plugin_meter, sluice->plugins);
    }
}

static sl_err render_metrics(void *arg, struct sl_buffer *buffer)
{
    struct sluice *sluice = arg;
    struct loop_room *room = current_room(sluice);
    if (room != NULL) {
        broker_counters_publish(room); /* its own counts are exact, others' half a second old */
    }
    if (room == &sluice->rooms[0]) {
        publish_plugins(sluice);
    }
    return sl_metrics_render(sluice->metrics, buffer);
}

static bool say(struct sl_buffer *text, const char *what, uint32_t number, const char *why)
{
    char line[200];
    int size = snprintf(line, sizeof(line), "%s %u: %s\n", what, number, why);
    sl_err err = sl_buffer_append(text, line, (size_t)SL_MIN(size, (int)sizeof(line) - 1));
    (void)err; /* a finding that does not fit is one of many */
    return false;
}

static bool is_live(struct sluice *sluice, struct sl_buffer *text)
{
    bool ok = true;
    int64_t now_ms = sl_os_mono_ns(sluice->os) / 1000000;
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        int64_t beat_ms = __atomic_load_n(&sluice->rooms[i].beat_ms, __ATOMIC_RELAXED);
        if (now_ms - beat_ms > LIVE_AFTER_MS) {
            ok = say(text, "loop", i, "does not turn");
        }
    }
    return ok;
}

static bool is_ready(struct sluice *sluice, struct sl_buffer *text)
{
    bool ok = true;
    if (__atomic_load_n(&sluice->stopping, __ATOMIC_RELAXED)) {
        ok = say(text, "node", (uint32_t)sluice->settings.node_id, "stopping");
    }
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        sl_err status = shard_status(sluice->shards.shards[i]);
        if (status != SLUICE_OK) {
            ok = say(text, "degraded: shard", i, sl_status_text(status));
        }
    }
    return ok;
}

static bool check_health(void *arg, int32_t what, struct sl_buffer *text)
{
    return what == SLUICE_HEALTH_LIVE ? is_live(arg, text) : is_ready(arg, text);
}

/* ---- making it ---- */

static sl_err make_rooms(struct sluice *sluice)
{
    uint32_t shards = sluice->superblock.shard_count;
    bool pin = strcmp(sluice->config->runtime.affinity, "auto") == 0 && sl_processor_count() > 3;
    sluice->room_count = SL_MIN(shards, SL_MAX(sl_processor_count(), 1u));
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < sluice->room_count && err == SLUICE_OK; i++) {
        struct loop_room *room = &sluice->rooms[i];
        char name[16];
        snprintf(name, sizeof(name), "loop-%u", i);
        room->sluice = sluice;
        room->index = i;
        err = sl_loop_new(sluice->os, name, pin ? (int32_t)i : -1, &room->loop);
        if (err == SLUICE_OK) {
            uint64_t budget = (uint64_t)sluice->config->core.memory_bytes_max / sluice->room_count;
            chunk_cache_init(&room->cache, room->loop, budget);
            err = broker_counters_init(&room->counters, sluice->metrics);
        }
    }
    return err;
}

static void log_recovery(struct sluice *sluice, const struct shard *shard)
{
    const struct wal_recovery *r = &shard->recovery;
    if (shard->status != SLUICE_OK) {
        sl_log(sluice->logger, SL_LOG_ERROR, "wal", "shard refuses to serve",
               sl_log_u64("shard", shard->index), sl_log_text("problem", r->problem),
               sl_log_err(shard->status));
        return;
    }
    sl_log(sluice->logger, SL_LOG_INFO, "wal", r->frame_count > 0 ? "recovered" : "opened",
           sl_log_u64("shard", shard->index), sl_log_u64("segments", r->segment_count),
           sl_log_u64("frames", r->frame_count), sl_log_u64("last_lsn", r->last_lsn),
           sl_log_size("scanned", r->bytes_scanned), sl_log_size("cut", r->bytes_cut),
           sl_log_bool("clean", r->clean), sl_log_u64("epoch", r->epoch),
           sl_log_duration("took", r->elapsed_ns));
}

static sl_err open_shard(struct sluice *sluice, uint32_t index,
                         char ret_problem[SLUICE_PROBLEM_BYTES])
{
    struct loop_room *room = &sluice->rooms[index % sluice->room_count];
    struct shard_config config = {
        .os = sluice->os,
        .loop = room->loop,
        .cache = &room->cache,
        .logger = sluice->logger,
        .data_directory = sluice->config->data.dir,
        .cluster = sluice->superblock.cluster,
        .index = index,
        .set = &sluice->shards,
        .wal = wal_limits_of(sluice->config),
        .seal = seal_limits_of(sluice->config),
        .settings = &sluice->settings,
        .expanded_bytes_max = (size_t)sluice->config->core.decompressed_bytes_max,
        .hooks = &plugin_manager_hooks,
        .hooks_arg = sluice->plugins,
    };
    char problem[SHARD_PROBLEM_BYTES] = "";
    const struct shard *source = index > 0 ? sluice->shards.shards[0] : NULL;
    struct shard *shard = NULL;
    sl_err err = shard_open(&config, source, &shard, problem);
    if (err != SLUICE_OK) {
        snprintf(ret_problem, SLUICE_PROBLEM_BYTES, "data directory %s, shard %u: %s%s%s",
                 sluice->config->data.dir, index, sl_status_text(err), problem[0] ? ": " : "",
                 problem);
        return err;
    }
    sluice->shards.shards[index] = shard;
    room->shards[room->shard_count++] = shard;
    log_recovery(sluice, shard);
    return SLUICE_OK;
}

static void frontend_appeared(void *arg, const char *module, const char *path)
{
    struct sluice *sluice = arg;
    char name[FRONTEND_NAME_BYTES];
    (void)module;
    if (!sluice->stopping && frontend_name_of(path, name)) {
        frontend_set_open(&sluice->frontends, name, path);
    }
}

static void frontend_vanished(void *arg, const char *module)
{
    static const char prefix[] = "frontend_";
    struct sluice *sluice = arg;
    if (strncmp(module, prefix, sizeof(prefix) - 1) == 0) {
        frontend_set_close(&sluice->frontends, module + sizeof(prefix) - 1);
    }
}

static sl_err make_plugins(struct sluice *sluice)
{
    struct plugin_settings_copy copy;
    sl_err err = plugin_settings_take(sluice->config, &copy);
    if (err != SLUICE_OK) {
        return err;
    }
    struct plugin_manager_config config = {
        .os = sluice->os,
        .set = &sluice->shards,
        .logger = sluice->logger,
        .settings = &copy.settings,
        .frontends = {.arg = sluice, .appeared = frontend_appeared, .vanished = frontend_vanished},
    };
    err = plugin_manager_new(&config, &sluice->plugins);
    plugin_settings_drop(&copy);
    return err;
}

static sl_err open_shards(struct sluice *sluice, char ret_problem[SLUICE_PROBLEM_BYTES])
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < sluice->superblock.shard_count && err == SLUICE_OK; i++) {
        err = open_shard(sluice, i, ret_problem);
        sluice->shards.count = err == SLUICE_OK ? i + 1 : sluice->shards.count;
    }
    return err;
}

static sl_err make(struct sluice *sluice, char ret_problem[SLUICE_PROBLEM_BYTES])
{
    int64_t wanted = sluice->config->runtime.shards;
    uint32_t shards = wanted > 0 ? (uint32_t)wanted : default_shards();
    take_settings(&sluice->settings, sluice->config);
    sl_err err = superblock_open(sluice->os, sluice->config->data.dir, shards, &sluice->superblock,
                                 &sluice->lock, ret_problem);
    if (err != SLUICE_OK) {
        return err;
    }
    sl_uuid_text(&sluice->superblock.cluster, sluice->facts.cluster_id);
    sluice->facts.settings = &sluice->settings;
    sluice->facts.render_metrics = render_metrics;
    sluice->facts.health = check_health;
    sluice->facts.arg = sluice;
    frontend_set_init(&sluice->frontends, sluice);
    snprintf(ret_problem, SLUICE_PROBLEM_BYTES, "cannot make the event loops");
    err = broker_metrics_new(&sluice->metrics);
    err = err != SLUICE_OK ? err : make_rooms(sluice);
    err = err != SLUICE_OK ? err : make_plugins(sluice);
    return err != SLUICE_OK ? err : open_shards(sluice, ret_problem);
}

sl_err sluice_new(struct sl_os *os, struct sl_logger *logger, struct sl_config *config,
                  const struct sluice_events *events, struct sluice **ret_sluice,
                  char ret_problem[SLUICE_PROBLEM_BYTES])
{
    struct sluice *sluice = sl_alloc_zero(1, sizeof(*sluice));
    if (sluice == NULL) {
        snprintf(ret_problem, SLUICE_PROBLEM_BYTES, "out of memory");
        config_free(config);
        return SLUICE_E_NO_MEMORY;
    }
    sluice->os = os;
    sluice->logger = logger;
    sluice->config = config;
    sluice->events = *events;
    sluice->started_ns = sl_os_mono_ns(os);
    sl_err err = make(sluice, ret_problem);
    if (err != SLUICE_OK) {
        sluice_free(sluice);
        return err;
    }
    *ret_sluice = sluice;
    return SLUICE_OK;
}

/* ---- starting ---- */

struct room_step {
    struct sl_task task;
    struct loop_room *room;
    sl_err err;
};

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
    __atomic_store_n(&room->beat_ms, sl_loop_now_ns(room->loop) / 1000000, __ATOMIC_RELAXED);
    for (uint32_t i = 0; room->index == 0 && i < sluice->room_count; i++) {
        struct loop_room *other = &sluice->rooms[i];
        uint64_t known = atomic_load_explicit(
            &other->counters.cells[BROKER_METRIC_CONNECTIONS]->value, memory_order_relaxed);
        other->expected_connections = (uint32_t)known;
    }
    if (room->index == 0) {
        sl_logger_tick(sluice->logger);
        publish_plugins(sluice);
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
    sluice->plugins_started = true;
    if (!sluice->stopping) {
        open_frontends(sluice);
    }
}

static void start_services(struct sluice *sluice)
{
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

static void start_room(struct sl_task *task)
{
    struct room_step *step = SL_CONTAINER_OF(task, struct room_step, task);
    struct loop_room *room = step->room;
    struct sluice *sluice = room->sluice;
    broker_link_init(&room->link, room->shards[0], &room->intake, &sluice->facts);
    uint32_t connections = (uint32_t)sluice->config->kafka.connections_max + CONNECTIONS_EXTRA;
    sl_err err = intake_init(&room->intake, sluice->os, room->loop, sluice->logger, &room->cache,
                             &room->link.table, connections);
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

void sluice_run(struct sluice *sluice)
{
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
    bool is_quiet = intake_is_empty(&room->intake) && room->cache.used_bytes == 0;
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
    frontend_set_close_all(&sluice->frontends);
    admin_socket_close(&sluice->admin);
    if (sluice->plugins_started) {
        plugin_manager_stop(sluice->plugins, plugins_stopped, sluice);
    } else {
        plugins_stopped(sluice);
    }
}

struct sluice *sluice_free(struct sluice *sluice)
{
    if (sluice == NULL) {
        return NULL;
    }
    admin_server_free(sluice->admin.server);
    plugin_manager_free(sluice->plugins);
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        shard_free(sluice->shards.shards[i]);
    }
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        struct loop_room *room = &sluice->rooms[i];
        broker_link_fini(&room->link);
        if (room->intake.slots != NULL) {
            intake_fini(&room->intake);
        }
        if (room->loop != NULL) {
            chunk_cache_fini(&room->cache);
            sl_loop_free(room->loop);
        }
    }
    sl_metrics_free(sluice->metrics);
    sl_file_close(sluice->lock);
    config_free(sluice->config);
    sl_free(sluice);
    return NULL;
}

bool sluice_is_fenced(const struct sluice *sluice)
{
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        if (sluice->shards.shards[i]->status == SLUICE_E_FENCED) {
            return true;
        }
    }
    return false;
}

struct sl_loop *sluice_loop(struct sluice *sluice)
{
    return sluice->rooms[0].loop;
}

const struct sl_config *sluice_config(const struct sluice *sluice)
{
    return sluice->config;
}

/* ---- reload ---- */

static void log_changes(struct sluice *sluice, const struct config_diff *diff)
{
    for (uint32_t i = 0; i < diff->count; i++) {
        const struct config_change *change = &diff->changes[i];
        bool applied = change->outcome == CONFIG_APPLIED;
        sl_log(sluice->logger, applied ? SL_LOG_INFO : SL_LOG_WARN, "config",
               applied ? "changed" : "needs a restart; the running value stays",
               sl_log_text("key", change->key), sl_log_text("before", change->before),
               sl_log_text("after", change->after));
    }
    sl_log(sluice->logger, SL_LOG_INFO, "config", "reloaded", sl_log_u64("changed", diff->count),
           sl_log_u64("need_restart", diff->restart_count));
}

struct reload {
    struct sluice *sluice;
    struct config_diff *diff;
    struct sl_config *merged;
};

/* The plugins have taken it, or one refused and nothing changes anywhere. */
static void reload_end(void *arg, sl_err err, const char *text)
{
    struct reload *reload = arg;
    struct sluice *sluice = reload->sluice;
    if (err == SLUICE_OK) {
        sl_logger_set_level(sluice->logger, (enum sl_log_level)reload->merged->log.level);
        sl_logger_set_format(sluice->logger, (enum sl_log_format)reload->merged->log.format, false);
        log_changes(sluice, reload->diff);
        config_free(sluice->config);
        sluice->config = reload->merged;
    } else {
        sl_log(sluice->logger, SL_LOG_ERROR, "config", "not reloaded: nothing was changed",
               sl_log_text("reason", text), sl_log_err(err));
        config_free(reload->merged);
    }
    config_diff_free(reload->diff);
    sl_free(reload);
}

static void reload_plugins(struct sluice *sluice, struct reload *reload)
{
    struct plugin_settings_copy copy;
    sl_err err = plugin_settings_take(reload->merged, &copy);
    if (err != SLUICE_OK || !sluice->plugins_started) {
        reload_end(reload, err, "");
        return;
    }
    plugin_manager_reload(sluice->plugins, &copy.settings, reload_end, reload);
    plugin_settings_drop(&copy);
}

sl_err sluice_reload(struct sluice *sluice, struct sl_config *loaded)
{
    struct reload *reload = sl_alloc_zero(1, sizeof(*reload));
    sl_err err = reload == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    err = err != SLUICE_OK ? err : config_diff_new(sluice->config, loaded, &reload->diff);
    err = err != SLUICE_OK ? err : config_merge_live(sluice->config, loaded, &reload->merged);
    config_free(loaded);
    if (err != SLUICE_OK) {
        if (reload != NULL) {
            config_diff_free(reload->diff);
        }
        sl_free(reload);
        return err;
    }
    reload->sluice = sluice;
    reload_plugins(sluice, reload);
    return SLUICE_OK;
}
