/* produce_later.c: what a produce request does with a batch that is to be appended later: it waits
 * in the shard's stream of such batches (delayed.h). */
#include "shard/delayed.h"
#include "shard/produce_steps.h"
#include "shard/topics.h"

/* ---- the origin's loop ---- */

sl_err produce_later_check(const struct produce_request *request, struct produce_entry *entry)
{
    const struct shard *home = request->home;
    const struct topic *topic = catalog_by_id(home->catalog, &entry->topic);
    const char *why = NULL;
    if (entry->producer.producer_id >= 0) {
        why = "a batch of a producer, which has sequences, cannot be appended later";
    } else if (entry->expected_offset >= 0) {
        why = "what is appended later cannot expect an offset";
    }
    if (why != NULL) {
        produce_entry_say(entry, "%s", why);
        return SLUICE_E_INVALID_REQUEST;
    }
    if (topic->settings->durability == TOPIC_MEMORY && !home->config.settings->in_memory) {
        produce_entry_say(entry,
                          "what is appended later waits on the disk: not for a topic in memory");
        return SLUICE_E_POLICY;
    }
    return SLUICE_OK;
}

struct later_topic {
    struct produce_request *request;
    struct sluice_topic_spec spec;
};

static void topic_made(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct later_topic *self = arg;
    struct produce_request *request = self->request;
    (void)results; /* where it is not there after all, the owner says so */
    (void)count;
    sl_free(self);
    produce_hand_over(request);
}

bool produce_later_prepare(struct produce_request *request)
{
    static const struct sluice_key_value kept[] = {{{"retention.ms", 12}, {"-1", 2}},
                                                   {{"retention.bytes", 15}, {"-1", 2}}};
    struct shard *home = request->home;
    if (!request->is_later ||
        catalog_by_name(home->catalog, sl_bytes_of_text(DELAYED_TOPIC)) != NULL) {
        return false;
    }
    struct later_topic *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        return false; /* refused by the owner */
    }
    self->request = request;
    self->spec = (struct sluice_topic_spec){.size = sizeof(self->spec),
                                            .partition_count = (int32_t)home->set->count,
                                            .name = sluice_text_of(DELAYED_TOPIC),
                                            .replication_factor = 1,
                                            .configs = kept,
                                            .config_count = SL_COUNT_OF(kept)};
    topics_create_start(home, &self->spec, 1, false, true, NULL, topic_made, self);
    return true;
}

/* ---- the owner's loop ---- */

bool produce_later_admit(struct produce_entry *entry)
{
    struct shard *shard = entry->partition->shard;
    sl_err err = delayed_stream(shard) != NULL
                     ? delay_book_new(&shard->delayed.book, &entry->delay)
                     : SLUICE_E_BUSY; /* its topic is being made, or there is no memory */
    if (err == SLUICE_OK) {
        return true;
    }
    entry->delay = NULL;
    produce_entry_say(entry, "%s",
                      err == SLUICE_E_LIMIT ? "as many records as may wait for their time do"
                                            : "what waits for its time cannot be kept now");
    produce_entry_end(entry, err);
    return false;
}

uint32_t produce_later_describe(struct produce_entry *entry, struct commit_batch *batch,
                                struct wal_item *ret_item)
{
    const struct batch_view view = {batch->data, batch->size};
    struct delay_entry *delay = entry->delay;
    struct partition *stream = NULL;
    if (delay == NULL || (stream = delayed_stream(entry->partition->shard)) == NULL) {
        return 0;
    }
    delay->topic = entry->topic;
    delay->partition = entry->partition_number;
    delay->due_ms = entry->deliver_at_ms;
    delay->record_count = (uint32_t)batch_view_record_count(&view);
    delay_item_encode(delay, stream->next_offset, false, entry->delay_item);
    batch->partition = stream;
    *ret_item = (struct wal_item){.kind = WAL_ITEM_DELAY,
                                  .version = DELAY_ITEM_VERSION,
                                  .payload = {entry->delay_item, sizeof(entry->delay_item)}};
    return 1;
}

void produce_later_settle(struct produce_entry *entry, sl_err err)
{
    struct delay_entry *delay = entry->delay;
    if (delay == NULL) {
        return;
    }
    struct shard *shard = entry->partition->shard;
    entry->delay = NULL;
    if (err == SLUICE_OK) {
        delay_book_keep(&shard->delayed.book, delay, entry->result->base_offset);
        entry->result->is_later = true;
        entry->result->base_offset = entry->result->log_append_time_ms = -1;
        shard_schedule(shard);
    } else {
        delay_book_drop(&shard->delayed.book, delay);
    }
}
