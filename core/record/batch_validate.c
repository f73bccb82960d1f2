/* batch_validate.c: see batch_validate.h. */
#include "record/batch_validate.h"
#include "record/record_iterator.h"

void batch_limits_init(struct batch_limits *limits)
{
    *limits = (struct batch_limits){
        .batch_bytes_max = 1048588,
        .segment_bytes_max = (size_t)1 << 30,
        .expanded_bytes_max = (size_t)16 << 20,
        .timestamp_before_ms = BATCH_TIMESTAMP_UNLIMITED,
        .timestamp_after_ms = 3600000,
        .zstd_allowed = true,
    };
}

bool batch_validate_opens(const struct batch_view *view, const struct batch_limits *limits)
{
    return batch_view_codec(view) != BATCH_CODEC_NONE &&
           (limits->validate_records || limits->compacted);
}

enum { LENGTH_MIN_KAFKA = 14 }; /* of any format */

/* What Kafka finds behind the batch: a whole second one, a lie about its length, or a piece. */
static sl_err check_rest(struct sl_bytes rest)
{
    if (rest.size < BATCH_OVERHEAD_SIZE)
        return SLUICE_OK;
    int32_t length = (int32_t)sl_be32_load(rest.data + BATCH_LENGTH_AT);
    if (length < LENGTH_MIN_KAFKA)
        return SLUICE_E_CORRUPT_BATCH;
    if (rest.size <= BATCH_MAGIC_AT)
        return SLUICE_OK;
    if (rest.data[BATCH_MAGIC_AT] > BATCH_MAGIC)
        return SLUICE_E_CORRUPT_BATCH;
    bool is_whole = rest.size - BATCH_OVERHEAD_SIZE >= (size_t)length;
    return is_whole ? SLUICE_E_INVALID_RECORD : SLUICE_OK;
}

/* Counts below 0 make no view of a batch: where all else is right, they are what is wrong. */
static sl_err uncounted(struct sl_bytes entry, struct batch_verdict *verdict)
{
    size_t size;
    if (entry.size < BATCH_HEADER_SIZE || entry.data[BATCH_MAGIC_AT] != BATCH_MAGIC ||
        batch_peek_size(entry, &size) != SLUICE_OK || size > entry.size)
        return SLUICE_E_CORRUPT_BATCH;
    sl_err err = check_rest(sl_bytes_of(entry.data + size, entry.size - size));
    if (err != SLUICE_OK)
        return err;
    const struct batch_view view = {.data = entry.data, .size = size};
    verdict->formed = true;
    return batch_view_check_crc(&view) == SLUICE_OK ? SLUICE_E_INVALID_RECORD
                                                    : SLUICE_E_CORRUPT_BATCH;
}

static sl_err check_structure(struct sl_bytes entry, struct batch_verdict *verdict)
{
    struct batch_view view;
    sl_err err = batch_view_init(&view, entry);
    if (err == SLUICE_E_TRUNCATED)
        return SLUICE_E_INVALID_RECORD;
    if (err == SLUICE_E_CORRUPT_BATCH)
        return uncounted(entry, verdict);
    if (err == SLUICE_OK)
        err = check_rest(sl_bytes_of(entry.data + view.size, entry.size - view.size));
    if (err == SLUICE_OK)
        verdict->view = view;
    return err;
}

static sl_err check_sizes(const struct batch_view *view, const struct batch_limits *limits)
{
    if (view->size > limits->batch_bytes_max)
        return SLUICE_E_BATCH_TOO_LARGE;
    return view->size > limits->segment_bytes_max ? SLUICE_E_SEGMENT_TOO_SMALL : SLUICE_OK;
}

/* Clients write neither markers nor delete horizons; a transaction or a sequence needs a producer.
 */
static sl_err check_attributes(const struct batch_view *view)
{
    if (batch_view_has(view, BATCH_CONTROL | BATCH_DELETE_HORIZON))
        return SLUICE_E_INVALID_RECORD;
    if (batch_view_has_producer_id(view))
        return batch_view_base_sequence(view) < 0 ? SLUICE_E_INVALID_RECORD : SLUICE_OK;
    return batch_view_has(view, BATCH_TRANSACTIONAL) ? SLUICE_E_INVALID_RECORD : SLUICE_OK;
}

static sl_err check_counts(const struct batch_view *view, const struct batch_limits *limits)
{
    int64_t span = (int64_t)batch_view_last_offset_delta(view) + 1;
    int32_t count = batch_view_record_count(view);
    bool is_sound = limits->allow_holes ? count <= span : count > 0 && count == span;
    return is_sound ? SLUICE_OK : SLUICE_E_INVALID_RECORD;
}

static sl_err check_zstd(const struct batch_view *view, const struct batch_limits *limits)
{
    bool is_known = limits->zstd_allowed || batch_view_codec(view) < BATCH_CODEC_ZSTD;
    return is_known ? SLUICE_OK : SLUICE_E_UNSUPPORTED_CODEC;
}

static sl_err check_base_offset(const struct batch_view *view, const struct batch_limits *limits)
{
    return limits->allow_holes || batch_view_base_offset(view) == 0 ? SLUICE_OK
                                                                    : SLUICE_E_INVALID_RECORD;
}

static sl_err check_codec(const struct batch_view *view)
{
    return batch_view_codec(view) < BATCH_CODEC_COUNT ? SLUICE_OK : SLUICE_E_UNSUPPORTED_CODEC;
}

