/* producer_past.c: the last batches of a producer in a partition: one as it is, several packed
 * where they follow each other, else in an array. */
#include "admit/producer_entry.h"

/* On the circle of 2^31 sequence numbers. */
static uint32_t distance(int32_t from, int32_t to)
{
    return ((uint32_t)to - (uint32_t)from) & INT32_MAX;
}

static bool is_plain(const struct producer_past *past)
{
    return past->append_time_ms == -1 &&
           past->last_offset - past->base_offset ==
               (int64_t)distance(past->first_sequence, past->last_sequence);
}

static uint32_t records_of(const struct producer_past *past)
{
    return distance(past->first_sequence, past->last_sequence) + 1;
}

static struct producer_past packed_at(const struct producer_entry *entry, uint32_t index)
{
    const struct producer_packed *packed = &entry->past.packed;
    uint32_t behind = 0; /* records of those after it; five batches of a partition: no overflow */
    for (uint32_t i = entry->past_count - 1u; i > index; i--)
        behind += packed->record_counts[i];
    uint32_t last = (uint32_t)packed->last_sequence - behind;
    int64_t last_offset = packed->last_offset - behind;
    uint32_t more = packed->record_counts[index] - 1;
    return (struct producer_past){
        .first_sequence = (int32_t)((last - more) & INT32_MAX),
        .last_sequence = (int32_t)(last & INT32_MAX),
        .base_offset = last_offset - more,
        .last_offset = last_offset,
        .append_time_ms = -1,
    };
}

struct producer_past producer_entry_past(const struct producer_entry *entry, uint32_t index)
{
    SL_ASSERT(index < entry->past_count);
    switch (entry->form) {
    case PRODUCER_FORM_ONE:
        return entry->past.one;
    case PRODUCER_FORM_PACKED:
        return packed_at(entry, index);
    default:
        return entry->past.many[index];
    }
}

void producer_entry_forget(struct producer_entry *entry)
{
    if (entry->form == PRODUCER_FORM_MANY)
        sl_free(entry->past.many);
    entry->form = PRODUCER_FORM_ONE;
    entry->past_count = 0;
}

/* Whether it can be packed behind those that are there. Records are bounded so that sums of five
 * stay within 32 bits. */
static bool follows(const struct producer_entry *entry, const struct producer_past *past)
{
    struct producer_past last = producer_entry_past(entry, entry->past_count - 1u);
    return entry->form != PRODUCER_FORM_MANY && is_plain(&last) && is_plain(past) &&
           records_of(&last) <= PRODUCER_PACKED_RECORDS_MAX &&
           records_of(past) <= PRODUCER_PACKED_RECORDS_MAX &&
           last.last_offset + 1 == past->base_offset &&
           distance(last.last_sequence, past->first_sequence) == 1;
}

static void pack(struct producer_entry *entry, const struct producer_past *past)
{
    struct producer_packed *packed = &entry->past.packed;
    if (entry->form == PRODUCER_FORM_ONE) {
        uint32_t records = records_of(&entry->past.one);
        memset(packed, 0, sizeof *packed);
        packed->record_counts[0] = records;
        entry->form = PRODUCER_FORM_PACKED;
    }
    if (entry->past_count == PRODUCER_BATCHES_MAX) {
        memmove(packed->record_counts, packed->record_counts + 1,
                (PRODUCER_BATCHES_MAX - 1) * sizeof packed->record_counts[0]);
        entry->past_count--;
    }
    packed->record_counts[entry->past_count++] = records_of(past);
    packed->last_offset = past->last_offset;
    packed->last_sequence = past->last_sequence;
}

static struct producer_past *many_new(void)
{
    return sl_alloc_zero(PRODUCER_BATCHES_MAX, sizeof(struct producer_past));
}

sl_err producer_spare_fill(struct producer_shard *shard)
{
    if (shard->spare == NULL)
        shard->spare = many_new();
    return shard->spare != NULL ? SLUICE_OK : SLUICE_E_NO_MEMORY;
}

static sl_err unpack(struct producer_entry *entry)
{
    struct producer_shard *shard = entry->owner->shard;
    if (entry->form == PRODUCER_FORM_MANY)
        return SLUICE_OK;
    struct producer_past *many = many_new();
    if (many == NULL) {
        many = shard->spare;
        shard->spare = NULL;
    }
    if (many == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < entry->past_count; i++)
        many[i] = producer_entry_past(entry, i);
    entry->past.many = many;
    entry->form = PRODUCER_FORM_MANY;
    return SLUICE_OK;
}

static void push(struct producer_entry *entry, const struct producer_past *past)
{
    struct producer_past *many = entry->past.many;
    if (entry->past_count == PRODUCER_BATCHES_MAX) {
        memmove(&many[0], &many[1], (PRODUCER_BATCHES_MAX - 1) * sizeof many[0]);
        entry->past_count--;
    }
    many[entry->past_count++] = *past;
}

sl_err producer_entry_remember(struct producer_entry *entry, int16_t epoch,
                               const struct producer_past *past)
{
    sl_err err = SLUICE_OK;
    if (entry->past_count > 0 && entry->epoch == epoch) {
        if (follows(entry, past)) {
            pack(entry, past);
            return SLUICE_OK;
        }
        err = unpack(entry);
        if (err == SLUICE_OK) {
            push(entry, past);
            return SLUICE_OK;
        }
    }
    producer_entry_forget(entry);
    entry->epoch = epoch;
    entry->past.one = *past;
    entry->past_count = 1;
    return err;
}
