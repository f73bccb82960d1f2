/* shard.c: the life of a shard: recovery, timers, end (shard.h). */
#include "shard/shard.h"

#include "base/hash.h"
#include "extent/extent_set.h"
#include "shard/compact.h"
#include "shard/features.h"
#include "shard/fetch.h"
#include "shard/groups.h"
#include "shard/offset_lease.h"
#include "shard/partition.h"
#include "shard/produce.h"
#include "shard/recovery.h"
#include "shard/retention.h"
#include "shard/shares.h"
#include "shard/txns.h"
#include "wal/memory_log.h"

#include <stdio.h>
#include <string.h>

#define HOUSEKEEPING_MS   60000
#define SCRATCH_BYTES_MAX (64u << 20)
#define DIRECTORY_BYTES   4096u
#define TIMER_NEVER       INT64_MAX
#define OPEN_FILES_MAX    256u /* extents */
#define MEMORY_BYTES      (64u << 20)

int64_t shard_now_ms(const struct shard *shard)
{
    return sl_loop_now_ns(shard->loop) / 1000000;
}

int64_t shard_wall_ms(const struct shard *shard)
{
    return sl_os_wall_ms(shard->config.os);
}

int32_t shard_epoch(const struct shard *shard)
{
    return (int32_t)shard->recovery.epoch;
}

sl_err shard_status(const struct shard *shard)
{
    return __atomic_load_n(&shard->status, __ATOMIC_RELAXED);
}

/* The only writer is the shard's loop, or who opens it before. */
void shard_set_status(struct shard *shard, sl_err status)
{
    __atomic_store_n(&shard->status, status, __ATOMIC_RELAXED);
}

void shard_refuse(struct shard *shard, sl_err cause)
{
    shard->is_behind = true;
    if (shard->status == SLUICE_OK) {
        shard_set_status(shard, cause);
        sl_log(shard->logger, SL_LOG_ERROR, "shard",
               "it cannot follow its own log and serves no more: restart to recover",
               sl_log_u64("shard", shard->index), sl_log_err(cause));
    }
}

/* ---- what is under way ---- */

static void extents_stopped(void *arg)
{
    struct shard *shard = arg;
    shard->closed(shard->closed_arg);
}

/* The log is closed and no job uses it: the last is what closes and removes extents. */
static void maybe_closed(struct shard *shard)
{
    if (!shard->log_closed || shard->jobs > 0 || shard->extents_stopping) {
        return;
    }
    shard->extents_stopping = true;
    if (shard->extents != NULL) {
        extent_set_stop(shard->extents, extents_stopped, shard);
    } else {
        extents_stopped(shard);
    }
}

void shard_job_begin(struct shard *shard)
{
    SL_ASSERT(!shard->log_closed || shard->jobs > 0);
    shard->jobs++;
}

void shard_job_end(struct shard *shard)
{
    SL_ASSERT(shard->jobs > 0);
    shard->jobs--;
    maybe_closed(shard);
}

void shard_request_begin(struct shard *home)
{
    home->requests++;
}

void shard_request_end(struct shard *home)
{
    SL_ASSERT(home->requests > 0);
    if (--home->requests == 0 && home->idle != NULL) {
        home->idle(home->idle_arg);
    }
}

/* ---- who owns what ---- */

struct shard *shard_of_group(const struct shard_set *set, struct sluice_text group)
{
    uint64_t hash = sl_hash64(group.data, (size_t)group.size);
    return set->shards[hash % set->count];
}

struct shard *shard_of_partition(const struct shard_set *set, const struct topic *topic,
                                 uint32_t partition)
{
    SL_ASSERT(partition < topic->partition_count);
    uint32_t index = topic_shard(topic, partition);
    SL_ASSERT(index < set->count);
    return set->shards[index];
}

static struct topic *last_topic(const struct shard *shard)
{
    bool is_there = shard->last_topic_version == catalog_version(shard->catalog);
    return is_there ? shard->last_topic : NULL;
}

static struct topic *note_topic(struct shard *shard, struct topic *topic)
{
    shard->last_topic = topic;
    shard->last_topic_version = catalog_version(shard->catalog);
    return topic;
}

struct topic *shard_topic_by_id(struct shard *shard, const struct sl_uuid *id)
{
    struct topic *last = last_topic(shard);
    bool is_it = last != NULL && sl_uuid_equal(&last->id, id);
    return is_it ? last : note_topic(shard, catalog_by_id(shard->catalog, id));
}

