/* switch_store.c: see switch_store.h. A few names: a table that is walked. */
#include "catalog/switch_store.h"

#include "catalog/item_codec.h"

#include <string.h>

void switch_store_fini(struct switch_store *store)
{
    sl_free(store->entries);
    *store = (struct switch_store){0};
}

size_t switch_item_encode(const struct plugin_switch *is,
                          uint8_t ret_payload[SWITCH_ITEM_BYTES_MAX])
{
    struct sl_bytes name = sl_bytes_of_text(is->name);
    struct sl_bytes who = sl_bytes_of_text(is->who);
    uint8_t *at = item_write_u64(ret_payload, (uint64_t)is->time_ms);
    at = item_write_u32(at, is->flags);
    at = item_write_u16(at, (uint16_t)name.size);
    at = item_write_u16(at, (uint16_t)who.size);
    at = item_write_bytes(at, name);
    at = item_write_bytes(at, who);
    return (size_t)(at - ret_payload);
}

static bool take_text(struct item_reader *reader, uint16_t size, char *ret_text, size_t room)
{
    struct sl_bytes bytes = item_read_bytes(reader, size);
    if (reader->failed || size >= room || memchr(bytes.data, 0, bytes.size) != NULL) {
        return false;
    }
    sl_bytes_copy(ret_text, bytes);
    ret_text[size] = '\0';
    return true;
}

static sl_err decode(uint8_t version, struct sl_bytes payload, struct plugin_switch *ret_switch)
{
    struct item_reader reader = item_reader_of(payload);
    if (version != SWITCH_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    ret_switch->time_ms = (int64_t)item_read_u64(&reader);
    ret_switch->flags = item_read_u32(&reader);
    uint16_t name_size = item_read_u16(&reader);
    uint16_t who_size = item_read_u16(&reader);
    bool ok = name_size > 0 &&
              take_text(&reader, name_size, ret_switch->name, sizeof(ret_switch->name)) &&
              take_text(&reader, who_size, ret_switch->who, sizeof(ret_switch->who)) &&
              item_read_end(&reader);
    if (!ok) {
        return SLUICE_E_CORRUPT;
    }
    return (ret_switch->flags & ~(SWITCH_DISABLED | SWITCH_PAUSED | SWITCH_STOPPED)) == 0
               ? SLUICE_OK
               : SLUICE_E_NEWER_FORMAT;
}

static struct plugin_switch *find(const struct switch_store *store, const char *name)
{
    for (uint32_t i = 0; i < store->count; i++) {
        if (strcmp(store->entries[i].name, name) == 0) {
            return &store->entries[i];
        }
    }
    return NULL;
}

const struct plugin_switch *switch_store_find(const struct switch_store *store, const char *name)
{
    return find(store, name);
}

bool switch_store_takes(const struct switch_store *store, const char *name)
{
    return store->count < SWITCH_COUNT_MAX || find(store, name) != NULL;
}

static sl_err add(struct switch_store *store, const struct plugin_switch *is)
{
    if (store->count == SWITCH_COUNT_MAX) {
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
    store->entries[store->count++] = *is;
    return SLUICE_OK;
}

sl_err switch_store_apply(struct switch_store *store, uint8_t version, struct sl_bytes payload)
{
    struct plugin_switch is;
    sl_err err = decode(version, payload, &is);
    if (err != SLUICE_OK) {
        return err;
    }
    struct plugin_switch *entry = find(store, is.name);
    if (is.flags != 0 && entry == NULL) {
        return add(store, &is);
    }
    if (is.flags != 0) {
        *entry = is;
    } else if (entry != NULL) {
        size_t behind = (size_t)(store->entries + store->count - entry) - 1;
        memmove(entry, entry + 1, behind * sizeof(*entry));
        store->count--;
    }
    return SLUICE_OK;
}
