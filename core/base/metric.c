/* metric.c: series are numbered centrally; each writer has an array of cells per metric.
 *
 * metric.series   label values → index; index series_max is "other". Grows, never shrinks
 * writer.blocks   per metric: pointers to blocks of SERIES_PER_BLOCK series, allocated on first use
 *
 * A spin lock guards the numbering and the making of blocks, never a count. A reader walks the
 * blocks by acquire loads of their pointers, under the lock for the label values. Rendering holds
 * the lock: it is arithmetic over memory, tens of microseconds for thousands of series. */
#include "base/metric.h"
#include "base/bytes.h"
#include "base/map.h"
#include "base/text.h"

#include <stdio.h>

#define SERIES_PER_BLOCK 16u
#define RENDER_LINE_MAX  1024u
#define LE_TEXT_MAX      40u

struct series {
    struct sl_map_node node; /* keyed by the values, each followed by a NUL byte */
    struct sl_bytes values[SL_METRIC_LABELS_MAX];
    uint32_t index; /* in metric.series */
    uint8_t key[];
};

struct metric {
    const struct sl_metric_row *row;
    uint32_t label_count;
    uint32_t cells_per_series;
    uint32_t block_count;   /* of pointers in each writer */
    uint32_t series_count;  /* without "other" */
    struct series **series; /* owned array of series_max */
    struct sl_map by_values;
};

typedef _Atomic(struct sl_metric_cell *) block_slot;

struct sl_metric_writer {
    struct sl_metrics *metrics;
    block_slot **blocks; /* by metric, then by block; owned */
};

struct sl_metrics {
    atomic_flag locked;
    size_t count;
    struct metric *table; /* owned, by index */
    struct sl_metric_writer *writers[SL_METRIC_WRITERS_MAX];
    size_t writer_count;
};

static void lock(struct sl_metrics *metrics)
{
    while (atomic_flag_test_and_set_explicit(&metrics->locked, memory_order_acquire))
        __builtin_ia32_pause();
}

static void unlock(struct sl_metrics *metrics)
{
    atomic_flag_clear_explicit(&metrics->locked, memory_order_release);
}

/* ---- construction ---- */

static sl_err metric_init(struct metric *metric, const struct sl_metric_row *row)
{
    SL_ASSERT(row->name && row->series_max <= SL_METRIC_SERIES_MAX);
    metric->row = row;
    while (metric->label_count < SL_METRIC_LABELS_MAX && row->labels[metric->label_count])
        metric->label_count++;
    SL_ASSERT((metric->label_count > 0) == (row->series_max > 0));
    metric->cells_per_series = row->kind == SL_METRIC_HISTOGRAM ? SL_METRIC_BUCKETS + 1 : 1;
    metric->block_count = row->series_max / SERIES_PER_BLOCK + 1; /* "other" included */
    sl_map_init(&metric->by_values, row->series_max, 0);
    metric->series = sl_alloc_zero(row->series_max, sizeof(struct series *));
    return metric->series ? SLUICE_OK : SLUICE_E_NO_MEMORY;
}

sl_err sl_metrics_new(const struct sl_metric_row *rows, size_t count,
                      struct sl_metrics **ret_metrics)
{
    struct sl_metrics *metrics = sl_alloc_zero(1, sizeof *metrics);
    if (!metrics)
        return SLUICE_E_NO_MEMORY;
    atomic_flag_clear(&metrics->locked);
    metrics->table = sl_alloc_zero(count, sizeof *metrics->table);
    sl_err err = metrics->table ? SLUICE_OK : SLUICE_E_NO_MEMORY;
    for (; !err && metrics->count < count; metrics->count++)
        err = metric_init(&metrics->table[metrics->count], &rows[metrics->count]);
    if (err) {
        sl_metrics_free(metrics);
        return err;
    }
    *ret_metrics = metrics;
    return SLUICE_OK;
}

static void writer_free(const struct sl_metrics *metrics, struct sl_metric_writer *writer)
{
    for (size_t i = 0; writer->blocks && i < metrics->count; i++) {
        for (size_t b = 0; writer->blocks[i] && b < metrics->table[i].block_count; b++)
            sl_free(atomic_load(&writer->blocks[i][b]));
        sl_free(writer->blocks[i]);
    }
    sl_free(writer->blocks);
    sl_free(writer);
}

