/* null_api.c: see null_api.h. Formats are Kafka's message definitions; a reader that runs over the
 * end is marked bad and the connection closed. */
#include "null_api.h"

#include <stdlib.h>
#include <string.h>

enum { NODE_ID = 1, ERROR_UNKNOWN_PARTITION = 3, ERROR_CORRUPT = 2, ERROR_OFFSET = 1 };

/* ---- reading ---- */

struct reader {
    uint8_t *at, *end;
    bool bad;
};

static uint8_t *take(struct reader *reader, size_t size)
{
    static uint8_t nothing[8];
    if ((size_t)(reader->end - reader->at) < size) {
        reader->bad = true;
        reader->at = reader->end;
        return size <= sizeof(nothing) ? nothing : NULL;
    }
    uint8_t *at = reader->at;
    reader->at += size;
    return at;
}

static int16_t take_i16(struct reader *reader)
{
    return (int16_t)sl_be16_load(take(reader, 2));
}

static int32_t take_i32(struct reader *reader)
{
    return (int32_t)sl_be32_load(take(reader, 4));
}

static int64_t take_i64(struct reader *reader)
{
    return (int64_t)sl_be64_load(take(reader, 8));
}

static struct sl_bytes take_string(struct reader *reader)
{
    int16_t size = take_i16(reader);
    if (size <= 0) {
        return sl_bytes_of(NULL, 0);
    }
    uint8_t *at = take(reader, (size_t)size);
    return sl_bytes_of(at, reader->bad ? 0 : (size_t)size);
}

/* ---- writing ---- */

static uint8_t *put(struct null_answer *answer, size_t size)
{
    if (answer->capacity - answer->size < size) {
        answer->capacity = (answer->capacity + size) * 2;
        answer->bytes = realloc(answer->bytes, answer->capacity);
        SL_ASSERT(answer->bytes != NULL);
    }
    answer->size += size;
    return answer->bytes + answer->size - size;
}

static void put_i8(struct null_answer *answer, int value)
{
    *put(answer, 1) = (uint8_t)value;
}

static void put_i16(struct null_answer *answer, int value)
{
    sl_be16_store(put(answer, 2), (uint16_t)value);
}

static void put_i32(struct null_answer *answer, int64_t value)
{
    sl_be32_store(put(answer, 4), (uint32_t)value);
}

static void put_i64(struct null_answer *answer, int64_t value)
{
    sl_be64_store(put(answer, 8), (uint64_t)value);
}

static void put_string(struct null_answer *answer, struct sl_bytes text)
{
    put_i16(answer, (int)text.size);
    sl_bytes_copy(put(answer, text.size), text);
}

static void put_piece(struct null_answer *answer, const struct null_log *log, uint64_t position,
                      uint64_t size)
{
    uint32_t count = answer->piece_count;
    size_t from = count == 0 ? 0 : answer->pieces[count - 1].to;
    answer->pieces[answer->piece_count++] =
        (struct null_piece){from, answer->size, log, position, size};
}

/* ---- requests ---- */

struct call {
    struct null_store *store;
    struct reader in;
    struct null_answer *answer;
    int16_t version;
    uint16_t port;
    bool must_answer;
    uint64_t file_bytes; /* of this answer */
    int wait_ms;
};

typedef enum null_outcome api_fn(struct call *call);

static void produce_partition(struct call *call, struct sl_bytes topic)
{
    int32_t number = take_i32(&call->in);
    int32_t size = take_i32(&call->in);
    uint8_t *records = size >= 0 ? take(&call->in, (size_t)size) : NULL;
    struct null_log *log = null_store_log(call->store, topic, number);
    int64_t base = -1;
    if (log != NULL && records != NULL && !call->in.bad) {
        base = null_log_append(log, records, (size_t)size);
    }
    put_i32(call->answer, number);
    put_i16(call->answer, log == NULL ? ERROR_UNKNOWN_PARTITION : base < 0 ? ERROR_CORRUPT : 0);
    put_i64(call->answer, base);
    put_i64(call->answer, -1); /* append time */
    if (call->version >= 5) {
        put_i64(call->answer, 0); /* log start */
    }
}

static enum null_outcome produce(struct call *call)
{
    take_string(&call->in); /* transactional id */
    int16_t acks = take_i16(&call->in);
    take_i32(&call->in); /* timeout */
    int32_t topic_count = take_i32(&call->in);
    put_i32(call->answer, topic_count);
    for (int32_t i = 0; i < topic_count && !call->in.bad; i++) {
        struct sl_bytes topic = take_string(&call->in);
        put_string(call->answer, topic);
        int32_t count = take_i32(&call->in);
        put_i32(call->answer, count);
        for (int32_t k = 0; k < count && !call->in.bad; k++) {
            produce_partition(call, topic);
        }
    }
    put_i32(call->answer, 0); /* throttle */
    return acks == 0 ? NULL_SILENT : NULL_ANSWERED;
}

