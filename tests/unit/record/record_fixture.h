/* record_fixture.h: what the tests of this room share: batches to work on, and a seeded generator.
 */
#ifndef TEST_RECORD_FIXTURE_H
#define TEST_RECORD_FIXTURE_H

#include "record/batch_builder.h"

enum { FIXTURE_BYTES_MAX = 256 << 20 };

/* xorshift64*: SLUICE_TEST_SEED in the environment, else the clock; printed with `name`. */
uint64_t fixture_seed(const char *name);
uint64_t fixture_random(uint64_t *state);
uint64_t fixture_random_below(uint64_t *state, uint64_t bound);

/* A record of text: NULL is null. */
struct record_fields fixture_record(const char *key, const char *value, int64_t timestamp_ms);

/* Appends a batch of `count` records ("key-i", "value-i…", timestamps from first_ms on) to out. */
struct batch_view fixture_batch(struct sl_buffer *out, int count, int64_t first_ms, int codec);

/* The bytes of a batch in a malloc block of their own, for changes and for ASan. */
uint8_t *fixture_copy(const struct batch_view *view);
/* Makes the CRC fit again after a change. */
void fixture_reseal(uint8_t *batch, size_t size);

/* Decompresses and walks to the end; the first error. */
sl_err fixture_walk(const struct batch_view *view);

#endif
