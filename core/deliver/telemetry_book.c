/* telemetry_book.c: see telemetry_book.h. */
#include "deliver/telemetry_book.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/text.h"
#include "deliver/telemetry_match.h"

#include <stdio.h>
#include <stdlib.h>

#define SWEEP_MAX  8u /* instances that are looked at in one call because of their age */
#define CODEC_LAST 4
#define NEVER_MS   (INT64_MIN / 2)

struct subscription {
    struct telemetry_match match;
    bool is_broken; /* its pattern is of another version: it matches nobody */
    int32_t interval_ms;
    uint8_t *metrics; /* owned copy of the list */
    size_t metrics_size;
};

struct instance {
    struct sl_map_node node;
    struct sl_link link; /* by last use */
    struct sl_uuid id;
    uint32_t version; /* of the subscriptions that it was judged by */
    int32_t subscription_id;
    int32_t interval_ms;
    bool terminating;
    sl_err last_error;
    int64_t asked_ms;
    int64_t pushed_ms;
    int64_t expires_ms;
};

struct telemetry_book {
    struct sl_map instances;
    struct sl_list used; /* the newest first */
    struct subscription *subscriptions;
    uint32_t subscription_count;
    bool has_read;
    int64_t revision; /* of the settings that were read */
    uint64_t digest;  /* of those that are subscriptions */
    uint32_t version; /* rises when they change */
};

/* ---- subscriptions ---- */

static void forget_subscriptions(struct telemetry_book *book)
{
    for (uint32_t i = 0; i < book->subscription_count; i++) {
        telemetry_match_fini(&book->subscriptions[i].match);
        sl_free(book->subscriptions[i].metrics);
    }
    sl_free(book->subscriptions);
    book->subscriptions = NULL;
    book->subscription_count = 0;
}

static bool is_subscription(const struct setting_store *settings, uint32_t index)
{
    return index < settings->count && settings->entries[index]->kind == SETTING_CLIENT_METRICS;
}

static uint64_t digest_of(const struct setting_store *settings, uint32_t first)
{
    uint64_t digest = 0;
    for (uint32_t i = first; is_subscription(settings, i); i++) {
        const struct setting *entry = settings->entries[i];
        const struct sl_bytes parts[] = {entry->name, entry->key, entry->value};
        for (size_t part = 0; part < SL_COUNT_OF(parts); part++) {
            digest = sl_hash64_mix(digest ^ sl_hash64(parts[part].data, parts[part].size));
        }
    }
    return digest;
}

static sl_err take_setting(struct subscription *to, const struct setting *setting)
{
    const char *reason = NULL;
    uint64_t number = 0;
    if (sl_bytes_equal(setting->key, sl_bytes_of_text("interval.ms"))) {
        sl_err err = sl_text_parse_u64(setting->value, &number);
        to->interval_ms =
            err == SLUICE_OK && number <= INT32_MAX ? (int32_t)number : TELEMETRY_INTERVAL_MS;
        return SLUICE_OK;
    }
    if (sl_bytes_equal(setting->key, sl_bytes_of_text("match"))) {
        sl_err err = telemetry_match_parse(setting->value, &to->match, &reason);
        to->is_broken = err == SLUICE_E_INVALID_CONFIG;
        return to->is_broken ? SLUICE_OK : err;
    }
    if (sl_bytes_equal(setting->key, sl_bytes_of_text("metrics")) && setting->value.size > 0) {
        to->metrics = sl_alloc(setting->value.size);
        if (to->metrics == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        memcpy(to->metrics, setting->value.data, setting->value.size);
        to->metrics_size = setting->value.size;
    }
    return SLUICE_OK;
}

/* The settings of a subscription stand together. */
static sl_err read_subscriptions(struct telemetry_book *book, const struct setting_store *settings,
                                 uint32_t first)
{
    struct sl_bytes name = {0};
    uint32_t count = 0;
    sl_err err = SLUICE_OK;
    for (uint32_t i = first; is_subscription(settings, i); i++) {
        count++;
    }
    book->subscriptions = count == 0 ? NULL : sl_alloc_zero(count, sizeof(*book->subscriptions));
    if (count > 0 && book->subscriptions == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = first; err == SLUICE_OK && is_subscription(settings, i); i++) {
        if (i == first || !sl_bytes_equal(settings->entries[i]->name, name)) {
            name = settings->entries[i]->name;
            book->subscriptions[book->subscription_count++].interval_ms = TELEMETRY_INTERVAL_MS;
        }
        err =
            take_setting(&book->subscriptions[book->subscription_count - 1], settings->entries[i]);
    }
    return err;
}

static sl_err refresh(struct telemetry_book *book, const struct setting_store *settings)
{
    if (book->has_read && book->revision == settings->revision) {
        return SLUICE_OK;
    }
    uint32_t first = setting_store_first(settings, SETTING_CLIENT_METRICS, (struct sl_bytes){0});
    uint64_t digest = digest_of(settings, first);
    if (!book->has_read || digest != book->digest) {
        book->has_read = false;
        forget_subscriptions(book);
        sl_err err = read_subscriptions(book, settings, first);
        if (err != SLUICE_OK) {
            forget_subscriptions(book);
            return err;
        }
        book->version++;
        book->digest = digest;
    }
    book->has_read = true;
    book->revision = settings->revision;
    return SLUICE_OK;
}

/* ---- what a client is asked for ---- */

static int compare_names(const void *a, const void *b)
{
    const struct sl_bytes *first = a;
    const struct sl_bytes *second = b;
    int order = memcmp(first->data, second->data, SL_MIN(first->size, second->size));
    return order != 0 ? order : (first->size > second->size) - (first->size < second->size);
}

struct selection {
    struct sl_buffer names; /* struct sl_bytes, views into the subscriptions */
    int32_t interval_ms;
    bool all;
};

static sl_err add_names(struct selection *selection, const struct subscription *subscription)
{
    struct sl_bytes rest = {subscription->metrics, subscription->metrics_size};
    struct sl_bytes name;
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && telemetry_list_next(&rest, &name)) {
        selection->all = selection->all || sl_bytes_equal(name, sl_bytes_of_text("*"));
        err = sl_buffer_append(&selection->names, &name, sizeof(name));
    }
    return err;
}

