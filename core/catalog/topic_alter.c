/* topic_alter.c: see topic_alter.h.
 *
 *   what is set ─► changes, in their order ─► the checks of a creation ─► payload */
#include "catalog/topic_alter.h"

#include "catalog/item_codec.h"

#include <stdio.h>
#include <string.h>

/* What will be set. The texts are the topic's, the request's, or lists that were put together. */
struct alteration {
    const struct broker_settings *broker;
    struct sluice_key_value configs[TOPIC_OVERRIDES_MAX];
    uint32_t count;
    char *lists[TOPIC_OVERRIDES_MAX]; /* owned; the one of each config, or NULL */
};

typedef sl_err alter_fn(struct alteration *self, const struct topic_config_key *key,
                        struct sl_bytes value, char reason[CATALOG_REASON_BYTES]);

static struct alteration *alteration_free(struct alteration *self)
{
    for (uint32_t i = 0; self != NULL && i < self->count; i++)
        sl_free(self->lists[i]);
    sl_free(self);
    return NULL;
}

/* What the topic has set; nothing of it where all is replaced. */
static void begin(struct alteration *self, const struct topic *topic, bool replace)
{
    self->count = replace ? 0 : topic->override_count;
    for (uint32_t i = 0; i < self->count; i++) {
        self->configs[i].key = sluice_text_of(topic->overrides[i].key->name);
        self->configs[i].value = sluice_text_of(topic->overrides[i].value);
    }
}

/* Its index, or the count. */
static uint32_t find(const struct alteration *self, const struct topic_config_key *key)
{
    uint32_t i = 0;
    while (i < self->count &&
           !sl_bytes_equal(sl_of_text(self->configs[i].key), sl_bytes_of_text(key->name)))
        i++;
    return i;
}

static void unset(struct alteration *self, uint32_t index)
{
    uint32_t last = --self->count;
    sl_free(self->lists[index]);
    self->configs[index] = self->configs[last];
    self->lists[index] = self->lists[last];
    self->lists[last] = NULL;
}

/* [takes list] */
static void put(struct alteration *self, const struct topic_config_key *key, struct sl_bytes value,
                char *list)
{
    uint32_t index = find(self, key);
    if (index == self->count) {
        SL_ASSERT(self->count < TOPIC_OVERRIDES_MAX); /* each key of the table once */
        self->count++;
    }
    sl_free(self->lists[index]);
    self->lists[index] = list;
    self->configs[index].key = sluice_text_of(key->name);
    self->configs[index].value =
        (struct sluice_text){value.size > 0 ? (const char *)value.data : "", value.size};
}

/* ---- operations ---- */

static sl_err set_value(struct alteration *self, const struct topic_config_key *key,
                        struct sl_bytes value, char reason[CATALOG_REASON_BYTES])
{
    (void)reason;
    put(self, key, value, NULL);
    return SLUICE_OK;
}

static sl_err back_to_default(struct alteration *self, const struct topic_config_key *key,
                              struct sl_bytes value, char reason[CATALOG_REASON_BYTES])
{
    (void)value;
    (void)reason;
    uint32_t index = find(self, key);
    if (index < self->count)
        unset(self, index);
    return SLUICE_OK;
}

/* The value in force where the topic sets none: the broker's. [caller frees] NULL: no memory. */
static char *default_text(const struct alteration *self, const struct topic_config_key *key)
{
    char *text = NULL;
    struct config_entries *entries = sl_alloc_zero(1, sizeof *entries);
    if (entries == NULL)
        return NULL;
    topic_config_describe(NULL, 0, self->broker, entries);
    for (uint32_t i = 0; text == NULL && i < entries->count; i++) {
        const struct sluice_config_entry *entry = &entries->entries[i];
        if (sl_bytes_equal(sl_of_text(entry->name), sl_bytes_of_text(key->name)))
            text = sl_strdup_bytes(entry->value.data, entry->value.size);
    }
    sl_free(entries);
    return text;
}

/* The next element without the blanks around it; takes it from the list. */
static struct sl_bytes next_element(struct sl_bytes *list)
{
    const uint8_t *comma = list->size == 0 ? NULL : memchr(list->data, ',', list->size);
    size_t size = comma != NULL ? (size_t)(comma - list->data) : list->size;
    struct sl_bytes element = {list->data, size};
    size_t taken = comma != NULL ? size + 1 : size;
    *list = (struct sl_bytes){list->data + taken, list->size - taken};
    while (element.size > 0 && element.data[0] == ' ')
        element = (struct sl_bytes){element.data + 1, element.size - 1};
    while (element.size > 0 && element.data[element.size - 1] == ' ')
        element.size--;
    return element;
}

static bool is_element(struct sl_bytes list, struct sl_bytes wanted)
{
    while (list.size > 0) {
        if (sl_bytes_equal(next_element(&list), wanted))
            return true;
    }
    return false;
}

/* Elements of `from` for which is_element(filter) == has, to the end of `text`. */
static size_t join(char *text, size_t size, struct sl_bytes from, struct sl_bytes filter, bool has)
{
    while (from.size > 0) {
        struct sl_bytes element = next_element(&from);
        if (element.size == 0 || is_element(filter, element) != has ||
            is_element((struct sl_bytes){(const uint8_t *)text, size}, element))
            continue;
        if (size > 0)
            text[size++] = ',';
        memcpy(text + size, element.data, element.size);
        size += element.size;
    }
    return size;
}

