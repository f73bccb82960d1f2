/* config_mix.c: see config_mix.h. */
#include "intake/config_mix.h"

#include "shard/settings.h"
#include "shard/topics.h"

#define PARTS 2u /* topics and what else the catalog refuses; settings */

struct mix;

struct mix_part {
    struct mix *mix;
    struct sluice_config_alter *alters;
    uint32_t *places; /* in the request */
    uint32_t count;
};

struct mix {
    struct mix_part parts[PARTS];
    struct sluice_topic_result *results;
    uint32_t count;
    uint32_t pending;
    sluice_topic_results_done *done;
    void *arg;
};

static void mix_free(struct mix *mix)
{
    for (uint32_t i = 0; i < PARTS; i++) {
        sl_free(mix->parts[i].alters);
        sl_free(mix->parts[i].places);
    }
    for (uint32_t i = 0; mix->results != NULL && i < mix->count; i++) {
        sl_free((void *)(uintptr_t)mix->results[i].reason.data);
    }
    sl_free(mix->results);
    sl_free(mix);
}

static void mix_end(struct mix *mix)
{
    if (--mix->pending == 0) {
        mix->done(mix->arg, mix->results, mix->count);
        mix_free(mix);
    }
}

static void part_done(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    const struct mix_part *part = arg;
    struct mix *mix = part->mix;
    for (uint32_t i = 0; i < part->count; i++) {
        struct sluice_topic_result *result = &mix->results[part->places[i]];
        if (i >= count) {
            result->status = SLUICE_E_NO_MEMORY;
            continue;
        }
        *result = results[i];
        char *reason = sl_strdup_bytes(results[i].reason.data, results[i].reason.size);
        result->reason = (struct sluice_text){reason, reason == NULL ? 0 : results[i].reason.size};
    }
    mix_end(mix);
}

static struct mix *mix_new(uint32_t count)
{
    struct mix *mix = sl_alloc_zero(1, sizeof(*mix));
    bool made = mix != NULL;
    if (made) {
        mix->count = count;
        mix->results = sl_alloc_zero(count + 1u, sizeof(*mix->results));
        made = mix->results != NULL;
    }
    for (uint32_t i = 0; made && i < PARTS; i++) {
        struct mix_part *part = &mix->parts[i];
        part->mix = mix;
        part->alters = sl_alloc_zero(count + 1u, sizeof(*part->alters));
        part->places = sl_alloc_zero(count + 1u, sizeof(*part->places));
        made = part->alters != NULL && part->places != NULL;
    }
    if (!made && mix != NULL) {
        mix_free(mix);
    }
    return made ? mix : NULL;
}

void config_mix_alter(struct shard *home, const struct sluice_config_alter *alters, uint32_t count,
                      bool validate_only, sluice_topic_results_done *done, void *arg)
{
    uint32_t setting_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        setting_count += settings_kind(alters[i].resource) != 0;
    }
    if (setting_count == 0) {
        topics_alter_start(home, alters, count, validate_only, done, arg);
        return;
    }
    struct mix *mix = mix_new(count);
    if (mix == NULL) {
        done(arg, NULL, 0);
        return;
    }
    mix->done = done;
    mix->arg = arg;
    mix->pending = PARTS + 1; /* one for this function */
    for (uint32_t i = 0; i < count; i++) {
        struct mix_part *part = &mix->parts[settings_kind(alters[i].resource) != 0];
        part->alters[part->count] = alters[i];
        part->places[part->count++] = i;
    }
    if (mix->parts[0].count > 0) {
        topics_alter_start(home, mix->parts[0].alters, mix->parts[0].count, validate_only,
                           part_done, &mix->parts[0]);
    } else {
        mix_end(mix);
    }
    settings_alter_start(home, mix->parts[1].alters, mix->parts[1].count, validate_only, part_done,
                         &mix->parts[1]);
    mix_end(mix);
}

/* ---- names ---- */

struct topic_names {
    struct sluice_text *names;
    uint32_t count, capacity;
};

static void add_name(void *arg, struct topic *topic)
{
    struct topic_names *all = arg;
    if (all->count < all->capacity) {
        all->names[all->count++] = text_of_sl(topic->name);
    }
}

void config_mix_names(struct shard *home, int32_t resource, sluice_names_done *done, void *arg)
{
    if (settings_kind(resource) != 0) {
        settings_names_start(home, resource, done, arg);
        return;
    }
    if (resource != SLUICE_RESOURCE_TOPIC) {
        done(arg, SLUICE_E_INVALID_REQUEST, NULL, 0);
        return;
    }
    struct topic_names all = {.capacity = catalog_topic_count(home->catalog)};
    all.names = sl_alloc_zero(all.capacity + 1u, sizeof(*all.names));
    if (all.names == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    catalog_each(home->catalog, add_name, &all);
    done(arg, SLUICE_OK, all.names, all.count);
    sl_free(all.names);
}
