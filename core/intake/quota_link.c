/* quota_link.c: see quota_link.h. */
#include "intake/quota_link.h"

#include "base/bytes.h"
#include "shard/access.h"

#include <stdio.h>
#include <string.h>

static struct quota_link *of(const struct sluice_quota *quota)
{
    return quota->data;
}

/* ---- what is used ---- */

static struct quota_book *book_of(const struct quota_link *link)
{
    return link->home->set->shards[0]->quotas;
}

static int64_t now_ms(const struct quota_link *link)
{
    return sl_loop_now_ns(link->home->loop) / 1000000;
}

/* "User:alice" is alice, whose quotas are set. */
static struct quota_user user_of(const struct sluice_context *context, int32_t kind)
{
    static const char prefix[] = "User:";
    struct sl_bytes principal = sl_of_text(context->principal);
    size_t skip = sizeof(prefix) - 1;
    bool is_user = principal.size >= skip && memcmp(principal.data, prefix, skip) == 0;
    if (kind == SLUICE_QUOTA_CONNECTIONS) {
        return (struct quota_user){
            .ip = broker_guard_action(context, 0, 0, context->client_host).host};
    }
    return (struct quota_user){
        .user = is_user ? sl_bytes_of(principal.data + skip, principal.size - skip)
                        : (struct sl_bytes){NULL, 0},
        .client_id = sl_of_text(context->client_id)};
}

static bool is_counted(const struct quota_link *link, int32_t kind)
{
    return kind >= 1 && kind <= SLUICE_QUOTA_KINDS && quota_book_limits(book_of(link), kind);
}

/* Apart, so that each request that nobody counts does not pay for it. */
__attribute__((noinline)) static int32_t
charge(struct quota_link *link, const struct sluice_context *context, int32_t kind, int64_t amount)
{
    struct quota_user user = user_of(context, kind);
    int32_t wait_ms = quota_book_charge(book_of(link), &user, kind, amount, now_ms(link));
    if (wait_ms > 0 && amount > 0 && link->throttled != NULL) {
        link->throttled(link->throttled_arg, kind, context->principal, wait_ms);
    }
    return amount > 0 ? wait_ms : 0;
}

static int32_t on_charge(const struct sluice_quota *quota, const struct sluice_context *context,
                         int32_t kind, int64_t amount)
{
    struct quota_link *link = of(quota);
    return is_counted(link, kind) ? charge(link, context, kind, amount) : 0;
}

static int32_t on_owed(const struct sluice_quota *quota, const struct sluice_context *context,
                       int32_t kind)
{
    struct quota_link *link = of(quota);
    if (!is_counted(link, kind)) {
        return 0;
    }
    struct quota_user user = user_of(context, kind);
    return quota_book_owed(book_of(link), &user, kind, now_ms(link));
}

static int64_t on_allowance(const struct sluice_quota *quota, const struct sluice_context *context,
                            int32_t kind)
{
    struct quota_link *link = of(quota);
    if (!is_counted(link, kind)) {
        return INT64_MAX;
    }
    struct quota_user user = user_of(context, kind);
    return quota_book_allowance(book_of(link), &user, kind);
}

static int64_t on_clock_ns(const struct sluice_quota *quota)
{
    struct quota_link *link = of(quota);
    return is_counted(link, SLUICE_QUOTA_REQUEST) ? sl_os_mono_ns(link->os) : 0;
}

/* ---- what is set ---- */

static bool may(struct quota_link *link, const struct sluice_context *context, int32_t operation)
{
    return link->trusted || broker_guard_allows(link->guard, context, operation, SLUICE_ACL_CLUSTER,
                                                sluice_text_of(SLUICE_CLUSTER_NAME));
}

struct describing {
    sluice_quotas_done *done;
    void *arg;
};

/* The limits that are set, one after the other; returns how many. */
static uint32_t show_values(const struct quota_entry *entry, struct sluice_quota_value *values)
{
    uint32_t count = 0;
    for (int32_t kind = 1; kind <= SLUICE_QUOTA_KINDS; kind++) {
        if (entry->limits[kind] > 0) {
            values[count++] = (struct sluice_quota_value){sluice_text_of(quota_kind_name(kind)),
                                                          entry->limits[kind]};
        }
    }
    return count;
}

static void described(void *arg, sl_err err, struct quota_entry **entries, uint32_t count)
{
    struct describing *describing = arg;
    struct sluice_quota_entry *shown = sl_alloc_zero(count + 1u, sizeof(*shown));
    struct sluice_quota_value *values =
        sl_alloc_zero((count + 1u) * (size_t)SLUICE_QUOTA_KINDS, sizeof(*values));
    err = shown == NULL || values == NULL ? SLUICE_E_NO_MEMORY : err;
    for (uint32_t i = 0, at = 0; err == SLUICE_OK && i < count; i++) {
        shown[i].entity = entries[i]->entity;
        shown[i].values = &values[at];
        shown[i].value_count = show_values(entries[i], &values[at]);
        at += shown[i].value_count;
    }
    describing->done(describing->arg, err, shown, err == SLUICE_OK ? count : 0);
    for (uint32_t i = 0; i < count; i++) {
        sl_free(entries[i]);
    }
    sl_free(entries);
    sl_free(shown);
    sl_free(values);
    sl_free(describing);
}

