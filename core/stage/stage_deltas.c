/* stage_deltas.c: changes of a stage's state become records of its state topic, in the outputs of
 * the batch that made them (stage_state.h has the format). */
#include "stage/stage_output.h"
#include "stage/stage_state.h"

#include <sandbox/state_delta.h>
#include <stdio.h>
#include <string.h>

void stage_state_name(const char *instance, char ret_name[TOPIC_NAME_BYTES_MAX + 1u])
{
    snprintf(ret_name, TOPIC_NAME_BYTES_MAX + 1u, "%s%s", TOPIC_NAME_STATE, instance);
}

void stage_output_state_key(const struct output_state *state, uint32_t partition, uint8_t *ret_head)
{
    memcpy(ret_head, state->topic_id.b, 16);
    for (size_t i = 0; i < 4; i++) {
        ret_head[16 + i] = (uint8_t)(partition >> (24 - 8 * i));
    }
}

/* One record; not counted as an output. */
static sl_err append(struct stage_output *output, const struct output_rules *rules,
                     struct partition *target, struct sl_bytes key, struct sluice_bytes value)
{
    struct record_fields fields = {.key = key,
                                   .value = {value.data, (size_t)value.size},
                                   .value_is_null = value.data == NULL,
                                   .timestamp_ms = sl_os_wall_ms(rules->shard->config.os)};
    sl_err err = stage_output_append(output, target, &fields);
    output->written -= err == SLUICE_OK;
    return err;
}

static sl_err append_version(struct stage_output *output, const struct output_rules *rules,
                             const struct output_state *state, struct partition *target,
                             struct sl_bytes key)
{
    uint8_t version[8];
    for (size_t i = 0; i < sizeof(version); i++) {
        version[i] = (uint8_t)((uint64_t)state->version >> (56 - 8 * i));
    }
    return append(output, rules, target, key, (struct sluice_bytes){version, sizeof(version)});
}

static sl_err find_target(struct stage_output *output, const struct output_rules *rules,
                          const struct output_source *source, struct partition **ret_target)
{
    char name[TOPIC_NAME_BYTES_MAX + 1u];
    uint32_t number = 0;
    stage_state_name(rules->instance, name);
    struct topic *topic = catalog_by_name(rules->shard->catalog, sl_bytes_of_text(name));
    if (topic == NULL) {
        snprintf(output->missing, sizeof(output->missing), "%s", name);
        return SLUICE_E_NOT_FOUND;
    }
    if (!stage_output_near(rules->shard, topic, source->partition, &number)) {
        return SLUICE_E_NO_MEMORY; /* of room: the batch waits */
    }
    return partition_open(rules->shard, topic, number, ret_target);
}

sl_err stage_output_deltas(struct stage_output *output, const struct output_rules *rules,
                           const struct output_source *source, const struct sandbox_result *result)
{
    uint8_t key[STAGE_STATE_KEY_HEAD + SLUICE_STATE_KEY_BYTES_MAX];
    struct partition *target = NULL;
    struct state_delta delta;
    const uint8_t *cursor = result->deltas;
    sl_err err = find_target(output, rules, source, &target);
    stage_output_state_key(source->state, source->partition, key);
    if (err == SLUICE_OK && source->state->with_version) {
        err = append_version(output, rules, source->state, target,
                             (struct sl_bytes){key, STAGE_STATE_KEY_HEAD});
    }
    while (err == SLUICE_OK &&
           state_delta_next(&cursor, result->deltas + result->deltas_size, &delta)) {
        memcpy(key + STAGE_STATE_KEY_HEAD, delta.key.data, delta.key.size);
        err = append(output, rules, target,
                     (struct sl_bytes){key, STAGE_STATE_KEY_HEAD + delta.key.size}, delta.value);
    }
    return err;
}
