/* access.c: see access.h. */
#include "shard/access.h"

#include <string.h>

/* ---- changes ---- */

struct access_change {
    struct shard_call call;
    struct shard *home;
    struct wal_unit unit;
    struct wal_item *items;
    uint32_t count;
    sl_err err;
    access_changed_fn *done;
    void *arg;
};

static void change_free(struct access_change *change)
{
    for (uint32_t i = 0; i < change->count; i++) {
        sl_free((void *)(uintptr_t)change->items[i].payload.data);
    }
    sl_free(change->items);
    sl_free(change);
}

static void change_replied(struct shard_call *call)
{
    struct access_change *change = SL_CONTAINER_OF(call, struct access_change, call);
    struct shard *home = change->home;
    change->done(change->arg, change->err);
    change_free(change);
    shard_request_end(home);
}

static void published(void *arg)
{
    struct access_change *change = arg;
    shard_call_reply(&change->call);
}

static sl_err apply(struct shard *shard, const struct wal_item *item)
{
    return item->kind == WAL_ITEM_QUOTA
               ? quota_book_apply(shard->quotas, item->version, item->payload)
               : access_store_apply(&shard->access, item->kind, item->version, item->payload);
}

static void change_durable(struct wal_unit *unit, sl_err err)
{
    struct access_change *change = SL_CONTAINER_OF(unit, struct access_change, unit);
    struct shard *shard = change->call.target;
    bool has_rules = false;
    change->err = err;
    for (uint32_t i = 0; i < change->count && err == SLUICE_OK; i++) {
        const struct wal_item *item = &change->items[i];
        sl_err applied = apply(shard, item);
        if (applied != SLUICE_OK) { /* it is durable: what is in memory is behind it */
            shard_refuse(shard, applied);
            change->err = applied;
        }
        has_rules = has_rules || item->kind == WAL_ITEM_ACL;
    }
    if (has_rules && shard->publish_access != NULL) {
        shard->publish_access(shard->publish_access_arg, published, change);
    } else {
        published(change);
    }
}

static void change_run(struct shard_call *call)
{
    struct access_change *change = SL_CONTAINER_OF(call, struct access_change, call);
    struct shard *shard = call->target;
    bool fits = shard->access.acls.count + change->count <= ACCESS_ACLS_MAX &&
                shard->access.credentials.count + change->count <= ACCESS_USERS_MAX &&
                quota_book_count(shard->quotas) + change->count <= QUOTA_ENTITIES_MAX;
    change->unit = (struct wal_unit){.items = change->items,
                                     .item_count = change->count,
                                     .reserve = true,
                                     .durable = change_durable};
    change->err = shard->status != SLUICE_OK ? shard->status
                  : !fits                    ? SLUICE_E_LIMIT
                                             : commit_log_submit(shard->log, &change->unit);
    if (change->err != SLUICE_OK) {
        shard_call_reply(call);
    }
}

void access_change_start(struct shard *home, struct wal_item *items, uint32_t count,
                         access_changed_fn *done, void *arg)
{
    struct access_change *change = sl_alloc_zero(1, sizeof(*change));
    if (change == NULL || count == 0) {
        for (uint32_t i = 0; i < count; i++) {
            sl_free((void *)(uintptr_t)items[i].payload.data);
        }
        sl_free(items);
        sl_free(change);
        done(arg, count == 0 ? SLUICE_OK : SLUICE_E_NO_MEMORY);
        return;
    }
    shard_request_begin(home);
    *change = (struct access_change){
        .home = home, .items = items, .count = count, .done = done, .arg = arg};
    change->call.run = change_run;
    change->call.reply = change_replied;
    shard_call_start(&change->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}

/* ---- questions ---- */

struct access_find {
    struct shard_call call;
    struct shard *home;
    struct credential wanted; /* name and mechanism; then what was found */
    bool found;
    access_found_fn *done;
    void *arg;
};

static void find_replied(struct shard_call *call)
{
    struct access_find *find = SL_CONTAINER_OF(call, struct access_find, call);
    struct shard *home = find->home;
    find->done(find->arg, find->found ? &find->wanted : NULL);
    explicit_bzero(find, sizeof(*find));
    sl_free(find);
    shard_request_end(home);
}

static void find_run(struct shard_call *call)
{
    struct access_find *find = SL_CONTAINER_OF(call, struct access_find, call);
    const struct credential *known = access_store_find(
        &call->target->access, sl_bytes_of_text(find->wanted.name), find->wanted.mechanism);
    find->found = known != NULL;
    if (known != NULL) {
        find->wanted = *known;
    }
    shard_call_reply(call);
}

void access_find_start(struct shard *home, struct sl_bytes name, int32_t mechanism,
                       access_found_fn *done, void *arg)
{
    struct access_find *find = sl_alloc_zero(1, sizeof(*find));
    if (find == NULL || name.size > CREDENTIAL_NAME_BYTES_MAX) {
        sl_free(find);
        done(arg, NULL);
        return;
    }
    shard_request_begin(home);
    find->home = home;
    sl_bytes_copy(find->wanted.name, name);
    find->wanted.mechanism = (uint8_t)mechanism;
    find->done = done;
    find->arg = arg;
    find->call.run = find_run;
    find->call.reply = find_replied;
    shard_call_start(&find->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}

struct access_list {
    struct shard_call call;
    struct shard *home;
    struct credential *credentials;
    uint32_t count;
    sl_err err;
    access_listed_fn *done;
    void *arg;
};

static void list_replied(struct shard_call *call)
{
    struct access_list *list = SL_CONTAINER_OF(call, struct access_list, call);
    struct shard *home = list->home;
    list->done(list->arg, list->err, list->credentials, list->count);
    sl_free(list->credentials);
    sl_free(list);
    shard_request_end(home);
}

static void list_one(void *arg, const struct credential *credential)
{
    struct access_list *list = arg;
    struct credential *copy = &list->credentials[list->count++];
    *copy = (struct credential){.mechanism = credential->mechanism,
                                .iterations = credential->iterations};
    memcpy(copy->name, credential->name, sizeof(copy->name));
}

static void list_run(struct shard_call *call)
{
    struct access_list *list = SL_CONTAINER_OF(call, struct access_list, call);
    const struct access_store *store = &call->target->access;
    list->credentials = sl_alloc_zero(store->credentials.count + 1u, sizeof(*list->credentials));
    list->err = call->target->status;
    if (list->credentials == NULL) {
        list->err = SLUICE_E_NO_MEMORY;
    } else if (list->err == SLUICE_OK) {
        access_store_each_credential(store, list_one, list);
    }
    shard_call_reply(call);
}

void access_list_start(struct shard *home, access_listed_fn *done, void *arg)
{
    struct access_list *list = sl_alloc_zero(1, sizeof(*list));
    if (list == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    shard_request_begin(home);
    list->home = home;
    list->done = done;
    list->arg = arg;
    list->call.run = list_run;
    list->call.reply = list_replied;
    shard_call_start(&list->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}
