/* features.c: see features.h.
 *
 *   home ─► shard 0: judged against what is in force ─► durable ─► published ─► home
 *
 * All updates of a call happen, or none. What is refused and how it is said is Kafka's
 * FeatureControlManager. */
#include "shard/features.h"

#include <stdio.h>

#define REASON_BYTES 256u

struct update_call {
    struct shard_call call;
    struct shard *home;
    const struct sluice_feature_update *updates;
    uint32_t count;
    bool validate_only;
    struct wal_unit unit;
    struct wal_item items[FEATURE_UPDATES_MAX];
    uint32_t item_count;
    sl_err err;
    char reason[REASON_BYTES];
    sluice_text_done *done;
    void *arg;
};

void features_publish(struct shard *shard)
{
    __atomic_store_n(&shard->set->features, feature_word(&shard->settings), __ATOMIC_RELEASE);
}

uint64_t features_word(const struct shard_set *set)
{
    return __atomic_load_n(&set->features, __ATOMIC_ACQUIRE);
}

/* ---- judging ---- */

static sl_err refuse(struct update_call *self, const struct sluice_feature_update *update,
                     const char *why)
{
    snprintf(self->reason, sizeof(self->reason), "Invalid update version %d for feature %.*s. %s",
             (int)update->level, (int)SL_MIN(update->name.size, (uint64_t)64), update->name.data,
             why);
    return SLUICE_E_INVALID_FEATURE_LEVEL;
}

static sl_err judge(struct update_call *self, const struct setting_store *settings,
                    const struct sluice_feature_update *update)
{
    const struct feature *feature = feature_find(sl_of_text(update->name));
    char range[96];
    if (update->kind < SLUICE_FEATURE_UPGRADE || update->kind > SLUICE_FEATURE_UNSAFE_DOWNGRADE) {
        snprintf(self->reason, sizeof(self->reason), "%s",
                 "The controller does not support the given upgrade type.");
        return SLUICE_E_INVALID_FEATURE_LEVEL;
    }
    if (feature == NULL) {
        return refuse(self, update, "The controller does not support the given feature.");
    }
    if (update->level < 0) {
        return refuse(self, update, "A feature version cannot be less than 0.");
    }
    if (update->level < feature->min || update->level > feature->max) {
        snprintf(range, sizeof(range), "Local controller %d only supports versions %d-%d",
                 self->home->config.settings->node_id, feature->min, feature->max);
        return refuse(self, update, range);
    }
    int16_t level = feature_level(settings, feature);
    if (update->level < level && update->kind == SLUICE_FEATURE_UPGRADE) {
        return refuse(self, update,
                      "Can't downgrade the version of this feature without setting the upgrade "
                      "type to either safe or unsafe downgrade.");
    }
    if (update->level > level && update->kind != SLUICE_FEATURE_UPGRADE) {
        return refuse(self, update, "Can't downgrade to a newer version.");
    }
    return SLUICE_OK;
}

/* ---- on shard 0 ---- */

static void free_items(struct update_call *self)
{
    for (uint32_t i = 0; i < self->item_count; i++) {
        sl_free((void *)(uintptr_t)self->items[i].payload.data);
    }
    self->item_count = 0;
}

static sl_err add_item(struct update_call *self, int64_t revision,
                       const struct sluice_feature_update *update)
{
    char level[8];
    snprintf(level, sizeof(level), "%d", (int)update->level);
    const struct setting setting = {.kind = SETTING_FEATURE,
                                    .revision = revision,
                                    .name = sl_of_text(update->name),
                                    .key = sl_bytes_of_text(FEATURE_KEY),
                                    .value = sl_bytes_of_text(level)};
    struct sl_bytes payload;
    sl_err err = setting_item_encode(&setting, &payload);
    if (err == SLUICE_OK) {
        self->items[self->item_count++] = (struct wal_item){
            .kind = WAL_ITEM_SETTING, .version = SETTING_ITEM_VERSION, .payload = payload};
    }
    return err;
}

static sl_err prepare(struct update_call *self, const struct shard *shard)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; err == SLUICE_OK && i < self->count; i++) {
        err = judge(self, &shard->settings, &self->updates[i]);
    }
    for (uint32_t i = 0; err == SLUICE_OK && !self->validate_only && i < self->count; i++) {
        const struct feature *feature = feature_find(sl_of_text(self->updates[i].name));
        if (feature_level(&shard->settings, feature) != self->updates[i].level) {
            err = add_item(self, shard->settings.revision + 1, &self->updates[i]);
        }
    }
    return err;
}

static void update_durable(struct wal_unit *unit, sl_err err)
{
    struct update_call *self = SL_CONTAINER_OF(unit, struct update_call, unit);
    struct shard *shard = self->call.target;
    for (uint32_t i = 0; err == SLUICE_OK && i < self->item_count; i++) {
        err = setting_store_apply(&shard->settings, self->items[i].version, self->items[i].payload);
        if (err != SLUICE_OK) { /* it is durable: what is in memory is behind it */
            shard_refuse(shard, err);
        }
    }
    features_publish(shard);
    self->err = err;
    shard_call_reply(&self->call);
}

static void update_run(struct shard_call *call)
{
    struct update_call *self = SL_CONTAINER_OF(call, struct update_call, call);
    struct shard *shard = call->target;
    self->err = shard->status != SLUICE_OK ? shard->status : prepare(self, shard);
    if (self->err == SLUICE_OK && self->item_count > 0) {
        self->unit = (struct wal_unit){.items = self->items,
                                       .item_count = self->item_count,
                                       .reserve = true,
                                       .durable = update_durable};
        self->err = commit_log_submit(shard->log, &self->unit);
        if (self->err == SLUICE_OK) {
            return;
        }
    }
    shard_call_reply(call);
}

/* ---- the origin ---- */

static void update_replied(struct shard_call *call)
{
    struct update_call *self = SL_CONTAINER_OF(call, struct update_call, call);
    struct shard *home = self->home;
    self->done(self->arg, self->err, sluice_text_of(self->reason));
    free_items(self);
    sl_free(self);
    shard_request_end(home);
}

void features_update_start(struct shard *home, const struct sluice_feature_update *updates,
                           uint32_t count, bool validate_only, sluice_text_done *done, void *arg)
{
    struct update_call *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL || count > FEATURE_UPDATES_MAX) {
        sl_err err = self == NULL ? SLUICE_E_NO_MEMORY : SLUICE_E_INVALID_REQUEST;
        sl_free(self);
        done(arg, err, sluice_text_of(err == SLUICE_E_NO_MEMORY ? "" : "too many features"));
        return;
    }
    shard_request_begin(home);
    self->home = home;
    self->updates = updates;
    self->count = count;
    self->validate_only = validate_only;
    self->done = done;
    self->arg = arg;
    self->call.run = update_run;
    self->call.reply = update_replied;
    shard_call_start(&self->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}
