/* share_store.c: see share_store.h. The wheel has slots of SHARE_WHEEL_SLOT_MS; a stream is hung
 * where its window is due, or, when that is further away than the wheel is wide, in the slot that
 * comes last, and is hung anew when it comes by. */
#include "deliver/share_store.h"

#include "base/bytes.h"
#include "base/hash.h"

#include <string.h>

#define CONFIGS_AT (1u << 31) /* of a snapshot's cursor: groups, not streams */

/* ---- lookups ---- */

struct stream_key {
    struct sl_bytes group;
    struct sl_uuid topic;
    uint32_t partition;
};

static struct share_owner_group *group_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct share_owner_group, by_name);
}

static struct share_stream *stream_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct share_stream, by_key);
}

static bool group_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(group_of(link)->name, *(const struct sl_bytes *)key);
}

static bool stream_matches(const struct chain_link *link, const void *key)
{
    const struct share_stream *stream = stream_of(link);
    const struct stream_key *wanted = key;
    return stream->partition == wanted->partition &&
           memcmp(stream->topic.b, wanted->topic.b, 16) == 0 &&
           sl_bytes_equal(stream->group->name, wanted->group);
}

static uint64_t group_hash(struct sl_bytes name)
{
    return sl_hash64(name.data, name.size);
}

static uint64_t stream_hash(const struct stream_key *key)
{
    return sl_hash64_mix(group_hash(key->group) ^ sl_hash64(key->topic.b, 16) ^ key->partition);
}

sl_err share_store_init(struct share_store *store)
{
    *store = (struct share_store){0};
    for (uint32_t i = 0; i < SHARE_WHEEL_SLOTS; i++) {
        sl_list_init(&store->slots[i]);
    }
    sl_list_init(&store->doomed);
    sl_list_init(&store->undelivered);
    sl_list_init(&store->ring);
    sl_list_init(&store->gone);
    sl_err err = chain_map_init(&store->groups);
    return err != SLUICE_OK ? err : chain_map_init(&store->streams);
}

struct share_owner_group *share_store_group(const struct share_store *store, struct sl_bytes name)
{
    struct chain_link *link = chain_map_get(&store->groups, group_hash(name), group_matches, &name);
    return link == NULL ? NULL : group_of(link);
}

struct share_settings share_store_settings(const struct share_store *store, struct sl_bytes name)
{
    const struct share_owner_group *group = share_store_group(store, name);
    struct share_settings settings;
    share_settings_init(&settings);
    return group != NULL ? group->settings : settings;
}

struct share_stream *share_store_find(const struct share_store *store, struct sl_bytes group,
                                      const struct sl_uuid *topic, uint32_t partition)
{
    const struct stream_key key = {group, *topic, partition};
    struct chain_link *link =
        chain_map_get(&store->streams, stream_hash(&key), stream_matches, &key);
    return link == NULL ? NULL : stream_of(link);
}

/* ---- groups and streams ---- */

