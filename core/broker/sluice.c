/* sluice.c: see sluice.h. The wiring, top to bottom: settings, data directory, loops, plugins,
 * shards. Opening the shards is in sluice_open.c, how it
 * starts and stops in sluice_run.c, what frontends may ask it in sluice_facts.c,
 * its reload in sluice_reload.c. */
#include "broker/sluice_state.h"

#include "base/status.h"
#include "broker/listener_config.h"
#include "broker/sasl_config.h"
#include "os/os_processors.h"

#include <stdio.h>
#include <string.h>

#define WALS_PER_DISK_MAX 4u

/* ---- configuration to rooms ---- */

static uint32_t default_shards(void)
{
    uint32_t processors = sl_processor_count();
    return processors <= 3 ? 1 : SL_MIN(processors / 2, WALS_PER_DISK_MAX);
}

static void set_i32(int32_t *setting, int64_t value)
{
    __atomic_store_n(setting, (int32_t)value, __ATOMIC_RELAXED);
}

static void set_i64(int64_t *setting, int64_t value)
{
    __atomic_store_n(setting, value, __ATOMIC_RELAXED);
}

void sluice_settings_take_live(struct broker_settings *settings, const struct sl_config *config)
{
    set_i64(&settings->scrub_bytes_per_s, config->storage.scrub_bytes_per_s);
    set_i64(&settings->scrub_interval_ms, config->storage.scrub_interval_ms);
    set_i32(&settings->quota_window_count, config->quota.window_count);
    set_i32(&settings->quota_window_s, config->quota.window_size_ms / 1000);
    set_i32(&settings->group_session_min_ms, config->groups.session_timeout_min_ms);
    set_i32(&settings->group_session_max_ms, config->groups.session_timeout_max_ms);
    set_i32(&settings->group_session_default_ms, config->groups.session_timeout_ms);
    set_i32(&settings->group_initial_delay_ms, config->groups.initial_rebalance_delay_ms);
    set_i32(&settings->group_members_max, config->groups.members_max);
    set_i32(&settings->group_assignor, config->groups.assignor);
    set_i32(&settings->consumer_session_ms, config->groups.consumer_session_timeout_ms);
    set_i32(&settings->consumer_heartbeat_ms, config->groups.consumer_heartbeat_interval_ms);
    set_i32(&settings->consumer_assignment_ms, config->groups.consumer_assignment_interval_ms);
    set_i32(&settings->streams_session_ms, config->groups.streams_session_timeout_ms);
    set_i32(&settings->streams_heartbeat_ms, config->groups.streams_heartbeat_interval_ms);
    set_i32(&settings->streams_initial_delay_ms, config->groups.streams_initial_rebalance_delay_ms);
    set_i32(&settings->streams_interval_ms, config->groups.streams_assignment_interval_ms);
    set_i32(&settings->streams_standby_count, config->groups.streams_standby_replicas);
    set_i32(&settings->consumer_bounds.session_min_ms,
            config->groups.consumer_session_timeout_min_ms);
    set_i32(&settings->consumer_bounds.session_max_ms,
            config->groups.consumer_session_timeout_max_ms);
    set_i32(&settings->consumer_bounds.heartbeat_min_ms,
            config->groups.consumer_heartbeat_interval_min_ms);
    set_i32(&settings->consumer_bounds.heartbeat_max_ms,
            config->groups.consumer_heartbeat_interval_max_ms);
    set_i32(&settings->share_bounds.session_min_ms, config->groups.share_session_timeout_min_ms);
    set_i32(&settings->share_bounds.session_max_ms, config->groups.share_session_timeout_max_ms);
    set_i32(&settings->share_bounds.heartbeat_min_ms,
            config->groups.share_heartbeat_interval_min_ms);
    set_i32(&settings->share_bounds.heartbeat_max_ms,
            config->groups.share_heartbeat_interval_max_ms);
    set_i32(&settings->streams_bounds.session_min_ms,
            config->groups.streams_session_timeout_min_ms);
    set_i32(&settings->streams_bounds.session_max_ms,
            config->groups.streams_session_timeout_max_ms);
    set_i32(&settings->streams_bounds.heartbeat_min_ms,
            config->groups.streams_heartbeat_interval_min_ms);
    set_i32(&settings->streams_bounds.heartbeat_max_ms,
            config->groups.streams_heartbeat_interval_max_ms);
    set_i64(&settings->offset_retention_ms, config->groups.offsets_retention_ms);
}

static void take_settings(struct broker_settings *settings, const struct sl_config *config)
{
    broker_settings_init(settings);
    settings->node_id = (int32_t)config->node.id;
    settings->partition_count = (int32_t)config->core.topics_partitions;
    settings->auto_create_topics = config->core.topics_auto_create;
    settings->request_bytes_max = (int32_t)config->kafka.request_bytes_max;
    settings->connections_max = (int32_t)config->kafka.connections_max;
    settings->idle_connection_ms =
        config->kafka.connections_idle_ms > 0 ? config->kafka.connections_idle_ms : -1;
    settings->fetch_session_slots = (int32_t)config->kafka.fetch_session_slots;
    settings->retention_ms = config->retention.ms;
    settings->retention_bytes = config->retention.bytes;
    settings->retention_check_interval_ms = config->retention.check_interval_ms;
    settings->compaction_check_interval_ms = config->compaction.check_interval_ms;
    settings->compaction_buffer_bytes = config->compaction.buffer_bytes;
    settings->min_dirty_ratio = (double)config->compaction.min_dirty_percent / 100;
    settings->min_compaction_lag_ms = config->compaction.min_lag_ms;
    settings->max_compaction_lag_ms = config->compaction.max_lag_ms;
    settings->delete_retention_ms = config->compaction.delete_retention_ms;
    settings->letters_topics_auto_create = config->groups.dead_letters_auto_create;
    snprintf(settings->letters_prefix, sizeof(settings->letters_prefix), "%s",
             config->groups.dead_letters_prefix);
    sluice_settings_take_live(settings, config);
    settings->in_memory = !config_has_disk(config);
    snprintf(settings->log_dir, sizeof(settings->log_dir), "%s", config->data.dir);
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
        if (err == SLUICE_OK) {
            broker_counters_watch_loop(room);
        }
    }
    return err;
}

