/* quotas.c: the list of all quotas (access.h), from shard 0 to any loop. */
#include "shard/access.h"

struct quotas_list {
    struct shard_call call;
    struct shard *home;
    struct quota_entry **entries;
    uint32_t count;
    sl_err err;
    quotas_listed_fn *done;
    void *arg;
};

static void list_replied(struct shard_call *call)
{
    struct quotas_list *list = SL_CONTAINER_OF(call, struct quotas_list, call);
    struct shard *home = list->home;
    list->done(list->arg, list->err, list->entries, list->count);
    sl_free(list);
    shard_request_end(home);
}

static void copy_entry(void *arg, struct chain_link *link)
{
    struct quotas_list *list = arg;
    const struct quota_entry *entry = SL_CONTAINER_OF(link, struct quota_entry, link);
    struct quota_entry *copy = quota_entry_new(&entry->entity);
    if (copy == NULL) {
        list->err = SLUICE_E_NO_MEMORY;
        return;
    }
    for (int32_t kind = 1; kind <= SLUICE_QUOTA_KINDS; kind++) {
        copy->limits[kind] = entry->limits[kind];
    }
    list->entries[list->count++] = copy;
}

static void list_run(struct shard_call *call)
{
    struct quotas_list *list = SL_CONTAINER_OF(call, struct quotas_list, call);
    const struct quota_book *book = call->target->quotas;
    list->entries = sl_alloc_zero(quota_book_count(book) + 1u, sizeof(struct quota_entry *));
    list->err = list->entries == NULL ? SLUICE_E_NO_MEMORY : call->target->status;
    if (list->err == SLUICE_OK) {
        quota_book_visit(book, 0, UINT32_MAX, copy_entry, list);
    }
    shard_call_reply(call);
}

void quotas_list_start(struct shard *home, quotas_listed_fn *done, void *arg)
{
    struct quotas_list *list = sl_alloc_zero(1, sizeof(*list));
    if (list == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    shard_request_begin(home);
    *list = (struct quotas_list){.home = home, .done = done, .arg = arg};
    list->call.run = list_run;
    list->call.reply = list_replied;
    shard_call_start(&list->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}
