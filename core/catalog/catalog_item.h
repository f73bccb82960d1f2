/* catalog_item.h: the payloads of TOPIC_* items, decoded; catalog.h describes the bytes. Private to
 * the room. */
#ifndef SL_CATALOG_CATALOG_ITEM_H
#define SL_CATALOG_CATALOG_ITEM_H

#include "catalog/catalog.h"

/* Makes a topic of a TOPIC_CREATE payload: id, name, counts, shards, overrides. [caller frees] */
sl_err catalog_item_topic(struct sl_bytes payload, struct topic **ret_topic) SL_MUST_CHECK;
/* Reads a TOPIC_CONFIG payload. [caller frees the overrides] */
sl_err catalog_item_config(struct sl_bytes payload, struct sl_uuid *ret_id,
                           struct topic_override **ret_overrides,
                           uint32_t *ret_count) SL_MUST_CHECK;
sl_err catalog_item_delete(struct sl_bytes payload, struct sl_uuid *ret_id) SL_MUST_CHECK;
/* A topic as TOPIC_CREATE payload. [caller frees] */
sl_err catalog_item_encode_topic(const struct topic *topic,
                                 struct sl_bytes *ret_payload) SL_MUST_CHECK;

/* A TOPIC_GROW payload; the shards are a view into it. */
struct topic_growth {
    struct sl_uuid id;
    uint32_t first;
    uint32_t count;
    struct sl_bytes shards; /* u16 each, of those from `first` on */
};
sl_err catalog_item_growth(struct sl_bytes payload, struct topic_growth *ret_growth) SL_MUST_CHECK;
/* Gives the topic the partitions of the growth that it does not have yet. E_CORRUPT: some between
 * are missing; E_NO_MEMORY. Nothing changed then. */
sl_err topic_grow(struct topic *topic, const struct topic_growth *growth) SL_MUST_CHECK;

void topic_overrides_free(struct topic_override *overrides, uint32_t count);
struct topic *topic_free(struct topic *topic);

#endif