static sl_err group_ensure(struct share_store *store, struct sl_bytes name,
                           struct share_owner_group **ret_group)
{
    struct share_owner_group *group = share_store_group(store, name);
    if (group == NULL) {
        group = sl_alloc_zero(1, sizeof(*group) + name.size);
        if (group == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        sl_list_init(&group->streams);
        sl_link_init(&group->in_ring);
        sl_list_push_back(&store->ring, &group->in_ring);
        share_settings_init(&group->settings);
        group->name = (struct sl_bytes){(uint8_t *)(group + 1), name.size};
        sl_bytes_copy(group + 1, name);
        chain_map_put(&store->groups, &group->by_name, group_hash(name));
    }
    *ret_group = group;
    return SLUICE_OK;
}

static bool is_configured(const struct share_settings *settings)
{
    for (uint32_t i = 0; i < SHARE_CONFIG_COUNT; i++) {
        if (settings->set[i]) {
            return true;
        }
    }
    return false;
}

static void group_drop_empty(struct share_store *store, struct share_owner_group *group)
{
    if (sl_list_is_empty(&group->streams) && !is_configured(&group->settings)) {
        chain_map_remove(&store->groups, &group->by_name);
        sl_list_remove(&group->in_ring);
        group->counts[SHARE_COUNT_LAG] = 0;
        if (memcmp(group->counts, group->told, sizeof(group->told)) != 0) {
            sl_list_push_back(&store->gone, &group->in_ring);
        } else {
            sl_free(group);
        }
    }
}

int64_t share_stream_lag(const struct share_stream *stream, int64_t end)
{
    return SL_MAX(end - stream->window.start - stream->window.finals, (int64_t)0);
}

/* What changed since the window was last looked at, in the counts of its group. */
static void count_window(struct share_stream *stream)
{
    struct share_window *window = &stream->window;
    share_stream_count(stream, SHARE_COUNT_ARCHIVED, window->archived);
    share_stream_count(stream, SHARE_COUNT_IN_FLIGHT,
                       (int64_t)window->in_flight - stream->counted_in_flight);
    share_stream_count(stream, SHARE_COUNT_WAITING,
                       (int64_t)window->doomed - stream->counted_doomed);
    window->archived = 0;
    stream->counted_in_flight = window->in_flight;
    stream->counted_doomed = window->doomed;
}

sl_err share_store_add(struct share_store *store, struct sl_bytes group_name,
                       const struct sl_uuid *topic, uint32_t partition, int64_t start,
                       struct share_stream **ret_stream)
{
    struct share_owner_group *group = NULL;
    if (store->stream_count >= SHARE_STREAMS_MAX) {
        return SLUICE_E_LIMIT;
    }
    sl_err err = group_ensure(store, group_name, &group);
    struct share_stream *stream = err == SLUICE_OK ? sl_alloc_zero(1, sizeof(*stream)) : NULL;
    if (stream == NULL) {
        if (err == SLUICE_OK) {
            group_drop_empty(store, group);
        }
        return SLUICE_E_NO_MEMORY;
    }
    stream->group = group;
    stream->topic = *topic;
    stream->partition = partition;
    stream->refs = 1;
    sl_link_init(&stream->in_wheel);
    sl_link_init(&stream->in_doomed);
    sl_link_init(&stream->in_group);
    sl_list_init(&stream->waiters);
    sl_list_push_back(&group->streams, &stream->in_group);
    share_window_init(&stream->window, start);
    const struct stream_key key = {group->name, *topic, partition};
    chain_map_put(&store->streams, &stream->by_key, stream_hash(&key));
    store->stream_count++;
    *ret_stream = stream;
    return SLUICE_OK;
}

void share_stream_ref(struct share_stream *stream)
{
    stream->refs++;
}

void share_stream_unref(struct share_stream *stream)
{
    SL_ASSERT(stream->refs > 0);
    if (--stream->refs == 0) {
        share_window_fini(&stream->window);
        sl_free(stream);
    }
}

static void stream_remove(struct share_store *store, struct share_stream *stream)
{
    chain_map_remove(&store->streams, &stream->by_key);
    store->stream_count--;
    sl_list_remove(&stream->in_wheel);
    sl_list_remove(&stream->in_doomed);
    sl_list_remove(&stream->in_group);
    share_window_reset(&stream->window, stream->window.start);
    count_window(stream);
    stream->group = NULL;
    stream->removed = true;
    share_stream_unref(stream);
}

void share_store_forget(struct share_store *store, struct sl_bytes name,
                        const struct sl_uuid *topic)
{
    struct share_owner_group *group = share_store_group(store, name);
    if (group == NULL) {
        return;
    }
    for (struct sl_link *link = group->streams.head.next, *next; link != &group->streams.head;
         link = next) {
        struct share_stream *stream = SL_CONTAINER_OF(link, struct share_stream, in_group);
        next = link->next;
        if (topic == NULL || memcmp(stream->topic.b, topic->b, 16) == 0) {
            stream_remove(store, stream);
        }
    }
    if (topic == NULL) {
        share_settings_init(&group->settings);
    }
    group_drop_empty(store, group);
}

struct topic_visit {
    struct share_store *store;
    const struct sl_uuid *topic;
};

static void forget_visit(void *arg, struct chain_link *link)
{
    const struct topic_visit *visit = arg;
    struct share_stream *stream = stream_of(link);
    struct share_owner_group *group = stream->group;
    if (visit->topic == NULL || memcmp(stream->topic.b, visit->topic->b, 16) == 0) {
        stream_remove(visit->store, stream);
        group_drop_empty(visit->store, group);
    }
}

void share_store_forget_topic(struct share_store *store, const struct sl_uuid *topic)
{
    if (store->stream_count > 0) {
        chain_map_each(&store->streams, forget_visit, &(struct topic_visit){store, topic});
    }
}

static void free_group(void *arg, struct chain_link *link)
{
    (void)arg;
    sl_free(group_of(link));
}

void share_store_fini(struct share_store *store)
{
    share_store_forget_topic(store, NULL);
    if (store->groups.buckets != NULL) {
        chain_map_each(&store->groups, free_group, NULL);
        for (struct sl_link *link; (link = sl_list_pop_front(&store->gone)) != NULL;) {
            sl_free(SL_CONTAINER_OF(link, struct share_owner_group, in_ring));
        }
    }
    chain_map_fini(&store->groups);
    chain_map_fini(&store->streams);
}

sl_err share_store_configure(struct share_store *store, struct sl_bytes name,
                             const struct share_settings *settings)
{
    struct share_owner_group *group = NULL;
    sl_err err = group_ensure(store, name, &group);
    if (err == SLUICE_OK) {
        group->settings = *settings;
        group_drop_empty(store, group);
    }
    return err;
}

/* ---- the wheel ---- */

static void list_doomed(struct share_store *store, struct share_stream *stream)
{
    if (stream->window.doomed > 0 && !stream->burying && !sl_link_is_listed(&stream->in_doomed)) {
        sl_list_push_back(&store->doomed, &stream->in_doomed);
    }
}

void share_store_arm(struct share_store *store, struct share_stream *stream)
{
    int64_t due_ms = stream->window.due_ms;
    sl_list_remove(&stream->in_wheel);
    if (!stream->removed) {
        list_doomed(store, stream);
        count_window(stream);
    }
    if (due_ms == SHARE_NEVER || stream->removed) {
        return;
    }
    int64_t slot = SL_MAX(due_ms, store->turned_ms) / SHARE_WHEEL_SLOT_MS;
    int64_t first = store->turned_ms / SHARE_WHEEL_SLOT_MS;
    slot = SL_MIN(slot, first + (int64_t)SHARE_WHEEL_SLOTS - 2); /* not where it comes from */
    sl_list_push_back(&store->slots[(uint64_t)slot % SHARE_WHEEL_SLOTS], &stream->in_wheel);
}

int64_t share_store_due_ms(const struct share_store *store)
{
    int64_t first = store->turned_ms / SHARE_WHEEL_SLOT_MS;
    for (int64_t slot = first; slot < first + (int64_t)SHARE_WHEEL_SLOTS; slot++) {
        if (!sl_list_is_empty(&store->slots[(uint64_t)slot % SHARE_WHEEL_SLOTS])) {
            return (slot + 1) * SHARE_WHEEL_SLOT_MS; /* its last stream is due by then */
        }
    }
    return INT64_MAX;
}

/* The first of the slot that is due; the others were hung where the wheel is not wide enough. */
static struct share_stream *slot_take(struct share_store *store, int64_t slot, int64_t now_ms)
{
    struct sl_list *list = &store->slots[(uint64_t)slot % SHARE_WHEEL_SLOTS];
    for (struct sl_link *link = list->head.next; link != &list->head; link = link->next) {
        struct share_stream *stream = SL_CONTAINER_OF(link, struct share_stream, in_wheel);
        if (stream->window.due_ms <= now_ms) {
            sl_list_remove(link);
            return stream;
        }
    }
    return NULL;
}

/* Hangs all that is in the slot anew. */
static void slot_spread(struct share_store *store, uint32_t index)
{
    struct sl_list *list = &store->slots[index];
    for (struct sl_link *link = list->head.next, *last = list->head.prev, *next;
         link != &list->head; link = next) {
        next = link == last ? &list->head : link->next;
        share_store_arm(store, SL_CONTAINER_OF(link, struct share_stream, in_wheel));
    }
}

struct share_stream *share_store_due(struct share_store *store, int64_t now_ms)
{
    int64_t slot = store->turned_ms / SHARE_WHEEL_SLOT_MS;
    int64_t now_slot = now_ms / SHARE_WHEEL_SLOT_MS;
    if (now_slot - slot >= (int64_t)SHARE_WHEEL_SLOTS - 1) { /* nobody looked for long */
        slot = now_slot;
        store->turned_ms = slot * SHARE_WHEEL_SLOT_MS;
        for (uint32_t i = 0; i < SHARE_WHEEL_SLOTS; i++) {
            slot_spread(store, i);
        }
    }
    for (; slot <= now_slot; slot++) {
        struct share_stream *stream = slot_take(store, slot, now_ms);
        if (stream != NULL || slot == now_slot) {
            return stream;
        }
        store->turned_ms = (slot + 1) * SHARE_WHEEL_SLOT_MS;
        slot_spread(store, (uint32_t)((uint64_t)slot % SHARE_WHEEL_SLOTS));
    }
    return NULL;
}

/* ---- what is durable ---- */

static sl_err apply_state(struct share_store *store, uint8_t version, struct sl_bytes payload)
{
    struct share_item item;
    sl_err err = share_item_decode(version, payload, &item);
    if (err != SLUICE_OK) {
        return err;
    }
    struct share_stream *stream = share_store_find(store, item.group, &item.topic, item.partition);
    if (stream == NULL) {
        err = share_store_add(store, item.group, &item.topic, item.partition, item.start, &stream);
    } else if (item.replaces) {
        share_window_reset(&stream->window, item.start);
    }
    if (err != SLUICE_OK) {
        return err;
    }
    sl_list_remove(&stream->in_doomed); /* it may have none any more */
    share_window_raise(&stream->window, item.start);
    for (uint32_t i = 0; i < item.range_count && err == SLUICE_OK; i++) {
        const struct share_range range = share_item_range(&item, i);
        err = share_window_restore(&stream->window, &range);
    }
    list_doomed(store, stream);
    count_window(stream);
    return err;
}

static sl_err apply_forget(struct share_store *store, uint8_t version, struct sl_bytes payload)
{
    struct share_forget forget;
    sl_err err = share_forget_decode(version, payload, &forget);
    if (err == SLUICE_OK) {
        share_store_forget(store, forget.group,
                           forget.what == SHARE_FORGET_TOPIC ? &forget.topic : NULL);
    }
    return err;
}

sl_err share_config_encode(struct sl_bytes group, const struct share_settings *settings,
                           struct sl_buffer *payload)
{
    uint8_t head[8] = {0};
    uint16_t count = 0;
    for (uint32_t i = 0; i < SHARE_CONFIG_COUNT; i++) {
        count = (uint16_t)(count + settings->set[i]);
    }
    sl_le16_store(head, (uint16_t)group.size);
    sl_le16_store(head + 2, count);
    sl_err err = sl_buffer_append(payload, head, sizeof(head));
    err = err != SLUICE_OK ? err : sl_buffer_append(payload, group.data, group.size);
    for (uint32_t i = 0; i < SHARE_CONFIG_COUNT && err == SLUICE_OK; i++) {
        if (!settings->set[i]) {
            continue;
        }
        char text[SHARE_CONFIG_VALUE_BYTES_MAX];
        size_t size = share_settings_text(settings, (enum share_config_key)i, text);
        size_t name_size = strlen(share_config_rows[i].name);
        uint8_t sizes[4];
        sl_le16_store(sizes, (uint16_t)name_size);
        sl_le16_store(sizes + 2, (uint16_t)size);
        err = sl_buffer_append(payload, sizes, sizeof(sizes));
        err = err != SLUICE_OK ? err
                               : sl_buffer_append(payload, share_config_rows[i].name, name_size);
        err = err != SLUICE_OK ? err : sl_buffer_append(payload, text, size);
    }
    return err;
}

static bool take(struct sl_bytes *rest, size_t size, struct sl_bytes *ret_part)
{
    if (size > rest->size) {
        return false;
    }
    *ret_part = (struct sl_bytes){rest->data, size};
    *rest = (struct sl_bytes){rest->data + size, rest->size - size};
    return true;
}

/* A key of a later release, or a value that is not allowed any more, is passed over. */
static sl_err apply_config(struct share_store *store, uint8_t version, struct sl_bytes payload)
{
    struct share_settings settings;
    struct sl_bytes head, group, rest = payload;
    share_settings_init(&settings);
    if (version != SHARE_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    if (!take(&rest, 8, &head) || sl_le16_load(head.data) > SHARE_GROUP_BYTES_MAX ||
        !take(&rest, sl_le16_load(head.data), &group)) {
        return SLUICE_E_CORRUPT;
    }
    for (uint32_t count = sl_le16_load(head.data + 2); count > 0; count--) {
        struct sl_bytes sizes, name, value;
        if (!take(&rest, 4, &sizes) || !take(&rest, sl_le16_load(sizes.data), &name) ||
            !take(&rest, sl_le16_load(sizes.data + 2), &value)) {
            return SLUICE_E_CORRUPT;
        }
        enum share_config_key key = share_config_find(name);
        if (key != SHARE_CONFIG_COUNT) {
            sl_err ignored = share_settings_set(&settings, key, value);
            (void)ignored;
        }
    }
    return rest.size > 0 ? SLUICE_E_CORRUPT : share_store_configure(store, group, &settings);
}

sl_err share_store_apply(struct share_store *store, uint16_t kind, uint8_t version,
                         struct sl_bytes payload)
{
    switch (kind) {
    case WAL_ITEM_SHARE_STATE:
        return apply_state(store, version, payload);
    case WAL_ITEM_SHARE_FORGET:
        return apply_forget(store, version, payload);
    default:
        SL_ASSERT(kind == WAL_ITEM_SHARE_CONFIG);
        return apply_config(store, version, payload);
    }
}

struct encode_visit {
    struct sl_buffer *payload;
    size_t at;
    sl_err err;
};

static void encode_range(void *arg, const struct share_range *range)
{
    struct encode_visit *visit = arg;
    if (visit->err == SLUICE_OK) {
        visit->err = share_item_add(visit->payload, visit->at, range);
    }
}

sl_err share_stream_encode(const struct share_stream *stream, struct sl_buffer *payload)
{
    struct encode_visit visit = {.payload = payload, .at = payload->size};
    const struct share_item item = {.group = stream->group->name,
                                    .topic = stream->topic,
                                    .partition = stream->partition,
                                    .replaces = true,
                                    .start = stream->window.start};
    visit.err = share_item_begin(&item, payload);
    share_window_describe(&stream->window, stream->window.start, SHARE_NEVER, encode_range, &visit);
    return visit.err;
}

struct snapshot_visit {
    share_add_fn *add;
    void *add_arg;
    struct sl_buffer payload;
    sl_err err;
};

static void snapshot_stream(void *arg, struct chain_link *link)
{
    struct snapshot_visit *visit = arg;
    sl_buffer_reset(&visit->payload);
    if (visit->err == SLUICE_OK) {
        visit->err = share_stream_encode(stream_of(link), &visit->payload);
    }
    if (visit->err == SLUICE_OK) {
        visit->err = visit->add(visit->add_arg, WAL_ITEM_SHARE_STATE, SHARE_ITEM_VERSION,
                                sl_buffer_bytes(&visit->payload));
    }
}

static void snapshot_config(void *arg, struct chain_link *link)
{
    struct snapshot_visit *visit = arg;
    const struct share_owner_group *group = group_of(link);
    sl_buffer_reset(&visit->payload);
    if (visit->err != SLUICE_OK || !is_configured(&group->settings)) {
        return;
    }
    visit->err = share_config_encode(group->name, &group->settings, &visit->payload);
    if (visit->err == SLUICE_OK) {
        visit->err = visit->add(visit->add_arg, WAL_ITEM_SHARE_CONFIG, SHARE_ITEM_VERSION,
                                sl_buffer_bytes(&visit->payload));
    }
}

sl_err share_store_snapshot(const struct share_store *store, uint32_t *at, uint32_t count,
                            share_add_fn *add, void *add_arg)
{
    struct snapshot_visit visit = {.add = add, .add_arg = add_arg};
    sl_buffer_init(&visit.payload, SHARE_STATE_BYTES_MAX);
    if (*at < CONFIGS_AT) {
        *at = chain_map_visit(&store->streams, *at, count, snapshot_stream, &visit);
        *at = *at == UINT32_MAX ? CONFIGS_AT : *at;
    } else {
        uint32_t next =
            chain_map_visit(&store->groups, *at - CONFIGS_AT, count, snapshot_config, &visit);
        *at = next == UINT32_MAX ? UINT32_MAX : next + CONFIGS_AT;
    }
    sl_buffer_fini(&visit.payload);
    return visit.err;
}