struct sl_metrics *sl_metrics_free(struct sl_metrics *metrics)
{
    if (!metrics)
        return NULL;
    for (size_t i = 0; i < metrics->writer_count; i++)
        writer_free(metrics, metrics->writers[i]);
    for (size_t i = 0; metrics->table && i < metrics->count; i++) {
        for (size_t s = 0; s < metrics->table[i].series_count; s++)
            sl_free(metrics->table[i].series[s]);
        sl_free(metrics->table[i].series);
        sl_map_fini(&metrics->table[i].by_values);
    }
    sl_free(metrics->table);
    sl_free(metrics);
    return NULL;
}

/* The block that holds a series, made when missing; NULL without memory. */
static struct sl_metric_cell *block_get(const struct sl_metric_writer *writer, size_t index,
                                        uint32_t block)
{
    block_slot *slot = &writer->blocks[index][block];
    struct sl_metric_cell *cells = atomic_load_explicit(slot, memory_order_acquire);
    if (cells)
        return cells;
    const struct metric *metric = &writer->metrics->table[index];
    size_t series = metric->label_count > 0 ? SERIES_PER_BLOCK : 1;
    cells = sl_alloc_zero(series * metric->cells_per_series, sizeof *cells);
    atomic_store_explicit(slot, cells, memory_order_release);
    return cells;
}

/* "other" (and the one series of a metric without labels) is there from the start, so that later
 * look-ups need not fail. */
static sl_err writer_init(struct sl_metric_writer *writer)
{
    const struct sl_metrics *metrics = writer->metrics;
    writer->blocks = sl_alloc_zero(metrics->count, sizeof(block_slot *));
    if (!writer->blocks)
        return SLUICE_E_NO_MEMORY;
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metric *metric = &metrics->table[i];
        writer->blocks[i] = sl_alloc_zero(metric->block_count, sizeof(block_slot));
        if (!writer->blocks[i] || !block_get(writer, i, metric->row->series_max / SERIES_PER_BLOCK))
            return SLUICE_E_NO_MEMORY;
    }
    return SLUICE_OK;
}

sl_err sl_metric_writer_new(struct sl_metrics *metrics, struct sl_metric_writer **ret_writer)
{
    struct sl_metric_writer *writer = sl_alloc_zero(1, sizeof *writer);
    if (!writer)
        return SLUICE_E_NO_MEMORY;
    writer->metrics = metrics;
    sl_err err = writer_init(writer);
    lock(metrics);
    if (!err && metrics->writer_count == SL_METRIC_WRITERS_MAX)
        err = SLUICE_E_LIMIT;
    if (!err)
        metrics->writers[metrics->writer_count++] = writer;
    unlock(metrics);
    if (err) {
        writer_free(metrics, writer);
        return err;
    }
    *ret_writer = writer;
    return SLUICE_OK;
}

/* ---- series ---- */

/* The cells of a series in a writer, or NULL where it has none yet. */
static struct sl_metric_cell *cells_of(const struct sl_metric_writer *writer, size_t index,
                                       uint32_t series)
{
    struct sl_metric_cell *cells = atomic_load_explicit(
        &writer->blocks[index][series / SERIES_PER_BLOCK], memory_order_acquire);
    if (!cells)
        return NULL;
    return cells +
           (size_t)(series % SERIES_PER_BLOCK) * writer->metrics->table[index].cells_per_series;
}

struct sl_metric_cell *sl_metric_cell(const struct sl_metric_writer *writer, size_t index)
{
    SL_ASSERT(index < writer->metrics->count && writer->metrics->table[index].label_count == 0);
    return cells_of(writer, index, 0);
}

#define KEY_BYTES_MAX (SL_METRIC_LABELS_MAX * (SL_METRIC_LABEL_BYTES_MAX + 1))

