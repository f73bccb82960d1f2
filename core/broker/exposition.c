/* exposition.c: all metrics as Prometheus text: /metrics, and of an embedded broker. [any] */
#include "broker/sluice_state.h"

static struct loop_room *current_room(struct sluice *sluice)
{
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        if (sl_loop_is_current(sluice->rooms[i].loop)) {
            return &sluice->rooms[i];
        }
    }
    return NULL;
}

sl_err sluice_metrics(struct sluice *sluice, struct sl_buffer *buffer)
{
    struct loop_room *room = current_room(sluice);
    if (room != NULL) {
        broker_counters_publish(room); /* its own counts are exact, others' half a second old */
        sluice_facts_publish_plugins(room);
    }
    return sl_metrics_render(sluice->metrics, buffer);
}
