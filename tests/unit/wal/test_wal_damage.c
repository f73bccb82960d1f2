/* test_wal_damage.c: every byte of a segment and of a checkpoint flipped, every length of a tail.
 *
 * The log has units 1 … N, each in a frame of its own. After any damage a start refuses, or gives
 * back 1 … N, or 1 … N-1 (a last group that looks torn). Where it gives back all, either every body
 * reads right, or wal_inspect says which one does not. */
#include "wal_fixture.h"

#include "base/bytes.h"
#include "wal/wal_format.h"
#include "wal/wal_inspect.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNITS     6u
#define SEGMENT_1 "00000000000000000001.seg"

static struct fixture *fixture;
static uint8_t saved[FIXTURE_SEGMENT];
static size_t saved_size;

static void setup(void)
{
    fixture = fixture_new();
    fixture->limits.segment_bytes = 12 * WAL_BLOCK;
    fixture->limits.frame_bytes_max = 2 * WAL_BLOCK;
    fixture->limits.spare_segments = 0;
    fixture->snapshot_number = 77;
}

static void teardown(void)
{
    fixture_free(fixture);
}

TestSuite(wal_damage, .init = setup, .fini = teardown);

static void file_save(const char *name)
{
    const uint8_t *bytes = fixture_bytes(fixture, name, &saved_size);
    cr_assert_not_null(bytes);
    memcpy(saved, bytes, saved_size);
}

static sl_err inspect(bool bodies)
{
    static const struct wal_inspect_events none = {0};
    struct wal_recovery report;
    struct sl_os *os;
    sl_err err = sl_os_sim_new(1, fixture->disk, NULL, &os);
    cr_assert_eq(err, SLUICE_OK);
    err = wal_inspect(os, FIXTURE_DIRECTORY, bodies, &none, NULL, &report);
    sl_os_free(os);
    return err;
}

static bool bodies_are_right(void)
{
    bool right = true;
    uint8_t bytes[256];
    struct sl_os *os;
    struct sl_file *file;
    size_t got = 0;
    sl_err err = sl_os_sim_new(1, fixture->disk, NULL, &os);
    cr_assert_eq(err, SLUICE_OK);
    err = sl_file_open(os, FIXTURE_LOG "/" SEGMENT_1, SL_FILE_READ, &file);
    cr_assert_eq(err, SLUICE_OK);
    for (uint32_t i = 0; i < UNITS; i++) {
        const struct fixture_unit *unit = &fixture->units[i];
        err = sl_file_pread(file, bytes, unit->item.body_size, unit->item.place.position, &got);
        right = right && err == SLUICE_OK && got == unit->item.body_size &&
                memcmp(bytes, unit->pieces[0].base, got) == 0;
    }
    sl_file_close(file);
    sl_os_free(os);
    return right;
}

/* Reads the damaged log without writing, so that the same disk serves every flip. */
static uint64_t batch_count;
static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                      const struct wal_place *place)
{
    (void)arg;
    (void)lsn;
    (void)place;
    if (item->kind == WAL_ITEM_BATCH) {
        batch_count++;
        cr_assert_eq(sl_le64_load(item->payload.data), batch_count, "units come in order");
    }
    return SLUICE_OK;
}

static sl_err recover_dry(void)
{
    static const struct wal_inspect_events events = {.item = on_item};
    struct wal_recovery report;
    struct sl_os *os;
    sl_err err = sl_os_sim_new(1, fixture->disk, NULL, &os);
    cr_assert_eq(err, SLUICE_OK);
    batch_count = 0;
    err = wal_inspect(os, FIXTURE_DIRECTORY, false, &events, NULL, &report);
    cr_assert(err == SLUICE_OK || report.problem[0] != '\0');
    sl_os_free(os);
    return err;
}

static void write_units(void)
{
    fixture_start(fixture);
    for (uint32_t i = 0; i < UNITS; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 100 + i);
    fixture_power_cut(fixture);
    file_save(SEGMENT_1);
}

