/* share_acknowledge.c: what members say of the records that they hold (share_steps.h). It is in the
 * log before the request is answered. */
#include "shard/share_steps.h"

#define DELAY_MS_MAX ((int64_t)24 * 3600 * 1000)

static void count_acks(struct share_stream *stream, const struct share_ack *ack)
{
    static const enum share_count counts[] = {
        [SHARE_ACK_ACCEPT] = SHARE_COUNT_ACCEPTED,
        [SHARE_ACK_RELEASE] = SHARE_COUNT_RELEASED,
        [SHARE_ACK_REJECT] = SHARE_COUNT_REJECTED,
        [SHARE_ACK_RENEW] = SHARE_COUNT_RENEWED,
    };
    int64_t each = ack->type_count == 1 ? ack->last - ack->first + 1 : 1;
    for (uint32_t i = 0; i < ack->type_count; i++) {
        if (ack->types[i] != SHARE_ACK_GAP) {
            share_stream_count(stream, counts[ack->types[i]], each);
        }
    }
}

sl_err share_entry_acknowledge(struct share_part *part, struct share_entry *entry)
{
    struct shard *shard = part->call.target;
    struct share_window *window = &entry->stream->window;
    const struct sluice_share_entry *from = entry->from;
    struct share_rules rules = share_rules_of(&part->settings);
    bool renews = share_setting(&part->settings, SHARE_CONFIG_renews) != 0;
    int64_t now_ms = shard_now_ms(shard);
    int64_t renew_ms = now_ms + share_part_lock_ms(part);
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < from->ack_count && err == SLUICE_OK; i++) {
        const struct share_ack ack = {from->acks[i].first, from->acks[i].last, from->acks[i].types,
                                      from->acks[i].type_count};
        err = share_window_check(window, part->owner, &ack);
        for (uint32_t k = 0; !renews && err == SLUICE_OK && k < ack.type_count; k++) {
            err = ack.types[k] == SHARE_ACK_RENEW ? SLUICE_E_INVALID_REQUEST : SLUICE_OK;
        }
    }
    for (uint32_t i = 0; i < from->ack_count && err == SLUICE_OK; i++) {
        const struct share_ack ack = {from->acks[i].first, from->acks[i].last, from->acks[i].types,
                                      from->acks[i].type_count};
        rules.delay_ms = SL_MIN((int64_t)from->acks[i].delay_ms, DELAY_MS_MAX);
        err = share_window_check(window, part->owner, &ack); /* once more: none twice */
        err = err != SLUICE_OK ? err
                               : share_window_acknowledge(window, &ack, &rules, now_ms, renew_ms);
        if (err == SLUICE_OK) {
            count_acks(entry->stream, &ack);
            share_change_note(&part->change, ack.first, ack.last);
        }
    }
    share_change_add(&part->change, entry->stream);
    share_store_arm(&shard->shares, entry->stream);
    share_stream_wake(entry->stream);
    return err;
}

void share_part_abandon(struct share_part *part)
{
    struct shard *shard = part->call.target;
    struct share_owner_group *group =
        share_store_group(&shard->shares, sl_of_text(part->request->from->group));
    for (struct sl_link *link = group == NULL ? NULL : group->streams.head.next;
         link != NULL && link != &group->streams.head; link = link->next) {
        struct share_stream *stream = SL_CONTAINER_OF(link, struct share_stream, in_group);
        if (share_window_abandon(&stream->window, part->owner, share_change_note, &part->change) >
            0) {
            share_change_add(&part->change, stream);
            share_store_arm(&shard->shares, stream);
            share_stream_wake(stream);
        }
    }
}
