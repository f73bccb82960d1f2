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

static sl_err check_structure(struct sl_bytes entry, struct batch_view *ret_view)
{
    sl_err err = batch_view_init(ret_view, entry);
    if (err == SLUICE_E_TRUNCATED)
        return SLUICE_E_CORRUPT_BATCH;
    if (err == SLUICE_OK && ret_view->size != entry.size)
        return SLUICE_E_INVALID_RECORD;
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

static sl_err check_codec(const struct batch_view *view, const struct batch_limits *limits)
{
    int codec = batch_view_codec(view);
    if (codec == BATCH_CODEC_ZSTD)
        return limits->zstd_allowed ? SLUICE_OK : SLUICE_E_UNSUPPORTED_CODEC;
    return codec < BATCH_CODEC_COUNT ? SLUICE_OK : SLUICE_E_UNSUPPORTED_CODEC;
}

/* No overflow: the distance is taken in the direction in which it is not negative. */
static bool is_in_range(const struct batch_view *view, const struct batch_limits *limits,
                        int64_t timestamp_ms)
{
    int64_t now = limits->now_ms;
    if (limits->append_time || timestamp_ms == BATCH_NO_TIMESTAMP ||
        batch_view_has(view, BATCH_LOG_APPEND_TIME))
        return true;
    if (timestamp_ms > now)
        return (uint64_t)timestamp_ms - (uint64_t)now <= (uint64_t)limits->timestamp_after_ms;
    return (uint64_t)now - (uint64_t)timestamp_ms <= (uint64_t)limits->timestamp_before_ms;
}

/* What the header says of time. A batch that is not opened is judged by its max timestamp. */
static sl_err check_header_time(const struct batch_view *view, const struct batch_limits *limits,
                                bool will_walk)
{
    if (batch_view_has(view, BATCH_LOG_APPEND_TIME) && !limits->allow_holes)
        return SLUICE_E_INVALID_TIMESTAMP; /* the broker's to set, never a producer's */
    if (!will_walk && !is_in_range(view, limits, batch_view_max_timestamp(view)))
        return SLUICE_E_INVALID_TIMESTAMP;
    return SLUICE_OK;
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
    ret_verdict->walked = false;
    ret_verdict->fault_count = 0;
    sl_err err = check_structure(entry, &ret_verdict->view);
    if (err != SLUICE_OK) {
        ret_verdict->view = (struct batch_view){0};
        return err;
    }
    ret_verdict->max_timestamp = batch_view_max_timestamp(view);
    bool will_walk =
        batch_view_codec(view) == BATCH_CODEC_NONE || batch_validate_opens(view, limits);
    if ((err = check_sizes(view, limits)) != SLUICE_OK ||
        (err = batch_view_check_crc(view)) != SLUICE_OK ||
        (err = check_attributes(view)) != SLUICE_OK ||
        (err = check_counts(view, limits)) != SLUICE_OK ||
        (err = check_codec(view, limits)) != SLUICE_OK ||
        (err = check_header_time(view, limits, will_walk)) != SLUICE_OK)
        return err;
    return will_walk ? check_records(limits, context, scratch, ret_verdict) : SLUICE_OK;
}
