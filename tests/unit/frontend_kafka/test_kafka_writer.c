/* test_kafka_writer.c: the gather list, the bounds of a writer, and what an encoder refuses. */
#include "kafka_frame.h"
#include "kafka_messages.h"
#include <criterion/criterion.h>

#define PARTITIONS 4
#define LONG_SIZE  1000

static uint8_t long_records[LONG_SIZE];
static uint8_t short_records[6] = "short";
static struct kafka_piece runs[2];
static struct kafka_fetch_response_partition partitions[PARTITIONS];
static struct kafka_fetch_response_topic topic;
static struct kafka_fetch_response response;

/* Four partitions: long records, short ones, long ones in two runs, none. */
static void fill_response(void)
{
    for (size_t i = 0; i < LONG_SIZE; i++) {
        long_records[i] = (uint8_t)i;
    }
    kafka_fetch_response_init(&response);
    kafka_fetch_response_topic_init(&topic);
    response.responses = &topic;
    response.responses_count = 1;
    topic.partitions = partitions;
    topic.partitions_count = PARTITIONS;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        kafka_fetch_response_partition_init(&partitions[i]);
        partitions[i].partition_index = i;
    }
    runs[0] = (struct kafka_piece){long_records, 300, 21};
    runs[1] = (struct kafka_piece){long_records + 300, LONG_SIZE - 300, 22};
    partitions[0].records =
        (struct kafka_records){.data = long_records, .size = LONG_SIZE, .token = 11};
    partitions[1].records =
        (struct kafka_records){.data = short_records, .size = sizeof short_records};
    partitions[2].records =
        (struct kafka_records){.size = LONG_SIZE, .pieces = runs, .pieces_count = 2};
}

static sluice_status encode(struct kafka_writer *writer)
{
    return kafka_response_encode(writer, kafka_api_get(1), 12, 4, &response);
}

static size_t join(const struct kafka_piece *pieces, uint32_t count, uint8_t *bytes)
{
    size_t size = 0;

    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes + size, pieces[i].data, pieces[i].size);
        size += pieces[i].size;
    }
    return size;
}

Test(kafka_writer, gathered_pieces_are_the_bytes_of_the_copying_encoding, .init = fill_response)
{
    struct kafka_splice splices[8];
    struct kafka_piece pieces[17];
    static uint8_t joined[4 * LONG_SIZE];
    struct kafka_writer copied;
    struct kafka_writer gathered;
    uint32_t count = 0;

    kafka_writer_init(&copied, 1 << 20);
    kafka_writer_init(&gathered, 1 << 20);
    kafka_writer_set_splices(&gathered, splices, 8, 64);
    cr_assert_eq(encode(&copied), SLUICE_OK);
    cr_assert_eq(encode(&gathered), SLUICE_OK);
    cr_assert_eq(gathered.splices_count, 3u);
    cr_assert_eq(gathered.spliced_size, (size_t)2 * LONG_SIZE);
    cr_assert_eq(kafka_writer_pieces(&gathered, pieces, 17, &count), SLUICE_OK);
    cr_assert_eq(join(pieces, count, joined), copied.size);
    cr_assert_arr_eq(joined, copied.data, copied.size);
    /* own, long, own, run, run, own: referenced where they are, with their tokens */
    cr_assert_eq(count, 6u);
    cr_assert(pieces[1].data == long_records && pieces[1].token == 11);
    cr_assert(pieces[3].data == long_records && pieces[3].size == 300 && pieces[3].token == 21);
    cr_assert(pieces[4].data == long_records + 300 && pieces[4].token == 22);
    cr_assert(pieces[0].token == 0 && pieces[2].token == 0 && pieces[5].token == 0);
    kafka_writer_fini(&copied);
    kafka_writer_fini(&gathered);
}

Test(kafka_writer, frames_that_follow_each_other_count_their_own_splices, .init = fill_response)
{
    struct kafka_splice splices[8];
    struct kafka_writer writer;
    uint32_t first;
    uint32_t second;
    size_t size;

    kafka_writer_init(&writer, 1 << 20);
    kafka_writer_set_splices(&writer, splices, 8, 64);
    cr_assert_eq(encode(&writer), SLUICE_OK);
    size = writer.size;
    cr_assert_eq(encode(&writer), SLUICE_OK);
    memcpy(&first, writer.data, sizeof first);
    memcpy(&second, writer.data + size, sizeof second);
    cr_assert_eq(first, second);
    cr_assert_eq(__builtin_bswap32(first), size + 2 * LONG_SIZE - KAFKA_FRAME_PREFIX_SIZE);
    kafka_writer_fini(&writer);
}

