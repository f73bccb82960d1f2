/* sluice_facts.c: what frontends may ask of the broker: metrics and health. [any loop] */
#include "broker/sluice_state.h"

#include "base/status.h"

#include <stdio.h>

#define LIVE_AFTER_MS 5000 /* a loop that is silent for longer is not alive */

void sluice_facts_publish_plugins(struct loop_room *room)
{
    struct sluice *sluice = room->sluice;
    struct plugin_meter *meter = &sluice->plugin_meters[room->index];
    if (!__atomic_load_n(&sluice->plugins_started, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&sluice->stopping, __ATOMIC_RELAXED)) {
        return;
    }
    meter->writer = room->counters.writer;
    meter->wall_ms = sl_os_wall_ms(sluice->os);
    if (room->index == 0) {
        plugin_meter_publish_counts(meter, sluice->plugins);
    }
    plugin_meter_publish_lags(meter, sluice->plugins, room->shards, room->shard_count);
}

static sl_err render_metrics(void *arg, struct sl_buffer *buffer)
{
    return sluice_metrics(arg, buffer);
}

static bool say(struct sl_buffer *text, const char *what, uint32_t number, const char *why)
{
    char line[256];
    int size = snprintf(line, sizeof(line), "%s %u: %s\n", what, number, why);
    sl_err err = sl_buffer_append(text, line, (size_t)SL_MIN(size, (int)sizeof(line) - 1));
    (void)err; /* a finding that does not fit is one of many */
    return false;
}

static bool turns(const struct sluice *sluice, uint32_t index)
{
    int64_t now_ms = sl_os_mono_ns(sluice->os) / 1000000;
    return now_ms - __atomic_load_n(&sluice->rooms[index].beat_ms, __ATOMIC_RELAXED) <=
           LIVE_AFTER_MS;
}

static bool is_live(struct sluice *sluice, struct sl_buffer *text)
{
    bool ok = true;
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        ok = turns(sluice, i) ? ok : say(text, "loop", i, "does not turn");
    }
    return ok;
}

bool sluice_is_live(const struct sluice *sluice)
{
    bool ok = true;
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        ok = ok && turns(sluice, i);
    }
    return ok;
}

/* All else is served, and nobody else has these records: no reason to turn clients away. */
static void say_damage(struct sl_buffer *text, const struct shard *shard)
{
    uint32_t damaged = scrub_damaged(shard);
    char why[96];
    if (damaged > 0) {
        snprintf(why, sizeof(why), "%u damaged places are not served; see sluice scrub", damaged);
        bool ok = say(text, "degraded: shard", shard->index, why);
        (void)ok;
    }
}

static bool storage_is_writable(struct sluice *sluice, struct sl_buffer *text)
{
    char why[160];
    storage_watch_explain(&sluice->storage, why);
    if (why[0] != '\0') {
        bool ok = say(text, "node", (uint32_t)sluice->settings.node_id, why);
        (void)ok;
    }
    if (sluice->settings.in_memory) {
        bool ok = say(text, "node", (uint32_t)sluice->settings.node_id,
                      "everything is in memory (data.dir: none): nothing is left after the end");
        (void)ok;
    }
    return storage_watch_state(&sluice->storage) != STORAGE_READ_ONLY;
}

static bool is_ready(struct sluice *sluice, struct sl_buffer *text)
{
    bool ok = true;
    if (__atomic_load_n(&sluice->stopping, __ATOMIC_RELAXED)) {
        ok = say(text, "node", (uint32_t)sluice->settings.node_id, "stopping");
    }
    ok = storage_is_writable(sluice, text) && ok;
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        sl_err status = shard_status(sluice->shards.shards[i]);
        if (status != SLUICE_OK) {
            ok = say(text, "degraded: shard", i, sl_status_text(status));
        }
        say_damage(text, sluice->shards.shards[i]);
    }
    return ok;
}

static bool check_health(void *arg, int32_t what, struct sl_buffer *text)
{
    return what == SLUICE_HEALTH_LIVE ? is_live(arg, text) : is_ready(arg, text);
}

void sluice_facts_init(struct sluice *sluice)
{
    sl_uuid_text(&sluice->superblock.cluster, sluice->facts.cluster_id);
    sluice->facts.settings = &sluice->settings;
    sluice->facts.render_metrics = render_metrics;
    sluice->facts.health = check_health;
    sluice->facts.arg = sluice;
}