Test(wal_damage, a_flip_of_any_byte_of_a_segment_is_found_or_harmless)
{
    write_units();
    size_t size = 0;
    uint8_t *bytes = fixture_bytes(fixture, SEGMENT_1, &size);
    uint32_t refused = 0;
    uint32_t torn = 0;
    uint32_t bodies = 0;
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= (uint8_t)(1u << (i % 8));
        sl_err err = recover_dry();
        if (err != SLUICE_OK) {
            cr_assert_eq(err, SLUICE_E_CORRUPT, "byte %zu", i);
            refused++;
        } else if (batch_count == UNITS - 1) {
            torn++;
        } else {
            cr_assert_eq(batch_count, UNITS, "byte %zu", i);
            if (!bodies_are_right()) {
                cr_assert_eq(inspect(true), SLUICE_E_CORRUPT, "byte %zu", i);
                bodies++;
            }
        }
        bytes[i] = saved[i];
    }
    cr_log_info("%u refused, %u torn last frame, %u bodies", refused, torn, bodies);
    cr_assert_gt(refused, (UNITS - 1) * WAL_FRAME_HEADER);
    cr_assert_leq(torn, WAL_FRAME_HEADER + 24 + 100 + UNITS);
    cr_assert_eq(bodies, (100 + 101 + 102 + 103 + 104), "of all but the last frame");
}

Test(wal_damage, a_segment_cut_at_any_byte_is_refused_or_torn)
{
    write_units();
    struct sl_os *os;
    struct sl_file *file;
    uint64_t last = fixture->units[UNITS - 1].item.place.position / WAL_BLOCK * WAL_BLOCK;
    sl_err err = sl_os_sim_new(1, fixture->disk, NULL, &os);
    cr_assert_eq(err, SLUICE_OK);
    err = sl_file_open(os, FIXTURE_LOG "/" SEGMENT_1, SL_FILE_READ | SL_FILE_WRITE, &file);
    cr_assert_eq(err, SLUICE_OK);
    for (uint64_t cut = saved_size; cut-- > 0;) {
        cr_assert_eq(sl_file_truncate(file, cut), SLUICE_OK);
        err = recover_dry();
        if (cut < WAL_HEADER_USED)
            cr_assert_eq(err, SLUICE_E_CORRUPT, "no header");
        else
            cr_assert(err == SLUICE_OK || err == SLUICE_E_CORRUPT);
        if (cut >= last && cut < last + WAL_BLOCK)
            cr_assert_eq(batch_count, UNITS - 1, "cut at %lu", (unsigned long)cut);
    }
    sl_file_close(file);
    sl_os_free(os);
}

/* ---- a segment of a mebibyte ---- */

#define MEBIBYTE   (1u << 20)
#define LARGE      86u    /* units, each in a frame of three blocks */
#define LARGE_BODY 12000u /* bytes */

static void large_units_write(void)
{
    fixture->limits.segment_bytes = 2 * MEBIBYTE;
    fixture->limits.bytes_max = 8 * MEBIBYTE;
    fixture->limits.frame_bytes_max = 4 * WAL_BLOCK;
    fixture_start(fixture);
    for (uint32_t i = 0; i < LARGE; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, LARGE_BODY);
    fixture_power_cut(fixture);
}

