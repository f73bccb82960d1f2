/* share_stream.c: the stream of an entry: found, or begun where its group begins, and brought in
 * line with its log (share_steps.h). */
#include "shard/share_steps.h"

#include <string.h>

struct share_rules share_rules_of(const struct share_settings *settings)
{
    return (struct share_rules){.deliveries_max =
                                    (uint32_t)share_setting(settings, SHARE_CONFIG_deliveries_max),
                                .dead_letters = share_letters_topic(settings).size > 0};
}

static int64_t start_of(struct shard *shard, const struct share_settings *settings,
                        const struct partition *partition, uint8_t asked)
{
    int64_t reset = share_setting(settings, SHARE_CONFIG_reset);
    struct stream_run run;
    if (asked == SLUICE_SHARE_START_END) {
        return partition_end(partition);
    }
    if (asked == SLUICE_SHARE_START_FIRST || reset == SHARE_RESET_EARLIEST) {
        return partition_start(partition);
    }
    /* By time: from the batch on that holds the first record, or a few before it. */
    if (reset >= 0 &&
        stream_index_find_time(&partition->index, shard_wall_ms(shard) - reset, &run)) {
        return SL_MAX(run.base_offset, partition_start(partition));
    }
    return partition_end(partition);
}

sl_err share_stream_settle(struct shard *shard, struct share_stream *stream,
                           const struct share_settings *settings, struct partition **ret_partition,
                           struct share_change *change)
{
    struct topic *topic = catalog_by_id(shard->catalog, &stream->topic);
    struct partition *partition = NULL;
    if (topic == NULL || stream->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC_ID;
    }
    sl_err err = partition_open(shard, topic, stream->partition, &partition);
    if (err != SLUICE_OK) {
        return err;
    }
    share_window_raise(&stream->window, partition_start(partition));
    if (!stream->checked) {
        const struct share_rules rules = share_rules_of(settings);
        if (stream->window.start > partition_end(partition)) { /* a power cut took the end */
            share_window_reset(&stream->window, partition_end(partition));
            share_change_add_whole(change, stream);
        }
        (void)share_window_condemn(&stream->window, &rules, share_change_note, change);
        share_change_add(change, stream);
        share_store_arm(&shard->shares, stream);
        stream->checked = true;
    }
    *ret_partition = partition;
    return SLUICE_OK;
}

static sl_err stream_new(struct share_part *part, const struct share_entry *entry,
                         struct share_stream **ret_stream)
{
    struct shard *shard = part->call.target;
    struct topic *topic = catalog_by_id(shard->catalog, &entry->topic);
    struct partition *partition = NULL;
    if (topic == NULL || entry->number >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC_ID;
    }
    sl_err err = partition_open(shard, topic, entry->number, &partition);
    if (err == SLUICE_OK) {
        err = share_store_add(
            &shard->shares, sl_of_text(part->request->from->group), &entry->topic, entry->number,
            start_of(shard, &part->settings, partition, entry->from->start), ret_stream);
    }
    if (err == SLUICE_OK) { /* where it began is kept: else "latest" would pass records over */
        share_change_add_whole(&part->change, *ret_stream);
    }
    return err;
}

sl_err share_entry_open(struct share_part *part, struct share_entry *entry)
{
    struct shard *shard = part->call.target;
    struct share_stream *stream = share_store_find(
        &shard->shares, sl_of_text(part->request->from->group), &entry->topic, entry->number);
    sl_err err = SLUICE_OK;
    if (stream == NULL && entry->from->ack_count > 0 && !entry->from->reads) {
        return SLUICE_E_INVALID_RECORD_STATE;
    }
    if (stream == NULL) {
        err = stream_new(part, entry, &stream);
    }
    err = err != SLUICE_OK ? err
                           : share_stream_settle(shard, stream, &part->settings, &entry->partition,
                                                 &part->change);
    if (err == SLUICE_OK) {
        partition_ref(entry->partition);
        share_stream_ref(stream);
        entry->stream = stream;
    }
    return err;
}