static sl_err select_for(const struct telemetry_book *book, const struct telemetry_client *client,
                         struct selection *selection)
{
    char id[23];
    char port[8];
    sl_uuid_text(&client->instance, id);
    snprintf(port, sizeof(port), "%u", client->port);
    const struct sl_bytes what[TELEMETRY_SELECTOR_COUNT] = {
        [TELEMETRY_INSTANCE_ID] = sl_bytes_of_text(id),
        [TELEMETRY_CLIENT_ID] = client->client_id,
        [TELEMETRY_SOFTWARE_NAME] = client->software_name,
        [TELEMETRY_SOFTWARE_VERSION] = client->software_version,
        [TELEMETRY_SOURCE_ADDRESS] = client->address,
        [TELEMETRY_SOURCE_PORT] = sl_bytes_of_text(port),
    };
    sl_err err = SLUICE_OK;
    selection->interval_ms = TELEMETRY_INTERVAL_MS;
    for (uint32_t i = 0; err == SLUICE_OK && i < book->subscription_count; i++) {
        const struct subscription *subscription = &book->subscriptions[i];
        if (!subscription->is_broken && telemetry_match_has(&subscription->match, what)) {
            selection->interval_ms = SL_MIN(selection->interval_ms, subscription->interval_ms);
            err = add_names(selection, subscription);
        }
    }
    return err;
}

/* In order, each once, parted by commas. */
static sl_err write_names(struct selection *selection, struct sl_buffer *out)
{
    struct sl_bytes *names = (struct sl_bytes *)(void *)selection->names.data;
    size_t count = selection->names.size / sizeof(*names);
    sl_err err = SLUICE_OK;
    if (selection->all) {
        return sl_buffer_append(out, "*", 1);
    }
    if (count > 0) {
        qsort(names, count, sizeof(*names), compare_names);
    }
    for (size_t i = 0; err == SLUICE_OK && i < count; i++) {
        if (i > 0 && sl_bytes_equal(names[i], names[i - 1])) {
            continue;
        }
        err = out->size > 0 ? sl_buffer_append(out, ",", 1) : SLUICE_OK;
        err = err != SLUICE_OK ? err : sl_buffer_append(out, names[i].data, names[i].size);
    }
    return err;
}

/* Of java.util.UUID, and of Kafka's. */
static uint32_t uuid_hash(const struct sl_uuid *id)
{
    uint64_t both = sl_be64_load(id->b) ^ sl_be64_load(id->b + 8);
    return (uint32_t)(both >> 32) ^ (uint32_t)both;
}