static struct topic *topic_by_name(struct shard *shard, struct sl_bytes name)
{
    struct topic *last = last_topic(shard);
    bool is_it = last != NULL && sl_bytes_equal(last->name, name);
    return is_it ? last : note_topic(shard, catalog_by_name(shard->catalog, name));
}

struct topic *shard_find_topic(struct shard *shard, const struct sluice_topic_ref *ref,
                               sluice_status *ret_status)
{
    struct sl_uuid id;
    memcpy(id.b, ref->id.bytes, sizeof(id.b));
    struct topic *topic = ref->name.size > 0 ? topic_by_name(shard, sl_of_text(ref->name))
                                             : shard_topic_by_id(shard, &id);
    if (topic == NULL) {
        *ret_status = ref->name.size > 0 || sl_uuid_is_zero(&id) ? SLUICE_E_UNKNOWN_TOPIC
                                                                 : SLUICE_E_UNKNOWN_TOPIC_ID;
    }
    return topic;
}

bool shard_topic_is_exact(const struct shard *shard, const struct topic *topic)
{
    bool has_disk = shard->log != shard->memory.log;
    return topic->settings->durability == (has_disk ? TOPIC_FSYNC : TOPIC_MEMORY);
}

/* ---- calls between loops ---- */

static void call_run(struct sl_task *task)
{
    struct shard_call *call = SL_CONTAINER_OF(task, struct shard_call, task);
    call->run(call);
}

static void call_replied(struct sl_task *task)
{
    struct shard_call *call = SL_CONTAINER_OF(task, struct shard_call, task);
    call->reply(call);
}

void shard_call_start(struct shard_call *call, struct shard *target, struct sl_loop *origin,
                      uint32_t priority)
{
    call->target = target;
    call->origin = origin;
    call->task = (struct sl_task){.run = call_run, .priority = priority};
    if (sl_loop_is_current(target->loop)) {
        call->run(call);
    } else {
        sl_loop_post(target->loop, &call->task);
    }
}

void shard_call_reply(struct shard_call *call)
{
    if (sl_loop_is_current(call->origin)) {
        call->reply(call);
        return;
    }
    uint32_t priority = call->task.priority;
    call->task = (struct sl_task){.run = call_replied, .priority = priority};
    sl_loop_post(call->origin, &call->task);
}

/* ---- the catalog's events ---- */

static void topic_created(void *arg, struct topic *topic)
{
    struct shard *shard = arg;
    if (shard->config.hooks != NULL && shard->config.hooks->topic_created != NULL) {
        shard->config.hooks->topic_created(shard->config.hooks_arg, shard, topic);
    }
}

static void topic_deleted(void *arg, struct topic *topic)
{
    struct shard *shard = arg;
    if (shard->config.hooks != NULL && shard->config.hooks->topic_deleted != NULL) {
        shard->config.hooks->topic_deleted(shard->config.hooks_arg, shard, topic);
    }
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        struct partition *partition = partition_find(topic, i);
        if (partition != NULL) {
            partition_release(partition);
            partition_delete(partition);
        }
    }
    sl_free(topic->user);
    topic->user = NULL;
    uint8_t payload[64];
    struct offset_forget forget = {.what = OFFSET_FORGET_TOPIC, .topic = topic->id};
    SL_ASSERT(offset_forget_item_size(&forget) <= sizeof(payload));
    offset_forget_item_encode(&forget, payload);
    struct sl_bytes item = {payload, offset_forget_item_size(&forget)};
    /* Forgetting needs no memory; the topic's deletion is what is logged. */
    sl_err err =
        offset_store_apply(shard->offsets, WAL_ITEM_OFFSET_FORGET, OFFSET_STORE_ITEM_VERSION, item);
    SL_ASSERT(err == SLUICE_OK);
    shares_topic_deleted(shard, &topic->id);
    space_freed(shard);
    memory_space_freed(&shard->memory);
}

static void topic_grown(void *arg, struct topic *topic, uint32_t was_count, uint16_t was_stride)
{
    struct shard *shard = arg;
    sl_err err = partition_slots_grow(topic, was_count, was_stride);
    if (err != SLUICE_OK) {
        shard_refuse(shard, err);
    } else if (shard->config.hooks != NULL && shard->config.hooks->topic_grown != NULL) {
        shard->config.hooks->topic_grown(shard->config.hooks_arg, shard, topic, was_count);
    }
}

