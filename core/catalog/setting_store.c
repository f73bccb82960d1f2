/* setting_store.c: see setting_store.h. A sorted array: some hundreds, read in ranges. */
#include "catalog/setting_store.h"

#include "catalog/item_codec.h"

#include <string.h>

#define HEAD_BYTES 18u
#define FLAG_GONE  (1u << 0)

void setting_store_fini(struct setting_store *store)
{
    for (uint32_t i = 0; i < store->count; i++) {
        sl_free(store->entries[i]);
    }
    sl_free(store->entries);
    *store = (struct setting_store){0};
}

/* ---- items ---- */

sl_err setting_item_encode(const struct setting *setting, struct sl_bytes *ret_payload)
{
    size_t size = HEAD_BYTES + setting->name.size + setting->key.size + setting->value.size;
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    payload[0] = setting->kind;
    payload[1] = setting->value.data == NULL ? FLAG_GONE : 0;
    uint8_t *at = item_write_u16(payload + 2, (uint16_t)setting->name.size);
    at = item_write_u16(at, (uint16_t)setting->key.size);
    at = item_write_u32(at, (uint32_t)setting->value.size);
    at = item_write_u64(at, (uint64_t)setting->revision);
    at = item_write_bytes(at, setting->name);
    at = item_write_bytes(at, setting->key);
    item_write_bytes(at, setting->value);
    *ret_payload = (struct sl_bytes){payload, size};
    return SLUICE_OK;
}

static bool is_known(uint8_t kind)
{
    return kind == SETTING_FEATURE || kind == SETTING_CLIENT_METRICS || kind == SETTING_GROUP;
}

sl_err setting_item_decode(uint8_t version, struct sl_bytes payload, struct setting *ret_setting)
{
    struct item_reader reader = item_reader_of(payload);
    struct setting setting = {0};
    if (version != SETTING_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    setting.kind = item_read_u8(&reader);
    uint8_t flags = item_read_u8(&reader);
    uint16_t name_size = item_read_u16(&reader);
    uint16_t key_size = item_read_u16(&reader);
    uint32_t value_size = item_read_u32(&reader);
    setting.revision = (int64_t)item_read_u64(&reader);
    setting.name = item_read_bytes(&reader, name_size);
    setting.key = item_read_bytes(&reader, key_size);
    setting.value = item_read_bytes(&reader, value_size);
    bool fits = name_size > 0 && name_size <= SETTING_NAME_BYTES_MAX && key_size > 0 &&
                key_size <= SETTING_KEY_BYTES_MAX && value_size <= SETTING_VALUE_BYTES_MAX;
    if (!item_read_end(&reader) || !fits || setting.revision < 0) {
        return SLUICE_E_CORRUPT;
    }
    if ((flags & ~FLAG_GONE) != 0 || !is_known(setting.kind)) {
        return SLUICE_E_NEWER_FORMAT;
    }
    if ((flags & FLAG_GONE) != 0 && value_size != 0) {
        return SLUICE_E_CORRUPT;
    }
    if ((flags & FLAG_GONE) != 0) {
        setting.value.data = NULL;
    } else if (setting.value.data == NULL) {
        setting.value.data = (const uint8_t *)"";
    }
    *ret_setting = setting;
    return SLUICE_OK;
}

/* ---- the array ---- */

static int compare_bytes(struct sl_bytes a, struct sl_bytes b)
{
    size_t size = SL_MIN(a.size, b.size);
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare(const struct setting *entry, uint8_t kind, struct sl_bytes name,
                   struct sl_bytes key)
{
    int order = (entry->kind > kind) - (entry->kind < kind);
    order = order != 0 ? order : compare_bytes(entry->name, name);
    return order != 0 ? order : compare_bytes(entry->key, key);
}

/* The first that is not before it. */
static uint32_t place_of(const struct setting_store *store, uint8_t kind, struct sl_bytes name,
                         struct sl_bytes key)
{
    uint32_t low = 0;
    uint32_t high = store->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(store->entries[middle], kind, name, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t setting_store_first(const struct setting_store *store, uint8_t kind, struct sl_bytes name)
{
    return place_of(store, kind, name, (struct sl_bytes){0});
}

static bool is_there(const struct setting_store *store, uint32_t at, uint8_t kind,
                     struct sl_bytes name, struct sl_bytes key)
{
    return at < store->count && compare(store->entries[at], kind, name, key) == 0;
}

const struct setting *setting_store_find(const struct setting_store *store, uint8_t kind,
                                         struct sl_bytes name, struct sl_bytes key)
{
    uint32_t at = place_of(store, kind, name, key);
    return is_there(store, at, kind, name, key) ? store->entries[at] : NULL;
}

static struct setting *setting_copy(const struct setting *from)
{
    size_t size = from->name.size + from->key.size + from->value.size;
    struct setting *copy = sl_alloc(sizeof(*copy) + size + 1);
    if (copy == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(copy + 1);
    *copy = *from;
    copy->name.data = at;
    at = item_write_bytes(at, from->name);
    copy->key.data = at;
    at = item_write_bytes(at, from->key);
    copy->value.data = at;
    item_write_bytes(at, from->value);
    return copy;
}

static sl_err insert(struct setting_store *store, uint32_t at, struct setting *setting)
{
    if (store->count == SETTING_COUNT_MAX) {
        return SLUICE_E_LIMIT;
    }
    if (store->count == store->capacity) {
        uint32_t capacity = store->capacity == 0 ? 8 : 2 * store->capacity;
        void *entries = sl_realloc(store->entries, capacity * sizeof(*store->entries));
        if (entries == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        store->entries = entries;
        store->capacity = capacity;
    }
    memmove(store->entries + at + 1, store->entries + at,
            (store->count - at) * sizeof(*store->entries));
    store->entries[at] = setting;
    store->count++;
    return SLUICE_OK;
}

sl_err setting_store_apply(struct setting_store *store, uint8_t version, struct sl_bytes payload)
{
    struct setting is = {0};
    sl_err err = setting_item_decode(version, payload, &is);
    if (err != SLUICE_OK) {
        return err;
    }
    uint32_t at = place_of(store, is.kind, is.name, is.key);
    bool there = is_there(store, at, is.kind, is.name, is.key);
    struct setting *copy = is.value.data == NULL ? NULL : setting_copy(&is);
    if (is.value.data != NULL && copy == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    if (there) {
        sl_free(store->entries[at]);
        store->entries[at] = copy;
    } else if (copy != NULL) {
        err = insert(store, at, copy);
    }
    if (there && copy == NULL) {
        store->count--;
        memmove(store->entries + at, store->entries + at + 1,
                (store->count - at) * sizeof(*store->entries));
    }
    if (err != SLUICE_OK) {
        sl_free(copy);
        return err;
    }
    store->revision = SL_MAX(store->revision, is.revision);
    return SLUICE_OK;
}
