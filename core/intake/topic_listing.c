/* topic_listing.c: see topic_listing.h. */
#include "intake/topic_listing.h"

#include "catalog/catalog_item.h"
#include "shard/settings.h"
#include "shard/topics.h"

#include <stdio.h>
#include <string.h>

struct listing {
    struct shard *home;
    int32_t node_id;
    const struct sluice_topic_ref *topics;
    uint32_t count;
    uint32_t capacity;
    struct sluice_topic_info *infos;
    struct sluice_topic_spec *specs; /* to be created */
    sluice_topics_done *done;
    void *arg;
};

static void listing_free(struct listing *listing)
{
    for (uint32_t i = 0; listing->infos != NULL && i < listing->count; i++) {
        sl_free((void *)(uintptr_t)listing->infos[i].partitions);
    }
    sl_free(listing->infos);
    sl_free(listing->specs);
    sl_free(listing);
}

static void fill_partitions(const struct listing *listing, const struct topic *topic,
                            struct sluice_topic_info *info)
{
    struct sluice_partition_info *partitions =
        sl_alloc_zero(topic->partition_count, sizeof(*partitions));
    if (partitions == NULL) {
        info->status = SLUICE_E_NO_MEMORY;
        return;
    }
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct shard *owner = shard_of_partition(listing->home->set, topic, i);
        sl_err status = shard_status(owner);
        bool refuses = status == SLUICE_E_CORRUPT || status == SLUICE_E_FOREIGN;
        partitions[i] = (struct sluice_partition_info){.partition = (int32_t)i,
                                                       .leader_epoch = shard_epoch(owner),
                                                       .leader_id = listing->node_id,
                                                       .status = refuses ? status : SLUICE_OK};
    }
    info->partitions = partitions;
    info->partition_count = topic->partition_count;
}

static void fill_topic(const struct listing *listing, const struct topic *topic,
                       struct sluice_topic_info *info)
{
    *info = (struct sluice_topic_info){
        .size = sizeof(*info), .name = text_of_sl(topic->name), .internal = topic->internal};
    memcpy(info->id.bytes, topic->id.b, sizeof(info->id.bytes));
    fill_partitions(listing, topic, info);
}

static void fill_ref(const struct listing *listing, const struct sluice_topic_ref *ref,
                     struct sluice_topic_info *info)
{
    *info = (struct sluice_topic_info){.size = sizeof(*info), .name = ref->name, .id = ref->id};
    const char *reason = NULL;
    struct topic *topic = shard_find_topic(listing->home, ref, &info->status);
    if (topic != NULL) {
        fill_topic(listing, topic, info);
    } else if (ref->name.size > 0 &&
               topic_name_check(sl_of_text(ref->name), true, &reason) != SLUICE_OK) {
        info->status = SLUICE_E_INVALID_TOPIC;
    }
}

static void visit_topic(void *arg, struct topic *topic)
{
    struct listing *listing = arg;
    if (listing->count < listing->capacity) {
        fill_topic(listing, topic, &listing->infos[listing->count++]);
    }
}

static void answer(struct listing *listing)
{
    for (uint32_t i = 0; listing->topics != NULL && i < listing->capacity; i++) {
        fill_ref(listing, &listing->topics[i], &listing->infos[i]);
        listing->count = i + 1;
    }
    if (listing->topics == NULL) {
        catalog_each(listing->home->catalog, visit_topic, listing);
    }
    listing->done(listing->arg, listing->infos, listing->count);
    listing_free(listing);
}

static void created(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    (void)results; /* what could not be created is answered as unknown, or as an invalid name */
    (void)count;
    answer(arg);
}

/* The names that are not there and may be. */
static uint32_t missing(struct listing *listing)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < listing->capacity; i++) {
        sluice_status status = SLUICE_OK;
        const struct sluice_topic_ref *ref = &listing->topics[i];
        if (ref->name.size > 0 && shard_find_topic(listing->home, ref, &status) == NULL) {
            listing->specs[count++] =
                (struct sluice_topic_spec){.size = sizeof(struct sluice_topic_spec),
                                           .partition_count = -1,
                                           .name = ref->name,
                                           .replication_factor = -1};
        }
    }
    return count;
}

void topic_listing_start(struct shard *home, int32_t node_id, const struct sluice_topic_ref *topics,
                         uint32_t count, bool create, sluice_topics_done *done, void *arg)
{
    struct listing *listing = sl_alloc_zero(1, sizeof(*listing));
    if (listing == NULL) {
        done(arg, NULL, 0);
        return;
    }
    *listing = (struct listing){
        .home = home, .node_id = node_id, .topics = topics, .done = done, .arg = arg};
    listing->capacity = topics != NULL ? count : catalog_topic_count(home->catalog);
    listing->infos = sl_alloc_zero(listing->capacity + 1u, sizeof(*listing->infos));
    listing->specs =
        create && topics != NULL ? sl_alloc_zero(count + 1u, sizeof(*listing->specs)) : NULL;
    if (listing->infos == NULL) {
        listing_free(listing);
        done(arg, NULL, 0);
        return;
    }
    uint32_t absent = listing->specs != NULL ? missing(listing) : 0;
    if (absent == 0) {
        answer(listing);
        return;
    }
    topics_create_start(home, listing->specs, absent, false, false, NULL, created, listing);
}

