/* verdict_items.h: what a worker answers, for workers that are made up: verdicts as
 * sandbox/channel_layout.h lays them out. */
#ifndef TESTS_VERDICT_ITEMS_H
#define TESTS_VERDICT_ITEMS_H

#include <stdint.h>

struct verdict_items {
    uint8_t *bytes; /* [borrows] room of them; more is asserted not to come */
    uint32_t room;
    uint32_t size;
    uint32_t emit_count;
};

/* kind: SANDBOX_VERDICT_*. */
void verdict_items_reason(struct verdict_items *items, uint32_t kind, uint32_t index,
                          const char *reason);
/* A record without a key; topic "": its own. */
void verdict_items_emit(struct verdict_items *items, uint32_t index, int32_t partition,
                        const char *topic, const char *value);

#endif