static void on_describe(const struct sluice_quota *quota, const struct sluice_context *context,
                        sluice_quotas_done *done, void *arg)
{
    struct quota_link *link = of(quota);
    struct describing *describing = sl_alloc_zero(1, sizeof(*describing));
    if (describing == NULL || !may(link, context, SLUICE_OP_DESCRIBE_CONFIGS)) {
        done(arg, describing == NULL ? SLUICE_E_NO_MEMORY : SLUICE_E_CLUSTER_AUTHORIZATION, NULL,
             0);
        sl_free(describing);
        return;
    }
    *describing = (struct describing){done, arg};
    quotas_list_start(link->home, described, describing);
}

/* ---- changes ---- */

struct altering {
    struct sluice_quota_result *results;
    char (*reasons)[QUOTA_REASON_BYTES]; /* by result */
    uint32_t count;
    struct wal_item *items; /* until they are given away */
    uint32_t item_count;
    sluice_quota_results_done *done;
    void *arg;
};

static void altering_free(struct altering *altering)
{
    for (uint32_t i = 0; altering->items != NULL && i < altering->item_count; i++) {
        sl_free((void *)(uintptr_t)altering->items[i].payload.data);
    }
    sl_free(altering->items);
    sl_free(altering->results);
    sl_free(altering->reasons);
    sl_free(altering);
}

static struct altering *altering_new(const struct sluice_quota_entry *entries, uint32_t count,
                                     sluice_quota_results_done *done, void *arg)
{
    struct altering *altering = sl_alloc_zero(1, sizeof(*altering));
    size_t values = 0;
    for (uint32_t i = 0; i < count; i++) {
        values += entries[i].value_count;
    }
    if (altering == NULL) {
        return NULL;
    }
    *altering = (struct altering){.count = count, .done = done, .arg = arg};
    altering->results = sl_alloc_zero(count + 1u, sizeof(*altering->results));
    altering->reasons = sl_alloc_zero(count + 1u, sizeof(*altering->reasons));
    altering->items = sl_alloc_zero(values + 1, sizeof(*altering->items));
    if (altering->results == NULL || altering->reasons == NULL || altering->items == NULL) {
        altering_free(altering);
        return NULL;
    }
    return altering;
}

static void alter_answer(struct altering *altering)
{
    for (uint32_t i = 0; i < altering->count; i++) {
        altering->results[i].reason = sluice_text_of(altering->reasons[i]);
    }
    altering->done(altering->arg, altering->results, altering->count);
    altering_free(altering);
}

static void altered(void *arg, sl_err err)
{
    struct altering *altering = arg;
    for (uint32_t i = 0; err != SLUICE_OK && i < altering->count; i++) {
        if (altering->results[i].status == SLUICE_OK) {
            altering->results[i].status = err;
        }
    }
    alter_answer(altering);
}

static sl_err add_item(struct altering *altering, const struct sluice_quota_entity *entity,
                       const struct sluice_quota_value *value)
{
    uint8_t *payload = sl_alloc(QUOTA_ITEM_BYTES_MAX);
    if (payload == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    size_t size = quota_item_encode(entity, quota_kind_of(value->key), value->value, payload);
    altering->items[altering->item_count++] = (struct wal_item){
        .kind = WAL_ITEM_QUOTA, .version = QUOTA_ITEM_VERSION, .payload = {payload, size}};
    return SLUICE_OK;
}

/* All values of an entry or none. */
static sl_err take_entry(struct altering *altering, const struct sluice_quota_entry *entry,
                         char *ret_reason)
{
    sl_err err = quota_entity_check(&entry->entity, ret_reason);
    for (uint32_t i = 0; err == SLUICE_OK && i < entry->value_count; i++) {
        err = quota_value_check(&entry->entity, &entry->values[i], ret_reason);
    }
    for (uint32_t i = 0; err == SLUICE_OK && i < entry->value_count; i++) {
        err = add_item(altering, &entry->entity, &entry->values[i]);
    }
    return err;
}

static void on_alter(const struct sluice_quota *quota, const struct sluice_context *context,
                     const struct sluice_quota_entry *entries, uint32_t count, bool validate_only,
                     sluice_quota_results_done *done, void *arg)
{
    struct quota_link *link = of(quota);
    struct altering *altering = altering_new(entries, count, done, arg);
    if (altering == NULL) {
        done(arg, NULL, 0);
        return;
    }
    sl_err refused = !may(link, context, SLUICE_OP_ALTER_CONFIGS) ? SLUICE_E_CLUSTER_AUTHORIZATION
                     : count > QUOTA_CHANGES_MAX                  ? SLUICE_E_LIMIT
                                                                  : SLUICE_OK;
    for (uint32_t i = 0; i < count; i++) {
        altering->results[i].status = refused != SLUICE_OK
                                          ? refused
                                          : take_entry(altering, &entries[i], altering->reasons[i]);
    }
    if (validate_only || altering->item_count == 0) {
        alter_answer(altering);
        return;
    }
    struct wal_item *items = altering->items;
    altering->items = NULL;
    access_change_start(link->home, items, altering->item_count, altered, altering);
}

void quota_link_init(struct quota_link *link, struct broker_guard *guard, struct shard *home,
                     struct sl_os *os, bool trusted)
{
    *link = (struct quota_link){.guard = guard, .home = home, .os = os, .trusted = trusted};
    link->table = (struct sluice_quota){
        .size = sizeof(link->table),
        .data = link,
        .charge = on_charge,
        .owed = on_owed,
        .allowance = on_allowance,
        .clock_ns = on_clock_ns,
        .describe = on_describe,
        .alter = on_alter,
    };
}