Test(kafka_writer, a_file_region_has_no_data_and_needs_splices, .init = fill_response)
{
    struct kafka_splice splices[8];
    struct kafka_piece pieces[17];
    struct kafka_writer writer;
    uint32_t count = 0;

    partitions[0].records = (struct kafka_records){.size = 70000, .token = 99};
    kafka_writer_init(&writer, 1 << 20);
    cr_assert_eq(encode(&writer), SLUICE_E_INVALID);
    kafka_writer_set_splices(&writer, splices, 8, 64);
    cr_assert_eq(encode(&writer), SLUICE_OK);
    cr_assert_eq(kafka_writer_pieces(&writer, pieces, 17, &count), SLUICE_OK);
    cr_assert(!pieces[1].data && pieces[1].size == 70000 && pieces[1].token == 99);
    kafka_writer_fini(&writer);
}

Test(kafka_writer, failures_leave_the_writer_as_it_was, .init = fill_response)
{
    struct kafka_splice splices[8];
    struct kafka_writer writer;
    size_t size;

    kafka_writer_init(&writer, 4096);
    kafka_writer_set_splices(&writer, splices, 4, 64);
    cr_assert_eq(encode(&writer), SLUICE_OK);
    size = writer.size;
    cr_assert_eq(encode(&writer), SLUICE_E_LIMIT, "six splices do not fit into four");
    cr_assert(writer.size == size && writer.splices_count == 3 &&
              writer.spliced_size == 2 * LONG_SIZE);
    runs[1].size--;
    kafka_writer_set_splices(&writer, splices, 8, 64);
    kafka_writer_reset(&writer);
    cr_assert_eq(encode(&writer), SLUICE_E_INVALID, "runs that do not add up to the size");
    cr_assert(writer.size == 0 && writer.splices_count == 0 && writer.spliced_size == 0);
    kafka_writer_fini(&writer);
}

Test(kafka_writer, bounds_hold_on_the_heap_and_in_given_memory, .init = fill_response)
{
    static uint8_t memory[4096];
    struct kafka_writer whole;
    struct kafka_writer writer;

    kafka_writer_init(&whole, 1 << 20);
    cr_assert_eq(encode(&whole), SLUICE_OK);
    kafka_writer_init(&writer, whole.size);
    cr_assert_eq(encode(&writer), SLUICE_OK);
    kafka_writer_fini(&writer);
    kafka_writer_init(&writer, whole.size - 1);
    cr_assert_eq(encode(&writer), SLUICE_E_LIMIT);
    cr_assert_eq(writer.size, (size_t)0);
    kafka_writer_fini(&writer);
    kafka_writer_init_fixed(&writer, memory, whole.size);
    cr_assert_eq(encode(&writer), SLUICE_OK);
    cr_assert_eq(writer.data, memory);
    kafka_writer_init_fixed(&writer, memory, whole.size - 1);
    cr_assert_eq(encode(&writer), SLUICE_E_LIMIT);
    kafka_writer_fini(&whole);
}

Test(kafka_writer, too_few_pieces_are_a_limit, .init = fill_response)
{
    struct kafka_splice splices[8];
    struct kafka_piece pieces[5];
    struct kafka_writer writer;
    uint32_t count = 3;

    kafka_writer_init(&writer, 1 << 20);
    kafka_writer_set_splices(&writer, splices, 8, 64);
    cr_assert_eq(encode(&writer), SLUICE_OK);
    cr_assert_eq(kafka_writer_pieces(&writer, pieces, 5, &count), SLUICE_E_LIMIT);
    cr_assert_eq(count, 3u);
    kafka_writer_fini(&writer);
}

Test(kafka_writer, encoders_refuse_what_a_version_cannot_carry)
{
    static char name[KAFKA_STRING_SIZE_MAX + 1];
    struct kafka_heartbeat_request request;
    struct kafka_fetch_response fetch;
    struct kafka_writer writer;

    kafka_writer_init(&writer, 1 << 20);
    kafka_heartbeat_request_init(&request);
    request.group_instance_id = kafka_string("i");
    cr_assert_eq(kafka_heartbeat_request_encode(&request, 2, &writer),
                 SLUICE_E_UNSUPPORTED_VERSION);
    cr_assert_eq(kafka_heartbeat_request_encode(&request, 3, &writer), SLUICE_OK);
    request.group_id = kafka_null();
    cr_assert_eq(kafka_heartbeat_request_encode(&request, 3, &writer), SLUICE_E_INVALID);
    request.group_id = kafka_bytes(name, sizeof name);
    cr_assert_eq(kafka_heartbeat_request_encode(&request, 3, &writer), SLUICE_E_INVALID);
    kafka_fetch_response_init(&fetch);
    fetch.error_code = 6; /* ignorable: v4 does without */
    cr_assert_eq(kafka_fetch_response_encode(&fetch, 4, &writer), SLUICE_OK);
    fetch.session_id = 1; /* not ignorable */
    cr_assert_eq(kafka_fetch_response_encode(&fetch, 4, &writer), SLUICE_E_UNSUPPORTED_VERSION);
    kafka_writer_fini(&writer);
}
