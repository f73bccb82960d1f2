/* verdicts.c: checks and reads the verdicts of a result, in private memory. No system calls. [any]
 *
 * The check walks every item and header once; the reader then uses the same parser on the same
 * private bytes and cannot fail. */
#include "channel_layout.h"

#include <string.h>

static uint64_t present(uint32_t size)
{
    return size == CHANNEL_NULL ? 0 : size;
}

static struct sluice_bytes view(const uint8_t *data, uint32_t size)
{
    static const uint8_t empty[1] = {0};
    struct sluice_bytes bytes = {size == 0 ? empty : data, size};

    return size == CHANNEL_NULL ? (struct sluice_bytes){NULL, 0} : bytes;
}

static bool headers_check(const uint8_t *at, uint32_t size, uint32_t count)
{
    if (count > CHANNEL_HEADERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t sizes[2];

        if (size < sizeof(sizes)) {
            return false;
        }
        memcpy(sizes, at, sizeof(sizes));
        at += sizeof(sizes);
        size -= (uint32_t)sizeof(sizes);
        if (sizes[0] > size || present(sizes[1]) > size - sizes[0]) {
            return false;
        }
        at += sizes[0] + present(sizes[1]);
        size -= sizes[0] + (uint32_t)present(sizes[1]);
    }
    return size == 0;
}

static bool emit_parse(const uint8_t *at, uint32_t size, struct sandbox_verdict *verdict,
                       uint32_t *ret_headers_size)
{
    struct channel_emit emit;
    uint64_t used;

    if (size < sizeof(emit)) {
        return false;
    }
    memcpy(&emit, at, sizeof(emit));
    used = sizeof(emit) + present(emit.value_size) + present(emit.key_size) + emit.topic_size +
           (uint64_t)emit.headers_size;
    if (used > size || size - used >= 8 || emit.topic_size > CHANNEL_TOPIC_SIZE_MAX ||
        emit.partition < SLUICE_PARTITION_AUTO || emit.timestamp < -1) {
        return false;
    }
    at += sizeof(emit);
    verdict->value = view(at, emit.value_size);
    at += present(emit.value_size);
    verdict->key = view(at, emit.key_size);
    at += present(emit.key_size);
    verdict->topic = (struct sluice_text){(const char *)at, emit.topic_size};
    verdict->headers = at + emit.topic_size;
    verdict->header_count = emit.header_count;
    verdict->partition = emit.partition;
    verdict->timestamp = emit.timestamp;
    *ret_headers_size = emit.headers_size;
    return true;
}

/* Parses the item at `at`; headers are checked by the caller (once). Returns its size, 0 when it is
 * bad. */
static uint32_t item_parse(const uint8_t *at, uint32_t left, struct sandbox_verdict *ret_verdict,
                           uint32_t *ret_headers_size)
{
    struct channel_item item;
    struct sandbox_verdict verdict = {
        .count = 1, .partition = SLUICE_PARTITION_AUTO, .timestamp = -1};

    if (left < sizeof(item)) {
        return 0;
    }
    memcpy(&item, at, sizeof(item));
    if (item.size < sizeof(item) || item.size > left || item.size % 8 != 0) {
        return 0;
    }
    verdict.kind = item.kind;
    verdict.index = item.index;
    at += sizeof(item);
    *ret_headers_size = 0;
    if (item.kind == SANDBOX_VERDICT_EMIT) {
        if (item.reason_size != 0 ||
            !emit_parse(at, item.size - (uint32_t)sizeof(item), &verdict, ret_headers_size)) {
            return 0;
        }
    } else {
        const uint32_t room = item.size - (uint32_t)sizeof(item);

        if (item.kind < SANDBOX_VERDICT_DROP || item.kind > SANDBOX_VERDICT_FAIL ||
            item.reason_size > room || room - item.reason_size >= 8 ||
            item.reason_size > CHANNEL_REASON_SIZE_MAX) {
            return 0;
        }
        verdict.reason = (struct sluice_text){(const char *)at, item.reason_size};
    }
    *ret_verdict = verdict;
    return item.size;
}

static bool order_check(const struct sandbox_verdict *verdict, const struct sandbox_verdict *before,
                        bool is_first, const struct sandbox_result *result)
{
    if (verdict->index < result->first || verdict->index - result->first >= result->limit) {
        return false;
    }
    if (is_first) {
        return true;
    }
    if (before->kind == SANDBOX_VERDICT_RETRY || verdict->index < before->index) {
        return false;
    }
    return verdict->index > before->index ||
           (verdict->kind == SANDBOX_VERDICT_EMIT && before->kind == SANDBOX_VERDICT_EMIT);
}

/* Checks all items and counts the emits. */
bool channel_item_check_all(const uint8_t *items, struct sandbox_result *result)
{
    struct sandbox_verdict before = {0};
    uint32_t at = 0;

    while (at < result->items_size) {
        struct sandbox_verdict verdict;
        uint32_t headers_size;
        const uint32_t size =
            item_parse(items + at, result->items_size - at, &verdict, &headers_size);

        if (size == 0 || !order_check(&verdict, &before, at == 0, result)) {
            return false;
        }
        if (verdict.kind == SANDBOX_VERDICT_EMIT) {
            if (!headers_check(verdict.headers, headers_size, verdict.header_count)) {
                return false;
            }
            result->emit_count++;
            result->emit_bytes += verdict.key.size + verdict.value.size + headers_size;
        }
        before = verdict;
        at += size;
    }
    return true;
}

void sandbox_result_reader_init(struct sandbox_result_reader *reader,
                                const struct sandbox_result *result)
{
    *reader = (struct sandbox_result_reader){
        .result = result, .next_index = result->first, .stopped = result->status != SLUICE_OK};
}

static bool pass_run(struct sandbox_result_reader *reader, uint32_t end,
                     struct sandbox_verdict *ret_verdict)
{
    if (reader->next_index >= end) {
        return false;
    }
    *ret_verdict = (struct sandbox_verdict){.kind = SANDBOX_VERDICT_PASS,
                                            .index = reader->next_index,
                                            .count = end - reader->next_index,
                                            .partition = SLUICE_PARTITION_AUTO,
                                            .timestamp = -1};
    reader->next_index = end;
    return true;
}

bool sandbox_result_next(struct sandbox_result_reader *reader, struct sandbox_verdict *ret_verdict)
{
    const struct sandbox_result *result = reader->result;
    struct sandbox_verdict verdict;
    uint32_t headers_size;
    uint32_t size;

    if (reader->stopped) {
        return false;
    }
    if (reader->at == result->items_size) {
        reader->stopped = true;
        return pass_run(reader, result->first + result->limit, ret_verdict);
    }
    size = item_parse(result->items + reader->at, result->items_size - reader->at, &verdict,
                      &headers_size);
    if (size == 0) { /* cannot be: the items were checked */
        reader->stopped = true;
        return false;
    }
    if (pass_run(reader, verdict.index, ret_verdict)) {
        return true;
    }
    reader->at += size;
    reader->next_index = verdict.index + 1;
    reader->stopped = verdict.kind == SANDBOX_VERDICT_RETRY;
    *ret_verdict = verdict;
    return true;
}

void sandbox_header_next(const uint8_t **cursor, struct sluice_header *ret_header)
{
    const uint8_t *at = *cursor;
    uint32_t sizes[2];

    memcpy(sizes, at, sizeof(sizes));
    at += sizeof(sizes);
    ret_header->key = (struct sluice_text){(const char *)at, sizes[0]};
    at += sizes[0];
    ret_header->value = view(at, sizes[1]);
    *cursor = at + present(sizes[1]);
}