static void topic_changed(void *arg, struct topic *topic)
{
    struct shard *shard = arg;
    if (shard->started) {
        roll_topic_changed(shard, topic->settings);
    }
}

static const struct catalog_events catalog_hooks = {.created = topic_created,
                                                    .changed = topic_changed,
                                                    .grown = topic_grown,
                                                    .deleted = topic_deleted};

/* ---- storage ---- */

static void storage_fenced(void *arg, sl_err cause)
{
    struct shard *shard = arg;
    shard_set_status(shard, SLUICE_E_FENCED);
    sl_log(shard->logger, SL_LOG_ERROR, "wal",
           "storage failed: nothing more is acknowledged; restart to recover",
           sl_log_u64("shard", shard->index), sl_log_err(cause));
}

static void segment_sealed(void *arg)
{
    roll_sealed(arg);
    seal_consider(arg);
    cut_consider(arg);
}

static const struct wal_events wal_hooks = {.apply = recovery_apply,
                                            .recovered = recovery_end,
                                            .fenced = storage_fenced,
                                            .sealed = segment_sealed,
                                            .snapshot = snapshot_slice};

/* ---- opening ---- */

static sl_err copy_topic(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct shard *shard = arg;
    return catalog_apply(shard->catalog, kind, version, payload);
}

static struct group_coordinator *make_groups(const struct shard_config *config)
{
    const struct broker_settings *settings = config->settings;
    struct group_config groups = {
        .metadata_bytes_max = (uint32_t)settings->offset_metadata_bytes_max,
    };
    groups_limits(settings, &groups.limits);
    sl_os_random(config->os, groups.seed, sizeof(groups.seed));
    return group_coordinator_new(&groups, sl_os_mono_ns(config->os) / 1000000);
}

static sl_err make_quotas(struct shard *shard, const struct shard_config *config)
{
    uint8_t hash_key[16];
    struct quota_windows windows = {(uint32_t)config->settings->quota_window_count,
                                    INT64_C(1000) * config->settings->quota_window_s};
    sl_os_random(config->os, hash_key, sizeof(hash_key));
    return quota_book_new(&windows, hash_key, &shard->quotas);
}

static sl_err make_rooms(struct shard *shard, const struct shard_config *config)
{
    struct producer_limits producers = {.expiry_ms = config->settings->producer_expiration_ms};
    struct catalog_limits topics = {0}; /* the defaults */
    shard->catalog = catalog_new(&topics, config->settings, &catalog_hooks, shard);
    shard->producers = producer_shard_new(&producers);
    shard->offsets = offset_store_new(0);
    shard->positions = position_store_new();
    shard->retention = retention_new(shard);
    shard->groups = make_groups(config);
    shard->codecs = codec_context_new();
    shard->sealer = sealer_new(shard);
    shard->compactor = compactor_new(shard);
    shard->rewriter = rewriter_new(shard);
    shard->scrubber = scrubber_new(shard);
    space_init(&shard->space, shard);
    roll_init(shard);
    cut_init(&shard->cut, shard);
    memory_space_init(&shard->memory, shard);
    sl_buffer_init(&shard->scratch, SCRATCH_BYTES_MAX);
    producer_ids_init(&shard->producer_ids);
    sl_list_init(&shard->share_waiting);
    sl_list_init(&shard->share_tagged);
    sl_list_init(&shard->setting_changes);
    sl_os_random(config->os, shard->share_key, sizeof(shard->share_key));
    if (message_ids_init(&shard->messages, 0) != SLUICE_OK ||
        delay_book_init(&shard->delayed.book, 0) != SLUICE_OK ||
        share_store_init(&shard->shares) != SLUICE_OK ||
        share_members_init(&shard->share_members,
                           &(struct share_catalog){shares_topic_known, shard}) != SLUICE_OK ||
        txn_store_init(&shard->txns.store, 0) != SLUICE_OK ||
        txn_offsets_init(&shard->txn_offsets) != SLUICE_OK) {
        return SLUICE_E_NO_MEMORY;
    }
    bool made = shard->catalog != NULL && shard->producers != NULL && shard->offsets != NULL &&
                shard->positions != NULL && shard->retention != NULL && shard->groups != NULL &&
                shard->codecs != NULL && shard->sealer != NULL && shard->compactor != NULL &&
                shard->rewriter != NULL && shard->scrubber != NULL;
    sl_err err = made ? consumer_desk_init(shard) : SLUICE_E_NO_MEMORY;
    err = err != SLUICE_OK ? err : access_store_init(&shard->access);
    return err != SLUICE_OK ? err : make_quotas(shard, config);
}

