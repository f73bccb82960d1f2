/* test_kept.c: the copies of versions on the disk: the index is taken within bounds, the folder
 * holds what it names and no more, and the oldest go first. */
#include "os/os_uv.h"
#include "plugin/plugin_kept.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 160u

static struct sl_os *os;
static char folder[64];

static void begin(void)
{
    snprintf(folder, sizeof(folder), "/tmp/sluice-kept-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(sl_os_uv_new(1, &os), SLUICE_OK);
}

static void remove_one(void *arg, const char *name, bool is_directory SL_UNUSED)
{
    char path[PATH_BYTES];
    (void)arg;
    snprintf(path, sizeof(path), "%s/%.90s", folder, name);
    (void)remove(path);
}

static void end(void)
{
    (void)!sl_dir_list(os, folder, remove_one, NULL);
    sl_os_free(os);
    (void)remove(folder);
}

TestSuite(kept, .init = begin, .fini = end);

static struct kept_item item(const char *instance, uint8_t hash, int64_t until_ms)
{
    struct kept_item item = {.is = {.until_ms = until_ms, .is_script = true}};
    snprintf(item.is.instance, sizeof(item.is.instance), "%s", instance);
    snprintf(item.is.file, sizeof(item.is.file), "%s.lua", instance);
    memset(item.is.hash, hash, sizeof(item.is.hash));
    return item;
}

static void path_of(const struct kept_item *item, char ret_path[PATH_BYTES])
{
    char text[2 * PLUGIN_HASH_SIZE + 1];
    plugin_hash_text(item->is.hash, text, sizeof(text));
    snprintf(ret_path, PATH_BYTES, "%s/%s.lua", folder, text);
}

/* A copy that is on the disk, as a start finds it. */
static void make(struct kept_item *item, uint64_t size)
{
    char path[PATH_BYTES];
    struct sl_file *file = NULL;
    item->is.size = size;
    path_of(item, path);
    cr_assert_eq(sl_file_open(os, path, SL_FILE_WRITE | SL_FILE_CREATE, &file), SLUICE_OK);
    cr_assert_eq(sl_file_truncate(file, size), SLUICE_OK);
    sl_file_close(file);
}

static bool is_there(const struct kept_item *item)
{
    char path[PATH_BYTES];
    struct sl_file *file = NULL;
    path_of(item, path);
    bool there = sl_file_open(os, path, SL_FILE_READ, &file) == SLUICE_OK;
    sl_file_close(file);
    return there;
}

Test(kept, the_index_gives_back_what_was_written)
{
    struct kept_item items[2] = {item("mask", 7, 11), item("mask", 8, 12)};
    items[0].is.since_ms = 5;
    items[0].is.state_version = 3;
    items[0].is.failed = true;
    snprintf(items[0].is.why, sizeof(items[0].is.why), "it \"failed\"");
    snprintf(items[0].is.version_text, sizeof(items[0].is.version_text), "1.2.3");
    items[1].is.is_active = true;
    char *text = kept_index_print(items, 2);
    struct kept_item *back = NULL;
    uint32_t count = 0;
    cr_assert_eq(kept_index_parse(sl_bytes_of_text(text), &back, &count), SLUICE_OK);
    cr_assert_eq(count, 2);
    cr_assert_eq(memcmp(back, items, sizeof(items)), 0);
    sl_free(back);
    sl_free(text);
}

Test(kept, an_index_of_too_many_is_cut)
{
    uint32_t many = KEPT_VERSIONS_MAX + 10u;
    struct kept_item *items = sl_alloc_zero(many, sizeof(*items));
    struct kept_item *back = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < many; i++) {
        items[i] = item("m", (uint8_t)i, i);
    }
    char *text = kept_index_print(items, many);
    cr_assert_eq(kept_index_parse(sl_bytes_of_text(text), &back, &count), SLUICE_OK);
    cr_assert_eq(count, KEPT_VERSIONS_MAX);
    sl_free(back);
    sl_free(items);
    sl_free(text);
}

Test(kept, beyond_the_bytes_the_oldest_that_do_not_run_go)
{
    struct kept_item items[] = {item("old", 1, 10), item("new", 2, 30), item("runs", 3, 0),
                                item("twice", 2, 20)};
    items[2].is.is_active = true;
    for (size_t i = 0; i < SL_COUNT_OF(items); i++) {
        make(&items[i], KEPT_BYTES_MAX / 2);
    }
    uint32_t kept = 0;
    struct kept_item old = items[0];
    cr_assert_eq(kept_write(os, folder, items, 4, &kept), SLUICE_OK);
    cr_assert_eq(kept, 3, "one copy for two of them is counted once: %u", kept);
    cr_assert_str_eq(items[0].is.instance, "runs");
    cr_assert_str_eq(items[1].is.instance, "new");
    cr_assert_str_eq(items[2].is.instance, "twice");
    cr_assert(is_there(&items[0]) && is_there(&items[1]) && !is_there(&old));
}

Test(kept, what_is_nowhere_is_not_named_and_other_files_stay)
{
    struct kept_item items[] = {item("a", 1, 10), item("b", 2, 20)};
    struct kept_item *back = NULL;
    struct sl_file *file = NULL;
    char path[PATH_BYTES];
    uint32_t count = 0;
    uint32_t kept = 0;
    make(&items[0], 3);
    items[1].is.size = 3;
    snprintf(path, sizeof(path), "%s/README", folder);
    cr_assert_eq(sl_file_open(os, path, SL_FILE_WRITE | SL_FILE_CREATE, &file), SLUICE_OK);
    file = sl_file_close(file);
    cr_assert_eq(kept_write(os, folder, items, 2, &kept), SLUICE_OK);
    cr_assert_eq(kept, 1);
    cr_assert_eq(kept_index_read(os, folder, &back, &count), SLUICE_OK);
    cr_assert_eq(count, 1);
    cr_assert_str_eq(back[0].is.instance, "a");
    sl_free(back);
    cr_assert_eq(sl_file_open(os, path, SL_FILE_READ, &file), SLUICE_OK);
    sl_file_close(file);
}

Test(kept, bytes_of_another_hash_are_refused)
{
    struct kept_item one = item("a", 1, 10);
    uint8_t hash[PLUGIN_HASH_SIZE];
    uint8_t *bytes = NULL;
    size_t size = 0;
    make(&one, 3);
    cr_assert_eq(kept_read(os, folder, one.is.hash, true, &bytes, &size), SLUICE_E_CORRUPT);
    plugin_hash(sl_bytes_of("\0\0\0", 3), hash);
    memcpy(one.is.hash, hash, sizeof(hash));
    make(&one, 3);
    cr_assert_eq(kept_read(os, folder, hash, true, &bytes, &size), SLUICE_OK);
    cr_assert_eq(size, 3);
    sl_free(bytes);
    cr_assert_eq(kept_read(os, folder, hash, false, &bytes, &size), SLUICE_E_NOT_FOUND);
}
