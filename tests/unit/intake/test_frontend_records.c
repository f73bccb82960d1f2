/* test_frontend_records.c: batches from records and back, as frontends ask for it. */
#include "intake/frontend_records.h"

#include "os/os_uv.h"
#include "record/batch_builder.h"

#include <criterion/criterion.h>
#include <string.h>

#define SEEN_MAX 8u

struct seen {
    uint32_t count, stop_after;
    int64_t offsets[SEEN_MAX];
    char values[SEEN_MAX][32];
    uint32_t header_counts[SEEN_MAX];
    bool null_keys[SEEN_MAX];
};

static struct sl_os *os;
static struct frontend_records records;
static struct seen seen;

static void setup(void)
{
    cr_assert_eq(sl_os_uv_new(1, &os), SLUICE_OK);
    frontend_records_init(&records, os, 4096);
    seen = (struct seen){.stop_after = SEEN_MAX};
}

static void teardown(void)
{
    frontend_records_fini(&records);
    sl_os_free(os);
}

static bool take(void *arg, const struct sluice_record *record)
{
    struct seen *into = arg;
    uint32_t i = into->count++;
    into->offsets[i] = record->offset;
    into->header_counts[i] = record->header_count;
    into->null_keys[i] = record->key.data == NULL;
    memcpy(into->values[i], record->value.data, (size_t)record->value.size);
    return into->count < into->stop_after;
}

static struct sluice_bytes bytes_of(const char *text)
{
    return (struct sluice_bytes){(const uint8_t *)text, strlen(text)};
}

static struct sluice_bytes build_three(void)
{
    static const struct sluice_header header = {{"h", 1}, {(const uint8_t *)"v", 1}};
    struct sluice_record three[3] = {{.size = sizeof(three[0]), .timestamp = -1}};
    struct sluice_bytes batch = {NULL, 0};
    three[1] = three[2] = three[0];
    three[0].value = bytes_of("a");
    three[1].value = bytes_of("");
    three[1].key = bytes_of("k");
    three[2].value = bytes_of("c");
    three[2].headers = &header;
    three[2].header_count = 1;
    cr_assert_eq(records.host.build(&records.host, three, 3, sizeof(three[0]), &batch), SLUICE_OK);
    return batch;
}

TestSuite(frontend_records, .init = setup, .fini = teardown);

Test(frontend_records, come_back_as_they_were_built)
{
    int64_t next = -1;
    struct sluice_bytes batch = build_three();
    cr_assert_eq(records.host.each(&records.host, batch, 0, take, &seen, &next), SLUICE_OK);
    cr_assert_eq(seen.count, 3);
    cr_assert_eq(next, 3);
    cr_assert_str_eq(seen.values[0], "a");
    cr_assert_str_eq(seen.values[2], "c");
    cr_assert(seen.null_keys[0] && !seen.null_keys[1]);
    cr_assert(seen.header_counts[0] == 0 && seen.header_counts[2] == 1);
}

Test(frontend_records, begin_at_the_offset_and_end_where_the_caller_says)
{
    int64_t next = -1;
    seen.stop_after = 1;
    cr_assert_eq(records.host.each(&records.host, build_three(), 1, take, &seen, &next), SLUICE_OK);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.offsets[0], 1);
    cr_assert_eq(next, 2);
}

Test(frontend_records, may_be_built_while_others_are_shown)
{
    struct sluice_bytes batch = build_three();
    uint8_t copy[512];
    int64_t next = -1;
    memcpy(copy, batch.data, (size_t)batch.size);
    struct sluice_bytes kept = {copy, batch.size};
    cr_assert_eq(records.host.each(&records.host, kept, 2, take, &seen, &next), SLUICE_OK);
    build_three();
    cr_assert_eq(seen.header_counts[0], 1);
}

Test(frontend_records, are_refused_where_bytes_are_not_what_they_should_be)
{
    struct sluice_bytes batch = build_three();
    int64_t next = -1;
    struct sluice_bytes cut = {batch.data, batch.size - 1};
    cr_assert_neq(records.host.each(&records.host, cut, 0, take, &seen, &next), SLUICE_OK);
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(next, 0);
}

Test(frontend_records, of_none_there_is_no_batch)
{
    struct sluice_record none = {.size = sizeof(none)};
    struct sluice_bytes batch = {NULL, 0};
    cr_assert_neq(records.host.build(&records.host, &none, 0, sizeof(none), &batch), SLUICE_OK);
    cr_assert_null(batch.data);
}
