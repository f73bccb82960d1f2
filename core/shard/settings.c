/* settings.c: see settings.h.
 *
 *   home ─► shard 0: what is set is copied ─► home
 *   home ─► shard 0: each alter is checked; those that are right in one unit ─► durable ─► home
 *
 * Shard 0 makes one change at a time: what the next one is checked against, and what it replaces,
 * is in force then. The others wait in its line, in the order in which they came.
 */
#include "shard/settings.h"

#include "shard/share_bury.h"
#include "shard/shares.h"

#include "base/buffer.h"
#include "base/text.h"
#include "deliver/telemetry_match.h"

#include <stdio.h>
#include <string.h>

#define COPY_BYTES_MAX (16u << 20)

uint8_t settings_kind(int32_t resource)
{
    return resource == SLUICE_RESOURCE_GROUP            ? SETTING_GROUP
           : resource == SLUICE_RESOURCE_CLIENT_METRICS ? SETTING_CLIENT_METRICS
                                                        : 0;
}

/* ---- questions ---- */

struct settings_ask {
    struct shard_call call;
    struct shard *home;
    int32_t resource;
    uint8_t kind;
    struct sluice_text name;
    bool is_names;
    struct sl_buffer texts;    /* copies; views are offsets until all are there */
    struct sl_buffer settings; /* struct setting, or struct sluice_text */
    sl_err err;
    union {
        sluice_config_done *config;
        sluice_names_done *names;
    } done;
    void *arg;
};

static sl_err copy_text(struct settings_ask *self, struct sl_bytes text, struct sl_bytes *ret_at)
{
    *ret_at = (struct sl_bytes){(const uint8_t *)(uintptr_t)self->texts.size, text.size};
    return sl_buffer_append(&self->texts, text.data, text.size);
}

static sl_err copy_setting(struct settings_ask *self, const struct setting *from)
{
    struct setting copy = {.kind = from->kind};
    sl_err err = copy_text(self, from->key, &copy.key);
    err = err != SLUICE_OK ? err : copy_text(self, from->value, &copy.value);
    return err != SLUICE_OK ? err : sl_buffer_append(&self->settings, &copy, sizeof(copy));
}

static sl_err copy_name(struct settings_ask *self, const struct setting *from)
{
    struct sl_bytes at;
    sl_err err = copy_text(self, from->name, &at);
    struct sluice_text name = text_of_sl(at);
    return err != SLUICE_OK ? err : sl_buffer_append(&self->settings, &name, sizeof(name));
}

static void ask_run(struct shard_call *call)
{
    struct settings_ask *self = SL_CONTAINER_OF(call, struct settings_ask, call);
    const struct setting_store *store = &call->target->settings;
    struct sl_bytes name = self->is_names ? (struct sl_bytes){0} : sl_of_text(self->name);
    struct sl_bytes last = {0};
    self->err = call->target->status;
    for (uint32_t i = setting_store_first(store, self->kind, name);
         self->err == SLUICE_OK && i < store->count && store->entries[i]->kind == self->kind; i++) {
        const struct setting *entry = store->entries[i];
        if (!self->is_names && !sl_bytes_equal(entry->name, name)) {
            break;
        }
        if (!self->is_names) {
            self->err = copy_setting(self, entry);
        } else if (!sl_bytes_equal(entry->name, last)) {
            self->err = copy_name(self, entry);
            last = entry->name;
        }
    }
    shard_call_reply(call);
}

static const uint8_t *at_offset(const struct settings_ask *self, const void *offset)
{
    const uint8_t *bytes = sl_buffer_bytes(&self->texts).data;
    return bytes == NULL ? (const uint8_t *)"" : bytes + (uintptr_t)offset;
}

static void answer_config(struct settings_ask *self)
{
    struct sl_bytes all = sl_buffer_bytes(&self->settings);
    struct setting *settings = (struct setting *)(uintptr_t)all.data;
    uint32_t count = (uint32_t)(all.size / sizeof(*settings));
    struct config_entries *entries = sl_alloc_zero(1, sizeof(*entries));
    struct sluice_config_result result = {
        .status = entries == NULL ? SLUICE_E_NO_MEMORY : self->err,
        .resource = self->resource,
        .name = self->name,
    };
    for (uint32_t i = 0; i < count; i++) {
        settings[i].key.data = at_offset(self, settings[i].key.data);
        settings[i].value.data = at_offset(self, settings[i].value.data);
    }
    if (result.status == SLUICE_OK) {
        named_config_describe(self->kind, settings, count, self->home->config.settings, entries);
        result.entry_count = entries->count;
        result.entries = entries->entries;
    }
    self->done.config(self->arg, &result);
    sl_free(entries);
}