/* The values as one run of bytes; *ret_sizes as cut. */
static size_t key_build(const struct metric *metric, const struct sl_bytes *values,
                        uint8_t ret_key[KEY_BYTES_MAX], size_t ret_sizes[SL_METRIC_LABELS_MAX])
{
    size_t size = 0;
    for (uint32_t i = 0; i < metric->label_count; i++) {
        ret_sizes[i] = SL_MIN(values[i].size, SL_METRIC_LABEL_BYTES_MAX);
        sl_bytes_copy(ret_key + size, sl_bytes_of(values[i].data, ret_sizes[i]));
        size += ret_sizes[i];
        ret_key[size++] = '\0';
    }
    return size;
}

/* Number of the series, or -1. [locked] */
static int64_t series_find(const struct metric *metric, struct sl_bytes key)
{
    const struct sl_map_node *node = sl_map_find(&metric->by_values, key);
    if (!node)
        return -1;
    return SL_CONTAINER_OF(node, const struct series, node)->index;
}

/* A new series, or -1 at the bound or without memory. [locked] */
static int64_t series_make(struct metric *metric, struct sl_bytes key,
                           const size_t sizes[SL_METRIC_LABELS_MAX])
{
    if (metric->series_count == metric->row->series_max)
        return -1;
    struct series *series = sl_alloc(sizeof *series + key.size);
    if (!series)
        return -1;
    series->index = metric->series_count;
    memcpy(series->key, key.data, key.size);
    size_t at = 0;
    for (uint32_t i = 0; i < metric->label_count; at += sizes[i] + 1, i++)
        series->values[i] = sl_bytes_of(series->key + at, sizes[i]);
    if (sl_map_insert(&metric->by_values, &series->node, sl_bytes_of(series->key, key.size))) {
        sl_free(series);
        return -1;
    }
    metric->series[metric->series_count] = series;
    return metric->series_count++;
}

struct sl_metric_cell *sl_metric_series(struct sl_metric_writer *writer, size_t index,
                                        const struct sl_bytes *values)
{
    struct sl_metrics *metrics = writer->metrics;
    SL_ASSERT(index < metrics->count && metrics->table[index].label_count > 0);
    struct metric *metric = &metrics->table[index];
    uint8_t bytes[KEY_BYTES_MAX];
    size_t sizes[SL_METRIC_LABELS_MAX];
    struct sl_bytes key = sl_bytes_of(bytes, key_build(metric, values, bytes, sizes));
    lock(metrics);
    int64_t series = series_find(metric, key);
    if (series < 0)
        series = series_make(metric, key, sizes);
    if (series < 0 || !block_get(writer, index, (uint32_t)series / SERIES_PER_BLOCK))
        series = metric->row->series_max;
    unlock(metrics);
    struct sl_metric_cell *cells = cells_of(writer, index, (uint32_t)series);
    SL_ASSERT(cells != NULL);
    return cells;
}

/* ---- reading ---- */

/* Sum over the writers of one cell of a series. [locked] */
static uint64_t cell_sum(const struct sl_metrics *metrics, size_t index, uint32_t series,
                         uint32_t cell)
{
    uint64_t sum = 0;
    for (size_t w = 0; w < metrics->writer_count; w++) {
        const struct sl_metric_cell *cells = cells_of(metrics->writers[w], index, series);
        if (cells)
            sum += atomic_load_explicit(&cells[cell].value, memory_order_relaxed);
    }
    return sum;
}

static uint64_t observation_count(const struct sl_metrics *metrics, size_t index, uint32_t series)
{
    uint64_t sum = 0;
    for (uint32_t b = 0; b < SL_METRIC_BUCKETS; b++)
        sum += cell_sum(metrics, index, series, b);
    return sum;
}

/* Largest value of a histogram's bucket; the inverse of sl_metric_bucket. */
static uint64_t bucket_top(uint32_t bucket)
{
    if (bucket < 4)
        return bucket;
    uint32_t exponent = bucket / 4 + 1;
    uint64_t step = 1ull << (exponent - 2);
    return (1ull << exponent) + (bucket % 4) * step + (step - 1);
}