/* ---- configs ---- */

static void refuse_config(int32_t resource, struct sluice_text name, sl_err err, const char *reason,
                          sluice_config_done *done, void *arg)
{
    struct sluice_config_result result = {
        .status = err, .resource = resource, .name = name, .reason = sluice_text_of(reason)};
    done(arg, &result);
}

static void give_entries(int32_t resource, struct sluice_text name,
                         const struct config_entries *entries, sluice_config_done *done, void *arg)
{
    struct sluice_config_result result = {.status = SLUICE_OK,
                                          .resource = resource,
                                          .name = name,
                                          .entry_count = entries->count,
                                          .entries = entries->entries};
    done(arg, &result);
}

static bool names_this_node(const struct broker_settings *settings, struct sluice_text name)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", settings->node_id);
    return name.size == 0 || sl_bytes_equal(sl_of_text(name), sl_of_text(sluice_text_of(id)));
}

/* The log has one level for all that write to it. */
static void describe_logger(struct shard *home, struct config_entries *ret_entries)
{
    static const char *const levels[SL_LOG_LEVEL_COUNT] = {"DEBUG", "INFO", "WARN", "ERROR"};
    struct sluice_config_entry *entry = config_entries_add(ret_entries);
    entry->name = sluice_text_of("root");
    entry->value = sluice_text_of(levels[sl_logger_level(home->logger)]);
    entry->documentation = sluice_text_of("The level of the log; log.level in the broker's files.");
    entry->source = SLUICE_CONFIG_SOURCE_LOGGER;
    entry->type = SLUICE_CONFIG_TYPE_STRING;
    entry->read_only = true;
}

void config_listing(struct shard *home, const struct broker_settings *settings, int32_t resource,
                    struct sluice_text name, sluice_config_done *done, void *arg)
{
    if (settings_kind(resource) != 0 && name.size > 0) {
        settings_describe_start(home, resource, name, done, arg);
        return;
    }
    struct config_entries *entries = sl_alloc_zero(1, sizeof(*entries));
    if (entries == NULL) {
        refuse_config(resource, name, SLUICE_E_NO_MEMORY, "", done, arg);
        return;
    }
    struct topic *topic = catalog_by_name(home->catalog, sl_of_text(name));
    if (resource == SLUICE_RESOURCE_BROKER && names_this_node(settings, name)) {
        broker_config_describe(settings, entries);
        give_entries(resource, name, entries, done, arg);
    } else if (resource == SLUICE_RESOURCE_BROKER_LOGGER && name.size > 0 &&
               names_this_node(settings, name)) {
        describe_logger(home, entries);
        give_entries(resource, name, entries, done, arg);
    } else if (resource == SLUICE_RESOURCE_TOPIC && topic != NULL) {
        topic_config_describe(topic->overrides, topic->override_count, settings, entries);
        give_entries(resource, name, entries, done, arg);
    } else {
        bool known = resource == SLUICE_RESOURCE_TOPIC;
        const char *reason = NULL;
        sl_err err = !known ? SLUICE_E_INVALID_REQUEST
                     : topic_name_check(sl_of_text(name), true, &reason) != SLUICE_OK
                         ? SLUICE_E_INVALID_TOPIC
                         : SLUICE_E_UNKNOWN_TOPIC;
        refuse_config(resource, name, err, known ? "" : "there is no such resource", done, arg);
    }
    sl_free(entries);
}

/* What the log would hold of the topic, read back: the same as after a creation. */
static sl_err topic_preview(const struct sluice_topic_spec *spec, struct topic **ret_topic)
{
    const struct sl_uuid id = {.b = {1}};
    char reason[CONFIG_REASON_BYTES];
    for (uint32_t i = 0; i < spec->config_count; i++) {
        const struct sluice_key_value *config = &spec->configs[i];
        sl_err err =
            config->value.data == NULL
                ? SLUICE_OK
                : topic_config_check(sl_of_text(config->key), sl_of_text(config->value), reason);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    struct sl_bytes payload;
    sl_err err = catalog_create_encode(spec, &id, 1, 1, false, &payload);
    if (err == SLUICE_OK) {
        err = catalog_item_topic(payload, ret_topic);
        sl_free((void *)(uintptr_t)payload.data);
    }
    return err;
}

void config_preview(const struct broker_settings *settings, const struct sluice_topic_spec *spec,
                    sluice_config_done *done, void *arg)
{
    struct topic *topic = NULL;
    struct config_entries *entries = sl_alloc_zero(1, sizeof(*entries));
    sl_err err = entries == NULL ? SLUICE_E_NO_MEMORY : topic_preview(spec, &topic);
    if (err == SLUICE_OK) {
        topic_config_describe(topic->overrides, topic->override_count, settings, entries);
        give_entries(SLUICE_RESOURCE_TOPIC, spec->name, entries, done, arg);
    } else {
        refuse_config(SLUICE_RESOURCE_TOPIC, spec->name, err, "", done, arg);
    }
    topic_free(topic);
    sl_free(entries);
}