static sl_err change_list(struct alteration *self, const struct topic_config_key *key,
                          struct sl_bytes value, bool append, char reason[CATALOG_REASON_BYTES])
{
    if (key->rule.type != SLUICE_CONFIG_TYPE_LIST) {
        snprintf(reason, CATALOG_REASON_BYTES,
                 "%s is no list: elements can neither be added nor taken away", key->name);
        return SLUICE_E_INVALID_CONFIG;
    }
    uint32_t index = find(self, key);
    char *initial = index == self->count ? default_text(self, key) : NULL;
    struct sl_bytes now = index < self->count ? sl_of_text(self->configs[index].value)
                                              : sl_bytes_of_text(initial == NULL ? "" : initial);
    char *text =
        index == self->count && initial == NULL ? NULL : sl_alloc(now.size + value.size + 2u);
    if (text != NULL) {
        size_t size = join(text, 0, now, append ? now : value, append);
        if (append)
            size = join(text, size, value, value, true);
        put(self, key, sl_bytes_of(text, size), text);
    }
    sl_free(initial);
    return text == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static sl_err append(struct alteration *self, const struct topic_config_key *key,
                     struct sl_bytes value, char reason[CATALOG_REASON_BYTES])
{
    return change_list(self, key, value, true, reason);
}

static sl_err subtract(struct alteration *self, const struct topic_config_key *key,
                       struct sl_bytes value, char reason[CATALOG_REASON_BYTES])
{
    return change_list(self, key, value, false, reason);
}

/* ---- one request ---- */

static sl_err refuse(const char *key, const char *why, char reason[CATALOG_REASON_BYTES])
{
    snprintf(reason, CATALOG_REASON_BYTES, "%s: %s", key, why);
    return SLUICE_E_INVALID_REQUEST;
}

static bool is_named_before(const struct sluice_config_alter *alter, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (sl_bytes_equal(sl_of_text(alter->changes[i].key),
                           sl_of_text(alter->changes[index].key)))
            return true;
    }
    return false;
}

static sl_err apply_one(struct alteration *self, const struct sluice_config_alter *alter,
                        uint32_t index, char reason[CATALOG_REASON_BYTES])
{
    static alter_fn *const operations[] = {[SLUICE_CONFIG_SET] = set_value,
                                           [SLUICE_CONFIG_DELETE] = back_to_default,
                                           [SLUICE_CONFIG_APPEND] = append,
                                           [SLUICE_CONFIG_SUBTRACT] = subtract};
    const struct sluice_config_change *change = &alter->changes[index];
    const struct topic_config_key *key = topic_config_find(sl_of_text(change->key));
    if (key == NULL) {
        sl_err err = topic_config_check(sl_of_text(change->key), sl_bytes_of_text(""), reason);
        return err == SLUICE_OK ? SLUICE_E_INTERNAL : err; /* says that there is no such key */
    }
    if (is_named_before(alter, index))
        return refuse(key->name, "it is named twice", reason);
    if (change->operation < 0 || (size_t)change->operation >= SL_COUNT_OF(operations))
        return refuse(key->name, "no such operation", reason);
    if (change->operation != SLUICE_CONFIG_DELETE && change->value.data == NULL)
        return refuse(key->name, "it is given no value", reason);
    if (change->value.size > TOPIC_VALUE_BYTES_MAX)
        return refuse(key->name, "the value is longer than 1,024 bytes", reason);
    return operations[change->operation](self, key, sl_of_text(change->value), reason);
}

/* The class says where the records are: it cannot change under them. */
static sl_err check_fixed(const struct alteration *self, const struct topic *topic,
                          char reason[CATALOG_REASON_BYTES])
{
    const struct topic_config_key *key = topic_config_find(sl_bytes_of_text("sluice.durability"));
    const char *has = topic_durability_text(topic->settings->durability);
    uint32_t index = find(self, key);
    struct sl_bytes wanted = index < self->count ? sl_of_text(self->configs[index].value)
                                                 : sl_bytes_of_text(key->default_value);
    bool is_only_one = index == self->count && self->broker->in_memory;
    if (is_only_one || sl_bytes_equal(wanted, sl_bytes_of_text(has)))
        return SLUICE_OK;
    return refuse(key->name, "it is fixed when the topic is created; make another topic", reason);
}

sl_err topic_alter_encode(const struct catalog *catalog, const struct topic *topic,
                          const struct sluice_config_alter *alter, struct sl_bytes *ret_payload,
                          char ret_reason[CATALOG_REASON_BYTES])
{
    struct alteration *self = sl_alloc_zero(1, sizeof *self);
    if (self == NULL)
        return SLUICE_E_NO_MEMORY;
    sl_err err = SLUICE_OK;
    self->broker = catalog_broker(catalog);
    begin(self, topic, alter->replace);
    for (uint32_t i = 0; err == SLUICE_OK && i < alter->change_count; i++)
        err = apply_one(self, alter, i, ret_reason);
    if (err == SLUICE_OK)
        err = catalog_configs_check(catalog, self->configs, self->count, ret_reason);
    if (err == SLUICE_OK)
        err = check_fixed(self, topic, ret_reason);
    if (err == SLUICE_OK)
        err = catalog_config_encode(&topic->id, self->configs, self->count, ret_payload);
    alteration_free(self);
    return err;
}
