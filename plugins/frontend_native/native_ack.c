/* native_ack.c: ACK: what became of records that a durable subscription was given.
 *
 * Each is a share fetch that reads nothing; the broker answers when it is durable. Those that want
 * an answer get it in their order. */
#include "native_share.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER       1u /* flag */
#define RUN_BYTES    16u
#define WHAT_RELEASE 1u
#define WHAT_RENEW   3u
#define WHAT_UP_TO   4u

/* By `what` of the frame. */
static const int8_t types_of[] = {SLUICE_SHARE_ACCEPT, SLUICE_SHARE_RELEASE, SLUICE_SHARE_REJECT,
                                  SLUICE_SHARE_RENEW, SLUICE_SHARE_ACCEPT};

struct native_ack {
    struct native_ack *next;  /* of those that want an answer */
    struct native_sub *sub;   /* a reference */
    struct native_call *call; /* NULL: the server's own */
    uint32_t source_number;
    bool answers;
    bool ended;
    sluice_status status;
    int8_t type;
    struct sluice_share_fetch request;
    struct sluice_share_entry entry;
    struct sluice_share_ack acks[]; /* of entry.ack_count */
};

static void ack_free(struct native_ack *ack)
{
    struct native_sub *sub = ack->sub;
    if (ack->call != NULL) {
        native_call_end(ack->call);
    }
    free(ack);
    native_sub_unref(sub);
}

/* ---- the end ---- */

static void tell(const struct native_ack *ack)
{
    struct native_sub *sub = ack->sub;
    if (sub->ended || !native_conn_is_open(sub->conn)) {
        return;
    }
    struct native_writer *writer = native_conn_frame(sub->conn, NATIVE_ACKED, 0, sub->id);
    native_write_u32(writer, ack->source_number);
    native_write_u32(writer, (uint32_t)ack->status);
    native_conn_send(sub->conn);
}

static void end(struct native_ack *ack, sluice_status status)
{
    struct native_sub *sub = ack->sub;
    struct native_share *share = sub->share;
    ack->ended = true;
    ack->status = status;
    if (!ack->answers) {
        if (status != SLUICE_OK && ack->call != NULL && !sub->ended &&
            native_conn_is_open(sub->conn)) {
            native_conn_error(sub->conn, sub->id, status, (struct sluice_text){NULL, 0});
        }
        ack_free(ack);
        return;
    }
    native_sub_ref(sub);
    while (share->acks != NULL && share->acks->ended) {
        struct native_ack *first = share->acks;
        share->acks = first->next;
        if (share->acks == NULL) {
            share->acks_end = &share->acks;
        }
        tell(first);
        ack_free(first);
    }
    native_sub_unref(sub);
}

static void acknowledged(void *arg, sluice_status status, int32_t lock_ms,
                         const struct sluice_share_result *results, uint32_t count)
{
    struct native_ack *ack = arg;
    (void)lock_ms;
    if (status == SLUICE_OK) {
        status = count == 0 ? SLUICE_E_NO_MEMORY : results[0].ack_status;
    }
    end(ack, status);
}

/* ---- the request ---- */

/* NULL: no memory. */
static struct native_ack *ack_new(struct native_sub *sub, uint32_t source_number,
                                  uint32_t run_count)
{
    struct native_ack *ack = calloc(1, sizeof(*ack) + run_count * sizeof(struct sluice_share_ack));
    if (ack != NULL) {
        ack->sub = sub;
        ack->source_number = source_number;
        native_sub_ref(sub);
    }
    return ack;
}

static void ack_add(struct native_ack *ack, int64_t first, int64_t last, uint32_t delay_ms)
{
    ack->acks[ack->entry.ack_count++] = (struct sluice_share_ack){
        .first = first, .last = last, .types = &ack->type, .type_count = 1, .delay_ms = delay_ms};
}

static void ack_start(struct native_ack *ack, const struct native_source *source)
{
    const struct native_share *share = ack->sub->share;
    struct native_conn *conn = ack->sub->conn;
    const struct sluice_broker *broker = conn->frontend->broker;
    ack->entry.topic = (struct sluice_topic_ref){.name = {"", 0}, .id = source->topic->id};
    ack->entry.partition = source->partition;
    ack->entry.acks = ack->acks;
    ack->request = (struct sluice_share_fetch){.size = sizeof(ack->request),
                                               .group = share->group,
                                               .member = share->member,
                                               .entry_count = 1,
                                               .entries = &ack->entry,
                                               .lock_ms = share->lock_ms};
    broker->share_fetch(broker, &conn->context, &ack->request, acknowledged, ack);
}

