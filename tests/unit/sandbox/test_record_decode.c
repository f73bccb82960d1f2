/* test_record_decode.c: record views inside the worker, from whole, cut and noisy bytes. */
#include "worker/worker.h"

#include "toy_host.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct toy_records three(void)
{
    struct toy_records records = {.size = 0};

    toy_records_add(&records, "k", "v1", "name");
    toy_records_add(&records, NULL, NULL, NULL);
    toy_records_add(&records, "", "v3", "name");
    return records;
}

static sluice_status decode(struct worker *worker, const struct toy_records *records, uint32_t size,
                            uint32_t count, uint32_t first, uint32_t limit)
{
    const struct channel_task_wire task = {.base_offset = 500,
                                           .base_timestamp = 1000,
                                           .record_count = count,
                                           .first = first,
                                           .limit = limit,
                                           .records_size = size};
    uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees a step too far */
    sluice_status status;

    memcpy(exact, records->bytes, size);
    status = record_decode(worker, &task, exact);
    if (status == SLUICE_OK) {
        for (uint32_t i = 0; i < limit; i++) {
            cr_assert(worker->records[i].key.size <= size && worker->records[i].value.size <= size);
        }
    }
    free(exact);
    return status;
}

static void worker_clear(struct worker *worker)
{
    free(worker->records);
    free(worker->headers);
}

Test(record_decode, shows_nulls_empties_headers_offsets_and_times)
{
    const struct toy_records records = three();
    const struct channel_task_wire task = {.base_offset = 500,
                                           .base_timestamp = 1000,
                                           .record_count = 3,
                                           .limit = 3,
                                           .records_size = records.size};
    struct worker worker = {.taken = 0};

    cr_assert_eq(record_decode(&worker, &task, records.bytes), SLUICE_OK);
    cr_assert_eq(worker.records[0].header_count, 1);
    cr_assert_eq(worker.records[0].headers[0].key.size, 4);
    cr_assert_null(worker.records[1].key.data);
    cr_assert_null(worker.records[1].value.data);
    cr_assert_eq(worker.records[1].header_count, 0);
    cr_assert_not_null(worker.records[2].key.data);
    cr_assert_eq(worker.records[2].key.size, 0);
    cr_assert_eq(worker.records[2].offset, 502);
    cr_assert_eq(worker.records[2].timestamp, 1020);
    worker_clear(&worker);
}

Test(record_decode, refuses_counts_that_do_not_fit)
{
    const struct toy_records records = three();
    struct worker worker = {.taken = 0};

    cr_assert_eq(decode(&worker, &records, records.size, 2, 0, 2), SLUICE_E_INVALID_RECORD);
    cr_assert_eq(decode(&worker, &records, records.size, 4, 0, 4), SLUICE_E_INVALID_RECORD);
    cr_assert_eq(decode(&worker, &records, records.size, 0x7fffffff, 0, 3),
                 SLUICE_E_INVALID_RECORD);
    cr_assert_eq(decode(&worker, &records, records.size, 3, 1, 2), SLUICE_OK);
    cr_assert_eq(decode(&worker, &records, 0, 0, 0, 0), SLUICE_OK);
    worker_clear(&worker);
}

Test(record_decode, refuses_every_cut)
{
    const struct toy_records records = three();
    struct worker worker = {.taken = 0};

    for (uint32_t size = 0; size < records.size; size++) {
        cr_assert_eq(decode(&worker, &records, size, 3, 0, 3), SLUICE_E_INVALID_RECORD, "%u", size);
    }
    worker_clear(&worker);
}

Test(record_decode, survives_noise)
{
    uint32_t seed = 20261121;
    struct worker worker = {.taken = 0};

    cr_log_info("seed %u", seed);
    for (int round = 0; round < 20000; round++) {
        struct toy_records records = three();

        for (int i = 0; i < 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            records.bytes[(seed >> 8) % records.size] = (uint8_t)(seed >> 24);
        }
        (void)decode(&worker, &records, records.size, 3, 0, 3);
    }
    worker_clear(&worker);
}