static int32_t id_of(const struct sl_buffer *metrics, int32_t interval_ms,
                     const struct sl_uuid *instance)
{
    struct sl_bytes rest = sl_buffer_bytes(metrics);
    struct sl_bytes name;
    char interval[16];
    uint32_t crc = sl_crc32c("[", 1);
    bool is_first = true;
    while (telemetry_list_next(&rest, &name)) {
        crc = is_first ? crc : sl_crc32c_extend(crc, ", ", 2);
        crc = sl_crc32c_extend(crc, name.data, name.size);
        is_first = false;
    }
    int size = snprintf(interval, sizeof(interval), "]%d", interval_ms);
    crc = sl_crc32c_extend(crc, interval, (size_t)size);
    return (int32_t)(crc ^ uuid_hash(instance));
}

static sl_err want(const struct telemetry_book *book, const struct telemetry_client *client,
                   struct telemetry_wanted *wanted)
{
    struct selection selection = {.all = false};
    sl_buffer_init(&selection.names, TELEMETRY_METRICS_BYTES * sizeof(struct sl_bytes));
    sl_err err = select_for(book, client, &selection);
    err = err != SLUICE_OK ? err : write_names(&selection, &wanted->metrics);
    sl_buffer_fini(&selection.names);
    wanted->interval_ms = selection.interval_ms;
    wanted->subscription_id = id_of(&wanted->metrics, wanted->interval_ms, &client->instance);
    return err;
}

/* ---- instances ---- */

static void forget(struct telemetry_book *book, struct instance *instance)
{
    sl_map_remove(&book->instances, &instance->node);
    sl_list_remove(&instance->link);
    sl_free(instance);
}

static struct instance *oldest(const struct telemetry_book *book)
{
    struct sl_link *last = sl_list_last(&book->used);
    return last == NULL ? NULL : SL_CONTAINER_OF(last, struct instance, link);
}

static void sweep(struct telemetry_book *book, int64_t now_ms)
{
    for (uint32_t i = 0; i < SWEEP_MAX; i++) {
        struct instance *last = oldest(book);
        if (last == NULL || now_ms <= last->expires_ms) {
            return;
        }
        forget(book, last);
    }
}