/* Number of the series asked for, or -1. [locked] */
static int64_t series_asked(const struct sl_metrics *metrics, size_t index,
                            const struct sl_bytes *values)
{
    SL_ASSERT(index < metrics->count);
    const struct metric *metric = &metrics->table[index];
    if (metric->label_count == 0)
        return 0;
    uint8_t bytes[KEY_BYTES_MAX];
    size_t sizes[SL_METRIC_LABELS_MAX];
    return series_find(metric, sl_bytes_of(bytes, key_build(metric, values, bytes, sizes)));
}

uint64_t sl_metrics_value(struct sl_metrics *metrics, size_t index, const struct sl_bytes *values)
{
    uint64_t value = 0;
    lock(metrics);
    int64_t series = series_asked(metrics, index, values);
    if (series >= 0)
        value = metrics->table[index].row->kind == SL_METRIC_HISTOGRAM
                    ? observation_count(metrics, index, (uint32_t)series)
                    : cell_sum(metrics, index, (uint32_t)series, 0);
    unlock(metrics);
    return value;
}

uint64_t sl_metric_quantile_of(const uint64_t buckets[SL_METRIC_BUCKETS], uint32_t permille)
{
    uint64_t total = 0, seen = 0;
    for (uint32_t b = 0; b < SL_METRIC_BUCKETS; b++)
        total += buckets[b];
    uint64_t wanted = SL_MAX(total / 1000 * permille + (total % 1000 * permille + 999) / 1000, 1u);
    for (uint32_t b = 0; total > 0 && b < SL_METRIC_BUCKETS; b++) {
        seen += buckets[b];
        if (seen >= wanted)
            return bucket_top(b);
    }
    return 0;
}

static uint64_t quantile(const struct sl_metrics *metrics, size_t index, uint32_t series,
                         uint32_t permille)
{
    uint64_t buckets[SL_METRIC_BUCKETS];
    for (uint32_t b = 0; b < SL_METRIC_BUCKETS; b++)
        buckets[b] = cell_sum(metrics, index, series, b);
    return sl_metric_quantile_of(buckets, permille);
}

uint64_t sl_metrics_quantile(struct sl_metrics *metrics, size_t index,
                             const struct sl_bytes *values, uint32_t permille)
{
    SL_ASSERT(permille <= 1000);
    lock(metrics);
    int64_t series = series_asked(metrics, index, values);
    uint64_t value = series >= 0 ? quantile(metrics, index, (uint32_t)series, permille) : 0;
    unlock(metrics);
    return value;
}

/* ---- Prometheus text, https://prometheus.io/docs/instrumenting/exposition_formats/ ---- */

struct render {
    const struct sl_metrics *metrics;
    struct sl_buffer *buffer;
    const struct metric *metric;
    size_t index;
};

static sl_err add_text(const struct render *r, const char *text)
{
    return sl_buffer_append(r->buffer, text, strlen(text));
}

/* A label's value: backslash, quote and newline are escaped. */
static sl_err add_label_value(const struct render *r, struct sl_bytes value)
{
    sl_err err = SLUICE_OK;
    for (size_t i = 0; i < value.size && !err; i++) {
        uint8_t c = value.data[i];
        if (c == '\n')
            err = add_text(r, "\\n");
        else if (c == '"' || c == '\\')
            err = sl_buffer_append(r->buffer, (uint8_t[]){'\\', c}, 2);
        else
            err = sl_buffer_append(r->buffer, &c, 1);
    }
    return err;
}

static sl_err add_label(const struct render *r, const char *before, const char *name,
                        struct sl_bytes value)
{
    sl_err err = add_text(r, before);
    err = err ? err : add_text(r, name);
    err = err ? err : add_text(r, "=\"");
    err = err ? err : add_label_value(r, value);
    return err ? err : add_text(r, "\"");
}

/* name suffix { labels, le } before the value. le NULL: none. */
static sl_err add_head(const struct render *r, const char *suffix, uint32_t series, const char *le)
{
    const struct metric *m = r->metric;
    sl_err err = add_text(r, m->row->name);
    err = err ? err : add_text(r, suffix);
    for (uint32_t i = 0; i < m->label_count && !err; i++) {
        struct sl_bytes value =
            series < m->series_count ? m->series[series]->values[i] : sl_bytes_of_text("other");
        err = add_label(r, i == 0 ? "{" : ",", m->row->labels[i], value);
    }
    if (le && !err)
        err = add_label(r, m->label_count == 0 ? "{" : ",", "le", sl_bytes_of_text(le));
    if (!err && (m->label_count > 0 || le))
        err = add_text(r, "}");
    return err;
}