/* No overflow: the distance is taken in the direction in which it is not negative. */
static bool is_in_range(const struct batch_view *view, const struct batch_limits *limits,
                        int64_t timestamp_ms)
{
    int64_t now = limits->now_ms;
    if (batch_view_has(view, BATCH_LOG_APPEND_TIME)) {
        if (limits->allow_holes)
            return true;
        timestamp_ms = batch_view_max_timestamp(view); /* that of each record */
        if (limits->append_time || timestamp_ms == BATCH_NO_TIMESTAMP)
            return false; /* the broker's to set, never a producer's */
    }
    if (limits->append_time || timestamp_ms == BATCH_NO_TIMESTAMP)
        return true;
    if (timestamp_ms > now)
        return (uint64_t)timestamp_ms - (uint64_t)now <= (uint64_t)limits->timestamp_after_ms;
    return (uint64_t)now - (uint64_t)timestamp_ms <= (uint64_t)limits->timestamp_before_ms;
}

/* What the header says of time: a batch that is not opened is judged by its max timestamp. */
static sl_err check_header_time(const struct batch_view *view, const struct batch_limits *limits,
                                bool will_walk)
{
    return will_walk || is_in_range(view, limits, batch_view_max_timestamp(view))
               ? SLUICE_OK
               : SLUICE_E_INVALID_TIMESTAMP;
}

static void add_fault(struct batch_verdict *verdict, int32_t index, sl_err err)
{
    if (verdict->fault_count < BATCH_FAULTS_MAX)
        verdict->faults[verdict->fault_count] = (struct batch_fault){.index = index, .err = err};
    verdict->fault_count++;
}

static bool is_expected_offset(const struct batch_verdict *verdict,
                               const struct batch_limits *limits, int32_t delta, int32_t index,
                               int32_t previous)
{
    if (!limits->allow_holes)
        return delta == index;
    return delta > previous && delta <= batch_view_last_offset_delta(&verdict->view);
}

static sl_err check_record(const struct batch_view *view, const struct record_view *record,
                           const struct batch_limits *limits, int64_t timestamp_ms)
{
    if (limits->compacted && record->key_is_null)
        return SLUICE_E_INVALID_RECORD;
    return is_in_range(view, limits, timestamp_ms) ? SLUICE_OK : SLUICE_E_INVALID_TIMESTAMP;
}

/* Every record. A broken structure or order condemns the batch; a record's content only the record.
 */
static sl_err walk(struct sl_bytes records, const struct batch_limits *limits,
                   struct batch_verdict *verdict)
{
    struct record_iterator iterator;
    struct record_view record;
    int64_t base = batch_view_base_timestamp(&verdict->view), max = BATCH_NO_TIMESTAMP;
    int32_t previous = -1;
    int32_t count = batch_view_record_count(&verdict->view);
    record_iterator_init(&iterator, records, count);
    for (int32_t i = 0; record_iterator_next(&iterator, &record); i++) {
        if (!is_expected_offset(verdict, limits, record.offset_delta, i, previous))
            return SLUICE_E_INVALID_RECORD;
        previous = record.offset_delta;
        int64_t timestamp_ms = sl_wrapping_add(base, record.timestamp_delta);
        max = SL_MAX(max, timestamp_ms);
        sl_err err = check_record(&verdict->view, &record, limits, timestamp_ms);
        if (err != SLUICE_OK)
            add_fault(verdict, i, err);
    }
    sl_err err = record_iterator_finish(&iterator);
    if (err != SLUICE_OK)
        return err;
    verdict->walked = true;
    if (count > 0 && !batch_view_has(&verdict->view, BATCH_LOG_APPEND_TIME))
        verdict->max_timestamp = max;
    return verdict->fault_count > 0 ? verdict->faults[0].err : SLUICE_OK;
}

static sl_err check_records(const struct batch_limits *limits, struct codec_context *context,
                            struct sl_buffer *scratch, struct batch_verdict *verdict)
{
    if (batch_view_codec(&verdict->view) == BATCH_CODEC_NONE)
        return walk(batch_view_records(&verdict->view), limits, verdict);
    struct sl_bytes records;
    sl_err err =
        batch_decompress(&verdict->view, context, limits->expanded_bytes_max, scratch, &records);
    return err != SLUICE_OK ? err : walk(records, limits, verdict);
}

sl_err batch_validate(struct sl_bytes entry, const struct batch_limits *limits,
                      struct codec_context *context, struct sl_buffer *scratch,
                      struct batch_verdict *ret_verdict)
{
    const struct batch_view *view = &ret_verdict->view;
    ret_verdict->view = (struct batch_view){0};
    ret_verdict->max_timestamp = BATCH_NO_TIMESTAMP;
    ret_verdict->walked = ret_verdict->formed = false;
    ret_verdict->fault_count = 0;
    sl_err err = check_structure(entry, ret_verdict);
    if (err != SLUICE_OK || (err = check_zstd(view, limits)) != SLUICE_OK)
        return err;
    ret_verdict->formed = true;
    ret_verdict->max_timestamp = batch_view_max_timestamp(view);
    bool will_walk =
        batch_view_codec(view) == BATCH_CODEC_NONE || batch_validate_opens(view, limits);
    if ((err = check_base_offset(view, limits)) != SLUICE_OK ||
        (err = check_sizes(view, limits)) != SLUICE_OK ||
        (err = batch_view_check_crc(view)) != SLUICE_OK ||
        (err = check_attributes(view)) != SLUICE_OK ||
        (err = check_counts(view, limits)) != SLUICE_OK || (err = check_codec(view)) != SLUICE_OK ||
        (err = check_header_time(view, limits, will_walk)) != SLUICE_OK)
        return err;
    return will_walk ? check_records(limits, context, scratch, ret_verdict) : SLUICE_OK;
}