static void ignore_entry(void *arg SL_UNUSED, const char *name SL_UNUSED,
                         bool is_directory SL_UNUSED)
{
}

static sl_err find_folders(struct shard *shard, const struct shard_config *config,
                           const char *directory)
{
    char log[DIRECTORY_BYTES + 8];
    snprintf(log, sizeof(log), "%s/wal", directory);
    if (!config->has_folders) {
        sl_err err = sl_dir_make(config->os, directory);
        return err != SLUICE_OK ? err : sl_dir_sync(config->os, config->data_directory);
    }
    sl_err err = sl_dir_list(config->os, log, ignore_entry, NULL);
    if (err == SLUICE_E_NOT_FOUND) {
        snprintf(shard->recovery.problem, sizeof(shard->recovery.problem),
                 "%.180s is missing; put it back, or restore the data folder from a backup", log);
        err = SLUICE_E_CORRUPT;
    }
    return err;
}

static sl_err open_memory(struct shard *shard, const struct shard_config *config)
{
    const struct memory_log_config memory = {
        .os = config->os,
        .loop = config->loop,
        .bytes_max = config->memory_bytes_max > 0 ? config->memory_bytes_max : MEMORY_BYTES};
    return memory_log_open(&memory, &shard->memory.log);
}

/* Nothing was before, and nothing will be after. */
static sl_err open_without_disk(struct shard *shard, const struct shard_config *config)
{
    sl_err err = open_memory(shard, config);
    shard->log = shard->memory.log;
    shard->recovery.epoch = 1;
    shard->recovery.clean = true;
    return err;
}

static sl_err open_log(struct shard *shard, const struct shard_config *config)
{
    char directory[DIRECTORY_BYTES];
    snprintf(directory, sizeof(directory), "%s/shard-%u", config->data_directory, config->index);
    sl_err err = find_folders(shard, config, directory);
    const struct extent_set_config extents = {.os = config->os,
                                              .loop = config->loop,
                                              .directory = directory,
                                              .cluster = config->cluster,
                                              .shard = config->index,
                                              .open_files_max = OPEN_FILES_MAX};
    err = err != SLUICE_OK ? err : extent_set_new(&extents, &shard->extents);
    if (err != SLUICE_OK) {
        return err;
    }
    struct wal_config log = {.os = config->os,
                             .loop = config->loop,
                             .directory = directory,
                             .cluster = config->cluster,
                             .shard = config->index,
                             .limits = config->wal,
                             .mutants = config->wal_mutants,
                             .reread = config->scanned != NULL && config->index == 0,
                             .events = &wal_hooks,
                             .events_arg = shard};
    struct wal *wal;
    shard->recovery_begun_ms = shard_wall_ms(shard);
    err = wal_open(&log, &shard->recovery, &wal);
    if (err == SLUICE_OK) {
        shard->log = wal_commit_log(wal);
        err = open_memory(shard, config);
    }
    return err;
}

/* Positions in the log end where the recovered batches end. Of a topic in memory there is nothing
 * but how far its offsets were leased. */
static void take_ends(struct shard *shard)
{
    for (struct partition *p = shard->partitions; p != NULL; p = p->next) {
        p->next_offset = stream_index_end(&p->index);
        if (partition_is_in_memory(p)) {
            stream_index_drop_below(&p->index, p->next_offset);
            p->lease_end = p->next_offset;
        }
    }
}

/* Of shard 0, for the others. Without the catalog every batch in the log looks deleted, and the
 * next checkpoint would forget it: hands off. */
static sl_err take_catalog(struct shard *shard, const struct shard *source)
{
    if (shard->config.scanned != NULL) {
        const struct catalog *scanned = shard->config.scanned;
        shard->config.scanned = NULL;
        return shard->index == 0 ? SLUICE_OK : catalog_snapshot(scanned, copy_topic, shard);
    }
    if (source == NULL) {
        return SLUICE_OK;
    }
    return source->status != SLUICE_OK ? source->status
                                       : catalog_snapshot(source->catalog, copy_topic, shard);
}

