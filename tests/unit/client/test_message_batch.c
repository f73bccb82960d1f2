/* test_message_batch.c: batches: made, split, merged, gone through. */
#include <sluice/client.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct sluice_message_batch *batch_of(uint32_t count, uint32_t first)
{
    struct sluice_message_batch *batch;
    cr_assert_eq(sluice_message_batch_new(&batch), SLUICE_OK);
    for (uint32_t i = 0; i < count; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "m-%u", first + i);
        struct sluice_message message = sluice_message_of("orders", "value", 5);
        message.id = sluice_text_of(id);
        message.timestamp_ms = first + i;
        cr_assert_eq(sluice_message_batch_add(batch, &message), SLUICE_OK);
    }
    return batch;
}

static void check(const struct sluice_message_batch *batch, uint32_t count, uint32_t first)
{
    struct sluice_message message;
    cr_assert_eq(sluice_message_batch_count(batch), count);
    uint32_t i = 0;
    for (; sluice_message_batch_get(batch, i, &message) == SLUICE_OK; i++) {
        char id[16];
        int size = snprintf(id, sizeof(id), "m-%u", first + i);
        cr_assert_eq(message.id.size, (uint64_t)size);
        cr_assert_arr_eq(message.id.data, id, (size_t)size);
        cr_assert_eq(message.timestamp_ms, first + i);
    }
    cr_assert_eq(i, count);
}

Test(message_batch, gives_back_every_part_of_a_message)
{
    const struct sluice_header headers[2] = {
        {sluice_text_of("h"), {(const uint8_t *)"1", 1}},
        {sluice_text_of("none"), {NULL, 0}},
    };
    struct sluice_message in = sluice_message_of("orders", "value", 5);
    struct sluice_message out;
    struct sluice_header header;
    struct sluice_bytes found;
    struct sluice_message_batch *batch;
    in.key = (struct sluice_bytes){(const uint8_t *)"key", 3};
    in.headers = headers;
    in.header_count = 2;
    in.id = sluice_text_of("m-1");
    in.timestamp_ms = 1700000000000;
    cr_assert_eq(sluice_message_batch_new(&batch), SLUICE_OK);
    cr_assert_eq(sluice_message_batch_add(batch, &in), SLUICE_OK);
    cr_assert_eq(sluice_message_batch_bytes(batch), sluice_message_size(&in));
    cr_assert_eq(sluice_message_batch_get(batch, 0, &out), SLUICE_OK);
    cr_assert_eq(sluice_message_size(&out), sluice_message_size(&in));
    cr_assert_arr_eq(out.key.data, "key", 3);
    cr_assert_arr_eq(out.value.data, "value", 5);
    cr_assert_arr_eq(out.id.data, "m-1", 3);
    cr_assert_eq(out.timestamp_ms, 1700000000000);
    cr_assert_eq(out.header_count, 3, "the id is a header too");
    cr_assert_eq(sluice_message_header(&out, 2, &header), SLUICE_OK);
    cr_assert_null(header.value.data);
    cr_assert_eq(sluice_message_header(&out, 3, &header), SLUICE_E_NOT_FOUND);
    cr_assert_eq(sluice_message_find(&out, "h", &found), SLUICE_OK);
    cr_assert_arr_eq(found.data, "1", 1);
    cr_assert_eq(sluice_message_find(&out, "other", &found), SLUICE_E_NOT_FOUND);
    sluice_message_batch_free(batch);
}

Test(message_batch, keeps_null_and_empty_apart)
{
    struct sluice_message message = sluice_message_of("orders", NULL, 0);
    struct sluice_message out;
    struct sluice_message_batch *batch;
    cr_assert_eq(sluice_message_batch_new(&batch), SLUICE_OK);
    message.key = (struct sluice_bytes){(const uint8_t *)"", 0};
    cr_assert_eq(sluice_message_batch_add(batch, &message), SLUICE_OK);
    cr_assert_eq(sluice_message_batch_get(batch, 0, &out), SLUICE_OK);
    cr_assert_null(out.value.data);
    cr_assert_not_null(out.key.data);
    cr_assert_eq(out.key.size, 0);
    sluice_message_batch_free(batch);
}

Test(message_batch, splits_a_thousand_and_one_into_eleven)
{
    struct sluice_message_batch *batch = batch_of(1001, 0);
    struct sluice_message_batch *parts[11];
    uint32_t count = 0;
    cr_assert_eq(sluice_message_batch_split(batch, 100, parts, 10, &count), SLUICE_E_LIMIT);
    cr_assert_eq(count, 11);
    cr_assert_eq(sluice_message_batch_split(batch, 0, parts, 11, &count), SLUICE_E_INVALID);
    cr_assert_eq(sluice_message_batch_split(batch, 100, parts, 11, &count), SLUICE_OK);
    sluice_message_batch_free(batch);
    for (uint32_t i = 0; i < count; i++) {
        check(parts[i], i < 10 ? 100 : 1, 100 * i);
    }
    for (uint32_t i = 0; i < count; i++) {
        sluice_message_batch_free(parts[i]);
    }
}

Test(message_batch, merges_in_order)
{
    struct sluice_message_batch *three[3] = {batch_of(3, 0), batch_of(0, 3), batch_of(40, 3)};
    struct sluice_message_batch *merged;
    cr_assert_eq(
        sluice_message_batch_merge((const struct sluice_message_batch *const *)three, 3, &merged),
        SLUICE_OK);
    check(merged, 43, 0);
    for (uint32_t i = 0; i < 3; i++) {
        sluice_message_batch_free(three[i]);
    }
    check(merged, 43, 0);
    sluice_message_batch_free(merged);
}

Test(message_batch, a_part_that_is_added_to_leaves_the_others_alone)
{
    struct sluice_message_batch *batch = batch_of(4, 0);
    struct sluice_message_batch *parts[2];
    struct sluice_message message = sluice_message_of("orders", "value", 5);
    uint32_t count;
    cr_assert_eq(sluice_message_batch_split(batch, 2, parts, 2, &count), SLUICE_OK);
    message.id = sluice_text_of("m-2");
    message.timestamp_ms = 2;
    cr_assert_eq(sluice_message_batch_add(parts[0], &message), SLUICE_OK);
    check(parts[0], 3, 0);
    check(parts[1], 2, 2);
    check(batch, 4, 0);
    sluice_message_batch_free(batch);
    sluice_message_batch_free(parts[0]);
    message.id = sluice_text_of("m-4");
    message.timestamp_ms = 4;
    cr_assert_eq(sluice_message_batch_add(parts[1], &message), SLUICE_OK,
                 "the last one owns the memory");
    check(parts[1], 3, 2);
    sluice_message_batch_free(parts[1]);
}

Test(message_batch, refuses_a_header_name_that_no_frame_can_have)
{
    static char name[65537];
    memset(name, 'n', sizeof(name) - 1);
    const struct sluice_header header = {sluice_text_of(name), {NULL, 0}};
    struct sluice_message message = sluice_message_of("orders", "value", 5);
    struct sluice_message_batch *batch = batch_of(1, 0);
    message.headers = &header;
    message.header_count = 1;
    cr_assert_eq(sluice_message_batch_add(batch, &message), SLUICE_E_INVALID);
    check(batch, 1, 0);
    sluice_message_batch_free(batch);
}
