/* lz4_header.c: the header checksum of an lz4 frame, right or as Kafka counted it before 0.10.
 *
 *   magic u32 le | FLG | BD | content size u64, if FLG bit 3 | dictionary u32, if FLG bit 0 | HC
 * HC is the second byte of xxHash32 over FLG..dictionary; Kafka's message sets of magic 0 have it
 * over the magic as well (KAFKA-3160). Source: the lz4 frame format, xxHash's specification. */
#include "record/message_set.h"

#define PRIME_1 2654435761u
#define PRIME_2 2246822519u
#define PRIME_3 3266489917u
#define PRIME_4 668265263u
#define PRIME_5 374761393u

enum { MAGIC_SIZE = 4, FLAGS_AT = 4, DESCRIPTOR_MIN = 2, LANE_COUNT = 4, STRIPE_SIZE = 16 };
enum { FLAG_SIZE = 0x08, FLAG_DICTIONARY = 0x01 };

static uint32_t rotate(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

static uint32_t load(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Takes whole stripes off the front; returns what they come to. */
static uint32_t stripes(const uint8_t **at, size_t *left)
{
    uint32_t lanes[LANE_COUNT] = {PRIME_1 + PRIME_2, PRIME_2, 0, 0u - PRIME_1};
    static const int turns[LANE_COUNT] = {1, 7, 12, 18};
    uint32_t sum = 0;
    if (*left < STRIPE_SIZE)
        return PRIME_5;
    for (; *left >= STRIPE_SIZE; *at += STRIPE_SIZE, *left -= STRIPE_SIZE)
        for (int i = 0; i < LANE_COUNT; i++)
            lanes[i] = rotate(lanes[i] + load(*at + 4 * i) * PRIME_2, 13) * PRIME_1;
    for (int i = 0; i < LANE_COUNT; i++)
        sum += rotate(lanes[i], turns[i]);
    return sum;
}

static uint32_t hash_of(const uint8_t *data, size_t size)
{
    const uint8_t *at = data;
    size_t left = size;
    uint32_t hash = stripes(&at, &left) + (uint32_t)size;
    for (; left >= 4; at += 4, left -= 4)
        hash = rotate(hash + load(at) * PRIME_3, 17) * PRIME_4;
    for (; left > 0; at++, left--)
        hash = rotate(hash + *at * PRIME_5, 11) * PRIME_1;
    hash = (hash ^ hash >> 15) * PRIME_2;
    hash = (hash ^ hash >> 13) * PRIME_3;
    return hash ^ hash >> 16;
}

void lz4_header_seal(uint8_t *frame, size_t size, bool old)
{
    if (size <= MAGIC_SIZE + DESCRIPTOR_MIN)
        return;
    size_t descriptor = DESCRIPTOR_MIN;
    descriptor += (frame[FLAGS_AT] & FLAG_SIZE) != 0 ? 8u : 0u;
    descriptor += (frame[FLAGS_AT] & FLAG_DICTIONARY) != 0 ? 4u : 0u;
    if (size <= MAGIC_SIZE + descriptor)
        return;
    uint32_t hash =
        old ? hash_of(frame, MAGIC_SIZE + descriptor) : hash_of(frame + MAGIC_SIZE, descriptor);
    frame[MAGIC_SIZE + descriptor] = (uint8_t)(hash >> 8);
}