sl_err shard_open(const struct shard_config *config, const struct shard *catalog_source,
                  struct shard **ret_shard, char ret_problem[SHARD_PROBLEM_BYTES])
{
    struct shard *shard = sl_alloc_zero(1, sizeof(*shard));
    if (shard == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    shard->config = *config;
    shard->loop = config->loop;
    shard->cache = config->cache;
    shard->logger = config->logger;
    shard->set = config->set;
    shard->index = config->index;
    shard->snapshot.slice_count = config->snapshot_slice;
    shard->txns.due_ms = shard->txns.retry_ms = INT64_MAX;
    sl_err err = make_rooms(shard, config);
    err = err != SLUICE_OK ? err : take_catalog(shard, catalog_source);
    if (err == SLUICE_OK) {
        err = config->data_directory == NULL ? open_without_disk(shard, config)
                                             : open_log(shard, config);
    }
    bool refuses = err == SLUICE_E_CORRUPT || err == SLUICE_E_FOREIGN;
    if (err != SLUICE_OK && !refuses) {
        snprintf(ret_problem, SHARD_PROBLEM_BYTES, "%s", shard->recovery.problem);
        shard_free(shard);
        return err;
    }
    shard_set_status(shard, err);
    if (shard->index == 0) {
        features_publish(shard);
    }
    take_ends(shard);
    *ret_shard = shard;
    return SLUICE_OK;
}

/* ---- time ---- */

static int64_t next_due(struct shard *shard, int64_t now_ms)
{
    int64_t due_ms = fetch_tick(shard, now_ms);
    group_coordinator_tick(shard->groups, now_ms);
    due_ms = SL_MIN(due_ms, consumer_desk_tick(shard, now_ms));
    if (now_ms >= shard->housekeeping_ms) {
        shard->housekeeping_ms = now_ms + HOUSEKEEPING_MS;
        producer_shard_expire(shard->producers, shard_wall_ms(shard));
        if (shard->status == SLUICE_OK) {
            groups_expire(shard);
            consumer_desk_expire(shard);
            txns_expire(shard);
        }
    }
    due_ms = SL_MIN(due_ms, retention_tick(shard->retention, now_ms));
    due_ms = SL_MIN(due_ms, group_coordinator_next_deadline_ms(shard->groups));
    due_ms = SL_MIN(due_ms, txns_tick(shard, now_ms));
    due_ms = SL_MIN(due_ms, shares_tick(shard, now_ms));
    due_ms = SL_MIN(due_ms, delayed_tick(shard, now_ms));
    due_ms = SL_MIN(due_ms, roll_tick(shard, now_ms));
    due_ms = SL_MIN(due_ms, seal_tick(shard, now_ms));
    due_ms = SL_MIN(due_ms, compact_tick(shard, now_ms));
    due_ms = SL_MIN(due_ms, rewrite_tick(shard, now_ms));
    due_ms = SL_MIN(due_ms, scrub_tick(shard, now_ms));
    return SL_MIN(due_ms, shard->housekeeping_ms);
}

static void arm(struct shard *shard, int64_t at_ms)
{
    if (at_ms < shard->timer_at_ms && shard->timer != NULL && !shard->stopping) {
        shard->timer_at_ms = at_ms;
        int64_t delay_ms = SL_MAX(at_ms - shard_now_ms(shard), (int64_t)0);
        sl_timer_start(shard->timer, delay_ms * 1000000);
    }
}

static void timer_fired(void *arg)
{
    struct shard *shard = arg;
    int64_t now_ms = shard_now_ms(shard);
    shard->timer_at_ms = TIMER_NEVER;
    /* A timer that its own callback sets to now would fire again within this turn of the loop. */
    arm(shard, SL_MAX(next_due(shard, now_ms), now_ms + 1));
}

void shard_schedule(struct shard *shard)
{
    if (shard->groups == NULL) {
        return; /* stopping */
    }
    int64_t due_ms = SL_MIN(group_coordinator_next_deadline_ms(shard->groups),
                            SL_MIN(retention_due_ms(shard->retention), seal_due_ms(shard)));
    due_ms = SL_MIN(due_ms, SL_MIN(compact_due_ms(shard), scrub_due_ms(shard)));
    due_ms = SL_MIN(due_ms, SL_MIN(roll_due_ms(shard), rewrite_due_ms(shard)));
    due_ms = SL_MIN(due_ms, SL_MIN(txns_due_ms(shard), consumer_desk_due_ms(shard)));
    due_ms = SL_MIN(due_ms, SL_MIN(shares_due_ms(shard), delayed_due_ms(shard)));
    if (shard->waiting != NULL) {
        due_ms = SL_MIN(due_ms,
                        shard->waiting->deadline_ms); /* the newest; older ones armed it before */
    }
    arm(shard, due_ms);
}

sl_err shard_start(struct shard *shard)
{
    shard->timer_at_ms = TIMER_NEVER;
    shard->housekeeping_ms = shard_now_ms(shard) + HOUSEKEEPING_MS;
    sl_err err = sl_timer_new(shard->loop, timer_fired, shard, &shard->timer);
    if (err == SLUICE_OK) {
        shard->started = shard->log != NULL;
        retention_start(shard->retention, shard_now_ms(shard));
        compact_start(shard);
        rewrite_start(shard);
        scrub_start(shard);
        int64_t due_ms = SL_MIN(retention_due_ms(shard->retention), compact_due_ms(shard));
        due_ms = SL_MIN(due_ms, rewrite_due_ms(shard));
        due_ms = SL_MIN(due_ms, scrub_due_ms(shard));
        txns_start(shard);
        consumer_desk_start(shard);
        due_ms = SL_MIN(due_ms, shares_due_ms(shard)); /* dead letters that were not written */
        due_ms = SL_MIN(due_ms, consumer_desk_due_ms(shard));
        due_ms = SL_MIN(due_ms, txns_due_ms(shard));
        arm(shard, SL_MIN(shard->housekeeping_ms, due_ms));
        space_freed(shard);
        seal_consider(shard);
    }
    return err;
}

/* ---- end ---- */

static void log_closed(void *arg)
{
    struct shard *shard = arg;
    shard->log_closed = true;
    maybe_closed(shard);
}

static void disk_closed(void *arg)
{
    struct shard *shard = arg;
    commit_log_close(shard->memory.log, log_closed, shard);
}

void shard_stop(struct shard *shard, void (*closed)(void *arg), void *arg)
{
    shard->stopping = true;
    shard->closed = closed;
    shard->closed_arg = arg;
    shard_set_status(shard, shard->status != SLUICE_OK ? shard->status : SLUICE_E_STOPPING);
    shard->timer = sl_timer_free(shard->timer);
    scrub_stop(shard);
    cut_stop(shard);
    rewrite_stop(shard);
    fetch_finish_all(shard);
    share_fetch_finish_all(shard);
    shard->groups = group_coordinator_free(shard->groups);
    if (shard->log == NULL) {
        log_closed(shard);
        return;
    }
    bool has_disk = shard->log != shard->memory.log;
    commit_log_close(shard->log, has_disk ? disk_closed : log_closed, shard);
}

struct shard *shard_free(struct shard *shard)
{
    if (shard == NULL) {
        return NULL;
    }
    if (shard->log != shard->memory.log) {
        commit_log_free(shard->log);
    }
    shard->log = NULL;
    shard->memory.log = commit_log_free(shard->memory.log);
    roll_fini(shard);
    cut_fini(&shard->cut);
    shard->sealer = sealer_free(shard->sealer);
    shard->compactor = compactor_free(shard->compactor);
    shard->rewriter = rewriter_free(shard->rewriter);
    shard->scrubber = scrubber_free(shard->scrubber);
    offset_lease_fini(shard);
    partition_free_all(shard);
    shard->extents = extent_set_free(shard->extents);
    consumer_desk_fini(shard);
    group_coordinator_free(shard->groups);
    catalog_free(shard->catalog);
    producer_shard_free(shard->producers);
    message_ids_fini(&shard->messages);
    delay_book_fini(&shard->delayed.book);
    offset_store_free(shard->offsets);
    txn_store_fini(&shard->txns.store);
    txn_offsets_fini(&shard->txn_offsets);
    position_store_free(shard->positions);
    share_store_fini(&shard->shares);
    share_members_fini(&shard->share_members);
    switch_store_fini(&shard->switches);
    access_store_fini(&shard->access);
    setting_store_fini(&shard->settings);
    quota_book_free(shard->quotas);
    retention_free(shard->retention);
    codec_context_free(shard->codecs);
    sl_buffer_fini(&shard->scratch);
    memory_space_fini(&shard->memory);
    produce_free_kept(shard);
    sl_free(shard);
    return NULL;
}