static void number_text(const struct metric *metric, uint64_t value, char ret_text[LE_TEXT_MAX])
{
    uint32_t divisor = SL_MAX(metric->row->divisor, 1u);
    if (divisor > 1)
        snprintf(ret_text, LE_TEXT_MAX, "%.9g",
                 (metric->row->kind == SL_METRIC_GAUGE ? (double)(int64_t)value : (double)value) /
                     divisor);
    else if (metric->row->kind == SL_METRIC_GAUGE)
        snprintf(ret_text, LE_TEXT_MAX, "%lld", (long long)value);
    else
        snprintf(ret_text, LE_TEXT_MAX, "%llu", (unsigned long long)value);
}

static sl_err add_sample(const struct render *r, const char *suffix, uint32_t series,
                         const char *le, const char *value)
{
    sl_err err = add_head(r, suffix, series, le);
    err = err ? err : add_text(r, " ");
    err = err ? err : add_text(r, value);
    return err ? err : add_text(r, "\n");
}

static sl_err add_count(const struct render *r, const char *suffix, uint32_t series, const char *le,
                        uint64_t count)
{
    char text[LE_TEXT_MAX];
    snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    return add_sample(r, suffix, series, le, text);
}

/* Buckets shown are powers of two (their tops less one), between the first and the last in use. */
static sl_err render_histogram(const struct render *r, uint32_t series)
{
    uint64_t total = observation_count(r->metrics, r->index, series), seen = 0;
    char text[LE_TEXT_MAX];
    sl_err err = SLUICE_OK;
    for (uint32_t b = 0; b < SL_METRIC_BUCKETS && seen < total && !err; b++) {
        seen += cell_sum(r->metrics, r->index, series, b);
        if (b % 4 != 3 || seen == 0)
            continue;
        number_text(r->metric, bucket_top(b), text);
        err = add_count(r, "_bucket", series, text, seen);
    }
    err = err ? err : add_count(r, "_bucket", series, "+Inf", total);
    number_text(r->metric, cell_sum(r->metrics, r->index, series, SL_METRIC_BUCKETS), text);
    err = err ? err : add_sample(r, "_sum", series, NULL, text);
    return err ? err : add_count(r, "_count", series, NULL, total);
}

static sl_err render_series(const struct render *r, uint32_t series)
{
    if (r->metric->row->kind == SL_METRIC_HISTOGRAM)
        return render_histogram(r, series);
    char text[LE_TEXT_MAX];
    number_text(r->metric, cell_sum(r->metrics, r->index, series, 0), text);
    return add_sample(r, "", series, NULL, text);
}

/* "other" is shown once the metric is at its bound. */
static sl_err render_metric(const struct render *r)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const struct metric *m = r->metric;
    char head[RENDER_LINE_MAX];
    struct sl_text_out out = SL_TEXT_OUT(head);
    sl_text_add(&out, "# HELP %s %s\n# TYPE %s %s\n", m->row->name, m->row->help, m->row->name,
                kinds[m->row->kind]);
    sl_err err = add_text(r, head);
    if (m->label_count == 0)
        return err ? err : render_series(r, 0);
    for (uint32_t s = 0; s < m->series_count && !err; s++)
        err = render_series(r, s);
    if (!err && m->series_count == m->row->series_max)
        err = render_series(r, m->series_count);
    return err;
}

sl_err sl_metrics_render(struct sl_metrics *metrics, struct sl_buffer *buffer)
{
    sl_err err = SLUICE_OK;
    lock(metrics);
    for (size_t i = 0; i < metrics->count && !err; i++) {
        struct render r = {metrics, buffer, &metrics->table[i], i};
        err = render_metric(&r);
    }
    unlock(metrics);
    return err;
}