static sl_err instance_new(struct telemetry_book *book, const struct sl_uuid *id,
                           struct instance **ret_instance)
{
    struct instance *last = oldest(book);
    if (book->instances.count == TELEMETRY_INSTANCES_MAX && last != NULL) {
        forget(book, last);
    }
    struct instance *instance = sl_alloc_zero(1, sizeof(*instance));
    if (instance == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    instance->id = *id;
    sl_link_init(&instance->link);
    sl_err err = sl_map_insert(&book->instances, &instance->node,
                               sl_bytes_of(instance->id.b, sizeof(instance->id.b)));
    if (err != SLUICE_OK) {
        sl_free(instance);
        return err;
    }
    sl_list_push_front(&book->used, &instance->link);
    *ret_instance = instance;
    return SLUICE_OK;
}

/* As one that was not heard of since the subscriptions changed. */
static sl_err judge(struct telemetry_book *book, struct instance *instance,
                    const struct telemetry_client *client)
{
    struct telemetry_wanted wanted = {0};
    sl_buffer_init(&wanted.metrics, TELEMETRY_METRICS_BYTES);
    sl_err err = want(book, client, &wanted);
    sl_buffer_fini(&wanted.metrics);
    if (err == SLUICE_OK) {
        instance->version = book->version;
        instance->subscription_id = wanted.subscription_id;
        instance->interval_ms = wanted.interval_ms;
        instance->terminating = false;
        instance->last_error = SLUICE_OK;
        instance->asked_ms = instance->pushed_ms = NEVER_MS;
    }
    return err;
}

static sl_err find(struct telemetry_book *book, const struct telemetry_client *client,
                   int64_t now_ms, struct instance **ret_instance)
{
    struct sl_map_node *node =
        sl_map_find(&book->instances, sl_bytes_of(client->instance.b, sizeof(client->instance.b)));
    struct instance *instance = node == NULL ? NULL : SL_CONTAINER_OF(node, struct instance, node);
    bool is_new = instance == NULL;
    sl_err err = is_new ? instance_new(book, &client->instance, &instance) : SLUICE_OK;
    if (err != SLUICE_OK) {
        return err;
    }
    if (is_new || instance->version != book->version || now_ms > instance->expires_ms) {
        err = judge(book, instance, client);
        if (err != SLUICE_OK) {
            forget(book, instance);
            return err;
        }
    }
    sl_list_remove(&instance->link);
    sl_list_push_front(&book->used, &instance->link);
    instance->expires_ms =
        now_ms + SL_MAX((int64_t)TELEMETRY_KEEP_MS, (int64_t)instance->interval_ms * 3);
    *ret_instance = instance;
    return SLUICE_OK;
}

static sl_err begin(struct telemetry_book *book, const struct setting_store *settings,
                    const struct telemetry_client *client, int64_t now_ms,
                    struct instance **ret_instance)
{
    sl_err err = refresh(book, settings);
    if (err != SLUICE_OK) {
        return err;
    }
    sweep(book, now_ms);
    return find(book, client, now_ms, ret_instance);
}

/* ---- the two calls ---- */

static bool may_ask(struct instance *instance, int64_t now_ms)
{
    int64_t last_ms = SL_MAX(instance->asked_ms, instance->pushed_ms);
    if (now_ms - last_ms >= instance->interval_ms) {
        instance->asked_ms = now_ms;
        return true;
    }
    return instance->last_error == SLUICE_E_UNKNOWN_SUBSCRIPTION ||
           instance->last_error == SLUICE_E_UNSUPPORTED_CODEC;
}

/* The first push after a question may come at once: clients wait for half to one and a half
 * intervals. */
static bool may_push(struct instance *instance, int64_t now_ms)
{
    if (instance->asked_ms <= instance->pushed_ms &&
        now_ms - instance->pushed_ms < instance->interval_ms) {
        return false;
    }
    instance->pushed_ms = now_ms;
    return true;
}

sl_err telemetry_book_ask(struct telemetry_book *book, const struct setting_store *settings,
                          const struct telemetry_client *client, int64_t now_ms,
                          struct telemetry_wanted *wanted)
{
    struct instance *instance = NULL;
    sl_err err = begin(book, settings, client, now_ms, &instance);
    if (err != SLUICE_OK) {
        return err;
    }
    if (!may_ask(instance, now_ms)) {
        return SLUICE_E_QUOTA_EXCEEDED;
    }
    err = want(book, client, wanted);
    if (err == SLUICE_OK) { /* it may have come from elsewhere since it was judged */
        instance->subscription_id = wanted->subscription_id;
        instance->interval_ms = wanted->interval_ms;
        instance->last_error = SLUICE_OK;
    }
    return err;
}

static sl_err check_push(struct instance *instance, const struct telemetry_push *push,
                         int64_t now_ms)
{
    if (instance->terminating) {
        return SLUICE_E_INVALID_REQUEST;
    }
    if (!may_push(instance, now_ms) && !push->terminating) {
        return SLUICE_E_QUOTA_EXCEEDED;
    }
    if (push->subscription_id != instance->subscription_id) {
        return SLUICE_E_UNKNOWN_SUBSCRIPTION;
    }
    if (push->codec < 0 || push->codec > CODEC_LAST) {
        return SLUICE_E_UNSUPPORTED_CODEC;
    }
    return push->size > push->size_max ? SLUICE_E_TELEMETRY_TOO_LARGE : SLUICE_OK;
}

sl_err telemetry_book_push(struct telemetry_book *book, const struct setting_store *settings,
                           const struct telemetry_client *client, const struct telemetry_push *push,
                           int64_t now_ms)
{
    struct instance *instance = NULL;
    sl_err err = begin(book, settings, client, now_ms, &instance);
    if (err != SLUICE_OK) {
        return err;
    }
    err = check_push(instance, push, now_ms);
    instance->last_error = err;
    instance->terminating = push->terminating;
    return err;
}

/* ---- life ---- */

sl_err telemetry_book_new(uint64_t seed, struct telemetry_book **ret_book)
{
    struct telemetry_book *book = sl_alloc_zero(1, sizeof(*book));
    if (book == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_map_init(&book->instances, TELEMETRY_INSTANCES_MAX, seed);
    sl_list_init(&book->used);
    *ret_book = book;
    return SLUICE_OK;
}

struct telemetry_book *telemetry_book_free(struct telemetry_book *book)
{
    if (book != NULL) {
        forget_subscriptions(book);
        SL_LIST_EACH_SAFE(&book->used, link)
        {
            forget(book, SL_CONTAINER_OF(link, struct instance, link));
        }
        sl_map_fini(&book->instances);
        sl_free(book);
    }
    return NULL;
}

uint32_t telemetry_book_count(const struct telemetry_book *book)
{
    return (uint32_t)book->instances.count;
}