static void answer_names(struct settings_ask *self)
{
    struct sl_bytes all = sl_buffer_bytes(&self->settings);
    struct sluice_text *names = (struct sluice_text *)(uintptr_t)all.data;
    uint32_t count = (uint32_t)(all.size / sizeof(*names));
    for (uint32_t i = 0; i < count; i++) {
        names[i].data = (const char *)at_offset(self, names[i].data);
    }
    self->done.names(self->arg, self->err, names, self->err == SLUICE_OK ? count : 0);
}

static void ask_replied(struct shard_call *call)
{
    struct settings_ask *self = SL_CONTAINER_OF(call, struct settings_ask, call);
    struct shard *home = self->home;
    if (self->is_names) {
        answer_names(self);
    } else {
        answer_config(self);
    }
    sl_buffer_fini(&self->texts);
    sl_buffer_fini(&self->settings);
    sl_free(self);
    shard_request_end(home);
}

static struct settings_ask *ask_new(struct shard *home, int32_t resource)
{
    struct settings_ask *self = sl_alloc_zero(1, sizeof(*self));
    if (self != NULL) {
        shard_request_begin(home);
        sl_buffer_init(&self->texts, COPY_BYTES_MAX);
        sl_buffer_init(&self->settings, COPY_BYTES_MAX);
        self->home = home;
        self->resource = resource;
        self->kind = settings_kind(resource);
        self->call.run = ask_run;
        self->call.reply = ask_replied;
    }
    return self;
}

