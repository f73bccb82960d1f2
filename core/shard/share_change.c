/* share_change.c: see share_change.h. */
#include "shard/share_change.h"

#define CHANGE_BYTES_MAX (16u << 20)

void share_change_init(struct share_change *change, struct shard *shard)
{
    *change = (struct share_change){.shard = shard};
    sl_buffer_init(&change->bytes, CHANGE_BYTES_MAX);
}

void share_change_fini(struct share_change *change)
{
    sl_buffer_fini(&change->bytes);
    sl_free(change->items);
    sl_free(change->ends);
    change->items = NULL;
    change->ends = NULL;
}

void share_change_note(void *arg, int64_t first, int64_t last)
{
    struct share_change *change = arg;
    if (change->end_count + 2 > change->end_capacity) {
        uint32_t capacity = change->end_capacity == 0 ? 16 : change->end_capacity * 2;
        int64_t *grown = sl_realloc(change->ends, capacity * sizeof(*grown));
        if (grown == NULL) {
            change->is_whole = true;
            return;
        }
        change->ends = grown;
        change->end_capacity = capacity;
    }
    change->ends[change->end_count++] = first;
    change->ends[change->end_count++] = last;
}

static void item_add(struct share_change *change, uint16_t kind, size_t size)
{
    if (change->unit.item_count == change->item_capacity) {
        uint32_t capacity = change->item_capacity == 0 ? 4 : change->item_capacity * 2;
        struct wal_item *grown = sl_realloc(change->items, capacity * sizeof(*grown));
        if (grown == NULL) {
            change->err = SLUICE_E_NO_MEMORY;
            return;
        }
        change->items = grown;
        change->item_capacity = capacity;
    }
    change->items[change->unit.item_count++] =
        (struct wal_item){.kind = kind, .version = SHARE_ITEM_VERSION, .payload = {NULL, size}};
}

struct range_visit {
    struct share_change *change;
    size_t at;
};

static void add_range(void *arg, const struct share_range *range)
{
    const struct range_visit *visit = arg;
    if (visit->change->err == SLUICE_OK) {
        visit->change->err = share_item_add(&visit->change->bytes, visit->at, range);
    }
}

static void add_noted(struct share_change *change, const struct share_stream *stream)
{
    struct range_visit visit = {change, change->bytes.size};
    const struct share_item item = {.group = stream->group->name,
                                    .topic = stream->topic,
                                    .partition = stream->partition,
                                    .start = stream->window.start};
    change->err = share_item_begin(&item, &change->bytes);
    int64_t from = stream->window.start;
    for (uint32_t i = 0; change->err == SLUICE_OK && i < change->end_count; i += 2) {
        int64_t first = SL_MAX(change->ends[i], from); /* each by rising offset, none twice */
        if (first <= change->ends[i + 1]) {
            share_window_describe(&stream->window, first, change->ends[i + 1], add_range, &visit);
            from = change->ends[i + 1] + 1;
        }
    }
    item_add(change, WAL_ITEM_SHARE_STATE, change->bytes.size - visit.at);
}

void share_change_add_whole(struct share_change *change, const struct share_stream *stream)
{
    size_t at = change->bytes.size;
    if (change->err == SLUICE_OK) {
        change->err = share_stream_encode(stream, &change->bytes);
        item_add(change, WAL_ITEM_SHARE_STATE, change->bytes.size - at);
    }
    change->end_count = 0;
    change->is_whole = false;
}

void share_change_add(struct share_change *change, const struct share_stream *stream)
{
    if (change->is_whole) {
        share_change_add_whole(change, stream);
    } else if (change->end_count > 0 && change->err == SLUICE_OK) {
        add_noted(change, stream);
    }
    change->end_count = 0;
}

void share_change_add_payload(struct share_change *change, uint16_t kind, struct sl_bytes payload)
{
    if (change->err == SLUICE_OK) {
        change->err = sl_buffer_append(&change->bytes, payload.data, payload.size);
        item_add(change, kind, payload.size);
    }
}

static void durable(struct wal_unit *unit, sl_err err)
{
    struct share_change *change = SL_CONTAINER_OF(unit, struct share_change, unit);
    change->done(change, err);
}

void share_change_submit(struct share_change *change,
                         void (*done)(struct share_change *change, sl_err err))
{
    size_t at = 0;
    change->done = done;
    for (uint32_t i = 0; i < change->unit.item_count; i++) {
        change->items[i].payload.data = change->bytes.data + at;
        at += change->items[i].payload.size;
    }
    change->unit.items = change->items;
    change->unit.reserve = true;
    change->unit.durable = durable;
    sl_err err = change->err;
    if (err == SLUICE_OK && change->unit.item_count > 0) {
        err = change->shard->log == NULL ? SLUICE_E_STOPPING
                                         : commit_log_submit(change->shard->log, &change->unit);
        if (err == SLUICE_OK) {
            return;
        }
    }
    done(change, err);
}
