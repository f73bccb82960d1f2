/* shadow_run.c: see shadow_run.h. Two readers go over the verdicts of both results side by side: a
 * record's verdicts are those with its index, or the run of passes that covers it. */
#include "plugin/shadow_run.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define SHOWN_BYTES 48u /* of a value or reason in a difference */

struct shadow_run *shadow_run_new(int64_t records)
{
    struct shadow_run *run = sl_alloc_zero(1, sizeof(*run));
    if (run != NULL) {
        atomic_init(&run->refs, 1);
        atomic_init(&run->left, records);
    }
    return run;
}

struct shadow_run *shadow_run_ref(struct shadow_run *run)
{
    atomic_fetch_add_explicit(&run->refs, 1, memory_order_relaxed);
    return run;
}

struct shadow_run *shadow_run_unref(struct shadow_run *run)
{
    if (run != NULL && atomic_fetch_sub_explicit(&run->refs, 1, memory_order_acq_rel) == 1) {
        sl_free(run);
    }
    return NULL;
}

/* ---- one side ---- */

/* Reads verdicts; `at` is the next one, which may cover several records. */
struct side {
    const struct sandbox_result *result;
    struct sandbox_result_reader reader;
    struct sandbox_verdict at;
    bool has;
};

static void side_init(struct side *side, const struct sandbox_result *result)
{
    *side = (struct side){.result = result};
    if (result->status == SLUICE_OK) {
        sandbox_result_reader_init(&side->reader, result);
        side->has = sandbox_result_next(&side->reader, &side->at);
    }
}

static bool covers(const struct side *side, uint32_t index)
{
    return side->has && index >= side->at.index && index - side->at.index < side->at.count;
}

/* After the last verdict of the record. */
static void side_leave(struct side *side, uint32_t index)
{
    while (side->has && side->at.kind != SANDBOX_VERDICT_RETRY &&
           side->at.index + side->at.count - 1 <= index) {
        side->has = sandbox_result_next(&side->reader, &side->at);
    }
}

/* ---- equality ---- */

static bool same_bytes(struct sluice_bytes a, struct sluice_bytes b)
{
    return a.size == b.size && (a.data == NULL) == (b.data == NULL) &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool same_text(struct sluice_text a, struct sluice_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool same_headers(const struct sandbox_verdict *a, const struct sandbox_verdict *b)
{
    const uint8_t *left = a->headers;
    const uint8_t *right = b->headers;
    bool same = a->header_count == b->header_count;
    for (uint32_t i = 0; same && i < a->header_count; i++) {
        struct sluice_header x;
        struct sluice_header y;
        sandbox_header_next(&left, &x);
        sandbox_header_next(&right, &y);
        same = same_text(x.key, y.key) && same_bytes(x.value, y.value);
    }
    return same;
}

static bool same_verdict(const struct sandbox_verdict *a, const struct sandbox_verdict *b)
{
    if (a->kind != b->kind || !same_text(a->reason, b->reason)) {
        return false;
    }
    return a->kind != SANDBOX_VERDICT_EMIT ||
           (same_text(a->topic, b->topic) && a->partition == b->partition &&
            a->timestamp == b->timestamp && same_bytes(a->key, b->key) &&
            same_bytes(a->value, b->value) && same_headers(a, b));
}

/* ---- differences in words ---- */

static void say_bytes(struct sl_text_out *out, const char *before, const void *data, uint64_t size)
{
    sl_text_add(out, "%s", before);
    sl_text_add_json(out, sl_bytes_of(data, (size_t)SL_MIN(size, (uint64_t)SHOWN_BYTES)));
    sl_text_add(out, "%s", size > SHOWN_BYTES ? "…" : "");
}

static void say_side(struct sl_text_out *out, const struct side *side, uint32_t index)
{
    static const char *const words[] = {"passed",   "dropped", "emitted",
                                        "rejected", "retried", "failed"};
    if (side->result->status != SLUICE_OK) {
        sl_text_add(out, "failed: %s", sl_status_text(side->result->status));
        return;
    }
    if (!covers(side, index)) {
        sl_text_add(out, "nothing more");
        return;
    }
    const struct sandbox_verdict *at = &side->at;
    sl_text_add(out, "%s", words[SL_MIN(at->kind, SANDBOX_VERDICT_FAIL)]);
    if (at->kind == SANDBOX_VERDICT_EMIT) {
        say_bytes(out, " ", at->value.data, at->value.size);
    }
    if (at->topic.size > 0) {
        say_bytes(out, " to ", at->topic.data, at->topic.size);
    }
    if (at->reason.size > 0) {
        say_bytes(out, ": ", at->reason.data, at->reason.size);
    }
}

static void keep(struct shadow_run *run, const struct shadow_place *place, uint32_t index,
                 const struct side *before, const struct side *after)
{
    uint32_t at = atomic_load_explicit(&run->diff_count, memory_order_relaxed);
    if (at >= SHADOW_DIFFS_MAX) {
        return;
    }
    at = atomic_fetch_add_explicit(&run->diff_count, 1, memory_order_relaxed);
    if (at >= SHADOW_DIFFS_MAX) {
        return;
    }
    struct sl_text_out out = SL_TEXT_OUT(run->diffs[at].text);
    sl_text_add(&out, "%s/%d", place->topic, place->partition);
    if (place->base_offset >= 0) {
        sl_text_add(&out, " offset %lld", (long long)(place->base_offset + index));
    }
    sl_text_add(&out, ": ");
    say_side(&out, before, index);
    sl_text_add(&out, " → ");
    say_side(&out, after, index);
    atomic_store_explicit(&run->diffs[at].is_written, true, memory_order_release);
}

/* ---- the comparison ---- */

/* False: what becomes of the record differs; both sides stand where it does. */
static bool same_record(struct side *before, struct side *after, uint32_t index)
{
    while (covers(before, index) && covers(after, index)) {
        if (!same_verdict(&before->at, &after->at)) {
            return false;
        }
        bool more = before->at.kind == SANDBOX_VERDICT_EMIT;
        if (!more) {
            return true;
        }
        before->has = sandbox_result_next(&before->reader, &before->at);
        after->has = sandbox_result_next(&after->reader, &after->at);
    }
    return covers(before, index) == covers(after, index);
}

void shadow_run_compare(struct shadow_run *run, const struct shadow_place *place,
                        const struct sandbox_result *before, const struct sandbox_result *after)
{
    struct side old;
    struct side new;
    uint64_t same = 0;
    uint64_t changed = 0;
    bool failed = before->status != SLUICE_OK || after->status != SLUICE_OK;
    side_init(&old, before);
    side_init(&new, after);
    for (uint32_t i = 0; i < before->limit; i++) {
        uint32_t index = before->first + i;
        bool is_same = failed ? before->status == after->status : same_record(&old, &new, index);
        if (!is_same) {
            keep(run, place, index, &old, &new);
        }
        same += is_same;
        changed += !is_same;
        side_leave(&old, index);
        side_leave(&new, index);
    }
    atomic_fetch_add_explicit(&run->same, same, memory_order_relaxed);
    atomic_fetch_add_explicit(&run->changed, changed, memory_order_relaxed);
}