void native_ack_runs(struct native_source *source, const struct native_runs *runs, int8_t type)
{
    struct native_ack *ack =
        runs->count == 0 ? NULL : ack_new(source->sub, source->number, runs->count);
    if (ack == NULL) {
        return; /* without memory their locks end by themselves */
    }
    ack->type = type;
    for (uint32_t i = 0; i < runs->count; i++) {
        ack_add(ack, runs->items[i].first, runs->items[i].last, 0);
    }
    ack_start(ack, source);
}

/* ---- the frame ---- */

struct acking {
    uint8_t what;
    uint32_t delay_ms;
    uint32_t source;
    uint32_t count;
};

static bool read_head(struct native_reader *reader, struct acking *acking)
{
    acking->what = native_read_u8(reader);
    native_skip(reader, 3);
    acking->delay_ms = native_read_u32(reader);
    acking->source = native_read_u32(reader);
    acking->count = native_read_u32(reader);
    return !reader->failed && acking->what < sizeof(types_of) &&
           acking->count <= (uint64_t)(reader->end - reader->at) / RUN_BYTES && acking->count > 0 &&
           (acking->what != WHAT_UP_TO || acking->count == 1);
}

static struct native_source *find_source(const struct native_sub *sub, uint32_t number)
{
    struct native_source *source = sub->sources;
    while (source != NULL && source->number != number) {
        source = source->next;
    }
    return source;
}

/* All that was given up to `last`. */
static struct native_ack *make_up_to(struct native_sub *sub, struct native_source *source,
                                     int64_t last)
{
    uint32_t count = 0;
    while (count < source->sent.count && source->sent.items[count].first <= last) {
        count++;
    }
    struct native_ack *ack = ack_new(sub, source->number, count);
    for (uint32_t i = 0; ack != NULL && i < count; i++) {
        const struct native_run *run = &source->sent.items[i];
        ack_add(ack, run->first, run->last < last ? run->last : last, 0);
    }
    return ack;
}

static struct native_ack *make(struct native_sub *sub, struct native_source *source,
                               const struct acking *acking, struct native_reader *reader)
{
    struct native_ack *ack = NULL;
    if (acking->what == WHAT_UP_TO) {
        (void)native_read_i64(reader);
        int64_t last = native_read_i64(reader);
        ack = make_up_to(sub, source, last);
        native_runs_remove(&source->sent, 0, last);
        return ack;
    }
    ack = ack_new(sub, source->number, acking->count);
    for (uint32_t i = 0; ack != NULL && i < acking->count; i++) {
        int64_t first = native_read_i64(reader);
        int64_t last = native_read_i64(reader);
        ack_add(ack, first, last, acking->what == WHAT_RELEASE ? acking->delay_ms : 0);
        if (acking->what != WHAT_RENEW && first <= last) {
            native_runs_remove(&source->sent, first, last);
        }
    }
    return ack;
}

static void queue(struct native_share *share, struct native_ack *ack)
{
    *share->acks_end = ack;
    share->acks_end = &ack->next;
}

static void begin(struct native_sub *sub, const struct native_frame *frame,
                  const struct acking *acking, struct native_reader *reader)
{
    struct native_conn *conn = sub->conn;
    struct native_source *source = find_source(sub, acking->source);
    struct native_ack *ack =
        source == NULL ? ack_new(sub, acking->source, 0) : make(sub, source, acking, reader);
    if (ack == NULL) {
        native_conn_goaway(conn, SLUICE_E_NO_MEMORY, "no memory for an ACK");
        return;
    }
    ack->type = types_of[acking->what];
    ack->answers = (frame->flags & ANSWER) != 0;
    if (ack->answers) {
        queue(sub->share, ack);
    }
    ack->call = native_call_new(conn, frame);
    if (ack->call == NULL) {
        end(ack, SLUICE_E_NO_MEMORY);
    } else if (source == NULL) {
        end(ack, SLUICE_E_INVALID_RECORD_STATE);
    } else if (ack->entry.ack_count == 0) {
        end(ack, SLUICE_OK);
    } else {
        ack_start(ack, source);
    }
}

bool native_handle_ack(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_sub *sub = native_sub_find(conn, frame->id);
    struct native_reader reader;
    struct acking acking;
    native_reader_init(&reader, frame->body, frame->body_size);
    if (!read_head(&reader, &acking)) {
        native_conn_goaway(conn, SLUICE_E_MALFORMED, "the ACK cannot be read");
    } else if (sub != NULL && sub->share == NULL) {
        native_conn_error(conn, frame->id, SLUICE_E_INVALID_REQUEST,
                          sluice_text_of("only a durable subscription acknowledges"));
    } else if (sub != NULL) { /* else it has ended meanwhile */
        native_sub_ref(sub);
        begin(sub, frame, &acking, &reader);
        native_sub_unref(sub);
    }
    return true;
}