/* Which unit has the byte in its body; LARGE: none. */
static uint32_t unit_of(size_t at)
{
    for (uint32_t i = 0; i < LARGE; i++) {
        uint64_t position = fixture->units[i].item.place.position;
        if (at >= position && at < position + LARGE_BODY)
            return i;
    }
    return LARGE;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* A share of the bits; tests/long/damage.sh does one at least of every byte, which takes minutes.
 */
Test(wal_damage, a_flip_of_any_bit_of_a_mebibyte_is_found_or_harmless, .timeout = 3000)
{
    large_units_write();
    size_t size = 0;
    uint64_t every = number_from("SLUICE_DAMAGE_EVERY", 4099);
    uint8_t *bytes = fixture_bytes(fixture, SEGMENT_1, &size);
    uint64_t last = fixture->units[LARGE - 1].item.place.position / WAL_BLOCK * WAL_BLOCK;
    uint32_t refused = 0, torn = 0, bodies = 0, harmless = 0;
    cr_assert_geq(size, MEBIBYTE);
    for (uint64_t i = number_from("SLUICE_DAMAGE_FIRST", 0); i < 8 * size; i += every) {
        size_t at = i / 8;
        bytes[at] ^= (uint8_t)(1u << (i % 8));
        sl_err err = recover_dry();
        if (err != SLUICE_OK) {
            cr_assert_eq(err, SLUICE_E_CORRUPT, "byte %zu", at);
            refused++;
        } else if (batch_count == LARGE - 1) {
            cr_assert_geq(at, last, "only the last frame is cut off");
            torn++;
        } else if (unit_of(at) < LARGE) {
            cr_assert_eq(inspect(true), SLUICE_E_CORRUPT, "byte %zu", at);
            bodies++;
        } else {
            harmless++;
        }
        cr_assert(err != SLUICE_OK || batch_count >= LARGE - 1, "byte %zu", at);
        bytes[at] ^= (uint8_t)(1u << (i % 8));
    }
    cr_assert_eq(recover_dry(), SLUICE_OK);
    cr_assert_eq(batch_count, LARGE);
    cr_assert_gt(bodies, 0);
    printf("segment_flipped of_%zu_bytes %u %u %u %u\n", size, refused, torn, bodies, harmless);
}

/* LSN of the checkpoint that a start would use; 0 when it refuses. */
static uint64_t checkpoint_lsn(void)
{
    static const struct wal_inspect_events none = {0};
    struct wal_recovery report;
    struct sl_os *os;
    sl_err err = sl_os_sim_new(1, fixture->disk, NULL, &os);
    cr_assert_eq(err, SLUICE_OK);
    err = wal_inspect(os, FIXTURE_DIRECTORY, false, &none, NULL, &report);
    sl_os_free(os);
    return err == SLUICE_OK ? report.checkpoint_lsn : 0;
}

/* Enough that the log needs its checkpoint, of which two files are left. */
static void fill_and_release(void)
{
    fixture_start(fixture);
    fixture_settle(fixture);
    for (int i = 0; i < 40; i++) {
        struct fixture_unit *unit = fixture_commit(fixture, WAL_ITEM_BATCH, 3000);
        wal_release(fixture->wal, unit->item.place.segment);
        fixture_settle(fixture);
    }
}

static uint8_t *newest_checkpoint(size_t *ret_size)
{
    size_t sizes[2] = {0};
    uint8_t *files[2] = {fixture_bytes(fixture, "checkpoint-0", &sizes[0]),
                         fixture_bytes(fixture, "checkpoint-1", &sizes[1])};
    cr_assert(files[0] != NULL && files[1] != NULL);
    int newest = sl_le64_load(files[0] + 56) > sl_le64_load(files[1] + 56) ? 0 : 1;
    *ret_size = sizes[newest];
    return files[newest];
}

static void flip_newest_checkpoint(void)
{
    size_t size = 0;
    uint8_t *newest = newest_checkpoint(&size);
    cr_assert_eq(inspect(true), SLUICE_OK);
    uint64_t lsn = checkpoint_lsn();
    cr_assert_eq(lsn, sl_le64_load(newest + 64));
    cr_assert_gt(size, WAL_HEADER_USED, "it has items");
    for (size_t i = 0; i < size; i++) {
        newest[i] ^= (uint8_t)(1u << (i % 8));
        cr_assert_neq(checkpoint_lsn(), lsn, "byte %zu is not noticed", i);
        newest[i] ^= (uint8_t)(1u << (i % 8));
    }
}

Test(wal_damage, a_flip_of_any_byte_of_a_checkpoint_is_found)
{
    fill_and_release();
    fixture_close(fixture);
    size_t size = 0;
    cr_assert_eq(sl_le64_load(newest_checkpoint(&size) + 24), 0);
    flip_newest_checkpoint();
}

Test(wal_damage, a_flip_of_any_byte_of_a_checkpoint_in_slices_is_found)
{
    fixture->limits.checkpoint_chunk_bytes = 1; /* each slice goes to the disk, which takes time */
    fill_and_release();
    fixture->more_slices = 20;
    uint32_t before = fixture->snapshots;
    while (fixture->snapshots == before) {
        struct fixture_unit *unit = fixture_commit(fixture, WAL_ITEM_BATCH, 3000);
        wal_release(fixture->wal, unit->item.place.segment);
        for (int i = 0; i < 100 && fixture->snapshots == before; i++)
            (void)sl_os_sim_step(fixture->os);
    }
    fixture_commit(fixture, WAL_ITEM_OFFSET_COMMIT, 0);
    cr_assert_gt(fixture->slices_left, 0, "the commit is durable before the last slice");
    fixture_settle(fixture);
    fixture_power_cut(fixture);
    size_t size = 0;
    const uint8_t *newest = newest_checkpoint(&size);
    cr_assert_eq(sl_le64_load(newest + 24), 1);
    cr_assert_gt(sl_le64_load(newest + 120), sl_le64_load(newest + 64));
    flip_newest_checkpoint();
}
