/* admin_group_ages.c: how old the first record is that a group has not read.
 *
 * One fetch of a single batch for each partition that lags, all at once, at most
 * ADMIN_GROUP_AGES_MAX: a description of a group that stands in more partitions leaves the age of
 * the others out. A batch that cannot be opened gives its own time instead of the record's. */
#include "control/admin_group.h"
#include "record/codec.h"
#include "record/record_iterator.h"

struct group_age {
    struct group_load *load;
    struct group_row *row;
    void (*next)(struct group_load *load);
    struct sluice_fetch_entry entry;
    struct sluice_fetch fetch;
};

/* The timestamp of the first record from the offset on; -1: none of this batch. */
static int64_t batch_time(struct admin_server *server, const struct batch_view *batch,
                          int64_t offset)
{
    struct sl_bytes bytes;
    struct record_iterator iterator;
    struct record_view record;
    int64_t found = -1;
    if (batch_view_next_offset(batch) <= offset) {
        return -1;
    }
    if (batch_view_has(batch, BATCH_CONTROL) ||
        batch_decompress(batch, server->codecs, server->config.decompressed_bytes_max,
                         &server->decompressed, &bytes) != SLUICE_OK) {
        return batch_view_max_timestamp(batch);
    }
    record_iterator_init(&iterator, bytes, batch_view_record_count(batch));
    while (found < 0 && record_iterator_next(&iterator, &record)) {
        if (record_offset(batch, &record) >= offset) {
            found = record_timestamp(batch, &record);
        }
    }
    sl_buffer_reset_above(&server->decompressed, ADMIN_FETCH_BYTES_MAX);
    return found < 0 ? batch_view_max_timestamp(batch) : found;
}

static int64_t first_time(struct admin_server *server, struct sl_bytes bytes, int64_t offset)
{
    int64_t found = -1;
    struct batch_view batch;
    while (found < 0 && bytes.size > 0 && batch_view_init(&batch, bytes) == SLUICE_OK) {
        found = batch_time(server, &batch, offset);
        bytes.data += batch.size;
        bytes.size -= batch.size;
    }
    return found;
}

static void fetched(void *arg, const struct sluice_fetch_result *result, uint32_t count,
                    int32_t throttle_ms SL_UNUSED)
{
    struct group_age *age = arg;
    struct group_load *load = age->load;
    struct admin_server *server = load->request->server;
    void (*next)(struct group_load * load) = age->next;
    if (count == 1 && result->status == SLUICE_OK) {
        struct sl_bytes bytes = {result->records.data, result->records.size};
        int64_t time = first_time(server, bytes, age->entry.offset);
        int64_t now = server->config.hooks.wall_ms(server->config.hooks.arg);
        age->row->age_ms = time >= 0 ? SL_MAX(now - time, INT64_C(0)) : -1;
    }
    if (--load->pending == 0) {
        next(load);
    }
}

static void age_ask(struct group_age *age)
{
    const struct sluice_broker *broker = admin_broker(age->load->request);
    age->entry = (struct sluice_fetch_entry){
        .topic = {.name = sluice_text_of(age->row->topic)},
        .partition = age->row->partition,
        .leader_epoch = -1,
        .offset = SL_MAX(age->row->offset, age->row->start),
        .bytes_max = 1,
    };
    age->fetch = (struct sluice_fetch){.size = sizeof(age->fetch),
                                       .bytes_max = ADMIN_FETCH_BYTES_MAX,
                                       .isolation = SLUICE_ISOLATION_UNCOMMITTED,
                                       .entry_count = 1,
                                       .entries = &age->entry};
    broker->fetch(broker, admin_context(age->load->request), &age->fetch, fetched, age);
}

void admin_group_ages(struct group_load *load, void (*next)(struct group_load *load))
{
    uint32_t count = 0;
    load->ages = sl_alloc_zero(ADMIN_GROUP_AGES_MAX, sizeof(*load->ages));
    for (uint32_t i = 0; i < load->row_count && load->ages != NULL; i++) {
        struct group_row *row = &load->rows[i];
        row->age_ms = row->lag == 0 ? 0 : -1;
        if (row->lag > 0 && count < ADMIN_GROUP_AGES_MAX) {
            load->ages[count++] = (struct group_age){.load = load, .row = row, .next = next};
        }
    }
    if (count == 0) {
        next(load);
        return;
    }
    load->pending = count + 1; /* answers may come before the last is asked */
    for (uint32_t i = 0; i < count; i++) {
        age_ask(&load->ages[i]);
    }
    if (--load->pending == 0) {
        next(load);
    }
}