static void fetch_partition(struct call *call, struct sl_bytes topic, uint64_t *left)
{
    int32_t number = take_i32(&call->in);
    if (call->version >= 9) {
        take_i32(&call->in); /* leader epoch */
    }
    int64_t offset = take_i64(&call->in);
    if (call->version >= 5) {
        take_i64(&call->in); /* log start */
    }
    uint64_t bytes_max = (uint64_t)take_i32(&call->in);
    struct null_log *log = null_store_log(call->store, topic, number);
    bool outside = log != NULL && (offset < 0 || offset > log->next_offset);
    uint64_t position = log == NULL || outside ? 0 : null_log_find(log, offset);
    uint64_t size = log == NULL || outside ? 0 : log->size - position;
    size = SL_MIN(SL_MIN(size, bytes_max), *left);
    *left -= size;
    call->file_bytes += size;
    put_i32(call->answer, number);
    put_i16(call->answer, log == NULL ? ERROR_UNKNOWN_PARTITION : outside ? ERROR_OFFSET : 0);
    put_i64(call->answer, log == NULL ? -1 : log->next_offset); /* high watermark */
    put_i64(call->answer, log == NULL ? -1 : log->next_offset); /* last stable offset */
    if (call->version >= 5) {
        put_i64(call->answer, 0);
    }
    put_i32(call->answer, -1); /* aborted transactions */
    if (call->version >= 11) {
        put_i32(call->answer, -1); /* preferred replica */
    }
    put_i32(call->answer, (int64_t)size);
    if (size > 0) {
        put_piece(call->answer, log, position, size);
    }
}

static enum null_outcome fetch(struct call *call)
{
    take_i32(&call->in); /* replica */
    call->wait_ms = take_i32(&call->in);
    take_i32(&call->in); /* at least; any byte is answered */
    uint64_t left = (uint64_t)take_i32(&call->in);
    take(&call->in, 1); /* isolation */
    if (call->version >= 7) {
        take_i64(&call->in); /* session and its epoch: none is kept */
    }
    put_i32(call->answer, 0); /* throttle */
    if (call->version >= 7) {
        put_i16(call->answer, 0);
        put_i32(call->answer, 0);
    }
    int32_t topic_count = take_i32(&call->in);
    put_i32(call->answer, topic_count);
    for (int32_t i = 0; i < topic_count && !call->in.bad; i++) {
        struct sl_bytes topic = take_string(&call->in);
        put_string(call->answer, topic);
        int32_t count = take_i32(&call->in);
        put_i32(call->answer, count);
        if (count < 0 || (uint32_t)count > NULL_PARTITIONS_MAX) {
            return NULL_CLOSE;
        }
        for (int32_t k = 0; k < count && !call->in.bad; k++) {
            fetch_partition(call, topic, &left);
        }
    }
    return call->file_bytes == 0 && !call->must_answer && topic_count > 0 ? NULL_WAIT
                                                                          : NULL_ANSWERED;
}

static enum null_outcome list_offsets(struct call *call)
{
    enum { EARLIEST = -2 };
    take_i32(&call->in); /* replica */
    int32_t topic_count = take_i32(&call->in);
    put_i32(call->answer, topic_count);
    for (int32_t i = 0; i < topic_count && !call->in.bad; i++) {
        struct sl_bytes topic = take_string(&call->in);
        put_string(call->answer, topic);
        int32_t count = take_i32(&call->in);
        put_i32(call->answer, count);
        for (int32_t k = 0; k < count && !call->in.bad; k++) {
            int32_t number = take_i32(&call->in);
            int64_t time = take_i64(&call->in);
            struct null_log *log = null_store_log(call->store, topic, number);
            put_i32(call->answer, number);
            put_i16(call->answer, log == NULL ? ERROR_UNKNOWN_PARTITION : 0);
            put_i64(call->answer, -1);
            put_i64(call->answer, log == NULL || time == EARLIEST ? 0 : log->next_offset);
        }
    }
    return NULL_ANSWERED;
}

static void put_self(struct call *call)
{
    put_i32(call->answer, NODE_ID);
    put_string(call->answer, sl_bytes_of_text("127.0.0.1"));
    put_i32(call->answer, call->port);
}