void settings_describe_start(struct shard *home, int32_t resource, struct sluice_text name,
                             sluice_config_done *done, void *arg)
{
    struct settings_ask *self = ask_new(home, resource);
    if (self == NULL) {
        done(arg, &(struct sluice_config_result){
                      .status = SLUICE_E_NO_MEMORY, .resource = resource, .name = name});
        return;
    }
    self->name = name;
    self->done.config = done;
    self->arg = arg;
    shard_call_start(&self->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}

void settings_names_start(struct shard *home, int32_t resource, sluice_names_done *done, void *arg)
{
    struct settings_ask *self = ask_new(home, resource);
    if (self == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    self->is_names = true;
    self->done.names = done;
    self->arg = arg;
    shard_call_start(&self->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}

/* ---- changes ---- */

struct settings_change {
    struct shard_call call;
    struct sl_link turn; /* in shard 0's line */
    bool begun;
    struct shard *home;
    const struct sluice_config_alter *alters;
    uint32_t count;
    bool validate_only;
    struct wal_unit unit;
    struct wal_item *items; /* SETTING_CHANGES_MAX, while it is under way */
    uint32_t item_count;
    struct sluice_topic_result *results;
    char (*reasons)[CONFIG_REASON_BYTES];
    struct share_settings *shares; /* owned; of groups, one an alter: what all shards are told */
    uint32_t pending;              /* groups that they are being told of */
    sluice_topic_results_done *done;
    void *arg;
};

static void drop_items(struct settings_change *self, uint32_t from)
{
    while (self->item_count > from) {
        sl_free((void *)(uintptr_t)self->items[--self->item_count].payload.data);
    }
}

/* value.data NULL: it goes. */
static sl_err add_item(struct settings_change *self, const struct sluice_config_alter *alter,
                       struct sl_bytes key, struct sl_bytes value)
{
    const struct setting setting = {.kind = settings_kind(alter->resource),
                                    .revision = self->call.target->settings.revision + 1,
                                    .name = sl_of_text(alter->name),
                                    .key = key,
                                    .value = value};
    struct sl_bytes payload;
    if (self->item_count == SETTING_CHANGES_MAX) {
        return SLUICE_E_LIMIT;
    }
    sl_err err = setting_item_encode(&setting, &payload);
    if (err == SLUICE_OK) {
        self->items[self->item_count++] = (struct wal_item){
            .kind = WAL_ITEM_SETTING, .version = SETTING_ITEM_VERSION, .payload = payload};
    }
    return err;
}

static sl_err refuse(char reason[CONFIG_REASON_BYTES], const char *why)
{
    snprintf(reason, CONFIG_REASON_BYTES, "%s", why);
    return SLUICE_E_INVALID_REQUEST;
}

static bool is_named(const struct sluice_config_alter *alter, uint32_t end, struct sl_bytes key)
{
    for (uint32_t i = 0; i < end; i++) {
        if (sl_bytes_equal(sl_of_text(alter->changes[i].key), key)) {
            return true;
        }
    }
    return false;
}

/* What the table's types and ranges do not say. */
static sl_err check_share(struct settings_change *self, struct sl_bytes name, struct sl_bytes value,
                          char reason[CONFIG_REASON_BYTES])
{
    struct share_settings ignored;
    enum share_config_key key = share_config_find(name);
    if (key == SHARE_CONFIG_letters_topic) {
        return share_letters_topic_check(self->call.target->config.settings, value, reason);
    }
    share_settings_init(&ignored);
    sl_err err = key == SHARE_CONFIG_COUNT ? SLUICE_OK : share_settings_set(&ignored, key, value);
    if (err != SLUICE_OK) {
        snprintf(reason, CONFIG_REASON_BYTES, "%.*s: not a value that it can have", (int)name.size,
                 (const char *)name.data);
    }
    return err;
}

/* Subscriptions to metrics of clients: patterns that were taken here can be compiled later. Kafka
 * has E_INVALID_REQUEST for what its table of keys does not allow, E_INVALID_CONFIG for the rest.
 */
static sl_err check_metrics(struct sl_bytes key, struct sl_bytes value, sl_err err,
                            char reason[CONFIG_REASON_BYTES])
{
    struct telemetry_match match = {{NULL}};
    const char *why = "";
    int64_t number = 0;
    if (err == SLUICE_E_INVALID_CONFIG) {
        bool is_word = named_config_find(SETTING_CLIENT_METRICS, key) != NULL &&
                       sl_text_parse_i64(value, &number) != SLUICE_OK;
        return is_word ? err : SLUICE_E_INVALID_REQUEST;
    }
    if (err != SLUICE_OK || !sl_bytes_equal(key, sl_bytes_of_text("match"))) {
        return err;
    }
    err = telemetry_match_parse(value, &match, &why);
    telemetry_match_fini(&match);
    if (err == SLUICE_E_INVALID_CONFIG) {
        snprintf(reason, CONFIG_REASON_BYTES, "Illegal client matching pattern: %s", why);
    }
    return err;
}

/* A list, without blanks beside its commas, as Kafka keeps it; other values as they are. */
static struct sl_bytes plain_list(uint8_t kind, struct sl_bytes key, struct sl_bytes value,
                                  uint8_t room[SETTING_VALUE_ASKED_MAX])
{
    const struct named_config_key *known = named_config_find(kind, key);
    struct sl_bytes element;
    size_t size = 0;
    if (known == NULL || known->rule.type != SLUICE_CONFIG_TYPE_LIST) {
        return value;
    }
    while (telemetry_list_next(&value, &element)) { /* no longer than it was */
        if (size > 0) {
            room[size++] = ',';
        }
        memcpy(room + size, element.data, element.size);
        size += element.size;
    }
    return sl_bytes_of(room, size);
}

static sl_err change_one(struct settings_change *self, const struct sluice_config_alter *alter,
                         uint32_t index, char reason[CONFIG_REASON_BYTES])
{
    const struct sluice_config_change *change = &alter->changes[index];
    struct sl_bytes key = sl_of_text(change->key);
    uint8_t kind = settings_kind(alter->resource);
    sl_err err = SLUICE_OK;
    if (is_named(alter, index, key)) {
        return refuse(reason, "a key is named twice");
    }
    if (change->operation == SLUICE_CONFIG_DELETE) {
        if (named_config_find(kind, key) == NULL) {
            return named_config_check(kind, key, (struct sl_bytes){0}, NULL, reason);
        }
        return add_item(self, alter, key, (struct sl_bytes){0});
    }
    if (change->operation != SLUICE_CONFIG_SET) {
        return refuse(reason, "lists are set as a whole here");
    }
    if (change->value.data == NULL || change->value.size > SETTING_VALUE_ASKED_MAX) {
        return refuse(reason, "a value of at most 1,024 bytes is wanted");
    }
    err = named_config_check(kind, key, sl_of_text(change->value),
                             self->call.target->config.settings, reason);
    if (err == SLUICE_OK && kind == SETTING_GROUP) {
        err = check_share(self, key, sl_of_text(change->value), reason);
    }
    if (kind == SETTING_CLIENT_METRICS) {
        err = check_metrics(key, sl_of_text(change->value), err, reason);
    }
    if (err != SLUICE_OK) {
        return err;
    }
    uint8_t room[SETTING_VALUE_ASKED_MAX];
    return add_item(self, alter, key, plain_list(kind, key, sl_of_text(change->value), room));
}

/* What is set and not named goes. */
static sl_err replace_rest(struct settings_change *self, const struct sluice_config_alter *alter)
{
    const struct setting_store *store = &self->call.target->settings;
    uint8_t kind = settings_kind(alter->resource);
    struct sl_bytes name = sl_of_text(alter->name);
    sl_err err = SLUICE_OK;
    for (uint32_t i = setting_store_first(store, kind, name);
         err == SLUICE_OK && i < store->count && store->entries[i]->kind == kind &&
         sl_bytes_equal(store->entries[i]->name, name);
         i++) {
        if (!is_named(alter, alter->change_count, store->entries[i]->key)) {
            err = add_item(self, alter, store->entries[i]->key, (struct sl_bytes){0});
        }
    }
    return err;
}

/* A name while its changes wait among the items. */
struct changed_name {
    const struct settings_change *change;
    struct sl_bytes name;
    uint32_t first_new; /* items of the alter at hand */
};

static struct named_config_value value_behind(const void *arg, struct sl_bytes key)
{
    const struct changed_name *changed = arg;
    const struct settings_change *self = changed->change;
    for (uint32_t i = self->item_count; i-- > 0;) {
        struct setting setting;
        sl_err err = setting_item_decode(SETTING_ITEM_VERSION, self->items[i].payload, &setting);
        if (err == SLUICE_OK && setting.kind == SETTING_GROUP &&
            sl_bytes_equal(setting.name, changed->name) && sl_bytes_equal(setting.key, key)) {
            return (struct named_config_value){setting.value, i >= changed->first_new};
        }
    }
    const struct setting *kept =
        setting_store_find(&self->call.target->settings, SETTING_GROUP, changed->name, key);
    return (struct named_config_value){.value = kept != NULL ? kept->value : (struct sl_bytes){0}};
}

static sl_err check_pairs(const struct settings_change *self,
                          const struct sluice_config_alter *alter, uint32_t first_new,
                          char reason[CONFIG_REASON_BYTES])
{
    const struct changed_name changed = {self, sl_of_text(alter->name), first_new};
    return settings_kind(alter->resource) != SETTING_GROUP
               ? SLUICE_OK
               : named_config_check_pairs(self->call.target->config.settings, value_behind,
                                          &changed, reason);
}

static sl_err alter_one(struct settings_change *self, uint32_t index)
{
    const struct sluice_config_alter *alter = &self->alters[index];
    uint32_t before = self->item_count;
    sl_err err = SLUICE_OK;
    if (alter->name.size == 0 || alter->name.size > SETTING_NAME_BYTES_MAX) {
        return refuse(self->reasons[index], "a name of at most 1,023 bytes is wanted");
    }
    if (alter->replace) {
        err = replace_rest(self, alter);
    }
    for (uint32_t i = 0; err == SLUICE_OK && i < alter->change_count; i++) {
        err = change_one(self, alter, i, self->reasons[index]);
    }
    err = err == SLUICE_OK ? check_pairs(self, alter, before, self->reasons[index]) : err;
    if (err != SLUICE_OK || self->validate_only) {
        drop_items(self, before);
    }
    return err;
}

/* All that would have been changed. */
static void fail_all(struct settings_change *self, sl_err err)
{
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->results[i].status == SLUICE_OK) {
            self->results[i].status = err;
        }
    }
}

/* ---- groups that share streams: every shard has their configuration ---- */

static void changes_go_on(struct shard *shard);

static void change_end(struct settings_change *self)
{
    sl_list_remove(&self->turn);
    drop_items(self, 0);
    sl_free(self->items);
    self->items = NULL;
    shard_call_reply(&self->call);
}

static void shares_told(void *arg, sluice_status status)
{
    struct settings_change *self = arg;
    if (status != SLUICE_OK) {
        fail_all(self, status);
    }
    if (--self->pending == 0) {
        struct shard *shard = self->call.target;
        change_end(self);
        changes_go_on(shard);
    }
}

static void read_shares(const struct setting_store *store, struct sl_bytes name,
                        struct share_settings *ret_settings)
{
    share_settings_init(ret_settings);
    for (uint32_t i = setting_store_first(store, SETTING_GROUP, name);
         i < store->count && store->entries[i]->kind == SETTING_GROUP &&
         sl_bytes_equal(store->entries[i]->name, name);
         i++) {
        enum share_config_key key = share_config_find(store->entries[i]->key);
        if (key != SHARE_CONFIG_COUNT) { /* what cannot be in force leaves the default */
            sl_err ignored = share_settings_set(ret_settings, key, store->entries[i]->value);
            (void)ignored;
        }
    }
}

static void tell_shares(struct settings_change *self, sl_err err)
{
    struct shard *shard = self->call.target;
    self->pending = 1;
    self->shares = err != SLUICE_OK ? NULL : sl_alloc_zero(self->count, sizeof(*self->shares));
    for (uint32_t i = 0; self->shares != NULL && i < self->count; i++) {
        const struct sluice_config_alter *alter = &self->alters[i];
        if (self->results[i].status == SLUICE_OK &&
            settings_kind(alter->resource) == SETTING_GROUP) {
            self->pending++;
            read_shares(&shard->settings, sl_of_text(alter->name), &self->shares[i]);
            share_configure_start(shard, alter->name, &self->shares[i], shares_told, self);
        }
    }
    shares_told(self, err == SLUICE_OK && self->shares == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK);
}

static void change_durable(struct wal_unit *unit, sl_err err)
{
    struct settings_change *self = SL_CONTAINER_OF(unit, struct settings_change, unit);
    struct shard *shard = self->call.target;
    for (uint32_t i = 0; err == SLUICE_OK && i < self->item_count; i++) {
        err = setting_store_apply(&shard->settings, SETTING_ITEM_VERSION, self->items[i].payload);
        if (err != SLUICE_OK) { /* it is durable: what is in memory is behind it */
            shard_refuse(shard, err);
        }
    }
    if (err != SLUICE_OK) {
        fail_all(self, err);
    }
    tell_shares(self, err);
}

/* False: nothing of it is on its way, as nothing changes or what would is refused. */
static bool change_begin(struct settings_change *self)
{
    struct shard *shard = self->call.target;
    self->begun = true;
    self->items = sl_alloc_zero(SETTING_CHANGES_MAX, sizeof(*self->items));
    sl_err err = self->items == NULL ? SLUICE_E_NO_MEMORY : shard->status;
    for (uint32_t i = 0; i < self->count; i++) {
        self->results[i].name = self->alters[i].name;
        self->results[i].status = err != SLUICE_OK ? err : alter_one(self, i);
    }
    if (self->item_count == 0) {
        return false;
    }
    bool fits = shard->settings.count + self->item_count <= SETTING_COUNT_MAX;
    self->unit = (struct wal_unit){.items = self->items,
                                   .item_count = self->item_count,
                                   .reserve = true,
                                   .durable = change_durable};
    err = fits ? commit_log_submit(shard->log, &self->unit) : SLUICE_E_LIMIT;
    if (err != SLUICE_OK) {
        fail_all(self, err);
    }
    return err == SLUICE_OK;
}

/* Until one is on its way, or none is left. */
static void changes_go_on(struct shard *shard)
{
    struct sl_link *first;
    while ((first = sl_list_first(&shard->setting_changes)) != NULL) {
        struct settings_change *self = SL_CONTAINER_OF(first, struct settings_change, turn);
        if (self->begun || change_begin(self)) {
            return;
        }
        change_end(self);
    }
}

static void change_run(struct shard_call *call)
{
    struct settings_change *self = SL_CONTAINER_OF(call, struct settings_change, call);
    sl_list_push_back(&call->target->setting_changes, &self->turn);
    changes_go_on(call->target);
}

static void change_free(struct settings_change *self)
{
    sl_free(self->shares);
    sl_free(self->results);
    sl_free(self->reasons);
    sl_free(self);
}

static void change_replied(struct shard_call *call)
{
    struct settings_change *self = SL_CONTAINER_OF(call, struct settings_change, call);
    struct shard *home = self->home;
    for (uint32_t i = 0; i < self->count; i++) {
        self->results[i].reason = sluice_text_of(self->reasons[i]);
    }
    self->done(self->arg, self->results, self->count);
    change_free(self);
    shard_request_end(home);
}

void settings_alter_start(struct shard *home, const struct sluice_config_alter *alters,
                          uint32_t count, bool validate_only, sluice_topic_results_done *done,
                          void *arg)
{
    struct settings_change *self = sl_alloc_zero(1, sizeof(*self));
    if (self != NULL) {
        self->results = sl_alloc_zero(count + 1u, sizeof(*self->results));
        self->reasons = sl_alloc_zero(count + 1u, sizeof(*self->reasons));
    }
    if (self == NULL || self->results == NULL || self->reasons == NULL) {
        if (self != NULL) {
            change_free(self);
        }
        done(arg, NULL, 0);
        return;
    }
    shard_request_begin(home);
    sl_link_init(&self->turn);
    self->home = home;
    self->alters = alters;
    self->count = count;
    self->validate_only = validate_only;
    self->done = done;
    self->arg = arg;
    self->call.run = change_run;
    self->call.reply = change_replied;
    shard_call_start(&self->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}