static void frontend_appeared(void *arg, const char *module, const char *path, bool replaces)
{
    struct sluice *sluice = arg;
    char name[FRONTEND_NAME_BYTES];
    char file[FRONTEND_PATH_BYTES]; /* path may be of a copy, which has another name */
    snprintf(file, sizeof(file), "%.255s.so", module);
    if (!sluice->stopping && frontend_name_of(file, name)) {
        if (replaces) {
            frontend_set_replace(&sluice->frontends, name, path);
        } else {
            frontend_set_open(&sluice->frontends, name, path);
        }
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

/* Without a disk it is another cluster each time: clients do not take it for the one before. */
static sl_err open_directory(struct sluice *sluice, uint32_t shards,
                             char ret_problem[SLUICE_PROBLEM_BYTES])
{
    if (config_has_disk(sluice->config)) {
        return superblock_open(sluice->os, sluice->config->data.dir, shards, &sluice->superblock,
                               &sluice->lock, ret_problem);
    }
    sluice->superblock.shard_count = shards;
    sl_os_random(sluice->os, sluice->superblock.cluster.b, sizeof(sluice->superblock.cluster.b));
    return SLUICE_OK;
}

static sl_err make_telemetry(struct sluice *sluice, char ret_problem[SLUICE_PROBLEM_BYTES])
{
    const char *topic = sluice->config->telemetry.topic;
    const char *reason = "out of memory";
    sl_err err = telemetry_room_init(&sluice->telemetry, sluice->os, topic,
                                     (size_t)sluice->config->telemetry.bytes_max, &reason);
    if (err != SLUICE_OK) {
        snprintf(ret_problem, SLUICE_PROBLEM_BYTES, "telemetry.topic %.250s: %s", topic, reason);
    }
    return err;
}

static sl_err make(struct sluice *sluice, char ret_problem[SLUICE_PROBLEM_BYTES])
{
    int64_t wanted = sluice->config->runtime.shards;
    uint32_t shards = wanted > 0 ? (uint32_t)wanted : default_shards();
    take_settings(&sluice->settings, sluice->config);
    sl_err err = open_directory(sluice, shards, ret_problem);
    if (err != SLUICE_OK) {
        return err;
    }
    sluice_facts_init(sluice);
    storage_watch_init(&sluice->storage, sluice);
    frontend_set_init(&sluice->frontends, sluice);
    snprintf(ret_problem, SLUICE_PROBLEM_BYTES, "cannot make the event loops");
    err = broker_metrics_new(&sluice->metrics);
    err = err != SLUICE_OK ? err : make_rooms(sluice);
    err = err != SLUICE_OK ? err : make_plugins(sluice);
    if (err == SLUICE_OK) {
        err = access_keeper_init(&sluice->access, sluice, ret_problem, SLUICE_PROBLEM_BYTES);
    }
    if (err == SLUICE_OK) {
        err = sasl_config_init(sluice, ret_problem, SLUICE_PROBLEM_BYTES);
    }
    if (err == SLUICE_OK) {
        err = listener_config_init(sluice, ret_problem, SLUICE_PROBLEM_BYTES);
    }
    if (err == SLUICE_OK) {
        err = sasl_config_take_keys(sluice, ret_problem, SLUICE_PROBLEM_BYTES);
    }
    key_keeper_init(&sluice->keys, sluice);
    err = err != SLUICE_OK ? err : make_telemetry(sluice, ret_problem);
    err = err != SLUICE_OK ? err : sluice_open_shards(sluice, ret_problem);
    return err != SLUICE_OK ? err : access_keeper_open(&sluice->access);
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

/* ---- the end ---- */

struct sluice *sluice_free(struct sluice *sluice)
{
    if (sluice == NULL) {
        return NULL;
    }
    if (!sluice->has_run) {
        sluice_close_shards(sluice);
    }
    admin_server_free(sluice->admin.server);
    broker_link_fini(&sluice->admin.link);
    plugin_manager_free(sluice->plugins);
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        shard_free(sluice->shards.shards[i]);
    }
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        struct loop_room *room = &sluice->rooms[i];
        broker_guard_fini(&room->guard);
        broker_link_fini(&room->link);
        flow_book_fini(&room->flow);
        flow_book_fini(&room->readers);
        if (room->intake.slots != NULL) {
            intake_fini(&room->intake);
        }
        filter_pool_fini(&room->filters);
        if (room->loop != NULL) {
            chunk_cache_fini(&room->cache);
            sl_loop_free(room->loop);
        }
    }
    telemetry_room_fini(&sluice->telemetry);
    access_keeper_fini(&sluice->access);
    listener_config_fini(sluice);
    sasl_config_fini(sluice);
    sl_metrics_free(sluice->metrics);
    sl_file_close(sluice->lock);
    config_free(sluice->config);
    sl_free(sluice);
    return NULL;
}

/* ---- questions ---- */

bool sluice_can_serve(const struct sluice *sluice)
{
    return sluice->shards.shards[0]->status == SLUICE_OK;
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