static void metadata_topic(struct call *call, struct sl_bytes name)
{
    bool known = null_store_topic(call->store, name) != NULL;
    uint32_t count = known ? call->store->partition_count : 0;
    put_i16(call->answer, known ? 0 : ERROR_UNKNOWN_PARTITION);
    put_string(call->answer, name);
    if (call->version >= 1) {
        put_i8(call->answer, 0);
    }
    put_i32(call->answer, count);
    for (uint32_t i = 0; i < count; i++) {
        put_i16(call->answer, 0);
        put_i32(call->answer, i);
        put_i32(call->answer, NODE_ID);
        for (int replicas = 0; replicas < 2; replicas++) { /* replicas, in sync */
            put_i32(call->answer, 1);
            put_i32(call->answer, NODE_ID);
        }
    }
}

static enum null_outcome metadata(struct call *call)
{
    if (call->version >= 3) {
        put_i32(call->answer, 0); /* throttle */
    }
    put_i32(call->answer, 1);
    put_self(call);
    if (call->version >= 1) {
        put_i16(call->answer, -1); /* rack */
    }
    if (call->version >= 2) {
        put_string(call->answer, sl_bytes_of_text("null"));
    }
    if (call->version >= 1) {
        put_i32(call->answer, NODE_ID);
    }
    int32_t asked = take_i32(&call->in);
    bool all = asked < 0 || (asked == 0 && call->version == 0);
    put_i32(call->answer, all ? (int64_t)call->store->topic_count : asked);
    for (uint32_t i = 0; all && i < call->store->topic_count; i++) {
        metadata_topic(call, sl_bytes_of_text(call->store->topics[i]->name));
    }
    for (int32_t i = 0; i < asked && !call->in.bad; i++) {
        metadata_topic(call, take_string(&call->in));
    }
    return NULL_ANSWERED;
}

static enum null_outcome find_coordinator(struct call *call)
{
    put_i16(call->answer, 0);
    put_self(call);
    return NULL_ANSWERED;
}

static api_fn api_versions;

/* librdkafka wants Produce 0 in the range for any compression, though it never sends it. */
static const struct api {
    int16_t key, advertised_min, min, max;
    api_fn *run;
} apis[] = {
    {0, 0, 3, 7, produce},           {1, 4, 4, 11, fetch},
    {2, 1, 1, 1, list_offsets},      {3, 0, 0, 4, metadata},
    {10, 0, 0, 0, find_coordinator}, {18, 0, 0, 3, api_versions},
};

static enum null_outcome api_versions(struct call *call)
{
    bool compact = call->version >= 3;
    put_i16(call->answer, 0);
    if (compact) {
        put_i8(call->answer, (int)SL_COUNT_OF(apis) + 1);
    } else {
        put_i32(call->answer, SL_COUNT_OF(apis));
    }
    for (size_t i = 0; i < SL_COUNT_OF(apis); i++) {
        put_i16(call->answer, apis[i].key);
        put_i16(call->answer, apis[i].advertised_min);
        put_i16(call->answer, apis[i].max);
        if (compact) {
            put_i8(call->answer, 0); /* no tagged fields */
        }
    }
    if (call->version >= 1) {
        put_i32(call->answer, 0); /* throttle */
    }
    if (compact) {
        put_i8(call->answer, 0);
    }
    return NULL_ANSWERED;
}

static const struct api *find_api(int16_t key, int16_t version)
{
    for (size_t i = 0; i < SL_COUNT_OF(apis); i++) {
        if (apis[i].key == key && version >= apis[i].min && version <= apis[i].max) {
            return &apis[i];
        }
    }
    return NULL;
}

enum null_outcome null_api_run(struct null_store *store, uint16_t port, uint8_t *request,
                               size_t size, bool must_answer, struct null_answer *answer,
                               int *ret_wait_ms)
{
    struct call call = {.store = store,
                        .in = {request, request + size, false},
                        .answer = answer,
                        .port = port,
                        .must_answer = must_answer};
    int16_t key = take_i16(&call.in);
    call.version = take_i16(&call.in);
    int32_t correlation = take_i32(&call.in);
    take_string(&call.in); /* client id */
    const struct api *api = find_api(key, call.version);
    if (api == NULL || call.in.bad) {
        return NULL_CLOSE;
    }
    size_t start = answer->size;
    uint32_t piece_start = answer->piece_count;
    put_i32(answer, 0);
    put_i32(answer, correlation);
    enum null_outcome outcome = api->run(&call);
    if (call.in.bad) {
        return NULL_CLOSE;
    }
    if (outcome != NULL_ANSWERED) {
        answer->size = start;
        answer->piece_count = piece_start;
        *ret_wait_ms = call.wait_ms;
        return outcome;
    }
    sl_be32_store(answer->bytes + start,
                  (uint32_t)(answer->size - start - 4 + (size_t)call.file_bytes));
    put_piece(answer, NULL, 0, 0);
    return outcome;
}
